"""What EvoOracle proposes, records and returns."""

import json
import math
import os
import pathlib
import random
import subprocess
import sys
import threading
from typing import Any

import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.project.lock import LOCK_NAME
from tests.searches import STRATEGIES
from tests.searches import Search
from tests.searches import loss_of
from tests.searches import oracle_in
from tests.searches import space

pytestmark = pytest.mark.keras

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests cut no power.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _end(oracle: EvoOracle, trial: Any, *scores: float, **fields: Any) -> None:
    for step, score in enumerate(scores):
        oracle.update_trial(trial.trial_id, {"score": score}, step=step)
    trial.status = fields.pop("status", "COMPLETED")
    for name, value in fields.items():
        setattr(trial, name, value)
    oracle.end_trial(trial)


# Directions and results.


@pytest.mark.parametrize("direction", ["min", "max"])
def test_any_direction(direction: str, tmp_path: pathlib.Path) -> None:
    sign = {"min": 1, "max": -1}[direction]
    oracle = oracle_in(
        tmp_path / "search",
        objective=keras_tuner.Objective("score", direction),
        strategy=genetic_algorithm(population_size=8),
    )
    losses = {}
    for _ in range(40):
        trial = oracle.create_trial("tuner0")
        loss = loss_of(trial.hyperparameters.values)
        losses[trial.trial_id] = loss
        _end(oracle, trial, sign * loss)
        assert trial.score == sign * loss
    best = oracle.get_best_trials(40)
    assert [sign * t.score for t in best] == sorted(losses.values())
    population = [one.losses for one in oracle.engine.state.population]
    assert sorted(population) == [(x,) for x in sorted(losses.values())[:8]]


def test_maximising_is_minimising_mirrored(tmp_path: pathlib.Path) -> None:
    proposals = []
    for direction, sign in (("min", 1), ("max", -1)):
        oracle = oracle_in(
            tmp_path / direction,
            objective=keras_tuner.Objective("score", direction),
        )
        values = []
        for _ in range(30):
            trial = oracle.create_trial("tuner0")
            values.append(dict(trial.hyperparameters.values))
            _end(oracle, trial, sign * loss_of(values[-1]))
        proposals.append(values)
    assert proposals[0] == proposals[1]


def test_string_objectives_have_the_hosts_direction(
    tmp_path: pathlib.Path,
) -> None:
    for name, direction in (("val_accuracy", "max"), ("val_loss", "min")):
        oracle = oracle_in(tmp_path / name, objective=name)
        assert oracle.objective.direction == direction
        assert oracle.objective == keras_tuner.Objective(name, direction)


def test_no_objective_minimises_what_is_returned(
    tmp_path: pathlib.Path,
) -> None:
    oracle = oracle_in(tmp_path / "search", objective=None)
    for score in (3.0, 1.0, 2.0):
        trial = oracle.create_trial("tuner0")
        oracle.update_trial(trial.trial_id, {"default_objective": score})
        _end(oracle, trial)
    assert [t.score for t in oracle.get_best_trials(3)] == [1.0, 2.0, 3.0]


