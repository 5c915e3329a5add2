"""Freeze-thaw search: new networks and trainings that go on."""

import math

import numpy as np
import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Draft
from keras_evonas.evolution import Engine
from keras_evonas.evolution import FreezeThaw
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import rng_at
from keras_evonas.evolution import successive_halving
from keras_evonas.evolution.curve_surrogate import curve_surrogate_of
from keras_evonas.evolution.curve_surrogate import softly_logarithmic
from keras_evonas.testing import StrategyConformance
from keras_evonas.testing.strategies import Rehearsal

GRID = SearchSpace(
    [Gene(name, Grid(tuple(range(8)))) for name in ("x", "y", "z")]
)


class TestFreezeThaw(StrategyConformance):
    @pytest.fixture
    def strategy(self):
        return freeze_thaw(max_epochs=9)

    # Marks of an inherited function would be those of all suites.
    @pytest.mark.slow
    def test_learns(self, strategy):
        super().test_learns(strategy)

    @pytest.mark.thorough
    def test_heeds_what_trials_tell_of_constraints(self, strategy):
        super().test_heeds_what_trials_tell_of_constraints(strategy)

    @pytest.mark.thorough
    def test_a_cut_search_goes_on_as_if_uncut(self, strategy):
        super().test_a_cut_search_goes_on_as_if_uncut(strategy)


def _loss(genome, rung, best=5):
    """Returns a loss that falls with each rung, and least for one genome."""
    distance = sum((value - best) ** 2 for value in genome.values()) / 50
    return distance + 0.5**rung


def _search(strategy, trials, loss=_loss, seed=0, space=GRID):
    engine = Engine(space, strategy.configure(trials), seed=seed)
    for _ in range(trials):
        one = engine.ask()
        engine.tell(one.birth, (loss(one.genome, one.rung),))
    return engine


def test_finishes_few_of_the_networks_that_it_begins():
    for seed in range(3):
        engine = _search(freeze_thaw(max_epochs=27), 50, seed=seed)
        counts = np.bincount([one.rung for one in engine.history.ended])
        assert len(counts) == 4
        assert counts[0] >= 2 * counts[3]
        finished = [one for one in engine.history.ended if one.rung == 3]
        best = min(finished, key=lambda one: one.losses)
        assert _loss(best.genome, 3) <= 0.5**3 + 3 / 50


