"""The tutorials' Dense networks of up to 65 536 units, searched in 4 GB.

A space of up to four such layers holds networks of thirteen billion
parameters. keras-tuner 1.4.8 builds them, and dies of the third.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]

_LIMIT_BYTES = 4e9
_TRIALS = 12

_SEARCH = """
import json
import pathlib
import sys

import keras
import keras_tuner
import numpy as np

from keras_evonas import EvoOracle, EvoTuner, HypermodelCosts, at_most


def build(hp):
    depth = hp.Int("layers", 1, 4)
    model = keras.Sequential([keras.Input((784,))])
    for layer in range(4):
        with hp.conditional_scope("layers", list(range(layer + 1, 5))):
            units = hp.Choice(
                f"units_{layer}", [2**power for power in range(5, 17)]
            )
        if layer < depth:
            model.add(keras.layers.Dense(units, "relu"))
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


folder, limit, trials = sys.argv[1:]
oversized = {f"units_{layer}": 65_536 for layer in range(4)}
oracle = EvoOracle(
    "val_accuracy",
    max_trials=int(trials),
    # All first proposals are oversized.
    initial_population=[{"layers": n, **oversized} for n in (4, 3, 2)],
    constraints=[at_most("training_bytes", float(limit))] if limit else [],
    # `EvoTuner` looks after the memory by itself.
    costs=HypermodelCosts(build) if limit else None,
    seed=0,
)
Tuner = keras_tuner.Tuner if limit else EvoTuner
tuner = Tuner(oracle, build, directory=folder, project_name="monster")
rng = np.random.default_rng(0)
x, y = rng.random((64, 784), np.float32), rng.integers(10, size=64)
tuner.search(x, y, epochs=1, validation_data=(x, y), verbose=0)
status = pathlib.Path("/proc/self/status").read_text()
peak = next(s for s in status.splitlines() if s.startswith("VmHWM"))
ended = [
    {
        "status": oracle.trials[trial_id].status,
        "bytes": oracle.trials[trial_id].metrics.get_last_value(
            "training_bytes"
        ),
    }
    for trial_id in oracle.end_order
]
result = {"peak": 1024 * int(peak.split()[1]), "trials": ended}
pathlib.Path(folder, "result.json").write_text(json.dumps(result))
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"),
    reason="the peak of a process's memory is read from Linux",
)
@pytest.mark.parametrize("limit", ["", "1e9"], ids=["guard", "constraint"])
def test_the_monster_is_searched_to_the_end_within_the_memory(tmp_path, limit):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not limit and memory > 26e9:
        pytest.skip("the guard allows more than 4 GB on this machine")
    subprocess.run(
        [sys.executable, "-c", _SEARCH, str(tmp_path), limit, str(_TRIALS)],
        check=True,
        cwd=pathlib.Path(__file__).parents[2],
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert len(result["trials"]) == _TRIALS
    assert {one["status"] for one in result["trials"]} == {"COMPLETED"}
    largest = max(one["bytes"] for one in result["trials"])
    assert largest <= float(limit or memory / 16)
    assert result["peak"] < _LIMIT_BYTES, result
