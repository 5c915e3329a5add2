"""Genomes as arrays, so that hundreds of them are compared at once.

A genome is a row of *codes*, one for each gene of the space: the index of its
value for a gene with a list of values, its position in `[0, 1]` for a
continuous one. A row has codes for inactive genes, too, which count only once
a change makes the genes active; `activity` returns which genes are active.
"""

import bisect
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy import special

from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.space import SearchSpace

# Whole numbers of an interval are listed up to this many, so that tables stay
# small; a longer interval is treated as continuous.
_MAX_LISTED = 4096
# Ordered genes with more values than this have no neighbour at every value, but
# one random step away in each direction: else one learning rate would have more
# neighbours than all layers together.
_MAX_ALL_VALUES = 12
_STEPS = np.array([-1.0, 1.0])
# Powers of ten between which the size of a step is drawn: from 0.3 % of the
# scale, to refine a value, to 40 % of it, to leave its region. No size is
# preferred, since the right one is not known.
_STEP_SIZES = (-2.5, -0.4)
# Ordered values from which on a gene has ends that first draws avoid: of three
# values the outer ones are no extremes. The sum of the parameters of the beta
# distribution of such draws, less 2: with the middle as its mode they are 3
# and 3, the best of those in docs/benchmarks.md.
_HAS_ENDS = 4
_NARROW = 4.0
# Distance between an inactive gene and an active one in the middle. Its square
# is a half, about that of two random values of a gene; see `Posterior`.
_INACTIVE_DISTANCE = np.sqrt(0.5)

# The codes of a gene for which a condition holds, as a mask, or the values.
_Allowed: TypeAlias = np.ndarray | tuple[Value, ...]


class _Column:
    """One gene, maybe optional, as a column of codes, and its features.

    `table` is the `(levels + 1, width)` array of the features of each code, and
    last those of the inactive gene.
    """

    def __init__(self, gene: Gene, optional: bool) -> None:
        self.gene = gene
        domain = gene.domain
        self._interval = domain if isinstance(domain, Interval) else None
        self.values = _listed(domain)
        self.levels = len(self.values)
        self._code_of = {value: code for code, value in enumerate(self.values)}
        if isinstance(domain, Interval | Grid):
            self._positions = np.array([*map(domain.position, self.values)])
            self.table = _ordered_features(self._positions, optional)
            self.wide = not self.values or self.levels > _MAX_ALL_VALUES
        else:
            self._positions = np.zeros(0)
            self.table = _unordered_features(self.levels, optional)
            self.wide = False
        if not self.values:
            # Continuous: a row for the active gene, whose first feature is the
            # code itself and filled in later, and one for the inactive gene.
            self.table = np.stack([np.zeros(1 + optional), self.table[-1]])
        # Halfway between neighbouring positions: the value nearest to a
        # position is found by bisection.
        borders = (self._positions[:-1] + self._positions[1:]) / 2
        self._borders = borders.tolist()
        self._others = [
            [float(other) for other in range(self.levels) if other != code]
            for code in range(0 if self.wide else self.levels)
        ]

    def encode(self, value: Value) -> float:
        """Returns the code of a value of the domain."""
        if self._interval and not self.values:
            return self._interval.position(value)
        return self._code_of[value]

    def decode(self, code: float) -> Value:
        """Returns the value of a code."""
        if self._interval and not self.values:
            return self._interval.at(float(code))
        return self.values[int(code)]

    def inner(self, shares: np.ndarray) -> list[float] | None:
        """Returns codes of draws that avoid the ends, `None` if it has no ends.

        Only ordered genes of at least 4 values have ends to avoid. The draws
        are of a beta distribution, made of the `(n,)` uniform `shares`. Its
        mode is a default that has been chosen, and else the middle.
        """
        domain, default = self.gene.domain, self.gene.default
        if not isinstance(domain, Interval | Grid) or domain.size < _HAS_ENDS:
            return None
        mode = 0.5
        if default is not None and has_chosen_default(self.gene):
            mode = domain.position(default)
        narrow = (1 + _NARROW * mode, 1 + _NARROW * (1 - mode))
        places = special.betaincinv(*narrow, shares)
        return [self.encode(domain.at(float(place))) for place in places]

    def encoded(self, genomes: Sequence[Genome]) -> list[float]:
        """Returns the codes of the gene in genomes, NaN where they lack it."""
        name = self.gene.name
        code_of = self._code_of.__getitem__ if self.values else self.encode
        return [
            code_of(genome[name]) if name in genome else np.nan
            for genome in genomes
        ]

    def others(self, code: float, steps: Sequence[float]) -> list[float]:
        """Returns all other codes if they are few, else those a step away."""
        if not self.wide:
            return self._others[int(code)]
        if not self.values:
            moved = [min(max(code + step, 0.0), 1.0) for step in steps]
            return [other for other in moved if other != code]
        start = self._positions[int(code)]
        codes = []
        for step in steps:
            found = bisect.bisect_left(self._borders, start + step)
            if found == code:  # At least to the next value.
                found += 1 if step > 0 else -1
            if 0 <= found < self.levels:
                codes.append(float(found))
        return codes


