"""Pursuit: which of many trainings to go on with, and for how long at most.

A training that was begun may be ended at any rung. So the price of a new
network is not that of a whole training: most are left after an epoch. Weitzman
(1979) solved the problem of opening boxes at a price, and Gittins' index is its
answer for boxes that are opened step by step: each candidate has a fair price
of an epoch, at which its best plan of stopping neither wins nor loses, and the
candidate with the highest fair price is the one to go on with.
"""

import numpy as np

from keras_evonas.evolution.surrogate import log_expected_improvement

# Points of the grid of expected losses, in deviations around the present one,
# and points of the quadrature over what a rung will reveal.
_GRID = np.linspace(-5.0, 5.0, 41)
_STEP = _GRID[1] - _GRID[0]
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_MIDDLE = len(_GRID) // 2
# Farther from the best loss, in deviations, an improvement is not told from 0.
_FAR = 12.0
# Halvings of the interval of logarithms of fair prices, and its least width.
_HALVINGS = 12
_CLOSE = 1e-3


def fairest(
    means: np.ndarray, revealed: np.ndarray, costs: np.ndarray, best: float
) -> int:
    """Returns the candidate with the highest fair price of an epoch.

    Its expected improvement of `best` for each expected epoch, by the best plan
    of when to stop, is the largest of all.

    Args:
        means: `(n,)` array, the expected losses at the end of each training.
        revealed: `(n, k)` array, the standard deviation of the expected loss
            that each stage reveals; 0 for stages that are passed.
        costs: `(n, k)` array, the epochs of each stage; 0 for stages that are
            passed, and positive in the last one.
        best: Float, the loss to improve on.

    Returns:
        The index of the candidate, the first one in a tie.
    """
    spread = np.sqrt((revealed**2).sum(axis=1))
    ahead = np.clip((best - means) / spread, -_FAR, _FAR)
    shares = np.maximum(revealed / spread[:, None], 1e-6)
    gains = log_expected_improvement(-ahead, np.ones(len(ahead)), 0.0)
    gains += np.log(spread)
    # A plan that never stops is a lower bound, and one that needs to pay for
    # the next stage only an upper bound.
    following = costs[np.arange(len(costs)), (costs > 0).argmax(axis=1)]
    low, high = gains - np.log(costs.sum(axis=1)), gains - np.log(following)
    chosen, floor, ceiling = int(low.argmax()), low.max(), high.max()
    left = np.flatnonzero(high >= floor)
    for _ in range(_HALVINGS):
        if len(left) < 2 or ceiling - floor < _CLOSE:
            break
        price = (floor + ceiling) / 2
        prices = np.exp(price) / spread[left]
        values = _values(ahead[left], shares[left], costs[left], prices)
        if (values > 0).any():
            chosen, floor = int(left[values.argmax()]), price
            left = left[values > 0]
        else:
            ceiling = price
    return chosen


def _values(
    ahead: np.ndarray, shares: np.ndarray, costs: np.ndarray, prices: np.ndarray
) -> np.ndarray:
    """Returns what going on is worth at a price of an epoch, `(n,)` numbers.

    Backward induction over the stages: at each of them a training is worth
    what it is expected to be worth after it, less its price, or nothing if that
    is negative.

    Losses are in units of each candidate's deviation: the `(n,)` improvements
    on the best loss that are expected, `ahead`; the `(n, k)` deviations that
    stages reveal, `shares`; and the `(n,)` prices of an epoch.
    """
    expected = _GRID + ahead[:, None]
    last = np.broadcast_to(shares[:, -1:], expected.shape)
    worth = np.exp(
        log_expected_improvement(-expected.ravel(), last.ravel() ** 2, 0.0)
    ).reshape(expected.shape)
    worth -= (prices * costs[:, -1])[:, None]
    rows = np.arange(len(ahead))[:, None, None]
    for stage in range(shares.shape[1] - 2, -1, -1):
        kept = np.maximum(worth, 0.0)
        moved = _GRID[:, None] + shares[:, stage, None, None] * _POINTS
        places = np.clip((moved - _GRID[0]) / _STEP, 0, len(_GRID) - 1.001)
        below = places.astype(np.intp)
        above = places - below
        following = kept[rows, below] * (1 - above)
        following += kept[rows, below + 1] * above
        going_on = following @ _WEIGHTS - (prices * costs[:, stage])[:, None]
        # A stage that is passed leaves no choice.
        is_ahead = costs[:, stage, None] > 0
        worth = np.where(is_ahead, going_on, worth)
    return np.asarray(worth[:, _MIDDLE])
