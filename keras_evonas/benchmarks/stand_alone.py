"""Networks trained alone, and searches that evaluate one after the other."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from keras_evonas.benchmarks.datasets import Arrays
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.searchers import run_trials
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace

if TYPE_CHECKING:
    import keras
    import keras_tuner


class Trained(NamedTuple):
    """A network that was evaluated, such as trained, and when that ended."""

    seconds: float
    genome: Genome
    loss: float


def search_alone(
    space: SearchSpace,
    evaluate: Callable[[Genome], float | None],
    *,
    seconds: float = math.inf,
    seed: int,
    trials: int,
    strategy: str = "default",
) -> list[Trained]:
    """Evaluates networks until so many trials or CPU seconds are spent.

    `evaluate` returns a network's loss or, at no cost, `None` if it is not
    allowed. `strategy` is the name of a method.
    """
    searcher = method(strategy)(space, trials, seed)
    begun = time.process_time()
    trained: list[Trained] = []

    def scored(genome: Genome, number: int) -> tuple[float] | None:
        del number
        loss = evaluate(genome)
        if loss is None:
            return None
        passed = time.process_time() - begun
        trained.append(Trained(passed, genome, loss))
        return (loss,)

    while time.process_time() - begun < seconds and len(trained) < trials:
        if not run_trials(searcher, scored, trials=1):
            break
    return trained


def best_within(trained: list[Trained], seconds: float) -> Genome:
    """Returns the best network whose training ended in time.

    Where none did, it is the first.
    """
    in_time = [one for one in trained if one.seconds <= seconds]
    return min(in_time or trained[:1], key=lambda one: one.loss).genome


def train_alone(
    build: "Callable[[keras_tuner.HyperParameters], keras.Model]",
    values: dict[str, Any],
    parts: Parts,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> float:
    """Trains a network from scratch; returns its validation accuracy."""
    import keras
    import keras_tuner

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    model = build(hp)
    x, y = parts.training
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    return accuracy_of(model, parts.validation)


def accuracy_of(model: "keras.Model", examples: Arrays) -> float:
    """Returns the share of examples that a network classifies as labelled."""
    x, y = examples
    logs = model.evaluate(x, y, batch_size=500, verbose=0, return_dict=True)
    return float(logs["accuracy"])