@pytest.mark.parametrize("epochs", [(1, 4, 12), (1, 3, 9, 27), (2, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_beginnings_have_no_more_than_their_share_of_the_epochs(epochs, seed):
    rng = np.random.default_rng(seed)
    steps = np.diff(epochs, prepend=0)

    def loss(genome, rung):  # The first epochs tell nothing.
        return float(rng.random()) if rung == 0 else _loss(genome, rung)

    engine = _search(FreezeThaw(epochs=epochs), 120, loss=loss, seed=seed)
    rungs = [one.rung for one in engine.history.ended]
    begun = 0
    for number, rung in enumerate(rungs):
        counts = np.bincount(rungs[:number], minlength=len(epochs))
        begun = int(counts[0])
        spent = (counts - [16, *[0] * (len(epochs) - 1)]) * steps
        if rung == 0 and begun > 16:
            assert spent[0] * len(epochs) <= spent.sum()
    assert begun > 20


def test_begins_with_the_middle_and_draws():
    engine = _search(freeze_thaw(max_epochs=27, initial_size=6), 6)
    ended = engine.history.ended
    assert [one.rung for one in ended] == [0] * 6
    assert ended[0].operator == "middle"
    assert {one.operator for one in ended[1:]} == {"space_filling"}


@pytest.mark.parametrize("unusable", [None, (math.nan,), (math.inf,)])
def test_failures_never_go_on(unusable):
    engine = Engine(GRID, freeze_thaw(max_epochs=9).configure(40), seed=0)
    failed = set()
    for number in range(40):
        one = engine.ask()
        assert one.continues not in failed
        if number % 3 == 0:
            failed.add(one.birth)
            engine.tell(one.birth, unusable)
        else:
            engine.tell(one.birth, (_loss(one.genome, one.rung),))


def test_networks_outside_of_constraints_do_not_go_on():
    engine = Engine(GRID, freeze_thaw(max_epochs=9).configure(60), seed=0)
    outside = set()
    for _ in range(60):
        one = engine.ask()
        feasible = any(i.feasible for i in engine.history.ended)
        assert not feasible or one.continues not in outside
        violation = max(0.0, one.genome["x"] - 4.0)
        if violation:
            outside.add(one.birth)
        loss = (_loss(one.genome, one.rung, best=7),)
        engine.tell(one.birth, loss, violation=violation)


def test_pending_trainings_are_not_asked_for_twice():
    engine = _search(freeze_thaw(max_epochs=9), 20)
    births = [engine.ask() for _ in range(20)]
    keys = [(GRID.key(one.genome), one.rung) for one in births]
    assert len(set(keys)) == 20
    assert any(one.rung for one in births)


def test_continues_nothing_beyond_the_last_epoch():
    strategy = FreezeThaw(epochs=(2, 5))
    search = Rehearsal(strategy, GRID, trials=60).run()
    assert {one.rung for one in search.births} == {0, 1}


def test_one_rung_trains_every_network_in_full():
    strategy = freeze_thaw(max_epochs=9, min_epochs=9)
    assert strategy.epochs == (9,)
    search = Rehearsal(strategy, GRID, trials=30).run()
    assert {one.rung for one in search.births} == {0}


def test_the_least_loss_of_a_training_counts():
    """A network that got worse on the next rung is worth what it was."""
    engine = Engine(GRID, freeze_thaw(max_epochs=3).configure(40), seed=0)
    for _ in range(30):
        one = engine.ask()
        loss = _loss(one.genome, 0) + 0.1 * one.rung
        engine.tell(one.birth, (loss,))
    surrogate = curve_surrogate_of(GRID, engine.history, (1, 3))
    elites = surrogate.elites(3)
    assert len(set(surrogate.networks[elites])) == 3


def test_goes_on_in_a_space_whose_networks_became_equal():
    units = Gene("units", Grid((8, 16, 32, 64)))
    bias = Gene("bias", Categorical((False, True)))
    small, large = SearchSpace([units]), SearchSpace([units, bias])
    engine = Engine(small, freeze_thaw(max_epochs=3).configure(40), seed=0)
    for number in range(30):
        if number == 3:
            engine.grow(large)
        one = engine.ask()
        if one is None:
            break
        engine.tell(one.birth, (1 / one.genome["units"] + 0.1 / (1 + number),))
    rungs = [
        (large.key(large.complete(one.genome)), one.rung)
        for one in engine.history.ended
    ]
    assert len(set(rungs)) == len(rungs)


def test_several_objectives_are_answered_by_the_first():
    engines = []
    for extra in ((), (1.0,)):
        engine = Engine(GRID, freeze_thaw(max_epochs=9).configure(30), seed=0)
        for _ in range(30):
            one = engine.ask()
            loss = _loss(one.genome, one.rung)
            engine.tell(one.birth, (loss, *extra))
        engines.append(engine)
    first, second = (
        [one.genome for one in engine.history.ended] for engine in engines
    )
    assert first == second


def test_the_last_unfinished_training_is_finished_in_a_small_space():
    space = SearchSpace([Gene("x", Grid(tuple(range(6))))])
    engine = Engine(space, freeze_thaw(max_epochs=9).configure(40), seed=0)
    ended = 0
    while (one := engine.ask()) is not None:
        engine.tell(one.birth, (_loss(one.genome, one.rung),))
        ended += 1
    assert ended == 6 * 3


def test_the_logarithm_spreads_what_is_good():
    # Median 3, best 1: distances 0, 1, 2, 4 and 1e9 in units of 2, plus 0.3.
    losses = np.array([1.0, 2.0, 3.0, 5.0, 1e9])
    logs = np.log(np.array([0.3, 0.8, 1.3, 2.3, 5e8]))
    found = softly_logarithmic(losses)
    np.testing.assert_allclose(
        found, (logs - logs.mean()) / logs.std(), rtol=1e-6
    )
    assert not softly_logarithmic(np.ones(4)).any()
    assert softly_logarithmic(np.array([0.0, 0.0, 0.0, 1.0]))[3] > 1


def test_is_its_rungs_size_and_label():
    strategy = freeze_thaw(max_epochs=27, min_epochs=3)
    ladder = successive_halving(max_epochs=27, min_epochs=3)
    assert strategy.epochs == ladder.epochs == (3, 9, 27)
    configured = strategy.configure(12)
    assert configured.initial_size == 3
    assert configured.configure(100) == configured
    engine = _search(freeze_thaw(max_epochs=27), 40)
    labels = {one.operator for one in engine.history.ended if one.rung}
    assert labels == {"thawed"}
    promoted = next(one for one in engine.history.ended if one.rung)
    draft = Draft(
        genome=promoted.genome, parents=promoted.parents, rung=promoted.rung
    )
    assert engine.strategy.vary(draft, GRID, rng_at(0)).rung == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": (3, 3)}, "`epochs` must be integers that increase"),
        ({"epochs": (1,), "initial_size": 0}, "`initial_size` must be"),
        ({"epochs": (1,), "unscreened": -1}, "`unscreened` must be an integer"),
        ({"epochs": (1,), "unscreened": 1}, "`unscreened` must be 0 or at"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        FreezeThaw(**arguments)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("min_epochs", [1, 2, 3])
def test_rungs_are_quotients_to_the_nearest_epoch(factor, min_epochs):
    for max_epochs in range(min_epochs, 120):
        strategy = freeze_thaw(
            max_epochs=max_epochs, min_epochs=min_epochs, factor=factor
        )
        exact = [max_epochs / factor**k for k in range(8)]
        exact = [quotient for quotient in exact if quotient >= min_epochs]
        pairs = zip(strategy.epochs[::-1], exact, strict=True)
        assert all(abs(rung - quotient) <= 0.5 for rung, quotient in pairs)
        assert strategy.epochs[-1] == max_epochs


def test_more_epochs_before_the_first_stop_than_in_all():
    with pytest.raises(ValueError, match="must not exceed `max_epochs`"):
        freeze_thaw(max_epochs=3, min_epochs=9)
