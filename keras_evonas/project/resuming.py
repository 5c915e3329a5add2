"""Says how a search goes on: its user runs its program again.

A project folder is data. It says which program searched, as text to be read;
nothing here runs it.
"""

import os
import shlex

from keras_evonas.project.lock import Holder
from keras_evonas.project.lock import holder_of


def how_to_resume(folder: str | os.PathLike[str]) -> str:
    """Returns what to type for the search of a folder to go on."""
    holder = holder_of(folder)
    if holder is None or not holder.command:
        return (
            "Run the program that made the tuner again: the search goes on "
            "from there."
        )
    if _is_interactive(holder):
        return (
            "It was begun in a notebook or by hand: make the tuner again, and "
            "call its `search`."
        )
    return f"To go on, run:\n{command_of(holder)}"


def command_of(holder: Holder) -> str:
    """Returns the command line of a search, quoted for a shell."""
    line = " ".join(shlex.quote(_printable(word)) for word in holder.command)
    if holder.directory is not None:
        line = f"cd {shlex.quote(_printable(holder.directory))} && {line}"
    return f"    {line}"


def _is_interactive(holder: Holder) -> bool:
    notebooks = ("ipykernel", "ipython", "jupyter", "colab_kernel")
    words = [os.path.basename(word) for word in holder.command[1:4]]
    return (
        not words
        or "-c" in words
        or any(word.startswith(notebooks) for word in words)
    )


def _printable(text: str) -> str:
    """Replaces what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
