"""Candidates: many possible children, of which a surrogate chooses one."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution import labels
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import Surrogate

_SCREENED = labels.define("screened+", "chosen among several such")

# Individuals expected to be best, whose neighbours are candidates.
_ELITES = 3
# Most steps uphill from the best candidates. A step changes one gene, so that
# candidates differ from an elite in up to 7.
_STEPS = 6
# Number of ended individuals beyond which there are fewer candidates.
_MANY_ENDED = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Effort:
    """Numbers of candidates, by their origin.

    Args:
        neighbours: Integer, most neighbours of each elite and of each climber
            at each step.
        children: Integer, children of the evolution.
        immigrants: Integer, random genomes.
        climbers: Integer, the best of all these, from which steps uphill
            start.
    """

    neighbours: int
    children: int
    immigrants: int
    climbers: int


# Up to 260 candidates, and 1152 more uphill: a few hundredths of a second for
# predictions. Neighbours refine what is good, and random genomes reach regions
# without individuals; children, made by crossover, lie between the two.
THOROUGH = _Effort(neighbours=48, children=16, immigrants=100, climbers=4)
# A prediction costs the square of the number of individuals. Half as many
# candidates make up for it, when regions are known and fewer are needed.
QUICK = _Effort(neighbours=24, children=8, immigrants=50, climbers=2)


def most_promising(
    surrogate: Surrogate,
    breed: Callable[[], Draft],
    space: SearchSpace,
    history: History,
    rng: np.random.Generator,
) -> Draft:
    """Returns the candidate of the largest expected gain that is new.

    Candidates are children of the evolution, genomes that differ in one gene
    from the individuals that are expected to be best, random genomes, and the
    genomes on the way uphill from the best of these, gene by gene.

    Args:
        surrogate: The surrogate that predicts the gain of each candidate.
        breed: Function that makes a child of the evolution.
        space: The space.
        history: The history.
        rng: The generator to draw from.

    Returns:
        The draft of the candidate, with its parents.
    """
    many = len(history.ended) > _MANY_ENDED
    effort = QUICK if many else THOROUGH
    pool = gathered(effort, surrogate, breed, space, rng)
    return pool.climb(effort, rng).best_unseen(space, history)


def gathered(
    effort: _Effort,
    surrogate: Surrogate,
    breed: Callable[[], Draft],
    space: SearchSpace,
    rng: np.random.Generator,
) -> "_Pool":
    """Gathers the candidates from which steps uphill start."""
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
        origins.append(Draft(parents=(birth,), operator=labels.NEIGHBOUR))
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
    """Candidates with their expected gain and their origin.

    Args:
        codes: `(n, size)` array.
        worth: `(n,)` array, the expected gain of each.
        origin: `(n,)` array of integers, the index of each in `origins`.
        origins: Drafts with the parents and the operator of each origin.
        surrogate: The surrogate that predicted the gain.
    """

    codes: np.ndarray
    worth: np.ndarray
    origin: np.ndarray
    origins: Sequence[Draft]
    surrogate: Surrogate

    def climb(self, effort: _Effort, rng: np.random.Generator) -> "_Pool":
        """Adds the candidates on the way uphill from the best."""
        encoding = self.surrogate.encoding
        top = self.part(self.order()[: effort.climbers])
        met = [self]
        for _ in range(_STEPS):
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
            best = step.best_of_each(climber, len(near))
            # By more than rounding, so that no climber circles on a plateau.
            higher = step.worth[best] > top.worth[climber[best]] + 1e-9
            if not higher.any():
                break
            top = step.part(best[higher])
        return self._with(
            np.concatenate([pool.codes for pool in met]),
            np.concatenate([pool.worth for pool in met]),
            np.concatenate([pool.origin for pool in met]),
        )

    def best_unseen(self, space: SearchSpace, history: History) -> Draft:
        """Returns the best candidate that was not born before.

        If all were, it is the best of all, and the engine mutates it.
        """
        encoding, order = self.surrogate.encoding, self.order()
        chosen, genome = order[0], encoding.decode(self.codes[order[0]])
        for index in order:
            other = encoding.decode(self.codes[index])
            if not history.seen(space.key(other)):
                chosen, genome = index, other
                break
        origin = self.origins[int(self.origin[chosen])]
        operator = f"{_SCREENED}{origin.operator}"
        return dataclasses.replace(origin, genome=genome, operator=operator)

    def order(self) -> np.ndarray:
        """Returns the indices of the candidates, the best first."""
        return np.argsort(-self.worth, kind="stable")

    def part(self, indices: np.ndarray) -> "_Pool":
        """Returns the pool of some of the candidates."""
        return self._with(
            self.codes[indices], self.worth[indices], self.origin[indices]
        )

    def _with(
        self, codes: np.ndarray, worth: np.ndarray, origin: np.ndarray
    ) -> "_Pool":
        return dataclasses.replace(
            self, codes=codes, worth=worth, origin=origin
        )

    def best_of_each(self, group: np.ndarray, groups: int) -> np.ndarray:
        """Returns the index of the best candidate of each group that has some.

        Args:
            group: `(n,)` array of integers, the group of each candidate.
            groups: Integer, the number of groups.
        """
        order = self.order()
        first = np.full(groups, -1)
        # Written backwards, so that the best of a group is written last.
        first[group[order[::-1]]] = order[::-1]
        return first[first >= 0]
