"""The notebooks, executed in the fast mode that they read."""

import os
import pathlib

import jupyter_client
import nbclient
import nbformat
import pytest

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # Of the event loop, which jupyter_client leaves to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "tutorials").glob("*.ipynb"))
# What each must print.
SAYS = {
    "01_evolve_digits": "held-out accuracy",
    "02_evolution_on_one_page": "random search: best loss after",
    "03_from_the_classic_loop": "held-out accuracy",
    "04_convolutions": "held-out accuracy",
    "05_accuracy_and_size": "<- the knee",
    "06_your_existing_hypermodel": "space exhausted: 14 of 14",
    "07_your_own_operator": "30 passed",
    "08_cohorts": "all losses and accuracies are equal",
    "09_executors": "2 trials, all of them {'COMPLETED'}",
    "10_shared_weights": "the frozen path did not move",
}
# Left to the slow tests, which run all of them from clean kernels.
RARE = (
    *("03_from_the_classic_loop", "04_convolutions", "05_accuracy_and_size"),
    *("06_your_existing_hypermodel", "07_your_own_operator", "08_cohorts"),
    "09_executors",
    "10_shared_weights",
)
ENVIRONMENT = {
    **os.environ,
    "EVONAS_FAST": "1",
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
# Run in the kernel before each notebook. What is there by then, TensorFlow
# above all, is spared the collections of garbage that keras-tuner makes.
_CLEAN = """
%reset -f
import matplotlib.pyplot as plt
import gc, os
plt.close("all")
os.chdir({folder!r})
gc.set_threshold(50_000, 20, 50)
gc.collect()
gc.freeze()
%reset -f
"""


def read(path):
    return nbformat.read(path, as_version=4)


def execute(path, kernel, folder):
    """What a notebook prints in a kernel that forgets what came before."""
    notebook = read(path)
    preface = nbformat.v4.new_code_cell(_CLEAN.format(folder=str(folder)))
    notebook.cells.insert(0, preface)
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=300)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()
    return printed(notebook)


def printed(notebook):
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One for all notebooks: TensorFlow takes longer to load than they do."""
    kernel = jupyter_client.KernelManager(kernel_name="python3")
    folder = str(tmp_path_factory.mktemp("k"))
    kernel.start_kernel(env={**ENVIRONMENT, "TMPDIR": folder}, cwd=folder)
    yield kernel
    kernel.shutdown_kernel(now=True)


def test_every_notebook_installs_what_is_absent_first():
    first = {
        next(
            cell.source for cell in read(path).cells if cell.cell_type == "code"
        )
        for path in NOTEBOOKS
    }
    assert len(first) == 1
    assert "%pip install" in first.pop()


def test_every_notebook_is_enrolled():
    assert {path.stem for path in NOTEBOOKS} == set(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert any("EVONAS_FAST" in cell.source for cell in notebook.cells)


@pytest.mark.parametrize(
    "path",
    [path for path in NOTEBOOKS if path.stem not in RARE],
    ids=lambda path: path.stem,
)
def test_notebook_runs(path, kernel, tmp_path):
    assert SAYS[path.stem] in execute(path, kernel, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):
    monkeypatch.setenv("EVONAS_FAST", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = read(path)
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    assert SAYS[path.stem] in printed(notebook)
