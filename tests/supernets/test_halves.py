"""Which examples train the weights of layers, and which those of options."""

import numpy as np
import pytest

from keras_evonas.supernets.halves import Halves
from keras_evonas.training import FitArguments

pytestmark = pytest.mark.keras
X = np.arange(50.0)[:, None]
Y = np.arange(50)


def rows(halves, seed=0):
    return halves.orders(np.random.default_rng(seed))


def test_each_half_trains_one_kind_of_weights():
    halves = Halves.of(FitArguments.of(X, Y, batch_size=10), seed=3)
    assert halves.steps == 2  # Of 25 examples, 20 in an epoch.
    found = [rows(halves, seed) for seed in range(20)]
    sides = [{int(v) for one in found for v in one[half]} for half in (0, 1)]
    assert sides[0] | sides[1] == set(range(50))
    assert not sides[0] & sides[1]
    for one in found:
        assert one.shape == (2, 20)
        assert all(len(set(row)) == 20 for row in one.tolist())
    # Halves of sorted labels have labels of all kinds.
    assert 15 < np.mean(list(sides[0])) < 35
    again = Halves.of(FitArguments.of(X, Y, batch_size=10), seed=3)
    assert (rows(again) == rows(halves)).all()


def test_validation_data_are_for_the_options():
    given = FitArguments.of(
        X, Y, batch_size=10, shuffle=False, validation_data=(X[:4], Y[:4])
    )
    halves = Halves.of(given, seed=0)
    # Four examples, again and again; a batch is no larger than they are many.
    assert halves.training.batch_size == 4
    order, held = rows(halves)
    assert order.tolist() == list(range(48))
    assert held.tolist() == [0, 1, 2, 3] * 12
    assert halves.held.gather([3])[1].numpy().tolist() == [3]
