"""Models that change what `fit` does are trained by their own `fit`."""

import random
import threading
import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Notices
from keras_evonas.training import Task
from keras_evonas.training import eligibility
from keras_evonas.training import evaluate
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.eligibility import why_not_in_cohort
from tests.marks import everyday
from tests.training.test_cohort import alone

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = X.sum(1, keepdims=True)
FIT = {"x": X, "y": Y, "epochs": 2, "batch_size": 16}
VALIDATED = {**FIT, "validation_data": (X[:20], Y[:20])}
STREAM = {
    "x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(16),
    "epochs": 2,
    "shuffle": False,
}


def network(cls=keras.Model, **compiled):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "tanh")(inputs)
    model = cls(inputs, keras.layers.Dense(1, name="head")(hidden))
    model.compile(
        keras.optimizers.Adam(0.05), "mse", metrics=["mae"], **compiled
    )
    return model


def outcomes_of(build, *args, count=2, checkpoint=None, **fit):
    task = Task(
        build=lambda execution: build(),
        data=Data(FitArguments.of(*args, **fit)),
        objective=[("loss", "min")],
    )
    executions = [
        Execution(name=str(i), seed=3, checkpoint=checkpoint)
        for i in range(count)
    ]
    return evaluate(executions, task)


def same_as_alone(build, callbacks=lambda: [], **fit):
    """Trains in a cohort of two, and checks it against `fit`."""
    expected = alone(build, 3, callbacks(), **fit)
    outcomes = outcomes_of(build, callbacks=callbacks(), **fit)
    assert [o.message for o in outcomes] == [None, None]
    assert [o.history for o in outcomes] == [expected, expected]
    return outcomes[0].alone_because


def bump(model):
    kernel = model.get_layer("head").kernel
    kernel.assign(kernel * 1.03)


ALL = sorted(set(eligibility._trainer_names()))
KNOWN = eligibility._HARMLESS
NAMED = [name for name in ALL if name not in KNOWN]


def overriding(name):
    """A class whose method does something beside that of Keras."""
    found = getattr(keras.Model, name)
    if isinstance(found, property):

        def get(self):
            return getattr(super(owner, self), name)

        owner = type("Own", (keras.Model,), {name: property(get)})
        return owner

    def call(self, *args, **kwargs):
        if getattr(self, "compiled", False) and not tf.inside_function():
            bump(self)
        return getattr(super(owner, self), name)(*args, **kwargs)

    owner = type("Own", (keras.Model,), {name: call})
    return owner


@pytest.mark.parametrize("name", NAMED)
def test_every_method_that_a_cohort_does_not_call_is_named(name):
    cls = overriding(name)
    model = network(cls)
    assert why_not_in_cohort(model) == f"the model has its own `{name}`"
    assert why_not_in_cohort(network(type("Later", (cls,), {}))) is not None
    assert why_not_in_cohort(network()) is None


PUBLIC = ("fit", "evaluate", "make_train_function", "make_test_function")
PUBLIC += ("reset_metrics", "get_metrics_result")


def test_no_public_method_is_forgotten():
    assert {name for name in NAMED if not name.startswith("_")} == {
        *PUBLIC,
        "distribute_strategy",
    }


@pytest.mark.parametrize("name", everyday(of=PUBLIC))
def test_a_method_with_effects_has_them_as_in_fit(name):
    build = lambda: network(overriding(name))  # noqa: E731
    assert alone(build, 3, **VALIDATED) != alone(network, 3, **VALIDATED)
    assert f"`{name}`" in same_as_alone(build, **VALIDATED)


def doubled_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **k):
    return 2 * keras.Model.compute_loss(self, x, y, y_pred, sample_weight, **k)


def half_step(self, data):
    logs = keras.Model.train_step(self, data)
    bump(self)
    return logs


def other_test(self, data):
    x, y = data
    return keras.Model.test_step(self, (x + 1, y))


def more_metrics(self, x, y, y_pred, sample_weight=None):
    logs = keras.Model.compute_metrics(self, x, y, y_pred, sample_weight)
    return {**logs, "rmse": logs["loss"] ** 0.5}


HONOURED = {
    "train_step": half_step,
    "test_step": other_test,
    "compute_loss": doubled_loss,
    "compute_metrics": more_metrics,
    "metrics": property(lambda self: keras.Model.metrics.fget(self)[:1]),
    "jit_compile": property(lambda self: False, lambda self, value: None),
}


