"""Evolution without Keras: anything that has a loss can be searched.

The toy here is a valley with ripples in it, and a gene that matters only for
one value of another. Prints what evolution and random search come to.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import app
from absl import flags

from keras_evonas import evolution

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 100, "Evaluations.", lower_bound=1)
flags.DEFINE_integer("seeds", 20, "Searches of each kind.", lower_bound=1)

SPACE = evolution.SearchSpace(
    [
        evolution.Gene("x", evolution.Interval(-5.0, 5.0)),
        evolution.Gene("y", evolution.Interval(-5.0, 5.0)),
        evolution.Gene("optimizer", evolution.Categorical(("sgd", "adam"))),
        evolution.Gene(
            "momentum",
            evolution.Interval(0.0, 1.0),
            (evolution.Condition("optimizer", ("sgd",)),),
        ),
    ]
)
STRATEGIES = {
    "evolution": evolution.genetic_algorithm(population_size=12),
    "random search": evolution.random_search(),
}


def loss(genome: Mapping[str, Any]) -> float:
    """Returns the loss of a genome; that of the best is 0."""
    x, y = genome["x"], genome["y"]
    ripples = 2 - np.cos(3 * x) - np.cos(3 * y)
    tuned = abs(genome["momentum"] - 0.9) if "momentum" in genome else 0.2
    return float(0.05 * (x**2 + y**2) + 0.3 * ripples + tuned)


def search(strategy: evolution.Strategy, seed: int) -> evolution.Individual:
    """Asks, evaluates and tells; returns the best individual."""
    engine = evolution.Engine(
        SPACE, strategy.configure(FLAGS.max_trials), seed=seed
    )
    for _ in range(FLAGS.max_trials):
        individual = engine.ask()
        engine.tell(individual.birth, (loss(individual.genome),))
    return min(engine.history.ended, key=lambda one: one.losses)


def main(argv: Sequence[str]) -> None:
    """Compares two strategies over several seeds."""
    del argv
    for name, strategy in STRATEGIES.items():
        best = [search(strategy, seed) for seed in range(FLAGS.seeds)]
        mean = np.mean([one.losses[0] for one in best])
        print(f"{name:14s} best loss {mean:.3f}, mean of {len(best)} seeds")
        print(f"{'':14s} the first: {dict(best[0].genome)}")


if __name__ == "__main__":
    app.run(main)
