"""Prints how a search goes on: `python -m keras_evonas resume FOLDER`.

A search is made by a program of the user's, which the folder names. This
prints the command for the user to read and run, and runs nothing itself.
"""

from keras_evonas.project.lock import holder_of
from keras_evonas.project.lock import how_to_resume
from keras_evonas.project.reading import load


def main(folder: str) -> None:
    """Prints how to run the search of a folder again."""
    search = load(folder)
    holder = holder_of(folder)
    if holder is not None and holder.is_running:
        print(f"The search is running, in {holder}.")
        return
    if search.finished is not None:
        print(search.finished)
        if not search.trials:
            return
        print("It goes on if its limits are raised.")
    print(how_to_resume(folder))
