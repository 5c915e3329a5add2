"""Candidates: many possible children, of which a surrogate chooses one."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_evonas.evolution import labels
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import Surrogate

_SCREENED = labels.define("screened+", "the most promising of several")

# Individuals expected to be best, whose neighbours are candidates.
_ELITES = 3
# Most steps uphill from the best candidates. A step changes one gene, so that
# candidates differ from an elite in up to 7.
_STEPS = 6
# Number of ended individuals beyond which there are fewer candidates.
_MANY_ENDED = 100


class _Effort(NamedTuple):
    """Numbers of candidates, by their origin."""

    neighbours: int  # At most, of each elite and of each climber at each step.
    children: int  # Of the evolution.
    immigrants: int  # Random genomes.
    climbers: int  # The best of all these, from which steps uphill start.


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
    rng: Rng,
) -> Draft:
    """Returns the candidate of the largest expected gain that is new.

    Candidates are those of `ScreenedEvolution`; `breed` makes a child of the
    evolution.
    """
    effort = QUICK if len(history.ended) > _MANY_ENDED else THOROUGH
    pool = gathered(effort, surrogate, breed, space, rng)
    return pool.climb(effort, rng).best_unseen(space, history)


def gathered(
    effort: _Effort,
    surrogate: Surrogate,
    breed: Callable[[], Draft],
    space: SearchSpace,
    rng: Rng,
) -> "_Pool":
    """Gathers the candidates from which steps uphill start."""
    encoding = surrogate.encoding
    codes, origins, counts = [], [], []
    for index in surrogate.elites(_ELITES):
        row, active = surrogate.codes[index], surrogate.active[index]
        near = encoding.neighbours(row, active, rng, effort.neighbours)
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
    """Candidates with their expected gain and their origin."""

    codes: np.ndarray  # `(n, size)`
    worth: np.ndarray  # `(n,)`, the expected gain of each.
    origin: np.ndarray  # `(n,)`, the index of each in `origins`.
    origins: Sequence[Draft]  # The parents and the operator of each origin.
    surrogate: Surrogate  # It predicted the gain.

    def climb(self, effort: _Effort, rng: Rng) -> "_Pool":
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
            rows = np.concatenate(near)
            if not len(rows):
                break
            climber = np.repeat(np.arange(len(near)), [len(n) for n in near])
            worth = self.surrogate.worth(rows)
            step = self._with(rows, worth, top.origin[climber])
            met.append(step)
            best = step.best_of_each(climber)
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
        """Returns the best candidate that was not born before."""
        decode, order = self.surrogate.encoding.decode, self.order()
        for chosen in order:
            genome = decode(self.codes[chosen])
            if not history.seen(space.key(genome)):
                break
        else:  # All were: the engine mutates the best of all.
            chosen, genome = order[0], decode(self.codes[order[0]])
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
        return _Pool(codes, worth, origin, self.origins, self.surrogate)

    def best_of_each(self, group: np.ndarray) -> np.ndarray:
        """Returns the index of the best candidate of each group, by group."""
        order = self.order()
        # `np.unique` returns where each group stands first.
        return order[np.unique(group[order], return_index=True)[1]]
