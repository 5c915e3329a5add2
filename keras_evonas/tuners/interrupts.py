"""Stopping a search by hand, and saying how it goes on."""

import contextlib
import os
from collections.abc import Iterator

import keras_tuner

from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.lock import how_to_resume


@contextlib.contextmanager
def interruptible(
    oracle: keras_tuner.Oracle, folder: str | os.PathLike[str]
) -> Iterator[None]:
    """Lets go of the project folder at the end of a search, however it ends.

    After Ctrl-C the networks that are being trained are abandoned: they begin
    again when the search goes on. All that have ended are on the disk.

    Args:
        oracle: The oracle of this process.
        folder: The project folder.
    """

    def release(*, reread: bool) -> None:
        if isinstance(oracle, EvoOracle):
            oracle.release_folder(reread=reread)

    try:
        yield
    except KeyboardInterrupt:
        release(reread=True)
        print(
            f"\nInterrupted. {len(oracle.end_order)} trials are saved in "
            f"'{folder}'; those that were running begin again. "
            f"{how_to_resume(folder)}",
            flush=True,
        )
        raise
    except BaseException:
        release(reread=True)
        raise
    else:
        release(reread=False)
