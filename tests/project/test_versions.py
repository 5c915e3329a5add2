"""Project folders of earlier versions open, and their searches go on.

The folders were written by EvoOracle of that version, driven by hand; only
the names of machine and directory were replaced.
"""

import pathlib
import shutil

import keras_tuner
import pytest

from keras_evonas import EvoOracle
from keras_evonas import at_most
from keras_evonas import reports
from keras_evonas.commands.status import status_of
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import successive_halving
from tests.searches import oracle_in

pytestmark = pytest.mark.keras

DATA = pathlib.Path(__file__).parent / "data"
SCORE = keras_tuner.Objective("score", "min")


def _space():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["dense", "conv"])
    hp.Int("units", 8, 64, step=8)
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    with hp.conditional_scope("kind", ["conv"]):
        hp.Choice("kernel", [1, 3, 5])
    return hp


def _params(values):
    return float(values["units"] * (2 if values["kind"] == "conv" else 1))


# Arguments of the search, and what is known of its folder.
SEARCHES = {
    "version_0.1.0/halving": {
        "objective": SCORE,
        "max_trials": 16,
        "seed": 3,
        "strategy": successive_halving(
            genetic_algorithm(population_size=4), max_epochs=9
        ),
    },
    "version_0.1.0/several": {
        "objective": [SCORE, "params"],
        "max_trials": 14,
        "seed": 5,
        "costs": lambda hp: {"params": _params(hp.values)},
        "constraints": [at_most("latency_ms", 5)],
        "strategy": nsga2(population_size=4),
    },
}
BEST = {"version_0.1.0/halving": "10", "version_0.1.0/several": "06"}
FRONT = {"version_0.1.0/halving": ["10"], "version_0.1.0/several": ["06"]}


@pytest.fixture(params=SEARCHES)
def name(request):
    return request.param


@pytest.fixture
def folder(name, tmp_path):
    return pathlib.Path(shutil.copytree(DATA / name, tmp_path / "search"))


def _oracle(name, folder, **arguments) -> EvoOracle:
    settings = {"hyperparameters": _space(), **SEARCHES[name], **arguments}
    return oracle_in(folder, **settings)


def test_a_folder_is_read(name, folder):
    search = reports.load(folder)
    assert search.notes == ()
    assert len(search.failures) == len(search.unfinished) == 1
    assert search.best.trial_id == BEST[name]
    assert [trial.trial_id for trial in search.front] == FRONT[name]
    assert f"Best so far: trial {BEST[name]}, " in status_of(str(folder))
    assert search.space is not None


def test_the_search_goes_on(name, folder):
    before = reports.load(folder)
    oracle = _oracle(name, folder)
    oracle.reload()
    best = [trial.trial_id for trial in oracle.get_best_trials(99)]
    assert best == [trial.trial_id for trial in before.ranking]
    again, (cut,) = [], before.unfinished
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        again.append(trial.trial_id)
        metrics = {"score": 1.0, "latency_ms": 1.0}
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert again[0] == cut.trial_id
    after = reports.load(folder)
    assert len(after.recorded) == before.max_trials
    assert after.recorded[: cut.number] == before.recorded[: cut.number]
