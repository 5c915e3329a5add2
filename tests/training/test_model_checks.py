"""Bad calls are refused with the way out, and legal ones never."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.training import FitArguments
from keras_evonas.training.checks import check_fit
from keras_evonas.training.model_checks import check_fits_model
from tests.marks import everyday
from tests.training import calls

pytestmark = pytest.mark.keras


def check(build, call, run=isolated, **compiled):
    arguments = FitArguments.of(**call())
    check_fit(arguments)
    return run(
        lambda: (
            check_fits_model(lambda: build(**compiled), arguments).is_certain
        )
    )


def refusals(build, call):
    """What is said about a call; about networks, in all ways to build them."""
    try:
        check_fit(FitArguments.of(**call()))
    except ValueError as error:
        return {str(error)}
    said = set()
    for way, options in WAYS.items():
        try:
            is_certain = check(build, call, **options)
        except ValueError as error:
            said.add(str(error).partition(" Keras says:")[0])
        else:
            # Code of the user's own may need values to run eagerly.
            assert way == "eagerly without values"
            assert not is_certain
    return said


def train(build, call, **compiled):
    return isolated(lambda: build(**compiled).fit(**call(), verbose=0).epoch)


@pytest.mark.parametrize(
    "names", [{"loss": "mean_sqared_error"}, {"metrics": ["acuracy"]}]
)
def test_names_that_keras_does_not_know_are_those_of_compile(names):
    def build(**options):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(**{"loss": "mse", **names, **options})
        return model

    (said,) = refusals(build, lambda: {"x": np.zeros((8, 3)), "y": np.zeros(8)})
    assert said.startswith("`compile` must be given losses and metrics that")


WAYS = {
    "as it is": {},
    "eagerly": {"run_eagerly": True},
    "without values": {"run": without_allocation},
    "eagerly without values": {"run": without_allocation, "run_eagerly": True},
}


@pytest.mark.parametrize("words", calls.BAD, ids=" ".join)
def test_bad_calls_are_refused_in_the_same_words_everywhere(words):
    messages = refusals(*calls.BAD[words])
    assert len(messages) == 1
    (message,) = messages
    assert "Received" in message
    for word in words:
        assert word in message
        message = message[message.index(word) :]


EVERYDAY = (
    *("arrays", "a column more", "an ignored label", "inputs by name"),
    *("outputs by name", "words", "a data set", "a PyDataset", "a generator"),
    *("no targets to validate", "a step of its own", "a loss of its own"),
)


@pytest.mark.parametrize("name", everyday(*EVERYDAY, of=calls.GOOD))
@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's own.
def test_what_keras_trains_with_is_accepted(name):
    build, call = calls.GOOD[name]
    for options in WAYS.values():
        check(build, call, **options)

    assert train(build, call) == [0]


@pytest.mark.parametrize("name", calls.ONLY_EAGER)
def test_what_needs_values_is_tried_with_values(name):
    build, call = calls.ONLY_EAGER[name]

    assert check(build, call, run_eagerly=True)
    assert not check(build, call, run=without_allocation, run_eagerly=True)
    assert train(build, call, run_eagerly=True) == [0]
    with pytest.raises(ValueError, match="`y` must suit"):
        check(build, call)


def test_a_fixed_batch_size_changes_no_verdict():
    def verdict(build, labels, **options):
        call = {"x": calls.X, "y": labels, "batch_size": 8}
        try:
            return check(build, lambda: call, **options)
        except ValueError as error:
            return str(error).partition(" Keras says:")[0]

    for build in (calls.regression, calls.one_hot, calls.two_outputs):
        for labels in (calls.Y, calls.LABELS, calls.ONE_HOT):
            assert verdict(build, labels, batch_size=8) == verdict(
                build, labels
            )


def _random_call(rng):
    """A network and data whose shapes go together now and then."""
    rows = int(rng.choice([4, 6]))
    widths = (1, 3, rows)
    units = int(rng.choice(widths))

    def shape():
        rank = rng.integers(0, 3)
        return tuple(int(width) for width in rng.choice(widths, rank))

    loss = rng.choice(
        [
            *("mse", "binary_crossentropy", "categorical_crossentropy"),
            *("sparse_categorical_crossentropy", "kl_divergence", "huber"),
        ]
    )
    inputs = shape() or (1,)
    x_shape = inputs if rng.random() < 0.7 else shape()
    call = {
        "x": rng.random((rows, *x_shape), "float32"),
        "y": rng.integers(0, 2, (rows, *shape())),
        "batch_size": int(rng.choice([rows, 4])),
    }
    if rng.random() < 0.3:
        call["sample_weight"] = rng.random((rows, *shape()))
    metrics = ["accuracy"] if rng.random() < 0.5 else None
    build = functools.partial(
        calls.network, units, str(loss), inputs, metrics=metrics
    )
    return build, call


@pytest.mark.parametrize("seed", everyday(0, of=range(20)))
@pytest.mark.filterwarnings("ignore:In loss categorical:SyntaxWarning")
def test_only_what_keras_refuses_is_refused(seed):
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(6):
        build, call = _random_call(rng)
        case = (build, functools.partial(dict, call))
        options = {"run_eagerly": bool(rng.random() < 0.5)}
        try:
            check(*case, **options)
        except ValueError:
            refused += 1
            with pytest.raises((ValueError, tf.errors.OpError)):
                train(*case, **options)
        else:
            assert train(*case, **options) == [0]
    assert 0 < refused < 6


def test_checking_reads_one_batch_at_most():
    read = []

    class Counted(calls.Batches):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    def count(x, y):
        read.append("a data set")
        return x, y

    data = tf.data.Dataset.from_generator(
        lambda: iter([count(calls.X, calls.Y)]),
        output_signature=(
            tf.TensorSpec((None, 3), "float32"),
            tf.TensorSpec((None, 1), "float32"),
        ),
    )
    generator = calls.generator()
    for call in (
        {"x": Counted(calls.X, calls.Y, number=9)},
        {"x": data},
        {"x": generator, "steps_per_epoch": 2},
    ):
        assert check(calls.regression, lambda call=call: call)

    assert set(read) == {0}
    assert next(generator)[0] is calls.X


class OfItsOwn(keras.Model):
    def fit(self, *args, **kwargs):
        raise NotImplementedError


def test_a_network_must_be_compiled_unless_it_has_its_own_fit():
    inputs = keras.Input((2,))
    arguments = FitArguments.of(calls.X, calls.Y)
    own = OfItsOwn(inputs, inputs)
    assert check_fits_model(lambda: own, arguments).is_certain
    model = keras.Model(inputs, inputs, name="small")
    with pytest.raises(
        ValueError, match="model 'small', which is not compiled"
    ):
        check_fits_model(lambda: model, arguments)