@pytest.mark.parametrize(
    "name", everyday("compute_metrics", "metrics", of=list(HONOURED))
)
@pytest.mark.parametrize("data", everyday("arrays", of=["arrays", "stream"]))
def test_what_a_cohort_calls_is_called_as_in_fit(name, data):
    fit = {"arrays": VALIDATED, "stream": STREAM}[data]
    cls = type("Own", (keras.Model,), {name: HONOURED[name]})
    assert same_as_alone(lambda: network(cls), **fit) is None


NOT_CALLED = [
    *("predict", "predict_step", "predict_on_batch", "train_on_batch"),
    *("test_on_batch", "make_predict_function", "metrics_names"),
    *("stateless_compute_loss", "compiled_loss", "compiled_metrics"),
    *("get_compile_config", "compile_from_config"),
]


def test_what_fit_does_not_call_is_no_reason():
    def refuse(self, *args, **kwargs):
        raise AssertionError

    cls = type("Own", (keras.Model,), dict.fromkeys(NOT_CALLED, refuse))
    assert same_as_alone(lambda: network(cls), **VALIDATED) is None


def test_methods_set_on_the_model_or_on_keras_are_seen(monkeypatch):
    model = network()
    model.evaluate = lambda *args, **kwargs: {"loss": 1.0}
    assert "`evaluate`" in why_not_in_cohort(model)
    model = network()
    model.fit = types.MethodType(lambda self, *args, **kwargs: None, model)
    assert "`fit`" in why_not_in_cohort(model)
    model = network()
    model.train_function = lambda iterator: {"loss": 1.0}
    assert "`train_function`" in why_not_in_cohort(model)
    monkeypatch.setattr(keras.Model, "fit", lambda self, x: None)
    assert "`fit`" in why_not_in_cohort(network())


# Own `fit` of all kinds.


class Scaled(keras.Model):
    def fit(self, x=None, y=None, **kwargs):
        return super().fit(x, y / 10, **kwargs)


class TwoPhases(keras.Model):
    def fit(self, *args, **kwargs):
        super().fit(*args, **kwargs)
        self.optimizer.learning_rate = 0.01
        return super().fit(*args, **kwargs)


class Merged(keras.Model):
    def fit(self, *args, **kwargs):
        first = super().fit(*args, **kwargs).history
        bump(self)
        history = super().fit(*args, **kwargs)
        for name, values in first.items():
            history.history[name][:0] = values
        return history


class ByPosition(keras.Model):
    def fit(self, data, target, /, epochs, *, callbacks, batch_size):
        return super().fit(
            data,
            target,
            epochs=epochs,
            callbacks=callbacks,
            batch_size=batch_size,
            verbose=0,
        )


class Stated(keras.Model):
    """Returns its last loss."""

    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs).history["loss"][-1]


class Logs(keras.Model):
    def fit(self, *args, **kwargs):
        return dict(super().fit(*args, **kwargs).history)


KINDS = {cls.__name__: cls for cls in (Scaled, TwoPhases, Merged, Logs)}


@pytest.mark.parametrize("name", everyday("TwoPhases", of=list(KINDS)))
def test_the_curves_are_those_that_fit_returns(name, tmp_path):
    path = str(tmp_path / "best.weights.h5")
    build = lambda: network(KINDS[name])  # noqa: E731

    def expected():
        keras.utils.set_random_seed(3)
        history = build().fit(**FIT, verbose=0)
        return getattr(history, "history", history)

    (outcome,) = outcomes_of(build, count=1, checkpoint=path, **FIT)
    assert outcome.history == expected()
    assert outcome.alone_because == "the model has its own `fit`"
    assert outcome.notes == ()
    assert outcome.has_checkpoint
    assert outcome.seconds > 0


@pytest.mark.parametrize(
    "cls",
    [
        Merged,
        pytest.param(TwoPhases, marks=pytest.mark.slow),
        pytest.param(keras.Model, marks=pytest.mark.slow),
    ],
)
def test_the_kept_weights_are_those_of_the_best_epoch(cls, tmp_path):
    path = str(tmp_path / "best.weights.h5")
    task = Task(
        build=lambda execution: network(cls),
        data=Data(FitArguments.of(**{**VALIDATED, "epochs": 4})),
        objective=[("val_loss", "min")],
    )
    (outcome,) = evaluate([Execution(name="0", seed=3, checkpoint=path)], task)
    model = network()
    read_weights(model, path)
    loss = model.evaluate(X[:20], Y[:20], verbose=0)[0]
    assert np.isclose(loss, min(outcome.history["val_loss"]), rtol=1e-5)