def test_the_best_step_counts(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("tuner0")
    _end(oracle, trial, 5.0, 2.0, 3.0, math.nan)
    assert (trial.score, trial.best_step) == (2.0, 1)


def test_fact_10_best_trials_are_completed_ones(
    tmp_path: pathlib.Path,
) -> None:
    oracle = oracle_in(tmp_path / "search")
    assert oracle.get_best_trials(5) == []
    running = oracle.create_trial("other")
    _end(oracle, oracle.create_trial("tuner0"), status="FAILED")
    _end(oracle, oracle.create_trial("tuner0"), math.nan)
    completed = oracle.create_trial("tuner0")
    _end(oracle, completed, 1.0)
    assert running.status == "RUNNING"
    assert oracle.get_best_trials(5) == [completed]


def test_fact_12_every_active_value_is_proposed(
    tmp_path: pathlib.Path,
) -> None:
    # The host fills in a missing one with an unseeded sample.
    search = Search(tmp_path / "search", growing=True)
    while search.step():
        for trial in search.oracle.trials.values():
            hp = trial.hyperparameters
            active = {entry.name for entry in hp.space if hp.is_active(entry)}
            assert set(hp.values) == active


def test_fact_13_silent_values_make_no_difference(
    tmp_path: pathlib.Path,
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("units", 1, 13)
    # 13 networks of kind "a", 1 of kind "b".
    search = Search(tmp_path / "search", hyperparameters=hp).finish()
    assert len(search.proposed) == 14
    assert search.oracle.stop_reason == "space exhausted: 14 of 14"


def test_networks_from_before_the_space_grew_count_once(
    tmp_path: pathlib.Path,
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("depth", 1, 2)
    oracle = oracle_in(
        tmp_path / "search", hyperparameters=hp.copy(), max_trials=20
    )
    _end(oracle, oracle.create_trial("tuner0"), 1.0)
    hp.Choice("units", [16, 32])
    oracle.update_space(hp)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        _end(oracle, trial, 1.0)
    # The first had the default of units, and does not come again.
    assert len(oracle.end_order) == 4
    assert oracle.stop_reason == "space exhausted: 4 of 4"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_no_duplicates(name: str, tmp_path: pathlib.Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("a", 0, 4)
    hp.Choice("b", ["x", "y", "z"])
    search = Search(
        tmp_path / "search",
        hyperparameters=hp,
        strategy=STRATEGIES[name],
        tuners=3,
        failing=True,
    ).finish()
    # A network that is trained further is none that is new.
    new = [v for v in search.proposed.values() if "tuner/trial_id" not in v]
    assert len(new) == len({(v["a"], v["b"]) for v in new}) == 15
    values = {tuple(v.values()) for v in search.proposed.values()}
    assert len(search.proposed) == len(values)
    assert search.oracle.stop_reason == "space exhausted: 15 of 15"


def test_lineage(tmp_path: pathlib.Path) -> None:
    strategy = genetic_algorithm()
    search = Search(tmp_path / "search", strategy=strategy).finish()
    oracle = search.oracle
    best = oracle.get_best_trials()[0].trial_id
    line = oracle.lineage(best)
    assert line[-1] == oracle.individual(best)
    assert line[0].operator == "random"
    births = {one.birth for one in line}
    for one in line:
        assert set(one.parents) <= births
        assert all(parent < one.birth for parent in one.parents)
    with pytest.raises(KeyError):
        oracle.individual("99")


def test_the_search_is_there_once_it_began(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search")
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = oracle.engine


# Seeds.


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("seed", [0, 7])
def test_fact_2_same_seed_same_search(
    name: str, seed: int, tmp_path: pathlib.Path
) -> None:
    settings = {"strategy": STRATEGIES[name], "seed": seed, "max_trials": 25}
    one = Search(tmp_path / "one", **settings).finish()
    random.seed(5)  # what the program drew before makes no difference
    other = Search(tmp_path / "other", **settings).finish()
    assert one.oracle.seed == seed
    assert one.proposed == other.proposed


def test_other_seed_other_search(tmp_path: pathlib.Path) -> None:
    first = [
        Search(tmp_path / f"y{seed}", seed=seed, max_trials=3).finish().proposed
        for seed in (0, 1, None)
    ]
    assert first[0] != first[1] != first[2] != first[0]


_SCRIPT = """
import json, pathlib, sys
from tests.oracles.test_oracle import proposed_by_all
print(json.dumps(proposed_by_all(pathlib.Path(sys.argv[1]))))
"""


def proposed_by_all(folder: pathlib.Path) -> list[list[Any]]:
    options = {"growing": True, "tuners": 2, "max_trials": 16}
    return [
        list(
            Search(folder / name, strategy=strategy, **options)
            .finish()
            .proposed.items()
        )
        for name, strategy in sorted(STRATEGIES.items())
    ]


@pytest.mark.slow
def test_same_search_under_another_hash_seed(tmp_path: pathlib.Path) -> None:
    # This process has another one, which mostly is a random one.
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path / "theirs")],
        env={**os.environ, "PYTHONHASHSEED": other},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = proposed_by_all(tmp_path / "ours")
    assert theirs == json.loads(json.dumps(ours))
    assert [len(proposed) for proposed in ours] == [16] * len(STRATEGIES)


@pytest.mark.parametrize(
    "seed", [0, pytest.param(None, marks=pytest.mark.slow)]
)
def test_global_generators_are_untouched(
    seed: int | None, tmp_path: pathlib.Path
) -> None:
    before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    search = Search(
        tmp_path / "search",
        seed=seed,
        failing=True,
        growing=True,
        tuners=2,
        max_retries_per_trial=1,
    )
    while search.step():
        search = search.cut()
    search.oracle.reload()
    search.oracle.save()
    search.oracle.get_best_trials(3)
    assert random.getstate() == before[0]
    assert repr(np.random.get_state()) == before[1]  # noqa: NPY002


# The initial population.


def test_initial_population_comes_first(tmp_path: pathlib.Path) -> None:
    hp = space()
    hp.values.update(units=64, kind="dense")
    search = Search(
        tmp_path / "search",
        strategy=genetic_algorithm(),
        initial_population=[
            "default",
            {"units": np.int64(16), "rate": np.float64(0.05)},
            hp,
            {"kind": "conv", "pool": True},
            {},  # the default again, so left out
        ],
    ).finish()
    default = {"classes": 10, "kind": "dense", "rate": 0.01, "units": 8}
    first = list(search.proposed.values())[:4]
    assert first == [
        default,
        {**default, "units": 16, "rate": 0.05},
        {**default, "units": 64},
        {**default, "kind": "conv", "kernel": 1, "pool": True, "pool_size": 2},
    ]
    assert type(first[1]["units"]) is int
    operators = [
        search.oracle.individual(f"{i:02d}").operator for i in range(5)
    ]
    assert operators == ["initial"] * 4 + ["random"]


@pytest.mark.parametrize(
    ("member", "parts"),
    [
        ({"units": 9}, ["'units'", "(8, 16", "units=9"]),
        ({"kind": "rnn"}, ["'kind'", "'conv'", "'rnn'"]),
        ({"layers": 2}, ["layers"]),
    ],
)
def test_initial_population_outside_the_space_is_refused(
    member: dict[str, Any], parts: list[str], tmp_path: pathlib.Path
) -> None:
    oracle = oracle_in(tmp_path / "search", initial_population=[member])
    for _ in range(2):  # and again: no lock is left held
        with pytest.raises(ValueError, match="`initial_population`") as caught:
            oracle.create_trial("tuner0")
        assert all(part in str(caught.value) for part in parts)
    files = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert set(files) <= {LOCK_NAME}


@pytest.mark.parametrize("initial", ["default", {"units": 8}, space(), [8], 5])
def test_initial_population_of_another_type(initial: Any) -> None:
    with pytest.raises(TypeError, match="`initial_population`"):
        EvoOracle("val_loss", 10, initial_population=initial)


# Facts about the host.


@pytest.mark.parametrize("mistake", ["create", "update", "end", "score"])
def test_fact_3_no_lock_is_left_held(
    mistake: str, tmp_path: pathlib.Path
) -> None:
    class Broken(type(random_search())):
        def propose(self, *arguments: Any) -> Any:
            raise ArithmeticError("no idea")

    strategy = Broken() if mistake == "create" else random_search()
    oracle = oracle_in(
        tmp_path / "search",
        strategy=strategy,
        allow_new_entries=False,
        max_retries_per_trial=1,
    )
    if mistake == "create":
        with pytest.raises(ArithmeticError, match="no idea"):
            oracle.create_trial("tuner0")
    else:
        trial = oracle.create_trial("tuner0")
    if mistake == "update":
        with pytest.raises(ValueError, match="Objective value missing"):
            oracle.update_trial(trial.trial_id, {"loss": 1.0})
        with pytest.raises(ValueError, match="trial that is running"):
            oracle.update_trial("99", {"score": 1.0})
    if mistake == "end":
        trial.hyperparameters.Int("new", 1, 2)
        with pytest.raises(RuntimeError, match="allow_new_entries"):
            _end(oracle, trial, 1.0)
    if mistake == "score":  # completed, but nothing was reported
        _end(oracle, trial)
        assert trial.status == "INVALID"
        assert "never finite: []" in trial.message

    def ask() -> None:
        try:
            oracle.create_trial("elsewhere")
        except ArithmeticError:
            asked.append("an error")
        else:
            asked.append("a trial")

    asked: list[str] = []
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert asked == ["an error" if mistake == "create" else "a trial"]


def test_fact_3_a_trial_ends_once(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("tuner0")
    _end(oracle, trial, 1.0)
    with pytest.raises(ValueError, match="end it once"):
        oracle.end_trial(trial)
    with pytest.raises(ValueError, match="trial that is running"):
        oracle.update_trial(trial.trial_id, {"score": 0.0})
    assert oracle.get_best_trials()[0].score == 1.0


def test_fact_4_it_never_waits(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search")
    statuses = [oracle.create_trial(f"lane{i}").status for i in range(41)]
    assert statuses == ["RUNNING"] * 40 + ["STOPPED"]


def test_fact_4_it_waits_for_the_first_trial_to_show_the_space(
    tmp_path: pathlib.Path,
) -> None:
    empty = keras_tuner.HyperParameters()
    oracle = oracle_in(tmp_path / "search", hyperparameters=empty)
    first = oracle.create_trial("lane0")
    assert oracle.create_trial("lane1").status == "IDLE"
    first.hyperparameters.Int("units", 1, 5)
    _end(oracle, first, 1.0)
    second = oracle.create_trial("lane1")
    assert second.status == "RUNNING"
    assert second.hyperparameters.values["units"] != 1


def test_fact_5_the_last_trial_is_not_trained_again(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search")
    for _ in range(5):
        search.step()
        search.oracle.save()
    again = search.cut()
    again.oracle.reload()
    assert again.oracle.create_trial("tuner0").trial_id == "05"


def test_fact_5_a_worker_may_outlive_its_chief(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search")
    search.ask()
    (trial,) = search.running.values()
    oracle = search.cut().oracle
    oracle.reload()
    oracle.update_trial(trial.trial_id, {"score": 3.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.get_best_trials()[0].score == 3.0
    assert oracle.create_trial("tuner0").trial_id == "01"


def test_fact_8_a_running_trial_counts_once(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search", max_trials=5)
    search.ask()
    again = search.cut().finish()
    assert len(again.proposed) == 5
    assert [status for _, status in again.runs] == ["COMPLETED"] * 5


def test_fact_16_the_host_can_reload_the_folder(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", failing=True, growing=True).finish()
    host = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "min"), max_trials=50, seed=1
    )
    host._set_project_dir(tmp_path, "search")
    host.reload()
    ours = search.oracle.get_best_trials(10)
    for mine, theirs in zip(ours, host.get_best_trials(10), strict=True):
        assert mine.score == theirs.score
    assert host.start_order == search.oracle.start_order
    assert host.end_order == search.oracle.end_order
    assert host._retry_queue == []


def test_fact_16_the_state_is_written_ever_less_often(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path / "search", max_trials=200)
    written = []
    state = tmp_path / "search" / "oracle.json"
    while search.step():
        search.oracle.save()
        stamp = state.stat().st_mtime_ns
        written += [] if written[-1:] == [stamp] else [stamp]
    assert len(written) <= 25  # 16 + 16 + ..., then a quarter more each time


def test_fact_21_only_public_names_are_imported() -> None:
    for path in (_ROOT / "keras_evonas").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for private in (
            "keras_tuner.src",
            "keras.src",
            "keras_tuner.engine.objective",
        ):
            assert private not in text, path


def test_parallel_threads(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(
        tmp_path / "search", max_trials=60, tune_new_entries=True
    )

    def work(tuner_id: str) -> None:
        while (trial := oracle.create_trial(tuner_id)).status == "RUNNING":
            _end(oracle, trial, loss_of(trial.hyperparameters.values))

    threads = [
        threading.Thread(target=work, args=(f"tuner{i}",), daemon=True)
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(oracle.end_order) == [f"{i:02d}" for i in range(60)]
    again = oracle_in(tmp_path / "search", max_trials=60)
    again.reload()
    assert again.engine.state == oracle.engine.state


def test_regularized_evolution_ages(tmp_path: pathlib.Path) -> None:
    strategy = regularized_evolution(population_size=8)
    search = Search(tmp_path / "search", strategy=strategy).finish()
    ages = [one.birth for one in search.oracle.engine.state.population]
    assert ages == list(range(32, 40))


class Bounded(EvoOracle):
    """Changes a value that the strategy has proposed."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        proposal = super().populate_space(trial_id)
        if "values" in proposal:
            proposal["values"]["units"] = 8
        return proposal


class Foreign(EvoOracle):
    """Proposes values of its own."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": {"units": 8}}


def own_oracle(cls: type[EvoOracle], folder: pathlib.Path) -> EvoOracle:
    oracle = cls("val_loss", 3, hyperparameters=space(), seed=0)
    oracle.verbose = 0
    oracle._set_project_dir(folder, "p")
    return oracle


def test_a_strategy_learns_from_the_values_of_a_subclass(
    tmp_path: pathlib.Path,
) -> None:
    oracle = own_oracle(Bounded, tmp_path)
    trial = oracle.create_trial("tuner0")
    assert trial.hyperparameters.values["units"] == 8
    oracle.update_trial(trial.trial_id, {"val_loss": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    (individual,) = oracle.engine.state.population
    assert individual.genome["units"] == 8


def test_values_that_no_strategy_has_proposed_are_refused(
    tmp_path: pathlib.Path,
) -> None:
    oracle = own_oracle(Foreign, tmp_path)
    with pytest.raises(TypeError, match="Write a `strategy`, or derive from"):
        oracle.create_trial("tuner0")
