"""Why a search has ended, kept for who reads its folder later."""

import os
import pathlib

from keras_evonas.project.files import write_json

FILE_NAME = "stopped.json"


def write(folder: str | os.PathLike[str], reason: str, trials: int) -> None:
    """Writes why a search ended when so many trials had begun."""
    content = {"reason": reason, "trials": trials}
    write_json(pathlib.Path(folder, FILE_NAME), content, durable=False)


def reason_of(content: object, trials: int) -> str | None:
    """Returns the reason in a file's content, `None` if the search went on."""
    if not isinstance(content, dict) or content.get("trials") != trials:
        return None
    reason = content.get("reason")
    return reason if isinstance(reason, str) else None
