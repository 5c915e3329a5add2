"""Trials of different lengths: what the oracle says, and tuners do."""

import pathlib
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas import MultiFidelityTuner
from keras_evonas.evolution import Strategy
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.hyperparameters import to_space
from keras_evonas.oracles import fidelity
from keras_evonas.project.reading import load
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from tests.searches import Search
from tests.searches import oracle_in
from tests.searches import space

pytestmark = pytest.mark.keras

RUNGS = successive_halving(random_search(), max_epochs=9, factor=3)
RESERVED = {"tuner/epochs", "tuner/initial_epoch", "tuner/trial_id"}


def _genes(trial: Any) -> dict[str, Any]:
    values = trial.hyperparameters.values
    return {name: values[name] for name in values if name not in RESERVED}


def test_a_trial_says_how_it_is_to_be_trained(tmp_path: pathlib.Path) -> None:
    oracle = Search(tmp_path / "search", strategy=RUNGS).finish().oracle
    lengths = []
    for trial_id, trial in oracle.trials.items():
        individual = oracle.individual(trial_id)
        told = {
            name.removeprefix("tuner/"): value
            for name, value in trial.hyperparameters.values.items()
            if name in RESERVED
        }
        expected = {"epochs": (1, 3, 9)[individual.rung]}
        expected["initial_epoch"] = (0, 1, 3)[individual.rung]
        if individual.rung:
            parent = oracle.start_order[individual.continues]
            expected["trial_id"] = parent
            assert individual.operator == "promoted"
            assert _genes(trial) == _genes(oracle.trials[parent])
        assert told == expected
        lengths.append(told["epochs"])
    assert len(lengths) == 40  # every run counts as a trial
    assert lengths.count(1) >= 20
    assert lengths.count(3) >= 6
    assert lengths.count(9) >= 2


@pytest.mark.parametrize(
    "strategy", [RUNGS, freeze_thaw(max_epochs=9)], ids=["halving", "thawed"]
)
def test_a_limit_on_epochs_counts_what_rungs_ask_for(
    tmp_path: pathlib.Path, strategy: Strategy
) -> None:
    terms = {"strategy": strategy, "max_trials": 200, "max_total_epochs": 40}
    search = Search(tmp_path / "search", **terms).finish()
    births = search.oracle.engine.history.ended
    lengths = [(1, 2, 6)[one.rung] for one in births]
    assert sum(lengths[:-1]) < 40 <= sum(lengths)
    for cut in range(1, len(births), 7):
        other = Search(tmp_path / f"cut{cut}", **terms)
        for _ in range(2 * cut):
            other.step()
        ended = other.cut().finish().oracle.engine.history.ended
        assert ended == births
    networks = load(tmp_path / "search").trials
    assert sum(one.epochs for one in networks) == sum(lengths)
    assert len(networks) == sum(one.rung == 0 for one in births)
    assert {one.epochs for one in networks} <= {1, 3, 9}


def test_epochs_that_a_failed_trial_did_not_report_are_not_counted(
    tmp_path: pathlib.Path,
) -> None:
    # They end after 30 trials or 12 epochs, whatever comes first.
    terms = {"strategy": RUNGS, "max_trials": 30, "max_total_epochs": 12}
    search = Search(tmp_path / "search", failing=True, **terms)
    births = search.finish().oracle.engine.history.ended
    completed = [one for one in births if one.losses is not None]
    assert len(completed) < len(births)
    lengths = [(1, 2, 6)[one.rung] for one in completed]
    assert sum(lengths[:-1]) < 12 <= sum(lengths)
    assert load(tmp_path / "search").epochs == sum(lengths)


