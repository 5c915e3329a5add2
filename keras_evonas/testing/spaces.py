"""Spaces and problems to test search methods with, without training."""

from collections.abc import Callable
from typing import NamedTuple

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.space import SearchSpace

_UNITS = (8, 16, 32, 64, 128)
_KERNELS = (1, 3, 5, 7)


class Problem(NamedTuple):
    """A search space and a loss to minimise, a function of a genome."""

    space: SearchSpace
    loss: Callable[[Genome], float]


def conditional_trap(layers: int = 4) -> Problem:
    """Returns a problem in which single changes lead away from the optimum.

    A network has up to `layers` layers. A layer is dense, with units, or
    convolutional, with units and a kernel. Two traps make it deceptive: a new
    layer is mostly worse than none until it is tuned, and a dense layer is best
    with few units, while the best of all layers is convolutional and has many.

    | layer | loss |
    |---|---|
    | none | 0.5 |
    | dense, unit index `u` of 0 to 4 | `0.4 + 0.15 u` |
    | convolutional, kernel index `k` of 0 to 3 | `0.2 (4 - u + abs(k - 1))` |

    Args:
        layers: Integer, the largest number of layers. 2 makes 650 networks, 4
            make 406 900. Defaults to 4.

    Returns:
        The problem. Its loss is the mean over the layers; the best one is 0,
        reached only with all layers convolutional, 128 units and kernel 3.

    Raises:
        ValueError: If `layers` is not a positive integer.
    """
    check_positive_integer("layers", layers)
    depths = tuple(range(1, layers + 1))
    genes = [Gene("depth", Grid(depths))]
    for layer in range(layers):
        exists = Condition("depth", depths[layer:])
        kind = f"layer_{layer}/kind"
        convolutional = Condition(kind, ("conv",))
        genes += [
            Gene(kind, Categorical(("dense", "conv")), (exists,)),
            Gene(f"layer_{layer}/units", Grid(_UNITS), (exists,)),
            Gene(
                f"layer_{layer}/kernel", Grid(_KERNELS), (exists, convolutional)
            ),
        ]

    def loss(genome: Genome) -> float:
        depth = depths.index(genome["depth"]) + 1
        absent = layers - depth
        present = sum(_layer_loss(genome, layer) for layer in range(depth))
        return (0.5 * absent + present) / layers

    return Problem(SearchSpace(genes), loss)


def _layer_loss(genome: Genome, layer: int) -> float:
    units = _UNITS.index(genome[f"layer_{layer}/units"])
    if genome[f"layer_{layer}/kind"] == "dense":
        return 0.4 + 0.15 * units
    kernel = _KERNELS.index(genome[f"layer_{layer}/kernel"])
    return 0.2 * (4 - units) + 0.2 * abs(kernel - 1)


def mixed_space() -> SearchSpace:
    """Returns a space with every kind of gene.

    It holds each domain and scale, a constant, nested conditions, and one
    name that two genes share under different conditions.
    """
    adam = Condition("optimizer", ("adam",))
    sgd = Condition("optimizer", ("sgd",))
    nesterov = Condition("nesterov", (True,))
    return SearchSpace(
        [
            Gene("classes", Categorical((10,))),
            Gene("optimizer", Categorical(("sgd", "adam"))),
            Gene("learning_rate", Interval(1e-4, 1e-1, scale="log"), (sgd,)),
            Gene("learning_rate", Interval(1e-5, 1e-2, scale="log"), (adam,)),
            Gene("nesterov", Categorical((False, True)), (sgd,)),
            Gene(
                "momentum",
                Interval(0.5, 0.999, scale="reverse_log"),
                (sgd, nesterov),
            ),
            Gene("dropout", Interval(0.0, 0.5)),
            Gene("units", Interval(1, 300, scale="log", integer=True)),
            Gene("batch_size", Grid((16, 32, 64, 128))),
        ]
    )


def example_spaces() -> dict[str, SearchSpace]:
    """Returns spaces that every search method must support, by name."""
    return {
        "one gene": SearchSpace([Gene("units", Grid(_UNITS))]),
        "constant": SearchSpace([Gene("classes", Categorical((10,)))]),
        "unordered": SearchSpace(
            [Gene(f"op_{i}", Categorical(tuple("abcde"))) for i in range(6)]
        ),
        "ordered": SearchSpace(
            [Gene(f"units_{i}", Grid(_UNITS)) for i in range(4)]
        ),
        "continuous": SearchSpace(
            [Gene(f"x_{i}", Interval(-1.0, 1.0)) for i in range(3)]
        ),
        "conditional": conditional_trap(3).space,
        "mixed": mixed_space(),
    }
