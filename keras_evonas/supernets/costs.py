"""Costs of the networks of a supernet, added up from its parts."""

from collections.abc import Collection

import keras_tuner
import numpy as np

from keras_evonas.models.costs import Costs
from keras_evonas.models.costs.estimates import HypermodelCosts
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.sharing import apply_rules

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

    Args:
        costs: Counts the costs of a network.
        plan: What the supernet shares and holds.
        names: The costs that are needed, such as `["params"]`.
    """

    def __init__(
        self, costs: HypermodelCosts, plan: Plan, names: Collection[str]
    ) -> None:
        self.counted = costs
        self._plan = plan
        self._names = sorted(names)
        self._additive = set(names)
        self._compared = 0
        self._rows: list[np.ndarray] = []
        self._costs: list[list[int]] = []
        # Each network counted is a row; `_spanned` projects on their span.
        self._solution = np.zeros((1 + len(plan.parts), len(self._names)))
        self._spanned = np.zeros((1 + len(plan.parts),) * 2)

    @property
    def input_shapes(self) -> Structure:
        """The shapes that networks are counted for, if they were given."""
        return self.counted.input_shapes

    @property
    def additive(self) -> frozenset[str]:
        """The names of the needed costs that are sums, on random networks."""
        rng = np.random.default_rng(0)
        sizes = [len(gene.values) for gene in self._plan.genes]
        while self._additive and self._compared < _COMPARED:
            path = rng.integers(0, sizes)
            hp = keras_tuner.HyperParameters()
            pairs = zip(self._plan.genes, path, strict=True)
            values = {gene.name: gene.values[index] for gene, index in pairs}
            hp.values = {**self._plan.held, **values}
            self(hp)
        return frozenset(self._additive)

    def __call__(
        self, hp: keras_tuner.HyperParameters
    ) -> dict[str, int] | Costs:
        """Returns the costs of the network for these hyperparameters."""
        if not self._additive.issuperset(self._names):
            return self.counted(hp)
        row = self._row(hp)
        known = np.abs(row @ self._spanned - row).max() < _UNEXPLAINED
        sums = [round(cost) for cost in row @ self._solution]
        if known and self._compared >= _COMPARED:
            return dict(zip(self._names, sums, strict=True))
        costs = self.counted(hp)
        exact = [getattr(costs, name) for name in self._names]
        if known:
            self._compared += 1
            triples = zip(self._names, sums, exact, strict=True)
            self._additive -= {name for name, a, b in triples if a != b}
        else:
            self._learn(row, exact)
        return costs

    def _row(self, hp: keras_tuner.HyperParameters) -> np.ndarray:
        """Returns which parts a network calls, after a 1 for all others."""
        plan = self._plan
        path = [
            gene.index_of(hp.values[gene.name]) if gene.name in hp.values else 0
            for gene in plan.genes
        ]
        called = apply_rules(plan.genes, plan.rules, np.array(path))
        names = [gene.name for gene in plan.genes]
        index_of = dict(zip(names, called.tolist(), strict=True))
        calls = [
            all(index_of[name] in places for name, places in part)
            for part in plan.parts
        ]
        return np.array([1.0, *calls])

    def _learn(self, row: np.ndarray, exact: list[int]) -> None:
        self._rows.append(row)
        self._costs.append(exact)
        inverse = np.linalg.pinv(np.array(self._rows))
        self._solution = inverse @ np.array(self._costs, float)
        self._spanned = inverse @ np.array(self._rows)
