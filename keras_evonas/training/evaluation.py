"""One evaluation is one function: executions in, outcomes out."""

import dataclasses
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.project.files import WriteError
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.cohort import ArrayCohort
from keras_evonas.training.data import Data
from keras_evonas.training.executions import Execution
from keras_evonas.training.executions import Outcome
from keras_evonas.training.garbage import collected_at_the_end
from keras_evonas.training.gradients import forgotten_custom_gradients
from keras_evonas.training.member import Member
from keras_evonas.training.memory import cohorts_of
from keras_evonas.training.programs import Program
from keras_evonas.training.streams import fit_stream
from keras_evonas.training.threads import as_if_first

_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What all executions of a search have in common.

    Args:
        build: Builds and compiles the model of a execution. It is called
            right after the random seed was set.
        data: The arguments of `fit`, with the data.
        objective: Pairs of a metric's name and `"min"` or `"max"`.
        after_training: Called with a execution and its trained model, while
            others may still be training. What it returns stands in the
            outcome; if it raises, the execution has failed.
        adapt_callbacks: Called with a execution and its own copies of the
            callbacks; returns those to use. Defaults to using the copies,
            which write into a folder of the execution's name.
        training_bytes: Tells the memory that the training of a execution
            takes, in bytes, or `None` where nobody knows. Defaults to not
            asking.
        memory: Integer, bytes that a cohort may take together, or `None`.
        infeasible: Exceptions of `build` that say that a network is not to
            be trained at all.
        fatal: Exceptions of `build` that are to end the search.
    """

    build: Callable[[Execution], keras.Model]
    data: Data
    objective: Sequence[tuple[str, str]]
    after_training: (
        Callable[[Execution, keras.Model], Mapping[str, float]] | None
    ) = None
    adapt_callbacks: Callable[[Execution, list[Any]], list[Any]] | None = None
    training_bytes: Callable[[Execution], int | None] | None = None
    memory: int | None = None
    infeasible: tuple[type[BaseException], ...] = ()
    fatal: tuple[type[BaseException], ...] = ()


def evaluate(
    executions: Sequence[Execution],
    task: Task,
    *,
    cohort_size: int | None = None,
) -> list[Outcome]:
    """Trains executions together, each exactly as if alone.

    Training alone means: `keras.utils.set_random_seed(execution.seed)`, build
    the model, call its `fit`. Executions that run out of memory are trained
    again in cohorts of half the size; one that does so alone is infeasible.

    Args:
        executions: What to train.
        task: What they have in common.
        cohort_size: Integer, how many are held in memory at the same time at
            most. Defaults to `None`: all of them, as far as `task.memory`
            allows.

    Returns:
        The outcomes, in the order of the executions.

    Raises:
        ValueError: If `cohort_size` is not positive.
    """
    if cohort_size is not None and cohort_size < 1:
        raise ValueError(
            "`cohort_size` must be a positive integer. Received: "
            f"cohort_size={cohort_size}. Pass 1 to train one after another."
        )
    size = cohort_size or max(len(executions), 1)
    limit = None
    outcomes: dict[str, Outcome] = {}
    cohorts, oversized = cohorts_of(
        executions, task.training_bytes, task.memory, size
    )
    for execution, needed in oversized:
        outcomes[execution.name] = _infeasible(
            execution.name,
            "It does not fit into the memory: training needs about "
            f"{needed / 1e9:.1f} GB, and {(task.memory or 0) / 1e9:.1f} GB "
            "are free.",
        )
    while cohorts:
        cohort = cohorts.pop(0)
        evaluation = _Evaluation(task, cohort)
        with collected_at_the_end(), forgotten_custom_gradients():
            evaluation.run()
        outcomes |= evaluation.outcomes
        exhausted = [c for c in cohort if c.name in evaluation.exhausted]
        if len(cohort) == 1 and exhausted:
            name = exhausted[0].name
            outcomes[name] = _infeasible(
                name,
                "It does not fit into the memory, even alone: "
                f"{evaluation.exhausted[name]}",
            )
        elif exhausted:
            limit = len(cohort) // 2
            cohorts = [
                part
                for rest in [exhausted, *cohorts]
                for part in _chunks(rest, limit)
            ]
        del evaluation
    return [
        dataclasses.replace(
            outcomes[execution.name],
            cohort_limit=limit,
            hyperparameters=execution.hyperparameters,
            fold=execution.fold,
        )
        for execution in executions
    ]


def _chunks(
    executions: Sequence[Execution], size: int
) -> list[Sequence[Execution]]:
    return [executions[i : i + size] for i in range(0, len(executions), size)]


def _infeasible(name: str, reason: str) -> Outcome:
    return Outcome(name=name, status="infeasible", message=reason)


class _Evaluation:
    """One cohort, from executions to outcomes."""

    def __init__(self, task: Task, executions: Sequence[Execution]) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.exhausted: dict[str, str] = {}
        self._task = task
        self._candidates = executions
        self._keepers: dict[str, BestWeights] = {}

    def run(self) -> None:
        """Trains all of them."""
        start = time.perf_counter()
        streamed: dict[Any, tuple[list[Member], FitArguments]] = {}
        with ArrayCohort(self._end) as cohort:
            for execution in self._candidates:
                self._begin(execution, cohort, streamed)
                cohort.advance()
            cohort.finish()
        for members, arguments in streamed.values():
            fit_stream(members, arguments)
            for member in members:
                self._end(member)
        seconds = (time.perf_counter() - start) / len(self._candidates)
        self.outcomes = {
            name: dataclasses.replace(outcome, seconds=seconds)
            for name, outcome in self.outcomes.items()
        }

    def _begin(
        self, execution: Execution, cohort: ArrayCohort, streamed: Any
    ) -> None:
        """Builds and traces a member, and hands it to those who train it."""
        data = self._task.data
        try:
            arguments = data.arguments_of(execution)
            arrays = data.arrays(arguments)
            orders = arrays and data.orders(execution.seed, arrays[0])

            def begin() -> tuple[Member, Program | None]:
                member = self._member(execution, arguments)
                if arrays is None or member.needs_steps:
                    return member, None
                return member, Program(member.model, *arrays, orders, arguments)

            member, program = as_if_first(begin)
        except self._task.fatal:
            raise
        except Exception as error:
            self._fail(execution.name, error)
            return
        if program is not None:
            cohort.add(member, program)
            return
        key = data.stream_key(arguments, execution.seed)
        streamed.setdefault(key, ([], arguments))[0].append(member)

    def _member(self, execution: Execution, arguments: FitArguments) -> Member:
        keras.utils.set_random_seed(execution.seed)
        model = self._task.build(execution)
        if execution.initial_weights is not None:
            read_weights(model, execution.initial_weights)
        own = callback_lib.copied(arguments.callbacks)
        if self._task.adapt_callbacks is None:
            own = callback_lib.placed(own, execution.name)
        else:
            own = self._task.adapt_callbacks(execution, own)
        recorders = []
        if execution.checkpoint is not None:
            keeper = BestWeights(self._task.objective)
            self._keepers[execution.name] = keeper
            recorders.append(keeper)
        return Member(
            model,
            callbacks=own,
            recorders=recorders,
            epochs=arguments.epochs,
            initial_epoch=arguments.initial_epoch,
            seed=execution.seed,
            name=execution.name,
        )

    def _end(self, member: Member) -> None:
        """Notes what a member came to, and lets go of it."""
        if member.error is not None:
            self._fail(member.name, member.error)
            return
        keeper = self._keepers.pop(member.name, None)
        try:
            results = self._after_training(member)
            written = keeper is not None and self._write(member.name, keeper)
        except WriteError:
            raise  # It is not the network's fault.
        except Exception as error:
            self._fail(member.name, error)
            return
        self.outcomes[member.name] = Outcome(
            name=member.name,
            status="completed",
            curves=member.history.history,
            params=member.model.count_params(),
            has_checkpoint=written,
            build_config=member.model.get_build_config(),
            results=results,
        )

    def _execution(self, name: str) -> Execution:
        return next(c for c in self._candidates if c.name == name)

    def _after_training(self, member: Member) -> Mapping[str, float]:
        if self._task.after_training is None:
            return {}
        execution = self._execution(member.name)
        return self._task.after_training(execution, member.model)

    def _write(self, name: str, keeper: BestWeights) -> bool:
        execution = self._execution(name)
        if execution.bar is not None and not keeper.loss < execution.bar:
            return False
        return keeper.write(str(execution.checkpoint))

    def _fail(self, name: str, error: BaseException) -> None:
        self._keepers.pop(name, None)
        if isinstance(error, _OUT_OF_MEMORY):
            self.exhausted[name] = str(error).splitlines()[0]
            return
        if isinstance(error, self._task.infeasible):
            self.outcomes[name] = _infeasible(name, str(error))
            return
        self.outcomes[name] = Outcome(
            name=name,
            status="failed",
            message="".join(traceback.format_exception(error)),
        )
