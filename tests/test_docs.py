"""The documentation: its Python runs, and it builds without a warning."""

import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from tests.marks import everyday

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# Numbers that are made small, so that a page takes seconds.
SMALL = {
    r"max_trials=\d+": "max_trials=1",
    r"max_epochs=\d+": "max_epochs=1",
    r"\bepochs=\d+": "epochs=1",
    r"population_size=\d+": "population_size=8",
}


def blocks_of(page):
    """The Python of a page. What is of other packages is marked as `py`."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def shrunk(code):
    for pattern, small in SMALL.items():
        code = re.sub(pattern, small, code)
    return code


@pytest.mark.keras
@pytest.mark.parametrize(
    "name",
    everyday("README", of=[page.stem for page in PAGES if blocks_of(page)]),
)
def test_the_python_of_a_page_runs(name, tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    mnist = rng.integers(0, 255, (40, 28, 28)), rng.integers(0, 10, 40)
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: (mnist, mnist)
    )
    x, y = rng.random((40, 64), dtype="float32"), rng.integers(0, 10, 40)
    names = {"x": x, "y": y, "x_val": x[:20], "y_val": y[:20]}
    page = next(page for page in PAGES if page.stem == name)
    for number, code in enumerate(blocks_of(page)):
        folder = tmp_path / str(number)  # each search has its own
        folder.mkdir()
        monkeypatch.chdir(folder)
        # As a module of its own: what a page shows must be all there is.
        exec(
            compile(shrunk(code), f"{page.name}, block {number}", "exec"), names
        )


def test_pages_name_files_that_exist():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"\b((?:examples|tutorials|docs)/[\w/.]+\w)", text)
        for name in named:
            assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_the_strategies_to_choose_from_are_the_same_everywhere():
    table = r"^## Which search when\n\n((?:\|.*\n)+)"
    readme, index = (
        re.search(table, path.read_text(encoding="utf-8"), re.M)[1]
        for path in (ROOT / "README.md", ROOT / "docs" / "index.md")
    )
    assert readme == index


def test_all_tutorials_and_examples_are_listed():
    text = (ROOT / "docs" / "tutorials.md").read_text(encoding="utf-8")
    for path in (ROOT / "tutorials").glob("*.ipynb"):
        assert f"`{path.stem}`" in text
    for path in (ROOT / "examples").glob("*.py"):
        if "app.run" in path.read_text(encoding="utf-8"):
            assert f"`{path.name}`" in text


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("zensical")
    pytest.importorskip("mkdocstrings_handlers.python")
    for name in ("docs", "keras_evonas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    program = pathlib.Path(sysconfig.get_path("scripts")) / "zensical"
    done = subprocess.run(
        [sys.executable, str(program), "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "api" / "execution.html").read_text("utf-8")
    for name in ("Processes", "Ended", "Waits for the next job to end"):
        assert name in page
    page = (tmp_path / "site" / "api" / "search.html").read_text("utf-8")
    for name in ("EvolutionarySearch", "EvoOracle", "cohort_size", "lineage"):
        assert name in page
