"""Expected hypervolume improvement, and the search that follows it."""

import math

import numpy as np
import pytest

from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import pareto
from keras_evonas.evolution import screened_nsga2
from keras_evonas.evolution.pareto_screening import boxes
from keras_evonas.evolution.pareto_screening import front_surrogate_of
from keras_evonas.evolution.pareto_screening import (
    log_expected_hypervolume_improvement,
)
from keras_evonas.testing import StrategyConformance


class TestScreenedNsga2(StrategyConformance):
    learns = False  # see below, with fewer searches

    @pytest.fixture
    def strategy(self):
        return screened_nsga2(initial_size=20)


pytestmark = pytest.mark.thorough

SPACE = SearchSpace([Gene(f"x{i}", Grid(tuple(range(11)))) for i in range(5)])


def zdt1(genome):
    x = np.array([genome[f"x{i}"] for i in range(5)]) / 10
    g = 1 + 9 * x[1:].mean()
    return float(x[0]), float(g * (1 - math.sqrt(x[0] / g)))


def run(strategy, seed, trials):
    engine = Engine(SPACE, strategy.configure(trials), seed=seed)
    for _ in range(trials):
        one = engine.ask()
        engine.tell(one.birth, zdt1(one.genome))
    return engine


# Boxes.


def volume_of(box, low):
    return math.prod(high - max(start, low) for start, high in box)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_boxes_are_what_the_front_leaves(seed, objectives):
    rng = np.random.default_rng([seed, objectives])
    points = rng.integers(0, 6, size=(seed, objectives)) / 5.0
    cut = boxes(points, [1.0] * objectives)
    # With the dominated space they fill the unit cube.
    inside = [box for box in cut if all(high > 0 for _, high in box)]
    left = sum(volume_of(box, 0.0) for box in inside)
    taken = pareto.hypervolume(points, [1.0] * objectives)
    assert left + taken == pytest.approx(1.0)
    # No point is in two of them, and none that is in one is dominated.
    for place in rng.random((50, objectives)):
        holding = [
            box
            for box in cut
            if all(
                low < number <= high
                for number, (low, high) in zip(place, box, strict=True)
            )
        ]
        dominated = bool((points <= place).all(axis=1).any())
        assert len(holding) == (not dominated)


# The improvement.


