"""Acquisition: the expected gain of a trial, as a surrogate predicts it."""

import numpy as np
from scipy import special

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


def log_expected_improvement(
    mean: np.ndarray, variance: np.ndarray, best: float
) -> np.ndarray:
    """Returns the logarithm of the expected improvement.

    The improvement of a loss is how far it falls below `best`, 0 if it does
    not. The logarithm is computed directly (Ament et al., 2023), so that
    candidates can be compared even where the improvement itself underflows.

    Args:
        mean: `(n,)` array, predicted losses.
        variance: `(n,)` array, their variances, positive.
        best: Float, the loss to improve on.

    Returns:
        `(n,)` array.
    """
    deviation = np.sqrt(variance)
    return np.log(deviation) + _log_h((best - mean) / deviation)


def _log_h(z: np.ndarray) -> np.ndarray:
    """Returns `log(phi(z) + z Phi(z))` of the standard normal distribution.

    Follows Ament et al. (2023), equation 9. Below -1 the sum cancels; there it
    is `phi(z) (1 - t)` with `t = -z Phi(z) / phi(z)`.
    """
    # `np.where` computes both branches for all, so each gets arguments that it
    # can cope with.
    near = np.maximum(z, -1.0)
    direct = np.log(
        np.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * special.ndtr(near)
    )
    far = np.minimum(z, -1.0)
    # `t`, without the quotient of two numbers that underflow: `erfcx(x)` is
    # `exp(x**2) erfc(x)`, and `Phi(z)` is `erfc(-z / sqrt(2)) / 2`.
    ratio = np.sqrt(np.pi / 2) * special.erfcx(-far / np.sqrt(2)) * -far
    # The difference `1 - t` falls like `1 / z**2`, its first term for large
    # `-z`. At -1e4 it is 1e-8 and has half of its digits left. The paper, which
    # computes it from `log(t)`, switches at `-1 / sqrt(eps)`.
    rest = np.where(
        far > -1e4, np.log(np.maximum(1 - ratio, 1e-300)), -2 * np.log(-far)
    )
    tail = -0.5 * far**2 - _LOG_SQRT_2PI + rest
    return np.where(z > -1, direct, tail)
