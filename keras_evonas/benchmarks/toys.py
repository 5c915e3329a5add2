"""Toy functions on spaces with conditions, evaluated in microseconds.

Their optima are known, so their regret is: 0 for the optimum and 1 for the
median of random genomes.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.testing.spaces import conditional_trap

# Random genomes whose median has the regret 1.
_SAMPLES = 2001
_LAYERS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Toy:
    """A loss function on a search space, 0 at its optimum.

    `noise` is the standard deviation of what a run adds to the loss.
    """

    name: str
    space: SearchSpace
    loss: Callable[[Genome], float]
    noise: float = 0.0

    @functools.cached_property
    def _median(self) -> float:
        rng = rng_at(0, _SAMPLES)
        samples = [self.loss(self.space.sample(rng)) for _ in range(_SAMPLES)]
        return float(np.median(samples))

    def evaluate(
        self, genome: Genome, seed: int, evaluation: int
    ) -> float | None:
        """Returns the loss that one run reports; see `Table.evaluate`."""
        loss = self.loss(genome)
        if self.noise:
            loss += self.noise * rng_at(seed, evaluation).standard_normal()
        return float(loss)

    def regret(self, genome: Genome) -> float:
        """Returns the normalised regret, by the loss without noise."""
        return self.loss(genome) / self._median


def _layers_space() -> SearchSpace:
    """Returns the space of networks of up to six layers.

    It has 30 genes of all kinds, most of them conditional.
    """
    sgd = (Condition("optimizer", ("sgd",)),)
    genes = [
        Gene("optimizer", Categorical(("sgd", "adam", "rmsprop"))),
        Gene("learning_rate", Interval(1e-5, 1.0, "log"), default=1e-3),
        Gene("momentum", Interval(0.0, 0.99), sgd),
        Gene("weight_decay", Interval(1e-6, 1e-1, "log")),
        Gene("batch_size", Grid((16, 32, 64, 128, 256))),
        Gene("depth", Interval(1, _LAYERS, integer=True)),
    ]
    for index in range(_LAYERS):
        exists = Condition("depth", tuple(range(index + 1, _LAYERS + 1)))
        prefix = f"layer_{index}/"
        dropout = Condition(f"{prefix}dropout", (True,))
        genes += [
            Gene(f"{prefix}units", Interval(8, 512, "log", True), (exists,)),
            Gene(f"{prefix}activation", Categorical(_ACTIVATIONS), (exists,)),
            Gene(f"{prefix}dropout", Categorical((False, True)), (exists,)),
            Gene(f"{prefix}rate", Interval(0.0, 0.8), (exists, dropout)),
        ]
    return SearchSpace(genes)


_ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid")
_BEST_RATE = {"sgd": -1.3, "adam": -3.1, "rmsprop": -3.4}
_BEST_DEPTH = 4


def _training_loss(genome: Genome) -> float:
    optimizer = str(genome["optimizer"])
    rate = math.log10(float(genome["learning_rate"]))
    loss = 0.4 * min(1.0, abs(rate - _BEST_RATE[optimizer]) / 2)
    loss += 0.02 * {"sgd": 1, "adam": 0, "rmsprop": 2}[optimizer]
    loss += 0.1 * abs(float(genome.get("momentum", 0.9)) - 0.9)
    decay = math.log10(float(genome["weight_decay"]))
    loss += 0.02 * abs(decay + 4)
    loss += 0.02 * abs(math.log2(int(genome["batch_size"])) - 6)
    return loss


def _log_units(genome: Genome, index: int) -> float:
    return math.log2(int(genome[f"layer_{index}/units"]))


def _best_log_units(index: int) -> float:
    return 8 - index * 0.5


def _layer_loss(genome: Genome, index: int) -> float:
    """Returns the loss of a layer, from 0 to about 1."""
    prefix = f"layer_{index}/"
    units = _log_units(genome, index)
    loss = 0.12 * abs(units - _best_log_units(index))
    activation = genome[f"{prefix}activation"]
    loss += 0.0 if activation == _ACTIVATIONS[index % 2] else 0.2
    rate = float(genome.get(f"{prefix}rate", 0.0))
    best_rate = 0.3 if units > 6 else 0.0
    return loss + 0.5 * abs(rate - best_rate)


def _layers_loss(genome: Genome) -> float:
    """Returns the loss of a network.

    The best learning rate depends on the optimizer, a layer lowers the loss by
    how good it is, and wide layers are best with dropout.
    """
    depth = int(genome["depth"])
    loss = _training_loss(genome)
    # A good layer lowers the loss more than a bad one; too many overfit.
    for index in range(_BEST_DEPTH):
        loss += 0.15 * (
            min(1.0, _layer_loss(genome, index)) if index < depth else 1.0
        )
    return loss + 0.08 * max(0, depth - _BEST_DEPTH)


def _rugged_loss(genome: Genome) -> float:
    """Returns the loss with interactions between neighbouring layers."""
    depth = int(genome["depth"])
    loss = _layers_loss(genome)
    for index in range(1, min(depth, _BEST_DEPTH)):
        growth = _log_units(genome, index) - _log_units(genome, index - 1)
        loss += 0.05 * min(1.0, max(0.0, growth))
    for index in range(min(depth, _BEST_DEPTH)):
        distance = _log_units(genome, index) - _best_log_units(index)
        phase = 2 * math.pi * distance
        loss += 0.01 * (1 - math.cos(phase))
    return loss


TOYS: dict[str, Callable[[], Toy]] = {
    # Its easy improvements mislead.
    "conditional_trap": lambda: Toy("conditional_trap", *conditional_trap()),
    "layers": lambda: Toy("layers", _layers_space(), _layers_loss),
    "layers_noisy": lambda: Toy(
        "layers_noisy", _layers_space(), _layers_loss, noise=0.05
    ),
    "layers_rugged": lambda: Toy(
        "layers_rugged", _layers_space(), _rugged_loss
    ),
}
