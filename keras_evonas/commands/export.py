"""All trials as CSV: `python -m keras_evonas export FOLDER [--csv FILE]`.

One line a trial: status, objectives, parents, hyperparameters, metrics, costs.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_evonas.commands.folders import run_on_folder
from keras_evonas.project.reading import load

_CSV = flags.DEFINE_string(
    "csv", None, "Where to write. Defaults to printing the table."
)


def main(argv: Sequence[str]) -> None:
    """Writes the trials of a search as CSV."""
    run_on_folder(argv, lambda folder: export(folder, _CSV.value))


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


def _harmless(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t")):
        return f"'{cell}"
    return cell
