"""Training on a cluster, by Ray."""

import dataclasses
import socket
import types
import urllib.parse
from collections.abc import Mapping
from typing import Any
from typing import Generic

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import JobT
from keras_evonas.execution.crew import ResultT
from keras_evonas.execution.crew import Worker
from keras_evonas.execution.crew import check_number
from keras_evonas.execution.crew import check_sendable
from keras_evonas.execution.crew import imported


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ray(Executor):
    """Trains on the machines of a Ray cluster, or on this one.

    Each worker is a Ray actor that trains one cohort at a time, and gets the
    next one as soon as it is done. The hypermodel and the data are put into
    Ray's object store once. A node that is lost costs its cohorts a second
    attempt and nothing else: the nodes that are left train them. The project
    folder is on this machine only; weights are sent. Python and the packages
    on the nodes must be as here. Needs the
    extra `[ray]`.

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
            has begun with `ray.init` is used, whatever the address. The
            token of a cluster is read from `RAY_AUTH_TOKEN`, see
            [devices](../devices.md).
        timeout: Number, how many seconds to wait for the cluster to answer,
            and for room for a worker as long as there is none. Defaults to
            60.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    ```python
    executor = Ray(address="10.0.0.1:6379", num_cpus=2, num_gpus=0.5)
    tuner = EvoTuner(oracle, build_model, executor=executor)
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
        for name in ("num_cpus", "num_gpus", "timeout"):
            check_number(name, getattr(self, name), least=0)
        if not self.num_cpus and not self.num_gpus:
            raise ValueError(
                "`num_cpus` and `num_gpus` must not both be zero. Received: "
                "num_cpus=0, num_gpus=0. Say what a cohort takes."
            )

    def crew(self, worker: Worker[JobT, ResultT]) -> Crew[JobT, ResultT]:
        """Makes the crew of a search; see `Executor`."""
        ray = imported("ray", "Ray")
        check_sendable(worker.parts(), ray.cloudpickle.dumps)
        if self.address is not None:
            self._check_answer(self.address)
        is_ours = not ray.is_initialized()
        if is_ours:
            self._connect(ray)
        try:
            return _RayCrew(ray, self, self._room(ray), worker, is_ours)
        except BaseException:
            if is_ours:
                ray.shutdown()
            raise

    def _connect(self, ray: types.ModuleType) -> None:
        options: dict[str, object] = {"address": self.address}
        if self.address is None:
            options = {
                "address": "local",  # Whatever RAY_ADDRESS says.
                "include_dashboard": False,
                "namespace": "keras_evonas",
            }
        try:
            ray.init(log_to_driver=False, **options)
        except ConnectionError as error:
            # All that Ray 2.60 says, after 20 seconds, of a wrong token.
            raise ConnectionError(
                "`address` must be that of a Ray cluster to which this "
                f"program may connect. Received: address={self.address!r}; "
                f"{error}. If the cluster has a token, set RAY_AUTH_MODE=token "
                "and RAY_AUTH_TOKEN as they are there before the program "
                "starts, or put the token into ~/.ray/auth_token."
            ) from error

    def _check_answer(self, address: str) -> None:
        """Checks that a cluster answers, raising an error.

        Ray 2.60 itself waits for minutes, and then ends the program.
        """
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

    def _room(self, ray: types.ModuleType) -> int:
        """Returns the number of slots: of workers that find room at once."""
        wanted = {"CPU": self.num_cpus, "GPU": self.num_gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for name, key in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
            most = max(node.get(key, 0) for node in nodes)
            if wanted[key] > most:
                raise ValueError(
                    f"`{name}` must not exceed what a node of the cluster "
                    f"has. Received: {name}={wanted[key]}, and the largest "
                    f"has {most:g}. Lower it, or add nodes."
                )
        if self.workers is not None:
            return self.workers
        return max(1, sum(_places(node, wanted) for node in nodes))


def _places(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """Returns how many workers a node has room for."""
    return min(
        int(node.get(key, 0) / number + 1e-9)  # 0.3 / 0.1 is below 3.
        for key, number in wanted.items()
        if number
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Actor(Generic[JobT]):
    """An actor with a job; its references are ready when it has got so far."""

    handle: Any
    placed: object  # It has found room.
    begun: object  # `Worker.begin` has ended.
    slot: int
    job: JobT


class _RayCrew(Crew[JobT, ResultT]):
    """One actor for each slot, as far as the cluster has room.

    A slot is not tied to an actor. After a node is lost, and wherever fewer
    actors find room than there are slots, an actor that is done takes over
    the job of one that has found no room.
    """

    def __init__(
        self,
        ray: types.ModuleType,
        executor: Ray,
        slots: int,
        worker: Worker[JobT, ResultT],
        is_ours: bool,
    ) -> None:
        self.slots = slots
        self._ray = ray
        self._timeout = executor.timeout
        self._worker: object = ray.put(worker)
        self._is_ours = is_ours
        self._running: dict[object, _Actor[JobT]] = {}
        self._free: list[_Actor[JobT]] = []  # With jobs that are done.
        errors = ray.exceptions
        self._deaths = (
            *(errors.RayActorError, errors.WorkerCrashedError),
            *(errors.ObjectLostError, errors.OutOfMemoryError),
            errors.NodeDiedError,
        )
        self._actor_class = ray.remote(
            num_cpus=executor.num_cpus,
            num_gpus=executor.num_gpus,
            # A new one is made here, and the job is begun again.
            max_restarts=0,
        )(_RemoteWorker)

    def start(self, slot: int, job: JobT) -> None:
        if self._free:
            actor = dataclasses.replace(self._free.pop(), slot=slot, job=job)
        else:
            handle = self._actor_class.remote()
            actor = _Actor(
                handle=handle,
                placed=handle.place.remote(),
                begun=handle.begin.remote(self._worker),
                slot=slot,
                job=job,
            )
        self._running[actor.handle.run.remote(job)] = actor

    def wait(self) -> Ended[ResultT]:
        self._wait_for_room()
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        actor = self._running.pop(done[0])
        try:
            self._ray.get(actor.begun)
            result = self._ray.get(done[0])
        except self._ray.exceptions.RayTaskError as error:
            self._release(actor)
            raise error.cause from error
        except self._deaths as error:
            if "in its creation" in str(error):
                raise  # The node lacks a module: no worker could begin there.
            self._ray.kill(actor.handle)
            death = str(error).strip().splitlines()[0]
            return Ended(slot=actor.slot, death=death)
        self._release(actor)
        return Ended(slot=actor.slot, result=result)

    def _wait_for_room(self) -> None:
        """Waits until an actor with a job has found room."""
        placed, _ = self._ray.wait(
            [actor.placed for actor in self._running.values()],
            num_returns=1,
            timeout=self._timeout,
        )
        if not placed:
            raise TimeoutError(
                "The Ray cluster must have room for a worker. Received: a "
                f"cluster that had none within timeout={self._timeout} "
                "seconds. Add nodes, or wait for other programs to end, and "
                "run the search again: it goes on where it was."
            )

    def _release(self, actor: _Actor[JobT]) -> None:
        """Frees an actor for the next job, or for one without room."""
        self._free.append(actor)
        for reference, other in self._running.items():
            if not self._ray.wait([other.placed], timeout=0)[0]:
                del self._running[reference]
                self._ray.kill(other.handle)
                self.start(other.slot, other.job)
                return

    def close(self) -> None:
        for actor in [*self._running.values(), *self._free]:
            self._ray.kill(actor.handle)
        self._running.clear()
        self._free.clear()
        self._worker = None
        if self._is_ours:
            self._ray.shutdown()


class _RemoteWorker:
    """A worker on a node of the cluster."""

    def place(self) -> None:
        """Returns as soon as the cluster has room for the actor."""

    def begin(self, worker: Worker[Any, Any]) -> None:
        worker.begin()
        self._worker = worker

    def run(self, job: object) -> object:
        return self._worker.run(job)
