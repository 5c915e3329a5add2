import dataclasses

import numpy as np
import pytest

from keras_evonas.evolution import candidates
from keras_evonas.evolution.baselines import random_search
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.evolution.surrogate import capped
from keras_evonas.evolution.surrogate import half_ranked
from keras_evonas.evolution.surrogate import surrogate_of
from keras_evonas.testing import StrategyConformance
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import mixed_space

pytestmark = pytest.mark.thorough

PLANE = SearchSpace([Gene(name, Grid(tuple(range(30)))) for name in ("x", "y")])


def bowl(genome):
    return (genome["x"] - 20) ** 2 + (genome["y"] - 5) ** 2


def search(strategy, space, loss, trials, seed=0, batch=1):
    engine = Engine(space, strategy.configure(trials), seed=seed)
    while engine.history.births < trials:
        asked = [engine.ask() for _ in range(batch)]
        for one in asked:
            if one is None:
                return engine
            value = loss(one.genome)
            engine.tell(one.birth, None if value is None else (value,))
    return engine


def best(engine):
    viable = (one for one in engine.history.ended if one.viable)
    return min(one.losses[0] for one in viable)


class TestScreenedEvolution(StrategyConformance):
    learns = False  # see below, with fewer searches

    @pytest.fixture
    def strategy(self):
        return screened_evolution(initial_size=20)


@pytest.mark.slow
def test_beats_random_search_and_plain_evolution_on_the_trap():
    space, loss = conditional_trap(3)
    seeds = range(5)
    losses = {
        name: [best(search(s, space, loss, 40, seed)) for seed in seeds]
        for name, s in (
            ("screened", screened_evolution()),
            ("plain", genetic_algorithm()),
            ("random", random_search()),
        )
    }
    for other in ("plain", "random"):
        gain = np.subtract(losses[other], losses["screened"])
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        assert gain.mean() > 2 * error, losses


def test_finds_the_bottom_of_a_bowl_in_few_trials():
    for seed in range(2):
        engine = search(screened_evolution(), PLANE, bowl, 30, seed)
        assert best(engine) <= 1  # of 900 networks 5 are that good


def closest(genomes):
    places = np.array([(one["x"], one["y"]) for one in genomes], float)
    gaps = np.linalg.norm(places[:, None] - places, axis=-1)
    return gaps[np.triu_indices(len(places), 1)].min()


def test_begins_with_draws_far_from_each_other():
    strategy = screened_evolution(initial_size=8)
    gain = []
    for seed in range(30):
        engine = search(strategy, PLANE, bowl, 8, seed)
        rng = rng_at(seed, 9)
        chance = closest([PLANE.sample(rng) for _ in range(8)])
        born = closest([one.genome for one in engine.history.ended])
        gain.append(born - chance)
    assert np.mean(gain) > 5 * np.std(gain, ddof=1) / np.sqrt(len(gain))


def test_begins_with_defaults_that_a_user_chose():
    chosen = SearchSpace(
        [PLANE.genes[0], dataclasses.replace(PLANE.genes[1], default=7)]
    )
    first = search(screened_evolution(), chosen, bowl, 1).history.ended[0]
    assert first.genome == {"x": 0, "y": 7}
    for strategy, space in (
        (screened_evolution(default_first=False), chosen),
        (screened_evolution(), PLANE),  # its defaults are the first values
    ):
        first = search(strategy, space, bowl, 1).history.ended[0]
        assert first.genome == {"x": 14, "y": 14}


@dataclasses.dataclass(frozen=True)
class Wide:
    def __call__(self, genome):
        return genome["x"]


def test_prefers_capable_networks_at_the_beginning():
    def widths(capability):
        strategy = screened_evolution(initial_size=8, capability=capability)
        births = [
            one.genome["x"]
            for seed in range(10)
            for one in search(strategy, PLANE, bowl, 8, seed).history.ended
        ]
        return np.reshape(births, (10, 8))

    wide, plain = widths(Wide()), widths(None)
    # Every second birth is of the widest fifth of the draws: of a beta
    # distribution with parameters 3 and 3 it begins at 0.67, x from 19 on.
    assert wide[:, 1::2].mean() > 20
    assert plain[:, 1::2].mean() < 17


