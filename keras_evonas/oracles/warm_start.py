"""Chooses networks to begin a search with."""

import random
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.isolation import isolated

Score = Callable[[keras.Model], float]


def capable(
    hypermodel: Hypermodel,
    score: Score,
    *,
    count: int = 8,
    draws: int = 64,
    seed: int | None = None,
    hyperparameters: keras_tuner.HyperParameters | None = None,
) -> list[dict[str, Value]]:
    """Draws networks at random, and returns those with the best scores.

    A warm start as in Abdelfattah et al. (2021), section 3.2.1. No network is
    trained, and nothing is left in Keras's global state or in the global
    random generators. Keep `count` below the population, so that a score that
    errs is soon made up for.

    Args:
        hypermodel: A `HyperModel`, or a callable that takes hyperparameters
            and returns a model.
        score: Function of a built model, larger is better, such as those of
            `keras_evonas.models.zero_cost`. Networks without a finite score
            are passed over.
        count: Integer, how many networks to return at most. Defaults to 8.
        draws: Integer, how many to draw; one that comes twice counts once.
            Defaults to 64.
        seed: Non-negative integer, or `None` for a random one. The same seed
            gives the same networks with the same initial weights.
        hyperparameters: Optional `HyperParameters`, as passed to the oracle.

    Returns:
        List of dictionaries of values, best first, for `initial_population`.

    Raises:
        ValueError: If a number is out of range.

    Example:

    ```python
    batch = x[:64]
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=60,
        initial_population=[
            "default",
            *capable(build_model, lambda m: activation_overlap(m, batch)),
        ],
    )
    ```
    """
    check_positive_integer("count", count)
    check_positive_integer("draws", draws)
    seed = check_seed(seed)
    build = builder_of(hypermodel)
    space = keras_tuner.HyperParameters()
    if hyperparameters is not None:
        space = hyperparameters.copy()
    scored: dict[Any, tuple[float, int, dict[str, Value]]] = {}
    for draw in range(draws):
        genome, found = _scored(build, score, space, seed, draw)
        if np.isfinite(found):
            key = tuple(sorted(genome.items()))
            scored.setdefault(key, (-found, draw, genome))
    ranked = sorted(scored.values(), key=lambda entry: entry[:2])
    return [genome for _, _, genome in ranked[:count]]


def _scored(
    build: Callable[[keras_tuner.HyperParameters], keras.Model],
    score: Score,
    space: keras_tuner.HyperParameters,
    seed: int,
    draw: int,
) -> tuple[dict[str, Value], float]:
    """Draws one network and scores it; `space` learns what it asks for."""
    rng = rng_at(seed, draw)
    initial = int(rng.integers(2**31))
    genome: dict[str, Value] = {}

    def run() -> float | None:
        # Keras draws the seeds of initial weights from these.
        random.seed(initial)
        np.random.seed(initial)  # noqa: NPY002
        try:
            model = build(space)
        except keras_tuner.errors.FailedTrialError:
            return -np.inf  # the hypermodel refuses it
        return float(score(model)) if len(space.space) == known else None

    while True:
        known = len(space.space)
        genome = hp_lib.to_space(space).express(genome, rng)
        space.values = dict(genome)
        found = isolated(run)
        if found is not None:
            return genome, found
        # It asked for more, whose values are to be drawn, too.
