"""Policy gradients: losses that diverged, and what is learnt beside them."""

import numpy as np
import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import policy_gradient

SPACE = SearchSpace(
    [Gene(f"x{i}", Categorical(tuple(range(6)))) for i in range(8)]
)


def mean_of_last(seed, diverged):
    """Returns the mean loss of the last trials; `diverged` maps trials."""
    engine = Engine(SPACE, policy_gradient().configure(200), seed=seed)
    losses = []
    for trial in range(200):
        one = engine.ask()
        losses.append(sum(x != 2 for x in one.genome.values()) / 8)
        engine.tell(one.birth, (diverged.get(trial, losses[-1]),))
    return np.mean(losses[-50:])


@pytest.mark.parametrize("trial", [1, 5, 60])
def test_a_loss_that_diverged_does_not_end_the_learning(trial):
    found = [mean_of_last(seed, {trial: 1e30}) for seed in range(2)]
    usual = [mean_of_last(seed, {}) for seed in range(2)]
    assert np.mean(usual) < 0.4  # 0.83 at random.
    assert np.mean(found) < np.mean(usual) + 0.1
