"""The examples, run as users run them, with small flags."""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.keras

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
FEW_FINALISTS = ["--finalists=1", "--repeats=1"]


def run(script, folder, *flags):
    """Runs an example in a folder of its own and returns what it prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_evolve_digits_searches_saves_and_goes_on(tmp_path):
    flags = ["--epochs=1", "--directory=here", *FEW_FINALISTS]
    printed = run("evolve_digits.py", tmp_path, "--max_trials=2", *flags)
    assert printed.startswith("TensorFlow")
    assert re.findall(r"^\[(\d)/2\] val_accuracy \d", printed, re.M) == [
        "1",
        "2",
    ]
    last = printed.strip().splitlines()[-1]
    assert re.fullmatch(r"held-out accuracy: [01]\.\d{4}", last)
    assert (tmp_path / "best.keras").exists()

    more = run("evolve_digits.py", tmp_path, "--max_trials=3", *flags)
    assert re.findall(r"^\[(\d)/3\]", more, re.M) == ["3"]


def test_evolve_digits_takes_images_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(40, dtype="uint8") % 4
    images = rng.integers(0, 50, (40, 12, 12), dtype="uint8")
    images[:, :3] += labels[:, None, None] * 50
    np.savez(
        tmp_path / "images.npz",
        x_train=images,
        y_train=labels,
        x_test=images[:8],
        y_test=labels[:8],
    )
    printed = run(
        "evolve_digits.py",
        tmp_path,
        "--data=images.npz",
        "--max_trials=1",
        "--epochs=1",
        "--strategy=random_search",
        *FEW_FINALISTS,
    )
    assert "held-out accuracy:" in printed
    assert "stage_0/filters" in printed


def test_track_trials_writes_a_table(tmp_path):
    printed = run("track_trials.py", tmp_path, "--max_trials=2", "--epochs=1")
    with open(tmp_path / "trials.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1"]
    scores = [float(row["score"]) for row in rows]
    best = rows[scores.index(max(scores))]["trial"]
    last = printed.strip().splitlines()[-1]
    assert last == f"2 trials in trials.csv; the best is {best}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own.
def test_track_trials_logs_a_run_a_trial(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run("track_trials.py", tmp_path, "--max_trials=2", "--epochs=1")
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("keras_evonas")
    runs = client.search_runs([experiment.experiment_id])
    assert {one.info.run_name for one in runs} == {"trial 0", "trial 1"}
    with open(tmp_path / "trials.csv", newline="", encoding="utf-8") as file:
        scores = {
            row["trial"]: float(row["score"]) for row in csv.DictReader(file)
        }
    for one in runs:
        trial_id = one.info.run_name.removeprefix("trial ")
        assert one.data.metrics["val_accuracy"] == pytest.approx(
            scores[trial_id]
        )
        assert "layer_0/units" in one.data.params


@pytest.mark.parametrize(
    "executor", ["processes", pytest.param("ray", marks=pytest.mark.slow)]
)
def test_workers_go_on_elsewhere(executor, tmp_path):
    pytest.importorskip("ray" if executor == "ray" else "loky")
    run(
        "workers.py",
        tmp_path,
        "--executor=in_process",
        "--epochs=1",
        "--max_trials=1",
    )
    printed = run(
        "workers.py",
        tmp_path,
        f"--executor={executor}",
        "--workers=1",
        "--epochs=1",
        "--max_trials=2",
    )
    assert re.findall(r"^\[(\d)/2\]", printed, re.M) == ["2"]
    assert "2 networks by " in printed
    assert re.search(r"the best: 0\.\d{4}, trial \d", printed)


# What each prints last with a few flags, as a pattern.
SMALL = {
    "pareto_digits": (
        ("--max_trials=3", "--epochs=1"),
        r"<- the knee[\s\S]*saved the front's models in front",
    ),
    "existing_hypermodel": (
        ("--max_trials=2", "--epochs=1"),
        r"the best of 2: 0\.\d{4}[\s\S]*held-out accuracy: 0\.\d{4}",
    ),
    "without_keras": (
        ("--max_trials=40", "--seeds=2"),
        r"evolution +best loss [01]\.\d{3}, mean of 2 seeds",
    ),
    "around_a_network": (
        ("--max_trials=2", "--epochs=1"),
        r"\d+ hyperparameters, [\s\S]*"
        r"the best around it, held-out accuracy: [01]\.\d{4}",
    ),
    "cross_validation": (
        (
            *("--max_trials=2", "--epochs=1", "--folds=2"),
            *("--finalists=1", "--repeats=1", "--max_trainings=2"),
        ),
        r"the best: 0\.\d{4} ± 0\.\d{4} over 2 folds[\s\S]*"
        r"Finalists by their honest val_accuracy:[\s\S]*"
        r"What the genes of .* are worth[\s\S]*"
        r"report: .*report\.html",
    ),
    "own_operator": (
        ("--max_trials=4", "--epochs=1", "--population_size=2"),
        r"the family of trial \d, the oldest first:\n  birth \d",
    ),
    "cohorts": (
        ("--max_trials=2", "--epochs=1", "--cohort_size=2"),
        "every loss of every epoch is equal",
    ),
    "rungs": (
        (
            *("--max_trials=4", "--min_epochs=1", "--max_epochs=2"),
            "--factor=2",
        ),
        r"3 networks were trained up to epoch 1\n"
        r"1 networks were trained up to epoch 2",
    ),
}
# Runs examples one after another in one process, since importing TensorFlow
# takes longer than they do.
_RUN_ALL = """
import contextlib, importlib, io, json, os, pathlib, sys
from absl import flags
sys.path.insert(0, sys.argv[1])
printed = {}
for name, small in json.loads(sys.argv[2]).items():
    folder = pathlib.Path.cwd() / name
    folder.mkdir()
    os.chdir(folder)
    before = set(flags.FLAGS)
    example = importlib.import_module(name)
    flags.FLAGS([name, *small])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        example.main([name])
    printed[name] = out.getvalue()
    for flag in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, flag)
    os.chdir(folder.parent)
print(json.dumps(printed))
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    small = {name: arguments for name, (arguments, _) in SMALL.items()}
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL, str(EXAMPLES), json.dumps(small)],
        cwd=tmp_path_factory.mktemp("examples"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", SMALL)
def test_example_says_what_it_did(name, printed):
    _, pattern = SMALL[name]
    assert re.search(pattern, printed[name]), printed[name]


def test_every_example_is_run():
    here = pathlib.Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        if "app.run" in path.read_text(encoding="utf-8"):
            assert f'"{path.stem}' in here
