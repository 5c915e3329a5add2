"""Screened evolution: evolution makes many children, a surrogate chooses.

Evolution alone evaluates every child that it makes. Here a Gaussian process
that has learnt from all that were evaluated looks at a few hundred children
first, and the one that promises the largest improvement is born (compare Sun
et al., 2020, and White et al., 2021, where neural networks choose).
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal
from typing import Protocol

import numpy as np

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import squared_distances
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import EvolutionState
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import encoding_of
from keras_evonas.evolution.surrogate import surrogate_of

# From so many of the best of a pool a hill is climbed, so many steps at most.
_ELITES = 3
_ROUNDS = 6
# So many evaluations are much data.
_MUCH_DATA = 100
# Random draws of which the one farthest from all individuals is taken. Of many
# it would be a corner of the space, where networks are bad and chance rules.
_DRAWS = 8
# So many times as many are drawn to keep the most capable.
_MORE_DRAWS = 5
# Evaluated individuals without which a surrogate knows nothing.
_LEAST_DATA = 3
# Below this rank correlation every second child goes unscreened.
_LEAST_TRUST = 0.0


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


class Capability(Protocol):
    """Says which networks can learn more, for example by their parameters.

    Make it a frozen dataclass: its representation is part of what a project
    folder remembers of a strategy.
    """

    def __call__(self, genome: Genome) -> float:
        """Returns a number that is larger for a more capable network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenedEvolution:
    """Evolution whose children are chosen by a surrogate.

    The first individual is made of the defaults of the space, if somebody
    chose some, and else of the middle of every ordered gene: ranges are drawn
    around what is believed in. A few draws far from each other follow. Then
    each proposal is the best of a pool by its expected improvement: children
    of the evolution, all that differ in one gene from the individuals that are
    expected to be best, and random ones, and from the most promising of them a
    hill is climbed gene by gene. Individuals that are being evaluated count as
    what is expected of them, so that several proposals at once differ.
    Failures count as the worst loss.

    Every `unscreened`-th child is born as evolution made it, whatever the
    surrogate thinks, and every second one while the surrogate predicts no
    better than chance. Where runs are hardly noisy and nothing better was
    found in 20 evaluations, every second individual is drawn at random, and the
    surrogate learns of what it has not seen. A search can therefore not get
    stuck where the surrogate errs.

    Of several losses only the first is screened for.

    Args:
        evolution: The evolution that makes children. Defaults to
            `genetic_algorithm()`.
        initial_size: Integer, individuals before the surrogate is asked, or
            `"auto"`: 8, and a quarter of the trials if there are fewer than
            32. Defaults to `"auto"`.
        unscreened: Integer of at least 2, or 0 to screen all. Defaults to 20.
        default_first: Boolean, whether the defaults of the space come first,
            if any of them is more than the first value of its gene. Defaults
            to `True`.
        capability: Prefers capable networks in every second of the initial
            draws; see `Capability`. Sensible where cost is no objective.
            Defaults to `None`: no preference.

    Raises:
        ValueError: If a number is out of range.
    """

    evolution: Evolution = dataclasses.field(default_factory=genetic_algorithm)
    initial_size: int | Literal["auto"] = "auto"
    unscreened: int = 20
    default_first: bool = True
    capability: Capability | None = None

    def __post_init__(self) -> None:
        if self.initial_size != "auto":
            check_positive_integer("initial_size", self.initial_size)
        check_integer("unscreened", self.unscreened, lowest=0)
        if self.unscreened == 1:
            raise ValueError(
                "`unscreened` must be 0 or at least 2. Received: unscreened=1, "
                "which screens none. Use the evolution alone for that."
            )

    def configure(self, max_trials: int | None) -> "ScreenedEvolution":
        """Resolves `"auto"`; see `Strategy`."""
        size = self.initial_size
        if size == "auto":
            size = 8 if max_trials is None else min(8, max(1, max_trials // 4))
        evolution = self.evolution.configure(max_trials)
        return dataclasses.replace(self, evolution=evolution, initial_size=size)

    def begin(self) -> EvolutionState:
        """Returns the evolution's empty population; see `Strategy`."""
        return self.evolution.begin()

    def absorb(
        self, state: EvolutionState, individual: Individual
    ) -> EvolutionState:
        """Lets an individual join the evolution; see `Strategy`."""
        return self.evolution.absorb(state, individual)

    def propose(
        self,
        state: EvolutionState,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Proposes the best of many children; see `Strategy`."""
        if self.initial_size == "auto":
            raise RuntimeError(
                "`initial_size='auto'` is not resolved yet. Call "
                "`strategy.configure(max_trials)` first and use what it "
                "returns."
            )
        births, population = history.births, state.population
        if births < self.initial_size or len(population) < _LEAST_DATA:
            return self._initial(space, history, rng)
        if self.unscreened and births % self.unscreened == 0:
            return self.evolution.breed(population, space, rng)
        surrogate = self.learn(space, history)
        if births % 2 and surrogate.trust < _LEAST_TRUST:
            return self.evolution.breed(population, space, rng)
        ended = births - len(history.pending)
        if births % 2 == 0 and surrogate.is_stuck(ended):
            return Draft(genome=space.sample(rng), operator="immigrant")
        effort = _THOROUGH if ended <= _MUCH_DATA else _QUICK
        pool = self._pool(effort, surrogate, state, space, rng)
        return pool.climb(effort, surrogate, rng).best_unseen(
            surrogate.encoding, space, history
        )

    def learn(self, space: SearchSpace, history: History) -> Surrogate:
        """Makes the surrogate that screens, from a history."""
        return surrogate_of(space, history)

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Mutates as the evolution does; see `Strategy`."""
        return self.evolution.vary(draft, space, rng)

    def recommend(self, space: SearchSpace, history: History) -> Individual:
        """Names the individual that is expected to be best.

        Where runs are noisy the one with the best loss may have been lucky.
        This one would be expected to win if all were run again.

        Args:
            space: The space.
            history: The history.

        Returns:
            A viable individual.

        Raises:
            ValueError: If no evaluation ended well.
        """
        if not any(one.viable for one in history.ended):
            raise ValueError(
                "`history` must hold an evaluation that ended well. Received: "
                f"{len(history.ended)} that ended, all of them failed."
            )
        surrogate = surrogate_of(space, history)
        return surrogate.individuals[surrogate.elites(1)[0]]

    def _initial(
        self, space: SearchSpace, history: History, rng: np.random.Generator
    ) -> Draft:
        """The defaults or the middle, then draws far from all others."""
        births = history.births
        if not births and self.default_first and _says_defaults(space):
            return Draft(genome=space.default, operator="default")
        if not births:
            return Draft(genome=_middle(space), operator="middle")
        encoding = encoding_of(space.genes)
        if self.capability is not None and births % 2:
            codes = encoding.sample(_MORE_DRAWS * _DRAWS, rng)
            genomes = [encoding.decode(row) for row in codes]
            capable = np.argsort([-self.capability(g) for g in genomes])
            codes = codes[capable[:_DRAWS]]
        else:
            codes = encoding.sample(_DRAWS, rng)
        features = encoding.features(codes, encoding.activity(codes))
        everyone = [*history.ended, *history.pending.values()]
        taken = encoding.features(
            *encoding.encode([one.genome for one in everyone])
        )
        nearest = squared_distances(features, taken).min(axis=1)
        genome = encoding.decode(codes[int(nearest.argmax())])
        return Draft(genome=genome, operator="space_filling")

    def _pool(
        self,
        effort: _Effort,
        surrogate: Surrogate,
        state: EvolutionState,
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
        children = [
            self.evolution.breed(state.population, space, rng)
            for _ in range(effort.children)
        ]
        genomes = [space.express(child.genome, rng) for child in children]
        codes.append(encoding.filled(*encoding.encode(genomes), rng))
        origins += children
        counts += [1] * len(children)
        codes.append(encoding.sample(effort.immigrants, rng))
        origins.append(Draft())
        counts.append(effort.immigrants)
        rows = np.concatenate(codes)
        origin = np.repeat(np.arange(len(origins)), counts)
        return _Pool(rows, surrogate.worth(rows), origin, origins)


def _middle(space: SearchSpace) -> dict[str, Value]:
    """A draft in the middle of all ordered genes; the others are drawn."""
    return {
        gene.name: gene.domain.at(0.5)
        for gene in space.genes
        if isinstance(gene.domain, Grid | Interval)
    }


def _says_defaults(space: SearchSpace) -> bool:
    """Whether some default is more than the first value of its domain.

    keras-tuner gives every hyperparameter a default, the first or least value
    unless the user names one. A network of nothing but those is a corner of
    the space, not a suggestion.
    """
    return any(gene.default != next(iter(gene.domain)) for gene in space.genes)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pool:
    """Children that may be born.

    Args:
        codes: `(n, size)` array.
        worth: `(n,)` array, what each promises.
        origin: `(n,)` array of integers, where each comes from.
        origins: Drafts with the parents and operators of each origin.
    """

    codes: np.ndarray
    worth: np.ndarray
    origin: np.ndarray
    origins: Sequence[Draft]

    def climb(
        self, effort: _Effort, surrogate: Surrogate, rng: np.random.Generator
    ) -> "_Pool":
        """Adds what is met on the way uphill from the best."""
        encoding = surrogate.encoding
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
            step = _Pool(
                rows, surrogate.worth(rows), top.origin[climber], self.origins
            )
            met.append(step)
            best = step._best_of_each(climber, len(near))
            higher = step.worth[best] > top.worth[climber[best]] + 1e-9
            if not higher.any():
                break
            top = step._part(best[higher])
        return _Pool(
            np.concatenate([pool.codes for pool in met]),
            np.concatenate([pool.worth for pool in met]),
            np.concatenate([pool.origin for pool in met]),
            self.origins,
        )

    def best_unseen(
        self, encoding: Encoding, space: SearchSpace, history: History
    ) -> Draft:
        """The most promising child that was not born before.

        If all were, the engine is left to mutate the most promising one.
        """
        order = self._order()
        chosen, genome = order[0], encoding.decode(self.codes[order[0]])
        for index in order:
            other = encoding.decode(self.codes[index])
            if not history.seen(space.key(other)):
                chosen, genome = index, other
                break
        origin = self.origins[self.origin[chosen]]
        operator = f"screened+{origin.operator}"
        return dataclasses.replace(origin, genome=genome, operator=operator)

    def _order(self) -> np.ndarray:
        return np.argsort(-self.worth, kind="stable")

    def _part(self, indices: np.ndarray) -> "_Pool":
        return _Pool(
            self.codes[indices],
            self.worth[indices],
            self.origin[indices],
            self.origins,
        )

    def _best_of_each(self, group: np.ndarray, groups: int) -> np.ndarray:
        """Index of the most promising child of each group that has some."""
        order = self._order()
        first = np.full(groups, -1)
        # Written backwards, so that the best of a group is what remains.
        first[group[order[::-1]]] = order[::-1]
        return first[first >= 0]


def screened_evolution(
    *,
    evolution: Evolution | None = None,
    initial_size: int | Literal["auto"] = "auto",
    unscreened: int = 20,
    default_first: bool = True,
    capability: Capability | None = None,
) -> ScreenedEvolution:
    """Evolution whose children are chosen by a Gaussian process.

    Best for searches in which every trial counts, up to some hundreds.

    Args:
        evolution: The evolution that makes children, or `None` for
            `genetic_algorithm()`.
        initial_size: Integer or `"auto"`; see `ScreenedEvolution`.
        unscreened: Integer, every how many children one is born unscreened.
            Defaults to 20.
        default_first: Boolean, whether the defaults of the space come first.
            Defaults to `True`.
        capability: Prefers capable networks at the beginning; see
            `Capability`. Defaults to `None`.

    Returns:
        The strategy.

    Raises:
        ValueError: If a number is out of range.
    """
    return ScreenedEvolution(
        evolution=genetic_algorithm() if evolution is None else evolution,
        initial_size=initial_size,
        unscreened=unscreened,
        default_first=default_first,
        capability=capability,
    )
