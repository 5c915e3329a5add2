"""Imports point one way, and heavy ones stay at the edge."""

import ast
import pathlib
import subprocess
import sys

import pytest

import keras_evonas

ROOT = pathlib.Path(keras_evonas.__file__).parent
HEAVY = {"keras", "keras_tuner", "tensorflow"}
UNSAFE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}


def _imports(path):
    """Names of all that a file imports, inside functions, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


IMPORTS = {module: _imports(path) for module, path in MODULES.items()}


def _is_within(name, *packages):
    return any(name == p or name.startswith(f"{p}.") for p in packages)


def _offences(package, is_forbidden):
    """Pairs of a module of the package and what it should not import."""
    return [
        (module, name)
        for module, names in IMPORTS.items()
        if _is_within(module, f"keras_evonas.{package}")
        for name in sorted(names)
        if is_forbidden(name)
    ]


def test_evolution_knows_only_itself_and_numbers():
    allowed = {*sys.stdlib_module_names, "numpy", "scipy"}
    assert not _offences(
        "evolution",
        lambda name: not _is_within(name, "keras_evonas.evolution", *allowed),
    )


@pytest.mark.parametrize("package", ["models", "training"])
def test_training_knows_nothing_of_the_search(package):
    search = ("keras_evonas.evolution", "keras_evonas.oracles.oracle")
    assert not _offences(package, lambda name: _is_within(name, *search))


def test_oracles_know_nothing_of_tuners():
    tuners = ("keras_evonas.tuners", "keras_evonas.training")
    assert not _offences("oracles", lambda name: _is_within(name, *tuners))


def test_reports_need_no_keras():
    assert not _offences("reports", lambda name: _is_within(name, *HEAVY))


def test_executors_know_nothing_of_what_they_run():
    assert not _offences(
        "execution",
        lambda name: (
            _is_within(name, "keras_evonas", *HEAVY)
            and not _is_within(name, "keras_evonas.execution")
        ),
    )


def test_only_public_names_of_the_host_are_imported():
    private = {"keras.src", "keras_tuner.src", "tensorflow.python"}
    everything = [
        (module, name)
        for module, names in IMPORTS.items()
        for name in names
        if _is_within(name, *private)
    ]
    # A leak of TensorFlow's that no public name can stop.
    leak = "keras_evonas.training.gradients"
    assert everything == [(leak, "tensorflow.python.framework.ops")]


def test_opening_a_project_runs_no_code():
    for module, path in MODULES.items():
        assert not {n.split(".")[0] for n in IMPORTS[module]} & UNSAFE, module
        assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


def test_the_light_parts_load_no_keras():
    light = [
        module.removesuffix(".__init__")
        for module in MODULES
        if module
        in ("keras_evonas.__init__", "keras_evonas.benchmarks.__init__")
        or _is_within(
            module,
            "keras_evonas.commands",
            "keras_evonas.evolution",
            "keras_evonas.execution",
            "keras_evonas.reports",
        )
        or (
            _is_within(module, "keras_evonas.testing")
            and module != "keras_evonas.testing.oracles"
        )
    ]
    code = f"import sys, {', '.join(light)}; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    loaded = set(output.split())
    assert set(light) <= loaded
    assert not HEAVY & loaded
