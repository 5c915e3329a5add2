"""Samplers: which paths are trained in each step of an epoch.

A sampler is a value. It draws from an address, a tuple of integers such as the
seed and the epoch, so that the same address gives the same paths.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Paths = NDArray[np.int32]


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
