"""Searches of EvoOracle for several objectives."""

import math

import keras_tuner
import pytest

from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import pareto
from keras_evonas.evolution import random_search
from keras_evonas.evolution.defaults import default_pareto_strategy
from keras_evonas.oracles.oracle import EvoOracle
from tests.searches import oracle_in
from tests.searches import space

pytestmark = pytest.mark.keras

OBJECTIVES = [
    keras_tuner.Objective("score", "max"),
    keras_tuner.Objective("params", "min"),
]


def costs(hp):
    params = hp.get("units") * (2 if hp.get("kind") == "conv" else 1)
    return {"params": float(params)}


def score_of(values):
    kind = {"conv": 1.0, "dense": 0.5}[values["kind"]]
    return kind * values["units"] - abs(math.log(values["rate"] / 0.01))


def settings(**arguments):
    return {
        "objective": OBJECTIVES,
        "hyperparameters": space(),
        "costs": costs,
        "max_trials": 40,
        **arguments,
    }


def run_trial(oracle, metrics_of=None):
    trial = oracle.create_trial("tuner0")
    if trial.status == "STOPPED":
        return None
    values = trial.hyperparameters.values
    metrics = metrics_of(values) if metrics_of else {"score": score_of(values)}
    oracle.update_trial(trial.trial_id, metrics)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    oracle.save()
    return trial


def search(oracle, trials=10**6):
    values = []
    while len(values) < trials and (trial := run_trial(oracle)) is not None:
        values.append(dict(trial.hyperparameters.values))
    return values


def objectives_of(trial):
    values = trial.hyperparameters.values
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return score_of(values), costs(hp)["params"]


def beats(one, other):
    (score, params), (other_score, other_params) = map(
        objectives_of, (one, other)
    )
    return (score >= other_score and params <= other_params) and (
        score > other_score or params < other_params
    )


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    oracle = oracle_in(tmp_path_factory.mktemp("front") / "s", **settings())
    search(oracle)
    return oracle


# The front.


def test_the_front_is_what_nobody_beats(oracle):
    trials = list(oracle.trials.values())
    expected = {
        one.trial_id
        for one in trials
        if not any(beats(other, one) for other in trials)
    }
    front = oracle.get_pareto_trials()
    assert {trial.trial_id for trial in front} == expected
    assert len(front) > 2
    scores = [trial.score for trial in front]
    assert scores == sorted(scores, reverse=True)


def test_best_trials_go_front_by_front(oracle):
    best = oracle.get_best_trials(40)
    assert len(best) == 40
    losses = [(-score, params) for score, params in map(objectives_of, best)]
    ranks = pareto.ranks(losses).tolist()
    assert ranks == sorted(ranks)
    front = oracle.get_pareto_trials()
    assert best[: len(front)] == front
    for number in (0, 1, 2, 7):
        assert oracle.get_best_trials(number) == best[:number]


def test_the_score_is_the_lead_objective(oracle):
    for trial in oracle.trials.values():
        assert trial.score == score_of(trial.hyperparameters.values)


def test_the_knee_is_on_the_front(oracle):
    front = oracle.get_pareto_trials()
    knee = oracle.get_knee_trial()
    assert knee in front
    losses = [(-s, p) for s, p in map(objectives_of, front)]
    assert front[pareto.knee_point(losses)] is knee


def test_hypervolumes_grow_to_that_of_the_front(oracle):
    reference = {"score": -10.0, "params": 130.0}
    volumes = oracle.get_hypervolumes(reference)
    assert len(volumes) == 40
    assert volumes == sorted(volumes)
    losses = [
        (-s, p) for s, p in map(objectives_of, oracle.get_pareto_trials())
    ]
    expected = pareto.hypervolume(losses, [10.0, 130.0])
    assert volumes[-1] == pytest.approx(expected)
    by_worst = oracle.get_hypervolumes()
    assert by_worst == sorted(by_worst)
    assert by_worst[-1] > 0


def test_a_reference_that_lacks_an_objective(oracle):
    with pytest.raises(ValueError, match=r"`reference`.*without \['params'\]"):
        oracle.get_hypervolumes({"score": 0.0})


