"""`CellNetwork`: a search space of one small cell, stacked many times."""

import dataclasses
import functools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np

from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import TunedOptimizer
from keras_evonas.models.optimizers import tuned_sgd
from keras_evonas.models.ready_made import ReadyMade
from keras_evonas.models.ready_made import Tensor
from keras_evonas.models.shared import Indexes
from keras_evonas.models.shared import SharedAnswer
from keras_evonas.models.shared import Sharing

L = keras.layers
Edge: TypeAlias = tuple[int, int]

_CONVOLUTIONS = {
    **{f"conv_{side}x{side}": (L.Conv2D, side) for side in (1, 3, 5)},
    "separable_3x3": (L.SeparableConv2D, 3),
    "separable_5x5": (L.SeparableConv2D, 5),
}
_POOLINGS = {
    "average_pool_3x3": L.AveragePooling2D,
    "max_pool_3x3": L.MaxPooling2D,
}
_OPERATIONS = ("none", "skip", *_CONVOLUTIONS, *_POOLINGS)
_NAS_BENCH_201 = ("none", "skip", "conv_1x1", "conv_3x3", "average_pool_3x3")
_REDUCTIONS = ("block", "convolution", "cell")


class CellNetwork(ReadyMade):
    """Stacks of one cell, whose operations are searched.

    A cell is a small graph: node 0 is its input, each later node is the sum
    of an operation on each node before it, and the last is its output. The
    skeleton is that of NAS-Bench-201 (Dong & Yang, 2020): a convolution, then
    stages of equal cells at half the resolution and twice the filters of the
    stage before. Operations are its, too: a convolution is ReLU, convolution
    and batch normalization. Deviation: a cell whose output no path reaches is
    the identity, instead of zeros without a gradient.

    With `reduction="cell"` the resolution is halved by a second kind of cell
    with operations of its own, as in NASNet (Zoph et al., 2018); operations
    on its input have a stride of 2.

    | hyperparameter | values | active |
    |---|---|---|
    | `cell/edge_i_j` | `operations` on node `i` for node `j` | always |
    | `reduction/edge_i_j` | the same | with `reduction="cell"` |
    | `cells` | from `cells[0]` to `cells[1]` in each stage | always |
    | `filters` | the powers of two in `filters`, in the first stage | always |
    | those of `optimizer` | | always |

    A range of a single value is not asked for.

    Args:
        input_shape: Tuple of integers, `(height, width, channels)`.
        head: A `Head`, such as `Classification(classes=10)`.
        nodes: Integer of at least 2, the nodes of a cell, its input included.
            Defaults to 4.
        operations: Names among `"none"`, `"skip"`, `"conv_1x1"`,
            `"conv_3x3"`, `"conv_5x5"`, `"separable_3x3"`, `"separable_5x5"`,
            `"average_pool_3x3"` and `"max_pool_3x3"`. Defaults to the five of
            NAS-Bench-201.
        stages: Integer, the number of stages. Defaults to 3.
        cells: Pair of integers, the smallest and the largest number of cells
            of a stage. Defaults to `(1, 3)`.
        filters: Pair of integers, the smallest and the largest number of
            filters of the first stage. Defaults to `(16, 16)`.
        reduction: What stands between stages: `"block"` for the residual
            block of NAS-Bench-201; `"convolution"` for a single one, which
            leaves more to the cells, as shared weights need in a small
            network; or `"cell"` for a cell that is searched. Defaults to
            `"block"`.
        optimizer: Function from `hp` to a Keras optimizer. Defaults to
            `tuned_sgd`.
        name: String, the name of the hypermodel. Defaults to `None`.
        tunable: Boolean; see `keras_tuner.HyperModel`. Defaults to `True`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    ```python
    hypermodel = CellNetwork((32, 32, 3), Classification(classes=10))
    ```
    """

    DEPTH = "cells"
    WIDTHS = ("filters",)

    def __init__(
        self,
        input_shape: Sequence[int],
        head: Head,
        *,
        nodes: int = 4,
        operations: Sequence[str] = _NAS_BENCH_201,
        stages: int = 3,
        cells: tuple[int, int] = (1, 3),
        filters: tuple[int, int] = (16, 16),
        reduction: str = "block",
        optimizer: TunedOptimizer = tuned_sgd,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(input_shape, 3, head, optimizer, name, tunable)
        self.nodes = checks.check_count("nodes", nodes, 2)
        self.operations = checks.check_choices(
            "operations", operations, _OPERATIONS
        )
        self.stages = checks.check_count("stages", stages, 1)
        self.cells = checks.check_bounds("cells", cells, 1)
        self.filters = checks.powers_of_two("filters", filters)
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"`reduction` must be one of {_REDUCTIONS}. Received: "
                f"reduction={reduction!r}."
            )
        self.reduction = reduction

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        cell = self._ask_for_cell(hp, "cell")
        reduction = None
        if self.reduction == "cell" and self.stages > 1:
            reduction = self._ask_for_cell(hp, "reduction")
        low, high = self.cells
        cells = asking.kind(hp, "cells", range(low, high + 1))
        filters = asking.choice(hp, "filters", self.filters, near=16)
        inputs = keras.Input(self.input_shape)
        tensor = L.Conv2D(filters, 3, padding="same", use_bias=False)(inputs)
        tensor = L.BatchNormalization()(tensor)
        for stage in range(self.stages):
            if stage > 0:
                filters *= 2
                if reduction is not None:
                    tensor = self._cell(tensor, reduction, filters, strides=2)
                elif self.reduction == "convolution":
                    tensor = _normal_convolution(tensor, filters, 3, 2)
                else:
                    tensor = _reduction_block(tensor, filters)

            def same(_: int, tensor: Tensor, filters: int = filters) -> Tensor:
                return self._cell(tensor, cell, filters)

            tensor = asking.chained(cells, self.cells, same, tensor)
        tensor = L.BatchNormalization()(tensor)
        tensor = L.GlobalAveragePooling2D()(L.ReLU()(tensor))
        return self.compiled(hp, inputs, tensor)

    def _ask_for_cell(
        self, hp: keras_tuner.HyperParameters, kind: str
    ) -> dict[Edge, str | SharedAnswer]:
        with hp.name_scope(kind):
            asked = {
                (i, j): asking.kind(hp, f"edge_{i}_{j}", self.operations)
                for j in range(1, self.nodes)
                for i in range(j)
            }
        answers = [a for a in asked.values() if isinstance(a, SharedAnswer)]
        if isinstance(hp, Sharing) and answers and "none" in self.operations:
            hp.share_rule(answers, _Reached(self.nodes, self._operations))
        return asked

    @property
    def _operations(self) -> tuple[str, ...]:
        """The operations, and that of a cell whose output is not reached."""
        known = tuple(self.operations)
        spare = "none" in known and "skip" not in known
        return (*known, "skip") if spare else known

    def _cell(
        self,
        tensor: Tensor,
        chosen: Mapping[Edge, str | SharedAnswer],
        filters: int,
        strides: int = 1,
    ) -> Tensor:
        """Applies a cell; a node without an input is `None`."""
        spare = self._operations[len(self.operations) :]
        last = self.nodes - 1
        nodes: list[Any] = [tensor]
        for j in range(1, self.nodes):
            found = [
                asking.applied(
                    chosen[i, j],
                    functools.partial(
                        _operation,
                        filters=filters,
                        strides=1 if i else strides,
                    ),
                    node,
                    spare="skip" if spare and (i, j) == (0, last) else None,
                )
                for i, node in enumerate(nodes)
                if node is not None
            ]
            terms = [term for term in found if term is not None]
            nodes.append(
                L.Add()(terms) if len(terms) > 1 else next(iter(terms), None)
            )
        if nodes[-1] is None:
            return _operation("skip", tensor, filters, strides)
        return nodes[-1]


