"""Conformance suites of operators, to derive from with an operator."""

import copy
import dataclasses
import itertools
import math

import pytest

from keras_evonas.evolution.crossover import Crossover
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.mutation import Mutation
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.replacement import Replacement
from keras_evonas.evolution.selection import Selection
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.testing.laws import check_is_value
from keras_evonas.testing.laws import global_generators_untouched
from keras_evonas.testing.laws import make_population
from keras_evonas.testing.spaces import example_spaces

_SPACES = example_spaces()
# Tests loop over these, since pytest takes longer for a thousand tests than the
# operators do.
_CASES = list(itertools.product(_SPACES.values(), range(6)))


class _OperatorConformance:
    """Laws of all operators."""

    @pytest.fixture
    def operator(self) -> object:
        """The operator to test, to be overridden."""
        raise NotImplementedError(
            "Override the fixture `operator` with one that returns yours."
        )

    def test_is_a_value(self, operator: object) -> None:
        check_is_value(operator)


class SelectionConformance(_OperatorConformance):
    """Laws of a selection; see `keras_evonas.evolution.selection`.

    Attributes:
        rank_based: Boolean, whether the choice depends on the ranks of the
            losses only and not on their scale. Defaults to `True`.
    """

    rank_based = True

    @pytest.mark.parametrize("size", [1, 2, 3, 20])
    def test_returns_members(self, operator: Selection, size: int) -> None:
        population = make_population(_SPACES["one gene"], size)
        before = copy.deepcopy(population)
        for count in range(30):
            chosen = operator(population, count, rng_at(count))
            assert len(chosen) == count
            assert all(any(one is p for p in population) for one in chosen)
        assert population == before

    def test_draws_from_its_generator_only(self, operator: Selection) -> None:
        population = make_population(_SPACES["one gene"], 10)
        with global_generators_untouched():
            first = operator(population, 50, rng_at(0))
        assert operator(population, 50, rng_at(0)) == first

    @pytest.mark.parametrize("violations", [False, True])
    def test_does_not_prefer_the_worse(
        self, operator: Selection, violations: bool
    ) -> None:
        space, draws, better = _SPACES["one gene"], 100, 0
        for seed in range(20):
            population = make_population(space, 10, seed, violations=violations)
            ranked = best_first(population)
            chosen = operator(population, draws, rng_at(seed))
            better += sum(one in ranked[:5] for one in chosen)
        draws *= 20
        # A fair coin's count has the standard deviation sqrt(draws) / 2.
        assert better >= draws / 2 - 5 * math.sqrt(draws) / 2

    def test_depends_on_ranks_only(self, operator: Selection) -> None:
        if not self.rank_based:
            pytest.skip("the suite says `rank_based = False`")
        population = make_population(_SPACES["one gene"], 10)
        stretched = [_stretched(one) for one in population]
        for seed in range(20):
            first = operator(population, 5, rng_at(seed))
            second = operator(stretched, 5, rng_at(seed))
            assert [p.birth for p in first] == [p.birth for p in second]


class CrossoverConformance(_OperatorConformance):
    """Laws of a crossover; see `keras_evonas.evolution.crossover`."""

    def test_values_come_from_the_parents(self, operator: Crossover) -> None:
        for space, seed in _CASES:
            first, second = make_population(space, 2, seed)
            first = dataclasses.replace(first, traits={"rate": 0.5})
            second = dataclasses.replace(second, traits={"rate": 0.25})
            before = copy.deepcopy((first, second))
            draft = operator(first, second, space, rng_at(seed))
            assert (first, second) == before
            for name, value in draft.genome.items():
                assert value in (
                    first.genome.get(name),
                    second.genome.get(name),
                )
            assert set(draft.parents) == {first.birth, second.birth}
            assert draft.rung == 0
            assert draft.traits == first.traits
            assert space.contains(space.express(draft.genome, rng_at(seed)))

    def test_equal_parents_have_an_equal_child(
        self, operator: Crossover
    ) -> None:
        for space, seed in _CASES:
            first, second = make_population(space, 2, seed)
            twin = dataclasses.replace(second, genome=dict(first.genome))
            draft = operator(first, twin, space, rng_at(seed))
            assert space.express(draft.genome, rng_at(seed)) == first.genome

    def test_draws_from_its_generator_only(self, operator: Crossover) -> None:
        for space, seed in _CASES:
            first, second = make_population(space, 2, seed)
            with global_generators_untouched():
                draft = operator(first, second, space, rng_at(seed))
            assert operator(first, second, space, rng_at(seed)) == draft


