"""Networks with steps of their own, bit for bit as in `fit`."""

import keras
import pytest
import tensorflow as tf

from tests.marks import everyday
from tests.training.test_logs import Generative
from tests.training.test_own_fit import STREAM
from tests.training.test_own_fit import VALIDATED
from tests.training.test_own_fit import X
from tests.training.test_own_fit import Y
from tests.training.test_own_fit import network
from tests.training.test_own_fit import outcomes_of
from tests.training.test_own_fit import same_as_alone

pytestmark = pytest.mark.keras


class Step(keras.Model):
    """Writes out the step of Keras."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(x, y, predicted)
        weights = self.trainable_variables
        gradients = tape.gradient(loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return self.logs(loss, self.compute_metrics(x, y, predicted))

    def logs(self, loss, metrics):
        return metrics


class MoreLogs(Step):
    def logs(self, loss, metrics):
        return {**metrics, "lr": self.optimizer.learning_rate}


class FewerLogs(Step):
    def logs(self, loss, metrics):
        return {"loss": loss}


class OtherLogs(Step):
    """Reports what is no number, and arrays of fixed and of unknown shape."""

    def logs(self, loss, metrics):
        return {
            "loss": loss,
            "nothing": None,
            "number": 3,
            "vector": tf.stack([loss, loss]),
            "losses": tf.fill([tf.random.uniform([], 1, 3, tf.int32)], loss),
        }


class LazyMetrics(Step):
    """Creates metrics in its first step."""

    def logs(self, loss, metrics):
        if not hasattr(self, "own"):
            self.own = keras.metrics.Mean(name="own")
        self.own.update_state(loss)
        return {**metrics, "own": self.own.result()}


class LazyOptimizer(Step):
    """Creates a second optimizer in its first step."""

    def logs(self, loss, metrics):
        if not hasattr(self, "second"):
            self.second = keras.optimizers.Adam(0.01)
        weights = self.trainable_variables
        self.second.apply([0.1 * weight for weight in weights], weights)
        return {"loss": loss, **metrics}


class OwnTest(keras.Model):
    def test_step(self, data):
        x, _ = data
        return {"mean": tf.reduce_mean(self(x)), **super().test_step(data)}


class Rmse(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, "rmse": logs["loss"] ** 0.5}


class Counting(keras.Model):
    """Weighs its loss by the number of the step."""

    def compute_loss(self, *args, **kwargs):
        if not hasattr(self, "steps"):
            self.steps = keras.Variable(0.0, trainable=False)
        self.steps.assign_add(1.0)
        return self.steps * super().compute_loss(*args, **kwargs)


def generative():
    model = Generative()
    model.compile()
    return model


KINDS = {
    cls.__name__: (lambda cls=cls: network(cls))
    for cls in (
        *(Step, MoreLogs, FewerLogs, LazyMetrics, LazyOptimizer),
        *(OwnTest, Rmse, Counting),
    )
}
FITS = {
    "arrays": VALIDATED,
    "even": {**VALIDATED, "batch_size": 12, "shuffle": False},
    "stream": STREAM,
}


@pytest.mark.parametrize("kind", everyday("LazyMetrics", of=list(KINDS)))
@pytest.mark.parametrize("data", everyday("arrays", of=list(FITS)))
def test_steps_of_every_kind_give_what_fit_gives(kind, data):
    assert same_as_alone(KINDS[kind], **FITS[data]) is None


@pytest.mark.parametrize("epochs", everyday(3, of=[1, 3]))
def test_two_optimizers_and_no_targets(epochs):
    fit = {"x": X, "batch_size": 20, "epochs": epochs}
    assert same_as_alone(generative, **fit) is None


def test_logs_of_a_step_may_have_any_shape():
    (outcome,) = outcomes_of(lambda: network(OtherLogs), count=1, **VALIDATED)
    assert outcome.message is None
    assert set(outcome.history) >= {"loss", "vector", "number", "losses"}
    assert len(outcome.history["vector"][0]) == 2
    assert "'nothing'" in outcome.notes[0]


def test_logs_that_no_loop_carries_are_those_of_fit():
    class Ragged(Step):
        def logs(self, loss, metrics):
            return {"loss": loss, "r": tf.ragged.stack([[loss], [loss, loss]])}

    (outcome,) = outcomes_of(lambda: network(Ragged), count=1, **VALIDATED)
    assert outcome.message is None
    assert "other than tensors" in outcome.alone_because


class Noise(keras.layers.Layer):
    """Draws with an operation whose state TensorFlow hides."""

    def call(self, x, training=None):
        return x + tf.random.normal(tf.shape(x)) if training else x


def noisy():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(30, "tanh")(Noise()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("data", everyday("arrays", of=["arrays", "stream"]))
def test_random_operations_of_tensorflow_give_what_fit_gives(data):
    fit = {**FITS[data], "epochs": 6}
    assert same_as_alone(noisy, **fit) is None


def test_validations_in_between_leave_random_operations_alone():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    fit = {**STREAM, "validation_data": data, "epochs": 4}
    assert same_as_alone(noisy, **fit) is None
