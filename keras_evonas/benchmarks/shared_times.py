"""Times of a supernet, beside those of its networks alone.

The space is that of `shared_ranks`: six positions of five options. Measured are
the steps of a supernet that trains one path at a time, scores of networks with
shared weights, and the first epoch of DARTS with all that it traces.

```sh
python -m keras_evonas.benchmarks shared_times --images=fashion_mnist.npz
```
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import TypeVar

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import shared_ranks
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.benchmarks.datasets import name_of
from keras_evonas.benchmarks.shared_scores import arguments_of
from keras_evonas.benchmarks.shared_scores import train
from keras_evonas.benchmarks.summaries import table

if TYPE_CHECKING:
    import keras

    from keras_evonas.supernets import Supernet
    from keras_evonas.training.arguments import FitArguments

_T = TypeVar("_T")

_BATCH = 64
# Epochs of which the first is left out: it is traced.
_EPOCHS = 4
# Images that networks are scored on, and images in a batch of them.
_HELD_OUT = 2000
_SCORED_TOGETHER = 500
FLAGS = command.Flags()
_IMAGES = FLAGS.images()
_EXAMPLES = FLAGS.positive("examples", 3968, "Images to train on.")
_ALONE = FLAGS.positive("alone", 8, "Networks trained and scored alone.")
_SCORED = FLAGS.positive("scored", 40, "Networks scored by shared weights.")
_MARKDOWN = FLAGS.markdown()


def main() -> None:
    """Runs the benchmark and prints its table."""
    # Filters of the space.
    shared_ranks.FLAGS.values.mark_as_parsed()
    with command.usage_errors():
        parts = images(
            _IMAGES.value, _EXAMPLES.value, validation=_HELD_OUT, halved=True
        )
    rows = [*_single_path(parts), *_differentiable(parts)]
    text = (
        f"{table(('', 'measured'), rows)}\n\n"
        f"{_EXAMPLES.value} images of {name_of(_IMAGES.value)} at half the "
        f"resolution in batches of {_BATCH}; networks are calibrated on 512 "
        f"images and scored on {_HELD_OUT}; alone, {_ALONE.value} random "
        f"networks. {command.machine()}.\n"
    )
    command.publish(text, _MARKDOWN.value)


def _single_path(parts: Parts) -> list[tuple[str, str]]:
    """Times a supernet whose steps take one path each."""
    import keras

    from keras_evonas.supernets import Scorer
    from keras_evonas.supernets import Supernet
    from keras_evonas.supernets import single_path
    from keras_evonas.supernets.data import scoring_data

    epochs: list[float] = []
    begun = [0.0]
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: begun.append(time.perf_counter()),
        on_epoch_end=lambda *_: epochs.append(time.perf_counter() - begun[-1]),
    )
    arguments = arguments_of(parts, _BATCH, [clock])
    supernet = Supernet(shared_ranks.hypermodel(parts, _EPOCHS))
    sharing = single_path(_EPOCHS)
    train(supernet, sharing, arguments, seed=0)
    networks = shared_ranks.drawn(0, max(_ALONE.value, _SCORED.value))
    values = [shared_ranks.values_of(network) for network in networks]
    alone = [
        _epoch_alone(supernet.subnet(one), arguments)
        for one in values[: _ALONE.value]
    ]
    scorer = Scorer(supernet, *scoring_data(arguments, sharing.calibration))

    def score(one: Mapping[str, str]) -> object:
        return scorer.score(supernet.path_of(one))

    def score_built(one: Mapping[str, str]) -> object:
        return _score_built(supernet, one, arguments, sharing.calibration)

    score(values[0])  # It is traced.
    scored = _seconds_of(score, values[: _SCORED.value])
    built = _seconds_of(score_built, values[: _ALONE.value])
    path, network = statistics.median(epochs[1:]), statistics.mean(alone)
    return [
        ("tracing a supernet, s", f"{epochs[0] - path:.1f}"),
        ("its steps a second, of those alone", f"{network / path:.2f}"),
        ("networks scored a second", f"{1 / scored:.1f}"),
        ("times as fast as a model for each", f"{built / scored:.1f}"),
    ]


def _epoch_alone(model: "keras.Model", arguments: "FitArguments") -> float:
    """Returns the seconds of an epoch of a network, traced as a whole."""
    import tensorflow as tf

    from keras_evonas.training.arrays import arrays_of
    from keras_evonas.training.programs import prepare
    from keras_evonas.training.programs import train_epoch

    arrays = arrays_of(arguments)
    if arrays is None:
        raise TypeError("`arguments` must hold arrays.")
    data, _ = arrays
    prepare(model, data.cut(0), data.static_batch_size)
    epoch, order = train_epoch(model, data), tf.range(data.size, dtype="int64")

    def run(number: int) -> None:
        del number
        for value in epoch(order, *data.leaves).values():
            value.numpy()

    run(0)
    return _seconds_of(run, range(_EPOCHS - 1))


def _score_built(
    supernet: "Supernet",
    values: Mapping[str, str],
    arguments: "FitArguments",
    calibration: int,
) -> float:
    """Scores a network by building it, with its share of the weights."""
    from keras_evonas.supernets import calibrate

    model = supernet.subnet(values)
    calibrate(model, [arguments.x[:calibration]])
    x, y = arguments.validation_data
    logs = model.evaluate(
        x, y, batch_size=_SCORED_TOGETHER, verbose=0, return_dict=True
    )
    return float(logs["loss"])


def _differentiable(parts: Parts) -> list[tuple[str, str]]:
    """Times DARTS of both orders, to the end of the first epoch."""
    from keras_evonas.supernets import DifferentiableSearch
    from keras_evonas.supernets import differentiable

    def run(order: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            search = DifferentiableSearch(
                shared_ranks.hypermodel(parts, 1),
                differentiable(epochs=1, order=order),
                seed=0,
                directory=folder,
            )
            search.search(*parts.training, batch_size=_BATCH)

    return [
        (f"DARTS, order {order}, first epoch, s", f"{seconds:.1f}")
        for order in (1, 2)
        for seconds in [_seconds_of(run, [order])]
    ]


def _seconds_of(run: Callable[[_T], object], of: Sequence[_T]) -> float:
    """Returns the mean seconds that something takes, of some."""
    begun = time.perf_counter()
    for one in of:
        run(one)
    return (time.perf_counter() - begun) / len(of)
