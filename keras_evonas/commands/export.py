"""Writes all trials as CSV: `python -m keras_evonas export FOLDER`.

Each trial is one line: status, objectives, parents, hyperparameters, metrics
and costs.
"""

import json
import sys

from absl import flags

from keras_evonas.project.reading import load

_CSV = flags.DEFINE_string(
    "csv", None, "Where to write. Defaults to printing the table."
)


def main(folder: str) -> None:
    """Writes the trials of a search as CSV."""
    export(folder, _CSV.value)


def export(folder: str, path: str | None) -> None:
    """Writes the trials of a folder as CSV, to the screen without a path."""
    table = load(folder).to_dataframe()
    for name in ("parents", "curves"):
        if name in table:
            table[name] = [json.dumps(cell) for cell in table[name]]
    table = table.map(_harmless)
    table.to_csv(sys.stdout if path is None else path, index=False)
    if path is not None:
        print(f"wrote {path}: {len(table)} trials")


def _harmless(cell: object) -> object:
    """Returns a cell that a spreadsheet does not run as a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t")):
        return f"'{cell}"
    return cell
