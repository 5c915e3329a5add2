"""`finalize`: the best networks trained anew and judged on honest data."""

import gc
import json
import math
import pathlib

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import at_least
from keras_evonas import at_most
from keras_evonas import reports
from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.tuners.finalize import finalists_of
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.random((60, 6), "float32")
Y = RNG.integers(0, 3, 60)
VALIDATION = (RNG.random((20, 6), "float32"), RNG.integers(0, 3, 20))
HONEST = (RNG.random((30, 6), "float32"), RNG.integers(0, 3, 30))
METRIC = "accuracy"


def build(hp):
    model = keras.Sequential([keras.Input((6,))])
    units = hp.Int("units", 2, 40, default=8)
    if hp.Boolean("hidden", default=True):
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log", default=0.01)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=[METRIC],
    )
    return model


def tuner_in(folder, objective="val_accuracy", max_trials=5, **options):
    return EvolutionarySearch(
        options.pop("hypermodel", build),
        objective,
        max_trials,
        initial_population=options.pop("initial_population", ["default"]),
        seed=3,
        directory=folder,
        project_name="p",
        verbose=options.pop("verbose", 0),
        **options,
    )


def searched(folder, **options):
    tuner = tuner_in(folder, **options)
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    return tuner


def finalize(tuner, **options):
    data = {"validation_data": HONEST, "epochs": 2, "top_k": 2, "repeats": 2}
    return tuner.finalize(X, Y, **{**data, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finalize")
    searched(folder)
    return folder


def entries(folder):
    return json.loads((folder / "p/finalists.json").read_text("utf-8"))


def alone(tuner, values, seed):
    hp = tuner.oracle.get_space()
    hp.values = dict(values)

    def run():
        keras.utils.set_random_seed(seed)
        model = build(hp)
        model.fit(X, Y, epochs=2, verbose=0)
        return model.evaluate(*HONEST, verbose=0, return_dict=True)

    return with_fresh_keras(run)


def test_scores_are_those_of_training_alone_with_new_seeds(folder):
    tuner = tuner_in(folder)
    finals = finalize(tuner)

    assert [one.chosen for one in finals.finalists][:2] == [True, False]
    for entry in entries(folder):
        seeds = [run["seed"] for run in entry["runs"]]
        assert seeds == [4, 5]  # The search has taken 3.
        for run in entry["runs"][:1]:
            expected = alone(tuner, entry["values"], run["seed"])
            assert run["metrics"] == pytest.approx(expected, abs=1e-6)
            assert run["score"] == pytest.approx(expected[METRIC])
    means = [one.mean for one in finals.finalists]
    assert means == sorted(means, reverse=True)
    scores = finals.winner.honest_scores
    assert finals.score == max(scores)
    assert finals.winner.spread == pytest.approx(np.std(scores, ddof=1))
    for one in finals.finalists:
        if one.trial_id is not None:
            trial = tuner.oracle.get_trial(one.trial_id)
            assert one.search_score == trial.score


def test_what_is_saved_is_the_network_that_was_scored(folder, tmp_path):
    path = tmp_path / "new" / "best.keras"
    finals = finalize(tuner_in(folder), path=path)
    assert finals.path == path
    model = finals.load_model()
    results = model.evaluate(*HONEST, verbose=0, return_dict=True)
    assert results[METRIC] == pytest.approx(finals.score)
    assert [one.name for one in path.parent.iterdir()] == ["best.keras"]
    kept = sorted((folder / "p/finalists").glob("*.weights.h5"))
    assert len(kept) == len(finals.finalists)


@pytest.mark.slow
def test_scored_runs_are_not_trained_again(folder, capsys):
    finalize(tuner_in(folder))
    before = entries(folder)
    capsys.readouterr()
    again = finalize(tuner_in(folder, verbose=1))
    printed = capsys.readouterr().out
    assert "[" not in printed.split("Finalists")[0]
    assert entries(folder) == before

    more = finalize(tuner_in(folder, verbose=1), repeats=3)
    lines = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("[")
    ]
    assert len(lines) == len(again.finalists)  # One more of each.
    assert all("seed 6: unseen val_accuracy" in line for line in lines)
    assert all(len(one.honest_scores) == 3 for one in more.finalists)
    assert {one.name for one in more.finalists} == {
        one.name for one in again.finalists
    }


def test_other_data_or_arguments_have_other_settings(folder):
    tuner = tuner_in(folder)

    def settings(x=X, y=Y, honest=HONEST, **fit):
        fit = {"epochs": 2, **fit}
        return tuner._retraining(x, y, honest, fit).settings

    changed = [
        settings(),
        settings(x=X + 1.0),
        settings(y=Y[::-1].copy()),
        settings(honest=(HONEST[0][:-1], HONEST[1][:-1])),
        settings(epochs=1),
        settings(batch_size=16),
        settings(class_weight={0: 1.0, 1: 2.0, 2: 1.0}),
        settings(callbacks=[keras.callbacks.TerminateOnNaN()]),
    ]
    assert len(set(changed)) == len(changed)
    assert settings(x=X.copy(), verbose=1) == changed[0]


def test_other_settings_begin_anew(folder):
    options = {"top_k": 1, "repeats": 1, "include_default": False}
    finalize(tuner_in(folder), **options)
    (before,) = [e["settings"] for e in entries(folder) if e["chosen"]]
    finalize(tuner_in(folder), **options, batch_size=16)
    (entry,) = entries(folder)
    assert entry["settings"] != before
    assert len(entry["runs"]) == 1


def test_an_interrupt_costs_only_what_had_not_ended(folder):
    ended = []

    class Interrupt(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            ended.append(1)
            if len(ended) == 2:
                raise KeyboardInterrupt

    options = {
        "callbacks": [Interrupt()],
        "top_k": 1,
        "include_default": False,
        "epochs": 1,
    }
    with pytest.raises(KeyboardInterrupt):
        finalize(tuner_in(folder, cohort_size=3), repeats=3, **options)
    (entry,) = entries(folder)
    assert len(entry["honest_scores"]) == 1
    finals = finalize(tuner_in(folder), repeats=3, **options)
    assert len(ended) == 4  # One, the one that was cut, and the two missing.
    (entry,) = entries(folder)
    assert finals.winner.honest_scores == tuple(entry["honest_scores"])
    assert len(entry["honest_scores"]) == 3
    assert all(run["seconds"] for run in entry["runs"][1:])


@pytest.mark.slow
def test_weights_that_are_gone_are_trained_again(folder):
    options = {"top_k": 1, "repeats": 1}
    first = finalize(tuner_in(folder), **options)
    expected = first.load_model().predict(HONEST[0], verbose=0)
    for path in (folder / "p/finalists").iterdir():
        path.unlink()
    again = finalize(tuner_in(folder), **options)
    found = again.load_model().predict(HONEST[0], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("top_k", range(1, 6))
def test_the_default_is_judged_once_with_its_search_score(folder, top_k):
    tuner = tuner_in(folder)
    best = [t.trial_id for t in tuner.oracle.get_best_trials(top_k)]
    networks, trial_of = finalists_of(tuner._ended_search, top_k, True)
    default = [one for one in networks if "default" in one.name]
    assert len(default) == 1
    assert trial_of[default[0].name].trial_id == "0"
    score = tuner.oracle.get_trial("0").score
    assert default[0].notes == {"trial_id": "0", "search_score": score}
    assert len(networks) == len({*best, "0"})
    without, _ = finalists_of(tuner._ended_search, top_k, False)
    assert [one.notes["trial_id"] for one in without] == best


@pytest.mark.slow
def test_several_objectives_choose_from_the_front(tmp_path):
    objective = ["val_accuracy", "params"]
    tuner = searched(tmp_path, objective=objective, max_trials=4)
    front = [t.trial_id for t in tuner.oracle.get_pareto_trials()]
    for top_k in (1, 2, 9):
        networks, _ = finalists_of(tuner._ended_search, top_k, False)
        ids = [one.notes["trial_id"] for one in networks]
        assert ids == [i for i in front if i in ids]
        assert len(ids) == min(top_k, len(front))
        assert tuner.oracle.get_knee_trial().trial_id in ids

    finals = finalize(tuner, top_k=3, repeats=1)
    points = {one.name: (-one.mean, one.params) for one in finals.finalists}
    chosen = points[finals.winner.name]
    for other in points.values():  # Nothing beats it.
        assert other == chosen or not np.all(np.array(other) <= chosen)
    knee = f"{finals.winner.name} is the knee of the front of val_accuracy, p"
    assert knee in repr(finals)


def test_where_nothing_keeps_a_limit_the_best_are_finalists(tmp_path):
    tuner = searched(
        tmp_path,
        objective=["val_accuracy", "params"],
        constraints=[at_least("val_accuracy", 2)],
        max_trials=3,
    )
    best = tuner.oracle.get_best_trials(2)
    networks, _ = finalists_of(tuner._ended_search, 2, False)
    ids = [one.notes["trial_id"] for one in networks]
    assert ids == [trial.trial_id for trial in best]


@pytest.mark.slow
def test_a_loss_that_keras_cannot_find_is_left_out_of_the_model(tmp_path):
    def loss(y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    def own(hp):
        model = build(hp)
        model.compile("sgd", loss)
        return model

    tuner = searched(tmp_path, hypermodel=own, objective="val_loss")
    finals = finalize(tuner, top_k=1, repeats=1)
    with pytest.warns(UserWarning, match="without its loss.*register_keras"):
        model = finals.load_model()
    assert model.predict(X, verbose=0).shape == (60, 3)


@pytest.mark.slow
def test_what_cannot_be_saved_is_not_trained_again(tmp_path):
    def own(hp):
        model = build(hp)
        model.add(keras.layers.Lambda(lambda x: x))
        model.compile(
            "sgd", "sparse_categorical_crossentropy", metrics=[METRIC]
        )
        return model

    tuner = searched(tmp_path, hypermodel=own)
    with pytest.raises(RuntimeError, match=r"Nothing was trained.*Lambda"):
        finalize(tuner, top_k=1, repeats=1)
    assert not list((tmp_path / "p" / "finalists").iterdir())


@keras.saving.register_keras_serializable("keras_evonas_tests")
class Width(keras.metrics.Metric):
    """Something that only a trial tells."""

    def __init__(self, width=0.0, name="width", **kwargs):
        super().__init__(name=name, **kwargs)
        self.width = width

    def update_state(self, *_, **__):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(self.width, "float32")

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def build_wide(hp):
    """The default is the widest network, and by far the best."""
    units = hp.Int("units", 4, 64, step=4, default=64)
    rate = 1e-9 if units < 64 else 0.1
    model = keras.Sequential([keras.layers.Dense(units, activation="relu")])
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(rate),
        "sparse_categorical_crossentropy",
        metrics=[Width(float(units))],
    )
    return model


def build_wide_on_six(hp):
    model = build_wide(hp)
    model.build((None, 6))
    return model


def test_what_breaks_a_known_limit_is_not_trained(tmp_path):
    tuner = tuner_in(
        tmp_path,
        "val_loss",
        hypermodel=build_wide_on_six,
        constraints=[at_most("params", 300)],
    )
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)

    finals = finalize(tuner, top_k=2, repeats=1)
    assert finals.load_model().count_params() <= 300
    assert [one.name for one in finals.finalists if "default" in one.name] == []


@pytest.mark.parametrize("limit", everyday(1, of=[40, 1]))
def test_what_breaks_a_measured_limit_wins_only_over_worse(tmp_path, limit):
    tuner = tuner_in(
        tmp_path,
        "val_loss",
        hypermodel=build_wide,
        max_trials=4,
        constraints=[at_most("val_width", limit)],
    )
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    widths = [
        trial.hyperparameters.values["units"]
        for trial in tuner.oracle.trials.values()
    ]
    assert min(widths) <= 40 < max(widths) == 64

    finals = finalize(tuner, top_k=4, repeats=1)
    found = finals.load_model().layers[0].units
    if limit == 40:
        assert len(finals.finalists) == sum(width <= 40 for width in widths)
        assert found <= 40
    else:  # nothing is so narrow, so the narrowest is chosen
        assert len(finals.finalists) == 4
        assert found == min(widths)


@pytest.mark.parametrize(
    ("limit", "settings"),
    [(at_most("latency_ms", 1e6), {}), (at_most("val_loss_std", 9), {"cv": 2})],
    ids=["latency", "folds"],
)
def test_the_default_may_win_where_limits_are_measured(
    tmp_path, limit, settings
):
    tuner = tuner_in(
        tmp_path,
        "val_loss",
        hypermodel=build_wide,
        max_trials=2,
        initial_population=[{"units": 4}, {"units": 8}],
        constraints=[limit],
        **settings,
    )
    data = {} if settings else {"validation_data": VALIDATION}
    tuner.search(X, Y, epochs=1, **data)
    finals = finalize(tuner, repeats=1, epochs=5)
    assert finals.winner.name == "the default"
    run = next(one for one in entries(tmp_path) if one["chosen"])["runs"][0]
    assert ("latency_ms" in run["metrics"]) == (not settings)


def build_unmeasured(hp):
    """As `build_wide`, but of the default the width cannot be measured."""
    model = build_wide(hp)
    units = hp.values["units"]
    width = Width(math.nan if units == 64 else float(units))
    model.compile(model.optimizer, model.loss, metrics=[width])
    return model


def test_a_limited_metric_that_is_nan_keeps_no_limit(tmp_path):
    tuner = tuner_in(
        tmp_path,
        "val_loss",
        hypermodel=build_unmeasured,
        max_trials=2,
        initial_population=[{"units": 4}, {"units": 8}],
        constraints=[at_most("val_width", 100)],
    )
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    finals = finalize(tuner, repeats=1, epochs=5)
    means = {one.name: one.mean for one in finals.finalists}
    assert min(means, key=means.get) == "the default"
    assert finals.winner.name != "the default"


def test_costs_are_told_of_models_that_learn_their_shape(tmp_path):
    tuner = tuner_in(
        tmp_path,
        ["val_loss", "params"],
        hypermodel=build_wide,
        max_trials=2,
        initial_population=[{"units": 4}, {"units": 8}],
    )
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    assert all(t.metrics.exists("flops") for t in tuner.oracle.trials.values())

    widths = [t.hyperparameters["units"] for t in tuner.oracle.trials.values()]
    assert sorted(widths) == [4, 8]  # so nobody knows what the default costs
    names = {one.name for one in finalize(tuner, repeats=1).finalists}
    assert "the default" in names


def test_failures_are_told_and_never_win(folder):
    def fails(hp):
        default = {"units": 8, "hidden": True, "rate": 0.01}
        if exploring or hp.values == default:
            return build(hp)
        raise ValueError("no memory")

    exploring = True
    tuner = tuner_in(folder, hypermodel=fails)
    exploring = False
    finals = finalize(tuner, repeats=1, overwrite=True)
    assert "default" in finals.winner.name
    for one in finals.finalists[1:]:
        assert "no memory" in one.message
        assert one.honest_scores == ()
    assert "then failed" in repr(finals)
    finalize(tuner_in(folder), repeats=1)  # Failed runs are tried again.
    assert all(entry["honest_scores"] for entry in entries(folder))


def test_an_own_fit_that_needs_validation_data_is_told_before(folder):
    class Needs(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, x, y, validation_data, **kwargs):
            raise AssertionError("Nothing is trained.")

    tuner = tuner_in(folder, hypermodel=Needs())
    with pytest.raises(ValueError, match="must work without `validation_data`"):
        finalize(tuner)


@pytest.mark.slow
def test_a_hypermodel_with_its_own_fit_is_trained_by_it(folder):
    class Doubled(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **{**kwargs, "epochs": 2})

    finals = finalize(
        tuner_in(folder, hypermodel=Doubled()),
        epochs=1,
        top_k=1,
        repeats=1,
        overwrite=True,
    )
    (entry,) = [e for e in entries(folder) if e["chosen"]]
    expected = alone(tuner_in(folder), entry["values"], 4)
    assert finals.score == pytest.approx(expected[METRIC])


def test_a_model_that_cannot_be_loaded_keeps_its_scores(folder):
    class Odd(keras.layers.Layer):
        def __init__(self, secret):
            super().__init__()
            self.secret = secret

        def call(self, x):
            return x * self.secret

    def odd(hp):
        model = build(hp)
        inner = keras.Sequential([keras.Input((6,)), Odd(1.0), model])
        inner.compile(
            "sgd", "sparse_categorical_crossentropy", metrics=[METRIC]
        )
        return inner

    tuner = tuner_in(folder, hypermodel=odd)
    with pytest.raises(RuntimeError, match="`save` and `load_model`"):
        finalize(tuner, repeats=1, top_k=1, overwrite=True)
    assert entries(folder)[0]["honest_scores"]
    assert not list((folder / "p").glob("*.tmp.keras"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_data": None}, "`validation_data` must be data that"),
        ({"validation_data": (X, Y)}, "the very data"),
        ({"validation_data": (X[40:, ::2], Y[40:])}, "or a part of them"),
        ({"top_k": 0}, "`top_k`"),
        ({"repeats": 1.5}, "`repeats`"),
        ({"path": "best.h5"}, "`path` must end in '.keras'"),
        ({"epochs": 0}, "`epochs` must be greater"),
        ({"sample_weight": Y[:3]}, "equally many examples"),
        ({"validation_data": (X + 1, Y[:3])}, "equally many examples"),
    ],
)
def test_bad_arguments_are_refused(folder, change, message):
    with pytest.raises(ValueError, match=message):
        finalize(tuner_in(folder), **change)


def test_the_data_of_the_search_are_refused(tmp_path):
    tuner = searched(tmp_path, max_trials=1)
    with pytest.raises(ValueError, match="compared by") as caught:
        finalize(tuner, validation_data=VALIDATION)
    assert "Hold out a part" in str(caught.value)


def test_slices_of_the_search_are_known_though_they_are_gone(tmp_path):
    everything = RNG.random((90, 6), "float32")
    labels = RNG.integers(0, 3, 90)
    tuner = tuner_in(tmp_path, max_trials=1)
    tuner.search(
        everything[:40],
        labels[:40],
        epochs=1,
        validation_data=(everything[40:60], labels[40:60]),
    )
    gc.collect()
    for inputs in (everything[40:60], everything[30:45], everything[50:45:-1]):
        with pytest.raises(ValueError, match="the very data"):
            finalize(tuner, validation_data=(inputs, labels[: len(inputs)]))
    unseen = (everything[60:], labels[60:])
    assert finalize(tuner, validation_data=unseen, repeats=1, top_k=1)


def test_epochs_must_be_told(folder):
    with pytest.raises(ValueError, match="`epochs` must say how long"):
        tuner_in(folder).finalize(X, Y, validation_data=HONEST, repeats=7)


def test_a_search_without_a_trial_has_no_finalists(tmp_path):
    with pytest.raises(ValueError, match="must be a completed trial"):
        finalize(tuner_in(tmp_path))


def test_results_are_shown_as_text_html_and_in_the_report(folder):
    finals = finalize(tuner_in(folder))
    text = repr(finals)
    for one in finals.finalists:
        assert one.name in text
        assert one.name in finals._repr_html_()
    assert f"Saved {finals.winner.name} as" in text
    search = reports.load(folder / "p")
    assert search.finalists == finals.finalists
    assert pathlib.Path(finals.path).exists()
