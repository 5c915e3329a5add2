"""Damaged project folders, and what an oracle makes of them."""

import pathlib
import warnings

from tests.searches import oracle_in

TRIALS = 8


def open_and_ask(folder: pathlib.Path) -> Exception | None:
    """Makes a tuner's first steps in a folder; the clear error if there is one.

    Any other exception passes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            oracle = oracle_in(folder, max_trials=TRIALS)
            if (folder / "tuner0.json").exists():  # As keras-tuner does it.
                oracle.reload()
            trial = oracle.create_trial("tuner0")
            if trial.status == "RUNNING":
                oracle.update_trial(trial.trial_id, {"score": 1.0})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
        except (ValueError, RuntimeError) as error:
            return error
    return None


def is_kept(content: bytes, path: pathlib.Path) -> bool:
    """Whether a file's content is still there, under whatever name."""
    candidates = [path, *path.parent.glob(f"{path.name}.damaged-*")]
    if path.name == "evolution.jsonl":
        # What a kill left of the last line is cut off, and lines are added.
        lines = content[: content.rfind(b"\n") + 1] or content
        return path.exists() and path.read_bytes().startswith(lines)
    return any(c.exists() and c.read_bytes() == content for c in candidates)