def test_before_the_first_trial_there_is_no_front(tmp_path):
    oracle = oracle_in(tmp_path / "s", **settings())
    assert oracle.get_pareto_trials() == []
    assert oracle.get_knee_trial() is None
    assert oracle.get_hypervolumes() == []
    assert oracle.get_best_trials(3) == []


def test_one_objective_has_a_front_too(tmp_path):
    oracle = oracle_in(
        tmp_path / "s",
        **settings(objective=keras_tuner.Objective("score", "max")),
    )
    search(oracle, trials=10)
    front = oracle.get_pareto_trials()
    assert front[0] is oracle.get_best_trials()[0]
    assert {trial.score for trial in front} == {front[0].score}
    assert oracle.get_knee_trial() is front[0]


# The search.


def test_the_default_strategy_is_one_for_fronts():
    several = EvoOracle(["val_accuracy", "val_loss"], max_trials=9)
    assert several._strategy == default_pareto_strategy()
    one = EvoOracle(["val_accuracy"], max_trials=9)
    assert one._strategy != default_pareto_strategy()
    assert one.objective.name == "val_accuracy"


def test_costs_have_a_direction_of_their_own():
    oracle = EvoOracle(["val_accuracy", "params", "latency_ms"], max_trials=9)
    described = [(x.name, x.direction) for x in oracle.objective.objectives]
    assert described == [
        ("val_accuracy", "max"),
        ("params", "min"),
        ("latency_ms", "min"),
    ]


def test_the_lead_is_the_first_that_training_reports():
    oracle = EvoOracle(["params", "val_loss", "val_accuracy"], max_trials=9)
    assert (oracle.objective.name, oracle.objective.direction) == (
        "val_loss",
        "min",
    )


@pytest.mark.parametrize("strategy", [nsga2(), genetic_algorithm(), None])
def test_a_cut_search_for_a_front_resumes_exactly(tmp_path, strategy):
    arguments = settings(strategy=strategy, max_trials=24)
    whole = search(oracle_in(tmp_path / "whole", **arguments))
    proposed = []
    while part := search(oracle_in(tmp_path / "cut", **arguments), trials=5):
        proposed += part
    assert proposed == whole
    again = oracle_in(tmp_path / "cut", **arguments)
    again.reload()
    uncut = oracle_in(tmp_path / "whole", **arguments)
    uncut.reload()
    assert [t.trial_id for t in again.get_best_trials(24)] == [
        t.trial_id for t in uncut.get_best_trials(24)
    ]
    assert again.get_hypervolumes() == uncut.get_hypervolumes()


def test_fewer_objectives_are_another_search(tmp_path):
    search(oracle_in(tmp_path / "s", **settings()), trials=2)
    again = oracle_in(tmp_path / "s", **settings(objective=OBJECTIVES[0]))
    with pytest.raises(ValueError, match="`objective` was"):
        again.create_trial("tuner0")


def test_patience_waits_for_a_trial_that_joins_the_front(tmp_path):
    arguments = settings(patience=4, strategy=random_search())
    oracle = oracle_in(tmp_path / "s", **arguments)
    search(oracle)
    ended = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    joined = [
        index
        for index, one in enumerate(ended)
        if not any(
            beats(other, one) or objectives_of(other) == objectives_of(one)
            for other in ended[:index]
        )
    ]
    assert len(ended) == joined[-1] + 5
    assert "patience=4" in oracle.stop_reason


# What the host prints.


def test_the_hosts_display_works(tmp_path, capsys):
    oracle = oracle_in(tmp_path / "s", **settings())
    oracle.verbose = 1
    oracle._display.verbose = 1
    for _ in range(3):
        run_trial(oracle)
    printed = capsys.readouterr().out
    assert f"Best score So Far: {oracle.get_best_trials()[0].score}" in printed
    assert str(oracle.objective) == (
        'Objectives: [Objective(name="score", direction="max"), '
        'Objective(name="params", direction="min")]'
    )
    for trial in oracle.get_best_trials(3):
        trial.summary()
    assert "Score: " in capsys.readouterr().out


