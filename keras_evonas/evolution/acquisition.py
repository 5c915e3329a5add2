"""What it is worth to try a network, by what a surrogate says of it."""

import numpy as np
from scipy import special

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


def log_expected_improvement(
    mean: np.ndarray, variance: np.ndarray, best: float
) -> np.ndarray:
    """Logarithm of how much a loss is expected to fall below `best`.

    Follows Ament et al. (2023), so that it tells candidates apart even where
    the improvement itself underflows.

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
    """`log(phi(z) + z Phi(z))` for standard normal density and distribution.

    Below -1 the sum cancels; there it is `phi(z) (1 - t)`, where
    `t = -z Phi(z) / phi(z)` is written with the scaled error function. Far
    below, `1 - t` itself is `1 / z**2` to first order.
    """
    near = np.maximum(z, -1.0)
    direct = np.log(
        np.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * special.ndtr(near)
    )
    far = np.minimum(z, -1.0)
    ratio = np.sqrt(np.pi / 2) * special.erfcx(-far / np.sqrt(2)) * -far
    rest = np.where(
        far > -1e4, np.log(np.maximum(1 - ratio, 1e-300)), -2 * np.log(-far)
    )
    tail = -0.5 * far**2 - _LOG_SQRT_2PI + rest
    return np.where(z > -1, direct, tail)
