"""The conformance suites notice operators and strategies that break laws."""

import dataclasses
from typing import ClassVar

import pytest

from keras_evonas import testing
from keras_evonas.evolution import BlockCrossover
from keras_evonas.evolution import Draft
from keras_evonas.evolution import Step
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.strategies import Evolution

pytestmark = pytest.mark.pure


@dataclasses.dataclass(frozen=True)
class _Hidden:
    shown: int = 0
    hidden: int = dataclasses.field(default=0, repr=False)


@dataclasses.dataclass(frozen=True)
class _TakesTheWorst:
    def __call__(self, population, count, rng):
        return [best_first(population)[-1]] * count


@dataclasses.dataclass(frozen=True)
class _SelectsByLossAlone:
    def __call__(self, population, count, rng):
        drawn = rng.integers(len(population), size=(count, 3))
        rivals = ([population[i] for i in row] for row in drawn)
        return [min(some, key=lambda one: one.losses) for some in rivals]


@dataclasses.dataclass(frozen=True)
class _ReplacesByLossAlone:
    def __call__(self, population, brood, size):
        members = [*population, *brood]
        kept = sorted(members, key=lambda one: (one.losses, one.birth))[:size]
        return tuple(one for one in members if any(one is k for k in kept))


@dataclasses.dataclass(frozen=True)
class _ForgetsTraits:
    def __call__(self, first, second, space, rng):
        draft = BlockCrossover()(first, second, space, rng)
        return dataclasses.replace(draft, traits={})


@dataclasses.dataclass(frozen=True)
class _Changes:
    """A mutation that changes more than the genome."""

    changed: str

    def __call__(self, draft, space, rng):
        others = {"traits": {}, "rung": 0, "parents": ()}
        others = {self.changed: others[self.changed]}
        return dataclasses.replace(Step()(draft, space, rng), **others)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _KnowsOneObjective(Evolution):
    def absorb(self, state, individual):
        if individual.feasible and len(individual.losses) > 1:
            raise ValueError("one objective")
        return super().absorb(state, individual)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Remembers(Evolution):
    """What it proposes depends on what other searches proposed."""

    seen: ClassVar[set[str]] = set()

    def propose(self, state, space, history, rng):
        draft = super().propose(state, space, history, rng)
        known = repr(draft.genome) in self.seen
        self.seen.add(repr(draft.genome))
        return Draft() if known else draft


@pytest.mark.parametrize(
    ("suite", "law", "piece", "arguments"),
    [
        ("Selection", "is_a_value", _Hidden(), {}),
        (
            "Selection",
            "does_not_prefer_the_worse",
            _TakesTheWorst(),
            {"violations": False},
        ),
        (
            "Selection",
            "does_not_prefer_the_worse",
            _SelectsByLossAlone(),
            {"violations": True},
        ),
        ("Replacement", "survivors", _ReplacesByLossAlone(), {"brood": 5}),
        ("Crossover", "values_come_from_the_parents", _ForgetsTraits(), {}),
        ("Mutation", "keeps_the_origin", _Changes("traits"), {}),
        ("Mutation", "keeps_the_origin", _Changes("rung"), {}),
        ("Mutation", "keeps_the_origin", _Changes("parents"), {}),
        (
            "Strategy",
            "goes_on_whether_anything_is_feasible_or_not",
            _KnowsOneObjective(population_size=8),
            {"objectives": 2, "feasible": True},
        ),
        (
            "Strategy",
            "same_seed_same_search",
            _Remembers(population_size=8),
            {},
        ),
    ],
)
def test_a_broken_law_is_noticed(suite, law, piece, arguments):
    conformance = getattr(testing, f"{suite}Conformance")()
    test = getattr(conformance, f"test_{law}")
    with pytest.raises((AssertionError, ValueError)):
        test(piece, **arguments)
