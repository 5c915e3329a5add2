"""Settings of the training of an architecture by gradients."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.supernets.gates import BinaryGates
from keras_evonas.supernets.gates import Gates
from keras_evonas.supernets.gates import GumbelGates
from keras_evonas.supernets.gates import SoftmaxGates
from keras_evonas.supernets.sharing import SharedGene

_MOST_STAGES = 100
# Squares of larger costs are infinite in single precision.
_MOST_COST = 1e18
_GATES: dict[str, Gates] = {
    "softmax": SoftmaxGates(),
    "gumbel": GumbelGates(),
    "binary": BinaryGates(),
    "reinforce": BinaryGates(gradient="reinforce"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Differentiable:
    """Settings of the training of an architecture; made by `differentiable`."""

    epochs: int
    gates: Gates
    order: int
    warmup: int
    stages: int
    skip_dropout: tuple[float, ...]
    depths: Mapping[str, tuple[int, ...]]
    max_skips: int | None
    learning_rate: float
    costs: Mapping[str, Mapping[Any, float]] | None
    cost_weight: float

    @property
    def identity(self) -> str:
        """All settings on which the training depends, but its costs.

        Measured costs differ each time.
        """
        return repr(dataclasses.replace(self, max_skips=None, costs=None))


def differentiable(
    epochs: int = 30,
    *,
    gate: Gates | str = "softmax",
    order: int = 1,
    warmup: int = 0,
    stages: int = 1,
    skip_dropout: float | Sequence[float] = 0.0,
    depths: Mapping[str, Sequence[int]] | None = None,
    max_skips: int | None = None,
    learning_rate: float = 3e-3,
    costs: Mapping[str, Mapping[Any, float]] | None = None,
    cost_weight: float = 1.0,
) -> Differentiable:
    """Trains the weights of options beside those of layers, by gradients.

    | method | arguments |
    |---|---|
    | DARTS, first and second order | `order=1`, `order=2` |
    | SNAS | `gate="gumbel"`, and `costs` |
    | ProxylessNAS | `gate="binary"`, and `costs` |
    | its variant by REINFORCE | `gate="reinforce"`, and `costs` |
    | P-DARTS | `stages=3, warmup=10, skip_dropout=[0, 0.4, 0.7], max_skips=2` |

    Args:
        epochs: Integer, the epochs of each stage. Defaults to 30.
        gate: `"softmax"` adds up all options by the softmax of their weights
            (DARTS), `"gumbel"` by shares that are drawn and become one and
            zeros (SNAS); `"binary"` calls one option or two, `"reinforce"`
            one (ProxylessNAS, see `BinaryGates`). Or a value of `SoftmaxGates`,
            `GumbelGates`, `BinaryGates`. Defaults to `"softmax"`.
        order: 1: the weights of layers are taken as they are; 2: as they are
            after one more step, which takes two to three times as long. Not
            with binary gates. Defaults to 1.
        warmup: Integer, the first epochs of each stage, in which the weights
            of layers alone are trained. Defaults to 0.
        stages: Integer. After each stage but the last, the options that weigh
            least are left out, and all weights begin anew: of 8 options 5 go
            on, then 3. Defaults to 1.
        skip_dropout: Float, the rate of dropout on the outputs of skips, or
            one for each stage. It falls to zero over a stage. Defaults to 0.
        depths: Mapping from the name of a depth, such as that of `repeated`
            or `"cells"` of `CellNetwork`, to its value in each stage, for
            instance `{"cells": [1, 2, 3]}`: fewer options make room for a
            deeper network (P-DARTS). It is not searched then. Choices of parts
            that a stage does not have keep all of their options in it.
            Defaults to none.
        max_skips: Integer, in how many choices a skip may be chosen. Defaults
            to no limit. A skip is an option that is a
            `keras.layers.Identity`, and so are the absence of a `block` and
            the smallest number of `repeated` parts.
        learning_rate: Float, that of Adam for the weights of options. Defaults
            to 0.003.
        costs: Table `{gene: {value: cost}}`, for instance of measured
            milliseconds. The mean cost of a network is added to the loss that
            the weights of options are trained on. Defaults to none.
        cost_weight: Float, what the cost is multiplied with. Defaults to 1.

    Returns:
        The training, for `DifferentiableSearch`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If an argument is out of its range.
    """
    check_positive_integer("epochs", epochs)
    check_positive_integer("stages", stages)
    if stages > _MOST_STAGES:
        raise ValueError(
            f"`stages` must be at most {_MOST_STAGES}, each of `epochs` "
            f"epochs. Received: stages={stages}."
        )
    check_integer("warmup", warmup, lowest=0)
    if warmup >= epochs:
        raise ValueError(
            "`warmup` must be less than `epochs`, in the rest of which the "
            f"architecture is trained. Received: warmup={warmup}, epochs="
            f"{epochs}."
        )
    gates = _gates_of(gate)
    if order not in (1, 2) or isinstance(order, bool):
        raise ValueError(f"`order` must be 1 or 2. Received: order={order!r}.")
    if order == 2 and gates.draws_paths:
        raise ValueError(
            "`order` must be 1 with binary gates, which are not differentiated "
            "twice. Received: order=2. Leave it out, or pass "
            '`gate="softmax"`.'
        )
    if max_skips is not None:
        check_integer("max_skips", max_skips, lowest=0)
    check_range("learning_rate", learning_rate, 0, 1, low_open=True)
    check_range("cost_weight", cost_weight, 0, np.inf, high_open=True)
    if costs is not None:
        _check_table("costs", costs, "{gene: {value: cost}}")
        for gene, row in costs.items():
            _check_table(f"costs[{gene!r}]", row, "{value: cost}")
    return Differentiable(
        epochs=epochs,
        gates=gates,
        order=order,
        warmup=warmup,
        stages=stages,
        skip_dropout=_rates(skip_dropout, stages),
        depths=_depths(depths, stages),
        max_skips=max_skips,
        learning_rate=float(learning_rate),
        costs=costs,
        cost_weight=float(cost_weight),
    )


def _gates_of(gate: Gates | str) -> Gates:
    if isinstance(gate, str) and gate in _GATES:
        return _GATES[gate]
    is_gates = callable(getattr(gate, "shares", None))
    if isinstance(gate, str | type) or not is_gates:
        error = ValueError if isinstance(gate, str) else TypeError
        raise error(
            f"`gate` must be one of {list(_GATES)}, or gates such as "
            f"`GumbelGates(last=0.1)`. Received: gate={gate!r} of type "
            f"{type(gate).__name__}."
        )
    return gate


def _rates(rate: float | Sequence[float], stages: int) -> tuple[float, ...]:
    """Returns the rate of dropout of each stage."""
    rates = list(rate) if isinstance(rate, Sequence) else [rate] * stages
    if isinstance(rate, str) or len(rates) != stages:
        raise ValueError(
            "`skip_dropout` must be one rate, or one for each stage. Received: "
            f"skip_dropout={rate!r}, and stages={stages}."
        )
    for one in rates:
        check_range("skip_dropout", one, 0, 0.95)
    return tuple(float(one) for one in rates)


def _check_table(name: str, table: object, form: str) -> None:
    if not isinstance(table, Mapping):
        raise TypeError(
            f"`{name}` must be a table `{form}`. Received: {name}={table!r}."
        )


def _depths(
    depths: Mapping[str, Sequence[int]] | None, stages: int
) -> dict[str, tuple[int, ...]]:
    """Returns the depth of each stage, by gene."""
    if depths is None:
        return {}
    _check_table("depths", depths, "{gene: [depth, ...]}")
    for name, row in depths.items():
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise TypeError(
                "`depths` must have one depth for each stage. Received: "
                f"{row!r} for '{name}', and stages={stages}."
            )
    found = {name: tuple(row) for name, row in depths.items()}
    for name, row in found.items():
        if len(row) != stages:
            raise ValueError(
                "`depths` must have one depth for each stage. Received: "
                f"{list(row)} for '{name}', and stages={stages}."
            )
    return found


def check_depths(training: Differentiable, genes: Sequence[SharedGene]) -> None:
    """Checks that the depths of the stages are those of genes.

    Raises:
        ValueError: If they are not.
    """
    values = {gene.name: gene.values for gene in genes}
    for name, row in training.depths.items():
        known = values.get(name, ())
        if not set(row) <= set(known):
            raise ValueError(
                "`depths` must name a number of parts that the hypermodel "
                f"asks for, and values of it. Received: {list(row)} for "
                f"'{name}'. It has the values {list(known)}; the genes are "
                f"{list(values)}."
            )


def costs_in_a_row(
    training: Differentiable, genes: Sequence[SharedGene]
) -> np.ndarray | None:
    """Returns what each value of each gene adds to the loss, if anything.

    Args:
        training: Has the table of costs.
        genes: The genes of the hypermodel.

    Returns:
        `(values,)` array, the values of all genes in a row.

    Raises:
        ValueError: If the table does not fit the genes.
    """
    table = training.costs
    if table is None:
        return None
    names = [gene.name for gene in genes]
    unknown = sorted(set(table) - set(names))
    if unknown or not table:
        raise ValueError(
            "`costs` must be a table `{gene: {value: cost}}` of genes that are "
            f"searched. Received: {unknown or 'an empty one'}. Those are "
            f"{names}."
        )
    row: list[float] = []
    for gene in genes:
        costs = table.get(gene.name, dict.fromkeys(gene.values, 0.0))
        if set(costs) != set(gene.values):
            raise ValueError(
                f"`costs['{gene.name}']` must have a cost for each of "
                f"{list(gene.values)}, and for nothing else. Received: "
                f"{dict(costs)!r}."
            )
        for value in gene.values:
            name = f"costs['{gene.name}'][{value!r}]"
            check_range(name, costs[value], 0, np.inf, high_open=True)
            row.append(float(costs[value]))
    found = np.array(row, "float64") * training.cost_weight
    if found.max() > _MOST_COST:
        raise ValueError(
            "`cost_weight` times each cost must be at most "
            f"{_MOST_COST:g}, as losses are in single precision. Received: "
            f"cost_weight={training.cost_weight} and a cost of {max(row)}."
        )
    return found
