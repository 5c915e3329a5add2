"""Masks: the channels of a tensor, or pixels of a kernel, on a path.

A mask is a value. It knows for every path which places of one dimension are on
it, as an array and, for the path that is being taken, as a tensor.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol
from typing import TypeAlias
from typing import cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# The places of the values of genes, as numbers or as variables.
Indexes: TypeAlias = Mapping[str, int]
Variables: TypeAlias = Mapping[str, tf.Variable]
Places: TypeAlias = NDArray[np.bool_]


class Mask(Protocol):
    """Knows which places of a dimension are on a path."""

    @property
    def size(self) -> int:
        """The number of places in the supernet."""

    @property
    def genes(self) -> frozenset[str]:
        """The names of the elastic genes that it depends on."""

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path.

        Args:
            index_of: The place of each gene's value. Where that of a choice is
                missing, the places of all its options are returned.
        """

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the path that variables hold."""


# The masks of all dimensions of a weight; `None` where all places count.
Axes: TypeAlias = tuple[Mask | None, ...]


@dataclasses.dataclass(frozen=True)
class Full:
    """All places, on every path."""

    size: int

    @property
    def genes(self) -> frozenset[str]:
        """No genes."""
        return frozenset()

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path; see `Mask`."""
        del index_of
        return np.ones(self.size, bool)

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the current path; see `Mask`."""
        del index_of
        return tf.ones([self.size], tf.bool)


@dataclasses.dataclass(frozen=True)
class Cut:
    """A range of places for each value of a gene.

    Args:
        gene: The name of the gene.
        bounds: For each value the first place, and that behind the last.
        size: The number of places in the supernet.
    """

    gene: str
    bounds: tuple[tuple[int, int], ...]
    size: int

    @property
    def genes(self) -> frozenset[str]:
        """The gene."""
        return frozenset({self.gene})

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path; see `Mask`."""
        start, end = self.bounds[index_of[self.gene]]
        places = np.arange(self.size)
        return (places >= start) & (places < end)

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the current path; see `Mask`."""
        bounds = tf.gather(tf.constant(self.bounds), index_of[self.gene])
        places = tf.range(self.size)
        return (places >= bounds[0]) & (places < bounds[1])


@dataclasses.dataclass(frozen=True)
class Switched:
    """The mask of the option that a path takes.

    Args:
        choice: The name of the gene that decides.
        branches: The number of the option for each value of the gene.
        masks: The masks of the options.
    """

    choice: str
    branches: tuple[int, ...]
    masks: tuple[Mask, ...]

    @property
    def size(self) -> int:
        """The number of places in the supernet."""
        return self.masks[0].size

    @property
    def genes(self) -> frozenset[str]:
        """The genes of all options."""
        return frozenset().union(*(mask.genes for mask in self.masks))

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path; see `Mask`."""
        if self.choice not in index_of:
            each = [mask.on(index_of) for mask in self.masks]
            return cast(Places, np.any(each, axis=0))
        branch = self.branches[index_of[self.choice]]
        return self.masks[branch].on(index_of)

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the current path; see `Mask`."""
        each = tf.stack([mask.tensor(index_of) for mask in self.masks])
        branch = tf.gather(tf.constant(self.branches), index_of[self.choice])
        return tf.gather(each, branch)


@dataclasses.dataclass(frozen=True)
class Spread:
    """The places of a mask several times.

    Args:
        mask: The mask.
        times: How often.
        one_by_one: Boolean, whether each place is followed by its copies, as
            in a depthwise convolution with several filters. If not, all places
            are followed by all of them again, as in a flattened image.
    """

    mask: Mask
    times: int
    one_by_one: bool

    @property
    def size(self) -> int:
        """The number of places in the supernet."""
        return self.times * self.mask.size

    @property
    def genes(self) -> frozenset[str]:
        """The genes of the mask."""
        return self.mask.genes

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path; see `Mask`."""
        spread = np.repeat if self.one_by_one else np.tile
        return cast(Places, spread(self.mask.on(index_of), self.times))

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the current path; see `Mask`."""
        each = self.mask.tensor(index_of)
        if self.one_by_one:
            return tf.repeat(each, self.times)
        return tf.tile(each, [self.times])


@dataclasses.dataclass(frozen=True)
class Joined:
    """The places of several masks, one after the other.

    Args:
        masks: The masks.
    """

    masks: tuple[Mask, ...]

    @property
    def size(self) -> int:
        """The number of places in the supernet."""
        return sum(mask.size for mask in self.masks)

    @property
    def genes(self) -> frozenset[str]:
        """The genes of all masks."""
        return frozenset().union(*(mask.genes for mask in self.masks))

    def on(self, index_of: Indexes) -> Places:
        """Returns which places are on a path; see `Mask`."""
        return np.concatenate([mask.on(index_of) for mask in self.masks])

    def tensor(self, index_of: Variables) -> tf.Tensor:
        """Returns which places are on the current path; see `Mask`."""
        return tf.concat([mask.tensor(index_of) for mask in self.masks], 0)


def switched(
    choice: str,
    branches: tuple[int, ...],
    masks: Sequence[Mask | None],
    size: int,
) -> Mask | None:
    """Returns the mask of the option that a path takes.

    Args:
        choice: As for `Switched`.
        branches: As for `Switched`.
        masks: Those of the options, `None` where all places count.
        size: The number of places.
    """
    if all(mask == masks[0] for mask in masks):
        return masks[0]
    full = Full(size)
    return Switched(choice, branches, tuple(mask or full for mask in masks))


def indexes_of(
    axes: Axes, shape: Sequence[int], index_of: Indexes
) -> tuple[NDArray[np.intp], ...]:
    """Returns the places of a weight that are on a path, for indexing.

    Args:
        axes: The masks of its dimensions.
        shape: Its shape in the supernet.
        index_of: As for `Mask.on`.
    """
    places = [
        np.ones(size, bool) if mask is None else mask.on(index_of)
        for mask, size in zip(axes, shape, strict=True)
    ]
    return np.ix_(*places)


def shape_on(
    axes: Axes, shape: Sequence[int], index_of: Indexes
) -> tuple[int, ...]:
    """Returns the shape of the part of a weight that is on a path."""
    return tuple(
        size if mask is None else int(mask.on(index_of).sum())
        for mask, size in zip(axes, shape, strict=True)
    )


def broadcast(axes: Axes, index_of: Variables) -> tf.Tensor:
    """Returns which elements of a weight are on the current path.

    Args:
        axes: The masks of its dimensions, one of which is not `None`.
        index_of: As for `Mask.tensor`.

    Returns:
        A boolean tensor with as many dimensions, of size 1 where all places
        count.
    """
    found: tf.Tensor | None = None
    for axis, mask in enumerate(axes):
        if mask is None:
            continue
        shape = [1] * len(axes)
        shape[axis] = mask.size
        one = tf.reshape(mask.tensor(index_of), shape)
        found = one if found is None else found & one
    return found
