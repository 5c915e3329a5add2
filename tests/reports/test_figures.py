"""What the plots say, against plain loops."""

import dataclasses

import numpy as np
import pytest

from keras_evonas import reports
from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.project import wording
from keras_evonas.reports import features as features_lib
from keras_evonas.reports import lineage
from keras_evonas.reports.figures import ancestry
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures import costs
from keras_evonas.reports.figures import genes
from keras_evonas.reports.figures import progress


def traces(figure, name):
    return [trace for trace in figure.data if trace["name"] == name]


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_line_is_the_best_of_all_before(new_project, direction):
    folder = new_project().run(30, fails=(0, 9))
    record = folder / "evolution.jsonl"
    text = record.read_text().replace('"min"', f'"{direction}"', 1)
    record.write_text(text)
    search = reports.load(folder)
    (line,) = traces(progress.every_trial(search), "best so far")
    steps = dict(zip(line["x"], line["y"], strict=True))
    best = min if direction == "min" else max
    so_far = None
    for trial in search.trials:
        if trial.completed:
            scores = [trial.score] + ([] if so_far is None else [so_far])
            so_far = best(scores)
        known = [y for x, y in steps.items() if x <= trial.number]
        if so_far is None:
            assert known == []
        else:
            assert known[-1] == pytest.approx(so_far, rel=1e-5)


@pytest.mark.parametrize(
    "domain",
    [
        Categorical(("a", "b", "c")),
        Categorical(tuple(f"kind {n}" for n in range(12))),
        Categorical((True, False)),
        Grid((1, 2, 4)),
        Grid(tuple(range(9))),
        Grid(tuple(range(0, 1000, 7))),
        Interval(1, 6, integer=True),
        Interval(1, 1000, integer=True, scale="log"),
        Interval(0.0, 1.0),
        Interval(1e-5, 1.0, scale="log"),
    ],
    ids=str,
)
def test_every_value_has_a_place_when_genes_spread(domain, forty):
    rng = np.random.default_rng(0)
    search = reports.load(forty)
    drawn = [
        {} if number % 5 == 4 else {"gene": domain.sample(rng)}
        for number in range(len(search.trials))
    ]
    trials = tuple(
        dataclasses.replace(trial, values={"other": 1, **values})
        for trial, values in zip(search.trials, drawn, strict=True)
    )
    search = dataclasses.replace(search, trials=trials)
    figure = ancestry.spread(search, features_lib.Feature("gene", domain, True))
    shares = np.array([trace["y"] for trace in figure.data])
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, atol=1e-5)
    # The window is eight births, the last at the trial on the axis.
    (unused,) = traces(figure, "not used")
    for number, share in zip(unused["x"], unused["y"], strict=True):
        recent = drawn[number - 7 : number + 1]
        expected = sum(not values for values in recent) / 8
        assert share == pytest.approx(expected)
    for trace in figure.data:
        values = [
            v for v in domain_values(domain) if trace["name"] == name_of(v)
        ]
        for number, share in zip(trace["x"], trace["y"], strict=True):
            if values and domain.size <= 8:
                recent = drawn[number - 7 : number + 1]
                count = sum(v.get("gene") == values[0] for v in recent)
                assert share == pytest.approx(count / 8)


@pytest.mark.parametrize("count", [3, 8, 9, 20])
def test_genes_spread_where_more_were_born_than_are_looked_at(
    count, new_project
):
    folder = new_project().run(count, fails=range(count - 2))
    search = reports.load(folder)
    genomes = [trial.values for trial in search.trials]
    found = features_lib.features(search.space, genomes)
    (units,) = [one for one in found if one.name == "units"]
    figure = ancestry.spread(search, units)
    assert (figure is not None) == (count > 8)
    if figure is not None:
        assert all(len(trace["x"]) == count - 7 for trace in figure.data)


def domain_values(domain):
    return list(domain) if domain.size <= 8 else []


def name_of(value):
    return wording.escape(wording.gene_value(value))