def has_chosen_default(gene: Gene) -> bool:
    """Returns whether the default of a gene is not its first value."""
    # keras-tuner's default is the first or least value unless the user names
    # one. A genome of such values is a corner of the space and no suggestion.
    return gene.default != next(iter(gene.domain))


def _listed(domain: Domain) -> tuple[Value, ...]:
    """Returns the values of a domain, none if there are too many to list."""
    if isinstance(domain, Interval) and domain.size > _MAX_LISTED:
        return ()
    return tuple(domain)


def _unordered_features(levels: int, optional: bool) -> np.ndarray:
    """Places values without order, the inactive gene last.

    Each row is a corner of a simplex with edges of length 1, so that all values
    are equally far from each other.
    """
    width = levels + optional
    if width == 1:
        return np.zeros((levels + 1, 0))
    return np.eye(levels + 1)[:, :width] / np.sqrt(2.0)


def _ordered_features(positions: np.ndarray, optional: bool) -> np.ndarray:
    """Places ordered values, and the inactive gene beside their middle.

    An optional gene has a second axis, on which only the last row, the inactive
    gene, is not 0.
    """
    features = np.zeros((len(positions) + 1, 1 + optional))
    features[:-1, 0] = positions
    features[-1, 0] = 0.5
    if optional:
        features[-1, 1] = _INACTIVE_DISTANCE
    return features


