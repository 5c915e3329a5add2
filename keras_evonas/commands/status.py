"""Prints the state of a search: `python -m keras_evonas status FOLDER`.

The search may be running, finished or dead; the folder is only read.
"""

import datetime
import shlex

from keras_evonas.project.lock import Holder
from keras_evonas.project.lock import holder_of
from keras_evonas.project.reading import load
from keras_evonas.project.search import Search


def main(folder: str) -> None:
    """Prints the state of a search."""
    print(status_of(folder))


def status_of(folder: str) -> str:
    """Describes the state of the search of a folder in a few lines."""
    search = load(folder)
    state = _state(search, holder_of(folder), folder)
    lines = [state, search.headline()]
    if search.best is not None:
        best = f"trial {search.best.trial_id}, {search.describe(search.best)}"
        lines.append(f"{search.none_feasible or 'Best so far:'} {best}")
    if search.chosen is not None:
        said = search.describe_finalist(search.chosen)
        lines.append(f"Chosen: {search.chosen.name}, {said}")
    if search.option_weights is not None:
        weights = "; ".join(search.option_weights.lines())
        lines.append(f"Options that weigh most: {weights}")
    if search.last_failure is not None:
        lines.append(search.last_failure)
    return "\n".join([*lines, *(f"Note: {note}" for note in search.notes)])


def _state(search: Search, holder: Holder | None, folder: str) -> str:
    if holder is not None and holder.is_running:
        since = ""
        if holder.since is not None:
            began = datetime.datetime.fromtimestamp(holder.since)
            since = f" since {began:%Y-%m-%d %H:%M}"
        return f"Running in {holder}{since}."
    if search.finished is not None:
        return search.finished
    if search.option_weights is not None and not search.trials:
        return "Running, or interrupted: call `search` again to go on."
    if holder is None and not search.evolved:
        return (
            "Running, or interrupted: keras-tuner's folders do not say. Run "
            "its program again to go on."
        )
    command = f"python -m keras_evonas resume {shlex.quote(str(folder))}"
    return f"Not running. To go on: `{command}`"