@pytest.mark.parametrize(
    "objectives", [1, 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_improvement_agrees_with_monte_carlo(objectives):
    rng = np.random.default_rng(objectives)
    points = rng.random((5, objectives))
    reference = [1.2] * objectives
    means = rng.random((4, objectives))
    deviations = rng.uniform(0.1, 0.4, size=(4, objectives))
    logs = log_expected_hypervolume_improvement(
        means, deviations**2, boxes(points, reference)
    )
    before = pareto.hypervolume(points, reference)
    for mean, deviation, log in zip(means, deviations, logs, strict=True):
        drawn = mean + deviation * rng.standard_normal((4000, objectives))
        gains = np.array(
            [
                pareto.hypervolume(np.vstack([points, one]), reference) - before
                for one in drawn
            ]
        )
        error = 5 * gains.std() / math.sqrt(len(gains))
        assert abs(math.exp(log) - gains.mean()) < error


def test_a_sure_candidate_adds_what_it_adds():
    points = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    cut = boxes(points, [3.0, 3.0])
    means = np.array([[0.5, 0.5], [1.5, 1.5], [-1.0, 2.5], [9.0, 9.0]])
    logs = log_expected_hypervolume_improvement(
        means, np.full_like(means, 1e-12), cut
    )
    # (0.5, 0.5): from 0.5 to 1 a height of 1.5, from 1 to 2 one of 0.5.
    # (-1, 2.5): from -1 to 0 a height of 0.5. The others are dominated.
    assert np.exp(logs) == pytest.approx([1.25, 0.0, 0.5, 0.0], abs=1e-6)


# The strategy.


@pytest.mark.parametrize("objectives", [4, 5])
def test_many_objectives_leave_few_boxes(objectives):
    centres = np.random.default_rng(1).random((objectives, 5))
    engine = Engine(SPACE, nsga2().configure(80), seed=0)
    for _ in range(80):
        one = engine.ask()
        place = np.array([one.genome[f"x{i}"] for i in range(5)]) / 10
        engine.tell(one.birth, tuple(((place - centres) ** 2).sum(axis=1)))
    surrogate = front_surrogate_of(SPACE, engine.history)
    codes = surrogate.encoding.sample(50, np.random.default_rng(0))
    assert np.isfinite(surrogate.worth(codes)).all()
    for cut in surrogate.cuts:
        assert 8 < len(cut) <= 1000
        assert all(low < high for box in cut for low, high in box)


def test_a_surrogate_depends_on_the_history_only():
    engine = run(screened_nsga2(), seed=0, trials=20)
    again = run(screened_nsga2(), seed=0, trials=20)
    codes = front_surrogate_of(SPACE, engine.history).encoding.sample(
        30, np.random.default_rng(0)
    )
    first = front_surrogate_of(SPACE, engine.history)
    second = front_surrogate_of(SPACE, again.history)
    np.testing.assert_array_equal(first.worth(codes), second.worth(codes))
    np.testing.assert_array_equal(first.elites(5), second.elites(5))


def test_the_defaults_come_first_only_if_wanted():
    chosen = SearchSpace([Gene("x", Grid((0, 1, 2, 3, 4)), default=1)])
    for wanted, first in ((True, 1), (False, 2)):
        strategy = screened_nsga2(default_first=wanted).configure(10)
        assert Engine(chosen, strategy, seed=0).ask().genome == {"x": first}


def test_failed_and_infeasible_ones_are_no_elites():
    engine = Engine(SPACE, screened_nsga2().configure(30), seed=0)
    for count in range(30):
        one = engine.ask()
        losses = None if count % 5 == 0 else zdt1(one.genome)
        violation = 1.0 if count % 5 == 1 else 0.0
        engine.tell(one.birth, losses, violation=violation)
    surrogate = front_surrogate_of(SPACE, engine.history)
    elites = [surrogate.individuals[i] for i in surrogate.elites(30)]
    assert len(surrogate.individuals) == 30
    assert len(elites) == 18
    assert all(one.viable and one.violation == 0 for one in elites)


def test_a_search_for_a_front_draws_no_immigrants():
    # Nothing is better than (0, 0): a search for one network gets stuck.
    plane = SearchSpace([Gene(name, Grid(tuple(range(30)))) for name in "xy"])
    engine = Engine(plane, screened_nsga2().configure(40), seed=0)
    for _ in range(40):
        one = engine.ask()
        x, y = one.genome["x"], one.genome["y"]
        engine.tell(one.birth, (float(x), float(y)))
    operators = {one.operator for one in engine.history.ended}
    assert "immigrant" not in operators


def test_more_individuals_than_a_surrogate_learns_from(monkeypatch):
    monkeypatch.setattr("keras_evonas.evolution.surrogate.MAX_DATA", 12)
    engine = run(screened_nsga2(), seed=0, trials=30)
    surrogate = front_surrogate_of(SPACE, engine.history)
    assert surrogate.expected.shape == (30, 2)
    assert len({SPACE.key(one.genome) for one in engine.history.ended}) == 30


@pytest.mark.slow
def test_screening_finds_more_of_zdt1_than_evolution_alone():
    def volumes(strategy):
        return np.array(
            [
                pareto.hypervolume(
                    [
                        one.losses
                        for one in run(strategy, seed, 40).history.ended
                    ],
                    [1.1, 10],
                )
                for seed in range(5)
            ]
        )

    screened, plain = volumes(screened_nsga2()), volumes(nsga2())
    assert (screened > plain).all(), (screened, plain)
