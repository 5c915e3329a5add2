"""The notebooks, executed in the fast mode that they read."""

import asyncio
import collections
import os
import pathlib

import nbclient
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager

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
    "07_your_own_operator": "25 passed",
    "08_cohorts": "all losses and accuracies are equal",
    "09_executors": "2 trials, all of them {'COMPLETED'}",
}
ENVIRONMENT = {
    **os.environ,
    "EVONAS_FAST": "1",
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
# Kernels that run side by side. Each runs several notebooks, since importing
# TensorFlow takes longer than most of them.
LANES = 2
_CLEAN = """
%reset -f
import matplotlib.pyplot as plt
import os
plt.close("all")
os.chdir({folder!r})
%reset -f
"""


def read(path):
    return nbformat.read(path, as_version=4)


async def execute(path, kernel, folder):
    """Runs a notebook in a kernel that has forgotten what came before."""
    notebook = read(path)
    preface = nbformat.v4.new_code_cell(_CLEAN.format(folder=str(folder)))
    notebook.cells.insert(0, preface)
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=300)
    try:
        await client.async_execute()
    except nbclient.exceptions.CellExecutionError as error:
        return error
    finally:
        client.kc.stop_channels()
    return printed(notebook)


def printed(notebook):
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


async def execute_all(paths, folder):
    """What each notebook printed, or the error that ended it."""
    waiting = collections.deque(paths)
    outcomes = {}

    async def lane():
        if not waiting:
            return
        kernel = AsyncKernelManager(kernel_name="python3")
        await kernel.start_kernel(env=ENVIRONMENT, cwd=str(folder))
        try:
            while waiting:
                path = waiting.popleft()
                home = folder / path.stem
                home.mkdir()
                outcomes[path] = await execute(path, kernel, home)
        finally:
            await kernel.shutdown_kernel(now=True)

    await asyncio.gather(*(lane() for _ in range(LANES)))
    return outcomes


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    selected = {
        item.callspec.params["path"]
        for item in request.session.items
        if getattr(item, "originalname", None) == "test_notebook_runs"
    }
    folder = tmp_path_factory.mktemp("notebooks")
    return asyncio.run(execute_all(sorted(selected), folder))


def test_every_notebook_is_enrolled():
    assert {path.stem for path in NOTEBOOKS} == set(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert any("EVONAS_FAST" in cell.source for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, outcomes):
    outcome = outcomes[path]
    if isinstance(outcome, Exception):
        raise outcome
    assert SAYS[path.stem] in outcome


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):
    monkeypatch.setenv("EVONAS_FAST", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(path)
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    assert SAYS[path.stem] in printed(notebook)
