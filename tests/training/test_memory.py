"""Cohorts that fit into the memory."""

import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.executions import cohorts_of

pytestmark = pytest.mark.keras


@pytest.mark.parametrize(
    ("sizes", "memory", "limit", "cohorts", "oversized"),
    [
        ([1, 1, 1, 1, 1], None, 2, [[0, 1], [2, 3], [4]], []),
        # 3 + 4 fit into 8; with another 2 they would not.
        ([3, 4, 2, 6], 8, 9, [[0, 1], [2, 3]], []),
        ([3, 9, 8, 1], 8, 9, [[0], [2], [3]], [1]),
        # Nobody knows the second: it counts nothing.
        ([5, None, 3], 8, 9, [[0, 1, 2]], []),
        ([], 8, 2, [], []),
    ],
)
def test_cohorts_fit_into_the_memory(sizes, memory, limit, cohorts, oversized):
    found, too_large = cohorts_of(
        range(len(sizes)), lambda item: sizes[item], memory, limit
    )

    assert found == cohorts
    assert too_large == [(item, sizes[item]) for item in oversized]


ALIVE = weakref.WeakSet()


def crowded():
    """Builds a model, unless there are two already."""
    if len(ALIVE) >= 2:
        raise tf.errors.ResourceExhaustedError(
            None, None, "OOM when allocating"
        )
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ALIVE.add(model)
    return model


def test_a_cohort_that_runs_out_of_memory_is_halved():
    x = np.random.default_rng(0).random((10, 3))
    task = Task(
        build=lambda execution: crowded(),
        data=Data(FitArguments.of(x, x[:, :1], epochs=2)),
        objective=[("loss", "min")],
    )
    executions = [Execution(name=str(i), seed=1) for i in range(5)]

    outcomes = evaluate(executions, task)
    (alone,) = evaluate(executions[:1], task)

    assert [outcome.curves for outcome in outcomes] == [alone.curves] * 5
    assert [outcome.cohort_limit for outcome in outcomes] == [2] * 5
    assert alone.cohort_limit is None


def test_what_does_not_fit_even_alone_is_infeasible():
    def build(execution):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM: 5 TB")

    task = Task(
        build=build,
        data=Data(FitArguments.of(np.zeros((4, 1)), np.zeros((4, 1)))),
        objective=[("loss", "min")],
    )
    executions = [Execution(name=str(i), seed=1) for i in range(3)]

    for outcome in evaluate(executions, task):
        assert outcome.status == "infeasible"
        assert "OOM: 5 TB" in outcome.message


def test_what_is_known_not_to_fit_is_never_built():
    task = Task(
        build=None,
        data=Data(FitArguments.of(np.zeros((4, 1)), np.zeros((4, 1)))),
        objective=[("loss", "min")],
        training_bytes=lambda execution: 3_000_000_000,
        memory=2_000_000_000,
    )

    (outcome,) = evaluate([Execution(name="a", seed=1)], task)

    assert outcome.status == "infeasible"
    assert "needs about 3.0 GB, and 2.0 GB are free" in outcome.message


def test_a_cohort_has_members():
    with pytest.raises(ValueError, match="`cohort_size` must be a positive"):
        evaluate([], None, cohort_size=0)
