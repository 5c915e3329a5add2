"""The supernet in a project folder, whose weights networks are scored with."""

import os
import pathlib

from keras_evonas.project.files import read_json

# The folder of the supernet inside of the project folder, and the file that
# says what it is, how far it is trained and which file has its weights.
FOLDER = "supernet"
STATE_NAME = "supernet.json"


def seed_in(folder: str | os.PathLike[str]) -> int | None:
    """Returns the seed of the supernet in a project folder, if it has one."""
    try:
        seed = read_json(pathlib.Path(folder, FOLDER, STATE_NAME)).get("seed")
    except ValueError:
        return None  # There is none, or reading it tells what is wrong.
    return seed if isinstance(seed, int) else None


def notes_of(state: object) -> list[str]:
    """Returns what a reader must know of scores, by the file's content."""
    if not isinstance(state, dict):
        return []
    epoch = state.get("epoch")
    return [
        "Networks are scored with the shared weights of a supernet that was "
        f"trained for {epoch} epochs. These scores only guess how good a "
        "network is alone: `finalize` trains the best from scratch. The time "
        "of the search is told without the supernet's training."
    ]
