"""The command that installs the package with what its parts need."""

# No release is on PyPI yet. When one is, this becomes
# `pip install "keras-evonas[{extra}]"`, in README.md and docs, too.
_COMMAND = '`pip install -e ".[{extra}]"` in a clone of keras_evonas'


def how_to_install(extra: str) -> str:
    """Returns the command that installs an extra, and where to run it."""
    return _COMMAND.format(extra=extra)
