"""Mutation: changes of a draft.

A mutation changes at least one gene whenever some active gene has another
value. It never changes inactive genes.
"""

import dataclasses
import itertools
import math
from typing import Protocol

from keras_evonas.evolution import labels
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.genes import resample
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.space import SearchSpace

_RATE_TRAIT = "mutation_rate"


class Mutation(Protocol):
    """Changes a draft."""

    def __call__(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Returns a changed draft; the argument stays as it is.

        Args:
            draft: The draft, with all active genes.
            space: The space of the draft.
            rng: The generator to draw from.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resample:
    """Draws genes anew from their domains.

    Args:
        rate: Float in `[0, 1]`, the chance of each active gene to change.
            Defaults to `None`: one over the number of active genes.

    Raises:
        ValueError: If `rate` is out of range.
    """

    rate: float | None = None
    label = labels.define("resample", "some genes drawn anew")

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def __call__(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Changes some genes; see `Mutation`."""
        changes = {
            gene.name: resample(gene.domain, draft.genome[gene.name], rng)
            for gene in _chosen(draft, space, self.rate, rng)
        }
        return _changed(draft, changes, self.label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResampleOne:
    """Draws exactly one gene anew (Real et al., 2019)."""

    label = labels.define("resample_one", "one gene drawn anew")

    def __call__(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Changes one gene; see `Mutation`."""
        genes = space.mutable(draft.genome)
        if not genes:
            return draft
        gene = genes[int(rng.integers(len(genes)))]
        value = resample(gene.domain, draft.genome[gene.name], rng)
        return _changed(draft, {gene.name: value}, self.label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """Moves ordered genes a step and draws the others anew.

    A step is normally distributed on the scale of the gene: a learning rate on
    a logarithmic scale is multiplied by a factor, and a number of units moves
    along the values that the space lists.

    Args:
        rate: Float in `[0, 1]`, the chance of each active gene to change.
            Defaults to `None`: one over the number of active genes.
        scale: Float in `(0, 1]`, the standard deviation of a step as a share
            of the domain. Defaults to 0.15.
        resample: Float in `[0, 1]`, the chance that an ordered gene is drawn
            anew instead, so that distant values stay in reach. Defaults to
            0.3.

    Raises:
        ValueError: If a number is out of range.
    """

    rate: float | None = None
    scale: float = 0.15
    resample: float = 0.3
    label = labels.define("step", "small changes")

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        check_range("scale", self.scale, 0.0, 1.0, low_open=True)
        check_range("resample", self.resample, 0.0, 1.0)

    def __call__(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Changes some genes; see `Mutation`."""
        changes: dict[str, Value] = {}
        for gene in _chosen(draft, space, self.rate, rng):
            value = draft.genome[gene.name]
            if gene.domain.ordered and rng.random() >= self.resample:
                changes[gene.name] = gene.domain.step(value, rng, self.scale)
            else:
                changes[gene.name] = resample(gene.domain, value, rng)
        return _changed(draft, changes, self.label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfAdaptive:
    """Mutates with a rate that each individual inherits and changes first.

    A rate that makes good children is inherited together with their genes
    (Bäck & Schütz, 1996). Deviation from the paper: the logarithm of the rate
    moves by a normal step, not its logit, which is the same for small rates;
    and the rate stays between one over the number of active genes and
    `highest`.

    Args:
        mutation: The mutation that gets the rate. Defaults to `Step()`.
        learning_rate: Float in `(0, 2]`, the standard deviation of the step of
            the logarithm. Defaults to 0.2.
        highest: Float in `(0, 1]`, the largest rate. Defaults to 0.5.

    Raises:
        ValueError: If a number is out of range, or `mutation` has no rate.
    """

    mutation: Resample | Step = dataclasses.field(default_factory=Step)
    learning_rate: float = 0.2
    highest: float = 0.5

    def __post_init__(self) -> None:
        if not hasattr(self.mutation, "rate"):
            raise ValueError(
                "`mutation` must have a `rate` that can be adapted. Received: "
                f"mutation={self.mutation}. Use Step() or Resample()."
            )
        check_range(
            "learning_rate", self.learning_rate, 0.0, 2.0, low_open=True
        )
        check_range("highest", self.highest, 0.0, 1.0, low_open=True)

    def __call__(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Changes the rate, then the genes; see `Mutation`."""
        lowest = 1 / max(1, len(space.mutable(draft.genome)))
        rate = draft.traits.get(_RATE_TRAIT, lowest)
        rate *= math.exp(rng.normal(0.0, self.learning_rate))
        rate = min(max(rate, lowest), max(self.highest, lowest))
        mutation = dataclasses.replace(self.mutation, rate=rate)
        changed = mutation(draft, space, rng)
        traits = {**changed.traits, _RATE_TRAIT: rate}
        return dataclasses.replace(changed, traits=traits)


def _check_rate(rate: float | None) -> None:
    if rate is not None:
        check_range("rate", rate, 0.0, 1.0)


def _chosen(
    draft: Draft, space: SearchSpace, rate: float | None, rng: Rng
) -> list[Gene]:
    """Draws the genes to change, at least one if any can change."""
    genes = space.mutable(draft.genome)
    if not genes:
        return []
    chance = 1 / len(genes) if rate is None else rate
    drawn = rng.random(len(genes)) < chance
    if not drawn.any():
        drawn[int(rng.integers(len(genes)))] = True
    return list(itertools.compress(genes, drawn))


def _changed(draft: Draft, changes: dict[str, Value], label: str) -> Draft:
    # A draft that was born before is mutated again: its label is noted once.
    return dataclasses.replace(
        draft,
        genome={**draft.genome, **changes},
        operator=draft.operator.removesuffix(f"+{label}") + f"+{label}",
    )
