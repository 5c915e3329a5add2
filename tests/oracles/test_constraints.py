"""Limits on what networks cost, before and after they are trained."""

import dataclasses
import itertools
import math
import warnings

import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas import HypermodelCosts
from keras_evonas import at_least
from keras_evonas import at_most
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import random_search
from keras_evonas.oracles.constraints import checked_constraints
from keras_evonas.project.objectives import STATIC_COSTS
from tests.searches import oracle_in

pytestmark = pytest.mark.keras


def layers():
    """Up to four layers; nearly all networks have millions of weights."""
    hp = keras_tuner.HyperParameters()
    hp.Int("depth", 1, 4, default=4)
    for layer in range(4):
        with hp.conditional_scope("depth", list(range(layer + 1, 5))):
            hp.Choice(
                f"units_{layer}",
                [2**power for power in range(3, 17)],
                default=65_536,
            )
    return hp


def params_of(values):
    sizes = [784, *(values[f"units_{i}"] for i in range(values["depth"])), 10]
    return sum(a * b + b for a, b in itertools.pairwise(sizes))


class Costs:
    """Counts how often it is asked."""

    def __init__(self, **more):
        self.asked = 0
        self.more = more

    def __call__(self, hp):
        self.asked += 1
        params = params_of(hp.values)
        return {"params": params, "training_bytes": 16 * params, **self.more}


def accuracy_of(values):
    return 1 - 1 / math.log(params_of(values))


def search(oracle, metrics_of=None, trials=10**6):
    """Runs trials and returns the values that were proposed."""
    proposed = []
    while len(proposed) < trials:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        values = dict(trial.hyperparameters.values)
        proposed.append(values)
        metrics = {"score": accuracy_of(values)}
        metrics.update(metrics_of(values) if metrics_of else {})
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        oracle.save()
    return proposed


def settings(**arguments):
    return {
        "objective": keras_tuner.Objective("score", "max"),
        "hyperparameters": layers(),
        "max_trials": 30,
        "strategy": genetic_algorithm(),
        "costs": Costs(),
        **arguments,
    }


# The arguments.


def test_names_of_costs_are_the_fields_of_costs():
    from keras_evonas.models.costs import Costs as ModelCosts

    fields = {field.name for field in dataclasses.fields(ModelCosts)}
    assert set(STATIC_COSTS) == fields - {"unknown"}


def test_a_chief_that_cannot_judge_networks_waits_for_no_workers(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "0")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    oracle = EvoOracle("loss", 4, constraints=[at_most("params", 10)])
    tuner = keras_tuner.Tuner(oracle, lambda hp: None, directory=tmp_path)
    with pytest.raises(ValueError, match="`costs` must tell"):
        tuner.search()


@pytest.mark.parametrize(
    ("constraint", "value", "violation"),
    [
        (at_most("params", 100), 99, 0),
        (at_most("params", 100), 100, 0),
        (at_most("params", 100), 150, 0.5),
        (at_most("params", 100), math.nan, math.inf),
        (at_most("score", -2), -1, 0.5),
        (at_most("score", 0), 3, 3),
        (at_least("val_accuracy", 0.8), 0.9, 0),
        (at_least("val_accuracy", 0.8), 0.4, 0.5),
        (at_least("val_accuracy", 0.8), math.nan, math.inf),
    ],
)
def test_violations_are_shares_of_the_bound(constraint, value, violation):
    assert constraint.violation(value) == violation


def test_a_constraint_reads_as_it_is_meant():
    assert str(at_most("params", 1e6)) == "params <= 1e+06"
    assert str(at_least("val_accuracy", 0.9)) == "val_accuracy >= 0.9"


@pytest.mark.parametrize("bound", [None, "many", math.nan, math.inf, True])
def test_a_constraint_without_a_bound(bound):
    with pytest.raises(ValueError, match="`bound` must be a finite number"):
        at_most("params", bound)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("param", "params"),
        ("Params", "params"),
        ("flop", "flops"),
        ("multiply_add", "multiply_adds"),
        ("latency", "latency_ms"),
        ("training_byte", "training_bytes"),
    ],
)
def test_an_unknown_cost(name, meant):
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        at_most(name, 1)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_constraint_without_a_name(name):
    with pytest.raises(ValueError, match="`name` must be the name"):
        at_most(name, 1)


@pytest.mark.parametrize("name", ["loss", "val_accuracy", "my_metric", "auc"])
def test_metrics_may_be_constrained(name):
    assert at_most(name, 1).name == name


