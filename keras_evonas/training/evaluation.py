"""One evaluation is one function: executions in, outcomes out."""

import dataclasses
import time
import traceback
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.garbage import collected_at_the_end
from keras_evonas.project.files import WriteError
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.bookkeeping import Network
from keras_evonas.training.bookkeeping import completed
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.cohort import ArrayCohort
from keras_evonas.training.curves import Objective
from keras_evonas.training.data import Data
from keras_evonas.training.eligibility import NotInCohortError
from keras_evonas.training.eligibility import has_own
from keras_evonas.training.eligibility import why_not_in_cohort
from keras_evonas.training.executions import Execution
from keras_evonas.training.executions import Outcome
from keras_evonas.training.executions import cohorts_of
from keras_evonas.training.garbage import forgotten_custom_gradients
from keras_evonas.training.last_state import LastState
from keras_evonas.training.member import Member
from keras_evonas.training.model_checks import NOT_COMPILED
from keras_evonas.training.own_fit import Fitted
from keras_evonas.training.own_fit import fit_alone
from keras_evonas.training.recording import Recorder
from keras_evonas.training.seeds import SEEDS
from keras_evonas.training.shared_programs import Program
from keras_evonas.training.streams import fit_stream

_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """The data, model and objective that all executions of a search share.

    Args:
        build: Builds and compiles the model of an execution. It is called
            right after the random seed was set.
        data: The arguments of `fit`, with the data.
        objective: Pairs of a metric's name and `"min"` or `"max"`.
        after_training: Called with an execution and its trained model, while
            others may still be training. What it returns stands in the
            outcome; if it raises, the execution has failed.
        adapt_callbacks: Called with an execution and its own copies of the
            callbacks; returns those to use. Defaults to using the copies,
            which write into a folder of the execution's name.
        training_bytes: Returns the memory that the training of an execution
            takes, in bytes, or `None` if that is unknown. Defaults to not
            asking.
        memory: Integer, bytes that a cohort may take together, or `None`.
        infeasible: Exceptions of `build` that say that a network is not to
            be trained at all.
        fatal: Exceptions of `build` that are to end the search.
    """

    build: Callable[[Execution], keras.Model]
    data: Data
    objective: Objective
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
    limit = None
    cohorts, oversized = cohorts_of(
        executions,
        task.training_bytes,
        task.memory,
        cohort_size or max(len(executions), 1),
    )
    outcomes = {
        execution.name: _infeasible(
            execution.name,
            "It does not fit into the memory: training needs about "
            f"{needed / 1e9:.1f} GB, and {(task.memory or 0) / 1e9:.1f} GB "
            "are free.",
        )
        for execution, needed in oversized
    }
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
                rest[i : i + limit]
                for rest in [exhausted, *cohorts]
                for i in range(0, len(rest), limit)
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


def _infeasible(name: str, reason: str) -> Outcome:
    return Outcome(name=name, status="infeasible", message=reason)


_Streamed: TypeAlias = dict[Hashable, tuple[list[Member], FitArguments]]


