"""Writes the report of a search: `python -m keras_evonas report FOLDER`.

FOLDER is the project folder, `directory/project_name` of the tuner. The search
may be running, finished or dead; the folder is only read, but for the report.
"""

from absl import flags

from keras_evonas.project.reading import load
from keras_evonas.reports.page import render_to

_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write. Defaults to report.html in FOLDER."
)
_TEXT = flags.DEFINE_bool("text", False, "Print the summary and write nothing.")


def main(folder: str) -> None:
    """Prints the summary of a search and writes its report."""
    search = load(folder)
    print(search.summary())
    if not _TEXT.value:
        print(f"wrote {render_to(search, _OUTPUT.value)}")
