"""The outcome of a trained network, whatever cannot be recorded of it."""

import json
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeVar

import keras

from keras_evonas.project.files import WriteError
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.checkpoints import write_weights
from keras_evonas.training.executions import Execution
from keras_evonas.training.executions import Outcome
from keras_evonas.training.own_fit import Fitted
from keras_evonas.training.recording import Recorder

Result = TypeVar("Result")


def completed(
    execution: Execution,
    model: keras.Model,
    fitted: Fitted,
    *,
    recorder: Recorder,
    keeper: BestWeights | None,
    results: Mapping[str, float],
    alone_because: str | None,
) -> Outcome:
    """Returns the outcome of a training that came to its end.

    The best weights are written. An error in this costs what it concerns, and
    leaves a note.

    Args:
        execution: What was trained.
        model: The trained model.
        fitted: The learning curves.
        recorder: The recorder of the logs.
        keeper: The keeper of the best weights, or `None`.
        results: See `Outcome`.
        alone_because: See `Outcome`.

    Raises:
        WriteError: If the disk is full or broken.
    """
    notes = [*fitted.notes, *_left_out(recorder)]
    written = keeper is not None and _spared(
        lambda: _write(execution, model, fitted, keeper),
        "Its weights cannot be saved",
        notes,
    )
    return Outcome(
        name=execution.name,
        status="completed",
        curves=fitted.curves,
        params=_spared(
            lambda: sum(math.prod(w.shape) for w in model.weights),
            "Its parameters cannot be counted",
            notes,
        ),
        has_checkpoint=bool(written),
        build_config=_spared(
            lambda: _as_json(model.get_build_config()),
            "The shape of its inputs cannot be saved",
            notes,
        ),
        results=results,
        alone_because=alone_because,
        notes=tuple(notes),
    )


def _write(
    execution: Execution,
    model: keras.Model,
    fitted: Fitted,
    keeper: BestWeights,
) -> bool:
    """Writes the best weights, and returns whether it did."""
    path, bar = str(execution.checkpoint), execution.bar
    if not fitted.is_recorded:
        write_weights(model, path)
        return True
    if bar is not None and not keeper.loss(of_all=fitted.of_all) < bar:
        return False
    return keeper.write(path, of_all=fitted.of_all)


def _left_out(recorder: Recorder) -> list[str]:
    return [
        f"The log '{name}' is left out of the learning curves: it is of type "
        f"{kind}, where a number or an array of numbers can be kept."
        for name, kind in recorder.left_out.items()
    ]


def _spared(
    action: Callable[[], Result], what: str, notes: list[str]
) -> Result | None:
    """Runs an action whose error is noted and costs nothing else."""
    try:
        return action()
    except WriteError:
        raise
    except Exception as error:
        notes.append(f"{what}: {type(error).__name__}: {error}")
        return None


def _as_json(
    config: Mapping[str, object] | None,
) -> Mapping[str, object] | None:
    json.dumps(config)  # It raises what a file cannot hold.
    return config
