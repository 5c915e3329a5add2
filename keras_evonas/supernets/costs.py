"""Costs of the networks of a supernet, added up from its parts."""

import dataclasses
from collections.abc import Collection

import keras_tuner
import numpy as np

from keras_evonas.models.costs import Costs
from keras_evonas.models.costs.estimates import HypermodelCosts
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets.held import Plan

# Networks on which sums are compared with what is counted.
_COMPARED = 4


class SupernetCosts:
    """Tells what a network costs, exactly as `HypermodelCosts` does.

    Where each option of a choice adds the same whatever the others are, as in
    a chain of layers, a cost is the sum of what the values of all genes add to
    that of one network: some tens of networks are counted once, and all others
    in microseconds. A cost of which this does not hold is counted for each
    network.

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
        self._names = frozenset(names)
        self._base: dict[str, int] = {}
        self._added: list[list[dict[str, int]]] = []
        self._additive: frozenset[str] | None = None

    @property
    def input_shapes(self) -> Structure:
        """The shapes that networks are counted for, if they were given."""
        return self.counted.input_shapes

    @property
    def additive(self) -> frozenset[str]:
        """The names of the costs that can be added up."""
        if self._additive is None:
            self._count_parts()
            self._additive = self._compare()
        return self._additive

    def __call__(
        self, hp: keras_tuner.HyperParameters
    ) -> dict[str, int] | Costs:
        """Returns the costs of the network for these hyperparameters."""
        if not self._names <= self.additive:
            return self.counted(hp)
        values = hp.values
        path = [
            gene.index_of(values[gene.name]) if gene.name in values else 0
            for gene in self._plan.genes
        ]
        return {name: self._sum(name, path) for name in self.additive}

    def _sum(self, name: str, path: list[int]) -> int:
        parts = zip(self._added, path, strict=True)
        return self._base[name] + sum(added[i][name] for added, i in parts)

    def _count_parts(self) -> None:
        genes = self._plan.genes
        first = [0] * len(genes)
        self._base = self._numbers(first)
        for place, gene in enumerate(genes):
            added = [dict.fromkeys(self._base, 0)]
            for index in range(1, len(gene.values)):
                path = [*first]
                path[place] = index
                costs = self._numbers(path)
                added.append({n: costs[n] - self._base[n] for n in costs})
            self._added.append(added)

    def _compare(self) -> frozenset[str]:
        """Returns the costs that are sums on networks drawn at random."""
        rng = np.random.default_rng(0)
        sizes = [len(gene.values) for gene in self._plan.genes]
        last = [size - 1 for size in sizes]
        drawn = rng.integers(0, sizes, (_COMPARED, len(sizes))).tolist()
        additive = set(self._base)
        for path in [last, *drawn]:
            costs = self._numbers(path)
            additive = {n for n in additive if self._sum(n, path) == costs[n]}
        return frozenset(additive)

    def _numbers(self, path: list[int]) -> dict[str, int]:
        hp = keras_tuner.HyperParameters()
        pairs = zip(self._plan.genes, path, strict=True)
        hp.values = {
            **self._plan.held,
            **{gene.name: gene.values[index] for gene, index in pairs},
        }
        numbers = dataclasses.asdict(self.counted(hp))
        del numbers["unknown"]
        return numbers
