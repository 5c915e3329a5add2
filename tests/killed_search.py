"""Searches in one folder, killed again and again, and in another in peace.

Run as a script: `killed_search.py FOLDER`. Processes are forked, so that
Keras is imported once.
"""

import os
import pathlib
import random
import select
import shutil
import signal
import sys
from typing import Any

from keras_evonas.oracles.record import End
from keras_evonas.oracles.record import SearchRecord
from tests.searches import Search

_KILLS = 20
_SETTINGS: dict[str, Any] = {
    "failing": True,
    "growing": True,
    "max_retries_per_trial": 1,
    "tuners": 2,
}


def search_on(folder: pathlib.Path) -> None:
    """Searches to the end, whatever the folder holds."""
    search = Search(folder, **_SETTINGS)
    record = SearchRecord(folder)
    events = record.read().events if record.exists() else []
    # Whether a run is the first one decides whether it fails.
    search.runs = [
        (event.trial_id, event.status)
        for event in events
        if isinstance(event, End)
    ]
    search.finish()


def is_killed(folder: pathlib.Path, seconds: float | None) -> bool:
    """Searches in another process, and kills it if it takes so long."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            search_on(folder)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)  # The child holds the other end until it is gone.
    is_over = bool(select.select([reading], [], [], seconds)[0])
    if not is_over:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(reading)
    if is_over and status:
        sys.exit("the search failed")
    return not is_over


def main(folder: pathlib.Path) -> None:
    """Searches under fire and in peace, and counts the kills."""
    dice, longest, kills = random.Random(0), 0.4, 0
    while kills < _KILLS:
        if is_killed(folder / "killed", dice.uniform(0, longest)):
            kills += 1
        else:  # Too fast to be killed: begin anew.
            shutil.rmtree(folder / "killed")
            longest, kills = longest / 2, 0
    is_killed(folder / "killed", None)
    search_on(folder / "uncut")
    print(f"kills: {kills}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
