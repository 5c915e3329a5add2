"""Samplers: which paths are trained in each step of an epoch.

A sampler is a value. It draws from an address, a tuple of integers such as the
seed and the epoch, so that the same address gives the same paths.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol
from typing import runtime_checkable

import numpy as np
from numpy.typing import NDArray

from keras_evonas.evolution.checks import check_function
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer

Paths = NDArray[np.int32]

# The kinds of genes whose values have an order, as they shrink.
ORDERED = ("kernel", "depth", "width")
# Paths drawn at most to find those that are allowed.
_DRAWS = 100_000


class Sampler(Protocol):
    """Draws the paths of an epoch."""

    def paths(
        self, sizes: Sequence[int], steps: int, address: Sequence[int]
    ) -> Paths:
        """Draws the paths of an epoch.

        Args:
            sizes: The number of values of each gene.
            steps: Integer, the number of steps.
            address: Non-negative integers that tell draws apart.

        Returns:
            `(steps, passes, genes)` array of integers: the place of each
            gene's value on each path. The passes of a step share a batch and
            an update.
        """


@runtime_checkable
class ElasticSampler(Sampler, Protocol):
    """Draws the paths of an epoch, given what kinds of genes there are."""

    def paths(
        self, sizes: Sequence[int], steps: int, address: Sequence[int]
    ) -> Paths:
        """Draws the paths of an epoch, as if all genes were widths."""
        return self.elastic_paths(sizes, ["width"] * len(sizes), steps, address)

    def elastic_paths(
        self,
        sizes: Sequence[int],
        kinds: Sequence[str],
        steps: int,
        address: Sequence[int],
    ) -> Paths:
        """Draws the paths of an epoch.

        Args:
            sizes: As for `Sampler.paths`.
            kinds: The kind of each gene: `"kernel"`, `"depth"` or `"width"`,
                whose values are in increasing order, or `"options"`.
            steps: As for `Sampler.paths`.
            address: As for `Sampler.paths`; the last integer is the number of
                the epoch.
        """


@dataclasses.dataclass(frozen=True)
class UniformPaths:
    """Draws one path for each step, all paths equally often.

    Single path one-shot (Guo et al., 2020).
    """

    def paths(
        self, sizes: Sequence[int], steps: int, address: Sequence[int]
    ) -> Paths:
        """Draws the paths of an epoch; see `Sampler`."""
        rng = np.random.default_rng(list(address))
        shape = (steps, 1, len(sizes))
        return rng.integers(0, list(sizes), shape, dtype=np.int32)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FeasiblePaths:
    """Draws one path for each step, of those whose networks may be proposed.

    Uniform constraint sampling (Guo et al., 2020, section 3.3): the supernet
    trains no network that the search is not allowed to find. Deviation: paths
    are drawn from a pool of allowed ones, which were drawn once.

    Args:
        keeps: Function of a path that returns whether its network is allowed.
            Defaults to `None`: `OneShotTuner` passes the constraints of its
            oracle.
        limits: String, what `keeps` asks for. Defaults to `""`.
        pool_size: Integer, the paths of the pool. Defaults to 2 000.
    """

    keeps: Callable[[NDArray[np.int32]], bool] | None = dataclasses.field(
        default=None, repr=False
    )
    limits: str = ""
    pool_size: int = 2000
    _pools: dict[tuple[int, ...], Paths] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        check_positive_integer("pool_size", self.pool_size)
        if self.keeps is not None:
            check_function("keeps", self.keeps)

    def paths(
        self, sizes: Sequence[int], steps: int, address: Sequence[int]
    ) -> Paths:
        """Draws the paths of an epoch; see `Sampler`.

        Raises:
            ValueError: If no path is found that is allowed.
        """
        key = (*sizes, address[0])
        if key not in self._pools:
            self._pools[key] = self._pool(sizes, address[0])
        pool = self._pools[key]
        rng = np.random.default_rng(list(address))
        drawn: Paths = pool[rng.integers(0, len(pool), (steps, 1))]
        return drawn

    def _pool(self, sizes: Sequence[int], seed: int) -> Paths:
        if self.keeps is None:
            raise ValueError(
                "`keeps` must tell which paths are allowed. Received: "
                "keeps=None. Pass a function of a path, or search with "
                "`OneShotTuner`, which passes its constraints."
            )
        rng = np.random.default_rng([seed, len(sizes)])
        found: list[NDArray[np.int32]] = []
        for _ in range(_DRAWS):
            path = rng.integers(0, list(sizes), dtype=np.int32)
            if self.keeps(path):
                found.append(path)
                if len(found) == self.pool_size:
                    break
        if not found:
            raise ValueError(
                f"`sampler` must find networks that keep {self.limits}. "
                f"Received: none among {_DRAWS:,} random ones. Loosen the "
                "constraint, or pass `sampler='uniform'`."
            )
        return np.stack(found)


@dataclasses.dataclass(frozen=True)
class FairPaths:
    """Draws paths that together have every value, for each step.

    Strict fairness (Chu et al., 2021, FairNAS): a step has as many paths as
    the largest gene has values, and each value of it is on one of them.
    Deviation: genes may have different numbers of values, and a smaller gene's
    are then on one path more or less than each other.
    """

    def paths(
        self, sizes: Sequence[int], steps: int, address: Sequence[int]
    ) -> Paths:
        """Draws the paths of an epoch; see `Sampler`."""
        rng = np.random.default_rng(list(address))
        passes = max(sizes, default=1)
        found = np.zeros((steps, passes, len(sizes)), np.int32)
        for gene, size in enumerate(sizes):
            rounds = -(-passes // size)
            drawn = np.tile(np.arange(size), (steps, rounds, 1))
            drawn = rng.permuted(drawn, axis=-1).reshape(steps, -1)
            found[:, :, gene] = drawn[:, :passes]
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class SandwichPaths(ElasticSampler):
    """Draws the largest path, the smallest one, and some between them.

    The sandwich rule of universally slimmable networks (Yu and Huang, 2019,
    arXiv:1903.05134): all networks lie between the two, and become better with
    them. Deviations: the gradient of a weight is the mean over the paths that
    it is on, not the sum; and options without an order are drawn on all paths.

    Args:
        between: Integer, the random paths of a step. Defaults to 2.
    """

    between: int = 2

    def __post_init__(self) -> None:
        check_integer("between", self.between, lowest=0)

    def elastic_paths(
        self,
        sizes: Sequence[int],
        kinds: Sequence[str],
        steps: int,
        address: Sequence[int],
    ) -> Paths:
        """Draws the paths of an epoch; see `ElasticSampler`."""
        rng = np.random.default_rng(list(address))
        shape = (steps, 2 + self.between, len(sizes))
        drawn = rng.integers(0, list(sizes), shape, dtype=np.int32)
        has_order = np.isin(list(kinds), ORDERED)
        drawn[:, 0, has_order] = np.array(sizes)[has_order] - 1
        drawn[:, 1, has_order] = 0
        return drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShrinkingPaths(ElasticSampler):
    """Draws large paths first, and smaller ones from epoch to epoch.

    Progressive shrinking (Cai et al., 2020, Once-for-All): kernels shrink
    first, then depths, then widths. The largest values of a gene are drawn
    equally often, one more of them from epoch to epoch, until all are.
    Deviation: the largest network is not trained to its end before; all
    stages share one training.

    Args:
        epochs: Three integers, the epochs in which kernels, depths and widths
            begin to shrink.
        stage: Integer, the epochs that it takes until all values of a gene
            are drawn.
        between: Integer, the paths of a step. Defaults to 1.
    """

    epochs: tuple[int, int, int]
    stage: int
    between: int = 1

    def __post_init__(self) -> None:
        check_integer("between", self.between, lowest=1)
        check_integer("stage", self.stage, lowest=1)
        is_triple = isinstance(self.epochs, tuple) and len(self.epochs) == 3
        if not is_triple or list(self.epochs) != sorted(self.epochs):
            raise ValueError(
                "`epochs` must be three integers in order, for kernels, depths "
                f"and widths. Received: epochs={self.epochs!r}. Try "
                "(10, 20, 30)."
            )

    @classmethod
    def over(cls, epochs: int) -> "ShrinkingPaths":
        """Returns four equal stages of a training, the first with the largest.

        Args:
            epochs: Integer, the epochs of the training.
        """
        first, second, third = (epochs * n // 4 for n in (1, 2, 3))
        return cls(epochs=(first, second, third), stage=max(1, epochs // 4))

    def open_values(
        self, sizes: Sequence[int], kinds: Sequence[str], epoch: int
    ) -> list[int]:
        """Returns of each gene how many of its largest values are drawn."""
        found = []
        for size, kind in zip(sizes, kinds, strict=True):
            if kind not in ORDERED:
                found.append(size)
                continue
            since = epoch - self.epochs[ORDERED.index(kind)] + 1
            share = min(1.0, max(0, since) / self.stage)
            found.append(1 + math.ceil(share * (size - 1)))
        return found

    def elastic_paths(
        self,
        sizes: Sequence[int],
        kinds: Sequence[str],
        steps: int,
        address: Sequence[int],
    ) -> Paths:
        """Draws the paths of an epoch; see `ElasticSampler`."""
        rng = np.random.default_rng(list(address))
        number = self.open_values(sizes, kinds, address[-1])
        shape = (steps, self.between, len(sizes))
        below = rng.integers(0, number, shape, dtype=np.int32)
        return np.array(sizes, np.int32) - 1 - below
