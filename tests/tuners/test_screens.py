"""Lines in a real notebook: one display that is updated."""

import pathlib
import types

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

from keras_evonas.tuners.progress import Notebook  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
CODE = """
from keras_evonas.tuners.progress import Progress
progress = Progress("loss", "min", verbose=1, total=40)
for number in range(40):
    progress.training(2)
    progress.ended(number / 10, params=number)
progress.say("<b>")
progress.training(1)
progress.conclude("what the cell returns")
Progress("loss", "min", verbose=0).say("silent")
"""


def test_only_the_last_lines_are_seen():
    updated = []
    handle = types.SimpleNamespace(update=updated.append)
    screen = Notebook(lambda *_, display_id: handle)
    screen.line("a\nb")
    assert repr(screen) == "a\nb"
    for number in range(20):
        screen.line(f"line {number}")
    screen.status("training ...")
    assert updated == [screen] * 21
    shown = repr(screen).splitlines()
    assert shown[0] == "(7 lines above)"
    assert shown[1:-1] == [f"line {number}" for number in range(5, 20)]
    assert shown[-1] == "training ..."


# jupyter_client and zmq leave sockets and loops to the garbage collector.
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_has_one_display_that_is_updated(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    nbclient.NotebookClient(notebook, timeout=60).execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    text = output.data["text/plain"]
    assert text.splitlines()[0] == "(26 lines above)"
    assert "[39/40] loss 3.8 (best 0) 38 params" in text
    assert text.splitlines()[-1] == "training 1 network ..."
    assert "what the cell returns" not in text
    html = output.data["text/html"]
    assert html.startswith("<pre>")
    assert "&lt;b&gt;" in html
