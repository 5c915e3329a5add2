"""The page: what it holds, and what it never lets through."""

import dataclasses
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_evonas import reports
from keras_evonas.project import extras
from keras_evonas.project import wording
from keras_evonas.project.files import write_json
from keras_evonas.project.networks import networks_of
from keras_evonas.reports import page
from keras_evonas.reports import verdict
from keras_evonas.reports.figures import base
from keras_evonas.reports.sections import Report

graph_objects = pytest.importorskip("plotly.graph_objects")

ROOT = pathlib.Path(__file__).parents[2]
EVIL = "<script>alert('x')</script>&\"'</title><img src=x onerror=alert(1)>"


class Page(html.parser.HTMLParser):
    """What a browser would make of a page, as far as tests ask."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text, self.json = [], [], [], {}
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self._inside = (tag, attributes.get("id"))
        for name in ("src", "href", "action", "data"):
            if name in attributes:
                self.links.append(attributes[name])
        assert not [name for name in attributes if name.startswith("on")]

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        tag, name = self._inside or (None, None)
        if tag == "script" and name:
            self.json[name] = json.loads(data)
        elif tag not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def page_of(folder, tmp_path):
    path = reports.write_report(folder, tmp_path / "report.html")
    return Page(path.read_text(encoding="utf-8"))


def figures_of(read):
    return [
        graph_objects.Figure(_plain(figure["data"]), _plain(figure["layout"]))
        for figure in read.json["figures"]
    ]


def _plain(node):
    """A figure with real colours, so that plotly can check everything."""
    text = re.sub(r'"theme:\w+"', '"#123456"', json.dumps(node))
    return json.loads(text)


def test_a_page_holds_every_section_and_valid_plots(forty, tmp_path):
    read = page_of(forty, tmp_path)
    for heading in (
        "How the search went",
        "Every network that was tried",
        "The best so far over time",
        "The best network",
        "Which genes mattered",
        "Genes that work together",
        "Which values did well",
        "Where the best network came from",
        "How genes spread",
        "How networks learned",
        "What networks cost",
        "What failed",
        "About this search",
    ):
        assert heading in read.words
    assert len(figures_of(read)) >= 12
    assert "gene that mattered most is learning_rate" in read.words
    search = reports.load(forty)
    assert f"trial {search.best.trial_id}" in read.words
    assert len(read.json["hover"]) == 40
    for trial, text in zip(search.trials, read.json["hover"], strict=True):
        for name, value in trial.values.items():
            assert f"{name}: {wording.gene_value(value)}" in text


def test_a_page_is_complete_and_asks_for_nothing(forty, tmp_path):
    read = page_of(forty, tmp_path)
    assert all(link.startswith("#") for link in read.links)
    assert "link" not in read.tags
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not list(tmp_path.glob("*.tmp"))


def test_no_shares_are_told_of_a_model_that_predicts_nothing(forty):
    report = Report(reports.load(forty))
    told = dataclasses.replace(report.importance, fit=-0.2)
    sentence = str(verdict.on_genes(report.search, told))
    assert "%" in str(verdict.on_genes(report.search, report.importance))
    assert "%" not in sentence
    assert "gene that mattered most is <strong>learning_rate" in sentence
    assert "no better than their mean" in sentence
    shown = {section.anchor for section in report.sections()}
    report.importances = [report.importance] = [told]
    left_out = shown - {section.anchor for section in report.sections()}
    assert left_out == {"genes", "values"}


def test_every_point_names_its_trial(forty, tmp_path):
    search = reports.load(forty)
    read = page_of(forty, tmp_path)
    every = read.json["figures"][0]
    shown = {}
    for trace in every["data"]:
        numbers = trace.get("meta", {}).get("trials", ())
        for number, x, y in zip(numbers, trace["x"], trace["y"], strict=False):
            assert x == number
            shown[number] = y
    assert set(shown) == {trial.number for trial in search.completed}
    for number, score in shown.items():
        assert score == pytest.approx(search.trials[number].score, rel=1e-5)


def test_what_users_wrote_stays_text(new_project, tmp_path):
    names = {"units": f"units{EVIL}", "adam": EVIL, "optimizer": f"o{EVIL}"}
    project = new_project(f"p{EVIL.replace('/', '_')}", names=names)
    for index in range(20):
        message = f"{EVIL}\nError: {EVIL}" if index == 4 else None
        project.ended(*project.born(), message=message)
    write_json(
        project.folder / "finalists.json",
        [{"name": EVIL, "search_score": 1.0, "honest_scores": [1.0, 2.0]}],
    )
    clean = page_of(new_project().run(20, fails=(4,)), tmp_path)
    read = page_of(project.folder, tmp_path)
    for tag in ("script", "img", "title", "style"):
        assert read.tags.count(tag) == clean.tags.count(tag)
    assert "<script>alert('x')</script>" in read.words
    for figure in figures_of(read):
        assert "<script" not in json.dumps(figure.to_plotly_json(), default=str)
    assert not any("<script" in text for text in read.json["hover"])


def test_several_objectives_show_their_front(new_project, tmp_path):
    folder = new_project(objectives=2).run(25)
    read = page_of(folder, tmp_path)
    front = reports.load(folder).front
    assert "What can be had for what" in read.words
    assert "The best network in val_loss is trial" in read.words
    fewest = min(trial.scores[1] for trial in front)
    assert f"best params {wording.number(fewest)}" in read.words
    assert f"The {len(front)} networks on the front" in read.words
    drawn = [
        trace["meta"]["trials"]
        for figure in read.json["figures"]
        for trace in figure["data"]
        if trace.get("name") == "nothing beats it"
    ]
    assert [sorted(one) for one in drawn] == [
        sorted(trial.number for trial in front)
    ]
    figures_of(read)


@pytest.mark.parametrize("count", [1, 2, 4, 9, 10, 12])
def test_a_page_of_few_trials_shows_what_there_is(new_project, tmp_path, count):
    folder = new_project().run(count)
    read = page_of(folder, tmp_path)
    figures_of(read)
    told = "will tell which gene" not in read.words
    assert told == (count >= 10)
    listed = "The best network" if count == 1 else f"The {count} best networks"
    assert f"{listed} " in read.words or count > 10
    plot = read.json["figures"][0]
    assert (plot["layout"]["xaxis"].get("dtick") == 1) == (count <= 10)


@pytest.mark.parametrize("seed", range(3))
def test_a_page_of_noise_says_so_once_and_draws_no_importance(seed, forty):
    rng = np.random.default_rng(seed)
    search = reports.load(forty)
    trials = tuple(
        dataclasses.replace(trial, scores=(float(rng.normal()),))
        if trial.completed
        else trial
        for trial in search.trials
    )
    text = page.render(dataclasses.replace(search, trials=trials))
    assert text.count("Which genes mattered") == 1
    assert "Which genes mattered for val_loss cannot be told from 37" in text
    for absent in ("Mattered", "mattered most", 'id="values"', "importance-"):
        assert absent not in text
    assert Page(text).json["figures"]


def test_the_page_and_the_summary_name_who_is_expected_to_be_better(forty):
    search = reports.load(forty)
    best, fifth = search.ranking[0], search.ranking[4]
    lucky = dataclasses.replace(fifth, scores=(best.scores[0] - 1e-3,))
    trials = tuple(lucky if t is fifth else t for t in search.trials)
    noisy = dataclasses.replace(search, trials=trials)
    assert search.better_than_best is None
    assert noisy.best is lucky
    assert noisy.better_than_best not in (None, lucky)
    for one in (search, noisy):
        differs = one is noisy
        words = Page(page.render(one)).words
        named = f"Trained again, trial {one.recommended.trial_id} ("
        assert (named in words) == differs
        line = "Expected to be better if trained again: trial "
        line += f"{one.recommended.trial_id}, "
        assert (line in one.summary()) == differs


def test_a_search_with_only_failures(new_project, tmp_path):
    folder = new_project().run(3, fails=(0, 1, 2))
    read = page_of(folder, tmp_path)
    assert "Every trial has failed" in read.words
    assert "ValueError: no memory for <script>" in read.words
    assert read.json["figures"] == []


def test_failures_of_trainings_that_went_on_are_listed():
    first = reports.Trial(
        trial_id="0", number=0, status="COMPLETED", values={}, scores=(0.5,)
    )
    second = reports.Trial(
        trial_id="1",
        number=1,
        status="FAILED",
        values={},
        continues="0",
        message="no memory",
    )
    search = reports.Search(
        folder=pathlib.Path("somewhere"),
        objectives=(reports.Objective("a", "max"),),
        trials=networks_of([first, second]),
        recorded=(first, second),
    )
    text = page.render(search)
    assert "no memory" in text
    assert "1 trial of 2, grouped by message" in text


def test_a_search_that_has_just_begun(new_project, tmp_path):
    project = new_project()
    assert "no trial has been recorded yet" in (
        page_of(project.folder, tmp_path).words
    )
    project.born()
    assert "No trial has completed yet" in (
        page_of(project.folder, tmp_path).words
    )


def test_a_search_without_a_record(new_project, tmp_path):
    folder = new_project().run(15)
    (folder / "evolution.jsonl").unlink()
    read = page_of(folder, tmp_path)
    assert "Where the best network came from" not in read.words
    assert "Which genes mattered" in read.words
    figures_of(read)


def test_a_saved_model_is_drawn(forty, tmp_path):
    import zipfile

    folder = tmp_path / "copy"
    shutil.copytree(forty, folder)
    with zipfile.ZipFile(folder / "best.keras", "w") as archive:
        layers = [
            {"class_name": "Dense", "config": {"name": "first", "units": 77}}
        ]
        archive.writestr(
            "config.json", json.dumps({"config": {"layers": layers}})
        )
    read = page_of(folder, tmp_path)
    assert "drawn from best.keras" in read.words
    assert "Dense first units 77" in read.words


def test_not_a_number_leaves_a_gap(new_project, tmp_path):
    folder = new_project().run(12)
    for path in folder.glob("trial_*/learning_curves.json"):
        content = {"executions": [{"val_loss": [float("nan"), 1.0]}]}
        path.write_text(json.dumps(content))
    read = page_of(folder, tmp_path)
    curves = [f for f in figures_of(read) if "epoch" in str(f.layout.xaxis)]
    assert len(curves) == 1


def test_a_missing_library_says_what_to_install():
    with pytest.raises(ImportError, match=r'pip install -e "\.\[rep'):
        extras.load("no_such_library_anywhere", "plotly")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "keras_evonas", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_writes_the_page(forty, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(forty, folder)
    done = run("report", folder)
    assert done.returncode == 0, done.stderr
    assert "40 trials, 37 completed" in done.stdout
    assert (folder / "report.html").exists()
    done = run("report", folder, f"--output={tmp_path / 'other.html'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "other.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: python -m keras_evonas"),
        (["rebort"], "'rebort'"),
        (["report"], "Name one project folder"),
        (["report", "/nowhere/at/all"], "`folder` must be a project folder"),
        (["report", str(ROOT / "keras_evonas")], "must hold a search"),
    ],
)
def test_the_command_line_says_what_is_wrong(arguments, message):
    done = run(*arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_reports_load_no_keras(forty, tmp_path):
    code = (
        "import sys; from keras_evonas import reports; "
        f"reports.write_report({str(forty)!r}, {str(tmp_path / 'r.html')!r}); "
        "reports.load(sys.argv[1]).to_dataframe(); "
        "print([m for m in ('keras', 'keras_tuner', 'tensorflow') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(forty)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_importing_reports_loads_no_optional_library():
    code = (
        "import sys, keras_evonas.reports; "
        "print([m for m in ('plotly', 'pandas', 'sklearn') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_more_points_than_a_screen_holds_are_thinned(monkeypatch, forty):
    search = reports.load(forty)
    monkeypatch.setattr(base, "MOST_POINTS", 10)
    thinned = base.thinned(search.completed, search.ranking[:3])
    assert len(thinned) <= 13
    assert all(trial in thinned for trial in search.ranking[:3])