@dataclasses.dataclass(frozen=True)
class _Reached:
    """Keeps the operations between the input of a cell and its output.

    An edge from a node that no path reaches, or to one from which no path
    leads on, is "none". If the output is not reached, the cell is a skip.

    Args:
        nodes: The number of nodes.
        operations: The operations, "none" and "skip" among them.
    """

    nodes: int
    operations: tuple[str, ...]

    def __call__(self, indexes: Sequence[Indexes]) -> list[Indexes]:
        """Changes the operations of all edges; see `Rule`."""
        last = self.nodes - 1
        none, skip = map(self.operations.index, ("none", "skip"))
        edges = [(i, j) for j in range(1, self.nodes) for i in range(j)]
        chosen = dict(zip(edges, indexes, strict=True))
        there = {edge: index != none for edge, index in chosen.items()}
        no = np.zeros_like(there[0, last])
        reached = {0: ~no}
        for j in range(1, self.nodes):
            reached[j] = no
            for i in range(j):
                reached[j] = reached[j] | (reached[i] & there[i, j])
        used = {last: ~no}
        for i in range(last - 1, -1, -1):
            used[i] = no
            for j in range(i + 1, self.nodes):
                used[i] = used[i] | (used[j] & there[i, j])
        kept = {
            (i, j): np.where(reached[i] & used[j], index, none)
            for (i, j), index in chosen.items()
        }
        kept[0, last] = np.where(reached[last], kept[0, last], skip)
        return list(kept.values())


def _operation(
    name: str, tensor: Tensor, filters: int, strides: int
) -> Tensor | None:
    if name == "none":
        return None
    if name == "skip":
        if strides == 1 and tensor.shape[-1] == filters:
            return tensor
        return _normal_convolution(tensor, filters, 1, strides)
    if name in _POOLINGS:
        if tensor.shape[-1] != filters:
            tensor = _normal_convolution(tensor, filters, 1, 1)
        return _POOLINGS[name](3, strides=strides, padding="same")(tensor)
    kind, side = _CONVOLUTIONS[name]
    return _normal_convolution(tensor, filters, side, strides, kind)


def _normal_convolution(
    tensor: Tensor,
    filters: int,
    kernel: int,
    strides: int,
    kind: type[keras.Layer] = L.Conv2D,
) -> Tensor:
    """Applies ReLU, convolution and batch normalization."""
    layer = kind(
        filters, kernel, strides=strides, padding="same", use_bias=False
    )
    return L.BatchNormalization()(layer(L.ReLU()(tensor)))


def _reduction_block(tensor: Tensor, filters: int) -> Tensor:
    """Applies the residual block between two stages of NAS-Bench-201."""
    changed = _normal_convolution(tensor, filters, 3, 2)
    changed = _normal_convolution(changed, filters, 3, 1)
    shortcut = L.AveragePooling2D(2, padding="same")(tensor)
    shortcut = L.Conv2D(filters, 1, use_bias=False)(shortcut)
    return L.Add()([changed, shortcut])
