"""The history of births and ends."""

import numpy as np
import pytest

from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import History
from keras_evonas.evolution import Individual
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.history import inserted

SPACE = SearchSpace([Gene("a", Grid((0, 1, 2, 3)))])


@pytest.fixture
def history():
    """Three births, of which the second has ended."""
    history = History()
    for birth in range(3):
        history.begin(Individual(birth=birth, genome={"a": birth}), SPACE)
    history.end(1, (0.5,), SPACE)
    return history


def _with_losses(*losses):
    return [
        Individual(birth=birth, genome={}, losses=one)
        for birth, one in enumerate(losses)
    ]


def test_it_counts_births_and_genomes(history):
    assert history.births == history.distinct == 3
    assert [one.birth for one in history.ended] == [1]
    assert sorted(history.pending) == [0, 2]


def test_it_finds_individuals_by_birth(history):
    assert history.individual(1).losses == (0.5,)
    assert history.individual(2) is history.pending[2]
    for birth in (-1, 3):
        with pytest.raises(KeyError, match=f"3 births.*birth={birth}"):
            history.individual(birth)


def test_births_are_recorded_once_and_in_order(history):
    for birth in (1, 2, 4):
        with pytest.raises(ValueError, match="must be the next birth"):
            history.begin(Individual(birth=birth, genome={"a": 3}), SPACE)
    assert history.births == history.distinct == 3


def test_a_promotion_is_the_same_genome_on_another_rung(history):
    key = SPACE.key({"a": 1})
    assert history.seen(key)
    assert not history.seen(key, rung=1)
    promoted = Individual(birth=3, genome={"a": 1}, parents=(1,), rung=1)
    history.begin(promoted, SPACE)
    assert promoted.continues == 1
    assert history.continued == {1}
    assert history.seen(key, rung=1)
    assert not history.seen(key, rung=2)
    assert (history.births, history.distinct) == (4, 3)
    assert history.individual(0).continues is None


@pytest.mark.parametrize("birth", [1, 3, -1])
def test_only_the_pending_can_end(history, birth):
    with pytest.raises(KeyError, match=r"\[0, 2\] are pending"):
        history.end(birth, (0.1,), SPACE)
    assert len(history.ended) == 1


def test_losses_become_a_tuple_of_floats(history):
    losses = history.end(0, np.array([1], dtype=np.float32), SPACE).losses
    assert losses == (1.0,)
    assert type(losses[0]) is float


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        (0.5, TypeError, r"pass `\(0.5,\)`"),
        (np.float64(0.5), TypeError, "must be a tuple"),
        ((), ValueError, "at least one"),
        ((0.5, 0.1), ValueError, "for 1 objectives so far"),
    ],
)
def test_losses_of_another_shape_are_refused(history, losses, error, message):
    with pytest.raises(error, match=message):
        history.end(0, losses, SPACE)
    assert 0 in history.pending  # It can still end.


def test_a_genome_that_changed_takes_its_old_place_in_the_record(history):
    large = SearchSpace([*SPACE.genes, Gene("b", Grid((6, 7)))])
    history.grow(large)
    assert history.seen(large.key({"a": 0, "b": 6}))
    grown = {"a": 0, "b": 7}
    ended = history.end(0, (0.2,), large, genome=grown)
    assert ended.genome == history.individual(0).genome == grown
    assert history.seen(large.key(grown))
    assert not history.seen(large.key({"a": 0, "b": 6}))
    assert history.distinct == 3


def test_the_history_copies_the_genome_it_is_given(history):
    changed = {"a": 3}
    history.end(0, (1.0,), SPACE, genome=changed)
    changed["a"] = 2
    assert history.individual(0).genome == {"a": 3}


def test_a_genome_stays_seen_while_another_birth_has_it(history):
    history.begin(Individual(birth=3, genome={"a": 0}), SPACE)
    history.end(3, None, SPACE, genome={"a": 3})
    assert history.seen(SPACE.key({"a": 0}))
    assert history.seen(SPACE.key({"a": 3}))


@pytest.mark.parametrize(
    ("losses", "viable"),
    [
        ((0.0,), True),
        ((0.0, -1.0), True),
        (None, False),
        ((float("nan"),), False),
        ((float("inf"),), False),
        ((-float("inf"),), False),
        ((0.0, float("nan")), False),
    ],
)
def test_only_finite_losses_make_a_parent(losses, viable):
    assert Individual(birth=0, genome={}, losses=losses).viable is viable


def test_best_first_by_hand():
    individuals = _with_losses(
        (2.0,), (1.0,), None, (float("nan"),), (1.0,), (-1.0,)
    )
    # -1 first; both 1s in the order of birth; then 2; failures are left out.
    assert [one.birth for one in best_first(individuals)] == [5, 1, 4, 0]
    pairs = _with_losses((1.0, 9.0), (0.0, 5.0), (1.0, 2.0))
    assert [one.birth for one in best_first(pairs)] == [1, 2, 0]
    for some in (individuals, pairs):
        assert best_first(some[::-1]) == best_first(some)
    assert best_first([]) == []


@pytest.mark.parametrize("objectives", [1, 2])
def test_one_by_one_is_as_all_at_once(objectives):
    rng = np.random.default_rng(objectives)
    ranked = []
    individuals = [
        Individual(
            birth=int(birth),
            genome={},
            losses=tuple(rng.integers(5, size=objectives).astype(float))
            if rng.random() < 0.9
            else None,
            violation=float(rng.integers(3)),
        )
        for birth in rng.permutation(60)
    ]
    for number, one in enumerate(individuals, start=1):
        ranked = inserted(ranked, one)
        assert ranked == best_first(individuals[:number])
