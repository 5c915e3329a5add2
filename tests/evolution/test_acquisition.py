import numpy as np
import pytest
from scipy import integrate

from keras_evonas.evolution.surrogate import log_expected_improvement

LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


def improvement(z):
    """Expectation of max(z - x, 0) for standard normal x, by quadrature."""
    value, _ = integrate.quad(
        lambda x: (z - x) * np.exp(-(x**2) / 2 - LOG_SQRT_2PI),
        -np.inf,
        z,
        epsabs=0,
    )
    return value


@pytest.mark.parametrize("z", [-8, -5, -2, -1.0001, -1, -0.9999, 0, 0.5, 3, 9])
def test_agrees_with_quadrature(z):
    found = log_expected_improvement(np.array([0.0]), np.array([1.0]), z)
    assert found[0] == pytest.approx(np.log(improvement(z)), abs=1e-6)


@pytest.mark.parametrize("z", [-50.0, -300.0, -9e3, -1e4, -1e6])
def test_far_tail_follows_its_asymptote(z):
    # phi(z) / z**2 * (1 - 3 / z**2 + ...), less the exponent, which would
    # hide all else: it is 5e11 at -1e6.
    expected = -LOG_SQRT_2PI - 2 * np.log(-z) + np.log1p(-3 / z**2)
    found = log_expected_improvement(np.array([0.0]), np.array([1.0]), z)
    # Doubles near 5e11 are 6e-5 apart.
    assert found[0] + z**2 / 2 == pytest.approx(expected, abs=1e-4)


def test_scales_with_the_deviation():
    # With loss and best stretched by 3 the improvement is, too.
    unit = log_expected_improvement(np.array([0.2]), np.array([1.0]), 0.5)
    wide = log_expected_improvement(np.array([0.6]), np.array([9.0]), 1.5)
    assert wide[0] == pytest.approx(unit[0] + np.log(3.0))


def test_rises_with_a_lower_mean_and_with_a_higher_variance():
    z = np.linspace(-40, 10, 2001)
    found = log_expected_improvement(-z, np.ones_like(z), 0.0)
    assert (np.diff(found) > 0).all()
    doubt = log_expected_improvement(
        np.full(50, 1.0), np.linspace(0.1, 3, 50), 0.0
    )
    assert (np.diff(doubt) > 0).all()