@pytest.mark.parametrize(
    "constraints",
    ["params", ["params"], [("params", 3)], 5, [None], at_most("params", 3)],
)
def test_what_is_no_list_of_constraints(constraints):
    with pytest.raises(TypeError, match="`constraints` must be a list"):
        checked_constraints(constraints)


def test_the_same_side_twice():
    twice = [at_most("params", 3), at_most("params", 4)]
    with pytest.raises(ValueError, match=r"limit each name once.*'params'"):
        checked_constraints(twice)
    both = [at_most("params", 3), at_least("params", 1)]
    assert checked_constraints(both) == tuple(both)


def test_constraints_on_costs_need_costs(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=None, constraints=[at_most("params", 10)]),
    )
    with pytest.raises(ValueError, match="`costs` must tell the costs"):
        oracle.create_trial("tuner0")


def test_costs_that_lack_what_is_constrained(tmp_path):
    oracle = oracle_in(
        tmp_path / "s", **settings(constraints=[at_most("flops", 10)])
    )
    with pytest.raises(ValueError, match=r"`costs` must return.*'flops'"):
        oracle.create_trial("tuner0")
    with pytest.raises(ValueError, match="`costs` must return"):
        oracle.create_trial("tuner1")  # no lock was left held


@pytest.mark.parametrize("number", [np.int64, np.float32, float])
def test_numbers_of_numpy_and_own_names_are_costs(tmp_path, number):
    def costs(hp):
        params = params_of(hp.values)
        return {"params": number(params), "energy": number(params / 1000)}

    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            objective=[keras_tuner.Objective("score", "max"), "params"],
            strategy=nsga2(),
            costs=costs,
            constraints=[at_most("energy", 50)],
        ),
    )
    proposed = search(oracle, lambda values: {"score": accuracy_of(values)})
    assert len(proposed) == 30
    assert max(map(params_of, proposed)) < 51_000
    trials = oracle.get_best_trials(30)
    for trial in trials:
        params = params_of(trial.hyperparameters.values)
        found = trial.metrics.get_last_value("params")
        assert found == pytest.approx(params, rel=1e-6)


def test_an_own_name_of_a_cost_is_no_objective(tmp_path):
    goals = [keras_tuner.Objective(name, "min") for name in ("score", "energy")]
    oracle = oracle_in(
        tmp_path / "s",
        **settings(objective=goals, strategy=nsga2(), costs=Costs(energy=1.0)),
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=r"costs among params.*: 'energy'"):
            oracle.create_trial("tuner0")
    assert not oracle.trials


def test_own_names_are_learnt_though_the_default_network_has_no_costs(tmp_path):
    def costs(hp):
        params = params_of(hp.values)
        if params > 10**9:
            raise ValueError("too large for the chip")
        return {"energy": params / 1000}

    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            strategy=random_search(),
            costs=costs,
            constraints=[at_most("energy", 50)],
        ),
    )
    proposed = search(oracle)
    assert len(proposed) == 30
    assert max(map(params_of, proposed)) <= 50_000


def test_an_objective_that_costs_do_not_tell_costs_no_trial(tmp_path):
    goals = [keras_tuner.Objective("score", "max"), "params"]
    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            objective=goals,
            strategy=nsga2(),
            costs=lambda hp: {"params": None},
        ),
    )
    with pytest.raises(ValueError, match=r"'params': None.*\['params'\]"):
        oracle.create_trial("tuner0")
    assert not oracle.trials


def test_costs_that_return_nonsense(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=lambda hp: 3, constraints=[at_most("flops", 10)]),
    )
    with pytest.raises(TypeError, match="must return a mapping"):
        oracle.create_trial("tuner0")


@pytest.mark.parametrize("costs", ["params", {"params": 3}, dict])
def test_costs_that_are_no_function(tmp_path, costs):
    with pytest.raises(TypeError, match="`costs` must be a function"):
        oracle_in(tmp_path / "s", **settings(costs=costs))


def test_costs_that_fail_are_named(tmp_path):
    def costs(hp):
        return {"params": 1 / 0}

    limits = [at_most("params", 10)]
    oracle = oracle_in(
        tmp_path / "s", **settings(costs=costs, constraints=limits)
    )
    with pytest.raises(ValueError, match=r"`costs` failed for.*Mend `costs`"):
        oracle.create_trial("tuner0")


# Before training.


@pytest.mark.parametrize(
    "strategy", [genetic_algorithm(), nsga2(), random_search()]
)
@pytest.mark.parametrize("limit", [100_000, 10_000])
def test_every_trial_is_feasible_however_large_the_first(
    tmp_path, strategy, limit
):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(strategy=strategy, constraints=[at_most("params", limit)]),
    )
    proposed = search(oracle)
    assert len(proposed) == 30
    assert max(map(params_of, proposed)) <= limit
    assert len({tuple(values.items()) for values in proposed}) == 30


