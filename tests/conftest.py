"""What all tests share."""

import os

# The matrices here are small: threads would only wait for each other, most of
# all where several test processes share a machine. Read when NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_ignore_collect(collection_path, config):
    """Leaves modules that need Keras alone when `-m "not keras"` is asked for.

    pytest would import them before it deselects them, which takes seconds,
    and fails where there is no TensorFlow.
    """
    if config.option.markexpr != "not keras":
        return None
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return True if "\npytestmark = pytest.mark.keras" in text else None
