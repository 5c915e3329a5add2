"""A study that `EvoSampler` samples."""

import itertools
import math
import multiprocessing
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import optuna
import pytest
import sqlalchemy

from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.evolution import successive_halving
from keras_evonas.optuna import EvoSampler
from keras_evonas.optuna.fold import PROPOSAL

optuna.logging.set_verbosity(optuna.logging.ERROR)


def network(trial):
    """A conditional space of all kinds of parameters."""
    loss = 0.0
    for index in range(trial.suggest_int("layers", 1, 3)):
        units = trial.suggest_int(f"units_{index}", 8, 256, log=True)
        loss += (math.log2(units) - 5) ** 2 / 10
    if trial.suggest_categorical("optimizer", ["sgd", "adam", None]) == "sgd":
        loss += (trial.suggest_float("momentum", 0.0, 0.99) - 0.9) ** 2
    else:
        loss += 0.3
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
    return loss + (math.log10(rate) + 3) ** 2 / 4 + dropout


def study_of(sampler, **kwargs):
    return optuna.create_study(sampler=sampler, **kwargs)


def params_of(study):
    return [trial.params for trial in study.trials]


def test_importing_it_loads_no_keras():
    program = (
        "import sys, keras_evonas.optuna as room; room.EvoSampler(seed=0); "
        "print([m for m in ('keras', 'tensorflow', 'keras_tuner') "
        "if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_gives_the_same_study(seed):
    studies = [study_of(EvoSampler(seed=seed)) for _ in range(2)]
    for study in studies:
        study.optimize(network, n_trials=20)
    assert params_of(studies[0]) == params_of(studies[1])


def test_the_global_generators_are_left_alone():
    before = random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    study_of(EvoSampler(seed=0)).optimize(network, n_trials=8)
    assert random.getstate() == before[0]
    assert pickle.dumps(np.random.get_state()) == before[1]  # noqa: NPY002


@pytest.mark.parametrize("cut", [1, 2, 5, 9, 14])
def test_a_study_that_is_loaded_from_its_journal_goes_on_the_same(
    cut, tmp_path
):
    def storage(name):
        backend = optuna.storages.journal.JournalFileBackend(
            str(tmp_path / name)
        )
        return optuna.storages.JournalStorage(backend)

    whole = study_of(EvoSampler(seed=3), storage=storage("whole"))
    whole.optimize(network, n_trials=16)
    begun = study_of(
        EvoSampler(seed=3), storage=storage("cut"), study_name="cut"
    )
    begun.optimize(network, n_trials=cut)
    resumed = optuna.load_study(
        study_name="cut", storage=storage("cut"), sampler=EvoSampler(seed=3)
    )
    resumed.optimize(network, n_trials=16 - cut)
    assert params_of(resumed) == params_of(whole)


def test_a_pickled_sampler_goes_on_the_same():
    whole = study_of(EvoSampler(seed=0))
    whole.optimize(network, n_trials=14)
    study = study_of(EvoSampler(seed=0))
    study.optimize(network, n_trials=7)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    study.optimize(network, n_trials=7)
    assert params_of(study) == params_of(whole)


def test_no_set_of_parameters_is_tried_twice_until_none_is_left():
    def objective(trial):
        kind = trial.suggest_categorical("kind", ["a", "b"])
        if kind == "a":
            return trial.suggest_int("n", 1, 5)
        return trial.suggest_float("x", 0.0, 0.4, step=0.1)

    study = study_of(EvoSampler(seed=1))
    study.optimize(objective, n_trials=25)
    tried = [tuple(trial.params.items()) for trial in study.trials]
    # A branch or a value that the first trials never had may come by chance.
    assert len(set(tried)) == 10
    assert len(set(tried[2:10])) == 8


def test_inactive_parameters_are_no_part_of_a_trial():
    study = study_of(EvoSampler(seed=0))
    study.optimize(network, n_trials=30)
    for trial in study.trials:
        layers = trial.params["layers"]
        assert ("momentum" in trial.params) == (
            trial.params["optimizer"] == "sgd"
        )
        assert [f"units_{i}" in trial.params for i in range(3)] == [
            i < layers for i in range(3)
        ]


@pytest.mark.parametrize(
    "strategy", [None, genetic_algorithm(), regularized_evolution()], ids=repr
)
def test_it_is_better_than_random_search(strategy):
    def best(sampler):
        study = study_of(sampler)
        study.optimize(network, n_trials=40)
        return study.best_value

    ours = [best(EvoSampler(strategy, seed=seed)) for seed in range(3)]
    theirs = [best(EvoSampler(random_search(), seed=s)) for s in range(3)]
    assert np.mean(ours) < np.mean(theirs), (ours, theirs)


def test_failures_pruned_and_enqueued_trials_are_learned_from():
    def objective(trial):
        value = network(trial)
        trial.report(value + 1.0, 1)
        if trial.number % 5 == 3:
            raise RuntimeError("out of memory")
        if trial.number % 5 == 4:
            raise optuna.TrialPruned
        return value

    study = study_of(EvoSampler(genetic_algorithm(), seed=0))
    study.enqueue_trial({"layers": 2, "rate": 1e-3})
    study.optimize(objective, n_trials=30, catch=(RuntimeError,))
    states = [trial.state.name for trial in study.trials]
    assert states.count("FAIL") == 6
    assert states.count("PRUNED") == 6
    assert study.trials[0].params["layers"] == 2
    parents = {
        parent
        for trial in study.trials
        for parent in trial.system_attrs.get(PROPOSAL, {}).get("parents", ())
    }
    failed = {t.number for t in study.trials if t.state.name == "FAIL"}
    assert parents
    assert not parents & failed


def test_enqueued_trials_differ_in_what_is_left_to_choose():
    study = optuna.create_study(sampler=EvoSampler(seed=0))

    def objective(trial):
        return trial.suggest_int("n", 1, 8) + trial.suggest_int("m", 1, 30)

    study.optimize(objective, n_trials=2)
    for _ in range(10):
        study.enqueue_trial({"n": 3})
    study.enqueue_trial({"n": 3, "m": 1})
    study.enqueue_trial({"n": 3, "m": 1})
    study.optimize(objective, n_trials=12)
    tried = [tuple(trial.params.values()) for trial in study.trials]
    assert len({*tried[:12]}) == 12
    assert tried[12:] == [(3, 1), (3, 1)]


@pytest.mark.parametrize("wrong", ["a", [1], None])
def test_an_enqueued_value_of_another_type_costs_its_own_trial(wrong):
    study = study_of(EvoSampler(seed=0))
    study.optimize(network, n_trials=2)
    study.enqueue_trial({"rate": wrong})
    study.enqueue_trial({"rate": 1e-3})
    study.optimize(network, n_trials=6, catch=(ValueError, TypeError))
    states = [trial.state.name for trial in study.trials]
    assert states.pop(2) == "FAIL"
    assert set(states) == {"COMPLETE"}
    assert study.trials[3].params["rate"] == 1e-3


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_both_directions(direction):
    sign = 1 if direction == "minimize" else -1
    study = study_of(EvoSampler(seed=0), direction=direction)
    study.optimize(lambda trial: sign * network(trial), n_trials=30)
    mirrored = study_of(EvoSampler(seed=0))
    mirrored.optimize(network, n_trials=30)
    assert params_of(study) == params_of(mirrored)


def test_several_objectives():
    def objective(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        y = trial.suggest_float("y", 0.0, 1.0)
        return x**2 + y, (x - 1) ** 2 + y

    study = study_of(EvoSampler(seed=0), directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=60)
    front = [trial.values for trial in study.best_trials]
    random_study = study_of(
        optuna.samplers.RandomSampler(seed=0),
        directions=["minimize", "minimize"],
    )
    random_study.optimize(objective, n_trials=60)
    theirs = [trial.values for trial in random_study.best_trials]

    def volume(points):
        grid = np.stack(
            np.meshgrid(*[np.linspace(0, 2, 60)] * 2), axis=-1
        ).reshape(-1, 1, 2)
        return (np.array(points)[None] <= grid).all(-1).any(-1).mean()

    assert volume(front) > volume(theirs)


def _constrained(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("x", x)
    return x


@pytest.mark.parametrize("way", ["function", "trial"])
def test_constraints_are_kept_before_scores(way):
    """The smaller the better, but not below 0.7."""

    def objective(trial):
        value = _constrained(trial)
        if way == "trial":
            trial.set_constraint("least", 0.7 - value)
        return value

    def constraints(trial):
        return [0.7 - trial.user_attrs["x"]]

    sampler = EvoSampler(
        seed=0, constraints_func=constraints if way == "function" else None
    )
    study = study_of(sampler)
    study.optimize(objective, n_trials=40)
    late = [trial.params["x"] for trial in study.trials[20:]]
    assert np.mean(np.array(late) >= 0.7) > 0.5
    assert min(x for x in late if x >= 0.7) < 0.75


def test_a_constraint_that_is_no_number_fails_as_with_optuna():
    sampler = EvoSampler(seed=0, constraints_func=lambda trial: [math.nan])
    with pytest.raises(ValueError, match=r"must return numbers.*trial 0"):
        study_of(sampler).optimize(network, n_trials=2)


def test_a_space_that_grows_and_changes_its_ranges():
    def objective(trial):
        late = trial.number >= 8
        x = trial.suggest_float("x", 0.0, 2.0 if late else 1.0)
        y = trial.suggest_int("y", 1, 4) if late else 1
        return (x - 1.5) ** 2 + y

    study = study_of(EvoSampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert all("y" in trial.params for trial in study.trials[8:])
    assert study.best_trial.params["x"] > 1.0


def test_another_kind_of_parameter_fails_as_optuna_says():
    study = study_of(EvoSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("x", 1, 4), n_trials=3)
    with pytest.raises(ValueError, match="different distribution kind"):
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)


def test_an_objective_without_parameters():
    study = study_of(EvoSampler(seed=0))
    study.optimize(lambda trial: 1.0, n_trials=3)
    assert [trial.value for trial in study.trials] == [1.0] * 3


def test_a_pruner_that_shows_its_own_bracket_only():
    def objective(trial):
        value = network(trial)
        for step in range(9):
            trial.report(value + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.HyperbandPruner(1, 9, 3)
    study = study_of(EvoSampler(seed=0), pruner=pruner, study_name="fixed")
    study.optimize(objective, n_trials=40)
    tried = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(tried)) == len(tried)


def test_threads_share_a_study():
    barrier = threading.Barrier(4, timeout=60)

    def objective(trial):
        x = trial.suggest_int("x", 0, 9)
        y = trial.suggest_int("y", 0, 9)
        if trial.number < 4:
            barrier.wait()  # Four trials are running at the same time.
        return x * y

    study = study_of(EvoSampler(seed=0))
    study.optimize(objective, n_trials=60, n_jobs=4)
    # The first four began before any parameter was known.
    tried = [tuple(trial.params.items()) for trial in study.trials[4:]]
    assert len(set(tried)) == len(tried) == 56


def _work(url):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name="shared", storage=url, sampler=EvoSampler(seed=0)
    )
    study.optimize(_grid, n_trials=24)


def _grid(trial):
    x = trial.suggest_int("x", 0, 7)
    return x * trial.suggest_int("y", 0, 7)


@pytest.mark.slow
def test_two_processes_on_one_database_try_nothing_twice(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(
        storage=url, study_name="shared", sampler=EvoSampler(seed=0)
    )
    study.optimize(_grid, n_trials=1)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(url,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
        assert worker.exitcode == 0
    tried = [tuple(trial.params.items()) for trial in study.trials]
    assert len(tried) == 49
    assert len(set(tried)) == 49


def test_a_storage_that_is_gone_raises_its_own_error_and_loses_nothing(
    tmp_path,
):
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path / 'study.db'}",
        study_name="study",
        sampler=EvoSampler(seed=0),
    )
    study.optimize(_grid, n_trials=5)
    path = tmp_path / "study.db"
    moved = path.rename(tmp_path / "moved.db")
    path.mkdir()
    with pytest.raises(sqlalchemy.exc.OperationalError):
        optuna.load_study(
            study_name="study",
            storage=f"sqlite:///{path}",
            sampler=EvoSampler(seed=0),
        ).optimize(_grid, n_trials=1)
    again = optuna.load_study(
        study_name="study",
        storage=f"sqlite:///{moved}",
        sampler=EvoSampler(seed=0),
    )
    again.optimize(_grid, n_trials=3)
    assert len(again.trials) == 8


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"strategy": "nsga2"}, TypeError, "`strategy` must be a strategy"),
        (
            {"strategy": successive_halving(max_epochs=9)},
            ValueError,
            "must not have rungs.*pruner",
        ),
        ({"seed": -1}, ValueError, "`seed` must be a non-negative integer"),
        ({"n_trials": 0}, ValueError, "`n_trials` must be"),
        ({"constraints_func": 3}, TypeError, "`constraints_func` must be"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        EvoSampler(**arguments)


def test_where_a_trial_comes_from_stands_in_the_study():
    study = study_of(EvoSampler(genetic_algorithm(population_size=8), seed=0))
    study.optimize(network, n_trials=24)
    proposals = [t.system_attrs.get(PROPOSAL) for t in study.trials]
    assert proposals[0] is None  # The study had no parameters yet.
    children = [p for p in proposals[1:] if p["parents"]]
    assert len(children) >= 12
    numbers = itertools.chain.from_iterable(p["parents"] for p in children)
    assert set(numbers) <= set(range(24))
