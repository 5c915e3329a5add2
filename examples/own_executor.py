"""A search with an executor of your own: a process and a pipe for each slot.

An executor makes a crew, a crew has slots, and each slot runs a copy of the
worker that it is given. That is all that has to be written: nothing here
depends on what is trained, and no other file of the package changes. The suite
that tests whether the executor keeps the laws of one:

```python
class TestPipes(keras_evonas.testing.ExecutorConformance):
    @pytest.fixture
    def executor(self):
        return Pipes(workers=2)
```
"""

import dataclasses
import multiprocessing
import os
import pickle
from collections.abc import Sequence
from multiprocessing import connection
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app
from absl import flags

from keras_evonas.execution import Crew
from keras_evonas.execution import Ended
from keras_evonas.execution import Executor
from keras_evonas.execution import Worker

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 12, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 5, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pipes(Executor):
    """Trains in processes that are sent their jobs through pipes."""

    workers: int = 2

    def crew(self, worker: Worker[Any, Any]) -> Crew[Any, Any]:
        """Makes the crew of a search."""
        for name, part in worker.parts().items():
            try:
                pickle.dumps(part)
            except Exception as error:
                raise TypeError(f"`{name}` cannot be sent: {error}") from error
        return PipeCrew(worker, self.workers)


class PipeCrew(Crew[Any, Any]):
    """The processes of a search, by their slots."""

    def __init__(self, worker: Worker[Any, Any], slots: int) -> None:
        self.slots = slots
        self._worker = worker
        self._processes: dict[int, Any] = {}
        self._pipes: dict[int, Any] = {}
        self._busy: set[int] = set()

    def start(self, slot: int, job: Any) -> None:
        """Begins a job on a slot that is free."""
        if slot in self._processes and not self._processes[slot].is_alive():
            self._end(slot)
        if slot not in self._processes:
            # A forked copy of a process that has loaded TensorFlow can hang.
            context = multiprocessing.get_context("spawn")
            self._pipes[slot], theirs = context.Pipe()
            self._processes[slot] = context.Process(
                target=work, args=(self._worker, theirs), daemon=True
            )
            self._processes[slot].start()
            theirs.close()  # So that the pipe breaks when the process dies.
        self._pipes[slot].send(job)
        self._busy.add(slot)

    def wait(self) -> Ended[Any]:
        """Waits for the next job to end."""
        slots = {self._pipes[slot]: slot for slot in self._busy}
        pipe = connection.wait(list(slots))[0]
        slot = slots[pipe]
        self._busy.remove(slot)
        try:
            result, error = pipe.recv()
        except (EOFError, ConnectionError):
            self._processes[slot].join()
            code = self._processes[slot].exitcode
            self._end(slot)
            return Ended(slot=slot, death=f"exit code {code}")
        if error is not None:
            raise error
        return Ended(slot=slot, result=result)

    def close(self) -> None:
        """Ends all processes."""
        for slot in list(self._processes):
            self._end(slot)
        self._busy.clear()

    def _end(self, slot: int) -> None:
        process = self._processes.pop(slot)
        process.kill()
        process.join()
        self._pipes.pop(slot).close()


def work(worker: Worker[Any, Any], pipe: Any) -> None:
    """Does the jobs of a slot, in the process of the slot."""
    has_begun = False
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return  # The search has ended.
        try:
            if not has_begun:
                worker.begin()
                has_begun = True
            pipe.send((worker.run(job), None))
        except Exception as error:
            pipe.send((None, error))


def main(argv: Sequence[str]) -> None:
    """Searches, and prints which worker trained which network."""
    del argv
    import image_data

    from keras_evonas import EvolutionarySearch
    from keras_evonas.models import Classification
    from keras_evonas.models import DenseNetwork

    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        cohort_size=2,  # of each worker
        executor=Pipes(workers=FLAGS.workers),
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="own_executor",
    )
    tuner.search(
        *images.train, validation_data=images.validation, epochs=FLAGS.epochs
    )
    best = tuner.oracle.get_best_trials()[0]
    print(f"{len(tuner.oracle.end_order)} networks by {tuner.executor}")
    print(f"the best: {best.score:.4f}, trial {best.trial_id}")


# Workers import this file, and must not begin a search of their own.
if __name__ == "__main__":
    app.run(main)