# Half a result.


# keras-tuner looks for the best of the values reported so far.
@pytest.mark.filterwarnings("ignore:All-NaN axis:RuntimeWarning")
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nan_in_one_objective_is_worst_in_all(tmp_path, bad):
    objective = [OBJECTIVES[0], keras_tuner.Objective("val_loss", "min")]
    oracle = oracle_in(tmp_path / "s", **settings(objective=objective))
    run_trial(oracle, lambda values: {"score": 1.0, "val_loss": 5.0})
    run_trial(oracle, lambda values: {"score": 9.0, "val_loss": bad})
    failed = oracle.trials[oracle.end_order[1]]
    assert failed.status == "FAILED"
    assert "never finite at one step" in failed.message
    assert oracle.engine.history.ended[1].losses is None
    assert not oracle.engine.history.ended[1].viable
    assert [x.score for x in oracle.get_best_trials(9)] == [1.0]
    assert len(oracle.get_pareto_trials()) == 1


def test_the_best_step_is_one_where_all_are_finite(tmp_path):
    objective = [OBJECTIVES[0], keras_tuner.Objective("val_loss", "min")]
    oracle = oracle_in(tmp_path / "s", **settings(objective=objective))
    trial = oracle.create_trial("tuner0")
    reports = [(1.0, 5.0), (9.0, math.nan), (3.0, 7.0), (2.0, 6.0)]
    for step, (score, loss) in enumerate(reports):
        metrics = {"score": score, "val_loss": loss}
        oracle.update_trial(trial.trial_id, metrics, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    ended = oracle.trials[trial.trial_id]
    assert (ended.score, ended.best_step) == (3.0, 2)
    assert oracle.engine.history.ended[0].losses == (-3.0, 7.0)


# Bad input.


def test_an_objective_twice():
    with pytest.raises(ValueError, match="must name each objective once"):
        EvoOracle(["val_loss", "params", "val_loss"], max_trials=3)


def test_an_objective_without_a_direction():
    with pytest.raises(ValueError, match="Could not infer optimization dir"):
        EvoOracle(["val_accuracy", "goodness"], max_trials=3)
    with pytest.raises(ValueError, match="`objective` must have a direction"):
        EvoOracle(
            ["val_accuracy", keras_tuner.Objective("goodness", "best")],
            max_trials=3,
        )


def test_no_objective_in_the_list():
    with pytest.raises(ValueError, match="at least one objective"):
        EvoOracle([], max_trials=3)


@pytest.mark.parametrize(
    "objective", ["params", ["params", "flops"], ["params", "latency_ms"]]
)
def test_costs_alone_are_nothing_to_train_for(objective):
    with pytest.raises(ValueError, match=r"that training reports.*are costs"):
        EvoOracle(objective, max_trials=3)


def test_a_cost_as_an_objective_needs_costs(tmp_path):
    oracle = oracle_in(tmp_path / "s", **settings(costs=None))
    with pytest.raises(ValueError, match=r"`costs` must tell.*\['params'\]"):
        oracle.create_trial("tuner0")


def test_a_measured_cost_that_nobody_measures(tmp_path):
    objective = [OBJECTIVES[0], "latency_ms"]
    oracle = oracle_in(tmp_path / "s", **settings(objective=objective))
    with pytest.raises(
        keras_tuner.errors.FatalValueError, match="Search with EvoTuner"
    ):
        run_trial(oracle)


def test_a_metric_that_training_does_not_report(tmp_path):
    objective = [OBJECTIVES[0], keras_tuner.Objective("auc", "max")]
    oracle = oracle_in(tmp_path / "s", **settings(objective=objective))
    with pytest.raises(
        keras_tuner.errors.FatalValueError, match=r"'auc'.*\['score'\]"
    ):
        oracle.objective.get_value({"score": 3.0})
    with pytest.raises(keras_tuner.errors.FatalValueError, match="'auc'"):
        run_trial(oracle)
