"""The folder for OptunaHub, checked as its registry checks packages."""

import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("optunahub")
yaml = pytest.importorskip("yaml")

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "examples/optunahub/package/samplers/evonas"


def python(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_layout_is_that_of_the_registry():
    found = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    wanted = ("__init__.py", "README.md", "LICENSE", "example.py", "tests")
    assert found == set(wanted)


def test_the_header_is_what_the_registry_wants():
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---")[1])
    for name in ("author", "title", "description", "license"):
        assert isinstance(header[name], str)
    for name in ("tags", "optuna_versions"):
        assert all(isinstance(value, str) for value in header[name])
    assert "sampler" in header["tags"]
    # The registry takes no other one, and the file agrees.
    assert header["license"] == "MIT License"
    licence = (PACKAGE / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")


def test_the_example_runs():
    assert "the best of 30: 0.0" in python(PACKAGE / "example.py")


@pytest.mark.slow
def test_optunas_own_suites_pass():
    # Optuna's tests warn of what is experimental there.
    said = python(
        *("-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider"),
        PACKAGE / "tests",
    )
    assert " passed" in said
    assert "skipped" not in said
