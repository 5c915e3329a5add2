"""Selections: their pressure against closed forms and naive references."""

import math

import numpy as np
import pytest

from keras_evonas.evolution import Individual
from keras_evonas.evolution import RandomSelection
from keras_evonas.evolution import RankRoulette
from keras_evonas.evolution import Tournament
from keras_evonas.evolution import Truncation
from keras_evonas.evolution import rng_at

DRAWS = 3000


def _population(*losses):
    return [
        Individual(birth=birth, genome={}, losses=(loss,))
        for birth, loss in enumerate(losses)
    ]


# Ranks 0 to 9 in a shuffled order of birth.
TEN = _population(7, 3, 9, 0, 5, 1, 8, 2, 6, 4)


def _best_of(size, rank, number=10):
    """Chance of a rank to win among `size` drawn without replacement.

    It wins if it is drawn, and the others all come from the ranks below it:
    C(number - 1 - rank, size - 1) of C(number, size) draws.
    """
    below = math.comb(number - 1 - rank, size - 1)
    return below / math.comb(number, size)


def _linear(pressure, rank, number=10):
    """Baker's chance of a rank; the best has `pressure` times the mean."""
    fall = (2 * pressure - 2) * rank / (number - 1)
    return (pressure - fall) / number


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("select", "chances"),
    [
        (RandomSelection(), [0.1] * 10),
        (Truncation(fraction=0.3), [1 / 3] * 3 + [0] * 7),
        (Truncation(fraction=0.05), [1] + [0] * 9),  # at least one
        (Tournament(size=1), [0.1] * 10),
        (Tournament(size=2), [_best_of(2, rank) for rank in range(10)]),
        (Tournament(size=4), [_best_of(4, rank) for rank in range(10)]),
        (Tournament(), [_best_of(4, rank) for rank in range(10)]),  # 2/5
        (Tournament(size=50), [1] + [0] * 9),  # all compete
        (RankRoulette(), [_linear(1.8, rank) for rank in range(10)]),
        (RankRoulette(pressure=2), [_linear(2, rank) for rank in range(10)]),
        (RankRoulette(pressure=1), [0.1] * 10),
    ],
    ids=repr,
)
def test_each_rank_has_its_chance(select, chances):
    assert sum(chances) == pytest.approx(1)
    chosen = select(TEN, DRAWS, rng_at(0))
    ranks = np.bincount([int(one.losses[0]) for one in chosen], minlength=10)
    for count, chance in zip(ranks, chances, strict=True):
        # A binomial count has the deviation sqrt(n p (1 - p)).
        bound = 5 * math.sqrt(DRAWS * chance * (1 - chance))
        assert abs(count - DRAWS * chance) <= bound


def test_a_tournament_agrees_with_a_naive_one():
    for seed in range(200):
        population = _population(*rng_at(seed).integers(5, size=12).tolist())
        ranked = sorted(population, key=lambda one: (one.losses, one.birth))
        rng = rng_at(seed, 1)
        drawn = rng.choice(12, size=3, replace=False)
        winner = ranked[0:0]
        for place in drawn:
            if not winner or place < ranked.index(winner[0]):
                winner = [ranked[place]]
        assert Tournament(size=3)(population, 1, rng_at(seed, 1)) == winner


@pytest.mark.parametrize(
    ("number", "size"),
    [(1, 1), (2, 2), (5, 2), (10, 4), (20, 8)],  # 2/5, at least 2
)
def test_a_tournament_is_two_fifths_by_default(number, size):
    population = _population(*range(number))
    default = Tournament()(population, 100, rng_at(0))
    assert default == Tournament(size=size)(population, 100, rng_at(0))


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [
        (0.29, 29),  # although 0.29 * 100 is 28.999999999999996
        (0.07, 7),  # although 0.07 * 100 is 7.000000000000001
        (1.0, 100),
        (0.001, 1),
    ],
)
def test_truncation_keeps_its_share(fraction, kept):
    population = _population(*range(100))
    chosen = Truncation(fraction=fraction)(population, DRAWS, rng_at(0))
    assert max(one.birth for one in chosen) == kept - 1


def test_of_equals_the_earlier_born_is_the_better():
    population = _population(1, 1, 1)
    assert Tournament(size=3)(population, 1, rng_at(0)) == population[:1]
    assert Truncation(fraction=0.1)(population, 1, rng_at(0)) == population[:1]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (Tournament, {"size": 0}, "`size` must be an integer of at least 1"),
        (Tournament, {"size": 2.0}, "`size` must be"),
        (Truncation, {"fraction": 0}, r"`fraction` must be .* in \(0"),
        (Truncation, {"fraction": 1.1}, "`fraction` must be"),
        (RankRoulette, {"pressure": 0.9}, "`pressure` must be"),
        (RankRoulette, {"pressure": float("nan")}, "`pressure` must be"),
        (RankRoulette, {"pressure": "2"}, "`pressure` must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