def test_what_is_pending_counts():
    engine = search(screened_evolution(), PLANE, bowl, 20)
    waiting = [engine.ask() for _ in range(8)]
    places = {(one.genome["x"], one.genome["y"]) for one in waiting}
    assert len(places) == 8
    # The variance at the first is small, so others are proposed, too.
    spread = np.ptp([place for place in places], axis=0)
    assert spread.max() >= 3
    surrogate = surrogate_of(PLANE, engine.history)
    idle = History()
    for one in engine.history.ended:
        idle.begin(dataclasses.replace(one, losses=None), PLANE)
        idle.end(one.birth, one.losses, PLANE)
    genomes = [one.genome for one in waiting]
    codes, _ = surrogate.encoding.encode(genomes)
    alone = surrogate_of(PLANE, idle)
    assert (surrogate.worth(codes) < alone.worth(codes)).all()


def test_resumes_at_every_cut_with_pending_ones():
    # The conformance suite cuts a mixed space; here fits are also skipped,
    # beyond 40 ends, and samples of parameters become fewer, beyond 60.
    space, loss = conditional_trap(2)
    strategy = screened_evolution().configure(70)
    uncut = search(strategy, space, loss, 70, batch=2)
    for cut in (38, 41, 44, 59, 61, 64):
        resumed = Engine(space, strategy, seed=0)
        for one in uncut.history.ended[:cut]:
            resumed.record(dataclasses.replace(one, losses=None))
        for one in uncut.history.ended[: cut - cut % 2]:
            resumed.tell(one.birth, one.losses)
        following = resumed.ask()
        expected = uncut.history.individual(cut)
        assert following.genome == expected.genome
        assert following.parents == expected.parents
        assert following.operator == expected.operator


@pytest.mark.parametrize("loss", [lambda genome: None, lambda genome: 1.0])
def test_nothing_to_learn_from_is_no_trouble(loss):
    engine = search(screened_evolution(), PLANE, loss, 25)
    assert engine.history.distinct == 25


def test_failures_keep_it_away():
    def loss(genome):
        return None if genome["x"] > 14 else bowl(genome)

    failed = [
        not one.viable
        for seed in range(2)
        for one in search(
            screened_evolution(), PLANE, loss, 40, seed
        ).history.ended[20:]
    ]
    # Half of the plane fails; 20 trials are enough to learn which half.
    assert np.mean(failed) < 0.25


@pytest.mark.parametrize("size", [1, 2])
def test_a_small_population_forgets_nothing_that_the_surrogate_knows(size):
    evolution = genetic_algorithm(population_size=size, tournament_size=1)
    strategy = screened_evolution(evolution=evolution)
    space = SearchSpace([Gene(f"x{i}", Interval(0.0, 1.0)) for i in range(3)])
    engine = search(strategy, space, lambda g: sum(g.values()), trials=16)
    operators = {one.operator for one in engine.history.ended[8:]}
    assert not operators & {"space_filling", "random"}


def test_exhausts_a_space_of_one_gene():
    space = SearchSpace([Gene("x", Grid(tuple(range(12))))])
    engine = search(screened_evolution(), space, lambda g: g["x"], 20)
    assert engine.history.births == 12
    assert engine.ask() is None


def test_a_continuous_gene_is_searched_finely():
    space = SearchSpace([Gene("rate", Interval(1e-6, 1.0, "log"))])

    def loss(genome):
        return abs(np.log10(genome["rate"]) + 3.3)

    assert best(search(screened_evolution(), space, loss, 30)) < 0.02


def test_every_candidate_has_one_origin():
    engine = search(screened_evolution(initial_size=8), PLANE, bowl, 12)
    surrogate = surrogate_of(PLANE, engine.history)
    pool = candidates.gathered(
        candidates.THOROUGH, surrogate, Draft, PLANE, rng_at(0)
    )
    climbed = pool.climb(candidates.THOROUGH, rng_at(1))
    for some in (pool, climbed):
        assert len(some.codes) == len(some.worth) == len(some.origin)
    kinds = {pool.origins[index].operator for index in pool.origin}
    assert kinds == {"neighbour", "random"}


def test_children_name_their_parents():
    space, loss = conditional_trap(3)
    engine = search(screened_evolution(), space, loss, 40)
    screened = [
        one for one in engine.history.ended if "screened" in one.operator
    ]
    assert len(screened) >= 25
    assert any(one.operator == "screened+neighbour" for one in screened)
    for one in screened:
        assert all(parent < one.birth for parent in one.parents)
        assert bool(one.parents) == (one.operator != "screened+random")


