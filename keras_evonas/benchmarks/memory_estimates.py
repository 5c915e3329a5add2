"""Accuracy of the estimate of the memory that training takes.

Each network is trained for two steps in a process of its own, after a tiny
network for which the libraries allocate once. The growth of the process's
memory at its peak stands beside `Costs.training_bytes`. Printed as a Markdown
table. Needs Linux, whose kernel records the peak.
"""

import multiprocessing
import pathlib
import statistics
from concurrent import futures

import keras
import numpy as np

from keras_evonas.benchmarks.command import Flags
from keras_evonas.models.costs import costs_of_build

FLAGS = Flags()
_ONLY = FLAGS.list("networks", [], "Networks to run, all by default.")

# Name: network, shape of an example, batch size.
_NETWORKS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "mlp_0.2M": ("mlp:256:3", (784,), 32),
    "mlp_5M": ("mlp:2048:2", (784,), 128),
    "mlp_37M": ("mlp:4096:3", (784,), 32),
    "mlp_100M": ("mlp:9600:2", (784,), 32),
    "cnn_small": ("cnn:32:2", (28, 28, 1), 32),
    "cnn_wide": ("cnn:128:3", (32, 32, 3), 64),
    "cnn_deep": ("cnn:64:12", (32, 32, 3), 32),
    "lstm": ("lstm:256", (50, 32), 64),
    "MobileNetV2": ("application:MobileNetV2", (96, 96, 3), 32),
    "EfficientNetB0": ("application:EfficientNetB0", (96, 96, 3), 16),
    "ResNet50": ("application:ResNet50", (96, 96, 3), 16),
    "DenseNet121": ("application:DenseNet121", (96, 96, 3), 16),
}


def main() -> None:
    """Runs the benchmark and prints its table."""
    names = _ONLY.value or list(_NETWORKS)
    print("| network | parameters | batch | estimate MB | peak MB | ratio |")
    print("|---|---|---|---|---|---|")
    ratios = []
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        with futures.ProcessPoolExecutor(1, spawn) as executor:
            found = executor.submit(_measure, name)
            params, estimate, peak = found.result()
        ratios.append(estimate / peak)
        print(
            f"| {name} | {params / 1e6:.1f} M | {_NETWORKS[name][2]} | "
            f"{estimate / 1e6:.0f} | {peak / 1e6:.0f} | {ratios[-1]:.2f} |",
            flush=True,
        )
    print(
        f"\nEstimate over peak: {min(ratios):.2f} to {max(ratios):.2f}, "
        f"median {statistics.median(ratios):.2f}."
    )


def _measure(name: str) -> tuple[int, int, int]:
    """Returns parameters, estimated bytes, and bytes at the peak."""
    network, shape, batch_size = _NETWORKS[name]
    _train("mlp:8:1", (4,), 32)
    costs = costs_of_build(
        lambda: _build(network, shape), batch_size=batch_size
    )
    before = _status_bytes("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    _train(network, shape, batch_size)
    peak = _status_bytes("VmHWM") - before
    return costs.params, costs.training_bytes, peak


def _train(network: str, shape: tuple[int, ...], batch_size: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((2 * batch_size, *shape), dtype=np.float32)
    y = rng.integers(10, size=2 * batch_size)
    _build(network, shape).fit(x, y, batch_size=batch_size, verbose=0)


def _build(network: str, shape: tuple[int, ...]) -> keras.Model:
    kind, *sizes = network.split(":")
    if kind == "application":
        model = getattr(keras.applications, sizes[0])(
            weights=None, input_shape=shape, classes=10
        )
    else:
        stack = _stack(kind, *map(int, sizes))
        output = keras.layers.Dense(10, "softmax")
        model = keras.Sequential([keras.Input(shape), *stack, output])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _stack(kind: str, width: int, depth: int = 1) -> list[keras.Layer]:
    layers = keras.layers
    if kind == "mlp":
        return [layers.Dense(width, "relu") for _ in range(depth)]
    if kind == "lstm":
        return [layers.LSTM(width) for _ in range(depth)]
    stack = []
    for _ in range(depth):
        stack.append(layers.Conv2D(width, 3, padding="same"))
        stack += [layers.BatchNormalization(), layers.ReLU()]
    return [*stack, layers.GlobalAveragePooling2D()]


def _status_bytes(field: str) -> int:
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    line = next(x for x in status.splitlines() if x.startswith(field + ":"))
    return 1024 * int(line.split()[1])