def test_nothing_that_was_not_given_reaches_an_own_fit():
    given = {"epochs": 1, "batch_size": 16}
    (outcome,) = outcomes_of(
        lambda: network(ByPosition), X, Y, count=1, **given
    )
    assert outcome.message is None
    assert list(outcome.curves) == ["loss", "mae"]

    class Strict(keras.Model):
        def fit(self, x, y, callbacks):
            return super().fit(x, y, callbacks=callbacks, verbose=0)

    (outcome,) = outcomes_of(lambda: network(Strict), count=1, x=X, y=Y)
    assert outcome.message is None

    class Recorded(keras.Model):
        def fit(self, *args, **kwargs):
            type(self).seen = (len(args), sorted(kwargs))
            return super().fit(*args, **kwargs)

    outcomes_of(lambda: network(Recorded), X, Y, count=1, shuffle=False)
    assert Recorded.seen == (2, ["callbacks", "shuffle", "verbose"])


def test_one_epoch_is_one_whatever_the_default_of_an_own_fit_is():
    class Longer(keras.Model):
        def fit(self, x, y, epochs=3, **kwargs):
            return super().fit(x, y, epochs=epochs, **kwargs)

    class Single(keras.Model):
        def fit(self, x, y, callbacks=None):
            return super().fit(x, y, verbose=0, callbacks=callbacks)

    def epochs_of(cls, **fit):
        task = Task(
            build=lambda execution: network(cls),
            data=Data(FitArguments.of(X, Y)),
            objective=[("loss", "min")],
        )
        (outcome,) = evaluate([Execution(name="0", seed=3, fit=fit)], task)
        return len(outcome.history["loss"])

    assert epochs_of(Longer) == 3
    assert [epochs_of(Longer, epochs=n) for n in (1, 2)] == [1, 2]
    assert epochs_of(Single, epochs=1) == 1


def test_a_number_is_the_objective_and_the_weights_are_those_at_the_end(
    tmp_path,
):
    path = str(tmp_path / "end.weights.h5")
    (outcome,) = outcomes_of(
        lambda: network(Stated), count=1, checkpoint=path, **FIT
    )
    expected = alone(network, 3, **FIT)["loss"][-1:]
    assert outcome.history == {"loss": expected}
    assert outcome.has_checkpoint
    assert "at the end" in outcome.notes[0]


