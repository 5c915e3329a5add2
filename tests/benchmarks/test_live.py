"""The live comparison: arithmetic, files, errors, and a tiny run of each."""

import dataclasses
import math
import os

import numpy as np
import pytest
from absl import app

from keras_evonas.benchmarks import live
from keras_evonas.benchmarks.live import check_live_method
from keras_evonas.benchmarks.live_comparison import LiveComparison
from keras_evonas.benchmarks.live_problems import dataset
from keras_evonas.benchmarks.live_runs import TITLES
from keras_evonas.benchmarks.live_runs import Budget
from keras_evonas.benchmarks.live_runs import End
from keras_evonas.benchmarks.live_runs import LiveRun
from keras_evonas.benchmarks.live_runs import read_run
from keras_evonas.evolution.randomness import rng_at
from tests.benchmarks.flags import flags_set

BUDGET = Budget(trials=4, seconds=10.0, limit=20.0, epochs=3)


@pytest.fixture(autouse=True)
def parsed_flags():
    with flags_set(live):
        yield


def random_run(seed, method="first"):
    """Trials of one to three epochs, some of them failed."""
    rng = rng_at(seed, 1)
    ends, best, seconds = [], -1.0, 0.0
    for _ in range(rng.integers(6, 12)):
        seconds += float(rng.random() * 4)
        score = float(rng.integers(20)) / 20 if rng.random() < 0.8 else None
        end = End(seconds=seconds, epochs=int(rng.integers(1, 4)), score=score)
        if score is not None and score > best:
            best = score
            end = dataclasses.replace(end, tested=float(rng.random()))
        ends.append(end)
    return LiveRun(
        dataset="digits", method=method, seed=seed, budget=BUDGET, ends=ends
    )


def naive_tested_at(run, clock, reading):
    found, best, epochs = math.nan, -1.0, 0
    for end in run.ends:
        epochs += end.epochs
        now = end.seconds if clock == "seconds" else epochs / 3
        if now > reading:
            break
        if end.score is not None and end.score > best:
            best, found = end.score, end.tested
    never_reached = clock == "trials" and reading > epochs / 3
    return math.nan if never_reached else found


@pytest.mark.parametrize("clock", ["trials", "seconds"])
@pytest.mark.parametrize("seed", range(20))
def test_the_best_so_far_is_that_of_a_naive_loop(seed, clock):
    run = random_run(seed)
    readings = [0.0, 0.5, 1.0, 2.0, 3.5, 7.0, 100.0, *run.clock(clock)]
    np.testing.assert_array_equal(
        run.tested_at(clock, readings),
        [naive_tested_at(run, clock, reading) for reading in readings],
    )


def run_of(method, seed, *, tested, seconds=(1.0, 2.0, 3.0, 4.0)):
    ends = [
        End(seconds=second, epochs=3, score=score, tested=accuracy)
        for second, score, accuracy in zip(
            seconds, (0.1, 0.2, 0.3, 0.4), tested, strict=True
        )
    ]
    return LiveRun(
        dataset="digits", method=method, seed=seed, budget=BUDGET, ends=ends
    )


def comparison():
    slow = (2.0, 4.0, 6.0, 8.0)
    return LiveComparison(
        [
            run_of("a", 0, tested=(0.5, 0.6, 0.7, 0.80)),
            run_of("a", 1, tested=(0.5, 0.6, 0.7, 0.84)),
            run_of("b", 0, tested=(0.1, 0.2, 0.3, 0.90), seconds=slow),
            run_of("b", 1, tested=(0.1, 0.2, 0.3, 0.92), seconds=slow),
        ]
    )


def test_means_and_standard_errors_in_per_cent():
    means, errors = comparison().means("digits", "a", "trials", [0, 1, 4])
    np.testing.assert_allclose(means, [np.nan, 50, 82])
    # deviation of 80 and 84: 2.828; over the root of 2: 2
    np.testing.assert_allclose(errors, [np.nan, 0, 2])


