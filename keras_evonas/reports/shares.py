"""Shares of the variance of a model's predictions, by gene.

The codes of all genes, those that are not active included, are drawn
independently of each other. So the variance of any function of them is divided
among genes and groups of genes in one way only (Sobol', 2001), and a gene
counts as far as networks have it: what it switches on varies with it.
"""

import dataclasses

import numpy as np

from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.reports.features import Feature
from keras_evonas.reports.trial_model import Model

Effect = tuple[tuple[Value | None, float], ...]

# Values of each of two genes that are varied together, at most.
_PAIRED_PLACES = 8


@dataclasses.dataclass(frozen=True)
class Shares:
    """Shares of a variance that a gene explains: with others, and alone.

    `effect` are pairs of a value, `None` where the gene is not active, and the
    loss that is expected with it.
    """

    total: float
    main: float
    effect: Effect


class Networks:
    """Random networks of a space, in which genes are varied.

    A gene is varied in `count` networks. The variance that is divided is that
    of 16 times as many.
    """

    def __init__(
        self, space: SearchSpace, encoding: Encoding, count: int
    ) -> None:
        self._genes = space.genes
        self._encoding = encoding
        self._all = self._drawn(16 * count)
        self._few = self._drawn(count)

    def indices(self, name: str) -> np.ndarray:
        """Indices of the genes of a name, of which a space may hold several."""
        found = [i for i, gene in enumerate(self._genes) if gene.name == name]
        return np.array(found)

    def variance(self, model: Model) -> float:
        """The variance of predictions, 1 if they are all the same."""
        return float(model.losses(self._all).var()) or 1.0

    def shares(self, model: Model, feature: Feature, variance: float) -> Shares:
        """Returns the shares of a variance that a gene explains."""
        name, places, weights = feature.name, feature.places, feature.weights
        codes = [self._with(self._few, name, one) for one in places]
        found = model.losses(np.concatenate(codes))
        table = found.reshape(len(places), -1)  # a row for each value
        expected = weights @ table
        total = float((weights @ (table - expected) ** 2).mean())
        means = table.mean(axis=1)
        main = float(weights @ (means - expected.mean()) ** 2)
        active = self._encoding.activity(self._few)
        effect: list[tuple[Value | None, float]] = []
        for place, row in zip(places, table, strict=True):
            has_it = np.any(active[:, self._owners(name, place)], axis=1)
            mean = row[has_it].mean() if has_it.any() else row.mean()
            effect.append((place, float(mean)))
        off = ~np.any(active[:, self.indices(name)], axis=1)
        if off.any():
            # There the value changes nothing, so that any row will do.
            effect.append((None, float(table[0, off].mean())))
        return Shares(total / variance, main / variance, tuple(effect))

    def interaction(
        self, model: Model, first: Feature, second: Feature, variance: float
    ) -> float:
        """Returns the share that two genes explain only together."""
        rows, row_weights = _thinned(first)
        columns, column_weights = _thinned(second)
        codes = [
            self._with(self._with(self._few, first.name, a), second.name, b)
            for a in rows
            for b in columns
        ]
        found = model.losses(np.concatenate(codes))
        joint = found.reshape(len(rows), len(columns), -1).mean(axis=2)
        joint -= row_weights @ joint
        joint -= (joint @ column_weights)[:, None]
        return float(row_weights @ joint**2 @ column_weights / variance)

    def _drawn(self, count: int) -> np.ndarray:
        """`(count, size)` codes, with values in their right proportions."""
        rng = np.random.default_rng(0)
        drawn = []
        for gene, column in zip(
            self._genes, self._encoding.columns, strict=True
        ):
            feature = Feature(gene.name, gene.domain)
            codes = np.array([column.encode(one) for one in feature.places])
            at = (rng.permutation(count) + 0.5) / count
            drawn.append(
                codes[np.searchsorted(np.cumsum(feature.weights)[:-1], at)]
            )
        return np.stack(drawn, axis=1)

    def _with(self, codes: np.ndarray, name: str, value: Value) -> np.ndarray:
        """Returns networks with a value of a gene instead of their own."""
        changed = codes.copy()
        for index in self._owners(name, value):
            changed[:, index] = self._encoding.columns[index].encode(value)
        return changed

    def _owners(self, name: str, value: Value) -> np.ndarray:
        """Indices of the genes of a name that may have a value."""
        genes = self._genes
        found = [
            i for i in self.indices(name) if genes[i].domain.contains(value)
        ]
        return np.array(found, dtype=int)


def _thinned(feature: Feature) -> tuple[list[Value], np.ndarray]:
    step = -(-len(feature.places) // _PAIRED_PLACES)
    kept = feature.weights[::step]
    return feature.places[::step], kept / kept.sum()
