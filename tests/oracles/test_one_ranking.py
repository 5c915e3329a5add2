"""An oracle, its folder, the commands and the page name the same trials."""

import contextlib
import csv
import io
import math
import os
import pathlib
from typing import Any

import keras_tuner
import numpy as np
import pytest

from keras_evonas import at_most
from keras_evonas import reports
from keras_evonas.commands.export import export
from keras_evonas.commands.status import status_of
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from tests.pages import shown_on_page
from tests.searches import oracle_in

pytestmark = [
    pytest.mark.keras,
    # keras-tuner takes the best of values that were never a number.
    pytest.mark.filterwarnings("ignore:All-NaN axis:RuntimeWarning"),
]

_NAMES = ("score", "error", "size")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests cut no power.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class _History:
    """A random search: a seed draws what it is about and how trials end."""

    def __init__(self, folder: pathlib.Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.folder = folder
        names = _NAMES[: int(self.rng.integers(1, 4))]
        objectives = [
            keras_tuner.Objective(name, str(self.rng.choice(["min", "max"])))
            for name in names
        ]
        self.names = names
        self.arguments = {
            "objective": objectives if len(names) > 1 else objectives[0],
            "max_trials": 60,
            "strategy": self._strategy(len(names)),
            "constraints": (
                [at_most("memory", 2)] if self.rng.random() < 0.5 else None
            ),
            "max_retries_per_trial": int(self.rng.integers(0, 2)),
        }
        self.oracle = oracle_in(folder, **self.arguments)

    def _strategy(self, objectives: int) -> Any:
        if self.rng.random() < 0.5:
            return successive_halving(
                random_search(),
                max_epochs=9,
                factor=int(self.rng.choice([2, 3])),
            )
        if objectives > 1:
            return nsga2(population_size=4)
        return genetic_algorithm(population_size=4)

    def run(self) -> None:
        """Lets three tuners run trials, which end in any order."""
        running: dict[str, Any] = {}
        for _ in range(int(self.rng.integers(5, 40))):
            for tuner_id in ("a", "b", "c"):
                if tuner_id not in running:
                    trial = self.oracle.create_trial(tuner_id)
                    assert trial.status == "RUNNING"
                    running[tuner_id] = trial
            self._end(running.pop(str(self.rng.choice(sorted(running)))))

    def _end(self, trial: Any) -> None:
        values = trial.hyperparameters.values
        first = values.get("tuner/initial_epoch", 0)
        last = values.get("tuner/epochs", 2)
        for step in range(first, min(last, first + 2)):
            metrics = {name: self._value() for name in self.names}
            metrics["memory"] = float(self.rng.integers(0, 5))
            self.oracle.update_trial(trial.trial_id, metrics, step)
        trial.status = "COMPLETED"
        if self.rng.random() < 0.15:
            status = ["INVALID", "FAILED"][int(self.rng.integers(2))]
            trial.status, trial.message = status, "out of memory"
        self.oracle.end_trial(trial)

    def _value(self) -> float:
        """A value with many ties, sometimes none at all."""
        odd = [math.nan, math.inf]
        if self.rng.random() < 0.1:
            return odd[int(self.rng.integers(2))]
        return float(self.rng.integers(0, 4))


def _ids(trials: Any) -> list[str]:
    return [trial.trial_id for trial in trials]


def _exported_ranks(folder: pathlib.Path) -> list[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        export(str(folder), None)
    rows = list(csv.DictReader(io.StringIO(output.getvalue())))
    ranked = [row for row in rows if row["rank"]]
    ranked.sort(key=lambda row: int(row["rank"]))
    return [row["trial_id"] for row in ranked]


@pytest.mark.parametrize("seed", range(60))
def test_the_oracle_its_folder_the_commands_and_the_page_agree(
    seed: int, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("pandas")
    history = _History(tmp_path / "search", seed)
    history.run()
    oracle, folder = history.oracle, history.folder
    best = _ids(oracle.get_best_trials(1000))
    search = reports.load(folder)
    assert _ids(search.ranking) == best
    for count in range(len(best) + 1):
        assert _ids(oracle.get_best_trials(count)) == best[:count]
    assert _ids(search.front) == _ids(oracle.get_pareto_trials())
    assert _exported_ranks(folder) == best
    shown = shown_on_page(search)
    assert shown.rows == best[:10]
    assert shown.front == (_ids(search.front) if len(history.names) > 1 else [])
    if best:
        assert search.best.trial_id == best[0]
        assert shown.best == [best[0]] * 2
        assert f"Best so far: trial {best[0]}, " in status_of(str(folder))
        assert f"Best: trial {best[0]}, " in search.summary()
        scores = {t.trial_id: t.score for t in oracle.get_best_trials(1000)}
        assert {t.trial_id: t.score for t in search.ranking} == scores
    again = oracle_in(folder, **history.arguments)
    again.reload()
    if len(history.names) == 1:
        named = _ids(oracle.get_recommended_trials(1000))
        assert _ids(again.get_recommended_trials(1000)) == named
        assert _ids(oracle.get_recommended_trials()) == named[:1]
        assert _ids(filter(None, [search.recommended])) == named[:1]
        assert set(named) <= set(best)
    else:
        assert search.recommended is None
        with pytest.raises(ValueError, match="get_pareto_trials"):
            oracle.get_recommended_trials()
    assert _ids(again.get_best_trials(1000)) == best
    assert _ids(again.get_pareto_trials()) == _ids(search.front)


def test_nothing_is_best_before_a_trial_has_begun(
    tmp_path: pathlib.Path,
) -> None:
    oracle = oracle_in(tmp_path / "search")
    assert oracle.get_best_trials() == []
    assert oracle.get_recommended_trials() == []
    assert oracle.get_pareto_trials() == []


def test_histories_have_all_that_a_ranking_must_tell_apart(
    tmp_path: pathlib.Path,
) -> None:
    seen = set()
    for seed in range(60):
        history = _History(tmp_path / str(seed), seed)
        history.run()
        search = reports.load(history.folder)
        losses = [search.losses(trial) for trial in search.completed]
        seen |= {
            f"{len(search.objectives)} objectives",
            *("promoted" for t in search.completed if t.trainings),
            *("violates" for t in search.completed if not t.feasible),
            *("failed" for _ in search.failures),
            *("running" for _ in search.unfinished),
            *("tie" for one in losses if losses.count(one) > 1),
            *("by score" for _ in _other_winner(search)),
        }
    assert seen == {
        *(f"{count} objectives" for count in (1, 2, 3)),
        *("promoted", "violates", "failed", "running", "tie", "by score"),
    }


def _other_winner(search: reports.Search) -> list[reports.Trial]:
    """The best by losses alone, where it is another one."""
    best = min(search.completed, key=search.losses, default=search.best)
    return [] if best == search.best else [best]


def test_a_search_of_keras_tuner_is_ranked_by_score(
    tmp_path: pathlib.Path,
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 100)
    host = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("score", "max"),
        max_epochs=9,
        hyperparameters=hp,
        seed=1,
    )
    host.verbose = 0
    host._set_project_dir(tmp_path, "search")
    for index in range(14):
        trial = host.create_trial("tuner0")
        host.update_trial(trial.trial_id, {"score": float(index * 7 % 5)})
        trial.status = "COMPLETED"
        host.end_trial(trial)
    host.save()
    search = reports.load(tmp_path / "search")
    assert _ids(search.ranking) == _ids(host.get_best_trials(14))