class _Evaluation:
    """One cohort, from executions to outcomes."""

    def __init__(self, task: Task, executions: Sequence[Execution]) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.exhausted: dict[str, str] = {}
        self._task = task
        self._executions = executions
        # Programs that must not run while another network is built.
        self._waiting: list[tuple[Member, Program]] = []
        # Executions that turned out to need their own `fit`, with the reason.
        self._again: list[tuple[Execution, str]] = []
        self._alone_seconds: dict[str, float] = {}

    def run(self) -> None:
        """Trains all of them."""
        start = time.perf_counter()
        streamed: _Streamed = {}
        with ArrayCohort(self._end) as cohort:
            for execution in self._executions:
                self._begin(execution, cohort, streamed)
                cohort.advance()
            for member, program in self._waiting:
                cohort.add(member, program)
            cohort.finish()
        for members, arguments in streamed.values():
            fit_stream(members, arguments)
            for member in members:
                self._end(member)
        for execution, reason in self._again:
            self._begin(execution, cohort, streamed, reason)
        alone = self._alone_seconds
        shared = time.perf_counter() - start - sum(alone.values())
        share = shared / max(1, len(self._executions) - len(alone))
        self.outcomes = {
            name: dataclasses.replace(outcome, seconds=alone.get(name, share))
            for name, outcome in self.outcomes.items()
        }

    def _begin(
        self,
        execution: Execution,
        cohort: ArrayCohort,
        streamed: _Streamed,
        alone_because: str | None = None,
    ) -> None:
        """Builds a network, and trains it or hands it to what trains it."""
        data, recorder = self._task.data, Recorder()
        start = time.perf_counter()
        try:
            arguments = data.arguments_of(execution)
            arrays = data.arrays(arguments)
            orders = arrays and data.orders(execution.seed, arrays[0])

            def begin() -> tuple[Network, Fitted | Program | None]:
                network = self._network(
                    execution, arguments, recorder, alone_because
                )
                return network, self._course(network, arrays, orders)

            network, course = with_fresh_keras(begin, recorder.interrupt)
        except self._task.fatal:
            raise
        except Exception as error:
            self._fail(execution, error)
            return
        if isinstance(course, Fitted):
            self._finish(network, course)
            self._alone_seconds[execution.name] = time.perf_counter() - start
            return
        member = Member(network)
        if course is None:
            key = data.stream_key(arguments, execution.seed)
            streamed.setdefault(key, ([], arguments))[0].append(member)
        elif course.draws_from_tensorflow:
            self._waiting.append((member, course))
        else:
            cohort.add(member, course)

    def _network(
        self,
        execution: Execution,
        arguments: FitArguments,
        recorder: Recorder,
        alone_because: str | None,
    ) -> Network:
        """Builds a network."""
        SEEDS.set(execution.seed)
        model = self._task.build(execution)
        own = callback_lib.copied(arguments.callbacks)
        if self._task.adapt_callbacks is None:
            own = callback_lib.placed(own, execution.name)
        else:
            own = self._task.adapt_callbacks(execution, own)
        reason = alone_because or why_not_in_cohort(model, own)
        if not (model.compiled or (reason and has_own(model, "fit"))):
            raise ValueError(NOT_COMPILED.format(model.name))
        keeper = execution.checkpoint and BestWeights(self._task.objective)
        return Network(
            execution=execution,
            model=model,
            recorder=recorder,
            keeper=keeper or None,
            last=None if execution.state is None else LastState(),
            alone_because=reason,
            arguments=arguments,
            own=own,
        )

    def _course(
        self,
        network: Network,
        arrays: tuple[Arrays, Arrays | None] | None,
        orders: Orders | None,
    ) -> Fitted | Program | None:
        """Trains a network alone, or makes its program, if it needs one."""
        if network.alone_because is not None:
            return fit_alone(
                network.model,
                network.arguments,
                network.callbacks,
                network.recorder,
                self._task.objective,
            )
        if not (arrays and orders) or callback_lib.needs_steps(network.own):
            return None
        return Program(
            network.model,
            *arrays,
            orders,
            network.arguments,
            self._task.data.programs,
            may_change=bool(network.own),
        )

    def _end(self, member: Member) -> None:
        """Notes what a member of the cohort came to."""
        network = member.network
        if member.error is not None:
            self._fail(network.execution, member.error)
        else:
            self._finish(network, Fitted(curves=network.recorder.curves()))

    def _finish(self, network: Network, fitted: Fitted) -> None:
        """Notes the outcome of a network that has been trained."""
        execution = network.execution
        try:
            results: Mapping[str, float] = {}
            if self._task.after_training is not None:
                results = self._task.after_training(execution, network.model)
        except WriteError:
            raise  # It is not the network's fault.
        except Exception as error:
            self._fail(execution, error)
            return
        self.outcomes[execution.name] = completed(network, fitted, results)

    def _fail(self, execution: Execution, error: BaseException) -> None:
        name = execution.name
        if isinstance(error, NotInCohortError):
            self._again.append((execution, str(error)))
        elif isinstance(error, _OUT_OF_MEMORY):
            self.exhausted[name] = str(error).splitlines()[0]
        elif isinstance(error, self._task.infeasible):
            self.outcomes[name] = _infeasible(name, str(error))
        else:
            self.outcomes[name] = Outcome(
                name=name,
                status="failed",
                message="".join(traceback.format_exception(error)),
            )
