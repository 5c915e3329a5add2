"""The conformance suite of strategies: ask, tell and resume."""

import copy
import functools
import math
import random
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pytest

from keras_evonas.evolution.baselines import random_search
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.testing.laws import check_is_value
from keras_evonas.testing.laws import global_generators_untouched
from keras_evonas.testing.spaces import conditional_trap
from keras_evonas.testing.spaces import example_spaces

_TRIALS = 40
_SPACES = example_spaces()
_LATTICE = SearchSpace(
    [Gene(f"x{i}", Grid(tuple(range(11)))) for i in range(5)]
)
# For laws that take many searches.
_TWO_SPACES = (_SPACES["conditional"], _SPACES["mixed"])


_Measure: TypeAlias = Callable[[Strategy], tuple[float, ...]]
_Losses: TypeAlias = tuple[float, ...] | None
# A birth, an end with its losses, or a larger space from then on.
_Event: TypeAlias = Individual | tuple[int, _Losses] | SearchSpace


class Rehearsal:
    """A search as eventful as a real one, without training, and its record.

    Up to `workers` individuals are pending at once, they end in any order,
    and some of them fail or end with a loss that is not finite. All of this
    follows from the seed and the number of the event, so that a resumed search
    continues with the same events. `growth` maps a number of births to the
    space from then on.
    """

    def __init__(
        self,
        strategy: Strategy,
        space: SearchSpace,
        *,
        seed: int = 0,
        workers: int = 4,
        trials: int = _TRIALS,
        growth: dict[int, SearchSpace] | None = None,
    ) -> None:
        self.engine = Engine(space, strategy.configure(trials), seed=seed)
        self.record: list[_Event] = []
        self._seed, self._workers, self._trials = seed, workers, trials
        self._growth = growth or {}

    @property
    def births(self) -> list[Individual]:
        """The individuals as they were born, without losses."""
        return [one for one in self.record if isinstance(one, Individual)]

    def run(self, events: int | None = None) -> "Rehearsal":
        """Continues up to a number of recorded events, or to the end."""
        while events is None or len(self.record) < events:
            event = self._next()
            if event is None:
                break
            self.record.append(event)
        return self

    def replay(self, record: Sequence[_Event]) -> "Rehearsal":
        """Resumes a search that recorded these events."""
        for event in record:
            if isinstance(event, Individual):
                self.engine.record(event)
            elif isinstance(event, SearchSpace):
                self.engine.grow(event)
            else:
                self.engine.tell(*event)
        self.record = list(record)
        return self

    def _next(self) -> _Event | None:
        history = self.engine.history
        fortune = random.Random(1_000_000 * self._seed + len(self.record))
        space = self._growth.get(history.births)
        if space is not None and space != self.engine.space:
            self.engine.grow(space)
            return space
        pending = sorted(history.pending)
        if history.births < self._trials and len(pending) < self._workers:
            born = self.engine.ask()
            if born is not None:
                return born
        if not pending:
            return None
        birth = fortune.choice(pending)
        losses = _losses(history.pending[birth], fortune)
        self.engine.tell(birth, losses)
        return birth, losses


def _losses(one: Individual, fortune: random.Random) -> _Losses:
    """Returns losses of the genome; one of five fails or is not finite."""
    fate = fortune.random()
    if fate < 0.2:
        unusable: tuple[_Losses, ...] = (None, (math.nan,), (math.inf,))
        return unusable[int(fate * 15)]
    return (float(sum(map(len, map(str, one.genome.values())))) + fate,)


