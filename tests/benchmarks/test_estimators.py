"""The benchmark of estimators, in a process that may use one processor."""

import subprocess
import sys

import pytest


def run(*flags):
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "estimators"]
    return subprocess.run(
        [*command, *flags], capture_output=True, text=True, check=False
    )


@pytest.mark.keras
@pytest.mark.slow
def test_every_method_has_a_score_and_as_many_seconds(tmp_path):
    path = tmp_path / "table.md"
    flags = ("--data=iris", "--seeds=1", "--seconds=0.1", f"--markdown={path}")
    ended = run(*flags)
    assert ended.returncode == 0, ended.stderr
    text = path.read_text(encoding="utf-8")
    assert text.strip() in ended.stdout
    scores, times = (
        next(line for line in text.splitlines() if line.startswith(begin))
        for begin in ("| iris, accuracy |", "| iris |")
    )
    found = [float(c.strip("* ")) for c in scores.split("|")[2:-1]]
    assert len(found) == 4
    assert min(found) > 0.5
    spent = [float(c.split(" s")[0]) for c in times.split("|")[2:-1]]
    # Those that stop before their time are over have less to try.
    assert min(spent[1:]) > 0.9 * spent[0]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--data=titanic", "Received: titanic"),
        ("--seconds=0", "must be a positive number"),
    ],
)
def test_flags_that_cannot_be(flag, message):
    ended = run(flag)
    assert ended.returncode != 0
    assert message in ended.stdout + ended.stderr
