"""Which hyperparameters a supernet shares, and which it holds."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.shared import Rule
from keras_evonas.project import wording
from keras_evonas.supernets.elastic import Elastic
from keras_evonas.supernets.elastic import find
from keras_evonas.supernets.looking import Look
from keras_evonas.supernets.looking import Part
from keras_evonas.supernets.looking import look
from keras_evonas.supernets.sameness import check_sameness
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.sharing import Values

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
        elastic: Which of the genes are elastic, and what of layers they cut.
        state_bytes: The bytes of all weights and of the optimizer's memory.
        settings: The loss, and the settings of the optimizer and of layers.
    """

    genes: tuple[SharedGene, ...]
    held: dict[str, Any]
    space: keras_tuner.HyperParameters
    rules: tuple[tuple[tuple[str, ...], Rule], ...] = ()
    parts: tuple[Part, ...] = ()
    elastic: Elastic = dataclasses.field(default_factory=Elastic)
    state_bytes: int = 0
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def lines(self) -> list[str]:
        """Says what is shared, what is held, and why."""
        held = ", ".join(f"{n}={value!r}" for n, value in self.held.items())
        first = f"Supernet of {wording.plural(len(self.genes), 'choice')}"
        return [
            f"{first}{held and f'; held: {held}'}.",
            *(
                f"'{gene.name}' is elastic: a {gene.kind} from "
                f"{gene.values[0]} to {gene.values[-1]}."
                for gene in self.elastic.genes
            ),
            *(
                f"'{name}' is held, as {why}. Ask for the layers by "
                "`layer_choice` of keras_evonas.models to search them."
                for name, why in self.elastic.refused.items()
            ),
        ]

    def check_memory(self, available: int) -> None:
        """Checks that there is room for all weights, and for the optimizer.

        Args:
            available: Integer, the bytes that are free.

        Raises:
            MemoryError: If there is not.
        """
        if self.state_bytes > available:
            raise MemoryError(
                "`hypermodel` must have a supernet that fits into the memory. "
                "Received: one whose weights and the optimizer's memory of "
                f"them take {self.state_bytes:,} bytes, where {available:,} "
                "are free. Give it fewer options, or smaller largest widths "
                "and depths; hold some hyperparameters with `held`; or take "
                "an optimizer that remembers less, such as SGD without "
                "momentum."
            )


def plan(
    hypermodel: Hypermodel,
    held: Values | None = None,
    *,
    elastic: bool = False,
) -> Plan:
    """Finds out what a supernet of a hypermodel shares and holds.

    A hyperparameter that no helper asks for is looked at by building the
    network with its other values. It is elastic where only widths of layers or
    sides of kernels change, and held where the layers stay the same, or change
    in other settings, such as a rate of dropout.

    Args:
        hypermodel: As for `Supernet`.
        held: As for `Supernet`.
        elastic: Boolean, whether widths and kernels may be elastic; if not,
            they are held. Defaults to `False`.

    Returns:
        The plan.

    Raises:
        ValueError: If there is nothing to share, if `held` names what is
            shared or unknown, or if a hyperparameter that is not in `held`
            changes which layers there are.
    """
    given = _checked_held(held)
    try:
        looked = default = look(hypermodel, given)
    except Exception:
        if given:  # A value that cannot be has perhaps done it.
            _check_held(given, look(hypermodel, {}))
        raise
    _check_held(given, looked)
    found = Elastic()
    if elastic:
        widths = looked.hp.widths
        candidates = [
            one
            for one in looked.hp.space
            if one.name not in looked.hp.genes
            and (widths is None or one.name.rpartition("/")[2] in widths)
        ]
        found, largest = find(hypermodel, candidates, given)
        looked = largest or looked
    hp = looked.hp
    # Those without an effect were at their largest value, too.
    values = {**default.hp.values, **given}
    genes = (*hp.genes.values(), *found.genes)
    names = {gene.name for gene in genes}
    others = {one.name: one for one in hp.space if one.name not in names}
    if not genes:
        reasons = [f" '{n}' is held: {x}." for n, x in found.refused.items()]
        raise ValueError(
            "`hypermodel` must have a choice to share in a supernet. Received: "
            f"one that asks for {sorted(others)} alone. Ask for the layers by "
            "`layer_choice`, `repeated` or `block` of keras_evonas.models."
            f"{''.join(reasons)}"
        )
    if not hp.others_are_held:
        asked = {n: one for n, one in others.items() if n not in given}
        base = {**given, **found.largest}
        _check_structure(hypermodel, asked, base, looked)
        held = {one.name: one.default for one in others.values()}
        shared = list(hp.genes.values())
        check_sameness(hypermodel, looked, shared, {**held, **base})
    return Plan(
        genes=genes,
        held={n: values.get(n, one.default) for n, one in others.items()},
        space=hp,
        rules=tuple(hp.rules),
        parts=looked.parts,
        elastic=found,
        state_bytes=looked.state_bytes,
        settings=looked.settings(),
    )


def _checked_held(held: object) -> dict[str, Any]:
    if held is None:
        return {}
    if not isinstance(held, Mapping):
        raise TypeError(
            "`held` must be a dictionary of values by the names of "
            f"hyperparameters. Received: held={held!r}."
        )
    return dict(held)


def _check_held(given: Mapping[str, Any], looked: Look) -> None:
    shared = looked.hp.genes
    others = {
        one.name: one for one in looked.hp.space if one.name not in shared
    }
    for name, value in given.items():
        if name not in others:
            why = "is shared" if name in shared else "is not asked for"
            raise ValueError(
                "`held` must name hyperparameters that are not shared. "
                f"Received: '{name}', which {why}. Those are {sorted(others)}."
            )
        if not _may_be(value, others[name]):
            raise ValueError(
                f"`held[{name!r}]` must be a value that the hyperparameter may "
                f"have. Received: {value!r}, of {others[name]!r}."
            )


def _may_be(value: object, hp: Structure) -> bool:
    """Returns whether a hyperparameter may have a value."""
    if isinstance(hp, hp_types.Fixed):
        return bool(value == hp.value)
    if isinstance(hp, hp_types.Choice | hp_types.Boolean):
        return value in list(hp.values)
    return (
        isinstance(value, int if isinstance(hp, hp_types.Int) else int | float)
        and not isinstance(value, bool)
        and hp.min_value <= value <= hp.max_value
    )


def _check_structure(
    hypermodel: Hypermodel,
    others: Mapping[str, Structure],
    base: Mapping[str, Any],
    looked: Look,
) -> None:
    """Checks that no other hyperparameter changes which layers there are."""
    for name, other in others.items():
        for value in _values_to_try(other):
            changed = look(hypermodel, {**base, name: value})
            if changed.structure != looked.structure:
                raise ValueError(
                    f"'{name}' changes which layers the network has, and a "
                    "supernet must hold all of them. Received: other layers "
                    f"with {name}={value!r} than with {other.default!r}. Ask "
                    "for the layers by `layer_choice`, `repeated` or `block` "
                    "of keras_evonas.models, or hold it: "
                    f"`held={{{name!r}: {other.default!r}}}`."
                )


def _values_to_try(hp: Structure) -> list[Any]:
    """Returns values of a hyperparameter beside its default."""
    if isinstance(hp, hp_types.Int | hp_types.Float):
        values = [hp.min_value, hp.max_value]
    else:
        values = list(getattr(hp, "values", ()))[:_TRIED]
        if isinstance(hp, hp_types.Boolean):
            values = [False, True]
    return [value for value in values if value != hp.default]
