"""Mutations beyond what every one of them must do."""

import pytest

from keras_evonas.evolution import Resample
from keras_evonas.evolution import ResampleOne
from keras_evonas.evolution import SelfAdaptive
from keras_evonas.evolution import Step


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (Resample, {"rate": 1.5}, "`rate` must be"),
        (Resample, {"rate": float("nan")}, "`rate` must be"),
        (Step, {"rate": -0.1}, "`rate` must be"),
        (Step, {"scale": 0.0}, "`scale` must be"),
        (Step, {"resample": 2}, "`resample` must be"),
        (SelfAdaptive, {"learning_rate": 0}, "`learning_rate` must be"),
        (SelfAdaptive, {"highest": 0}, "`highest` must be"),
        (SelfAdaptive, {"mutation": ResampleOne()}, "must have a `rate`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
