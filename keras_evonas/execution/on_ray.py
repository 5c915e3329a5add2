"""Training on a cluster, by Ray."""

import dataclasses
import importlib
import socket
import urllib.parse
from typing import Any

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import Worker
from keras_evonas.execution.crew import cannot_be_sent
from keras_evonas.execution.crew import check_number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ray(Executor):
    """Trains on the machines of a Ray cluster, or on this one.

    Each slot is a Ray actor that trains one cohort at a time, and gets the
    next one as soon as it is done. The hypermodel and the data are put into
    Ray's object store once. A node that is lost costs its cohorts a second
    attempt and nothing else. The project folder is on this machine only;
    weights travel. Python and the packages on the nodes must be as here. Needs
    Ray: `pip install "keras-evonas[ray]"`.

    Args:
        workers: Integer, how many cohorts are trained at a time, or `None`
            for as many as the cluster has room for when the search begins.
            Defaults to `None`.
        num_cpus: Number of processors that a cohort takes, fractions
            included. Defaults to 1.
        num_gpus: Number of GPUs that a cohort takes, fractions included.
            Defaults to 0.
        address: String, the address of a cluster, such as
            `"10.0.0.1:6379"` or `"ray://10.0.0.1:10001"`. Defaults to
            `None`: a new session on this machine. A session that the program
            has begun with `ray.init` is used, whatever the address.
        timeout: Number, how many seconds to wait for the cluster to answer,
            and for a first free slot. Defaults to 60.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    ```python
    tuner = EvoTuner(
        oracle=EvoOracle("val_accuracy", max_trials=200, seed=0),
        hypermodel=build_model,
        executor=Ray(address="10.0.0.1:6379", num_cpus=2, num_gpus=0.5),
    )
    ```
    """

    is_remote = True

    workers: int | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    address: str | None = None
    timeout: float = 60

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_number("workers", self.workers, least=1, whole=True)
        for name in ("num_cpus", "num_gpus"):
            value = getattr(self, name)
            check_number(name, value, least=0, whole=False)
        check_number("timeout", self.timeout, least=0, whole=False)
        if not self.num_cpus and not self.num_gpus:
            raise ValueError(
                "`num_cpus` and `num_gpus` must not both be zero. Received: "
                "num_cpus=0, num_gpus=0. Say what a cohort takes."
            )

    def crew(self, worker: Worker) -> Crew:
        """Begins to work; see `Executor`."""
        ray = _ray()
        for name, value in worker.parts().items():
            try:
                ray.cloudpickle.dumps(value)
            except Exception as error:
                raise cannot_be_sent(name, value, error) from error
        if self.address is not None:
            self._check_answer(self.address)
        is_ours = not ray.is_initialized()
        if is_ours:
            self._connect(ray)
        try:
            return _RayCrew(
                ray, self, self._room(ray), ray.put(worker), is_ours
            )
        except BaseException:
            if is_ours:
                ray.shutdown()
            raise

    def _connect(self, ray: Any) -> None:
        if self.address is None:
            ray.init(
                # Not what the environment says: see `address`.
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                namespace="keras_evonas",
            )
            return
        ray.init(address=self.address, log_to_driver=False)

    def _check_answer(self, address: str) -> None:
        """Ray 2.60 waits for minutes, and then ends the program."""
        place = urllib.parse.urlsplit(
            address if "://" in address else f"//{address}"
        )
        if place.hostname is None or (place.port is None and ":" in address):
            raise ValueError(
                "`address` must be that of a Ray cluster. Received: "
                f"address={address!r}. Pass 'HOST:PORT' or 'ray://HOST:PORT'."
            )
        if place.port is None:
            return  # "auto" and "local" are words of Ray's.
        try:
            with socket.create_connection(
                (place.hostname, place.port), timeout=self.timeout
            ):
                pass
        except OSError as error:
            raise ConnectionError(
                "`address` must be that of a Ray cluster that answers. "
                f"Received: address={address!r}, which has not answered "
                f"within timeout={self.timeout} seconds ({error}). Start it "
                "with `ray start --head`, or check the address."
            ) from error

    def _room(self, ray: Any) -> int:
        """How many slots there are."""
        there = ray.cluster_resources()
        rooms = []
        for name, key in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
            wanted, found = getattr(self, name), there.get(key, 0)
            if wanted > found:
                raise ValueError(
                    f"`{name}` must not exceed what the cluster has. "
                    f"Received: {name}={wanted}, and it has {found:g}. Lower "
                    "it, or add nodes."
                )
            if wanted:
                rooms.append(int(found / wanted + 1e-9))
        return min(rooms) if self.workers is None else self.workers


class _RayCrew(Crew):
    """One actor for each slot."""

    def __init__(
        self, ray: Any, executor: Ray, slots: int, worker: Any, is_ours: bool
    ) -> None:
        self.slots = slots
        self._ray = ray
        self._worker = worker
        self._is_ours = is_ours
        self._actors: dict[int, Any] = {}
        self._running: dict[Any, int] = {}
        self._actor_class = ray.remote(
            num_cpus=executor.num_cpus,
            num_gpus=executor.num_gpus,
            # A new one is made here, which is told of the cohort again.
            max_restarts=0,
        )(_Actor)

    def start(self, slot: int, job: Any) -> None:
        if slot not in self._actors:
            self._actors[slot] = self._actor_class.remote(self._worker)
        reference = self._actors[slot].run.remote(job)
        self._running[reference] = slot

    def wait(self) -> Ended:
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        slot = self._running.pop(done[0])
        try:
            return Ended(slot=slot, result=self._ray.get(done[0]))
        except self._ray.exceptions.ActorDiedError as error:
            if error.__cause__ is not None or "in its creation" in str(error):
                raise  # The worker could not begin; nobody has died.
            return self._died(slot, error)
        except (
            self._ray.exceptions.RayActorError,
            self._ray.exceptions.WorkerCrashedError,
            self._ray.exceptions.ObjectLostError,
            self._ray.exceptions.OutOfMemoryError,
            self._ray.exceptions.NodeDiedError,
        ) as error:
            return self._died(slot, error)

    def _died(self, slot: int, error: BaseException) -> Ended:
        self._ray.kill(self._actors.pop(slot))
        return Ended(slot=slot, death=str(error).strip().splitlines()[0])

    def close(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._running.clear()
        self._worker = None
        if self._is_ours:
            self._ray.shutdown()


class _Actor:
    """A worker, somewhere."""

    def __init__(self, worker: Worker) -> None:
        worker.begin()
        self._worker = worker

    def run(self, job: Any) -> Any:
        return self._worker.run(job)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ImportError(
            "`Ray` needs Ray. Received: an environment without it. Install it "
            'with `pip install "keras-evonas[ray]"`.'
        ) from error
