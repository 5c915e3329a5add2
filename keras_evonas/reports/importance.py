"""Which genes mattered: functional analysis of variance of a random forest.

Follows fANOVA (Hutter, Hoos & Leyton-Brown, "An Efficient Approach for
Assessing Hyperparameter Importance", 2014): a random forest learns scores
from genes, and the variance of what each of its trees predicts over the whole
search space is divided among genes and pairs of genes, exactly.

Deviations from the paper: a gene that is not active counts as a value of its
own, with the weight that it has in random networks, instead of as its
default; and the *total* effect of a gene (Sobol', 2001), its own and that of
everything it interacts with, is computed too, because a gene may matter only
together with another.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_evonas.project import extras
from keras_evonas.project.search import Search
from keras_evonas.reports import encoding
from keras_evonas.reports.encoding import Feature

METHOD = "fANOVA of a random forest (Hutter et al., 2014)"
FEWEST_TRIALS = 10

_TREES = 48
_LEAVES = 200
# Trials that a tree learns from at most; more take time and change little.
_ROWS = 2000
# Interactions are looked for among so many genes of the largest effect.
_PAIRED_GENES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of the differences between networks each gene explains.

    Args:
        total: Share of the variance that a gene explains, alone or together
            with others; the most important first. These overlap, so that
            their sum may exceed 1.
        main: Share that it explains alone.
        spread: Standard deviation of `total` over the trees.
        interactions: Share that two genes explain only together, the largest
            first.
        effects: For each gene, pairs of a value and of the loss that the
            forest expects with it; `None` stands for not active.
        fit: R² of the forest on trials that its trees had not seen (out of
            bag); near or below 0 the shares mean nothing.
        num_trials: How many trials it was computed from.
    """

    total: Mapping[str, float]
    main: Mapping[str, float]
    spread: Mapping[str, float]
    interactions: Mapping[tuple[str, str], float]
    effects: Mapping[str, tuple[tuple[Any, float], ...]]
    fit: float
    num_trials: int

    @property
    def reliable(self) -> bool:
        """Whether the forest explains enough for its shares to be read."""
        return self.fit >= 0.2

    @property
    def names(self) -> tuple[str, ...]:
        """The genes, the most important first."""
        return tuple(self.total)


