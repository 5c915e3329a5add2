"""The examples, with small flags."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.marks import everyday

pytestmark = pytest.mark.keras

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# What each prints with a few flags, as a pattern of its end.
SMALL = {
    "pareto_digits": (
        ("--max_trials=2", "--epochs=1"),
        r"<- the knee[\s\S]*saved the front's models in front",
    ),
    "one_shot_digits": (
        ("--max_trials=3", "--epochs=1", "--finalists=1"),
        r"Supernet: epoch 1 of 1[\s\S]*"
        r"the best alone, held-out accuracy: 0\.\d{4}",
    ),
    "path_transfer": (
        ("--epochs=1",),
        r"task 1, the winner: .*'layer_2': 'conv_\d'.*\n"
        r"task 2 with the frozen path: validation loss \d+\.\d{4}\n"
        r"task 2 from nothing: validation loss \d+\.\d{4}",
    ),
    "existing_hypermodel": (
        ("--max_trials=1", "--epochs=1"),
        r"the best of 1: 0\.\d{4}[\s\S]*held-out accuracy: 0\.\d{4}",
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
        r"Finalists by their unseen val_accuracy:[\s\S]*"
        r"What the genes of .* are worth[\s\S]*"
        r"report: .*report\.html",
    ),
    "own_operator": (
        ("--max_trials=3", "--epochs=1", "--population_size=2"),
        r"the family of trial \d, the oldest first:\n  birth \d",
    ),
    "own_executor": (
        ("--max_trials=1", "--epochs=1", "--workers=1"),
        r"1 networks by Pipes\(workers=1\)\nthe best: 0\.\d{4}, trial 0\n$",
    ),
    "estimators": (
        ("--data=diabetes", "--max_trials=1", "--epochs=1"),
        r"seed 0: R² -?\d\.\d{3}, Ridge 0\.\d{3}, Ridge of scaled data 0\.\d",
    ),
    "cohorts": (
        ("--max_trials=2", "--epochs=1", "--cohort_size=2"),
        "every loss of every epoch is equal",
    ),
    "rungs": (
        (
            *("--max_trials=3", "--min_epochs=1", "--max_epochs=2"),
            "--factor=2",
        ),
        r"2 networks were trained up to epoch 1\n"
        r"1 networks were trained up to epoch 2",
    ),
    "track_trials": (
        ("--max_trials=2", "--epochs=1"),
        r"2 trials in trials\.csv; the best is [01]\n$",
    ),
    "workers": (
        ("--executor=in_process", "--max_trials=1", "--epochs=1"),
        r"1 networks by [\s\S]*the best: 0\.\d{4}, trial 0\n$",
    ),
}
# Left to the slow tests: what runs every day elsewhere shows the same.
RARE = (
    *("around_a_network", "cohorts", "cross_validation", "estimators"),
    *("existing_hypermodel", "own_operator", "path_transfer", "rungs"),
)
DIGITS = ("--epochs=1", "--directory=here", "--finalists=1", "--repeats=1")
# A name, an example, the run whose folder it goes on in, and flags.
RUNS = [
    *((name, name, name, small) for name, (small, _) in SMALL.items()),
    ("digits", "evolve_digits", "digits", ("--max_trials=2", *DIGITS)),
    ("more digits", "evolve_digits", "digits", ("--max_trials=3", *DIGITS)),
    (
        "images",
        "evolve_digits",
        "images",
        (
            *("--data=images.npz", "--strategy=random_search"),
            *("--max_trials=1", *DIGITS),
        ),
    ),
]
# Runs examples one after another in one process, since importing TensorFlow
# takes longer than they do. What is there by then is spared the collections
# of garbage that keras-tuner makes before it builds a network.
_RUN_ALL = """
import contextlib, gc, importlib, io, json, os, pathlib, sys
from absl import flags
import keras_tuner
gc.set_threshold(50_000, 20, 50)
sys.path.insert(0, sys.argv[1])
printed = {}
for name, example, folder, arguments in json.load(sys.stdin):
    os.makedirs(folder, exist_ok=True)
    home = os.getcwd()
    os.chdir(folder)
    before = set(flags.FLAGS)
    gc.collect()
    gc.freeze()
    module = importlib.import_module(example)
    flags.FLAGS([example, *arguments])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        module.main([example])
    printed[name] = out.getvalue()
    for flag in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, flag)
    del sys.modules[example]
    os.chdir(home)