def test_how_to_train_is_no_gene(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search", strategy=RUNGS).finish()
    oracle = search.oracle
    assert to_space(oracle.get_space()) == to_space(space())
    assert oracle.engine.space == to_space(space())
    for individual in oracle.engine.history.ended:
        assert oracle.engine.space.contains(individual.genome)
    new = [i for i in oracle.engine.history.ended if i.continues is None]
    assert oracle.engine.history.distinct == len(new) < 40
    # Nor is it when the best of one search begin another.
    best = oracle.get_best_trials(3)
    other = oracle_in(
        tmp_path / "other",
        initial_population=[trial.hyperparameters for trial in best],
    )
    for trial in best:
        values = other.create_trial("tuner").hyperparameters.values
        assert values == _genes(trial)
        other.ongoing_trials.clear()


def test_a_strategy_without_rungs_says_nothing(tmp_path: pathlib.Path) -> None:
    oracle = Search(tmp_path / "search", max_trials=3).finish().oracle
    for trial in oracle.trials.values():
        assert not RESERVED & set(trial.hyperparameters.values)


def test_heirs_go_on_from_the_weights_of_others() -> None:
    heirs = EvoOracle("val_loss", 3, inherit_weights=True)
    assert fidelity.goes_on_from_weights(heirs)
    assert not fidelity.goes_on_from_weights(EvoOracle("val_loss", 3))


def test_whether_weights_are_inherited_is_a_boolean() -> None:
    with pytest.raises(TypeError, match="inherit_weights='yes'"):
        EvoOracle("val_loss", 3, inherit_weights="yes")


def test_the_best_trials_stand_on_the_highest_rung(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", strategy=RUNGS, failing=True)
    oracle = search.oracle
    while search.step():
        best = oracle.get_best_trials(40)
        individuals = [oracle.individual(trial.trial_id) for trial in best]
        rungs = [individual.rung for individual in individuals]
        assert rungs == sorted(rungs, reverse=True)
        keys = [(-i.rung, i.losses) for i in individuals]
        assert keys == sorted(keys)
        # Each network once.
        networks = {repr(sorted(i.genome.items())) for i in individuals}
        assert len(networks) == len(individuals)
        completed = {i for i, status in search.runs if status == "COMPLETED"}
        continued = {
            oracle.start_order[oracle.individual(i).continues]
            for i in completed
            if oracle.individual(i).rung
        }
        assert {t.trial_id for t in best} == completed - continued
    assert rungs[0] == 2


def test_a_run_that_was_lost_is_told_the_same_again(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", strategy=RUNGS)
    while not search.running or not any(
        "tuner/trial_id" in trial.hyperparameters.values
        for trial in search.running.values()
    ):
        if search.running:
            search.end_one()
        search.ask()
    (running,) = search.running.values()
    # Killed before the host had written the trial.
    (search.folder / f"trial_{running.trial_id}" / "trial.json").unlink()
    again = search.cut()
    again.ask()
    (trial,) = again.running.values()
    assert trial.trial_id == running.trial_id
    assert trial.hyperparameters.values == running.hyperparameters.values


def test_patience_starts_again_on_a_higher_rung(tmp_path: pathlib.Path) -> None:
    """A first result on a rung is better than all on those below."""
    oracle = oracle_in(
        tmp_path / "search",
        strategy=successive_halving(random_search(), max_epochs=2, factor=2),
        patience=2,
    )
    for loss in (1.0, 2.0, 9.0):  # the last one is a promotion
        trial = oracle.create_trial("tuner")
        oracle.update_trial(trial.trial_id, {"score": loss})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.individual("2").rung == 1
    assert [t.trial_id for t in oracle.get_best_trials(9)] == ["02", "01"]
    assert oracle.create_trial("tuner").status == "RUNNING"


def test_a_tuner_that_trains_all_trials_alike_is_noticed(
    tmp_path: pathlib.Path,
) -> None:
    oracle = oracle_in(tmp_path / "search", strategy=RUNGS)
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, {"score": 1.0}, step=0)
    with pytest.warns(UserWarning, match="epoch 2 of a trial with 1"):
        oracle.update_trial(trial.trial_id, {"score": 1.0}, step=1)


# Training.


class Watched(MultiFidelityTuner):
    """Remembers weights, by trial and epoch, before and after each epoch."""

    def on_search_begin(self) -> None:
        super().on_search_begin()
        self.before: dict[str, dict[int, Any]] = {}
        self.after: dict[str, dict[int, Any]] = {}
        self.losses: dict[str, dict[int, float]] = {}

    def on_epoch_begin(
        self, trial: Any, model: Any, epoch: int, logs: Any = None
    ) -> None:
        super().on_epoch_begin(trial, model, epoch, logs)
        self.before.setdefault(trial.trial_id, {})[epoch] = _state(model)

    def on_epoch_end(
        self, trial: Any, model: Any, epoch: int, logs: Any = None
    ) -> None:
        super().on_epoch_end(trial, model, epoch, logs)
        self.after.setdefault(trial.trial_id, {})[epoch] = _state(model)
        losses = self.losses.setdefault(trial.trial_id, {})
        losses[epoch] = logs["val_loss"]


def _state(model: keras.Model) -> list[np.ndarray]:
    return [
        np.array(variable) for variable in model.weights + _optimizer(model)
    ]


def _optimizer(model: keras.Model) -> list[Any]:
    return list(model.optimizer.variables)


def _build(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    rate = hp.Float("rate", 1e-3, 0.02, sampling="log")
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    return model


def _build_late(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A model that has no weights before it sees data."""
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 99))])
    model.add(keras.layers.Dense(1))
    model.compile("adam", "mse")
    return model


def _data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    return {
        "x": x,
        "y": y,
        "validation_data": (x, y),
        "verbose": 0,
        "shuffle": False,
    }


def test_epochs_of_all_executions_are_counted_as_they_were_trained(
    tmp_path: pathlib.Path,
) -> None:
    strategy = successive_halving(random_search(), max_epochs=9, factor=3)
    oracle = EvoOracle(
        "val_loss", max_total_epochs=24, strategy=strategy, seed=0
    )
    tuner = Watched(
        oracle,
        _build,
        executions_per_trial=2,
        directory=tmp_path,
        project_name="search",
    )
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1)
    tuner.search(**_data(), callbacks=[stop])
    # The second execution of a trial has the epochs of the first one.
    trained = {name: 2 * len(epochs) for name, epochs in tuner.after.items()}
    events = SearchRecord(tmp_path / "search").read().events
    ends = [one for one in events if isinstance(one, End)]
    assert {one.trial_id: one.epochs for one in ends} == trained
    assert max(trained.values()) == 4  # They are stopped after two.
    assert 24 <= sum(trained.values()) < 24 + 4


class _OwnHistory(keras_tuner.HyperModel):
    """Its `fit` returns a history that Keras has not made."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return _build(hp)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        found = keras.callbacks.History()
        found.history = model.fit(*args, **kwargs).history
        return found


def test_a_history_of_ones_own_has_its_epochs(tmp_path: pathlib.Path) -> None:
    strategy = successive_halving(random_search(), max_epochs=2, factor=2)
    oracle = EvoOracle("val_loss", max_trials=3, strategy=strategy, seed=0)
    tuner = MultiFidelityTuner(
        oracle, _OwnHistory(), directory=tmp_path, project_name="search"
    )
    tuner.search(**_data())
    found = load(tmp_path / "search")
    assert [one.epochs for one in found.recorded] == [1, 1, 1]
    assert all(one.completed for one in found.recorded)


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        successive_halving(random_search(), max_epochs=4, factor=2),
        freeze_thaw(max_epochs=4, factor=2, initial_size=1),
    ],
    ids=["successive_halving", "freeze_thaw"],
)
@pytest.mark.parametrize("build", [_build, _build_late])
def test_a_promoted_trial_goes_on_from_its_weights(
    build: Any, strategy: Strategy, tmp_path: pathlib.Path
) -> None:
    oracle = EvoOracle("val_loss", max_trials=8, strategy=strategy, seed=0)
    tuner = Watched(oracle, build, directory=tmp_path, project_name="search")
    tuner.search(**_data())
    promoted = 0
    for trial_id, trial in oracle.trials.items():
        assert trial.status == "COMPLETED"
        values = trial.hyperparameters.values
        begin, end = values["tuner/initial_epoch"], values["tuner/epochs"]
        assert list(tuner.before[trial_id]) == list(range(begin, end))
        parent = values.get("tuner/trial_id")
        if parent is not None:
            losses = tuner.losses[parent]
            best = min(losses, key=losses.get)
            goal = tuner.after[parent][best]
            start = tuner.before[trial_id][begin]
            assert len(start) == len(goal)
            for mine, theirs in zip(start, goal, strict=True):
                np.testing.assert_array_equal(mine, theirs)
            promoted += 1
    assert promoted >= 3
    best, *_ = oracle.get_best_trials(1)
    assert best.hyperparameters.values["tuner/epochs"] == 4
    (model,) = tuner.get_best_models(1)
    loss = model.evaluate(*_data()["validation_data"], verbose=0)
    assert loss == pytest.approx(best.score, rel=1e-5)
