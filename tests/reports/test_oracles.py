"""Searches that real oracles wrote."""

import pytest

from keras_evonas import reports

pytestmark = pytest.mark.keras


def build(hp):
    hp.Choice("kind", ["plain", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("depth", 1, 4)
    hp.Float("rate", 1e-3, 1.0, sampling="log")


def drive(oracle, folder, count):
    """Runs trials by hand, the third of which fails."""
    import keras_tuner

    class Silent(keras_tuner.Tuner):
        def on_trial_end(self, trial):
            self.oracle.end_trial(trial)

        def run_trial(self, trial, *args, **kwargs):
            if trial.trial_id.lstrip("0") == "2":
                raise ValueError("no memory")
            values = trial.hyperparameters.values
            loss = abs(values["rate"] - 0.1) + 0.1 * values.get("depth", 0)
            return {"val_loss": loss, "other": 1.0}

    class Space(keras_tuner.HyperModel):
        def build(self, hp):
            build(hp)

    tuner = Silent(
        oracle=oracle,
        hypermodel=Space(),
        directory=str(folder),
        project_name="project",
    )
    oracle.verbose = 0
    tuner.search(verbose=0)
    assert len(oracle.end_order) == count
    return folder / "project"


def test_the_report_agrees_with_the_oracle(tmp_path):
    import keras_tuner

    from keras_evonas import EvoOracle

    oracle = EvoOracle(
        keras_tuner.Objective("val_loss", "min"), max_trials=25, seed=0
    )
    search = reports.load(drive(oracle, tmp_path, 25))
    assert [t.trial_id for t in search.trials] == oracle.start_order
    best = oracle.get_best_trials(30)
    assert [t.trial_id for t in search.ranking] == [t.trial_id for t in best]
    for trial in search.trials:
        theirs = oracle.trials[trial.trial_id]
        assert trial.status == theirs.status
        individual = oracle.individual(trial.trial_id)
        assert dict(trial.values) == dict(individual.genome)
        births = tuple(search.trial(p).birth for p in trial.parents)
        assert births == individual.parents
        mine = [one.birth for one in search.lineage(trial.trial_id)]
        assert mine == [i.birth for i in oracle.lineage(trial.trial_id)]
    assert "no memory" in search.failures[0].message
    assert all(t.metrics["other"] == 1.0 for t in search.completed)


@pytest.mark.parametrize(
    "name", ["RandomSearchOracle", "BayesianOptimizationOracle"]
)
def test_searches_of_keras_tuner_are_read(tmp_path, name):
    import keras_tuner

    pytest.importorskip("plotly")
    oracle = getattr(keras_tuner.oracles, name)(
        keras_tuner.Objective("val_loss", "min"), max_trials=8, seed=1
    )
    folder = drive(oracle, tmp_path, 8)
    search = reports.load(folder)
    assert [t.trial_id for t in search.trials] == oracle.start_order
    assert search.best.trial_id == oracle.get_best_trials()[0].trial_id
    assert search.objectives == (reports.Objective("val_loss", "min"),)
    assert len(search.failures) == 1
    for trial in search.trials:
        deep = trial.values["kind"] == "deep"
        assert ("depth" in trial.values) == deep
    assert not search.evolved
    assert reports.write_report(folder).exists()
