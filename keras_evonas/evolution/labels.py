"""Labels of operators: short in the record, in plain words on a page.

Each operator leaves a label on the draft that it makes or changes, and
several make a chain: `"block+step"` is a child of two parents that were
crossed block by block, with small changes. A label is defined with its
meaning by whatever leaves it; those that several strategies leave stand here.
"""

_MEANINGS: dict[str, str] = {}


def define(label: str, meaning: str) -> str:
    """Gives a label its meaning.

    A label that ends with `+` is put before others, and its meaning after
    theirs. Returns the label as it is recorded.
    """
    _MEANINGS[label] = meaning
    return label


def describe_operator(operator: str) -> str:
    """Describes in plain words how an individual was made.

    Args:
        operator: String, the operator of an individual, such as
            `"block+step"` or `"screened+random"`.

    Returns:
        The meanings of its labels, joined. A label without a meaning, such as
        one of a user's own operator, stands for itself.
    """
    first, _, rest = operator.partition("+")
    if rest and f"{first}+" in _MEANINGS:
        return f"{describe_operator(rest)}, {_MEANINGS[f'{first}+']}"
    words = [_MEANINGS.get(part, part) for part in operator.split("+")]
    if not rest:
        return words[0]
    return f"{words[0]}, with {' and '.join(words[1:])}"


RANDOM = define("random", "drawn at random")
CLONE = define("clone", "a copy of its parent")
NEIGHBOUR = define("neighbour", "a neighbour of its parent")
DEFAULT = define("default", "the defaults of the hypermodel")
SPACE_FILLING = define("space_filling", "drawn far from all others")
