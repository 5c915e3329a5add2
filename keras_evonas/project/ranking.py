"""The ranking of trials: the one rule for which of them is better.

Trials come in this order:

1. by violation: those that keep all constraints first, the others by how far
   they are outside (Deb, 2000);
2. by whether the training was stopped as hopeless: such networks come last,
   since what they would have reached is not known;
3. by rung: a network that was trained for longer is known better, so that
   higher rungs come first. A network counts once, at the highest rung that it
   has reached;
4. by Pareto front among those of the same violation and rung;
5. by losses, in the order of the objectives;
6. by the order in which they ended.

Trials that failed have no losses and no place.
"""

import bisect
import dataclasses
import itertools
import operator
from collections.abc import Iterable
from collections.abc import Iterator

from keras_evonas.evolution import pareto


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A completed trial, as far as the ranking looks at it."""

    trial_id: str
    losses: tuple[float, ...]  # Finite, one an objective, lower is better.
    ended: int  # Its place in the order in which trials ended.
    violation: float = 0.0  # How far it is outside of the constraints.
    rung: int = 0  # How often its network's training was gone on with.
    continues: str | None = None  # The trial whose training it goes on with.
    ended_early: bool = False  # Whether its training was stopped as hopeless.


class Ranking:
    """Completed trials in their order, which grows as trials end."""

    def __init__(self, standings: Iterable[Standing] = ()) -> None:
        # In the order of `_key`: fronts are not known yet.
        self._standings: list[Standing] = []
        for standing in standings:
            self.add(standing)

    def __len__(self) -> int:
        return len(self._standings)

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._standings)

    def add(self, new: Standing) -> bool:
        """Gives a trial its place, in place of the one that it continues.

        Returns whether none of its rung and violation, or of better ones, is at
        least as good in every objective.
        """
        if new.continues is not None:
            self._standings = [
                one for one in self._standings if one.trial_id != new.continues
            ]
        place = bisect.bisect_right(self._standings, _key(new), key=_key)
        self._standings.insert(place, new)
        ahead = itertools.islice(self._standings, place)
        return not place or (
            _group(self._standings[0]) == _group(new)
            and not any(
                all(map(operator.le, one.losses, new.losses)) for one in ahead
            )
        )

    def best(self, count: int | None = None) -> list[str]:
        """Returns the best trials, best first, all or at most `count`."""
        if count == 1:  # It is on its front in any case.
            return [one.trial_id for one in self._standings[:1]]
        ordered = itertools.chain.from_iterable(self._fronts())
        return [one.trial_id for one in itertools.islice(ordered, count)]

    def leaders(self) -> list[Standing]:
        """Returns the trials from which the best differs by losses alone.

        They are in the order in which they ended.
        """
        groups = itertools.groupby(self._standings, _group)
        _, first = next(groups, (None, ()))
        return sorted(first, key=operator.attrgetter("ended"))

    def front(self) -> list[str]:
        """Returns the trials that no other beats, in the order of losses.

        They keep all constraints, and stand on the highest rung on which any
        trial does. With one objective they are the best trials.
        """
        first = next(self._fronts(), [])
        return [one.trial_id for one in first if one.violation == 0]

    def _fronts(self) -> Iterator[list[Standing]]:
        """Yields all trials, front by front, the best front first."""
        for _, members in itertools.groupby(self._standings, _group):
            group = list(members)
            ranks = _ranks([one.losses for one in group])
            # Sorting is stable: within a front the order stays.
            places = sorted(range(len(group)), key=ranks.__getitem__)
            for _, front in itertools.groupby(places, ranks.__getitem__):
                yield [group[place] for place in front]


def _ranks(losses: list[tuple[float, ...]]) -> list[int]:
    """Returns the front of each of some points in lexicographic order."""
    if len(losses[0]) > 1:
        return list(map(int, pareto.ranks(losses)))
    steps = (a != b for a, b in itertools.pairwise(losses))
    return list(itertools.accumulate(steps, initial=0))


def _group(one: Standing) -> tuple[float, bool, int]:
    return one.violation, one.ended_early, -one.rung


def _key(
    one: Standing,
) -> tuple[tuple[float, bool, int], tuple[float, ...], int]:
    return _group(one), one.losses, one.ended
