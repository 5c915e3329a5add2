"""Networks of an ended search, trained again and judged on unseen data."""

import dataclasses
import inspect
import math
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.hyperparameters import to_space
from keras_evonas.models.costs import ModelCosts
from keras_evonas.oracles.fidelity import EPOCHS
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.objectives import LATENCY
from keras_evonas.project.retrained import Repeat
from keras_evonas.project.retrained import Score
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.checks import check_fit
from keras_evonas.tuners import sizing
from keras_evonas.tuners import unseen as unseen_lib
from keras_evonas.tuners.hooks import overridden
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.recipe import changes_of
from keras_evonas.tuners.trial_files import completed
from keras_evonas.tuners.worker import ExecutionWorker
from keras_evonas.tuners.worker import Job

OnScore: TypeAlias = Callable[[Repeat, Score], None]
OnTrained: TypeAlias = Callable[[Repeat, keras.Model, float], None]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EndedSearch:
    """The trials of a search, and what they had to keep to."""

    oracle: keras_tuner.Oracle
    evo_oracle: EvoOracle | None  # The oracle if it is one, in this process.
    folder: pathlib.Path
    first_seed: int  # The first that no training of the search began with.

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return to_space(self.oracle.get_space())

    @property
    def completed(self) -> list[trial_lib.Trial]:
        """All completed trials, best first."""
        return self.best(10**9)

    def best(self, number: int) -> list[trial_lib.Trial]:
        """Returns the best completed trials, at most so many."""
        return completed(self.oracle.get_best_trials(number))

    def seeds(self, number: int) -> list[int]:
        """Returns the first seeds that the search did not train with."""
        return list(range(self.first_seed, self.first_seed + number))

    def may_be_trained(self, genome: Mapping[str, Any]) -> bool:
        """Returns whether a network keeps the constraints known before."""
        oracle = self.evo_oracle
        return oracle is None or oracle.violation_before(genome) == 0

    def is_within(self, trial: trial_lib.Trial) -> bool:
        """Returns whether a trial keeps the constraints that it was to show."""
        oracle = self.evo_oracle
        return oracle is None or oracle.violation_after(trial) == 0


def epochs_of(trial: trial_lib.Trial) -> int | None:
    """Returns the epochs that a trial of several fidelities was trained for."""
    epochs: int | None = trial.hyperparameters.values.get(EPOCHS)
    return epochs


