"""`EvoTuner` where TensorBoard is not installed."""

import sys

import pytest

from tests.tuners.own_methods import X
from tests.tuners.own_methods import Y
from tests.tuners.own_methods import tuner_in

pytestmark = pytest.mark.keras


def test_a_search_trains_where_tensorboard_is_absent(tmp_path, monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "tensorboard":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    tuner = tuner_in(tmp_path / "search", max_trials=1)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    trial = tuner.oracle.get_best_trials(1)[0]
    assert trial.status == "COMPLETED"
