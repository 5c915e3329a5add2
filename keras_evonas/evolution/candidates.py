"""The most promising of many children, as a surrogate sees them."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import Surrogate

# Individuals expected to be best, whose neighbours are looked at.
_ELITES = 3
# From the best of a pool a hill is climbed, so many steps at most.
_ROUNDS = 6
# So many evaluations are much data.
_MUCH_DATA = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Effort:
    """How many children are looked at, by where they come from.

    Args:
        neighbours: Of each elite and at each step uphill, at most.
        children: Of the evolution.
        immigrants: Drawn at random.
        climbers: The best of them, from which a hill is climbed.
    """

    neighbours: int
    children: int
    immigrants: int
    climbers: int


_THOROUGH = _Effort(neighbours=48, children=16, immigrants=100, climbers=4)
# A look takes longer the more data there is, and finds less.
_QUICK = _Effort(neighbours=24, children=8, immigrants=50, climbers=2)


def most_promising(
    surrogate: Surrogate,
    breed: Callable[[], Draft],
    space: SearchSpace,
    history: History,
    rng: np.random.Generator,
) -> Draft:
    """Looks at many children and returns the best that was not born before.

    They are children of the evolution, all that differ in one gene from the
    individuals that are expected to be best, random ones, and what is met on
    a climb from the most promising of these, gene by gene.

    Args:
        surrogate: Says what each is worth.
        breed: Makes a child of the evolution.
        space: The space.
        history: The history.
        rng: Generator.

    Returns:
        The draft of the child, with its parents.
    """
    much = len(history.ended) > _MUCH_DATA
    effort = _QUICK if much else _THOROUGH
    pool = _gathered(effort, surrogate, breed, space, rng)
    return pool.climb(effort, rng).best_unseen(space, history)


def _gathered(
    effort: _Effort,
    surrogate: Surrogate,
    breed: Callable[[], Draft],
    space: SearchSpace,
    rng: np.random.Generator,
) -> "_Pool":
    encoding = surrogate.encoding
    codes, origins, counts = [], [], []
    for index in surrogate.elites(_ELITES):
        near = encoding.neighbours(
            surrogate.codes[index],
            surrogate.active[index],
            rng,
            effort.neighbours,
        )
        birth = surrogate.individuals[index].birth
        codes.append(near)
        origins.append(Draft(parents=(birth,), operator="neighbour"))
        counts.append(len(near))
    children = [breed() for _ in range(effort.children)]
    genomes = [space.express(child.genome, rng) for child in children]
    codes.append(encoding.filled(*encoding.encode(genomes), rng))
    origins += children
    counts += [1] * len(children)
    codes.append(encoding.sample(effort.immigrants, rng))
    origins.append(Draft())
    counts.append(effort.immigrants)
    rows = np.concatenate(codes)
    origin = np.repeat(np.arange(len(origins)), counts)
    return _Pool(rows, surrogate.worth(rows), origin, origins, surrogate)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pool:
    """Children that may be born.

    Args:
        codes: `(n, size)` array.
        worth: `(n,)` array, what each promises.
        origin: `(n,)` array of integers, where each comes from.
        origins: Drafts with the parents and operators of each origin.
        surrogate: What promises it.
    """

    codes: np.ndarray
    worth: np.ndarray
    origin: np.ndarray
    origins: Sequence[Draft]
    surrogate: Surrogate

    def climb(self, effort: _Effort, rng: np.random.Generator) -> "_Pool":
        """Adds what is met on the way uphill from the best."""
        encoding = self.surrogate.encoding
        top = self._part(self._order()[: effort.climbers])
        met = [self]
        for _ in range(_ROUNDS):
            active = encoding.activity(top.codes)
            near = [
                encoding.neighbours(codes, genes, rng, effort.neighbours)
                for codes, genes in zip(top.codes, active, strict=True)
            ]
            counts = [len(rows) for rows in near]
            rows = np.concatenate(near)
            if not len(rows):
                break
            climber = np.repeat(np.arange(len(near)), counts)
            step = self._with(
                rows, self.surrogate.worth(rows), top.origin[climber]
            )
            met.append(step)
            best = step._best_of_each(climber, len(near))
            higher = step.worth[best] > top.worth[climber[best]] + 1e-9
            if not higher.any():
                break
            top = step._part(best[higher])
        return self._with(
            np.concatenate([pool.codes for pool in met]),
            np.concatenate([pool.worth for pool in met]),
            np.concatenate([pool.origin for pool in met]),
        )

    def best_unseen(self, space: SearchSpace, history: History) -> Draft:
        """The most promising child that was not born before.

        If all were, the engine is left to mutate the most promising one.
        """
        encoding, order = self.surrogate.encoding, self._order()
        chosen, genome = order[0], encoding.decode(self.codes[order[0]])
        for index in order:
            other = encoding.decode(self.codes[index])
            if not history.seen(space.key(other)):
                chosen, genome = index, other
                break
        origin = self.origins[int(self.origin[chosen])]
        operator = f"screened+{origin.operator}"
        return dataclasses.replace(origin, genome=genome, operator=operator)

    def _order(self) -> np.ndarray:
        return np.argsort(-self.worth, kind="stable")

    def _part(self, indices: np.ndarray) -> "_Pool":
        return self._with(
            self.codes[indices], self.worth[indices], self.origin[indices]
        )

    def _with(
        self, codes: np.ndarray, worth: np.ndarray, origin: np.ndarray
    ) -> "_Pool":
        return dataclasses.replace(
            self, codes=codes, worth=worth, origin=origin
        )

    def _best_of_each(self, group: np.ndarray, groups: int) -> np.ndarray:
        """Index of the most promising child of each group that has some."""
        order = self._order()
        first = np.full(groups, -1)
        # Written backwards, so that the best of a group is what remains.
        first[group[order[::-1]]] = order[::-1]
        return first[first >= 0]
