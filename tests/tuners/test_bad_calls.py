"""A call of `search` that no network could train with costs no trial."""

import warnings

import pytest

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from tests.marks import everyday
from tests.training import calls

pytestmark = pytest.mark.keras

EVERYDAY = (
    ("`epochs`", "integer", "2.0"),
    ("`callbacks`", "class Nothing", "`Nothing(...)`"),
    ("`class_weight`", "dictionary", "list", "enumerate"),
    ("`validation_data`", "a pair", "one ndarray"),
    ("`x`", "inputs", "(3,)", "(32, 2)"),
    ("`x`", "batches", "elements", ".batch(32)"),
    ("`y`", "one-hot", "(32,)", "sparse_cat", "to_categorical(y, 4)"),
)


def tuner_of(tmp_path, build, **options):
    def hypermodel(hp):
        hp.Boolean("unused")
        return build()

    return EvoTuner(
        EvoOracle("loss", max_trials=2, seed=0),
        hypermodel,
        directory=tmp_path,
        **options,
    )


@pytest.mark.parametrize("words", everyday(*EVERYDAY, of=calls.BAD))
def test_a_bad_call_costs_no_trial(tmp_path, words):
    build, call = calls.BAD[words]
    tuner = tuner_of(tmp_path, build)

    with pytest.raises(ValueError, match="Received") as caught:
        tuner.search(**call(), verbose=0)

    assert words[0] in str(caught.value)
    assert not tuner.oracle.trials


@pytest.mark.parametrize("name", everyday("arrays", of=calls.GOOD))
def test_a_legal_call_trains(tmp_path, name):
    build, call = calls.GOOD[name]
    tuner = tuner_of(tmp_path, build)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own.
        tuner.search(**call(), verbose=0)

    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


def test_a_trial_s_own_batch_size_is_that_of_the_check(tmp_path):
    build = calls.regression
    tuner = tuner_of(
        tmp_path,
        lambda: build(batch_size=8),
        fit_arguments=lambda hp: {"batch_size": 8},
    )

    tuner.search(calls.X, calls.Y, verbose=0)

    assert len(tuner.oracle.trials) == 2