def test_an_oversized_initial_population_is_repaired(tmp_path):
    # All first proposals are oversized: the defaults, and larger ones.
    initial = ["default"] + [
        {"depth": depth, "units_0": 65_536} for depth in (1, 2, 3, 4)
    ]
    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            constraints=[at_most("params", 50_000)],
            initial_population=initial,
        ),
    )
    proposed = search(oracle)
    assert len(proposed) == 30
    assert max(map(params_of, proposed)) <= 50_000


def test_costs_are_asked_once_for_a_candidate(tmp_path):
    costs = Costs()
    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=costs, constraints=[at_most("params", 50_000)]),
    )
    search(oracle)
    assert costs.asked == len(oracle.feasibility._known)


def test_nothing_feasible_names_the_tightest_and_the_closest(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            costs=Costs(flops=1.0),
            constraints=[at_most("flops", 0.9), at_most("params", 1000)],
        ),
    )
    # The smallest network has 784 * 8 + 8 + 8 * 10 + 10 = 6370 parameters.
    with pytest.raises(ValueError, match="no candidate is feasible") as error:
        oracle.create_trial("tuner0")
    assert "tightest constraint is params <= 1000" in str(error.value)
    assert "'depth': 1, 'units_0': 8" in str(error.value)
    assert "params=6370" in str(error.value)
    assert "Loosen the constraint" in str(error.value)
    assert not oracle.trials
    with pytest.raises(ValueError, match="no candidate is feasible"):
        oracle.create_trial("tuner1")  # no lock was left held


def test_networks_that_cannot_be_built_are_no_matter_of_the_limit(tmp_path):
    def build(hp):
        raise ValueError("Pass the shape.")

    limits = [at_most("params", 1000)]
    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=HypermodelCosts(build), constraints=limits),
    )
    with pytest.raises(ValueError, match="no candidate is feasible") as error:
        oracle.create_trial("tuner0")
    assert "cannot be built: ValueError('Pass the shape.')" in str(error.value)
    assert "Mend the hypermodel" in str(error.value)
    assert "Loosen" not in str(error.value)


def test_too_few_feasible_ones_end_the_search(tmp_path):
    oracle = oracle_in(
        tmp_path / "s", **settings(constraints=[at_most("params", 6500)])
    )
    # With 784 inputs only 8 units in the first layer fit.
    proposed = search(oracle)
    assert 0 < len(proposed) < 30
    assert all(params_of(values) <= 6500 for values in proposed)
    assert "nothing feasible found beyond" in oracle.stop_reason


def test_a_network_that_cannot_be_built_is_not_feasible(tmp_path):
    def costs(hp):
        if hp.get("depth") > 2:
            raise ValueError("pooling deeper than the input")
        return {"params": 1}

    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=costs, constraints=[at_most("params", 10)]),
    )
    proposed = search(oracle)
    assert len(proposed) == 30
    assert all(values["depth"] <= 2 for values in proposed)


def test_nothing_can_be_built(tmp_path):
    def costs(hp):
        raise ValueError("pooling deeper than the input")

    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=costs, constraints=[at_most("params", 10)]),
    )
    with pytest.raises(ValueError, match="pooling deeper than the input"):
        oracle.create_trial("tuner0")


def test_a_search_with_constraints_resumes_exactly(tmp_path):
    arguments = settings(constraints=[at_most("params", 50_000)])
    whole = search(oracle_in(tmp_path / "whole", **arguments))
    proposed = []
    while part := search(oracle_in(tmp_path / "cut", **arguments), trials=3):
        proposed += part
    assert proposed == whole


def test_other_constraints_are_another_search(tmp_path):
    one, other = at_most("params", 50_000), at_most("params", 60_000)
    search(oracle_in(tmp_path / "s", **settings(constraints=[one])), trials=2)
    again = oracle_in(tmp_path / "s", **settings(constraints=[other]))
    with pytest.raises(ValueError, match=r"`constraints` was .*50000.*60000"):
        again.create_trial("tuner0")


# The default guard.


@pytest.mark.parametrize("limit", [1e6, 1e7])
def test_the_guard_keeps_training_within_the_memory(
    tmp_path, monkeypatch, limit
):
    from keras_evonas.oracles import limits

    monkeypatch.setattr(limits, "memory_for_training", lambda: limit)
    proposed = search(oracle_in(tmp_path / "s", **settings()))
    assert len(proposed) == 30
    assert max(16 * params_of(values) for values in proposed) <= limit