print(json.dumps(printed))
"""


def run(command, folder, **options):
    """Runs Python in a folder and returns what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_images(path):
    """Writes forty images that are told apart by their brightness."""
    rng = np.random.default_rng(0)
    labels = np.arange(40, dtype="uint8") % 4
    images = rng.integers(0, 50, (40, 12, 12), dtype="uint8")
    images[:, :3] += labels[:, None, None] * 50
    np.savez(
        path,
        x_train=images,
        y_train=labels,
        x_test=images[:8],
        y_test=labels[:8],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def printed(request, folder):
    """What every run printed, by its name; the rare ones if they are tested."""
    tested = {item.name for item in request.session.items}
    runs = [
        run
        for run in RUNS
        if run[0] not in RARE
        or f"test_example_says_what_it_did[{run[0]}]" in tested
    ]
    (folder / "images").mkdir()
    write_images(folder / "images" / "images.npz")
    said = run(["-c", _RUN_ALL, str(EXAMPLES)], folder, input=json.dumps(runs))
    return json.loads(said.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    everyday(*(set(SMALL) - set(RARE)), of=list(SMALL)),
)
def test_example_says_what_it_did(name, printed):
    _, pattern = SMALL[name]
    assert re.search(pattern, printed[name]), printed[name]


def test_evolve_digits_searches_saves_and_goes_on(folder, printed):
    assert printed["digits"].startswith("TensorFlow")
    pattern = r"^\[(\d)/(\d)\] val_accuracy \d"
    first = re.findall(pattern, printed["digits"], re.M)
    assert first == [("1", "2"), ("2", "2")]
    last = printed["digits"].strip().splitlines()[-1]
    assert re.fullmatch(r"held-out accuracy: [01]\.\d{4}", last)
    assert (folder / "digits" / "best.keras").exists()
    more = re.findall(pattern, printed["more digits"], re.M)
    assert more == [("3", "3")]


def test_evolve_digits_takes_images_from_a_file(printed):
    assert "held-out accuracy:" in printed["images"]
    assert "stage_0/filters" in printed["images"]


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_track_trials_writes_a_table(folder, printed):
    rows = rows_of(folder / "track_trials" / "trials.csv")
    assert [row["trial"] for row in rows] == ["0", "1"]
    scores = [float(row["score"]) for row in rows]
    best = rows[scores.index(max(scores))]["trial"]
    assert printed["track_trials"].endswith(f"the best is {best}\n")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own.
def test_track_trials_logs_a_run_a_trial(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    flags = SMALL["track_trials"][0]
    run([str(EXAMPLES / "track_trials.py"), *flags], tmp_path)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("keras_evonas")
    runs = client.search_runs([experiment.experiment_id])
    assert {one.info.run_name for one in runs} == {"trial 0", "trial 1"}
    scores = {
        row["trial"]: float(row["score"])
        for row in rows_of(tmp_path / "trials.csv")
    }
    for one in runs:
        trial_id = one.info.run_name.removeprefix("trial ")
        assert one.data.metrics["val_accuracy"] == pytest.approx(
            scores[trial_id]
        )
        assert "layer_0/units" in one.data.params


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("executor", everyday(of=["processes", "ray"]))
def test_workers_go_on_elsewhere(executor, folder, tmp_path):
    pytest.importorskip("ray" if executor == "ray" else "loky")
    shutil.copytree(folder / "workers", tmp_path, dirs_exist_ok=True)
    flags = (f"--executor={executor}", "--workers=1", "--epochs=1")
    said = run(
        [str(EXAMPLES / "workers.py"), *flags, "--max_trials=2"], tmp_path
    )
    assert re.findall(r"^\[(\d)/2\]", said, re.M) == ["2"]
    assert "2 networks by " in said
    assert re.search(r"the best: 0\.\d{4}, trial \d", said)


def test_every_example_is_run():
    here = pathlib.Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        if "app.run" in path.read_text(encoding="utf-8"):
            assert f'"{path.stem}' in here
