"""Imports point one way, and heavy ones stay at the edge."""

import ast
import collections
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping

import pytest

import keras_evonas

ROOT = pathlib.Path(keras_evonas.__file__).parent
CONTRIBUTING = ROOT.parent / "CONTRIBUTING.md"
HEAVY = {"keras", "keras_tuner", "tensorflow"}
UNSAFE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {
    module: ast.parse(path.read_text(encoding="utf-8"))
    for module, path in MODULES.items()
}
# What the files of each room may import from others. `__init__` is the
# package's own file, which imports nothing before it is asked for a name.
ARROWS = {
    "__init__": set(),
    "__main__": set(),
    "benchmarks": {
        *("__init__", "blas", "evolution", "execution", "hyperparameters"),
        *("installation", "models", "optuna", "oracles", "project"),
        *("sklearn", "supernets", "testing", "training", "tuners"),
    },
    "blas": set(),
    "commands": {"optuna", "project", "reports"},
    "devices": {"keras_settings"},
    "evolution": set(),
    "execution": set(),
    "fresh_thread": {"keras_settings"},
    "garbage": set(),
    "hyperparameters": {"evolution", "project"},
    "installation": set(),
    "keras_settings": set(),
    "models": {"fresh_thread", "hyperparameters", "keras_settings"},
    "optuna": {"blas", "evolution", "project"},
    "oracles": {
        *("blas", "devices", "evolution", "garbage", "hyperparameters"),
        *("models", "project"),
    },
    "project": {"evolution", "installation"},
    "reports": {"__init__", "blas", "evolution", "project"},
    "sklearn": {
        *("evolution", "execution", "models", "oracles", "project"),
        *("training", "tuners"),
    },
    "supernets": {
        *("devices", "evolution", "garbage", "models", "project", "training"),
    },
    "testing": {"evolution", "execution"},
    "training": {"fresh_thread", "garbage", "project"},
    "tuners": {
        *("blas", "devices", "evolution", "execution", "garbage"),
        *("hyperparameters", "keras_settings", "models"),
        *("oracles", "project", "reports", "supernets", "training"),
    },
}
# Sections of CONTRIBUTING.md, and the most files that their first paragraph and
# the whole may name: those that look at a thing, and all that hold it.
WAYS = {"The way of a score": (11, 17), "The way of a value": (6, 15)}


def _imports(module):
    """Names of all that a file imports, inside functions, too."""
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


IMPORTS = {module: _imports(module) for module in MODULES}


def _file_of(name: str) -> str | None:
    """The module of this package that holds an imported name."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in MODULES:
                return module
        name = name.rpartition(".")[0]
    return None


FILES = {
    module: {file for name in names if (file := _file_of(name))} - {module}
    for module, names in IMPORTS.items()
}


def _room(module: str) -> str:
    return module.split(".")[1]


def _circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of more than one node, each of which leads to all others."""
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        ahead = list(arrows[start])
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                ahead += arrows[node]
        reached[start] = seen
    circles = {
        frozenset({node, *(n for n in reached[node] if node in reached[n])})
        for node in arrows
        if node in reached[node]
    }
    return sorted(sorted(circle) for circle in circles)


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
    tensorflow = "tensorflow.python"
    assert sorted(everything) == [
        # No public name makes a variable that has no value.
        (
            "keras_evonas.models.costs.weightless",
            f"{tensorflow}.ops.resource_variable_ops",
        ),
        # A leak of TensorFlow's that no public name can stop.
        ("keras_evonas.training.garbage", f"{tensorflow}.framework.ops"),
    ]


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


def test_circles_are_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"d"}, "e": {"a"}}
    assert _circles(arrows) == [["b", "c"], ["d"]]


def test_no_circle_of_files():
    assert not _circles(FILES)


def test_no_circle_of_folders():
    rooms = collections.defaultdict(set)
    for module, files in FILES.items():
        rooms[_room(module)] |= {_room(f) for f in files} - {_room(module)}
    assert not _circles(rooms)


def test_rooms_import_along_the_arrows():
    assert not _circles(ARROWS)
    assert {_room(module) for module in MODULES} == set(ARROWS)
    against = sorted(
        f"{module} imports {file}"
        for module, files in FILES.items()
        for file in files
        if _room(file) not in {_room(module), *ARROWS[_room(module)]}
    )
    assert not against


def _foreign(module: str) -> Iterator[str]:
    """Accesses to private names of other objects than a method's own."""
    tree = TREES[module]
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    # Documented all the same; ruff allows them, too.
    public = {"_asdict", "_exit", "_fields", "_make", "_replace", "_value_"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        name = node.attr
        if not name.startswith("_") or name.endswith("__") or name in public:
            continue
        value = ast.unparse(node.value)
        if value not in {"self", "cls", "super()", *own}:
            yield f"{module}:{node.lineno} {value}.{name}"


def test_few_private_names_of_others_are_used():
    lines = sum(len(p.read_bytes().splitlines()) for p in MODULES.values())
    foreign = [access for module in MODULES for access in _foreign(module)]
    assert len(foreign) <= 0.5 * lines / 1000, "\n".join(foreign)


def _arguments(module: str) -> Iterator[tuple[str, str]]:
    """Names and annotations of all arguments that have one."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.arg, ast.unparse(node.annotation)


def test_arguments_are_annotated_by_what_they_are():
    arguments = [pair for module in MODULES for pair in _arguments(module)]
    bare = [
        name for name, kind in arguments if "Any" in re.split(r"\s*\|\s*", kind)
    ]
    assert "tuner" not in bare
    assert len(bare) <= 0.05 * len(arguments), collections.Counter(bare)


@pytest.mark.parametrize("title", WAYS)
def test_the_ways_of_the_contributors_page_are_the_imports(title):
    text = CONTRIBUTING.read_text(encoding="utf-8")
    section = re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", text, re.M | re.S)[1]
    named = [
        list(dict.fromkeys(re.findall(r"`([\w/]+\.py)`", part)))
        for part in section.strip().split("\n\n")
    ]
    files = [file for part in named for file in part]
    assert len(files) == len(set(files)), "a file looks, or passes on"
    most_looking, most = WAYS[title]
    assert 2 <= len(named[0]) <= most_looking
    assert len(files) <= most
    way = [f"keras_evonas.{f[:-3].replace('/', '.')}" for f in files]
    assert set(way) <= set(MODULES)
    for number, module in enumerate(way[1:], start=1):
        neighbours = [
            before
            for before in way[:number]
            if before in FILES[module] or module in FILES[before]
        ]
        assert neighbours, f"{module} and what stands before it do not meet"
