"""Spaces that depend on other hyperparameters, and spaces that changed.

A search whose ranges depend on other hyperparameters goes on like any other; a
hypermodel that asks for other ranges than before is refused.
"""

import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest
from keras_tuner.engine import base_tuner

from keras_evonas import EvoOracle
from keras_evonas.evolution import random_search
from keras_evonas.models.explanation import explored
from keras_evonas.project.record import SearchRecord
from tests.searches import loss_of

pytestmark = pytest.mark.keras

Build = Callable[[keras_tuner.HyperParameters], None]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests cut no power.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class _Tuner(base_tuner.BaseTuner):
    """keras-tuner's tuner, with a sum in the place of a training."""

    def run_trial(self, trial: Any, **arguments: Any) -> float:
        self.hypermodel.build(trial.hyperparameters)
        return loss_of(trial.hyperparameters.values)


def _search(
    folder: pathlib.Path, build: Build, max_trials: int, seed: int
) -> EvoOracle:
    oracle = EvoOracle(
        keras_tuner.Objective("default_objective", "min"),
        max_trials=max_trials,
        strategy=random_search(),
        seed=seed,
    )
    oracle.verbose = 0
    tuner = _Tuner(oracle, build, directory=folder, project_name="search")
    tuner.search(verbose=0)
    return oracle


def _proposed(oracle: EvoOracle) -> list[dict[str, Any]]:
    trials = [oracle.trials[trial_id] for trial_id in oracle.start_order]
    proposed = [dict(trial.hyperparameters.values) for trial in trials]
    for values in proposed:
        values.pop("build", None)  # It is another one in every program.
    return proposed


# Spaces in which a definition depends on one or two others.


def _maximum(hp: Any) -> None:
    first = hp.Int("first", 4, 32, step=4)
    hp.Int("second", 2, first)


def _minimum(hp: Any) -> None:
    hp.Float("rate", 0.1, 1.0)
    first = hp.Int("first", 1, 8)
    hp.Int("second", first, 16)


def _step(hp: Any) -> None:
    first = hp.Int("first", 1, 8)
    hp.Int("second", 0, 64, step=first)


def _choices(hp: Any) -> None:
    first = hp.Choice("first", ["small", "large"])
    sizes = {"small": [1, 2, 3], "large": [10, 20, 30]}
    hp.Choice("second", sizes[first])


def _default(hp: Any) -> None:
    first = hp.Int("first", 1, 8)
    hp.Int("second", 1, 8, default=first)


def _sampling(hp: Any) -> None:
    is_wide = hp.Boolean("is_wide")
    hp.Int("second", 1, 64, sampling="log" if is_wide else "linear")


def _fixed(hp: Any) -> None:
    first = hp.Int("first", 1, 100)
    second = hp.Int("second", 1, 100)
    hp.Fixed("size", first * second)


def _own_value(hp: Any) -> None:
    hp.Int("first", 1, 100)
    _own_value.builds += 1
    hp.Fixed("build", _own_value.builds)


_own_value.builds = 0


def _two(hp: Any) -> None:
    first = hp.Int("first", 2, 16)
    second = hp.Int("second", 2, 16)
    hp.Int("third", 1, first + second)


def _two_kinds(hp: Any) -> None:
    kind = hp.Choice("kind", ["a", "b", "c"])
    first = hp.Int("first", 2, 16)
    low = {"a": 1, "b": 2, "c": 3}[kind]
    hp.Float("third", low, low + first, step=0.5)


def _in_a_scope(hp: Any) -> None:
    first = hp.Int("first", 2, 16)
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Int("second", 1, first)


def _on_the_scope(hp: Any) -> None:
    kind = hp.Choice("kind", ["a", "b", "c"])
    with hp.conditional_scope("kind", ["b", "c"]):
        hp.Int("second", 1, 8 if kind == "c" else 16)
        hp.Boolean("more")


def _in_an_if(hp: Any) -> None:
    first = hp.Int("first", 2, 16)
    if hp.Boolean("switch"):
        hp.Int("second", 1, first)


def _of_a_chain(hp: Any) -> None:
    size = 64
    for index in range(4):
        size = hp.Int(f"size_{index}", 2, max(2, size))


DEPENDENT = [
    *(_maximum, _minimum, _step, _choices, _default, _sampling, _fixed),
    *(_own_value, _two, _two_kinds, _in_a_scope, _on_the_scope, _in_an_if),
    _of_a_chain,
]


@pytest.mark.parametrize("build", DEPENDENT)
@pytest.mark.parametrize("cut", [1, 2, 5])
@pytest.mark.parametrize("seed", range(2))
def test_a_search_over_dependent_ranges_goes_on(
    build: Build, cut: int, seed: int, tmp_path: pathlib.Path
) -> None:
    whole = _search(tmp_path / "whole", build, 16, seed)
    _search(tmp_path / "cut", build, cut, seed)
    _search(tmp_path / "cut", build, cut + 2, seed)
    again = _search(tmp_path / "cut", build, 16, seed)
    assert _proposed(again) == _proposed(whole)


