"""Costs of the networks of a supernet, added up from its parts."""

import math
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

import keras_tuner
import numpy as np

from keras_evonas.models.costs import Costs
from keras_evonas.models.costs.estimates import HypermodelCosts
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.looking import Part
from keras_evonas.supernets.masks import shape_on
from keras_evonas.supernets.sharing import apply_rules
from keras_evonas.supernets.slices import Slice

# Costs that each layer adds something to. Memory for training is no sum: its
# gradients take as much as the largest activation.
_SUMS = {"params", "trainable_params", "multiply_adds", "flops", "weight_bytes"}
# Sums that are compared with what is counted before sums are relied on.
_COMPARED = 8
# A share of a network that others do not explain, beyond rounding.
_UNEXPLAINED = 1e-6


class SupernetCosts:
    """Tells what a network costs, exactly as `HypermodelCosts` does.

    A cost that each option of a choice adds whatever the others are, such as
    parameters and multiply-adds, is a sum over the options that a network
    calls. What each adds follows from networks that were counted. A network is
    counted if those before do not determine its sum, and the first sums are
    compared with what is counted; all others take microseconds. A cost of
    which this does not hold is counted for each network.

    What an elastic layer lacks of the largest one depends on the widths of its
    neighbors, too. It follows from the shapes of its weights, and is taken off
    these sums.

    Args:
        costs: Counts the costs of a network.
        plan: What the supernet shares and holds.
        names: The costs that are needed, such as `["params"]`.
    """

    def __init__(
        self, costs: HypermodelCosts, plan: Plan, names: Collection[str]
    ) -> None:
        self._counted = costs
        self._plan = plan
        self._names = sorted(names)
        self._additive = _SUMS.intersection(names)
        self._compared = 0
        self._rows: list[np.ndarray] = []
        self._costs: list[list[int]] = []
        # Each network counted is a row; `_spanned` projects on their span.
        self._solution = np.zeros((1 + len(plan.parts), len(self._names)))
        self._spanned = np.zeros((1 + len(plan.parts),) * 2)

    def __call__(
        self, hp: keras_tuner.HyperParameters
    ) -> dict[str, int] | Costs:
        """Returns the costs of the network for these hyperparameters."""
        if not self._additive.issuperset(self._names):
            return self._counted(hp)
        index_of = self._index_of(hp)
        # The parts that the network calls, after a 1 for all others.
        calls = [_calls(part, index_of) for part in self._plan.parts]
        row = np.array([1.0, *calls])
        missing = [self._missing(name, index_of) for name in self._names]
        known = np.abs(row @ self._spanned - row).max() < _UNEXPLAINED
        pairs = zip(row @ self._solution, missing, strict=True)
        sums = [round(cost) - less for cost, less in pairs]
        if known and self._compared >= _COMPARED:
            return dict(zip(self._names, sums, strict=True))
        costs = self._counted(hp)
        exact = [getattr(costs, name) for name in self._names]
        if known:
            self._compared += 1
            triples = zip(self._names, sums, exact, strict=True)
            self._additive -= {name for name, a, b in triples if a != b}
        else:
            pairs = zip(exact, missing, strict=True)
            self._learn(row, [cost + less for cost, less in pairs])
        return costs

    def _index_of(self, hp: keras_tuner.HyperParameters) -> dict[str, int]:
        """Returns the places of the values that are called, by gene."""
        plan = self._plan
        path = [gene.place_in(hp.values) for gene in plan.genes]
        called = apply_rules(plan.genes, plan.rules, np.array(path))
        names = [gene.name for gene in plan.genes]
        return dict(zip(names, called.tolist(), strict=True))

    def _missing(self, name: str, index_of: Mapping[str, int]) -> int:
        """Returns what the elastic layers of a network cost less than all."""
        slices = self._plan.elastic.slices.values()
        on_path = (one for one in slices if _calls(one.part, index_of))
        return sum(_missing(name, one, index_of) for one in on_path)

    def _learn(self, row: np.ndarray, exact: list[int]) -> None:
        self._rows.append(row)
        self._costs.append(exact)
        inverse = np.linalg.pinv(np.array(self._rows))
        self._solution = inverse @ np.array(self._costs, float)
        self._spanned = inverse @ np.array(self._rows)


def _calls(part: Part, index_of: Mapping[str, int]) -> bool:
    return all(index_of[name] in places for name, places in part)


def _missing(name: str, one: Slice, index_of: Mapping[str, int]) -> int:
    """Returns what a layer costs less than the largest one."""
    # How often an element counts, for each weight.
    factors: dict[str, Sequence[int | None]] = {
        "params": [1] * len(one.shapes),
        "trainable_params": [int(is_trained) for is_trained in one.trained],
        "weight_bytes": one.bytes_each,
        "multiply_adds": one.uses,
    }
    if name not in factors:
        return 0  # It is found out to be no such sum.
    return sum(
        factor * (math.prod(shape) - math.prod(shape_on(axes, shape, index_of)))
        for factor, axes, shape in zip(
            factors[name], one.axes, one.shapes, strict=True
        )
        if factor
    )
