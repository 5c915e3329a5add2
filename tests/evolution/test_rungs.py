"""Successive halving around a strategy."""

import dataclasses
import random

import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import History
from keras_evonas.evolution import Individual
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import SuccessiveHalving
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import random_search
from keras_evonas.evolution import rng_at
from keras_evonas.evolution import successive_halving
from keras_evonas.testing import conditional_trap
from keras_evonas.testing.strategies import Rehearsal

LINE = SearchSpace([Gene("x", Interval(0.0, 1.0))])


def _reference(events, factor, top):
    """Finds ASHA's next promotion (Li et al., 2020, algorithm 2).

    Events are births and pairs of a birth and its losses. Returns the birth
    and the rung to go to, or `None` if a new genome is to be born.
    """
    rung_of, results, promoted = {}, {}, set()
    for event in events:
        if isinstance(event, Individual):
            rung_of[event.birth] = event.rung
            if event.rung:
                promoted.add(event.parents[0])
        elif event[1] is not None and abs(event[1][0]) < float("inf"):
            results[event[0]] = event[1][0]
    for rung in reversed(range(top)):
        there = [birth for birth in results if rung_of[birth] == rung]
        there.sort(key=lambda birth: (results[birth], birth))
        for birth in there[: len(there) // factor]:
            if birth not in promoted:
                return birth, rung + 1
    return None


@pytest.mark.thorough
@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("inner", [genetic_algorithm(), random_search()])
def test_promotes_as_the_reference_does(inner, factor):
    promotions = 0
    for seed in range(10):
        strategy = SuccessiveHalving(
            epochs=(1, 3, 9), strategy=inner, factor=factor
        )
        record = (
            Rehearsal(strategy, LINE, seed=seed, trials=60, workers=1 + seed)
            .run()
            .record
        )
        for place, event in enumerate(record):
            if not isinstance(event, Individual):
                continue
            expected = _reference(record[:place], factor, top=2)
            if expected is None:
                assert event.rung == 0
                assert event.operator != "promoted"
            else:
                promotions += 1
                assert (event.continues, event.rung) == expected
                assert event.operator == "promoted"
    assert promotions > 50


@pytest.mark.thorough
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_sizes_of_rungs(seed, factor):
    """The best `1 / factor` of a rung are on the next, and few others.

    The others were among the best for a while. Their number is of the order
    of the square root of the rung (Li et al., 2020, section 3.3).
    """
    strategy = SuccessiveHalving(
        epochs=(1, 2, 4, 8), strategy=random_search(), factor=factor
    )
    engine = Engine(LINE, strategy.configure(None), seed=seed)
    while (one := engine.ask()).rung or one.birth < 300:
        engine.tell(one.birth, (one.genome["x"],))
    # No individual is to be promoted now.
    for below, rung in zip(engine.state, engine.state[1:], strict=False):
        quota = len(below.individuals) // factor
        genomes = [one.genome for one in rung.individuals]
        assert all(one.genome in genomes for one in below.individuals[:quota])
        assert (
            quota <= len(genomes) <= quota + 3 * len(below.individuals) ** 0.5
        )
    assert len(engine.state[1].individuals) > 50


@pytest.mark.parametrize(
    "inner", [genetic_algorithm(), local_search(), random_search()]
)
def test_one_rung_is_the_strategy_itself(inner):
    space = conditional_trap(3).space
    alone = Rehearsal(inner, space).run()
    wrapped = Rehearsal(
        SuccessiveHalving(epochs=(7,), strategy=inner), space
    ).run()
    assert repr(wrapped.record) == repr(alone.record)


def test_never_waits_and_promotes_no_individual_twice():
    engine = Engine(
        LINE, successive_halving(max_epochs=4, factor=2).configure(40), seed=0
    )
    for _ in range(8):
        engine.ask()
    for birth in range(8):
        engine.tell(birth, (float(birth),))
    births = [engine.ask() for _ in range(20)]
    # The best four of eight, best first; no worker waits for them to end.
    assert [one.continues for one in births[:4]] == [0, 1, 2, 3]
    assert [one.rung for one in births] == [1] * 4 + [0] * 16
    engine.tell(births[0].birth, (5.0,))
    engine.tell(births[1].birth, None)  # a failure makes no rung
    engine.tell(births[2].birth, (float("nan"),))
    assert engine.ask().rung == 0
    engine.tell(births[3].birth, (4.0,))
    following = engine.ask()
    assert (following.continues, following.rung) == (births[3].birth, 2)
    assert following.genome == births[3].genome
    assert engine.ask().rung == 0


def test_parents_stand_on_the_highest_rung_that_has_enough():
    strategy = successive_halving(
        genetic_algorithm(population_size=8), max_epochs=4, factor=2
    )
    for seed in range(5):
        search = Rehearsal(strategy, LINE, seed=seed, trials=100).run()
        members, rung_of, bred = [0, 0, 0], {}, 0
        for event in search.record:
            if not isinstance(event, Individual):
                losses = event[1]
                if losses and abs(losses[0]) < float("inf"):
                    members[rung_of[event[0]]] += 1
                continue
            rung_of[event.birth] = event.rung
            if event.parents and event.continues is None:
                enough = [rung for rung in range(3) if members[rung] >= 4]
                highest = max(enough, default=0)
                assert {rung_of[p] for p in event.parents} == {highest}
                bred += highest > 0
        assert bred > 10
        assert members[2] >= 4


def test_a_genome_that_became_another_s_is_promoted_once():
    """Two genomes may become equal when the space grows."""
    units = Gene("units", Grid((8, 16)))
    dropout = Gene("dropout", Categorical((False, True)))
    small, large = SearchSpace([units]), SearchSpace([units, dropout])
    strategy = SuccessiveHalving(
        epochs=(1, 2), strategy=random_search(), factor=2
    )
    engine = Engine(small, strategy.configure(None), seed=0)
    births = [engine.ask(), engine.ask()]
    engine.tell(births[0].birth, (0.0,))
    engine.grow(large)
    twin = {**births[0].genome, "dropout": False}
    engine.tell(births[1].birth, (1.0,), genome=twin)
    for _ in range(2):
        one = engine.ask()
        engine.tell(one.birth, (2.0,))
    promoted = [one for one in engine.history.ended if one.rung]
    assert [one.parents for one in promoted] == [(0,)]
    # A gene that its genome lacks had its default in the training.
    assert promoted[0].genome == twin
    drafts = [
        engine.strategy.vary(
            dataclasses.replace(promoted[0], losses=None), large, rng_at(0)
        )
    ]
    assert [draft.rung for draft in drafts] == [0]
    while (one := engine.ask()) is not None:
        engine.tell(one.birth, (random.Random(one.birth).random(),))
    keys = [(repr(one.genome), one.rung) for one in engine.history.ended]
    assert len([k for k in keys if k[1]]) == len({k for k in keys if k[1]})


def test_a_view_of_a_rung_is_the_history_with_others_still_pending():
    engine = Engine(
        LINE, successive_halving(max_epochs=3).configure(20), seed=0
    )
    for _ in range(20):
        one = engine.ask()
        engine.tell(one.birth, (one.genome["x"],))
    history: History = engine.history
    views = [history.on_rung(rung) for rung in range(2)]
    sizes = [len(view.ended) for view in views]
    assert sum(sizes) == 20
    assert sizes[1] >= 4
    assert all(one.rung == 1 for one in views[1].ended)
    assert views[1].births == history.births == 20
    assert len(history.ended) == 20
    assert history.distinct == sizes[0]


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [
        ({"max_epochs": 27, "min_epochs": 3}, (3, 9, 27)),
        ({"max_epochs": 27}, (1, 3, 9, 27)),
        ({"max_epochs": 10}, (2, 4, 10)),  # 10 / 3 and 10 / 9, rounded up
        ({"max_epochs": 26, "min_epochs": 3}, (9, 26)),  # 26 / 9 < 3
        ({"max_epochs": 1}, (1,)),
        ({"max_epochs": 16, "min_epochs": 2, "factor": 2}, (2, 4, 8, 16)),
        ({"max_epochs": 100}, (2, 4, 12, 34, 100)),  # as Hyperband's
    ],
)
def test_epochs_of_rungs(arguments, epochs):
    assert successive_halving(**arguments).epochs == epochs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": ()}, "`epochs` must be integers that increase"),
        ({"epochs": (3, 3)}, "`epochs` must be integers that increase"),
        ({"epochs": (9, 3)}, r"Received: epochs=\(9, 3\)"),
        ({"epochs": (0, 3)}, "`epochs` must be an integer of at least 1"),
        ({"epochs": "27"}, "`epochs` must be integers that increase"),
        ({"epochs": 27}, "`epochs` must be integers that increase"),
        ({"epochs": (1,), "factor": 1}, "`factor` must be an integer of at"),
        (
            {"epochs": (1,), "parents": 0},
            "`parents` must be a positive integer or 'auto'",
        ),
        (
            {"epochs": (1,), "strategy": SuccessiveHalving(epochs=(2,))},
            "`strategy` must be a strategy without rungs",
        ),
        (
            {"epochs": (1,), "strategy": freeze_thaw(max_epochs=9)},
            "`strategy` must be a strategy without rungs",
        ),
    ],
)
def test_bad_rungs(arguments, message):
    with pytest.raises(ValueError, match=message):
        SuccessiveHalving(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_epochs": 0}, "`max_epochs` must be an integer of at least 1"),
        ({"max_epochs": 9, "min_epochs": 0}, "`min_epochs` must be"),
        ({"max_epochs": 9, "min_epochs": 10}, "must not exceed `max_epochs`"),
        ({"max_epochs": 9, "factor": 1.5}, "`factor` must be an integer"),
        ({"max_epochs": 9, "strategy": random_search}, "Call the function"),
    ],
)
def test_bad_numbers_of_epochs(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        successive_halving(**arguments)


def test_a_strategy_has_to_be_configured():
    strategy = successive_halving(random_search(), max_epochs=9)
    engine = Engine(LINE, strategy, seed=0)
    with pytest.raises(RuntimeError, match="`parents='auto'` is not resolved"):
        engine.ask()


def test_epochs_may_be_a_list():
    strategy = SuccessiveHalving(epochs=[1, 3])
    assert strategy == SuccessiveHalving(epochs=(1, 3))
    assert hash(strategy) == hash(SuccessiveHalving(epochs=(1, 3)))
