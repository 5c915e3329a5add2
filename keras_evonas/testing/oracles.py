"""The conformance suite of oracles, driven as keras-tuner drives them."""

import functools
import math
import pathlib
import random
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import TypeAlias

import keras_tuner
import pytest
from keras_tuner.engine import trial as trial_lib

from keras_evonas.testing.laws import global_generators_untouched

_TRIALS = 15
_WORKERS = 3
_COMPLETED, _FAILED, _STOPPED = "COMPLETED", "FAILED", "STOPPED"

# Takes arguments of `keras_tuner.Oracle`.
_MakeOracle: TypeAlias = Callable[..., keras_tuner.Oracle]
_Drive: TypeAlias = Callable[..., "Driver"]
_Values: TypeAlias = Mapping[str, object]


class Driver:
    """Drives an oracle as several tuners would, without training.

    Trials end in any order, and some fail or report NaN. All of this follows
    from the number of events, so that a resumed search continues with the same
    events. It resumes the search of the driver `before`, if there is one.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        folder: pathlib.Path,
        *,
        workers: int = _WORKERS,
        before: "Driver | None" = None,
    ) -> None:
        oracle.verbose = 0
        # Tuners call it, too: keras-tuner has no public way to set the folder.
        oracle._set_project_dir(str(folder), "project")  # noqa: SLF001
        self.oracle = oracle
        self.proposed: dict[str, _Values] = {}
        self.ended: dict[str, str] = {}
        self.scores: dict[str, float] = {}
        self.events = 0
        self.stopped = False
        self.running: dict[str, trial_lib.Trial] = {}  # By worker.
        self._workers = workers
        if before is not None:
            oracle.reload()
            self._take_over(before)

    def run(self, events: int | None = None) -> "Driver":
        """Continues up to a number of events, or to the end."""
        while events is None or self.events < events:
            free = self._free_workers()
            if free and not self.stopped:
                self._create(free[0])
            elif self.running:
                self._end()
            else:
                break
            self.events += 1
        return self

    def _free_workers(self) -> list[str]:
        names = [f"tuner{number}" for number in range(self._workers)]
        return [name for name in names if name not in self.running]

    def _create(self, worker: str) -> trial_lib.Trial:
        trial = self.oracle.create_trial(worker)
        if trial.status == _STOPPED:
            self.stopped = True
            return trial
        self.running[worker] = trial
        values = dict(trial.hyperparameters.values)
        first = self.proposed.setdefault(trial.trial_id, values)
        assert values == first, "a trial was tried again with other values"
        return trial

    def _end(self) -> None:
        fortune = random.Random(self.events)
        trial = self.running.pop(fortune.choice(sorted(self.running)))
        fate = fortune.random()
        if fate >= 0.15:
            score = math.nan if fate < 0.3 else fate
            self.scores[trial.trial_id] = score
            self.oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = _COMPLETED if fate >= 0.15 else _FAILED
        self.oracle.end_trial(trial)
        self.ended[trial.trial_id] = self.oracle.trials[trial.trial_id].status

    def _take_over(self, before: "Driver") -> None:
        """Starts the trials again that ran at the interruption."""
        self.proposed, self.ended = dict(before.proposed), dict(before.ended)
        self.scores = dict(before.scores)
        self.events, self.stopped = before.events, before.stopped
        interrupted = {
            trial.trial_id: worker for worker, trial in before.running.items()
        }
        again = [self._create(f"again{n}") for n in range(len(interrupted))]
        assert {trial.trial_id for trial in again} == set(interrupted)
        # Each has to end on the worker from before, or other events follow.
        self.oracle.ongoing_trials.clear()
        self.running = {interrupted[t.trial_id]: t for t in again}
        self.oracle.ongoing_trials.update(self.running)


# keras-tuner 1.4.8 takes the nanmin of metrics that are NaN throughout.
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
class OracleConformance:
    """Laws of an oracle, tested through keras-tuner's protocol."""

    @pytest.fixture
    def make_oracle(self) -> _MakeOracle:
        """A function that makes the oracle to test, to be overridden.

        It is called with the keyword arguments `objective`, `max_trials`,
        `hyperparameters`, `seed`, `max_retries_per_trial` and
        `max_consecutive_failed_trials` of `keras_tuner.Oracle`.
        """
        raise NotImplementedError(
            "Override the fixture `make_oracle` with one that returns a "
            "function that makes yours."
        )

    @pytest.fixture
    def drive(self, make_oracle: _MakeOracle, tmp_path: pathlib.Path) -> _Drive:
        """A function that starts a search, or resumes it in the same folder."""

        def begin(
            folder: object = "project",
            *,
            workers: int = _WORKERS,
            before: Driver | None = None,
            **changes: object,
        ) -> Driver:
            arguments = {
                "objective": keras_tuner.Objective("score", "min"),
                "max_trials": _TRIALS,
                "hyperparameters": _space(),
                "seed": 0,
                "max_retries_per_trial": 0,
                "max_consecutive_failed_trials": 1000,
            }
            oracle = make_oracle(**(arguments | changes))
            path = tmp_path / str(folder)
            return Driver(oracle, path, workers=workers, before=before)

        return begin

    @pytest.mark.parametrize("seed", [0, 7])
    def test_same_seed_same_search(self, drive: _Drive, seed: int) -> None:
        first, again, other = (
            drive(name, seed=s).run()
            for s, name in ((seed, "first"), (seed, "again"), (99, "other"))
        )
        assert first.proposed == again.proposed
        assert first.proposed != other.proposed

    def test_leaves_the_global_generators_alone(self, drive: _Drive) -> None:
        with global_generators_untouched():
            drive(before=drive().run(_TRIALS)).run()

    @pytest.mark.parametrize("workers", [1, _WORKERS])
    def test_a_cut_search_goes_on_as_if_uncut(
        self, drive: _Drive, workers: int
    ) -> None:
        uncut = drive("uncut", workers=workers).run()
        for events in range(2, uncut.events, 2 if workers == 1 else 5):
            cut = drive(events, workers=workers).run(events)
            resumed = drive(events, workers=workers, before=cut).run()
            assert resumed.proposed == uncut.proposed
            assert resumed.ended == uncut.ended

    def test_a_failed_trial_is_tried_again_after_a_cut(
        self, drive: _Drive
    ) -> None:
        drive = functools.partial(drive, workers=1, max_retries_per_trial=1)
        uncut = drive("uncut").run()
        for events in range(2, uncut.events, 4):
            cut = drive(events).run(events)
            resumed = drive(events, before=cut).run()
            assert resumed.proposed == uncut.proposed

    def test_proposes_as_many_as_asked_each_once(self, drive: _Drive) -> None:
        search = drive().run()
        assert search.stopped
        assert len(search.proposed) == _TRIALS
        assert len(_distinct(search.proposed.values())) == _TRIALS

    def test_proposes_networks_of_the_space(self, drive: _Drive) -> None:
        search = drive().run()
        for trial_id, values in search.proposed.items():
            depth = values["depth"]
            assert depth in (1, 2, 3)
            assert 1e-4 <= float(str(values["learning_rate"])) <= 1e-1
            layers = [name for name in values if name.startswith("layer_")]
            assert len(layers) == 2 * int(str(depth))
            for layer in range(int(str(depth))):
                assert values[f"layer_{layer}/units"] in (16, 32, 64, 128)
                assert values[f"layer_{layer}/dropout"] in (False, True)
            # What was trained is what is kept.
            kept = search.oracle.trials[trial_id].hyperparameters.values
            assert kept == values

    def test_failures_have_no_children(self, drive: _Drive) -> None:
        search = drive().run()
        ids = {int(trial_id): trial_id for trial_id in search.proposed}
        assert set(search.ended.values()) == {_COMPLETED, _FAILED}
        for trial_id in search.proposed:
            for parent in search.oracle.individual(trial_id).parents:
                assert search.ended[ids[parent]] == _COMPLETED

    def test_the_best_trials_are_completed_ones(self, drive: _Drive) -> None:
        search = drive().run()
        best = search.oracle.get_best_trials(_TRIALS)
        for count in (1, 2):
            ids = [t.trial_id for t in search.oracle.get_best_trials(count)]
            assert ids == [trial.trial_id for trial in best[:count]]
        for trial in best:
            assert trial.score == search.scores[trial.trial_id]
        individuals = [search.oracle.individual(t.trial_id) for t in best]
        places = [
            (-one.rung, trial.score)
            for one, trial in zip(individuals, best, strict=True)
        ]
        assert places == sorted(places)
        completed = {
            int(trial_id)
            for trial_id, status in search.ended.items()
            if status == _COMPLETED
        }
        # Each network counts once, with its longest training.
        births = {one.birth for one in individuals}
        assert births.isdisjoint(one.continues for one in individuals)
        assert births <= completed
        for birth in completed - births:
            assert any(
                search.oracle.individual(str(other)).continues == birth
                for other in completed
            )
        assert all(trial.status == _COMPLETED for trial in best)

    @pytest.mark.parametrize("workers", [1, _WORKERS])
    def test_an_exhausted_space_stops_the_search(
        self, drive: _Drive, workers: int
    ) -> None:
        small = _small_space()
        search = drive(
            workers=workers, max_trials=100, hyperparameters=small
        ).run()
        assert search.stopped
        new = [
            values
            for trial_id, values in search.proposed.items()
            if search.oracle.individual(trial_id).continues is None
        ]
        assert len(new) == 5
        assert len(_distinct(new)) == 5


def _space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    depth = hp.Int("depth", 1, 3, default=3)
    for layer in range(depth):
        with hp.conditional_scope("depth", list(range(layer + 1, 4))):
            hp.Choice(f"layer_{layer}/units", [16, 32, 64, 128])
            hp.Boolean(f"layer_{layer}/dropout")
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    return hp


def _small_space() -> keras_tuner.HyperParameters:
    """Returns a space of five networks, four of which have a layer."""
    hp = keras_tuner.HyperParameters()
    hp.Boolean("layer")
    with hp.conditional_scope("layer", [True]):
        hp.Choice("units", [16, 32])
        hp.Boolean("dropout")
    return hp


def _distinct(proposed: Iterable[_Values]) -> set[str]:
    return {repr(sorted(values.items())) for values in proposed}