class Retraining:
    """Trains networks of a search space in cohorts, outside of a search.

    Args:
        recipe: How the networks of the search are built and trained.
        x: Input data, as for `keras.Model.fit`.
        y: Target data.
        unseen: Data of `keras.Model.evaluate`, which no training sees; also
            an attribute.
        fit: Mapping of other arguments of `fit`.
        seen: The data that the search saw.
        verbose: Integer, the tuner's own `verbose`, or `None`.

    Raises:
        ValueError: If the data were seen, or no network could be trained with
            them.
    """

    def __init__(
        self,
        recipe: Recipe,
        x: object,
        y: object,
        unseen: object,
        fit: Mapping[str, Any],
        *,
        seen: unseen_lib.Seen,
        verbose: int | None,
    ) -> None:
        unseen_lib.check(unseen, x, seen)
        self.unseen = unseen
        self._given = (x,) if y is None else (x, y)
        self._fit = dict(fit)
        self._verbose = self._fit.pop("verbose", "auto")
        if verbose is not None:
            self._verbose = verbose
        self._recipe = dataclasses.replace(
            recipe, args=self._given, kwargs=self._fit, cv=None, tuner=None
        )
        self.arguments = FitArguments.of(x=x, y=y, **self._fit)
        # What is wrong for all networks is said before any is trained.
        callback_lib.copied(self.arguments.callbacks)
        if recipe.alone is None:
            check_fit(self.arguments.with_changes(validation_data=unseen))
        _check_own_fit(recipe.builder.hypermodel)

    @property
    def settings(self) -> str:
        """Digest of the data and all arguments: equal for equal trainings.

        Callbacks count by their class, and data that are no arrays by the
        shapes of their examples.
        """
        names = [field.name for field in dataclasses.fields(self.arguments)]
        values = {name: getattr(self.arguments, name) for name in names}
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
        return unseen_lib.digest(
            repr((sorted(plain.items()), kinds)),
            [self._given, self.unseen, *weights],
        )

    def progress(self, total: int, ended: int) -> Progress:
        """Makes what prints a line for each repeat; so many were scored."""
        return Progress(
            f"unseen {self._recipe.objective.name}",
            self._recipe.objective.direction,
            verbose=self._verbose,
            total=total,
            ended=ended,
        )

    def run(
        self,
        repeats: Sequence[Repeat],
        *,
        on_score: OnScore,
        progress: Progress,
        on_trained: OnTrained | None = None,
    ) -> None:
        """Trains and judges.

        Args:
            repeats: The trainings.
            on_score: Called with the score of each repeat as soon as it has
                ended, and again when the seconds of its cohort are known.
            progress: Prints a line for each.
            on_trained: Called with each trained model and its score.
        """
        by_name = {repeat.name: repeat for repeat in repeats}
        given = self.arguments
        costs = ModelCosts(
            latency=self._recipe.latency, input_shapes=sizing.shapes_of(given.x)
        )
        batch_size = given.validation_batch_size or given.batch_size

        def judge(execution: Execution, model: keras.Model) -> dict[str, float]:
            repeat = by_name[execution.name]
            results = unseen_lib.measured(model, self.unseen, batch_size)
            if self._recipe.latency:
                results[LATENCY] = costs(model).get(LATENCY, math.nan)
            score = self._score(repeat, results)
            if score.score is not None:
                if on_trained is not None:
                    on_trained(repeat, model, score.score)
                # A kill before the others of the cohort have ended costs
                # nothing.
                params = model.count_params()
                on_score(repeat, dataclasses.replace(score, params=params))
            return results

        recipe, size = self._recipe, 1
        if recipe.alone is None:
            size = sizing.largest_cohort(recipe.cohort_size, None)
        else:
            progress.say(f"Networks train one after another: {recipe.alone}.")
        worker = ExecutionWorker(recipe, size, after_training=judge)
        worker.begin()
        rest = list(repeats)
        while rest:
            cohort, rest = rest[:size], rest[size:]
            progress.training(len(cohort))
            job = Job(executions=list(map(self._execution, cohort)), size=size)
            outcomes = worker.run(job).outcomes
            size = min([size, *(o.cohort_limit or size for o in outcomes)])
            for repeat, outcome in zip(cohort, outcomes, strict=True):
                score = Score(seed=repeat.seed, message=outcome.message)
                if score.message is None:
                    score = self._score(repeat, outcome.results)
                score = dataclasses.replace(
                    score, seconds=outcome.seconds, params=outcome.params
                )
                on_score(repeat, score)
                progress.ended(
                    score.score,
                    label=f"{repeat.network.name}, seed {repeat.seed}: ",
                    params=score.params,
                    seconds=score.seconds,
                    message=score.message,
                )

    def _execution(self, repeat: Repeat) -> Execution:
        hp = self.hyperparameters(repeat.network.values)
        changes = changes_of(hp, self._recipe.fit_arguments)
        if "epochs" not in changes and "epochs" not in self._fit:
            if repeat.network.epochs is None:
                raise ValueError(
                    "`epochs` must say how long to train; `fit` would train "
                    "for one. Received: no `epochs`. Pass it as to `search`."
                )
            changes["epochs"] = repeat.network.epochs
        return Execution(
            name=repeat.name, seed=repeat.seed, hyperparameters=hp, fit=changes
        )

    def _score(self, repeat: Repeat, results: Mapping[str, float]) -> Score:
        value = unseen_lib.score_of(self._recipe.objective, results)
        is_finite = math.isfinite(value)
        return Score(
            seed=repeat.seed,
            score=value if is_finite else None,
            metrics={n: v for n, v in results.items() if unseen_lib.finite(v)},
            message=None
            if is_finite
            else f"Its score on the unseen data was {value}.",
        )

    def hyperparameters(
        self, values: Mapping[str, Any]
    ) -> keras_tuner.HyperParameters:
        """Returns the hyperparameters of a genome."""
        hp = self._recipe.space.copy()
        hp.values = dict(values)
        return hp


def _check_own_fit(hypermodel: object) -> None:
    """Checks that a `fit` of the user's can do without the unseen data."""
    host = keras_tuner.HyperModel
    if not isinstance(hypermodel, host) or not overridden(
        type(hypermodel), ("fit",), host
    ):
        return
    parameters = inspect.signature(hypermodel.fit).parameters
    needed = parameters.get("validation_data")
    if needed is not None and needed.default is inspect.Parameter.empty:
        raise ValueError(
            "The `fit` of the hypermodel must work without `validation_data`: "
            "here they are unseen data, which no training may see. Received: "
            f"{type(hypermodel).__name__}.fit, which has no default for it. "
            "Give it one, such as `validation_data=None`."
        )
