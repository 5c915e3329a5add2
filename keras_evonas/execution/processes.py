"""Training in other processes of this machine, by loky."""

import concurrent.futures
import dataclasses
import importlib
import os
import signal
import threading
import time
import types
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import psutil

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import JobT
from keras_evonas.execution.crew import ResultT
from keras_evonas.execution.crew import Worker
from keras_evonas.execution.crew import check_number
from keras_evonas.execution.crew import check_sendable
from keras_evonas.execution.crew import imported


@dataclasses.dataclass(frozen=True)
class Processes(Executor):
    """Trains in worker processes of this machine.

    Each worker trains one cohort at a time, and gets the next one as soon as
    it is done. The hypermodel and the data are sent to a worker once. A
    worker that is killed, for example by the system because memory ran out,
    costs its cohort a second attempt and nothing else. Needs
    the extra `[processes]`.

    Args:
        workers: Integer, how many processes. Defaults to 2.
        gpus: What the workers train on: the number of GPUs, `0` for none, or
            a list of what `CUDA_VISIBLE_DEVICES` may hold, such as `[0, 2]`.
            Each worker sees one; if there are more workers than GPUs, some
            share one. Defaults to `None`: every worker sees all of them.
        threads: Integer, how many threads of a worker an operation of
            TensorFlow is split among. With fewer than there are cores workers
            do not wait for each other, and the last bits of losses may differ
            from those of a process without the limit. Defaults to `None`: as
            many as there are cores, unless `TF_NUM_INTRAOP_THREADS` is set.
        max_growth_megabytes: Number. A worker whose memory has grown by more
            since its first cohort is replaced by a new one. Defaults to 1000.

    Raises:
        ValueError: If an argument is out of its range, or `gpus` exceeds
            the GPUs of this machine.

    Example:

    ```python
    executor = Processes(workers=2, threads=1)
    tuner = EvoTuner(oracle, build_model, executor=executor)
    ```
    """

    workers: int = 2
    _: dataclasses.KW_ONLY
    gpus: int | Sequence[int | str] | None = None
    threads: int | None = None
    max_growth_megabytes: float = 1000

    def __post_init__(self) -> None:
        check_number("workers", self.workers, least=1, whole=True)
        if self.threads is not None:
            check_number("threads", self.threads, least=1, whole=True)
        growth = self.max_growth_megabytes
        check_number("max_growth_megabytes", growth, least=1)
        if isinstance(self.gpus, int):
            check_number("gpus", self.gpus, least=0, whole=True)
            found = _visible_gpus() if self.gpus else []
            if self.gpus > len(found):
                raise ValueError(
                    "`gpus` must not exceed the GPUs of this machine. "
                    f"Received: gpus={self.gpus}, and TensorFlow finds "
                    f"{len(found)}. Lower it, or leave it out."
                )
        elif self.gpus is not None and not list(self.gpus):
            raise ValueError(
                "`gpus` must name at least one GPU. Received: "
                f"gpus={self.gpus!r}. Pass 0 to train without."
            )

    def crew(self, worker: Worker[JobT, ResultT]) -> Crew[JobT, ResultT]:
        """Makes the crew of a search; see `Executor`."""
        loky = imported("loky", "Processes")
        check_sendable(worker.parts(), loky.backend.reduction.dumps)
        return _ProcessCrew(self, worker, loky)

    def environment(self, slot: int) -> dict[str, str]:
        """Returns the environment variables that a worker begins with."""
        # loky's own limit would end a worker while it has a cohort.
        changes = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
        if self.workers > 1 or self.gpus is not None:
            # TensorFlow takes a whole GPU unless it is told not to.
            changes["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        if self.threads is not None:
            changes["TF_NUM_INTRAOP_THREADS"] = str(self.threads)
        if self.gpus == 0:
            changes["CUDA_VISIBLE_DEVICES"] = "-1"
        elif self.gpus is not None:
            names = self.gpus
            if isinstance(names, int):
                names = _visible_gpus()[:names]
            changes["CUDA_VISIBLE_DEVICES"] = str(names[slot % len(names)])
        return changes


class _ProcessCrew(Crew[JobT, ResultT]):
    """One loky executor with one process for each slot.

    A process that dies breaks the whole of its executor. Each slot therefore
    has an executor of its own, which also gives it its own environment.
    """

    def __init__(
        self,
        executor: Processes,
        worker: Worker[JobT, ResultT],
        loky: types.ModuleType,
    ) -> None:
        self.slots = executor.workers
        self._settings = executor
        self._worker = worker
        self._loky = loky
        self._pools: dict[int, Any] = {}  # Executors of loky, by slot.
        self._begun: dict[int, Future[None]] = {}
        self._running: dict[Future[tuple[ResultT, int]], int] = {}

    def start(self, slot: int, job: JobT) -> None:
        if slot not in self._pools:
            self._begin(slot)
        try:
            future = self._pools[slot].submit(_run, job)
        except self._loky.process_executor.TerminatedWorkerError:
            # The worker was killed while it had no job.
            self._end(slot)
            self._begin(slot)
            future = self._pools[slot].submit(_run, job)
        self._running[future] = slot

    def _begin(self, slot: int) -> None:
        self._pools[slot] = self._loky.ProcessPoolExecutor(
            max_workers=1, env=self._settings.environment(slot)
        )
        self._begun[slot] = self._pools[slot].submit(
            _begin, self._worker, os.getpid()
        )

    def wait(self) -> Ended[ResultT]:
        done, _ = concurrent.futures.wait(
            self._running, return_when=concurrent.futures.FIRST_COMPLETED
        )
        future = min(done, key=self._running.__getitem__)
        slot = self._running.pop(future)
        try:
            self._begun[slot].result()  # Raises the error of `begin`.
            result, growth = future.result()
        except self._loky.process_executor.TerminatedWorkerError as error:
            self._end(slot)
            return Ended(slot=slot, death=str(error).strip())
        if growth > self._settings.max_growth_megabytes * 1e6:
            self._end(slot)
        return Ended(slot=slot, result=result)

    def close(self) -> None:
        for slot in list(self._pools):
            self._end(slot)

    def _end(self, slot: int) -> None:
        self._pools.pop(slot).shutdown(wait=True, kill_workers=True)


# What follows runs in the process of a worker. `_HERE` holds the worker, and
# the memory that the process took after its first job.

_HERE: dict[str, Any] = {}


def _begin(worker: Worker[JobT, ResultT], parent: int) -> None:
    # An interrupt from the keyboard reaches all processes. The search decides
    # about its workers, so they ignore it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name != "nt":
        watch = threading.Thread(
            target=_end_with, args=(parent,), daemon=True, name="parent"
        )
        watch.start()
    worker.begin()
    _HERE["worker"] = worker


def _run(job: object) -> tuple[Any, int]:
    result = _HERE["worker"].run(job)
    now = resident_bytes()
    return result, now - _HERE.setdefault("first", now)


def _end_with(parent: int) -> None:
    """Ends this process when its parent, the search, has ended.

    Otherwise it would train on beside the search that is resumed.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def resident_bytes() -> int:
    """Returns the memory that this process takes, in bytes."""
    return int(psutil.Process().memory_info().rss)


def _visible_gpus() -> list[str]:
    """Returns names for `CUDA_VISIBLE_DEVICES`, one for each GPU."""
    tf = importlib.import_module("tensorflow")
    number = len(tf.config.list_physical_devices("GPU"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return [name.strip() for name in named.split(",")][:number]
    return [str(index) for index in range(number)]