def test_markdown_shows_the_best_the_losses_and_what_it_took():
    table = comparison().markdown([2, 4], [1.0, 4.0])["digits"]
    header, _, first, second = table.splitlines()
    assert header == (
        "|  | 2 trials | 4 trials | 1 s | 4 s | seconds for 4 trials | "
        "trials in 4 s |"
    )
    # After 4 trials 82 ± 2 is behind 91 ± 1 by more than 2 √5.
    assert first == (
        "| a | **60.00 ± 0.00** | 82.00 ± 2.00 lost | **50.00 ± 0.00** | "
        "**82.00 ± 2.00** | 4 | 4.0 |"
    )
    assert second == (
        "| b | 20.00 ± 0.00 lost | **91.00 ± 1.00** | - | "
        "20.00 ± 0.00 lost | 8 | 2.0 |"
    )


def test_trials_that_a_search_never_reached_are_not_made_up():
    runs = [
        run_of("a", 0, tested=(0.5, 0.6, 0.7, 0.8)),
        LiveRun(
            dataset="digits",
            method="short",
            seed=0,
            budget=BUDGET,
            ends=[End(seconds=25.0, epochs=3, score=0.5, tested=0.9)],
        ),
    ]
    row = LiveComparison(runs).markdown([1, 4], [30.0])["digits"]
    assert row.splitlines()[-1] == (
        "| short | **90.00 ± nan** | - | **90.00 ± nan** | - | 1.0 |"
    )


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "live.png"
    comparison().plot(path, trials=4, seconds=8.0)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_budget_ends_with_both_or_at_its_limit():
    assert not BUDGET.is_spent(epochs=12, seconds=9.9)
    assert not BUDGET.is_spent(epochs=11, seconds=10.0)
    assert BUDGET.is_spent(epochs=12, seconds=10.0)
    assert BUDGET.is_spent(epochs=1, seconds=20.0)


def test_a_run_survives_its_file(tmp_path):
    path = tmp_path / "run.json"
    run = run_of("a", 0, tested=(0.5, None, 0.7, 0.8), seconds=(1, 2, 3, 10))
    run.write(path, {"epochs": 3})
    assert read_run(path, {"epochs": 3}, run.budget) == run


@pytest.mark.parametrize("seed", range(20))
def test_a_search_is_cut_where_a_smaller_budget_ends(seed):
    run = random_run(seed)
    budget = Budget(trials=2, seconds=3.0, limit=6.0, epochs=3)
    epochs, kept = 0, []
    for end in run.ends:
        epochs += end.epochs
        kept.append(end)
        if end.seconds >= (3.0 if epochs >= 6 else 6.0):
            break
    else:
        with pytest.raises(ValueError, match="must have gone on"):
            run.cut_to(budget)
        return
    cut = run.cut_to(budget)
    assert (cut.budget, list(cut.ends)) == (budget, kept)


def test_a_file_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "run.json"
    random_run(3).write(path, {"epochs": 3})
    with pytest.raises(ValueError, match=r"settings \{.epochs.: 4\}.*folder"):
        read_run(path, {"epochs": 4}, BUDGET)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"among \['evol.*Received: 'x'"):
        check_live_method("x")
    with pytest.raises(ValueError, match=r"among \['digits'.*Received: 'y'"):
        dataset("y")


@pytest.mark.parametrize("flag", ["methods", "datasets"])
def test_the_command_refuses_unknown_names(flag, tmp_path):
    with (
        flags_set(live, **{flag: ["missing"], "out": str(tmp_path)}),
        pytest.raises(app.UsageError, match=rf"`{flag}`.*'missing'"),
    ):
        live.main()


def test_the_command_refuses_more_jobs_than_cores(tmp_path):
    jobs = (os.cpu_count() or 1) + 1
    with (
        flags_set(
            live, jobs=jobs, out=str(tmp_path), methods=["keras_tuner_random"]
        ),
        pytest.raises(app.UsageError, match=f"jobs={jobs}"),
    ):
        live.main()


