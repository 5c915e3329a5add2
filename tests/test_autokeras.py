"""The recipe for AutoKeras, in an environment of its own."""

import configparser
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]
ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coming_from_autokeras.md"
DATA = """
import numpy as np
x = np.random.default_rng(0).normal(size=(120, 6)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)
x_test, y_test = x[:40], y[:40]
"""
RESULT = """
import json
trials = auto_model.tuner.oracle.trials.values()
print(json.dumps({
    "statuses": [str(trial.status) for trial in trials],
    "parents": auto_model.tuner.oracle.individual("3").parents,
    "model": type(model).__name__,
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment with AutoKeras 3.0.0."""
    folder = tmp_path_factory.mktemp("autokeras")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    needs = config["options"]["install_requires"].split()
    done = subprocess.run(
        [
            *(folder / "bin" / "pip", "install", "-q", "autokeras==3.0.0"),
            *("keras<3.13", *needs),
        ],
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"AutoKeras cannot be installed: {done.stderr[-300:]}")
    return folder / "bin" / "python"


def test_the_recipe_of_the_page_evolves(python, tmp_path):
    code = re.search(
        r"^```py\n(import autokeras.*?)^```",
        PAGE.read_text(encoding="utf-8"),
        re.M | re.S,
    )[1]
    small = code.replace("max_trials=30", "max_trials=4")
    assert small != code
    done = subprocess.run(
        [python, "-c", DATA + small.replace("epochs=20", "epochs=1") + RESULT],
        cwd=tmp_path,
        env={
            **{n: v for n, v in os.environ.items() if n != "KERAS_BACKEND"},
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["statuses"] == ["COMPLETED"] * 4
    assert len(found["parents"]) >= 1
    assert found["model"] == "Functional"
    folder = tmp_path / "auto_model"
    assert (folder / "evolution.jsonl").exists()
    said = subprocess.run(
        [sys.executable, "-m", "keras_evonas", "status", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "4" in said