class Encoding:
    """Turns genomes of a space into arrays and back.

    Attributes:
        size: Integer, number of genes and of codes in a row.
        columns: List of the genes as columns, in order.
        gene_of_feature: `(f,)` integer array, the gene of each feature.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._genes = space.genes
        self._of_name: dict[str, list[int]] = {}
        for index, gene in enumerate(self._genes):
            self._of_name.setdefault(gene.name, []).append(index)
        self._optional = [
            bool(gene.conditions) or len(self._of_name[gene.name]) > 1
            for gene in self._genes
        ]
        self.columns = [
            _Column(gene, optional)
            for gene, optional in zip(self._genes, self._optional, strict=True)
        ]
        self.size = len(self.columns)
        self._some_wide = any(column.wide for column in self.columns)
        self._levels = np.array([column.levels for column in self.columns])
        self._listed = self._levels > 0
        tables = [column.table for column in self.columns]
        widths = [table.shape[1] for table in tables]
        self.gene_of_feature = np.repeat(np.arange(self.size), widths)
        # All tables in one array, feature by feature, so that one index looks
        # up the features of all genes. Needed for that: where each feature
        # begins, the row of the inactive gene in each table, and the features
        # that are codes themselves, those of continuous genes.
        self._features = np.concatenate([t.T.ravel() for t in tables])
        lengths = np.repeat([len(table) for table in tables], widths)
        self._starts = np.cumsum(lengths) - lengths
        self._inactive_rows = np.array([len(table) - 1 for table in tables])
        firsts = np.cumsum(widths) - widths
        self._unlisted = np.flatnonzero(~self._listed)
        self._firsts = firsts[self._unlisted]
        self._conditions = [
            [self._compiled(condition, index) for condition in gene.conditions]
            for index, gene in enumerate(self._genes)
        ]
        # For each gene the first one that has the same conditions, often the
        # first gene of its layer, so that each condition is checked once.
        first: dict[tuple[object, ...], int] = {}
        keys = [
            tuple(
                (condition, tuple(owner for owner, _ in owners))
                for condition, owners in zip(
                    gene.conditions, compiled, strict=True
                )
            )
            for gene, compiled in zip(
                self._genes, self._conditions, strict=True
            )
        ]
        for index, key in enumerate(keys):
            first.setdefault(key, index)
        self._alike = [first[key] for key in keys]
        # The one that has all conditions but the last, as in scopes within
        # scopes, or -1.
        self._outer = [first.get(key[:-1], -1) for key in keys]

    def _compiled(
        self, condition: Condition, end: int
    ) -> list[tuple[int, _Allowed]]:
        """Lists the genes of a condition's name and the codes it allows.

        They stand before the gene `end`, whose condition it is.
        """
        compiled: list[tuple[int, _Allowed]] = []
        for index in self._of_name[condition.parent]:
            if index >= end:
                break
            listed, allowed = self.columns[index].values, condition.values
            mask = np.array([value in allowed for value in listed])
            compiled.append((index, mask if listed else allowed))
        return compiled

    def encode(
        self, genomes: Sequence[Genome]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the `(n, size)` arrays of codes and of active genes.

        The codes of inactive genes are 0. Genes that joined the space after a
        genome was born count as inactive.
        """
        codes = np.full((len(genomes), self.size), np.nan)
        for index, column in enumerate(self.columns):
            name = column.gene.name
            if len(self._of_name[name]) == 1:
                codes[:, index] = column.encoded(genomes)
                continue
            for row, genome in enumerate(genomes):
                if name in genome and self._owner(name, genome) == index:
                    codes[row, index] = column.encode(genome[name])
        active = ~np.isnan(codes)
        return np.where(active, codes, 0.0), active

    def _owner(self, name: str, genome: Genome) -> int | None:
        """Finds the gene of a name that a genome's value belongs to."""
        for index in self._of_name[name]:
            gene = self._genes[index]
            if gene.is_active(genome):
                return index if gene.domain.contains(genome[name]) else None
        return None

    def decode(self, codes: np.ndarray) -> dict[str, Value]:
        """Returns the genome of a row of codes."""
        active = self.activity(codes[None])[0]
        return {
            column.gene.name: column.decode(codes[index])
            for index, column in enumerate(self.columns)
            if active[index]
        }

    def activity(self, codes: np.ndarray) -> np.ndarray:
        """Returns the `(n, size)` boolean array of active genes."""
        active = np.ones(codes.shape, dtype=bool)
        whole = codes.astype(np.intp)
        known: dict[int, np.ndarray] = {}
        for index, optional in enumerate(self._optional):
            if not optional:
                continue
            alike = self._alike[index]
            if alike not in known:
                known[alike] = self._holds(alike, known, codes, whole, active)
            active[:, index] = known[alike]
            # Of several active genes of a name only the first counts.
            for earlier in self._of_name[self._genes[index].name]:
                if earlier < index:
                    active[:, index] &= ~active[:, earlier]
        return active

    def _holds(
        self,
        index: int,
        known: dict[int, np.ndarray],
        codes: np.ndarray,
        whole: np.ndarray,
        active: np.ndarray,
    ) -> np.ndarray:
        """Returns the `(n,)` mask of rows in which a gene's conditions hold."""
        all_hold = np.ones(len(codes), dtype=bool)
        conditions, outer = self._conditions[index], self._outer[index]
        if outer in known:
            all_hold, conditions = known[outer].copy(), conditions[-1:]
        for owners in conditions:
            holds = np.zeros(len(codes), dtype=bool)
            for owner, allowed in owners:
                if isinstance(allowed, np.ndarray):
                    met = allowed[whole[:, owner]]
                else:
                    values = map(self.columns[owner].decode, codes[:, owner])
                    met = np.array([value in allowed for value in values], bool)
                holds |= active[:, owner] & met
            all_hold &= holds
        return all_hold

    def features(self, codes: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Places genomes in a Euclidean space, with a few axes for each gene.

        Two values without order are at distance 1, two ordered values at the
        difference of their positions, and an inactive gene is at a similar
        distance from all of its values. The result is an `(n, f)` array.
        """
        rows = np.where(active & self._listed, codes, 0.0).astype(np.intp)
        np.copyto(rows, self._inactive_rows, where=~active)
        found = self._features[rows[:, self.gene_of_feature] + self._starts]
        for index, first in zip(self._unlisted, self._firsts, strict=True):
            np.copyto(found[:, first], codes[:, index], where=active[:, index])
        return found

    def sample(self, count: int, rng: Rng) -> np.ndarray:
        """Draws a `(count, size)` array of codes, uniformly on each scale."""
        drawn = rng.random((count, self.size))
        listed = self._listed
        drawn[:, listed] = np.floor(drawn[:, listed] * self._levels[listed])
        return drawn

    def sample_inner(self, count: int, rng: Rng) -> np.ndarray:
        """Draws codes as `sample`, but rarely at the ends of ordered genes.

        An end is where trainings diverge or learn nothing, while users choose
        ranges around the values that they expect to work.
        """
        codes = self.sample(count, rng)
        shares = rng.random(codes.shape)
        for index, column in enumerate(self.columns):
            inner = column.inner(shares[:, index])
            if inner is not None:
                codes[:, index] = inner
        return codes

    def filled(
        self, codes: np.ndarray, active: np.ndarray, rng: Rng
    ) -> np.ndarray:
        """Draws the codes of inactive genes, in case they become active."""
        if active.all():
            return codes
        return np.where(active, codes, self.sample(len(codes), rng))

    def neighbours(
        self,
        codes: np.ndarray,
        active: np.ndarray,
        rng: Rng,
        limit: int | None = None,
    ) -> np.ndarray:
        """Returns the rows that differ from a row in one active gene.

        Of more than `limit` rows so many are drawn. Genes that a change makes
        active are drawn, too.
        """
        steps = np.zeros((self.size, len(_STEPS)))
        if self._some_wide:
            steps = _STEPS * 10.0 ** rng.uniform(*_STEP_SIZES, steps.shape)
        genes = np.flatnonzero(active)
        pairs = zip(codes[genes].tolist(), steps[genes].tolist(), strict=True)
        others = [
            self.columns[gene].others(*pair)
            for gene, pair in zip(genes, pairs, strict=True)
        ]
        changed = np.repeat(genes, [len(values) for values in others])
        values = np.array([code for some in others for code in some])
        if limit is not None and len(values) > limit:
            chosen = rng.choice(len(values), limit, replace=False)
            changed, values = changed[chosen], values[chosen]
        count = len(values)
        rows = np.tile(codes, (count, 1))
        if count and not active.all():
            rows = self.filled(rows, np.tile(active, (count, 1)), rng)
        rows[np.arange(count), changed] = values
        return rows