class Uncompiled(keras.Model):
    """Trains itself, without `compile` and callbacks."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def fit(self, x, y, epochs=1, callbacks=()):
        losses = []
        for _ in range(epochs):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x) - y) ** 2)
            for weight, slope in zip(
                self.weights, tape.gradient(loss, self.weights), strict=True
            ):
                weight.assign_sub(0.1 * slope)
            losses.append(float(loss))
        return {"loss": losses}


def test_a_model_that_is_not_compiled_may_bring_its_own_fit(tmp_path):
    path = str(tmp_path / "end.weights.h5")
    outcomes = outcomes_of(
        Uncompiled, count=1, checkpoint=path, x=X, y=Y, epochs=3
    )
    (outcome,) = outcomes
    assert outcome.message is None
    assert len(outcome.history["loss"]) == 3
    assert outcome.params == 5
    assert outcome.has_checkpoint
    assert "called no callbacks" in outcome.notes[0]


def test_a_model_without_compile_and_own_fit_is_refused():
    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    (outcome,) = outcomes_of(build, count=1, **FIT)
    assert outcome.status == "failed"
    assert "Call `model.compile" in outcome.message


def test_what_an_own_fit_must_return_is_said():
    class Wrong(keras.Model):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            return "done"

    first, second = outcomes_of(lambda: network(Wrong), **FIT)
    assert first.status == second.status == "failed"
    assert "must return" in first.message
    assert "Received: 'done'" in first.message


def test_reasons_are_said_once():
    notices = Notices()
    outcomes = outcomes_of(lambda: network(Scaled), **FIT)
    with pytest.warns(UserWarning, match="its own `fit`") as said:
        notices.give(outcomes)
    assert len(said) == 1
    notices.give(outcomes)  # A warning would be an error.


@pytest.mark.slow
def test_others_of_the_cohort_do_not_notice():
    builds = [network, lambda: network(TwoPhases), network]
    task = Task(
        build=lambda execution: builds[int(execution.name)](),
        data=Data(FitArguments.of(**VALIDATED)),
        objective=[("loss", "min")],
    )
    outcomes = evaluate(
        [Execution(name=str(i), seed=3) for i in range(3)], task
    )
    expected = alone(network, 3, **VALIDATED)
    assert outcomes[0].history == outcomes[2].history == expected
    reasons = [outcome.alone_because for outcome in outcomes]
    assert reasons == [None, "the model has its own `fit`", None]


# Ways of running.


def in_scope(strategy):
    with strategy.scope():
        return network()


def with_shared_layer():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        shared = keras.layers.Dense(3)
        shared.build((None, 4))
    inputs = keras.Input((4,))
    return keras.Model(inputs, shared(inputs))


@pytest.mark.slow
def test_strategies_that_are_opened_in_build_are_seen():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    reason = same_as_alone(lambda: in_scope(strategy), **VALIDATED)
    assert "distribution strategy" in reason
    model = with_shared_layer()
    model.compile("sgd", "mse")
    assert "distribution strategy" in why_not_in_cohort(model)
    with strategy.scope():
        assert "scope" in eligibility.why_no_cohorts()


class Drawn(keras.layers.Layer):
    """Adds what a generator of Python or NumPy has drawn while traced."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def call(self, inputs):
        return inputs + self.draw()


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
@pytest.mark.parametrize("fit", [FIT, STREAM], ids=["arrays", "stream"])
def test_draws_of_other_generators_while_tracing_are_seen(draw, fit):
    def drawing():
        model = keras.Sequential(
            [keras.Input((4,)), Drawn(draw), keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        return model

    assert "while it is traced" in same_as_alone(drawing, **fit)


def test_draws_of_other_threads_are_not_those_of_keras_s_layers():
    is_over = threading.Event()

    def draw():
        while not is_over.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        outcomes = outcomes_of(network, **FIT)
    finally:
        is_over.set()
        thread.join()
    assert [o.alone_because for o in outcomes] == [None, None]


def test_eager_functions_and_models_are_seen():
    assert "eagerly" in same_as_alone(lambda: network(run_eagerly=True), **FIT)
    tf.config.run_functions_eagerly(True)
    ignored = "Even though the `tf.config.experimental_run_functions_eagerly`"
    warnings.filterwarnings("ignore", ignored, UserWarning)
    try:
        assert "run_functions_eagerly" in same_as_alone(network, **FIT)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.slow
def test_limits_of_keras_are_seen():
    keras.config.set_max_epochs(1)
    try:
        with pytest.warns(UserWarning, match="Limiting epochs"):
            reason = same_as_alone(network, **FIT)
    finally:
        keras.config.set_max_epochs(None)
    assert "set_max_epochs" in reason


class Batches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        logs["seen"] = batch


@pytest.mark.slow
def test_several_batches_in_one_are_seen_where_callbacks_listen():
    build = lambda: network(steps_per_execution=2)  # noqa: E731
    assert same_as_alone(build, **FIT) is None
    assert "batches" in same_as_alone(build, lambda: [Batches()], **FIT)


class Unfreeze(keras.callbacks.Callback):
    """Compiles the model anew in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.layers[1].trainable = False
            self.model.compile("sgd", "mse")
            self.model.make_train_function()


@pytest.mark.parametrize(
    "fit",
    [pytest.param(FIT, marks=pytest.mark.slow), STREAM],
    ids=["arrays", "stream"],
)
def test_callbacks_that_compile_the_model_are_seen(fit):
    reason = same_as_alone(network, lambda: [Unfreeze()], **fit)
    assert "`train_function`" in reason


class Rescaled(keras.layers.Layer):
    """A layer of the user's own, with settings of many kinds."""

    def __init__(self):
        super().__init__()
        self.scale = np.float32(1)
        self.scales = [1.0]
        self.table = {"a": np.ones(1, "float32")}

    def call(self, x):
        return x * self.scale * self.scales[0] * self.table["a"]


class Weighted(keras.losses.Loss):
    weight = 1.0

    def call(self, y_true, y_pred):
        return self.weight * keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def scaled():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "tanh", kernel_regularizer="l2")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(Rescaled()(hidden)))
    model.compile(keras.optimizers.Adam(0.05), Weighted(), metrics=["mae"])
    return model