class MutationConformance(_OperatorConformance):
    """Laws of a mutation; see `keras_evonas.evolution.mutation`."""

    def test_changes_something_where_it_can(self, operator: Mutation) -> None:
        for space, seed in _CASES:
            draft = _draft(space, seed)
            before = copy.deepcopy(draft)
            changed = operator(draft, space, rng_at(seed, 1))
            child = space.express(changed.genome, rng_at(seed, 2))
            assert draft == before
            assert space.contains(child)
            is_free = bool(space.mutable(draft.genome))
            assert (child != draft.genome) == is_free

    def test_changes_to_legal_values_of_active_genes(
        self, operator: Mutation
    ) -> None:
        for space, seed in _CASES:
            draft = _draft(space, seed)
            changed = operator(draft, space, rng_at(seed, 1))
            owners = {gene.name: gene for gene in space.active(draft.genome)}
            for name, value in changed.genome.items():
                if value != draft.genome.get(name):
                    assert owners[name].domain.contains(value)

    def test_keeps_the_origin(self, operator: Mutation) -> None:
        for space, seed in _CASES:
            draft = _draft(space, seed)
            changed = operator(draft, space, rng_at(seed))
            assert changed.parents == draft.parents
            assert changed.operator.startswith(draft.operator)
            assert changed.rung == draft.rung
            assert changed.traits.get("of another") == 0.5
            assert all(map(math.isfinite, changed.traits.values()))

    def test_can_be_applied_again_and_again(self, operator: Mutation) -> None:
        for space in _SPACES.values():
            draft = _draft(space, 0)
            for attempt in range(50):
                rng = rng_at(0, attempt)
                changed = operator(draft, space, rng)
                genome = space.express(changed.genome, rng)
                draft = Draft(genome=genome, traits=changed.traits)
            assert space.contains(draft.genome)

    def test_draws_from_its_generator_only(self, operator: Mutation) -> None:
        for space, seed in _CASES:
            draft = _draft(space, seed)
            with global_generators_untouched():
                changed = operator(draft, space, rng_at(seed))
            assert operator(draft, space, rng_at(seed)) == changed


class ReplacementConformance(_OperatorConformance):
    """Laws of a replacement; see `keras_evonas.evolution.replacement`.

    Attributes:
        elitist: Boolean, whether the best individual always survives. Defaults
            to `True`.
        sizes: Tuple of the sizes of population to test with.
    """

    elitist = True
    sizes: tuple[int, ...] = (1, 2, 5, 12)

    @pytest.mark.parametrize("brood", [0, 1, 2, 5, 30])
    def test_survivors(self, operator: Replacement, brood: int) -> None:
        space = _SPACES["one gene"]
        for size, seed in itertools.product(self.sizes, range(5)):
            violations = bool(seed % 2)
            parents = make_population(space, size, seed, violations=violations)
            children = make_population(
                space, brood, seed, first_birth=size, violations=violations
            )
            before = copy.deepcopy((parents, children))
            with global_generators_untouched():
                survivors = operator(parents, children, size)
            assert (parents, children) == before
            assert operator(parents, children, size) == survivors
            births = [one.birth for one in survivors]
            assert len(births) == size
            assert births == sorted(set(births))  # As they ended, each once.
            members = [*parents, *children]
            assert all(any(one is s for one in members) for s in survivors)
            if self.elitist:
                assert best_first(survivors)[0] is best_first(members)[0]


def _stretched(one: Individual) -> Individual:
    assert one.losses is not None
    return dataclasses.replace(one, losses=(math.exp(one.losses[0]),))


def _draft(space: SearchSpace, seed: int) -> Draft:
    genome = space.sample(rng_at(seed))
    return Draft(
        genome=genome,
        parents=(3, 5),
        operator="clone",
        rung=1,
        traits={"of another": 0.5},
    )
