"""Writes all trials as CSV: `python -m keras_evonas export FOLDER`.

Each network is one line, however often its training was continued: status,
objectives, parents, hyperparameters, metrics and costs. With `--optuna=URL`
they are written into an Optuna storage instead, which `optuna-dashboard` shows;
those that are there already are left alone.
"""

import json
import pathlib
import sys

from absl import flags

from keras_evonas.project import option_weights
from keras_evonas.project.reading import load

_CSV = flags.DEFINE_string(
    "csv", None, "Where to write. Defaults to printing the table."
)
_OPTUNA = flags.DEFINE_string(
    "optuna",
    None,
    "The URL of an Optuna storage to write to, such as sqlite:///search.db.",
)


def main(folder: str) -> None:
    """Writes the trials of a search as CSV, or into an Optuna storage."""
    if _OPTUNA.value is not None:
        # Optuna is an extra, which a table does without.
        from keras_evonas.optuna.mirror import mirror

        search = load(folder)
        added = mirror(search, _OPTUNA.value)
        print(f"wrote {added} trials into the study '{search.name}'")
    if _OPTUNA.value is None or _CSV.value is not None:
        export(folder, _CSV.value)


def export(folder: str, path: str | None) -> None:
    """Writes the trials of a folder as CSV, to the screen without a path."""
    search = load(folder)
    if not search.trials:
        weights = pathlib.Path(folder, option_weights.FILE_NAME)
        kept = f" The weights of options are in '{weights}'."
        sys.exit(
            f"'{folder}' holds no trials to write."
            + (kept if weights.exists() else "")
        )
    table = search.to_dataframe()
    for name in ("parents", "trainings", "curves"):
        if name in table:
            table[name] = [json.dumps(cell) for cell in table[name]]
    table = table.map(_harmless)
    try:
        table.to_csv(sys.stdout if path is None else path, index=False)
    except OSError as error:
        if path is None:
            raise
        sys.exit(
            "`--csv` must name a file in a folder that exists. Received: "
            f"{path!r}, which gives: {error}"
        )
    if path is not None:
        print(f"wrote {path}: {len(table)} trials")


def _harmless(cell: object) -> object:
    """Returns a cell that a spreadsheet does not run as a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t")):
        return f"'{cell}"
    return cell