def test_what_varies_is_recorded_once(tmp_path: pathlib.Path) -> None:
    for max_trials in (5, 10):
        _search(tmp_path, _maximum, max_trials, seed=0)
    events = SearchRecord(tmp_path / "search").read().events
    varying = [name for e in events for name in getattr(e, "varying", ())]
    assert varying == ["second"]


def test_a_space_that_is_always_the_same_is_recorded_as_before(
    tmp_path: pathlib.Path,
) -> None:
    _search(tmp_path, _static(), 5, seed=0)
    text = (tmp_path / "search" / "evolution.jsonl").read_text()
    assert "varying" not in text


# Spaces that changed.


def _static(**changes: Any) -> Build:
    """A space in which one definition may be another one."""
    definitions = {
        "kind": ("Choice", (["a", "b"],), {}),
        "units": ("Int", (8, 64), {"step": 8}),
        "rate": ("Float", (1e-4, 1.0), {"sampling": "log"}),
        "depth": ("Int", (1, 6), {}),
        "deep": ("Boolean", (), {}),
    }
    definitions.update(changes)

    def build(hp: Any) -> None:
        for name, (kind, arguments, settings) in definitions.items():
            getattr(hp, kind)(name, *arguments, **settings)

    return build


CHANGES = {
    "kind": [("Choice", (["a", "b", "c"],), {}), ("Boolean", (), {})],
    "units": [
        ("Int", (8, 128), {"step": 8}),
        ("Int", (16, 64), {"step": 8}),
        ("Int", (8, 64), {"step": 4}),
        ("Int", (8, 64), {"step": 8, "default": 32}),
    ],
    "rate": [
        ("Float", (1e-4, 0.1), {"sampling": "log"}),
        ("Float", (1e-4, 1.0), {}),
    ],
    "depth": [("Int", (1, 3), {}), ("Fixed", (3,), {})],
    "deep": [("Boolean", (), {"default": True}), ("Choice", (["x"],), {})],
}


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for name, many in CHANGES.items() for change in many],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_definition_is_refused(
    name: str, change: Any, seed: int, tmp_path: pathlib.Path
) -> None:
    _search(tmp_path, _static(), 8, seed)
    with pytest.raises(
        keras_tuner.errors.FatalValueError, match=f"'{name}' was"
    ):
        _search(tmp_path, _static(**{name: change}), 20, seed)
    # Before anything of the other space has ended.
    events = SearchRecord(tmp_path / "search").read().events
    assert sum(hasattr(event, "values") for event in events) == 8


def _explored_again(folder: pathlib.Path, build: Build) -> None:
    """What `EvoTuner` does on a folder before it searches."""
    oracle = EvoOracle(
        keras_tuner.Objective("default_objective", "min"),
        max_trials=9,
        strategy=random_search(),
    )
    oracle._set_project_dir(folder, "search")
    oracle.reload()
    oracle.check_space(explored(build))


@pytest.mark.parametrize("build", DEPENDENT)
@pytest.mark.parametrize("cut", [1, 4])
def test_exploring_dependent_ranges_again_finds_no_change(
    build: Build, cut: int, tmp_path: pathlib.Path
) -> None:
    _search(tmp_path, build, cut, seed=0)
    _explored_again(tmp_path, build)


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for name, many in CHANGES.items() for change in many],
)
def test_exploring_a_changed_space_finds_the_change(
    name: str, change: Any, tmp_path: pathlib.Path
) -> None:
    _search(tmp_path, _static(), 1, seed=0)
    with pytest.raises(ValueError, match=f"'{name}' was"):
        _explored_again(tmp_path, _static(**{name: change}))


# Hyperparameters that were renamed.


def _renamed(old: str) -> Build:
    def build(hp: Any) -> None:
        names = [x.replace(old, "renamed") for x in ("first", "second")]
        for name in names:
            hp.Int(name, 1, 3)

    return build


@pytest.mark.parametrize("seed", range(3))
def test_a_renamed_hyperparameter_is_refused(
    seed: int, tmp_path: pathlib.Path
) -> None:
    _search(tmp_path, _renamed("none"), 4, seed)
    with pytest.raises(
        keras_tuner.errors.FatalValueError, match="'renamed' is new"
    ):
        _search(tmp_path, _renamed("first"), 8, seed)


def test_a_hyperparameter_that_may_be_renamed_is_warned_of(
    tmp_path: pathlib.Path,
) -> None:
    def build(name: str) -> Build:
        def build(hp: Any) -> None:
            hp.Float("rate", 0.0, 1.0)
            hp.Int(name, 1, 3)

        return build

    _search(tmp_path, build("units"), 3, seed=0)
    with pytest.warns(UserWarning, match=r"\['width'\].*\['units'\]"):
        _search(tmp_path, build("width"), 5, seed=0)


@pytest.mark.parametrize("cut", range(1, 8))
def test_what_only_some_networks_ask_for_is_no_new_name(
    cut: int, tmp_path: pathlib.Path
) -> None:
    def build(hp: Any) -> None:
        for index in range(hp.Int("depth", 1, 6)):
            hp.Int(f"units_{index}", 1, 9)

    whole = _search(tmp_path / "whole", build, 9, seed=1)
    _search(tmp_path / "cut", build, cut, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = _search(tmp_path / "cut", build, 9, seed=1)
    assert _proposed(again) == _proposed(whole)
