"""Compares scores with shared weights with trainings alone.

A supernet of six positions, each with the same options, is trained on images of
half the resolution. Random networks of it are scored with its weights and
trained alone; the table has Kendall's tau of both orders, the same given the
number of parameters, and what that number alone foretells. Then a shortlist of
the best scores under a limit of parameters is trained alone, beside random
networks under the limit.

```sh
python -m keras_evonas.benchmarks ranks --images=fashion_mnist.npz --seeds=3
```

Trainings alone are kept in the file `--alone`, so that another supernet is
compared with the same ones.
"""

import dataclasses
import json
import math
import pathlib
import statistics
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.benchmarks.datasets import name_of
from keras_evonas.benchmarks.shared_scores import train_supernet
from keras_evonas.benchmarks.stand_alone import train_alone
from keras_evonas.benchmarks.summaries import table

if TYPE_CHECKING:
    import keras
    import keras_tuner

# The names of a network's options, by position.
_Network = tuple[str, ...]

_POSITIONS = 6
_OPTIONS = ("conv_3x3", "conv_5x5", "separable_3x3", "max_pool", "skip")
# After these positions, the resolution is halved.
_HALVED = (1, 3)
_BATCH = 64
_RATE = 0.05
FLAGS = command.Flags()
_IMAGES = FLAGS.images()
_SAMPLERS = FLAGS.list("samplers", ["fair"], "Samplers of `single_path`.")
_SEEDS = FLAGS.seeds(3)
_EXAMPLES = FLAGS.positive("examples", 4000, "Images to train on.")
_EPOCHS = FLAGS.positive("epochs", 40, "Epochs of a supernet.")
_EPOCHS_ALONE = FLAGS.positive("epochs_alone", 12, "Epochs alone.")
_FILTERS = FLAGS.positive("filters", 16, "Filters of every convolution.")
_NETWORKS = FLAGS.positive("networks", 24, "Networks whose order is compared.")
_REPEATS = FLAGS.positive("repeats", 2, "Trainings alone of each of them.")
_SHORTLIST = FLAGS.positive("shortlist", 12, "Length of a shortlist.")
_SCORED = FLAGS.positive(
    "scored", 300, "Random networks under the limit, of which it is chosen."
)
_ALONE = FLAGS.string(
    "alone", None, "JSON file to keep trainings alone in. Defaults to none."
)
_MARKDOWN = FLAGS.markdown()
_HEADER = (
    *("supernet", "tau", "given parameters", "shortlist, mean", "its best"),
    "CPU seconds",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Result:
    """Holds what one supernet foretold, and what its shortlist reached."""

    tau: float
    partial: float
    shortlist: list[float]
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Compared:
    """The networks whose order is compared.

    `sizes` are their numbers of parameters, `means` their mean accuracies
    alone; a network of a shortlist may have as many parameters as the `limit`.
    """

    networks: list[_Network]
    sizes: list[int]
    means: list[float]
    limit: float


def main() -> None:
    """Runs the benchmark and prints its table."""
    with command.usage_errors():
        parts = images(
            _IMAGES.value, _EXAMPLES.value, validation=2000, halved=True
        )
    alone = _Alone(parts, _ALONE.value)
    networks = drawn(0, _NETWORKS.value)
    repeats = [
        [alone(network, seed) for network in networks]
        for seed in range(_REPEATS.value)
    ]
    sizes = [parameters_of(network) for network in networks]
    compared = _Compared(
        networks=networks,
        sizes=sizes,
        means=np.mean(repeats, axis=0).tolist(),
        limit=statistics.median(sizes),
    )
    rows = []
    for sampler in _SAMPLERS.value:
        results = []
        for seed in range(_SEEDS.value):
            results.append(_run(parts, alone, compared, sampler, seed))
            logging.info("%s, seed %d: %s", sampler, seed, results[-1])
        rows.append(_row(sampler, results))
    text = f"{table(_HEADER, rows)}\n\n{_told(compared, repeats)}"
    command.publish(text, _MARKDOWN.value)


class _Alone:
    """Trains networks alone, each once for a seed; a file may keep them."""

    def __init__(self, parts: Parts, path: str | None) -> None:
        # Judged by images that no supernet sees.
        self._parts = parts._replace(validation=parts.held_out)
        self._path = pathlib.Path(path) if path else None
        self._known: dict[str, float] = {}
        if self._path and self._path.exists():
            self._known = json.loads(self._path.read_text(encoding="utf-8"))

    def __call__(self, network: _Network, seed: int) -> float:
        """Returns the accuracy on held-out images, in percent."""
        settings = (_EXAMPLES.value, _EPOCHS_ALONE.value, _FILTERS.value)
        key = " ".join(map(str, (*network, *settings, seed)))
        if key not in self._known:
            accuracy = train_alone(
                hypermodel(self._parts, _EPOCHS_ALONE.value),
                values_of(network),
                self._parts,
                epochs=_EPOCHS_ALONE.value,
                batch_size=_BATCH,
                seed=seed,
            )
            self._known[key] = 100 * accuracy
            if self._path:
                content = json.dumps(self._known, indent=0)
                self._path.write_text(content, encoding="utf-8")
        return self._known[key]


def _run(
    parts: Parts, alone: _Alone, compared: _Compared, sampler: str, seed: int
) -> _Result:
    """Trains a supernet, and compares its scores with trainings alone."""
    begun = time.process_time()
    scored = train_supernet(
        hypermodel(parts, _EPOCHS.value),
        parts,
        sampler=sampler,
        epochs=_EPOCHS.value,
        batch_size=_BATCH,
        seed=seed,
    )

    def score(network: _Network) -> float:
        return scored(values_of(network))

    scores = [score(network) for network in compared.networks]
    small = [
        network
        for network in drawn(1 + seed, 4 * _SCORED.value)
        if parameters_of(network) <= compared.limit
    ][: _SCORED.value]
    best = sorted(small, key=score, reverse=True)[: _SHORTLIST.value]
    seconds = time.process_time() - begun
    order, partial = foretold(scores, compared.sizes, compared.means)
    return _Result(
        tau=order,
        partial=partial,
        shortlist=[alone(network, seed) for network in best],
        seconds=seconds,
    )


def hypermodel(
    parts: Parts, epochs: int
) -> "Callable[[keras_tuner.HyperParameters], keras.Model]":
    """Makes the space; its networks are trained for so many epochs."""
    import keras

    from keras_evonas.models import layer_choice

    layers, filters = keras.layers, _FILTERS.value
    steps = parts.steps(epochs, _BATCH)

    def unit(layer: keras.Layer) -> keras.Layer:
        after = [layers.BatchNormalization(), layers.ReLU()]
        return keras.Sequential([layer, *after])

    def convolution(kind: type[keras.Layer], side: int) -> keras.Layer:
        return unit(kind(filters, side, padding="same", use_bias=False))

    options: dict[str, Callable[[], keras.Layer]] = {
        "conv_3x3": lambda: convolution(layers.Conv2D, 3),
        "conv_5x5": lambda: convolution(layers.Conv2D, 5),
        "separable_3x3": lambda: convolution(layers.SeparableConv2D, 3),
        "max_pool": lambda: unit(layers.MaxPooling2D(3, 1, padding="same")),
        "skip": layers.Identity,
    }

    def build(hp: "keras_tuner.HyperParameters") -> keras.Model:
        inputs = keras.Input(parts.input_shape)
        tensor = convolution(layers.Conv2D, 3)(inputs)
        for position in range(_POSITIONS):
            tensor = layer_choice(hp, _name(position), options)(tensor)
            if position in _HALVED:
                tensor = layers.MaxPooling2D(2)(tensor)
        tensor = layers.GlobalAveragePooling2D()(tensor)
        model = keras.Model(inputs, layers.Dense(10, "softmax")(tensor))
        rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    return build


def parameters_of(network: _Network) -> int:
    """Returns the number of parameters that options add to a network."""
    filters = _FILTERS.value
    sizes = {
        "conv_3x3": (9 * filters + 4) * filters,
        "conv_5x5": (25 * filters + 4) * filters,
        "separable_3x3": (9 + filters + 4) * filters,
        "max_pool": 4 * filters,
        "skip": 0,
    }
    return sum(sizes[option] for option in network)


def drawn(seed: int, number: int) -> list[_Network]:
    """Draws distinct networks."""
    rng = np.random.default_rng([seed, _POSITIONS])
    drawn: dict[_Network, None] = {}
    while len(drawn) < number:
        options = rng.choice(_OPTIONS, _POSITIONS)
        drawn[tuple(map(str, options))] = None
    return list(drawn)


def values_of(network: _Network) -> dict[str, str]:
    """Returns the hyperparameters of a network."""
    return {_name(n): option for n, option in enumerate(network)}


def _name(position: int) -> str:
    return f"layer_{position}"


def foretold(
    scores: Sequence[float], sizes: Sequence[float], means: Sequence[float]
) -> tuple[float, float]:
    """Returns Kendall's tau of scores and accuracies alone.

    The second is the partial one, given the sizes (Kendall, 1942): what scores
    tell of networks of equal size.
    """
    scored, sized = tau(scores, means), tau(sizes, means)
    both = tau(scores, sizes)
    rest = (1 - sized**2) * (1 - both**2)
    partial = (scored - sized * both) / math.sqrt(rest) if rest else scored
    return scored, partial


def tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Returns Kendall's rank correlation."""
    from scipy import stats

    return float(stats.kendalltau(a, b).statistic)


def _row(sampler: str, results: Sequence[_Result]) -> list[str]:
    def shown(values: Sequence[float], digits: int) -> str:
        each = " ".join(f"{value:.{digits}f}" for value in values)
        return f"{statistics.mean(values):.{digits}f} ({each})"

    mean = statistics.mean
    return [
        sampler,
        shown([one.tau for one in results], 2),
        shown([one.partial for one in results], 2),
        shown([mean(one.shortlist) for one in results], 2),
        shown([max(one.shortlist) for one in results], 2),
        f"{mean(one.seconds for one in results):.0f}",
    ]


def _told(compared: _Compared, repeats: Sequence[Sequence[float]]) -> str:
    """Returns the sentences below the table."""
    agreed = "-"
    if len(repeats) > 1:
        agreed = f"{tau(repeats[0], repeats[1]):.2f}"
    small = [
        mean
        for mean, size in zip(compared.means, compared.sizes, strict=True)
        if size <= compared.limit
    ]
    return (
        f"The number of parameters alone has a tau of "
        f"{tau(compared.sizes, compared.means):.2f}, and two trainings alone "
        f"of {len(compared.networks)} networks agree by {agreed}. A shortlist "
        f"has the {_SHORTLIST.value} best of {_SCORED.value} scored networks "
        "of at most the median number of parameters; the "
        f"{len(small)} random ones under it have a mean of "
        f"{statistics.mean(small):.2f} and a best of {max(small):.2f}. Each "
        f"alone trains for {_EPOCHS_ALONE.value} epochs, a supernet for "
        f"{_EPOCHS.value}, on {_EXAMPLES.value} images of "
        f"{name_of(_IMAGES.value)} at half the resolution, with "
        f"{_FILTERS.value} filters. {_SEEDS.value} seeds, "
        f"{command.machine()}.\n"
    )
