"""What all tests share."""

import gc
import os
import pathlib
import sys

import pytest

# The matrices here are small: threads would only wait for each other, most of
# all where several test processes share a machine. Read when NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Traced graphs are many small objects, nearly all of which stay.
gc.set_threshold(50_000, 20, 50)

_CORE = pathlib.Path(__file__).parent / "evolution"
# The longest files, begun first: at the end, each would keep one process busy
# while the others have nothing left.
_LONGEST = (
    "test_tutorials.py",
    "test_examples.py",
    "test_tuner.py",
    "test_tuner_goals.py",
    "test_cohort.py",
    "test_own_methods.py",
)


def pytest_configure(config):
    """Lets pytest-xdist keep the order of files, as from 3.7 on it can."""
    config.option.loadscopereorder = False


def pytest_ignore_collect(collection_path, config):
    """Leaves modules alone that `-m "not keras"` or `-m pure` deselects.

    pytest would import them before it deselects them, which takes seconds,
    and fails where there is no TensorFlow.
    """
    wanted = config.option.markexpr
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    if wanted == "pure":
        in_core = _CORE in collection_path.parents
        left_out = not in_core or "\npytestmark" in text
    elif "not keras" in wanted:
        left_out = "\npytestmark = pytest.mark.keras" in text
    else:
        left_out = False
    return True if left_out else None


def pytest_collection_modifyitems(items):
    """Begins with the longest files, and marks the tests of the pure core."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    for item in items:
        if _CORE in item.path.parents and not any(
            item.iter_markers("thorough")
        ):
            item.add_marker(pytest.mark.pure)


@pytest.fixture(autouse=True, scope="module")
def _spared_collector():
    """Keeps what is there from being looked through at every collection.

    keras-tuner collects garbage before it builds a network, and all that
    TensorFlow is made of takes half a second.
    """
    if "keras" in sys.modules:
        gc.collect()
        gc.freeze()
