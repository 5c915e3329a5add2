"""What a search says about itself."""

import dataclasses
import pathlib

import numpy as np
import pytest

from keras_evonas import reports
from keras_evonas.reports import lineage


def search_of(scores, directions=("min",), **options):
    names = [f"objective_{i}" for i in range(len(directions))]
    trials = [
        reports.Trial(
            trial_id=str(number),
            number=number,
            status="COMPLETED" if score is not None else "FAILED",
            values={"a": number},
            scores=score,
            **{name: values[number] for name, values in options.items()},
        )
        for number, score in enumerate(scores)
    ]
    return reports.Search(
        folder=pathlib.Path("somewhere"),
        objectives=tuple(map(reports.Objective, names, directions)),
        trials=tuple(trials),
    )


def dominates(first, second):
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@pytest.mark.parametrize("seed", range(30))
def test_the_front_is_what_nothing_dominates(seed):
    rng = np.random.default_rng(seed)
    count, objectives = int(rng.integers(1, 40)), int(rng.integers(1, 4))
    scores = [
        tuple(map(float, row))
        for row in rng.integers(0, 6, (count, objectives))
    ]
    directions = tuple(rng.choice(["min", "max"], objectives))
    search = search_of(scores, directions)
    losses = [search.losses(trial) for trial in search.trials]
    expected = {
        trial.trial_id
        for trial, loss in zip(search.trials, losses, strict=True)
        if not any(dominates(other, loss) for other in losses)
    }
    assert {trial.trial_id for trial in search.front} == expected
    front_size = len(search.front)
    assert {t.trial_id for t in search.ranking[:front_size]} == expected


def test_the_best_keeps_the_constraints_if_any_does():
    search = search_of([(1.0,), (2.0,), (3.0,)], violation=[0.5, 0.0, None])
    assert [t.trial_id for t in search.ranking] == ["1", "2", "0"]
    assert [t.trial_id for t in search.front] == ["1"]


def test_where_no_network_keeps_the_constraints_the_nearest_is_named():
    search = search_of([(1.0,), (2.0,)], violation=[0.5, 0.1])
    found = dataclasses.replace(search, constraints=("params <= 9",))
    assert "No network keeps params <= 9; the nearest is trial 1, " in (
        found.summary()
    )
    kept = search_of([(1.0,), (2.0,)], violation=[0.5, 0.0])
    assert kept.none_feasible is None


def test_the_earlier_of_two_equal_trials_is_the_best():
    search = search_of([None, (0.5,), (0.5,)], ("max",))
    assert search.best.trial_id == "1"
    assert [t.trial_id for t in search.failures] == ["0"]


@pytest.fixture
def crossed():
    """0 and 1 have the child 2, 2 and 0 the child 3."""
    parents = [(), (), ("0", "1"), ("2", "0"), ()]
    return search_of([(4.0,), (3.0,), (2.5,), (1.0,), (9.0,)], parents=parents)


def test_lineage_is_all_ancestors_the_oldest_first(crossed):
    assert [t.trial_id for t in crossed.lineage("3")] == ["0", "1", "2", "3"]
    assert [t.trial_id for t in crossed.lineage("4")] == ["4"]
    with pytest.raises(KeyError, match="one of the search's 5 trials"):
        crossed.lineage("7")


def test_a_family_has_an_edge_for_each_parent_with_its_gain(crossed):
    steps = lineage.family(crossed, crossed.trial("3"))
    edges = [(s.parent.trial_id, s.child.trial_id, s.gain) for s in steps]
    assert edges == [
        ("0", "2", 1.5),
        ("1", "2", 0.5),
        ("2", "3", 1.5),
        ("0", "3", 3.0),
    ]


def test_gain_is_positive_when_a_maximum_rises():
    search = search_of([(0.5,), (0.75,)], ("max",), parents=[(), ("0",)])
    (step,) = lineage.descent(search, search.trial("1"))
    assert step.gain == 0.25


def test_descent_follows_the_parent_that_shares_more_genes():
    trials = [
        reports.Trial(
            trial_id=name,
            number=number,
            status="COMPLETED",
            values=values,
            scores=(1.0,),
            parents=parents,
        )
        for number, (name, values, parents) in enumerate(
            [
                ("far", {"a": 1, "b": 1, "c": 1}, ()),
                ("near", {"a": 2, "b": 2, "c": 2}, ()),
                ("child", {"a": 2, "b": 2, "c": 1}, ("far", "near")),
            ]
        )
    ]
    search = reports.Search(
        folder=pathlib.Path("x"),
        objectives=(reports.Objective("loss", "min"),),
        trials=tuple(trials),
    )
    (step,) = lineage.descent(search, search.trial("child"))
    assert step.parent.trial_id == "near"
    assert step.changes == (lineage.Change("c", 2, 1),)


def test_changes_name_genes_that_were_switched_on_and_off():
    before, after = {"a": 1, "b": 2}, {"a": 1, "c": 3}
    assert lineage.changes(before, after) == (
        lineage.Change("b", 2, None),
        lineage.Change("c", None, 3),
    )
    assert lineage.changes(before, before) == ()


def test_descent_ends_even_where_parents_are_their_own_ancestors():
    search = search_of([(1.0,), (2.0,)], parents=[("1",), ("0",)])
    steps = lineage.descent(search, search.trial("1"))
    assert [s.parent.trial_id for s in steps] == ["0"]


def test_a_table_has_a_row_for_each_trial(forty):
    pandas = pytest.importorskip("pandas")
    search = reports.load(forty)
    table = search.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert list(table["trial_id"]) == [t.trial_id for t in search.trials]
    for trial, row in zip(search.trials, table.to_dict("records"), strict=True):
        for name in ("optimizer", "units", "learning_rate", "momentum"):
            value = row[f"gene.{name}"]
            if name in trial.values:
                assert value == trial.values[name]
            else:
                assert pandas.isna(value)
        if trial.completed:
            assert row["val_loss"] == trial.score
            assert row["cost.params"] == trial.costs["params"]
            assert row["curves"]["val_loss"] == list(trial.curves["val_loss"])
        else:
            assert pandas.isna(row["val_loss"])
            assert "no memory" in row["message"]
        assert row["parents"] == trial.parents
        assert row["operator"] == trial.operator
        assert (row["epochs"] == 4) == trial.completed
        assert row["seconds"] == pytest.approx(1.5)


def test_the_summary_names_the_best_and_the_last_failure(forty):
    search = reports.load(forty)
    summary = search.summary()
    assert "40 trials, 37 completed, 3 failed" in summary
    assert f"Best: trial {search.best.trial_id}" in summary
    assert f"learning_rate = {search.best.values['learning_rate']:.4g}" in (
        summary
    )
    assert "no memory for <script>" in summary


def test_a_notebook_shows_the_best_and_escapes(forty):
    shown = reports.load(forty)._repr_html_()
    assert shown.startswith("<div>")
    assert "learning_rate" in shown
    assert search_of([(1.0,)])._repr_html_().count("<tr>") == 2