def gene_importance(search: Search, objective: int = 0) -> Importance | None:
    """Tells which genes mattered for an objective.

    Losses far worse than most (beyond three times the spread between the
    quartiles) count as no worse than that, so that one diverged network does
    not decide.

    Args:
        search: The search.
        objective: Index of the objective. Defaults to the first.

    Returns:
        The importance, or `None` with fewer than `FEWEST_TRIALS` completed
        trials, no gene that differs, or scores that are all equal.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    trials = search.completed
    if len(trials) < FEWEST_TRIALS or search.space is None:
        return None
    genomes = [trial.values for trial in trials]
    columns = encoding.features(search.space, genomes)
    losses = np.array([search.losses(trial)[objective] for trial in trials])
    losses = _without_outliers(losses)
    if not columns or np.ptp(losses) == 0:
        return None
    return _importance(columns, encoding.encode(columns, genomes), losses)


def _without_outliers(losses: np.ndarray) -> np.ndarray:
    low, high = np.quantile(losses, [0.25, 0.75])
    if low == high:
        return losses
    return np.minimum(losses, high + 3 * (high - low))


def _importance(
    columns: Sequence[Feature], x: np.ndarray, y: np.ndarray
) -> Importance:
    forest = extras.load("sklearn.ensemble", "scikit-learn")
    # Standardized, so that tiny losses are not lost in rounding.
    centre, scale = float(y.mean()), float(y.std())
    model = forest.RandomForestRegressor(
        n_estimators=_TREES,
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=1 if len(y) < 200 else 3,
        max_features=max(1, round(len(columns) * 5 / 6)),
        max_samples=min(len(y), _ROWS),
        oob_score=True,
        random_state=0,
    ).fit(x, (y - centre) / scale)
    trees = [_Tree(one.tree_, columns) for one in model.estimators_]
    trees = [tree for tree in trees if tree.variance > 1e-12]
    if not trees:
        return _nothing(columns, float(model.oob_score_), len(y))
    totals = np.array([tree.totals() for tree in trees])  # (trees, genes)
    mains = np.array([tree.mains() for tree in trees])
    order = np.argsort(-totals.mean(0), kind="stable")
    names = [columns[index].name for index in order]
    pairs = {
        (columns[i].name, columns[j].name): float(
            np.mean([tree.interaction(i, j) for tree in trees])
        )
        for i, j in itertools.combinations(order[:_PAIRED_GENES], 2)
    }
    mean = np.mean([tree.mean for tree in trees])
    effects = [
        centre
        + scale * (mean + np.mean([tree.effect(i) for tree in trees], axis=0))
        for i in order
    ]
    return Importance(
        total=dict(zip(names, totals.mean(0)[order].tolist(), strict=True)),
        main=dict(zip(names, mains.mean(0)[order].tolist(), strict=True)),
        spread=dict(zip(names, totals.std(0)[order].tolist(), strict=True)),
        interactions=dict(sorted(pairs.items(), key=lambda item: -item[1])),
        effects={
            columns[i].name: tuple(
                zip(columns[i].support[0], effect.tolist(), strict=True)
            )
            for i, effect in zip(order, effects, strict=True)
        },
        fit=float(model.oob_score_),
        num_trials=len(y),
    )


def _nothing(columns: Sequence[Feature], fit: float, count: int) -> Importance:
    zeros = {one.name: 0.0 for one in columns}
    return Importance(
        total=zeros,
        main=zeros,
        spread=zeros,
        interactions={},
        effects={},
        fit=fit,
        num_trials=count,
    )


class _Tree:
    """A regression tree as boxes over the search space.

    With `m` leaves, `inside[j]` is an `(m, places of gene j)` array of whether
    a leaf's box holds a place; all variances are sums over leaves.
    """

    def __init__(self, tree: Any, columns: Sequence[Feature]) -> None:
        low, high, values = _boxes(tree, len(columns))
        self._inside, self._weights = [], []
        for index, column in enumerate(columns):
            places, weights = column.support
            at = np.array([column.encode(place) for place in places])
            at = at.astype(np.float32)  # as the tree compares
            self._weights.append(weights)
            self._inside.append(
                (
                    (at > low[:, index, None]) & (at <= high[:, index, None])
                ).astype(float)
            )
        masses = np.stack(
            [
                inside @ weights
                for inside, weights in zip(
                    self._inside, self._weights, strict=True
                )
            ],
            axis=1,
        )  # (leaves, genes)
        kept = (masses > 0).all(axis=1)  # the others hold no network at all
        self._inside = [inside[kept] for inside in self._inside]
        self._masses = masses[kept]
        self._shares = self._masses.prod(axis=1)  # of the space, by leaf
        self.mean = float(self._shares @ values[kept])
        self._values = values[kept] - self.mean
        self.variance = float(self._shares @ self._values**2)

    def effect(self, gene: int) -> np.ndarray:
        """The mean prediction at each place of a gene, less the mean."""
        share = self._shares / self._masses[:, gene] * self._values
        return share @ self._inside[gene]

    def mains(self) -> np.ndarray:
        """Share of the variance that each gene explains alone."""
        found = [
            self._weights[gene] @ self.effect(gene) ** 2
            for gene in range(len(self._inside))
        ]
        return np.array(found) / self.variance

    def interaction(self, first: int, second: int) -> float:
        """Share that two genes explain together beyond each alone."""
        share = self._shares * self._values
        share = share / self._masses[:, first] / self._masses[:, second]
        joint = (self._inside[first] * share[:, None]).T @ self._inside[second]
        joint -= self.effect(first)[:, None] + self.effect(second)[None, :]
        weights = np.outer(self._weights[first], self._weights[second])
        return float((weights * joint**2).sum() / self.variance)

    def totals(self) -> np.ndarray:
        """Share that each gene explains alone or together with others.

        What is left is what all the other genes explain without it: the sum
        over pairs of leaves of how much of the space both share when the gene
        is left out.
        """
        overlaps = [
            (inside * weights) @ inside.T
            for inside, weights in zip(self._inside, self._weights, strict=True)
        ]
        # Products of all overlaps but one, from both ends.
        after = [np.ones_like(overlaps[0])]
        for overlap in overlaps[:0:-1]:
            after.append(after[-1] * overlap)
        found, before = [], np.ones_like(overlaps[0])
        for gene, overlap in enumerate(overlaps):
            others = before * after.pop()
            masses = self._values * self._masses[:, gene]
            found.append(1 - masses @ others @ masses / self.variance)
            before = before * overlap
        return np.clip(found, 0.0, 1.0)


def _boxes(
    tree: Any, num_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The leaves: exclusive lower and inclusive upper bounds, and values."""
    low = np.full((tree.node_count, num_features), -np.inf)
    high = np.full((tree.node_count, num_features), np.inf)
    leaves = []
    for node in range(tree.node_count):  # parents stand before children
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            leaves.append(node)
            continue
        gene, threshold = tree.feature[node], tree.threshold[node]
        low[[left, right]], high[[left, right]] = low[node], high[node]
        high[left, gene] = min(high[node, gene], threshold)
        low[right, gene] = max(low[node, gene], threshold)
    return low[leaves], high[leaves], tree.value[leaves, 0, 0]