def test_every_search_is_run_once_and_another_comes_first_each_time():
    tasks = [(n, m, s) for s in range(3) for n in "xy" for m in "abc"]
    turned = live._in_turns(tasks)
    assert sorted(turned) == sorted(tasks)
    assert [task[2] for task in turned] == [task[2] for task in tasks]
    assert [turned[6 * seed][:2] for seed in range(3)] == [
        ("x", "a"),
        ("x", "b"),
        ("x", "c"),
    ]


def images(path, count, **changes):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    y = rng.integers(0, 10, count)
    arrays = {"x_train": x, "y_train": y, "x_test": x[:9], "y_test": y[:9]}
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if len(v)})
    return str(path)


def test_a_file_without_all_arrays_says_which(tmp_path):
    path = images(tmp_path / "some.npz", 20, y_test=())
    with pytest.raises(ValueError, match=r"`data`.*lacks y_test"):
        dataset("fashion_mnist").load(path, 10)


@pytest.mark.keras
def test_the_parts_of_a_data_set_do_not_overlap(tmp_path):
    path = images(tmp_path / "some.npz", 1020)
    with pytest.raises(ValueError, match="examples=21"):
        dataset("fashion_mnist").load(path, 21)
    problem = dataset("fashion_mnist").load(path, 20).parts
    assert problem.training[0].shape == (20, 14, 14, 1)
    assert problem.validation[0].shape == (1000, 14, 14, 1)
    with np.load(path) as file:
        corner = file["x_train"][3, :2, :2].mean() / 255
    assert problem.training[0][3, 0, 0, 0] == pytest.approx(corner)
    parts = dataset("digits").load(None, 0).parts
    sizes = [len(parts.training[0]), len(parts.validation[0])]
    assert [*sizes, len(parts.held_out[0])] == [1000, 400, 397]


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.parametrize("method", TITLES)
def test_a_tiny_search_of_each_method(method, tmp_path):
    if method.startswith("optuna"):
        pytest.importorskip("optuna")
    from keras_evonas.benchmarks.live_methods import search

    problem = dataset("digits").load(None, 0)
    budget = Budget(trials=3, seconds=0.0, limit=1e9, epochs=1)
    is_own = method in ("evolutionary_search", "freeze_thaw", "stop_hopeless")
    ends = search(method, problem, 0, budget, str(tmp_path))
    trained = [end.epochs for end in ends]
    # A cohort is a whole one.
    assert trained == [1] * (4 if is_own else 3)
    seconds = [end.seconds for end in ends]
    assert seconds == sorted(seconds)
    scores = [end.score for end in ends]
    for number, end in enumerate(ends):
        is_best = end.score > max(scores[:number], default=-1)
        assert (end.tested is not None) == is_best
        assert end.tested is None or 0 <= end.tested <= 1


@pytest.mark.keras
@pytest.mark.slow
def test_the_command_runs_what_is_missing_and_no_more(tmp_path, capsys):
    table = tmp_path / "live.md"
    settings = {
        "datasets": ["digits"],
        "methods": ["keras_tuner_random"],
        "seeds": 2,
        "trials": 2,
        "seconds": 0.0,
        "epochs": 1,
        "out": str(tmp_path / "out"),
        "markdown": str(table),
    }
    with flags_set(live, **settings, stop_after_seconds=-1.0):
        live.main()
    assert "0 of 2 searches" in capsys.readouterr().out
    with flags_set(live, **settings):
        live.main()
        files = sorted((tmp_path / "out").iterdir())
        written = [file.read_bytes() for file in files]
        live.main()
    assert len(files) == 2
    assert [file.read_bytes() for file in files] == written
    assert "| keras-tuner RandomSearch |" in table.read_text("utf-8")
    shown = capsys.readouterr().out
    assert shown.count("digits keras_tuner_random 0") == 1
