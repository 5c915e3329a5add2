"""The files that packagers and continuous integration read agree."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def _setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


def _lines(text: str) -> set[str]:
    lines = {line.strip() for line in text.splitlines()}
    return {line for line in lines if line and not line.startswith("#")}


def test_the_oldest_versions_are_the_bounds() -> None:
    setup = _setup()
    extras = setup["options.extras_require"]
    bounds = _lines(setup["options"]["install_requires"])
    for extra in ("examples", "processes", "reports"):
        bounds |= _lines(extras[extra])
    oldest = _lines((ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8"))
    pinned = {line for line in oldest if "==" in line}
    assert pinned == {bound.replace(">=", "==") for bound in bounds}


def test_an_extra_has_the_same_bounds_everywhere() -> None:
    bounds: dict[str, set[str]] = {}
    for lines in _setup()["options.extras_require"].values():
        for line in _lines(lines):
            name = re.match(r"[\w-]+", line)[0]
            bounds.setdefault(name, set()).add(line)
    assert [b for b in bounds.values() if len(b) > 1] == []


def test_the_workflow_tests_the_versions_of_the_classifiers() -> None:
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    tested = re.search(r"python: \[(.*)\]", workflow)[1]
    stated = re.findall(
        r"Python :: (3\.\d+)", _setup()["metadata"]["classifiers"]
    )
    assert re.findall(r"3\.\d+", tested) == stated


def test_no_text_installs_from_pypi_what_is_not_there() -> None:
    texts = [ROOT / "README.md"]
    for folder in ("docs", "examples", "tutorials", "keras_evonas"):
        for kind in ("md", "py", "ipynb"):
            texts += (ROOT / folder).rglob(f"*.{kind}")
    found = [
        f"{path.name}: {line}"
        for path in texts
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"keras-evonas\[|install keras.evonas", line)
    ]
    # The comment that says what the command becomes.
    assert [line for line in found if "installation.py" not in line] == []
