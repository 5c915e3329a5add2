"""The job scripts for Slurm, run on this machine with two workers."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord

pytestmark = [pytest.mark.keras, pytest.mark.slow]
ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "slurm"
# Stands in for Slurm: two tasks of a command, which end when it is ended.
SRUN = """#!/bin/bash
for task in 0 1; do
  SLURM_PROCID=$task "$@" &
  tasks="$tasks $!"
done
trap 'kill $tasks' TERM
failed=0
for one in $tasks; do
  wait $one || failed=1
done
wait
exit $failed
"""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _submit(folder: pathlib.Path, script: str, **environment: str) -> str:
    """Runs a job script as `sbatch` would, and returns what it prints."""
    programs = folder / "bin"
    programs.mkdir()
    srun = programs / "srun"
    srun.write_text(SRUN, encoding="utf-8")
    srun.chmod(0o755)
    here = pathlib.Path(sys.executable).parent
    search = "in_process" if "chief" in script else "ray"
    done = subprocess.run(
        [
            *("bash", str(SCRIPTS / script), str(ROOT / "examples/workers.py")),
            *(f"--executor={search}", "--address=auto", "--max_trials=4"),
            *("--epochs=1", f"--directory={folder}"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "PATH": f"{programs}:{here}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_JOB_ID": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    logs = [path.read_text("utf-8") for path in folder.glob("ray-*.log")]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    return done.stdout


def _ends(folder: pathlib.Path) -> list[End]:
    events = SearchRecord(folder / "workers").read().events
    return [event for event in events if isinstance(event, End)]


def test_a_chief_and_two_workers(tmp_path: pathlib.Path) -> None:
    said = _submit(
        tmp_path,
        "chief_and_workers.sh",
        KERASTUNER_ORACLE_IP="127.0.0.1",
        KERASTUNER_ORACLE_PORT=str(_free_port()),
    )
    assert [end.status for end in _ends(tmp_path)] == ["COMPLETED"] * 4
    workers = {end.worker.partition("-")[0] for end in _ends(tmp_path)}
    assert workers <= {"worker0", "worker1"}
    # The chief and both workers know the best.
    assert len(re.findall(r"the best: 0\.\d{4}, trial \d", said)) == 3


def test_ray_with_a_token_on_two_nodes(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ray", reason="needs ray: the extra [ray]")
    said = _submit(
        tmp_path,
        "on_ray.sh",
        RAY_HEAD="127.0.0.1",
        RAY_PORT=str(_free_port()),
    )
    assert [end.status for end in _ends(tmp_path)] == ["COMPLETED"] * 4
    workers = {end.worker.partition("-lane")[0] for end in _ends(tmp_path)}
    assert len(workers) == 2, workers
    assert "4 networks by Ray(workers=2" in said
