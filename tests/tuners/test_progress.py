"""The lines of a search."""

import pytest

from keras_evonas.tuners.progress import Progress


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_a_line_tells_score_best_size_and_time(capsys):
    progress = Progress(
        "val_accuracy", "max", verbose=1, total=200, ended=35, best=0.9
    )
    progress.ended(0.918, params=41_234, seconds=1.0)
    progress.ended(0.912, params=2_100_000, seconds=0.2)

    assert lines(capsys) == [
        # 164 left at 1 s each.
        "[36/200] val_accuracy 0.918 (best 0.918) 41.2k params 1.0 s, "
        "about 3 min left",
        # 163 left at the mean of 0.6 s.
        "[37/200] val_accuracy 0.912 (best 0.918) 2.1M params 0.2 s, "
        "about 2 min left",
    ]


def test_lower_is_better_and_failures_do_not_count(capsys):
    progress = Progress("val_loss", "min", verbose=1, total=3)
    progress.ended(
        None, message="Traceback\n  line\nValueError: too deep\n\n  x=3"
    )
    progress.ended(0.25, params=12, seconds=5000.0)
    progress.ended(float("nan"), seconds=0.04)

    assert lines(capsys) == [
        "[1/3] failed: ValueError: too deep 0.0 s, about 1 s left",
        # The mean of 0 s and 5 000 s.
        "[2/3] val_loss 0.25 (best 0.25) 12 params 5000.0 s, about 42 min left",
        "[3/3] val_loss nan (best 0.25) 0.0 s",
    ]


def test_the_best_is_the_one_of_the_ranking_if_that_is_told(capsys):
    progress = Progress("loss", "min", verbose=1)
    progress.ended(3.0, seconds=1.0, epochs=9, best=3.0)
    progress.ended(1.0, seconds=1.0, epochs=1, best=3.0)

    assert lines(capsys) == [
        "[1] loss 3 (best 3) after 9 epochs 1.0 s",
        "[2] loss 1 (best 3) after 1 epoch 1.0 s",
    ]


def test_a_line_has_every_objective(capsys):
    progress = Progress("loss", "min", verbose=1)
    others = {"multiply_adds": 1200.0, "val_mae": 0.12345}
    progress.ended(3.0, params=7, seconds=1.0, others=others)

    assert lines(capsys) == [
        "[1] loss 3 (best 3) multiply_adds 1.2k val_mae 0.1235 7 params 1.0 s"
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Traceback\n  x\nValueError: Exception encountered when calling "
            "Reshape.call().\n\n\x1b[1mThe size is 3, not 4.\x1b[0m\n\n"
            "Arguments received by Reshape.call():\n  x=1",
            "ValueError: Exception encountered when calling Reshape.call(). "
            "The size is 3, not 4.",
        ),
        (
            "a.b_c.InvalidArgumentError: Graph execution error:\n\n"
            "Detected at node loss defined at (most recent call last):\n"
            '  File "x.py"\n<stack traces unavailable>\n'
            "Received a label value of 9 which is outside.\n\t [[{{node}}]]",
            "InvalidArgumentError: Graph execution error: Received a label "
            "value of 9 which is outside.",
        ),
        ("KeyError: 'a:'\nmore", "KeyError: 'a:'"),
    ],
)
def test_a_failure_tells_its_reason(capsys, message, expected):
    Progress("loss", "min", verbose=1).ended(None, message=message)
    assert lines(capsys) == [f"[1] failed: {expected} 0.0 s"]


def test_without_a_limit_there_is_no_time_left(capsys):
    progress = Progress("loss", "min", verbose=1)
    progress.training(3)  # Only on a terminal.
    progress.ended(1.5, seconds=1.0)

    assert lines(capsys) == ["[1] loss 1.5 (best 1.5) 1.0 s"]


@pytest.mark.parametrize("message", [None, "it failed"])
def test_nothing_is_printed_if_silent(capsys, message):
    progress = Progress("loss", "min", verbose=0, total=9)
    progress.training(3)
    progress.ended(None, message=message)
    progress.say("anything")

    assert lines(capsys) == []