def test_a_guarded_search_goes_on_with_costs_only(tmp_path):
    search(oracle_in(tmp_path / "s", **settings()), trials=2)
    again = oracle_in(tmp_path / "s", **settings(costs=None))
    again.reload()
    with pytest.raises(ValueError, match=r"`costs` must.*'training_bytes'"):
        again.create_trial("tuner0")


def test_a_limit_of_ones_own_replaces_the_guard(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            constraints=[at_most("training_bytes", 1e15)],
            strategy=random_search(),
        ),
    )
    proposed = search(oracle)
    assert max(16 * params_of(values) for values in proposed) > 1e10


def test_the_guard_is_that_of_the_machine_where_the_search_began(
    tmp_path, monkeypatch
):
    from keras_evonas.oracles import limits

    def limited(limit):
        monkeypatch.setattr(limits, "memory_for_training", lambda: limit)

    limited(10e6)
    whole = search(oracle_in(tmp_path / "whole", **settings()))
    part = search(oracle_in(tmp_path / "cut", **settings()), trials=9)
    limited(1e12)
    rest = search(oracle_in(tmp_path / "cut", **settings()))
    assert part + rest == whole


def test_without_costs_nothing_is_guarded(tmp_path):
    proposed = search(oracle_in(tmp_path / "s", **settings(costs=None)))
    assert len(proposed) == 30


def test_the_guard_gives_up_on_hypermodels_that_it_cannot_build(tmp_path):
    def costs(hp):
        raise RuntimeError("computes with its weights")

    oracle = oracle_in(tmp_path / "s", **settings(costs=costs))
    with pytest.warns(UserWarning, match="computes with its weights"):
        oracle.create_trial("tuner0")
    with warnings.catch_warnings(record=True) as caught:
        oracle.create_trial("tuner1")
    assert UserWarning not in {one.category for one in caught}  # said once


def test_the_guard_leaves_costs_that_do_not_know_of_memory(tmp_path):
    oracle = oracle_in(
        tmp_path / "s", **settings(costs=lambda hp: {"params": 3})
    )
    assert len(search(oracle)) == 30


# After training.


def latency_of(values):
    return {"latency_ms": params_of(values) / 1e4}


@pytest.mark.parametrize("strategy", [genetic_algorithm(), nsga2()])
def test_what_proves_infeasible_is_worse_than_all_others(tmp_path, strategy):
    arguments = settings(
        costs=None,
        strategy=strategy,
        max_trials=60,
        constraints=[at_most("latency_ms", 100)],
    )
    oracle = oracle_in(tmp_path / "s", **arguments)
    search(oracle, latency_of)
    best = oracle.get_best_trials(60)
    latencies = [
        latency_of(x.hyperparameters.values)["latency_ms"] for x in best
    ]
    feasible = [latency for latency in latencies if latency <= 100]
    assert 0 < len(feasible) < 60
    assert latencies[: len(feasible)] == feasible
    beyond = latencies[len(feasible) :]
    assert beyond == sorted(beyond)
    scores = [trial.score for trial in best[: len(feasible)]]
    assert scores == sorted(scores, reverse=True)
    again = oracle_in(tmp_path / "s", **arguments)
    again.reload()
    assert [x.trial_id for x in again.get_best_trials(60)] == [
        x.trial_id for x in best
    ]
    assert again.engine.state == oracle.engine.state


def test_several_goals_of_which_nothing_is_feasible_yet(tmp_path):
    goals = ("score", "max"), ("params", "min")
    oracle = oracle_in(
        tmp_path / "s",
        **settings(
            strategy=None,
            objective=[keras_tuner.Objective(*goal) for goal in goals],
            constraints=[at_most("latency_ms", 1)],
        ),
    )
    proposed = search(oracle, lambda values: {"latency_ms": 2.0}, trials=20)
    assert len(proposed) == 20


def test_a_constraint_that_training_does_not_report(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(costs=None, constraints=[at_least("auc", 0.5)]),
    )
    with pytest.raises(
        keras_tuner.errors.FatalValueError,
        match=r"`constraints` must name a metric.*'auc'.*\['score'\]",
    ):
        search(oracle)


def test_costs_are_metrics_of_every_trial(tmp_path):
    oracle = oracle_in(tmp_path / "s", **settings(max_trials=3))
    search(oracle)
    for trial in oracle.trials.values():
        (entry,) = trial.metrics.get_history("params")
        assert entry.mean() == params_of(trial.hyperparameters.values)