def test_a_family_tree_names_what_each_edge_did(forty):
    search = reports.load(forty)
    best = search.best
    figure = ancestry.family_tree(search, best)
    (middles,) = traces(figure, "what was changed")
    steps = lineage.family(search, best)
    assert len(middles["text"]) == len(steps) > 0
    for text, step in zip(middles["text"], steps, strict=True):
        assert wording.plain_operator(step.child.operator) in text
        assert f"gain: {wording.signed(step.gain)}" in text
        for change in step.changes:
            assert change.name in text
    members = {
        number
        for trace in figure.data
        for number in trace.get("meta", {}).get("trials", ())
    }
    lineage_of_best = search.lineage(best.trial_id)
    assert members == {one.number for one in lineage_of_best}


def test_curves_of_the_best_are_named_and_the_rest_is_behind(forty):
    search = reports.load(forty)
    figure = genes.learning_curves(search)
    for trial in search.ranking[:5]:
        (curve,) = traces(figure, f"trial {trial.trial_id}")
        assert curve["y"] == pytest.approx(
            [value for _, value in trial.curves["val_loss"]], rel=1e-5
        )
    (rest,) = traces(figure, "the others")
    assert rest["x"].count(None) == len(search.completed) - 5


def test_far_worse_networks_do_not_squash_the_others(new_project):
    search = reports.load(new_project().run(30))
    scores = [0.5 + 0.01 * n for n in range(20)] + [1e9]
    low, high = base.visible_scores(search, scores)["range"]
    assert low < 0.5
    assert 0.69 < high < 2.0
    assert base.visible_scores(search, scores[:-1]) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (0.98123, "0.9812"),
        (41300, "41,300"),
        (1.2e-5, "1.2e-05"),
        (123456.7, "123,457"),
        (9999.4, "9999"),
        (-9999.6, "-10,000"),
        (3.0, "3"),
        (float("inf"), "inf"),
        (-1e308, "-1e+308"),
    ],
)
def test_numbers_are_short(value, text):
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1000, "1k"),
        (41_300, "41.3k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (1_234_567, "1.23M"),
    ],
)
def test_counts_are_short(count, text):
    assert wording.short_count(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (41.2, "41 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (None, "\u2013"),
    ],
)
def test_durations_are_short(seconds, text):
    assert wording.duration(seconds) == text


def test_operators_are_told_in_plain_words():
    said = wording.plain_operator("block+step")
    assert said == "two parents crossed block by block, with small changes"
    assert wording.plain_operator("my_own+step") == "my_own, with small changes"
    assert wording.plain_operator(None) == "not recorded"
    assert wording.plain_operator("screened+random") == (
        "drawn at random, the most promising of several"
    )


def test_costs_that_rank_alike_share_a_figure(forty):
    search = reports.load(forty)
    rng = np.random.default_rng(1)
    params = rng.permutation(len(search.trials)) + 1.0
    trials = tuple(
        dataclasses.replace(
            trial,
            costs={
                "params": size,
                "weight_bytes": 4.0 * size,
                "flops": size**2,
                "depth": 3.0,  # Says nothing: no figure.
                "latency_ms": -size,
            },
        )
        for trial, size in zip(search.trials, params, strict=True)
    )
    search = dataclasses.replace(search, trials=trials)
    figures = {one.name: one for one in costs.costs(search)}
    assert list(figures) == ["cost-params", "cost-latency_ms"]
    said = figures["cost-params"].caption
    assert said.endswith("They rank alike by weight_bytes and flops.")
    assert "alike" not in figures["cost-latency_ms"].caption
    tried, _ = figures["cost-params"].data
    known = {t.number: t.costs["params"] for t in search.trials}
    assert tried["x"] == [known[n] for n in tried["meta"]["trials"]]


def test_seconds_of_a_cohort_are_told_to_be_shared(forty):
    search = reports.load(forty)

    def caption(shared):
        trials = tuple(
            dataclasses.replace(t, seconds=float(t.number // shared))
            for t in search.trials
        )
        *_, last = costs.costs(dataclasses.replace(search, trials=trials))
        return last.caption

    assert "share their seconds" in caption(4)
    assert "share their seconds" not in caption(1)
