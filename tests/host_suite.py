"""A plugin for pytest: keras-tuner's own tests, with our classes put in.

A development check, described in CONTRIBUTING.md. The tests are those of a
clone of keras-tuner, which is no part of this repository. `HOST_CLONE` is its
folder, and `HOST_WITH` says what stands in for what:

* `oracle`: `EvoOracle` for `RandomSearchOracle`, in keras-tuner's tuners;
* `tuner`: `EvoTuner` for `Tuner`, `EvolutionarySearch` for `RandomSearch`;
* nothing: keras-tuner as it is.
"""

import importlib
import importlib.util
import os
import pathlib
import pkgutil
import sys

import keras_tuner
import keras_tuner.src  # The tests are of what keras-tuner keeps private.

import keras_evonas

CLONE = pathlib.Path(os.environ["HOST_CLONE"], "keras_tuner")
WITH = os.environ.get("HOST_WITH", "")


def _put(name, module):
    """Makes a module what an import of a name finds."""
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)


def _use_names_of_the_clone():
    """The wheel has the modules of the repository under `keras_tuner.src`."""
    private = "keras_tuner.src."
    for found in pkgutil.walk_packages(keras_tuner.src.__path__, private):
        if ".protos" in found.name or found.name == f"{private}oracles":
            continue
        module = importlib.import_module(found.name)
        _put(found.name.replace(private, "keras_tuner."), module)
    # The wheel lacks what the tests alone need.
    for name in ("test_utils", "test_utils.mock_distribute"):
        path = CLONE / name.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else f"{path}.py"
        spec = importlib.util.spec_from_file_location(
            f"keras_tuner.{name}", file
        )
        module = importlib.util.module_from_spec(spec)
        _put(spec.name, module)
        spec.loader.exec_module(module)


def _put_ours_in():
    random_search = keras_tuner.tuners.randomsearch
    if WITH == "oracle":
        for place in (keras_tuner.oracles, random_search):
            place.RandomSearchOracle = keras_evonas.EvoOracle
    elif WITH == "tuner":
        for place in (keras_tuner, keras_tuner.engine.tuner):
            place.Tuner = keras_evonas.EvoTuner
        for place in (keras_tuner, keras_tuner.tuners, random_search):
            place.RandomSearch = keras_evonas.EvolutionarySearch


_use_names_of_the_clone()
_put_ours_in()
