"""What the commands share: one project folder as their argument."""

import sys
from collections.abc import Callable
from collections.abc import Sequence

from absl import app


def run_on_folder(argv: Sequence[str], command: Callable[[str], None]) -> None:
    """Runs a command on the folder that the command line names."""
    if len(argv) != 2:
        raise app.UsageError(
            f"Name one project folder. Received: {list(argv[1:])}."
        )
    try:
        command(argv[1])
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
