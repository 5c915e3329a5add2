"""Training knows nothing of evolution and oracles."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]

SCRIPT = """
import sys
import keras_evonas.training
found = [
    name
    for name in sys.modules
    if name.startswith(("keras_evonas.evolution", "keras_evonas.oracles"))
    or name.partition(".")[0] in ("keras_tuner", "tensorboard")
]
sys.exit(f"imported {found}" if found else 0)
"""


def test_training_imports_neither_evolution_nor_oracles():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
