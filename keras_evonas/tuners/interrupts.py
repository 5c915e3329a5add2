"""How a search is stopped by hand, and how it says that it can go on."""

import contextlib
from collections.abc import Iterator
from typing import Any

from keras_evonas.project.resuming import how_to_resume


@contextlib.contextmanager
def interruptible(tuner: Any) -> Iterator[None]:
    """Lets go of the project folder at the end of a search, however it ends.

    After Ctrl-C the networks that are being trained are abandoned: they begin
    again when the search goes on. All that have ended are on the disk.

    Args:
        tuner: The tuner that searches.
    """
    release = getattr(tuner._local_oracle, "release_folder", lambda **_: None)
    try:
        yield
    except KeyboardInterrupt:
        release(reread=True)
        oracle = tuner._local_oracle
        print(
            f"\nInterrupted. {len(oracle.end_order)} trials are saved in "
            f"'{tuner.project_dir}'; those that were running begin again. "
            f"{how_to_resume(tuner.project_dir)}",
            flush=True,
        )
        raise
    except BaseException:
        release(reread=True)
        raise
    else:
        release()