class Changes(keras.callbacks.Callback):
    """Changes something of the network before its first batch."""

    def __init__(self, change, hook="on_train_begin"):
        super().__init__()
        self.change, self.hook = change, hook

    def on_train_begin(self, logs=None):
        if self.hook == "on_train_begin":
            self.change(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if self.hook == "on_epoch_begin":
            self.change(self.model)


def frozen(model):
    model.layers[1].trainable = False


CHANGES = {
    "trainable": frozen,
    "optimizer": lambda model: setattr(model.optimizer, "beta_1", 0.1),
    "attribute": lambda model: setattr(model.layers[2], "scale", np.float32(3)),
    "list": lambda model: model.layers[2].scales.__setitem__(0, 3.0),
    "array": lambda model: model.layers[2].table["a"].fill(3),
    "loss": lambda model: setattr(model.loss, "weight", 5.0),
    "regularizer": lambda model: setattr(
        model.layers[1].kernel_regularizer, "l2", 1.0
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_callback_changes_before_the_first_batch_counts(change):
    def callbacks():
        return [Changes(CHANGES[change])]

    reason = same_as_alone(scaled, callbacks, **FIT)
    assert "before its first batch" in reason
    assert (
        same_as_alone(scaled, lambda: [Changes(lambda model: None)], **FIT)
        is None
    )


def test_what_a_callback_changes_as_an_epoch_begins_counts():
    def callbacks():
        return [Changes(frozen, "on_epoch_begin")]

    assert "before its first batch" in same_as_alone(scaled, callbacks, **FIT)
    assert same_as_alone(scaled, callbacks, **STREAM) is None


def stop(model):
    model.stop_training = True


@pytest.mark.parametrize("fit", [FIT, STREAM], ids=["arrays", "stream"])
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin"])
def test_a_callback_that_stops_before_a_batch(hook, fit):
    reason = same_as_alone(network, lambda: [Changes(stop, hook)], **fit)
    assert "stops the training before" in reason


class Extremes(keras.metrics.Metric):
    """A metric of two numbers."""

    def __init__(self):
        super().__init__(name="extremes")
        self.most = self.add_weight(initializer="zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(keras.ops.max(y_pred))

    def result(self):
        return {"most": self.most + 0, "least": -self.most}


@pytest.mark.parametrize("callback", [[], [Batches]], ids=["arrays", "stream"])
def test_a_metric_of_several_numbers(callback):
    def build():
        model = network()
        model.compile("sgd", "mse", metrics=[Extremes()])
        return model

    def callbacks():
        return [one() for one in callback]

    assert same_as_alone(build, callbacks, **VALIDATED) is None


def test_the_last_epoch_may_be_shorter():
    fit = {**FIT, "epochs": 2, "batch_size": 8, "steps_per_epoch": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras tells it.
        assert same_as_alone(network, **fit) is None


class StopValidation(keras.callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        self.model.stop_evaluating = True


def test_callbacks_may_stop_a_validation():
    fit = {**VALIDATED, "validation_batch_size": 8}
    assert same_as_alone(network, lambda: [StopValidation()], **fit) is None


class Draws(keras.callbacks.Callback):
    """Draws from the generators of NumPy and of Python."""

    def on_epoch_end(self, epoch, logs=None):
        logs["drawn"] = np.random.random() + random.random()  # noqa: NPY002


class DrawsInside(Draws):
    """Draws in each batch, too."""

    def on_train_batch_end(self, batch, logs=None):
        random.random()


@pytest.mark.parametrize("draws", [Draws, DrawsInside])
@pytest.mark.parametrize("fit", [FIT, STREAM], ids=["arrays", "stream"])
def test_callbacks_that_draw_random_numbers(fit, draws):
    assert same_as_alone(network, lambda: [draws()], **fit) is None


def test_a_profiler_is_for_one_network_at_a_time(tmp_path):
    def board():
        return keras.callbacks.TensorBoard(tmp_path, profile_batch=2)

    reason = same_as_alone(network, lambda: [board()], **FIT)
    assert "one profiler" in reason


def test_what_a_cut_training_backed_up_is_removed(tmp_path):
    def callbacks():
        return [keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))]

    expected = outcomes_of(network, callbacks=callbacks(), **FIT)
    for stop in (0, 1):  # The last backup is that of the end.
        cut = [*callbacks(), Fails(stop)]
        assert outcomes_of(network, callbacks=cut, **FIT)[0].message
        assert [*tmp_path.rglob("*.h5")]
        outcomes = outcomes_of(network, callbacks=callbacks(), **FIT)
        assert [o.curves for o in outcomes] == [o.curves for o in expected]
        assert [o.alone_because for o in outcomes] == [None, None]


class Fails(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("cut")


def test_a_training_that_is_restored_goes_on(tmp_path):
    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=0)

    task = Task(
        build=lambda execution: network(),
        data=Data(FitArguments.of(**FIT, callbacks=[backup()])),
        objective=[("loss", "min")],
        adapt_callbacks=lambda execution, own: own,
    )
    with pytest.raises(RuntimeError):
        alone(network, 3, [backup(), Killed()], **FIT)
    (outcome,) = evaluate([Execution(name="0", seed=3)], task)
    assert outcome.message is None
    assert [epoch for epoch, _ in outcome.curves["loss"]] == [1]
    assert "restored" in outcome.alone_because
