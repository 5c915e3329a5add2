"""Replacements, by hand and against naive references."""

import pytest

from keras_evonas.evolution import Generational
from keras_evonas.evolution import Individual
from keras_evonas.evolution import OldestDies
from keras_evonas.evolution import WorstDies
from keras_evonas.evolution import rng_at


def _born(losses, first=0):
    return [
        Individual(birth=first + place, genome={}, losses=(loss,))
        for place, loss in enumerate(losses)
    ]


@pytest.mark.parametrize(
    ("replace", "parents", "children", "survivors"),
    [
        (WorstDies(), [3, 1, 2], [0], [1, 2, 3]),  # 3 is the worst
        (WorstDies(), [3, 1, 2], [4], [0, 1, 2]),  # the child is
        (WorstDies(), [2, 1, 2], [2], [0, 1, 2]),  # in a tie the later born
        (WorstDies(), [3, 1, 2], [0, 0, 5], [1, 3, 4]),
        (OldestDies(), [3, 1, 2], [9], [1, 2, 3]),
        (OldestDies(), [0, 1, 2], [9, 9, 9, 9], [4, 5, 6]),
        # The elite 1; of the children the better two.
        (Generational(), [3, 1, 2], [7, 9, 8], [1, 3, 5]),
        (Generational(elites=0), [3, 1, 2], [7, 9, 8], [3, 4, 5]),
        # Two elites, one child, although both children are worse than 3.
        (Generational(elites=2), [3, 1, 2], [9, 8], [1, 2, 4]),
        # Too few children: the best of the other parents stay, too.
        (Generational(), [3, 1, 2], [9], [1, 2, 3]),
        (Generational(), [3, 1, 2], [], [0, 1, 2]),
        # More children than room.
        (Generational(), [3, 1, 2], [5, 4, 6, 7], [1, 3, 4]),
    ],
)
def test_survivors_by_hand(replace, parents, children, survivors):
    population = _born(parents)
    offspring = _born(children, first=len(parents))
    after = replace(population, offspring, len(parents))
    assert [one.birth for one in after] == survivors


def test_the_worst_are_removed_as_one_by_one():
    for seed in range(200):
        rng = rng_at(seed)
        parents = _born(rng.integers(9, size=8).tolist())
        children = _born(rng.integers(9, size=5).tolist(), first=8)
        left = [*parents, *children]
        while len(left) > 8:
            left.remove(max(left, key=lambda one: (one.losses, one.birth)))
        assert WorstDies()(parents, children, 8) == tuple(left)


@pytest.mark.parametrize("elites", [-1, 0.5, True, "1", None])
def test_elites_that_make_no_sense_are_refused(elites):
    with pytest.raises(ValueError, match="`elites` must be an integer of at"):
        Generational(elites=elites)
