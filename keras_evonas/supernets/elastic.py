"""Finding the hyperparameters whose largest layers hold all smaller ones."""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models import kinds
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.supernets.looking import Leaf
from keras_evonas.supernets.looking import Look
from keras_evonas.supernets.looking import look
from keras_evonas.supernets.masks import Cut
from keras_evonas.supernets.masks import shape_on
from keras_evonas.supernets.passing import CannotBeMaskedError
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.slices import Sides
from keras_evonas.supernets.slices import Slice
from keras_evonas.supernets.slices import slices_of

# Each value of a hyperparameter is looked at, so there may not be more.
MOST_VALUES = 32

# The layers of a network that changed, by their place and "width" or "kernel".
_Changes: TypeAlias = dict[tuple[int, str], Leaf]
# The same layers for each value of a hyperparameter.
_Effect: TypeAlias = dict[tuple[int, str], list[Leaf]]

# Optimizers whose steps depend on the norm or the rows of a whole weight, and
# regularizers that add up what each element costs.
_OF_WHOLE = ("Adafactor", "Lamb", "Muon")
_BY_ELEMENT = ("L1", "L2", "L1L2")
_WITH_KERNEL = frozenset(kind.__name__ for kind in kinds.WITH_KERNEL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elastic:
    """The elastic hyperparameters of a supernet.

    Args:
        genes: As genes, their values in increasing order.
        slices: The parts of layers that are on a path; see `slices_of`.
        refused: Mapping from names of hyperparameters that change widths or
            kernels, and cannot be elastic, to the reasons.
    """

    genes: tuple[SharedGene, ...] = ()
    slices: Mapping[int, Slice] = dataclasses.field(default_factory=dict)
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def largest(self) -> dict[str, Any]:
        """The values that the supernet is built with."""
        return {gene.name: gene.values[-1] for gene in self.genes}


class _RefusedError(Exception):
    """Says why some hyperparameters cannot be elastic."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(str(reasons))
        self.reasons = dict(reasons)


def _refused(names: Iterable[str], why: str) -> _RefusedError:
    return _RefusedError(dict.fromkeys(names, why))


def find(
    hypermodel: Hypermodel,
    others: Iterable[Structure],
    given: Mapping[str, Any],
) -> tuple[Elastic, Look | None]:
    """Finds the elastic hyperparameters, by building the network with others.

    The network is built with all at their largest value, with each of them at
    its smallest, and with all at each value between. What cannot be elastic
    keeps its default, and all others are looked at again.

    Args:
        hypermodel: As for `Supernet`.
        others: The hyperparameters of keras-tuner that may be elastic.
        given: Values that are held.

    Returns:
        The elastic ones, and the network with the largest values, `None` if
        there are none.
    """
    values = {
        one.name: found
        for one in others
        if one.name not in given and len(found := _values_of(one)) > 1
    }
    refused: dict[str, str] = {}
    while values:
        try:
            return _found(hypermodel, values, given, refused)
        except _RefusedError as error:
            refused.update(error.reasons)
            values = {n: x for n, x in values.items() if n not in refused}
    return Elastic(refused=refused), None


def _found(
    hypermodel: Hypermodel,
    values: Mapping[str, tuple[int, ...]],
    given: Mapping[str, Any],
    refused: Mapping[str, str],
) -> tuple[Elastic, Look | None]:
    largest = {name: each[-1] for name, each in values.items()}

    def look_at(changed: Mapping[str, int]) -> Look:
        asked = {**given, **largest, **changed}
        try:
            return look(hypermodel, asked, is_partial=True)
        except ValueError as error:
            line = str(error).partition("\n")[0]
            why = f"the network cannot be built with {changed} alone: {line}"
            raise _refused(changed or largest, why) from error

    base = look_at({})
    ends: dict[str, _Changes] = {}
    looks: list[tuple[Mapping[str, int], Look]] = []
    for name, each in values.items():
        smallest = {name: each[0]}
        found = look_at(smallest)
        changes = _changes(smallest, base, found)
        if changes:
            ends[name] = changes
            looks.append((smallest, found))
            _check_owners(name, ends)
    values = {name: each for name, each in values.items() if name in ends}
    if not values:
        return Elastic(refused=dict(refused)), None
    between: list[Look] = []
    for number in range(1, max(map(len, values.values())) - 1):
        together = {n: x[min(number, len(x) - 1)] for n, x in values.items()}
        between.append(_between(together, base, look_at))
        looks.append((together, between[-1]))
    effects: dict[str, _Effect] = {
        name: {
            (place, aspect): [
                smallest,
                *(one.leaves[place] for one in between[: len(each) - 2]),
                base.leaves[place],
            ]
            for (place, aspect), smallest in ends[name].items()
        }
        for name, each in values.items()
    }
    defaults = {one.name: one.default for one in base.hp.space}
    genes = tuple(
        SharedGene(
            name=name,
            default=defaults[name],
            values=each,
            kind="width"
            if any(aspect == "width" for _, aspect in effects[name])
            else "kernel",
        )
        for name, each in values.items()
    )
    slices = _sliced(effects, base)
    for changed, one in looks:
        index_of = {
            gene.name: gene.index_of(changed.get(gene.name, gene.values[-1]))
            for gene in genes
        }
        _check_shapes(changed, one, base, slices, index_of)
    found_ones = Elastic(genes=genes, slices=slices, refused=dict(refused))
    return found_ones, base


def _values_of(hp: Structure) -> tuple[int, ...]:
    """Returns the values of a hyperparameter that may be a width."""
    if isinstance(hp, hp_types.Boolean | hp_types.Float | hp_types.Fixed):
        return ()
    is_linear = isinstance(hp, hp_types.Int) and hp.sampling == "linear"
    if is_linear and hp.max_value - hp.min_value >= MOST_VALUES * (
        hp.step or 1
    ):
        return ()
    try:
        values = list(hp.values)
    except (AttributeError, TypeError):
        return ()
    # Those of keras-tuner 1.4.8 are floats where an `Int` is on a log scale.
    if any(isinstance(x, bool | str) or x != int(x) or x < 1 for x in values):
        return ()
    return tuple(sorted(map(int, values))) if len(values) <= MOST_VALUES else ()


def _changes(changed: Mapping[str, int], base: Look, other: Look) -> _Changes:
    """Returns the layers that have another width or kernel."""
    if other.structure != base.structure or len(other.leaves) != len(
        base.leaves
    ):
        why = f"{changed} changes which layers the network has"
        raise _refused(changed, why)
    if other.calls != base.calls:
        why = f"{changed} changes what layers or operations are called with"
        raise _refused(changed, why)
    found = {}
    pairs = zip(base.leaves, other.leaves, strict=True)
    for place, (leaf, now) in enumerate(pairs):
        if now.settings != leaf.settings:
            why = f"{changed} changes more of '{leaf.name}' than its size"
            raise _refused(changed, why)
        if leaf.kernel != now.kernel and leaf.kind not in _WITH_KERNEL:
            why = f"{changed} changes the kernel of '{leaf.name}'"
            raise _refused(changed, why)
        if leaf.width != now.width:
            found[place, "width"] = now
        if leaf.kernel != now.kernel:
            found[place, "kernel"] = now
    return found


def _between(
    changed: Mapping[str, int],
    base: Look,
    look_at: Callable[[Mapping[str, int]], Look],
) -> Look:
    """Looks at several values at once, and finds the one that is wrong."""
    try:
        found = look_at(changed)
        _changes(changed, base, found)
    except _RefusedError:
        for name, value in changed.items():
            alone = {name: value}
            _changes(alone, base, look_at(alone))
        raise
    return found


def _check_owners(name: str, ends: Mapping[str, _Changes]) -> None:
    """Checks that no layer is changed by two hyperparameters."""
    for other, changes in ends.items():
        both = changes.keys() & ends[name].keys() if other != name else ()
        if both:
            leaf = changes[min(both)]
            why = f"'{other}' changes the layer '{leaf.name}', too"
            raise _refused([name], why)


def _sliced(effects: Mapping[str, _Effect], base: Look) -> dict[int, Slice]:
    """Follows the masks through the network with the largest layers."""
    widths: dict[int, Cut] = {}
    sides: dict[int, Sides] = {}
    for name, effect in effects.items():
        for (place, aspect), leaves in effect.items():
            if aspect == "kernel":
                sizes = tuple(leaf.kernel or () for leaf in leaves)
                sides[place] = Sides(gene=name, sizes=sizes)
                continue
            each = [leaf.width or 0 for leaf in leaves]
            if max(each) > each[-1]:
                why = (
                    f"'{base.leaves[place].name}' is not the largest at the "
                    "largest value"
                )
                raise _refused([name], why)
            bounds = tuple((0, width) for width in each)
            widths[place] = Cut(name, bounds, each[-1])
    refused: dict[str, str] = {}
    while True:
        follow = functools.partial(
            slices_of, base.network, widths=widths, sides=sides
        )
        try:
            slices = without_allocation(follow, base.graph)
        except CannotBeMaskedError as error:  # Others are looked for at once.
            no = dict.fromkeys(error.genes, str(error))
            refused.update(no)
            widths = {n: cut for n, cut in widths.items() if cut.gene not in no}
            sides = {n: one for n, one in sides.items() if one.gene not in no}
            continue
        if refused:
            raise _RefusedError(refused)
        _check_parts(slices, base)
        return slices


def _check_parts(slices: Mapping[int, Slice], base: Look) -> None:
    """Checks that what is off the path has no say in the rest of a weight."""
    refused: dict[str, str] = {}
    optimizer = base.settings()["optimizer"]
    for place, one in slices.items():
        leaf = base.leaves[place]
        wholes = [
            f"the {name} of '{leaf.name}'"
            for name, value in leaf.settings.items()
            if _is_of_whole(name, value)
        ]
        if optimizer in _OF_WHOLE:
            wholes.append(f"the optimizer {optimizer}")
        masks = [mask for axes in one.axes for mask in axes if mask]
        for gene in frozenset().union(*(mask.genes for mask in masks)):
            for whole in wholes[:1]:
                refused[gene] = f"{whole} looks at all channels of a weight"
    if refused:
        raise _RefusedError(refused)


def _is_of_whole(name: str, value: object) -> bool:
    """Returns whether a setting makes elements of a weight depend on others."""
    if value is None:
        return False
    if name.endswith("_regularizer"):
        return not any(f"'{kind}'" in str(value) for kind in _BY_ELEMENT)
    return name.endswith("_constraint")


def _check_shapes(
    changed: Mapping[str, int],
    one: Look,
    base: Look,
    slices: Mapping[int, Slice],
    index_of: Mapping[str, int],
) -> None:
    """Checks that slices have the shapes of the layers that were built."""
    pairs = zip(one.leaves, base.leaves, strict=True)
    for place, (leaf, largest) in enumerate(pairs):
        expected = largest.shapes
        if place in slices:
            axes = slices[place].axes
            triples = zip(axes, largest.shapes, strict=True)
            expected = tuple(shape_on(a, s, index_of) for a, s in triples)
        if leaf.shapes != expected:
            why = (
                f"the layer '{leaf.name}' of {leaf.kind} does not have the "
                f"weights of a part of the largest one with {dict(changed)}"
            )
            raise _refused(changed, why)
