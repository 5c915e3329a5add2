"""Networks trained anew, apart from the search, and judged on honest data."""

import contextlib
import dataclasses
import hashlib
import logging
import math
import time
import traceback
import weakref
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import PREFIX
from keras_evonas.oracles.hyperparameters import to_space
from keras_evonas.training import Candidate
from keras_evonas.training import Data
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training import evaluate
from keras_evonas.tuners import sizing
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
        ValueError: If the data are not honest, or nobody says how long to
            train.
    """

    def __init__(
        self, tuner: Any, x: Any, y: Any, honest: Any, fit: Mapping[str, Any]
    ) -> None:
        check_honest(tuner, x, honest)
        self._tuner = tuner
        self._honest = honest
        self._given = (x,) if y is None else (x, y)
        self._fit = dict(fit)
        self._verbose = self._fit.pop("verbose", "auto")
        self.arguments = FitArguments.of(x=x, y=y, **self._fit)
        callback_lib.copied(self.arguments.callbacks)  # Raises early.
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
        digest = hashlib.blake2b(digest_size=12)
        digest.update(repr((sorted(plain.items()), kinds)).encode())
        weights = (self.arguments.sample_weight, self.arguments.class_weight)
        for leaf in keras.tree.flatten([self._given, self._honest, *weights]):
            _add(digest, leaf)
        return digest.hexdigest()

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
            on_score: Called with what each run came to, a cohort after the
                other.
            progress: Prints a line for each.
            on_trained: Called with each trained model and its score.
        """
        reason = self._tuner._why_one_after_another()
        if reason is None:
            self._together(runs, on_score, progress, on_trained)
            return
        progress.say(f"Networks train one after another: {reason}.")
        for run in runs:
            progress.training(1)
            outcome = self._alone(run, on_trained)
            self._tell(run, outcome, on_score, progress)

    def _together(
        self,
        runs: Sequence[Run],
        on_score: Callable[[Run, Score], None],
        progress: Progress,
        on_trained: Trained | None,
    ) -> None:
        size = sizing.largest_cohort(self._tuner.cohort_size, None)
        task = self._task({run.name: run for run in runs}, size, on_trained)
        rest = list(runs)
        while rest:
            cohort, rest = rest[:size], rest[size:]
            progress.training(len(cohort))
            candidates = [
                Candidate(name=run.name, seed=run.seed, fit=self._changes(run))
                for run in cohort
            ]
            outcomes = evaluate(candidates, task, cohort_size=size)
            size = min([size, *(o.cohort_limit or size for o in outcomes)])
            for run, outcome in zip(cohort, outcomes, strict=True):
                self._tell(run, outcome, on_score, progress)

    def _task(
        self, runs: Mapping[str, Run], size: int, on_trained: Trained | None
    ) -> Task:
        tuner = self._tuner
        plan = None
        if tuner.cohort_size == "auto":
            plan = sizing.MemoryPlan(
                tuner._checked_model,
                self.arguments,
                tuner.oracle.get_space(),
                size,
            )

        def training_bytes(candidate: Candidate) -> int | None:
            hp = self.hyperparameters(runs[candidate.name].values)
            return plan.training_bytes(hp, dict(candidate.fit))

        return Task(
            build=lambda candidate: tuner._checked_model(
                self.hyperparameters(runs[candidate.name].values)
            ),
            data=Data(self.arguments),
            objective=objectives.lead_of(tuner.oracle.objective),
            after_training=lambda candidate, model: self._judge(
                runs[candidate.name], model, on_trained
            ),
            training_bytes=training_bytes if plan and plan.asks else None,
            memory=plan and plan.memory,
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
        )

    def _alone(self, run: Run, on_trained: Trained | None) -> Outcome:
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
            results = self._judge(run, model, on_trained)
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
        self, run: Run, model: keras.Model, on_trained: Trained | None
    ) -> dict[str, float]:
        results = self.measured(model)
        score = score_of(self._objective, results)
        if on_trained is not None and math.isfinite(score):
            on_trained(run, model, score)
        return results

    def measured(self, model: keras.Model) -> dict[str, float]:
        """Evaluates a model on the honest data."""
        batch_size = (
            self.arguments.validation_batch_size or self.arguments.batch_size
        )
        data = self._honest
        if isinstance(data, tuple | list):
            x, y, sample_weight = (*data, None)[:3]
            options = {"sample_weight": sample_weight, "batch_size": batch_size}
            data = (x, y)
        else:
            data, options = (data,), {}
        with _no_advice_on_tracing():
            found = model.evaluate(
                *data, verbose=0, return_dict=True, **options
            )
        return {name: float(value) for name, value in found.items()}

    def examples(self, number: int) -> Any:
        """Returns inputs to predict from: the first of the honest data."""
        data = self._honest
        if isinstance(data, tuple | list):
            return keras.tree.map_structure(lambda leaf: leaf[:number], data[0])
        batch = data[0] if hasattr(data, "__getitem__") else next(iter(data))
        return keras.utils.unpack_x_y_sample_weight(batch)[0]

    def _tell(
        self,
        run: Run,
        outcome: Outcome,
        on_score: Callable[[Run, Score], None],
        progress: Progress,
    ) -> None:
        message, value = outcome.message, None
        if message is None:
            value = score_of(self._objective, outcome.results)
            if not math.isfinite(value):
                message = f"Its score on the honest data was {value}."
        score = Score(
            seed=run.seed,
            score=None if message else value,
            metrics={n: v for n, v in outcome.results.items() if finite(v)},
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


def metric_of(name: str) -> str:
    """What `evaluate` calls an objective."""
    return name.removeprefix("val_")


def score_of(
    objective: keras_tuner.Objective, results: Mapping[str, float]
) -> float:
    """The objective's value in the results of `evaluate`.

    Raises:
        ValueError: If it is not among them.
    """
    names = [name for name, _ in objectives.lead_of(objective)]
    missing = [name for name in names if metric_of(name) not in results]
    if missing:
        raise ValueError(
            "`objective` must be something that `evaluate` measures. "
            f"Received: {metric_of(missing[0])!r}, and it measured "
            f"{sorted(results)}. Compile the model with the metric."
        )
    if len(names) == 1:
        return results[metric_of(names[0])]
    # keras-tuner's list of objectives, which is a sum.
    return objective.get_value({n: results[metric_of(n)] for n in names})


def seeds_after_search(tuner: Any, number: int) -> list[int]:
    """The first seeds that no training of the search began with."""
    first = tuner._training_seed + tuner.executions_per_trial
    return list(range(first, first + number))


def finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def check_honest(tuner: Any, x: Any, honest: Any) -> None:
    """Checks that there are data that nothing was chosen by.

    Raises:
        ValueError: If there are none, or they are those of the search or of
            the training.
    """
    way_out = (
        "Hold out a part of the data before the search, for example with "
        "`sklearn.model_selection.train_test_split`, and pass it here as "
        "`validation_data=(x_honest, y_honest)`."
    )
    if honest is None:
        raise ValueError(
            "`validation_data` must be data that the search never saw, "
            "neither to train nor to compare networks. Received: None. "
            f"{way_out}"
        )
    inputs = keras.tree.flatten(honest)[0]
    seen = keras.tree.flatten([x, *(reference() for reference in tuner._seen)])
    if any(inputs is one for one in seen if one is not None):
        raise ValueError(
            "`validation_data` must be data that the search never saw. "
            "Received: the very data that networks were trained on or "
            f"compared by. {way_out}"
        )


def references(*data: Any) -> tuple[Any, ...]:
    """Weak references to the arrays and data sets in arguments of `fit`."""
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    return tuple(
        weakref.ref(leaf)
        for leaf in leaves
        if getattr(type(leaf), "__weakrefoffset__", 0)
    )


@contextlib.contextmanager
def _no_advice_on_tracing() -> Iterator[None]:
    # TensorFlow 2.21 takes the functions of several models for one function
    # that is traced again and again, and warns.
    logger = logging.getLogger("tensorflow")

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _add(digest: Any, leaf: Any) -> None:
    if hasattr(leaf, "numpy") and not hasattr(leaf, "element_spec"):
        leaf = leaf.numpy()
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind != "O":
        digest.update(f"{leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    elif isinstance(leaf, int | float | str | None):
        digest.update(repr(leaf).encode())
    else:
        spec = getattr(leaf, "element_spec", type(leaf).__qualname__)
        digest.update(repr(spec).encode())
