"""Folders of every kind: a clear error, or what there is."""

import json
import shutil

import pytest

from keras_evonas import reports
from keras_evonas.project.record import SearchRecord


def contents(folder):
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_whole_search_is_read_as_it_was_recorded(forty):
    search = reports.load(forty)
    entries = SearchRecord(forty).read()
    births = [event for event in entries.events if isinstance(event, tuple)]
    ends = [event for event in entries.events if not isinstance(event, tuple)]
    assert [t.trial_id for t in search.trials] == [b[0] for b in births]
    for trial, (_, born) in zip(search.trials, births, strict=True):
        assert dict(trial.values) == dict(born.genome)
        assert trial.parents == tuple(f"{n:02}" for n in born.parents)
        assert (trial.operator, trial.birth) == (born.operator, born.birth)
    for end in ends:
        trial = search.trial(end.trial_id)
        assert (trial.status, trial.score) == (end.status, end.score)
        assert (trial.message, trial.ended) == (end.message, end.elapsed)
        assert trial.seconds == pytest.approx(1.5)
    assert search.objectives == (reports.Objective("val_loss", "min"),)
    assert (search.seed, search.max_trials) == (0, 40)
    assert search.evolved
    assert search.notes == ()


def test_costs_metrics_and_curves_are_told_apart(forty):
    trial = reports.load(forty).trials[0]
    assert trial.costs == {"params": 10.0 * trial.values["units"]}
    assert trial.metrics == {"val_loss": trial.score}
    assert [epoch for epoch, _ in trial.curves["val_loss"]] == [1, 2, 3, 4]
    assert trial.curves["val_loss"][2][1] == trial.score
    assert (trial.best_epoch, trial.epochs) == (3, 4)


def test_reading_and_reporting_change_nothing_in_the_folder(forty, tmp_path):
    pytest.importorskip("plotly")
    before = contents(forty)
    reports.load(forty).summary()
    reports.write_report(forty, tmp_path / "report.html")
    assert contents(forty) == before


def test_a_record_cut_anywhere_gives_what_came_before(new_project):
    folder = new_project().run(6, fails=(2,))
    record = folder / "evolution.jsonl"
    whole = record.read_bytes()
    full = reports.load(folder).trials
    lines = [0]
    for line in whole.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    cuts = [n + extra for n in lines[1:-1] for extra in (0, 1, 40)]
    for cut in cuts:
        record.write_bytes(whole[:cut])
        events = [
            json.loads(x)
            for x in whole[:cut].splitlines()[1:]
            if x.endswith(b"}")
        ]
        events = (
            events
            if whole[:cut].endswith(b"\n")
            else [
                json.loads(x)
                for x in whole[: whole[:cut].rfind(b"\n") + 1].splitlines()[1:]
            ]
        )
        born = [e["trial_id"] for e in events if e["kind"] == "birth"]
        ended = {e["trial_id"] for e in events if e["kind"] == "end"}
        trials = reports.load(folder).trials
        if not born:  # then keras-tuner's files are all there is
            continue
        assert [t.trial_id for t in trials] == born
        for trial in trials:
            expected = full[trial.number]
            if trial.trial_id in ended:
                assert trial == expected
            else:
                assert trial.status == "RUNNING"
                assert trial.scores is None
                assert trial.values == expected.values
        assert record.read_bytes() == whole[:cut]


def test_a_running_search_shows_its_running_trial(new_project):
    project = new_project()
    project.run(3)
    trial_id, individual = project.born()
    search = reports.load(project.folder)
    assert [t.trial_id for t in search.unfinished] == [trial_id]
    assert dict(search.trial(trial_id).values) == dict(individual.genome)
    assert "1 running or interrupted" in search.summary()


def test_a_search_that_has_just_begun_has_no_trials(new_project):
    search = reports.load(new_project().folder)
    assert search.trials == ()
    assert search.best is None
    assert "0 trials" in search.summary()


def test_damaged_lines_and_files_are_named_and_left_out(new_project):
    folder = new_project().run(5)
    lines = (folder / "evolution.jsonl").read_text().splitlines()
    lines[3] = lines[3][:30]  # the birth of trial 01
    (folder / "evolution.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "trial_02" / "trial.json").write_text('{"trial_id": "0')
    (folder / "trial_03" / "learning_curves.json").write_text("[")
    (folder / "oracle.json").write_text("")
    search = reports.load(folder)
    assert [t.trial_id for t in search.trials] == ["00", "02", "03", "04"]
    assert search.trial("02").completed  # the record knows
    assert search.trial("02").metrics == {}
    assert search.trial("03").curves == {}
    notes = " ".join(search.notes)
    assert "1 of the lines of evolution.jsonl" in notes
    assert "trial_02/trial.json" in notes
    assert "trial_03/learning_curves.json" in notes
    assert "oracle.json" in notes
    assert search.space is not None  # from the trials


def test_trials_that_the_record_does_not_know_are_named(new_project):
    folder = new_project().run(5)
    path = folder / "evolution.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:7]))  # restored from an older copy
    search = reports.load(folder)
    assert [t.trial_id for t in search.trials] == ["00", "01", "02"]
    (note,) = search.notes
    assert "does not know of these trials" in note
    assert "left out: 03, 04." in note


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("trial_02/trial.json", "hyperparameters", "x"),
        ("trial_02/trial.json", "metrics", [1]),
        ("oracle.json", "hyperparameters", {"space": [1] * 9}),
        ("evolution.jsonl", "rung", "x"),
        ("evolution.jsonl", "message", {}),
    ],
)
def test_values_of_other_types_are_noted(new_project, name, field, value):
    folder = new_project().run(3)
    text = (folder / name).read_text()
    # Of the record the last line that has the field.
    lines = text.splitlines() if name.endswith("jsonl") else [text]
    place = max(n for n, line in enumerate(lines) if f'"{field}"' in line)
    lines[place] = json.dumps({**json.loads(lines[place]), field: value})
    (folder / name).write_text("\n".join([*lines, ""]))
    search = reports.load(folder)
    assert search.summary()
    # Whose birth is lost is named, too.
    assert len(search.notes) == 1 + (field == "rung")
    # A line of the record that is lost takes its trial.
    assert len(search.completed) == 3 - name.endswith("jsonl")


