"""Strategies: what they are made of, what they refuse, what they learn."""

import pytest

from keras_evonas.evolution import Evolution
from keras_evonas.evolution import Generational
from keras_evonas.evolution import Tournament
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import regularized_evolution


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (genetic_algorithm, {"population_size": 0}, "`population_size` must"),
        (genetic_algorithm, {"population_size": 1.5}, "`population_size` must"),
        (genetic_algorithm, {"population_size": True}, "`population_size` mu"),
        (genetic_algorithm, {"population_size": "Auto"}, "`population_size` m"),
        (genetic_algorithm, {"crossover_rate": 1.1}, "`crossover_rate` must"),
        (genetic_algorithm, {"tournament_size": 0}, "`size` must be"),
        (
            genetic_algorithm,
            {"population_size": 4, "tournament_size": 5},
            "tournament_size=5, population_size=4. Lower the tournament",
        ),
        (
            regularized_evolution,
            {"population_size": 4, "sample_size": 5},
            "tournament_size=5, population_size=4. Lower the tournament",
        ),
        (
            generational_genetic_algorithm,
            {"population_size": 4, "elites": 4},
            "elites=4, population_size=4. Keep fewer elites",
        ),
        (generational_genetic_algorithm, {"elites": -1}, "`elites` must be"),
        (generational_genetic_algorithm, {"elites": 0.5}, "`elites` must be"),
        (Evolution, {"brood_size": 0}, "`brood_size` must be"),
        (local_search, {"initial_size": 0}, "`initial_size` must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("max_trials", "size"),
    [
        (None, 20),
        (1, 8),  # at least 8
        (40, 8),  # 40 / 5
        (60, 12),  # 60 / 5
        (100, 20),  # 100 / 5
        (299, 20),  # 299 // 15 = 19 is still less than 20
        (600, 40),  # 600 // 15
        (20_000, 50),  # at most 50
    ],
)
def test_the_population_follows_the_number_of_trials(max_trials, size):
    assert genetic_algorithm().configure(max_trials).population_size == size


def test_an_automatic_population_holds_its_tournament_and_elites():
    large = Evolution(select=Tournament(size=30)).configure(40)
    assert large.population_size == 30
    kept = Evolution(replace=Generational(elites=30)).configure(40)
    assert kept.population_size == 31
    given = genetic_algorithm(population_size=5)
    assert given.configure(40) is given