def test_some_children_go_unscreened():
    engine = search(screened_evolution(unscreened=5), PLANE, bowl, 50)
    free = [
        one.birth
        for one in engine.history.ended[8:]
        if "screened" not in one.operator
    ]
    assert set(range(10, 50, 5)) <= set(free)


def test_every_eighth_of_several_at_a_time_goes_unscreened():
    def free(batch):
        strategy = screened_evolution(unscreened=48)
        engine = search(strategy, PLANE, bowl, 48, batch=batch)
        return {
            one.birth
            for one in engine.history.ended[8:]
            if "screened" not in one.operator and one.operator != "immigrant"
        }

    assert free(batch=1) == set()
    assert free(batch=8) == {15, 23, 31, 39, 47}


def test_while_it_predicts_nothing_evolution_goes_on():
    def noise(genome):
        return rng_at(0, genome["x"], genome["y"]).random()

    engine = search(screened_evolution(unscreened=0), PLANE, noise, 60)
    operators = [one.operator for one in engine.history.ended[8:]]
    free = sum("screened" not in operator for operator in operators)
    assert 5 <= free <= 26


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"initial_size": 0},
            "`initial_size` must be a positive integer or 'auto'",
        ),
        ({"unscreened": -1}, "`unscreened` must be an integer of at least 0"),
        ({"unscreened": 1}, "`unscreened` must be 0 or at least 2"),
        ({"evolution": genetic_algorithm}, "`evolution` .*Call the function"),
        ({"evolution": random_search()}, "`evolution` must be a strategy"),
        ({"default_first": "no"}, "`default_first` must be `True` or `False`"),
        ({"capability": "params"}, "`capability` must be a function"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        screened_evolution(**arguments)


def test_must_be_configured():
    strategy = screened_evolution()
    space = mixed_space()
    with pytest.raises(RuntimeError, match="initial_size"):
        strategy.propose(strategy.begin(), space, History(), rng_at(0))


def test_half_ranked():
    losses = np.array([1.0, 2.0, 3.0, 4.0, 1e30])
    found = half_ranked(losses)
    # The better half keeps its proportions: 1, 2, 3 are equally far apart.
    assert found[1] - found[0] == pytest.approx(found[2] - found[1])
    assert (np.diff(found) > 0).all()
    assert found[4] - found[3] < 2 * (found[3] - found[2])
    assert found.mean() == pytest.approx(0)
    assert found.std() == pytest.approx(1)
    np.testing.assert_array_equal(half_ranked(np.ones(4)), np.zeros(4))
    mostly = half_ranked(np.array([0.0, 0, 0, 1, 2]))
    assert mostly[0] == mostly[1] == mostly[2] < mostly[3] < mostly[4]


def test_capped_keeps_proportions_but_for_what_is_far_off():
    losses = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    expected = (losses - losses.mean()) / losses.std()
    np.testing.assert_allclose(capped(losses), expected)
    far, farther = (
        capped(np.array([1.0, 2.0, 3.0, 4.0, far])) for far in (1e6, 1e30)
    )
    np.testing.assert_allclose(far, farther)
    assert far[4] > far[3] > far[2]
    np.testing.assert_array_equal(capped(np.ones(4)), np.zeros(4))


@pytest.mark.parametrize("seed", range(20))
def test_half_ranked_keeps_the_order(seed):
    losses = rng_at(seed, 5).standard_cauchy(21)
    found = half_ranked(losses)
    assert (np.argsort(found) == np.argsort(losses)).all()


@pytest.mark.parametrize("view", [half_ranked, capped])
def test_scales_of_huge_losses_are_those_of_others(view):
    losses = np.array([3.0, -1.0, 2.0, -3.0, 0.5, 1.0])
    np.testing.assert_allclose(view(losses * 3e307), view(losses))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_losses_beyond_what_can_be_squared_end_no_search():
    rate = Gene("rate", Interval(1e-100, 1e200, "log"))
    space = SearchSpace([rate, *PLANE.genes[:1]])
    for seed in range(4):
        engine = search(
            screened_evolution(),
            space,
            lambda genome: genome["rate"] + genome["x"],
            20,
            seed=seed,
        )
        assert len(engine.history.ended) == 20
