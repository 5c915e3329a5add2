"""The supernet in a project folder, whose weights networks are scored with."""

# The folder of the supernet inside of the project folder, and the file that
# says what it is, how far it is trained and which file has its weights.
FOLDER = "supernet"
STATE_NAME = "supernet.json"


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
