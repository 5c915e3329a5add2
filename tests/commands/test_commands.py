"""The commands, on a folder that is only data."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import time

import keras_tuner
import pytest
from keras_tuner.engine import trial as trial_lib

from keras_evonas.project.journal import Journal
from keras_evonas.project.lock import LOCK_NAME
from keras_evonas.project.lock import FolderLock

_ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = ["export", "report", "resume", "status"]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two of three trials have ended; nobody searches."""
    folder = tmp_path / "search"
    folder.mkdir()
    journal = Journal(folder / "evolution.jsonl")
    journal.append(
        "search",
        {
            "version": 1,
            "seed": 0,
            "objective": [["loss", "min"]],
            "strategy": "RandomSearch()",
            "initial_population": [],
            "max_trials": 3,
        },
    )
    for birth, (status, score) in enumerate(
        [("COMPLETED", 0.5), ("FAILED", None)]
    ):
        journal.append(
            "birth",
            {
                "trial_id": str(birth),
                "birth": birth,
                "genome": {"units": 8, "kind": "=1+1"},
                "parents": [],
                "operator": "sample",
            },
        )
        journal.append(
            "end",
            {
                "trial_id": str(birth),
                "status": status,
                "score": score,
                "best_step": 0,
                "message": None,
                "values": {"units": 8, "kind": "=1+1"},
                "elapsed": 1.0,
                "losses": None if score is None else [score],
            },
        )
    return folder


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keras_evonas", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _say(folder: pathlib.Path, **content: object) -> None:
    (folder / LOCK_NAME).write_text(json.dumps(content))


def test_status_of_a_dead_and_of_a_running_search(
    folder: pathlib.Path,
) -> None:
    lines = _run("status", str(folder)).stdout.splitlines()
    assert lines[0].startswith("Not running.")
    assert lines[1].startswith("2 trials, 1 completed, 1 failed")
    assert lines[2] == "Best so far: trial 0, loss 0.5"
    assert lines[3] == "Last failure: no message"
    lock = FolderLock(folder)
    lock.take()
    running = _run("status", str(folder)).stdout
    assert running.startswith(f"Running in process {os.getpid()} on ")
    assert time.strftime("%Y-%m-%d") in running
    resume = _run("resume", str(folder)).stdout
    assert resume.startswith(f"The search is running, in process {os.getpid()}")
    lock.release()


def test_the_state_of_a_search_of_keras_tuner_is_not_known(
    tmp_path: pathlib.Path,
) -> None:
    trial = trial_lib.Trial(keras_tuner.HyperParameters(), trial_id="0")
    (tmp_path / "trial_0").mkdir()
    trial.save(str(tmp_path / "trial_0" / "trial.json"))
    said = _run("status", str(tmp_path)).stdout
    assert said.startswith("Running, or interrupted: keras-tuner's folders")


def test_resume_prints_and_runs_nothing(folder: pathlib.Path) -> None:
    assert "Run the program" in _run("resume", str(folder)).stdout
    mark = folder / "mark"
    _say(
        folder,
        pid=1,
        host="there",
        command=["python", "a b.py", f"; touch {mark}", "\x1b[2J"],
        directory="/some where",
    )
    printed = _run("resume", str(folder)).stdout
    assert printed.splitlines()[1].strip() == (
        f"cd '/some where' && python 'a b.py' '; touch {mark}' '?[2J'"
    )
    assert not mark.exists()
    _say(folder, command=["python", "-m", "ipykernel_launcher", "-f", "x"])
    assert "notebook" in _run("resume", str(folder)).stdout


def test_export_is_a_table(folder: pathlib.Path) -> None:
    pytest.importorskip("pandas", reason="needs pandas: the extra [reports]")
    rows = list(csv.DictReader(io.StringIO(_run("export", str(folder)).stdout)))
    assert [row["trial_id"] for row in rows] == ["0", "1"]
    assert [row["status"] for row in rows] == ["COMPLETED", "FAILED"]
    assert rows[0]["loss"] == "0.5"
    assert rows[0]["gene.units"] == "8"
    assert rows[0]["gene.kind"] == "'=1+1"  # Nothing for a spreadsheet to run.
    assert json.loads(rows[0]["parents"]) == []
    path = folder / "trials.csv"
    printed = _run("export", str(folder), f"--csv={path}").stdout
    assert printed == f"wrote {path}: 2 trials\n"
    assert list(csv.DictReader(path.read_text().splitlines())) == rows
    failed = _run("export", str(folder), "--csv=")
    assert failed.returncode == 1
    assert failed.stderr.startswith("`--csv` must name a file")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_search(
    command: str, tmp_path: pathlib.Path
) -> None:
    done = _run(command, str(tmp_path))
    assert done.returncode == 1
    assert "`folder` must hold a search" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["status"], ["report", "one", "two"]], ids=len
)
def test_a_command_needs_one_folder(arguments: list[str]) -> None:
    done = _run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Name one project folder. Received: [")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_the_flags_of_a_command(command: str) -> None:
    helped = _run(command, "--help")
    assert helped.returncode == 0
    assert f"`python -m keras_evonas {command} FOLDER`" in helped.stdout
    flags = {"export": ["csv"], "report": ["output", "[no]text"]}
    for flag in flags.get(command, []):
        assert f"--{flag}: " in helped.stdout


def test_a_flag_that_a_command_does_not_have() -> None:
    done = _run("export", "folder", "--depth=3")
    assert done.returncode == 1
    assert "Unknown command line flag 'depth'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_usage_is_told() -> None:
    helped, wrong = _run("--help"), _run("begin")
    assert helped.returncode == 0
    assert helped.stdout.startswith("Usage: ")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Usage: ")
    assert "Received: 'begin'" in wrong.stderr


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_gets_no_complaint(
    folder: pathlib.Path,
) -> None:
    command = [sys.executable, "-m", "keras_evonas", "export", str(folder)]
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=_ROOT
    )
    os.close(writing)
    assert run.returncode == 1
    assert "Broken pipe" not in run.stderr
    assert "Traceback" not in run.stderr
