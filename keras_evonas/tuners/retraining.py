"""Networks trained again, apart from the search, and judged on unseen data."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner

from keras_evonas.project.retrained import Repeat
from keras_evonas.project.retrained import Score
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training import evaluate
from keras_evonas.training.checks import check_fit
from keras_evonas.tuners import sizing
from keras_evonas.tuners import unseen as unseen_lib
from keras_evonas.tuners.alone import train_alone
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.recipe import changes_of

OnScore: TypeAlias = Callable[[Repeat, Score], None]
OnTrained: TypeAlias = Callable[[Repeat, keras.Model, float], None]


class Retraining:
    """Trains networks of a search space in cohorts, outside of a search.

    Args:
        recipe: How the networks of the search are built and trained.
        x: Input data, as for `keras.Model.fit`.
        y: Target data.
        unseen: Data of `keras.Model.evaluate`, which no training sees.
        fit: Mapping of other arguments of `fit`.
        seen: The data that the search saw.
        verbose: Integer, the tuner's own `verbose`, or `None`.

    Raises:
        ValueError: If the data were seen, if no network could be trained with
            them, or if nothing says how long to train.
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
        self._unseen = unseen
        self._given = (x,) if y is None else (x, y)
        self._fit = dict(fit)
        self._verbose = self._fit.pop("verbose", "auto")
        if verbose is not None:
            self._verbose = verbose
        self._recipe = dataclasses.replace(
            recipe, args=self._given, kwargs=self._fit, tuner=None
        )
        self.arguments = FitArguments.of(x=x, y=y, **self._fit)
        # What is wrong for all networks is said before any is trained.
        callback_lib.copied(self.arguments.callbacks)
        if recipe.alone is None:
            check_fit(self.arguments.with_changes(validation_data=unseen))

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
        return unseen_lib.digest(
            [repr((sorted(plain.items()), kinds))],
            [self._given, self._unseen, *weights],
        )

    def progress(self, total: int, ended: int) -> Progress:
        """Makes what prints a line for each repeat.

        Args:
            total: Integer, how many repeats there are.
            ended: Integer, how many of them were scored before.
        """
        verbose = 1 if self._verbose == "auto" else int(self._verbose)
        return Progress(
            f"unseen {self._recipe.objective.name}",
            self._recipe.objective.direction,
            verbose=verbose,
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

        def judge(execution: Execution, model: keras.Model) -> dict[str, float]:
            repeat = by_name[execution.name]
            return self._judge(repeat, model, on_score, on_trained)

        reason = self._recipe.alone
        if reason is not None:
            progress.say(f"Networks train one after another: {reason}.")
        size = 1
        if reason is None:
            size = sizing.largest_cohort(self._recipe.cohort_size, None)
        task = None if reason is not None else self._task(judge, size)
        rest = list(repeats)
        while rest:
            cohort, rest = rest[:size], rest[size:]
            progress.training(len(cohort))
            executions = [self._execution(repeat) for repeat in cohort]
            if task is None:
                outcomes = [
                    train_alone(self._recipe, one, judge, reports=False)[0]
                    for one in executions
                ]
            else:
                outcomes = evaluate(executions, task, cohort_size=size)
            size = min([size, *(o.cohort_limit or size for o in outcomes)])
            for repeat, outcome in zip(cohort, outcomes, strict=True):
                self._report(repeat, outcome, on_score, progress)

    def _task(
        self,
        judge: Callable[[Execution, keras.Model], Mapping[str, float]],
        size: int,
    ) -> Task:
        recipe, plan = self._recipe, None
        if recipe.cohort_size == "auto":
            plan = sizing.MemoryPlan(
                recipe.builder.build, self.arguments, recipe.space, size
            )
        return Task(
            build=recipe.builder.build_for,
            data=Data(self.arguments),
            objective=recipe.lead,
            after_training=judge,
            training_bytes=plan.bytes_of if plan and plan.asks else None,
            memory=None if plan is None else plan.memory,
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
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
            name=repeat.name,
            seed=repeat.seed,
            hyperparameters=hp,
            fit=changes,
        )

    def _judge(
        self,
        repeat: Repeat,
        model: keras.Model,
        on_score: OnScore,
        on_trained: OnTrained | None,
    ) -> dict[str, float]:
        batch_size = (
            self.arguments.validation_batch_size or self.arguments.batch_size
        )
        results = unseen_lib.measured(model, self._unseen, batch_size)
        score = unseen_lib.score_of(self._recipe.objective, results)
        if math.isfinite(score):
            if on_trained is not None:
                on_trained(repeat, model, score)
            # A kill before the others of the cohort have ended costs nothing.
            scored = Score(
                seed=repeat.seed,
                score=score,
                metrics=_finite_only(results),
                params=model.count_params(),
            )
            on_score(repeat, scored)
        return results

    def examples(self, number: int) -> object:
        """Returns inputs to predict from: the first of the unseen data."""
        return unseen_lib.examples(self._unseen, number)

    def _report(
        self,
        repeat: Repeat,
        outcome: Outcome,
        on_score: OnScore,
        progress: Progress,
    ) -> None:
        message, value = outcome.message, None
        if message is None:
            value = unseen_lib.score_of(self._recipe.objective, outcome.results)
            if not math.isfinite(value):
                message = f"Its score on the unseen data was {value}."
        score = Score(
            seed=repeat.seed,
            score=None if message else value,
            metrics=_finite_only(outcome.results),
            seconds=outcome.seconds,
            params=outcome.params,
            message=message,
        )
        on_score(repeat, score)
        progress.ended(
            score.score,
            label=f"{repeat.network.name}, seed {repeat.seed}: ",
            params=outcome.params,
            seconds=outcome.seconds,
            message=message,
        )

    def hyperparameters(
        self, values: Mapping[str, Any]
    ) -> keras_tuner.HyperParameters:
        """Returns the hyperparameters of a genome."""
        hp = self._recipe.space.copy()
        hp.values = dict(values)
        return hp


def _finite_only(results: Mapping[str, float]) -> dict[str, float]:
    return {n: v for n, v in results.items() if unseen_lib.finite(v)}
