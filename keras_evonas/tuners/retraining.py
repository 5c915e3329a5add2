"""Networks trained anew, apart from the search, and judged on honest data."""

import dataclasses
import math
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.hyperparameters import to_space
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import PREFIX
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training import evaluate
from keras_evonas.training.checks import check_fit
from keras_evonas.tuners import honest as honest_lib
from keras_evonas.tuners import sizing
from keras_evonas.tuners.alone import why_alone
from keras_evonas.tuners.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a network.

    Args:
        network: String, which network it is, such as `"trial 07"`.
        name: String, unique; callbacks write into a folder of this name.
        values: Mapping, the network's genome.
        seed: Integer, the seed of the training.
        epochs: Integer, how many if nobody says so, or `None`.
    """

    network: str
    name: str
    values: Mapping[str, Any]
    seed: int
    epochs: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """What a run came to; JSON can hold its fields.

    Args:
        seed: Integer, the seed of the training.
        score: Float, the objective on the honest data, or `None`.
        metrics: Mapping, all that was measured on the honest data.
        seconds: Float, the share of the time that its cohort took.
        params: Integer, parameters of the network, if known.
        message: String, why there is no score.
    """

    seed: int
    score: float | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    params: int | None = None
    message: str | None = None


Trained = Callable[[Run, keras.Model, float], None]


class Retraining:
    """Trains networks of a tuner's space in cohorts, outside of its search.

    Args:
        tuner: The `EvoTuner`.
        x: Input data, as for `keras.Model.fit`.
        y: Target data.
        honest: Data of `keras.Model.evaluate`, which no training sees.
        fit: Mapping of other arguments of `fit`.

    Raises:
        ValueError: If the data are not honest, if no network could be trained
            with them, or if nobody says how long to train.
    """

    def __init__(
        self, tuner: Any, x: Any, y: Any, honest: Any, fit: Mapping[str, Any]
    ) -> None:
        honest_lib.check(honest, x, tuner._seen)
        self._tuner = tuner
        self._honest = honest
        self._given = (x,) if y is None else (x, y)
        self._fit = dict(fit)
        self._verbose = self._fit.pop("verbose", "auto")
        self.arguments = FitArguments.of(x=x, y=y, **self._fit)
        # What is wrong for all networks is said before any is trained.
        callback_lib.copied(self.arguments.callbacks)
        tuner._tell_shapes(x)
        if why_alone(tuner) is None:
            check_fit(self.arguments.with_changes(validation_data=honest))
        self._objective = tuner.oracle.objective

    @property
    def settings(self) -> str:
        """Digest of the data and all arguments: equal for equal trainings.

        Callbacks count by their class, and data that are no arrays by the
        shapes of their examples.
        """
        values = {
            field.name: getattr(self.arguments, field.name)
            for field in dataclasses.fields(self.arguments)
        }
        plain = {
            name: value
            for name, value in values.items()
            if isinstance(value, int | float | str | None)
        }
        kinds = [
            type(one).__qualname__
            for one in keras.tree.flatten(self.arguments.callbacks or [])
        ]
        weights = (self.arguments.sample_weight, self.arguments.class_weight)
        return honest_lib.digest(
            [repr((sorted(plain.items()), kinds))],
            [self._given, self._honest, *weights],
        )

    def progress(self, total: int, ended: int) -> Progress:
        """Makes what prints a line for each run.

        Args:
            total: Integer, how many runs there are.
            ended: Integer, how many of them were scored before.
        """
        verbose = self._tuner.verbose
        if verbose is None:
            verbose = 1 if self._verbose == "auto" else int(self._verbose)
        return Progress(
            f"honest {self._objective.name}",
            self._objective.direction,
            verbose=verbose,
            total=total,
            ended=ended,
        )

    def run(
        self,
        runs: Sequence[Run],
        *,
        on_score: Callable[[Run, Score], None],
        progress: Progress,
        on_trained: Trained | None = None,
    ) -> None:
        """Trains and judges.

        Args:
            runs: What to train.
            on_score: Called with what each run came to as soon as it has
                ended, and again when the seconds of its cohort are known.
            progress: Prints a line for each.
            on_trained: Called with each trained model and its score.
        """
        reason = why_alone(self._tuner)
        if reason is None:
            self._together(runs, on_score, progress, on_trained)
            return
        progress.say(f"Networks train one after another: {reason}.")
        for run in runs:
            progress.training(1)
            outcome = self._alone(run, on_score, on_trained)
            self._tell(run, outcome, on_score, progress)

    def _together(
        self,
        runs: Sequence[Run],
        on_score: Callable[[Run, Score], None],
        progress: Progress,
        on_trained: Trained | None,
    ) -> None:
        size = sizing.largest_cohort(self._tuner.cohort_size, None)
        task = self._task(runs, size, on_score, on_trained)
        rest = list(runs)
        while rest:
            cohort, rest = rest[:size], rest[size:]
            progress.training(len(cohort))
            candidates = [
                Execution(name=run.name, seed=run.seed, fit=self._changes(run))
                for run in cohort
            ]
            outcomes = evaluate(candidates, task, cohort_size=size)
            size = min([size, *(o.cohort_limit or size for o in outcomes)])
            for run, outcome in zip(cohort, outcomes, strict=True):
                self._tell(run, outcome, on_score, progress)

    def _task(
        self,
        all_runs: Sequence[Run],
        size: int,
        on_score: Callable[[Run, Score], None],
        on_trained: Trained | None,
    ) -> Task:
        tuner = self._tuner
        runs = {run.name: run for run in all_runs}
        plan = None
        if tuner.cohort_size == "auto":
            plan = sizing.MemoryPlan(
                tuner._checked_model,
                self.arguments,
                tuner.oracle.get_space(),
                size,
            )

        def training_bytes(candidate: Execution) -> int | None:
            hp = self.hyperparameters(runs[candidate.name].values)
            return plan.training_bytes(hp, dict(candidate.fit))

        return Task(
            build=lambda candidate: tuner._checked_model(
                self.hyperparameters(runs[candidate.name].values)
            ),
            data=Data(self.arguments),
            objective=objectives.lead_of(tuner.oracle.objective),
            after_training=lambda candidate, model: self._judge(
                runs[candidate.name], model, on_score, on_trained
            ),
            training_bytes=training_bytes if plan and plan.asks else None,
            memory=plan and plan.memory,
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
        )

    def _alone(
        self,
        run: Run,
        on_score: Callable[[Run, Score], None],
        on_trained: Trained | None,
    ) -> Outcome:
        tuner = self._tuner
        start = time.perf_counter()
        try:
            keras.utils.set_random_seed(run.seed)
            hp = self.hyperparameters(run.values)
            model = tuner._checked_model(hp)
            fit = {"verbose": 0, **self._fit, **self._changes(run)}
            if self.arguments.callbacks:
                own = callback_lib.copied(self.arguments.callbacks)
                fit["callbacks"] = callback_lib.placed(own, run.name)
            tuner.hypermodel.fit(hp, model, *self._given, **fit)
            results = self._judge(run, model, on_score, on_trained)
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            return Outcome(
                name=run.name,
                status="failed",
                message="".join(traceback.format_exception(error)),
                seconds=time.perf_counter() - start,
            )
        return Outcome(
            name=run.name,
            status="completed",
            params=model.count_params(),
            results=results,
            seconds=time.perf_counter() - start,
        )

    def _judge(
        self,
        run: Run,
        model: keras.Model,
        on_score: Callable[[Run, Score], None],
        on_trained: Trained | None,
    ) -> dict[str, float]:
        batch_size = (
            self.arguments.validation_batch_size or self.arguments.batch_size
        )
        results = honest_lib.measured(model, self._honest, batch_size)
        score = honest_lib.score_of(self._objective, results)
        if math.isfinite(score):
            if on_trained is not None:
                on_trained(run, model, score)
            # A kill before the others of the cohort have ended costs nothing.
            params = model.count_params()
            metrics = _finite_only(results)
            on_score(
                run,
                Score(
                    seed=run.seed, score=score, metrics=metrics, params=params
                ),
            )
        return results

    def examples(self, number: int) -> Any:
        """Returns inputs to predict from: the first of the honest data."""
        return honest_lib.examples(self._honest, number)

    def _tell(
        self,
        run: Run,
        outcome: Outcome,
        on_score: Callable[[Run, Score], None],
        progress: Progress,
    ) -> None:
        message, value = outcome.message, None
        if message is None:
            value = honest_lib.score_of(self._objective, outcome.results)
            if not math.isfinite(value):
                message = f"Its score on the honest data was {value}."
        score = Score(
            seed=run.seed,
            score=None if message else value,
            metrics=_finite_only(outcome.results),
            seconds=outcome.seconds,
            params=outcome.params,
            message=message,
        )
        on_score(run, score)
        progress.ended(
            score.score,
            label=f"{run.network}, seed {run.seed}: ",
            params=outcome.params,
            seconds=outcome.seconds,
            message=message,
        )

    def _changes(self, run: Run) -> dict[str, Any]:
        hp = self.hyperparameters(run.values)
        changes = self._tuner._fit_changes(hp)
        if "epochs" not in changes and "epochs" not in self._fit:
            if run.epochs is None:
                raise ValueError(
                    "`epochs` must say how long to train; `fit` would train "
                    "for one. Received: no `epochs`. Pass it as to `search`."
                )
            changes["epochs"] = run.epochs
        return changes

    def hyperparameters(
        self, values: Mapping[str, Any]
    ) -> keras_tuner.HyperParameters:
        """The hyperparameters of a genome."""
        hp = self._tuner.oracle.get_space()
        hp.values = dict(values)
        return hp


def genome_of(
    space: SearchSpace, hp: keras_tuner.HyperParameters
) -> dict[str, Any]:
    """The active hyperparameters, without what tells how to train."""
    return space.complete(hp.values)


def space_of(oracle: keras_tuner.Oracle) -> SearchSpace:
    """The search space of any oracle."""
    return to_space(oracle.get_space())


def epochs_of(hp: keras_tuner.HyperParameters) -> int | None:
    """The epochs that a trial of several fidelities was trained for."""
    return hp.values.get(f"{PREFIX}epochs")


def seeds_after_search(tuner: Any, number: int) -> list[int]:
    """The first seeds that no training of the search began with."""
    first = tuner._training_seed + tuner.executions_per_trial
    return list(range(first, first + number))


def _finite_only(results: Mapping[str, float]) -> dict[str, float]:
    return {n: v for n, v in results.items() if honest_lib.finite(v)}
