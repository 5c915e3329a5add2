"""What all tests share."""


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
