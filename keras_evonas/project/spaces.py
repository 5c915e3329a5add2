"""Search spaces out of the configurations of hyperparameters.

keras-tuner's objects have them, see `keras_evonas.hyperparameters`, and folders
hold them as JSON. Only here they become genes.
"""

import math
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace

# A scalar of Python or NumPy.
Scalar = TypeVar("Scalar", bound=object)

# Of a stepped range with more values than this, only every other one (or
# third one, and so on) takes part in the search.
_MAX_GRID = 100_000
# Names of values by which keras-tuner says how a trial is to be trained.
PREFIX = "tuner/"


def from_config(config: Iterable[Mapping[str, Any]]) -> SearchSpace:
    """Makes a search space of the `"space"` of saved hyperparameters.

    Hyperparameters of a kind unknown to this package are left out, and so are
    those whose parents are.
    """
    genes = [
        gene_of(str(entry.get("class_name")), entry["config"])
        for entry in config
        if "name" in entry.get("config", {})
    ]
    ordered, _ = parents_first([gene for gene in genes if gene is not None])
    return SearchSpace(ordered)


def gene_of(kind: str, config: Mapping[str, Any]) -> Gene | None:
    """Makes a gene of a hyperparameter, `None` if its kind is unknown.

    The kind is the name of its class, such as `"Int"`.
    """
    domain = _domain(kind, config)
    if domain is None:
        return None
    conditions = tuple(
        Condition(c["config"]["name"], tuple(c["config"]["values"]))
        for c in config.get("conditions") or ()
    )
    default = config.get("default")
    if default is None:
        default = config.get("min_value")
    if default is not None:
        default = nearest(domain, default)
    return Gene(config["name"], domain, conditions, default)


def parents_first(genes: Iterable[Gene]) -> tuple[list[Gene], list[Gene]]:
    """Sorts genes stably, each after the genes that it depends on.

    A space that came over gRPC is ordered by type. Returns the genes in order,
    and those that depend on a gene that is missing.
    """
    ordered: list[Gene] = []
    names: set[str] = set()
    waiting = list(genes)
    while True:
        late = []
        for gene in waiting:
            if all(condition.parent in names for condition in gene.conditions):
                ordered.append(gene)
                names.add(gene.name)
            else:
                late.append(gene)
        if len(late) == len(waiting):
            return ordered, late
        waiting = late


def nearest(domain: Domain, value: Value) -> Value:
    """Returns the value of a domain next to one that may lie outside."""
    value = plain(value)
    if isinstance(domain, Interval) and not domain.integer:
        value = float(value)
    if domain.contains(value):
        return value
    if not isinstance(value, int | float):
        return next(iter(domain))
    if not isinstance(domain, Interval):
        numbers = [v for v in domain if isinstance(v, int | float)]
        if not numbers:
            return next(iter(domain))
        return min(numbers, key=lambda number: abs(number - value))
    clipped = min(max(value, domain.low), domain.high)
    return int(clipped) if domain.integer else float(clipped)


def plain(value: Scalar) -> Scalar:
    """Turns a NumPy scalar into the Python value; `Choice` takes both."""
    return value.item() if hasattr(value, "item") else value


def from_values(genomes: Iterable[Mapping[str, Value]]) -> SearchSpace:
    """Guesses a space from genomes, where none was saved."""
    seen: dict[str, dict[Value, None]] = {}
    for genome in genomes:
        for name, value in genome.items():
            seen.setdefault(name, {})[value] = None
    return SearchSpace(
        [Gene(name, covering(values)) for name, values in seen.items()]
    )


def covering(values: Iterable[Value]) -> Domain:
    """Returns the smallest domain that holds some values."""
    values = tuple(dict.fromkeys(values))
    scalars = [x for x in values if not isinstance(x, bool | str)]
    numbers = [x for x in scalars if math.isfinite(x)]
    if len(scalars) < len(values) or not numbers:
        return Categorical(values)
    if len(numbers) <= 12:
        return Grid(tuple(sorted(numbers)))
    low, high = min(numbers), max(numbers)
    wide = low > 0 and high / low >= 100
    return Interval(low, high, scale="log" if wide else "linear")


def active_values(
    space: SearchSpace | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the values of active genes; all of them without a space."""
    if space is None:
        return dict(values)
    # A value outside of its domain is kept: the space was changed by hand.
    active = space.active(values)
    named = {gene.name for gene in space.genes}
    known = {g.name: values[g.name] for g in active if g.name in values}
    unknown = {n: v for n, v in values.items() if n not in named}
    return known | unknown


def without_training_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of hyperparameters alone."""
    return {n: v for n, v in values.items() if not n.startswith(PREFIX)}


def _domain(kind: str, config: Mapping[str, Any]) -> Domain | None:
    if kind == "Boolean":
        return Categorical((False, True))
    if kind == "Fixed":
        return Categorical((plain(config["value"]),))
    if kind == "Choice":
        values = tuple(dict.fromkeys(map(plain, config["values"])))
        if config.get("ordered"):
            return Grid(tuple(sorted(values)))
        return Categorical(values)
    if kind in ("Int", "Float"):
        return numerical(config, int if kind == "Int" else float)
    return None


def numerical(config: Mapping[str, Any], kind: type[float]) -> Domain:
    """Returns the domain of an `Int` or `Float` of some configuration."""
    low, high = kind(config["min_value"]), kind(config["max_value"])
    step, scale = config.get("step"), config.get("sampling") or "linear"
    integer = kind is int
    if step is None or (integer and scale == "linear" and step == 1):
        return Interval(low, high, scale=scale, integer=integer)
    # keras-tuner 1.4.8 gives floats for an Int with logarithmic steps.
    values = {kind(value) for value in _stepped(low, high, step, scale)}
    return Grid(tuple(sorted(values)))


def _stepped(
    low: float, high: float, step: float, scale: str
) -> Iterator[float]:
    """Yields the values of a stepped range, by keras-tuner's own formulas."""
    if scale == "linear":
        count = int((high - low) // step) + 1
        every = math.ceil(count / _MAX_GRID)
        yield from (low + index * step for index in range(0, count, every))
        return
    count = int(math.log(high / low, step) + 1e-8) + 1
    for index in range(count):
        value = low * math.pow(step, index)
        yield value if scale == "log" else high + low - value
