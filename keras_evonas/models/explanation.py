"""`explain_space`: the hyperparameters of a hypermodel, and wasted ones."""

import dataclasses
import decimal
import math
from collections.abc import Iterable
from typing import Any
from typing import TypeAlias

import keras_tuner
import numpy as np

from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.hyperparameters import to_space
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.isolation import without_allocation

# Keras-tuner explores without a bound, and for ever where a scope cannot be
# opened, such as one for a value that a choice does not have.
_EXPLORATIONS = 1000
# A float can count so many networks.
_MOST_COUNTED = 1e300

# A gene of `keras_evonas.evolution`, on which models do not depend.
_Gene: TypeAlias = Any
# The values of a network, and the names that it asked for.
_Drawn: TypeAlias = tuple[dict[str, Any], set[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unscoped:
    """A hyperparameter that is searched where the model does not ask for it.

    Attributes:
        name: Its name.
        parent: Name of the hyperparameter whose value decides whether it is
            asked for, or `None` if several decide.
        values: Values of `parent` with which it was asked for.
    """

    name: str
    parent: str | None
    values: tuple[Any, ...]

    def __str__(self) -> str:
        if self.parent is None:
            return f"'{self.name}' is not always asked for"
        values = ", ".join(map(repr, self.values))
        return f"'{self.name}' is asked for only if {self.parent} in ({values})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceExplanation:
    """The result of `explain_space`.

    Attributes:
        genes: A line for each hyperparameter, with its condition.
        size: Number of distinct networks, `inf` for continuous spaces.
        unscoped: Hyperparameters that lack a conditional scope.
        wasted: Share of the networks drawn at random in which a
            hyperparameter was searched that the model did not ask for.
        samples: Number of networks drawn.
    """

    genes: tuple[str, ...]
    size: float
    unscoped: tuple[Unscoped, ...]
    wasted: float
    samples: int

    def __str__(self) -> str:
        count: float | decimal.Decimal = self.size
        if _MOST_COUNTED < count < math.inf:
            count = decimal.Decimal(count)
        size = f"{count:.3g}" if count > 1e6 else f"{count:g}"
        many = "infinitely many" if count == math.inf else size
        genes = len(self.genes)
        lines = [
            f"{genes} hyperparameter{'s' * (genes != 1)}, {many} "
            f"network{'s' * (size != '1')}",
            *(f"  {gene}" for gene in self.genes),
        ]
        if self.unscoped:
            lines += [
                "Warning: these are searched where they change nothing, in "
                f"{self.wasted:.0%} of {self.samples} random networks:",
                *(f"  {one}" for one in self.unscoped),
                "Ask for them inside of `hp.conditional_scope`, or use "
                "`repeated`, `layer_choice` and `block` of "
                "keras_evonas.models.",
            ]
        return "\n".join(lines)


def explain_space(
    hypermodel: Hypermodel,
    *,
    samples: int = 50,
    seed: int = 0,
    verbose: bool = True,
) -> SpaceExplanation:
    """Explains the search space of a hypermodel, and finds flaws in it.

    Networks are drawn at random and built without allocating weights, to find
    the hyperparameters that they ask for. Where some are active but not asked
    for, as in a loop without scopes, equal networks count as different ones.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a model.
        samples: Integer, the number of networks to draw. Defaults to 50.
        seed: Integer, the seed of the draws. Defaults to 0.
        verbose: Boolean, whether to print the explanation. Defaults to
            `True`.

    Returns:
        The explanation, which `str` turns into text.

    Raises:
        ValueError: If the hypermodel returns `None`, or opens new conditional
            scopes without end.
    """
    hp = explored(hypermodel)
    rng = np.random.default_rng(seed)
    drawn: list[_Drawn] = []
    # From a small space the same network is drawn again and again.
    asked_of: dict[tuple[Any, ...], set[str]] = {}
    for _ in range(samples):
        genome = to_space(hp).sample(rng)
        key = tuple(genome.items())
        if key not in asked_of:
            hp = SharedHyperParameters(hp)
            hp.values = dict(genome)
            if not _build(hypermodel, hp):
                raise ValueError(
                    "`hypermodel` must return the model that it builds. "
                    "Received: None. End the function with `return model`."
                )
            asked_of[key] = set(hp.asked)
        drawn.append((genome, asked_of[key]))
    # By now `hp` has also what only some networks ask for.
    space = to_space(hp)
    seen = [(space.complete(genome), asked) for genome, asked in drawn]
    inactive = [set(genome) - asked for genome, asked in seen]
    unasked = set().union(*inactive)
    names = dict.fromkeys(gene.name for gene in space.genes)
    explanation = SpaceExplanation(
        genes=tuple(_described(gene) for gene in space.genes),
        size=space.size,
        unscoped=tuple(_unscoped(n, seen) for n in names if n in unasked),
        wasted=sum(map(bool, inactive)) / max(1, samples),
        samples=samples,
    )
    if verbose:
        print(explanation)
    return explanation


def explored(hypermodel: Hypermodel) -> keras_tuner.HyperParameters:
    """Returns all hyperparameters of a hypermodel, as a tuner finds them.

    Every conditional scope is opened once, without allocating anything.

    Raises:
        ValueError: If the model opens new scopes without end.
    """
    hp = SharedHyperParameters(keras_tuner.HyperParameters())
    opened: set[str] = set()
    for _ in range(_EXPLORATIONS):
        _build(hypermodel, hp)
        opened.update(map(_identity, hp.active_scopes))
        closed = [s for s in hp.inactive_scopes if _identity(s) not in opened]
        hp = SharedHyperParameters(hp)
        hp.inactive_scopes = closed
        if not closed:
            return hp
        # A scope that stays closed with these values is not tried again.
        opened.add(_identity(closed[0]))
        for condition in closed[0]:
            hp.values[condition.name] = condition.values[0]
        hp.ensure_active_values()
    raise ValueError(
        "`hypermodel` must have a bounded number of conditional scopes. "
        f"Received: one that still opens new ones after {_EXPLORATIONS} builds."
    )


def _build(hypermodel: Hypermodel, hp: keras_tuner.HyperParameters) -> bool:
    """Builds a network; returns whether it is one."""
    build = builder_of(hypermodel)
    return without_allocation(lambda: build(hp) is not None)


def _identity(scope: Iterable[Any]) -> str:
    return repr([(one.name, list(one.values)) for one in scope])


def _described(gene: _Gene) -> str:
    domain, conditions = gene.domain, gene.conditions
    values = getattr(domain, "values", None)
    if values is None:
        kind = "whole numbers" if domain.integer else "numbers"
        text = f"{kind} from {domain.low:g} to {domain.high:g}"
        text += "" if domain.scale == "linear" else f", {domain.scale} scale"
    elif len(values) > 12:
        text = f"{values[0]!r}, {values[1]!r} ... {values[-1]!r}"
    else:
        text = ", ".join(map(repr, values))
    when = " and ".join(
        f"{one.parent} in ({', '.join(map(repr, one.values))})"
        for one in conditions
    )
    return f"{gene.name}: {text}{when and f', if {when}'}"


def _unscoped(name: str, seen: list[_Drawn]) -> Unscoped:
    """Finds the hyperparameter that decides whether another is asked for."""
    active = [(g, name in asked) for g, asked in seen if name in g]
    parents = {parent for genome, _ in active for parent in genome}
    for parent in sorted(parents - {name}):
        used = {g[parent] for g, asked in active if asked and parent in g}
        idle = {g[parent] for g, asked in active if not asked and parent in g}
        if used and idle and len(idle) + len(used) <= 20 and not used & idle:
            values = sorted(used, key=lambda v: (str(type(v)), v))
            return Unscoped(name=name, parent=parent, values=tuple(values))
    return Unscoped(name=name, parent=None, values=())
