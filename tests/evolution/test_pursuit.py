"""The fair price of an epoch, against closed forms and a slow reference."""

import numpy as np
import pytest

from keras_evonas.evolution.pursuit import fairest
from keras_evonas.evolution.surrogate import log_expected_improvement


def _fair_price(mean, revealed, costs, best):
    """Finds a fair price by bisection, with a fine grid and naive loops."""
    grid = np.linspace(-8, 8, 801) * np.sqrt((revealed**2).sum()) + mean
    points, weights = np.polynomial.hermite_e.hermegauss(21)
    weights = weights / weights.sum()

    def value(price):
        worth = np.maximum(best - grid, 0.0)
        for stage in reversed(range(len(costs))):
            moved = grid[:, None] + revealed[stage] * points
            following = np.interp(moved, grid, worth) @ weights
            worth = following - price * costs[stage]
            if stage:
                worth = np.maximum(worth, 0.0)
        return np.interp(mean, grid, worth)

    low, high = 1e-12, 1e3
    for _ in range(60):
        price = (low * high) ** 0.5
        low, high = (price, high) if value(price) > 0 else (low, price)
    return low


def _best_price(means, revealed, costs, best):
    return [
        _fair_price(mean, steps, epochs, best)
        for mean, steps, epochs in zip(means, revealed, costs, strict=True)
    ]


@pytest.mark.parametrize("seed", range(30))
def test_is_the_one_of_the_slow_reference(seed):
    rng = np.random.default_rng(seed)
    means = rng.normal(0.0, 1.0, 6)
    revealed = rng.uniform(0.05, 1.0, (6, 3))
    costs = np.array([1.0, 2.0, 6.0]) * np.ones((6, 1))
    passed = rng.integers(0, 3, 6)
    for row, count in enumerate(passed):
        revealed[row, :count] = costs[row, :count] = 0.0
    best = float(rng.normal(-0.5, 0.5))
    prices = _best_price(means, revealed, costs, best)
    chosen = fairest(means, revealed, costs, best)
    # A few per cent are within the coarse grid's error.
    assert prices[chosen] >= 0.95 * max(prices)


def test_one_stage_is_the_expected_improvement_for_its_epochs():
    means = np.array([0.0, 0.5, -0.2])
    deviations = np.array([[0.3], [1.5], [0.1]])
    costs = np.array([[3.0], [9.0], [1.0]])
    logs = log_expected_improvement(means, deviations[:, 0] ** 2, -0.3)
    expected = int((logs - np.log(costs[:, 0])).argmax())
    assert fairest(means, deviations, costs, -0.3) == expected


def test_a_training_that_tells_early_is_preferred():
    """Both end alike, but one shows after an epoch whether it is worth it."""
    means = np.zeros(2)
    revealed = np.array([[0.1, 1.0], [1.0, 0.1]])
    costs = np.array([[1.0, 26.0], [1.0, 26.0]])
    assert fairest(means, revealed, costs, -1.0) == 1


def test_a_training_that_is_nearly_done_is_preferred():
    means = np.zeros(2)
    revealed = np.array([[0.5, 0.5], [0.0, 0.5]])
    costs = np.array([[9.0, 18.0], [0.0, 18.0]])
    assert fairest(means, revealed, costs, 0.5) == 1


def test_hopeless_candidates_are_still_compared():
    means = np.array([40.0, 30.0, 50.0])
    revealed = np.full((3, 2), 0.1)
    costs = np.ones((3, 2))
    assert fairest(means, revealed, costs, 0.0) in (0, 1, 2)
    assert fairest(means[:1], revealed[:1], costs[:1], 0.0) == 0