class StrategyConformance:
    """Laws of a strategy; see `keras_evonas.evolution.strategies`.

    Attributes:
        learns: Boolean, whether it must beat random search. Defaults to
            `True`.
    """

    learns = True

    @pytest.fixture
    def strategy(self) -> Strategy:
        """The strategy to test, to be overridden."""
        raise NotImplementedError(
            "Override the fixture `strategy` with one that returns yours."
        )

    def test_is_a_value(self, strategy: Strategy) -> None:
        check_is_value(strategy)

    def test_is_configured_once(self, strategy: Strategy) -> None:
        before = copy.deepcopy(strategy)
        configured = strategy.configure(_TRIALS)
        assert strategy == before
        assert strategy.configure(_TRIALS) == configured
        assert configured.configure(10 * _TRIALS) == configured
        assert strategy.configure(None) is not None
        check_is_value(configured)

    @pytest.mark.parametrize("space", _SPACES.values(), ids=_SPACES)
    def test_proposes_legal_networks_each_once(
        self, strategy: Strategy, space: SearchSpace
    ) -> None:
        with global_generators_untouched():
            births = Rehearsal(strategy, space, trials=25).run().births
        new = [one for one in births if one.continues is None]
        assert len(births) == 25 or len(new) == space.size
        assert len({space.key(one.genome) for one in new}) == len(new)
        history = History()
        for number, one in enumerate(births):
            assert one.birth == number
            assert space.contains(one.genome)
            assert one.rung or not history.seen(space.key(one.genome))
            history.begin(one, space)

    def test_training_goes_on_from_the_rung_below(
        self, strategy: Strategy
    ) -> None:
        for space in _TWO_SPACES:
            births = Rehearsal(strategy, space).run().births
            for one in births:
                if one.continues is None:
                    assert one.rung == 0
                else:
                    (parent,) = one.parents
                    assert births[parent].genome == one.genome
                    assert births[parent].rung == one.rung - 1
            continued = [one.continues for one in births if one.rung]
            assert len(set(continued)) == len(continued)

    def test_parents_are_evaluated_and_sound(self, strategy: Strategy) -> None:
        for space in _TWO_SPACES:
            sound: set[int] = set()
            for event in Rehearsal(strategy, space).run().record:
                if isinstance(event, Individual):
                    assert set(event.parents) <= sound
                elif isinstance(event, tuple) and _is_sound(event[1]):
                    sound.add(event[0])

    def test_same_seed_same_search(self, strategy: Strategy) -> None:
        for space in _TWO_SPACES:
            first, again, other = (
                Rehearsal(strategy, space, seed=seed).run().record
                for seed in (0, 0, 1)
            )
            assert _same(again, first)
            assert not _same(other, first)

    def test_a_cut_search_goes_on_as_if_uncut(self, strategy: Strategy) -> None:
        space = _SPACES["mixed"]
        uncut = Rehearsal(strategy, space).run()
        for cut in range(len(uncut.record)):
            resumed = Rehearsal(strategy, space).replay(uncut.record[:cut])
            resumed.run(cut + 5)
            following = uncut.record[cut : cut + 5]
            assert _same(resumed.record[cut:], following)
            if cut % 12 == 0:  # Now and then up to the end.
                resumed.run()
                assert _same(resumed.record[cut:], uncut.record[cut:])
                assert resumed.engine.state == uncut.engine.state

    def test_goes_on_in_a_space_that_grows(self, strategy: Strategy) -> None:
        small = _SPACES["conditional"]
        new = Gene("optimizer", Categorical(("sgd", "adam")))
        large = SearchSpace([*small.genes, new])
        growth = {15: large}
        uncut = Rehearsal(strategy, small, growth=growth).run()
        assert len(uncut.births) == _TRIALS
        for one in uncut.births:
            space = small if one.birth < 15 else large
            assert space.contains(one.genome)
        cut = Rehearsal(strategy, small, growth=growth)
        cut.replay(uncut.record[: len(uncut.record) // 2]).run()
        assert _same(cut.record, uncut.record)

    def test_asking_leaves_no_trace(self, strategy: Strategy) -> None:
        search = Rehearsal(strategy, _SPACES["mixed"]).run(50)
        engine = search.engine
        state = copy.deepcopy(engine.state)
        arguments = engine.state, engine.space, engine.history
        first = engine.strategy.propose(*arguments, rng_at(7))
        assert engine.strategy.propose(*arguments, rng_at(7)) == first
        assert engine.state == state

    def test_absorbing_returns_a_new_state(self, strategy: Strategy) -> None:
        search = Rehearsal(strategy, _SPACES["mixed"]).run()
        configured = search.engine.strategy
        state = configured.begin()
        for one in search.engine.history.ended:
            before = copy.deepcopy(state)
            following = configured.absorb(state, one)
            assert state == before
            assert configured.absorb(state, one) == following
            state = following
        assert state == search.engine.state

    def test_does_not_wait(self, strategy: Strategy) -> None:
        for space in _TWO_SPACES:
            births = Rehearsal(strategy, space, workers=_TRIALS).run().births
            assert len(births) == _TRIALS

    def test_exhausts_a_small_space(self, strategy: Strategy) -> None:
        space = conditional_trap(1).space
        search = Rehearsal(strategy, space, trials=100).run()
        new = [one for one in search.births if one.continues is None]
        proposed = sorted(repr(one.genome) for one in new)
        assert proposed == sorted(map(repr, space.enumerate()))
        assert search.engine.ask() is None

    def test_learns(self, strategy: Strategy) -> None:
        if not self.learns:
            pytest.skip("the suite says `learns = False`")
        drawn, learnt = _by_chance(_best_losses), _best_losses(strategy)
        assert _exceed(drawn, learnt), f"{drawn=} {learnt=}"

    def test_heeds_what_trials_tell_of_constraints(
        self, strategy: Strategy
    ) -> None:
        if not self.learns:
            pytest.skip("the suite says `learns = False`")
        drawn, learnt = _by_chance(_feasible), _feasible(strategy)
        assert _exceed(learnt, drawn), f"{drawn=} {learnt=}"

    @pytest.mark.parametrize("objectives", [1, 2])
    @pytest.mark.parametrize("feasible", [False, True])
    def test_goes_on_whether_anything_is_feasible_or_not(
        self, strategy: Strategy, objectives: int, feasible: bool
    ) -> None:
        engine = Engine(_LATTICE, strategy.configure(_TRIALS), seed=0)
        for _ in range(_TRIALS):
            one = engine.ask()
            assert one is not None
            steps = sum(map(float, one.genome.values()))
            losses = (steps, float(one.genome["x0"]))[:objectives]
            violation = 0.0 if feasible else 1.0 + steps
            engine.tell(one.birth, losses, violation=violation)


def _exceed(more: Sequence[float], less: Sequence[float]) -> bool:
    """Returns whether pairs differ by more than two standard errors."""
    gain = np.subtract(more, less)
    error = gain.std(ddof=1) / len(gain) ** 0.5
    return bool(gain.mean() > 2 * error)


@functools.lru_cache(maxsize=2)
def _by_chance(measure: _Measure) -> tuple[float, ...]:
    return measure(random_search())


def _feasible(strategy: Strategy) -> tuple[float, ...]:
    """Counts the feasible ones of the last 20 individuals in 10 searches.

    A tenth of the space is feasible, and all losses are better outside of it.
    """
    numbers = []
    for seed in range(10):
        engine = Engine(_LATTICE, strategy.configure(_TRIALS), seed=seed)
        for _ in range(_TRIALS):
            one = engine.ask()
            assert one is not None  # The space is larger than that.
            steps = sum(map(float, one.genome.values()))
            excess = max(0.0, steps / 15 - 1)
            engine.tell(one.birth, (50 - steps,), violation=excess)
        ended = engine.history.ended[_TRIALS // 2 :]
        numbers.append(sum(one.violation == 0 for one in ended))
    return tuple(numbers)


def _best_losses(strategy: Strategy) -> tuple[float, ...]:
    """Returns the best losses of 30 searches of 40 genomes in the trap."""
    space, loss = conditional_trap(3)
    best = []
    for seed in range(30):
        engine = Engine(space, strategy.configure(_TRIALS), seed=seed)
        while engine.history.distinct < _TRIALS:
            one = engine.ask()
            assert one is not None  # The space is larger than that.
            engine.tell(one.birth, (loss(one.genome),))
        best.append(min(o.losses[0] for o in engine.history.ended if o.losses))
    return tuple(best)


def _is_sound(losses: _Losses) -> bool:
    return losses is not None and bool(np.isfinite(losses).all())


def _same(first: Sequence[_Event], second: Sequence[_Event]) -> bool:
    """Returns whether two records are equal; a NaN equals a NaN."""
    return repr(first) == repr(second)
