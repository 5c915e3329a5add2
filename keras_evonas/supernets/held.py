"""Which hyperparameters a supernet shares, and which it holds."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias
from typing import cast

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.models.shared import Rule
from keras_evonas.supernets.mixed import Branch
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.mixed import layers_inside
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.sharing import SharingHyperParameters
from keras_evonas.supernets.sharing import Values

Part: TypeAlias = frozenset[tuple[str, frozenset[int]]]

# A choice of more values is tried at so many of them.
_TRIED = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Lists what a supernet consists of, before it is built.

    Args:
        genes: The shared genes, in the order of a path.
        held: Values of all other hyperparameters.
        space: All hyperparameters, shared or held.
        rules: Those of `SharingHyperParameters`.
        parts: The options of all mixed layers, each by when it is called: for
            each gene that decides on it, the places of its values.
    """

    genes: tuple[SharedGene, ...]
    held: dict[str, Any]
    space: keras_tuner.HyperParameters
    rules: tuple[tuple[tuple[str, ...], Rule], ...] = ()
    parts: tuple[Part, ...] = ()


def plan(hypermodel: Hypermodel, held: Values | None = None) -> Plan:
    """Finds out what a supernet of a hypermodel shares and holds.

    A hyperparameter that no helper asks for is looked at by building the
    network with its other values. It is held where the layers stay the same,
    or change in their settings alone, such as a learning rate, a number of
    filters or a rate of dropout.

    Args:
        hypermodel: As for `Supernet`.
        held: As for `Supernet`.

    Returns:
        The plan.

    Raises:
        ValueError: If there is nothing to share, if `held` names what is
            shared or unknown, or if a hyperparameter that is not in `held`
            changes which layers there are.
    """
    given = dict(held or {})
    hp, structure, parts = _look(hypermodel, given)
    genes = tuple(hp.genes.values())
    others = {one.name: one for one in hp.space if one.name not in hp.genes}
    if not genes:
        raise ValueError(
            "`hypermodel` must have a choice to share in a supernet. Received: "
            f"one that asks for {sorted(others)} alone. Ask for the layers by "
            "`layer_choice`, `repeated` or `block` of keras_evonas.models."
        )
    for name in given:
        if name not in others:
            why = "is shared" if name in hp.genes else "is not asked for"
            raise ValueError(
                "`held` must name hyperparameters that are not shared. "
                f"Received: '{name}', which {why}. Those are {sorted(others)}."
            )
    for name, other in others.items():
        if name in given or hp.others_are_held:
            continue
        for value in _values_to_try(other):
            _, changed, _ = _look(hypermodel, {**given, name: value})
            if changed != structure:
                raise ValueError(
                    f"'{name}' changes which layers the network has, and a "
                    "supernet must hold all of them. Received: other layers "
                    f"with {name}={value!r} than with {other.default!r}. Ask "
                    "for the layers by `layer_choice`, `repeated` or `block` "
                    "of keras_evonas.models, or hold it: "
                    f"`held={{{name!r}: {other.default!r}}}`."
                )
    values = {
        name: given.get(name, hp.values.get(name, other.default))
        for name, other in others.items()
    }
    return Plan(
        genes=genes,
        held=values,
        space=hp,
        rules=tuple(hp.rules),
        parts=parts,
    )


def _look(
    hypermodel: Hypermodel, held: Mapping[str, Any]
) -> tuple[SharingHyperParameters, Any, tuple[Part, ...]]:
    """Builds a supernet without weights; returns what it asked for and is."""
    hp = SharingHyperParameters(lambda _, branches: _NoGate(branches), held)
    build = builder_of(hypermodel)

    def look() -> tuple[Any, tuple[Part, ...]]:
        network = build(hp)
        return _structure(graph_of(network, "hypermodel")), _parts(network)

    structure, parts = without_allocation(look)
    return hp, structure, parts


class _NoGate:
    """Stands in for a gate where nothing is called."""

    chosen = None

    def __init__(self, branches: tuple[int, ...]) -> None:
        self.branches = branches

    def __call__(self, branches: Iterable[Branch]) -> tf.Tensor:
        raise NotImplementedError

    def branch_of(self, index: int) -> int:
        return self.branches[index]


def _parts(network: keras.Model) -> tuple[Part, ...]:
    """Returns when the options of mixed layers are called, without repeats."""
    mixed = [x for x in layers_inside(network) if isinstance(x, MixedLayer)]
    found: dict[int, Part] = {}
    parts: dict[Part, None] = {}
    # An outer layer comes before those in its options.
    for layer in mixed:
        for branch, option in enumerate(layer.options):
            places = frozenset(
                place
                for place, one in enumerate(cast(_NoGate, layer.gate).branches)
                if one == branch
            )
            part = found.get(id(layer), frozenset()) | {(layer.choice, places)}
            parts[part] = None
            for inner in layers_inside(option):
                if isinstance(inner, MixedLayer):
                    found[id(inner)] = part
    return tuple(parts)


def _structure(graph: Structure) -> Structure:
    """Returns the kinds of layers of a network and how they are connected."""
    return [(_kind(node.layer), node.inputs) for node in graph.nodes]


def _kind(layer: keras.Operation) -> Structure:
    inner: Iterable[Any] = ()
    if isinstance(layer, MixedLayer):
        inner = layer.options
    elif isinstance(layer, keras.Model):
        inner = layer.layers
    return (type(layer).__name__, [_kind(one) for one in inner])


def _values_to_try(hp: Structure) -> list[Any]:
    """Returns values of a hyperparameter beside its default."""
    if isinstance(hp, hp_types.Int | hp_types.Float):
        values = [hp.min_value, hp.max_value]
    else:
        values = list(getattr(hp, "values", ()))[:_TRIED]
        if isinstance(hp, hp_types.Boolean):
            values = [False, True]
    return [value for value in values if value != hp.default]