def test_fields_of_a_later_version_do_no_harm(new_project):
    folder = new_project().run(3)
    changed = []
    for line in (folder / "evolution.jsonl").read_text().splitlines():
        changed.append(json.dumps({**json.loads(line), "later": [1]}))
    (folder / "evolution.jsonl").write_text("\n".join(changed) + "\n")
    assert len(reports.load(folder).completed) == 3


def test_recorded_losses_and_violations_are_read(new_project):
    folder = new_project(objectives=2).run(4)
    changed = []
    for line in (folder / "evolution.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["kind"] == "end":
            entry |= {"losses": [0.25, 7.0], "violation": 0.5}
        changed.append(json.dumps(entry))
    (folder / "evolution.jsonl").write_text("\n".join(changed) + "\n")
    for trial in reports.load(folder).trials:
        assert trial.scores == (0.25, 7.0)
        assert not trial.feasible


def test_several_objectives_come_from_the_metrics_without_losses(new_project):
    search = reports.load(new_project(objectives=2).run(4))
    for trial in search.trials:
        assert trial.scores == (trial.score, 10.0 * trial.values["units"])


def test_curves_of_several_executions_are_averaged(new_project):
    folder = new_project().run(1)
    (folder / "trial_00" / "learning_curves.json").write_text(
        json.dumps(
            {
                "version": 1,
                "initial_epoch": 3,
                "executions": [{"loss": [4.0, 2.0]}, {"loss": [2.0]}],
            }
        )
    )
    curves = reports.load(folder).trials[0].curves
    assert curves == {"loss": ((4, 3.0), (5, 2.0))}


# Searches of keras-tuner, which have no record.


@pytest.fixture
def foreign(new_project):
    folder = new_project().run(12, fails=(5,))
    (folder / "evolution.jsonl").unlink()
    order = [f"{n:02}" for n in (3, 1, 0, 2, *range(4, 12))]
    state = json.loads((folder / "oracle.json").read_text())
    state |= {"start_order": order, "seed": 7}
    (folder / "oracle.json").write_text(json.dumps(state))
    return folder


def test_a_search_without_a_record_is_read_in_its_order(foreign):
    search = reports.load(foreign)
    assert [t.trial_id for t in search.trials][:4] == ["03", "01", "00", "02"]
    assert search.seed == 7
    assert not search.evolved
    assert search.objectives == (reports.Objective("val_loss", "min"),)
    assert "does not name its objective" in search.notes[0]
    assert search.lineage("03") == (search.trial("03"),)


def test_values_that_are_not_active_are_left_out(foreign):
    path = foreign / "trial_00" / "trial.json"
    state = json.loads(path.read_text())
    state["hyperparameters"]["values"] = {
        "optimizer": "adam",
        "units": 32,
        "learning_rate": 0.01,
        "momentum": 0.5,
        "tuner/epochs": 3,
    }
    path.write_text(json.dumps(state))
    values = reports.load(foreign).trial("00").values
    assert "momentum" not in values
    assert values["tuner/epochs"] == 3  # not of the space, but there


def test_without_a_state_file_the_trials_are_all_there_is(foreign):
    (foreign / "oracle.json").unlink()
    search = reports.load(foreign)
    assert len(search.trials) == 12
    assert search.seed is None
    assert search.space is not None


def test_the_objective_is_the_metric_that_equals_the_scores(foreign):
    for path in foreign.glob("trial_*/trial.json"):
        state = json.loads(path.read_text())
        metrics = state["metrics"]["metrics"]
        if metrics:
            metrics["loss"] = metrics["val_loss"]  # equal too
            metrics["accuracy"] = {
                "direction": "max",
                "observations": [{"value": [0.1], "step": 2}],
            }
        path.write_text(json.dumps(state))
    search = reports.load(foreign)
    assert search.objectives == (reports.Objective("val_loss", "min"),)


# Folders that hold no search.


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="`directory/project_name`"):
        reports.load(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="which holds nothing"):
        reports.load(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ValueError, match=r"holds \['holiday.jpg'\]"):
        reports.load(tmp_path)


def test_the_folder_above_a_project_names_the_project(forty):
    with pytest.raises(ValueError, match=r"Did you mean .*forty'"):
        reports.load(forty.parent)


def test_finalists_are_read(forty, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(forty, folder)
    (folder / "finalists.json").write_text(
        json.dumps(
            [
                {
                    "trial_id": "07",
                    "search_score": 0.1,
                    "honest_scores": [0.2, 0.4],
                },
                {"trial_id": "08", "search_score": 0.2, "honest_scores": []},
            ]
        )
    )
    finalists = reports.load(folder).finalists
    assert [one.name for one in finalists] == ["trial 07"]
    assert finalists[0].mean == pytest.approx(0.3)


def test_brackets_a_thousand_deep_are_damage(tmp_path):
    for name in ("oracle.json", "finalists.json", "ablation.json"):
        (tmp_path / name).write_text("[" * 100_000)
    search = reports.load(tmp_path)
    assert not search.trials
    assert len([note for note in search.notes if "is damaged" in note]) == 3
