"""The outcome of a trained network, whatever cannot be recorded of it."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

import keras

from keras_evonas.project.files import WriteError
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.checkpoints import write_weights
from keras_evonas.training.executions import Execution
from keras_evonas.training.executions import Outcome
from keras_evonas.training.last_state import LastState
from keras_evonas.training.own_fit import Fitted
from keras_evonas.training.recording import Recorder

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """A trained network, and what was recorded while it trained."""

    execution: Execution
    model: keras.Model
    recorder: Recorder
    keeper: BestWeights | None  # if its weights are wanted
    last: LastState | None  # if another training is to go on from its end
    alone_because: str | None = None  # and not in a cohort

    @property
    def recorders(self) -> list[keras.callbacks.Callback]:
        """The callbacks that record what is wanted of the training."""
        wanted = (self.recorder, self.keeper, self.last)
        return [one for one in wanted if one is not None]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Network(Trained):
    """A network from its building to its outcome."""

    arguments: FitArguments
    own: Sequence[keras.callbacks.Callback]  # the user's, copied

    @property
    def callbacks(self) -> list[keras.callbacks.Callback]:
        """The user's callbacks, and those of this package.

        The latter neither touch Keras's global state nor stop the training, so
        that they may be called in another thread.
        """
        return [*self.own, *self.recorders]


def completed(
    network: Trained, fitted: Fitted, results: Mapping[str, float]
) -> Outcome:
    """Writes the best weights of a trained network, and returns its outcome.

    An error in this costs what it concerns, and leaves a note; `WriteError` of
    a full or broken disk is raised.
    """
    model = network.model
    notes = [
        *fitted.notes,
        *(
            f"The log '{name}' is left out of the learning curves: it is of "
            f"type {kind}, where a number or an array of numbers can be kept."
            for name, kind in network.recorder.left_out.items()
        ),
    ]

    def build_config() -> Mapping[str, object] | None:
        config: Mapping[str, object] | None = model.get_build_config()
        json.dumps(config)  # It raises what a file cannot hold.
        return config

    if network.last is not None:
        state = str(network.execution.state)
        write = functools.partial(network.last.write, model, state)
        _spared(write, "The end of its training cannot be saved", notes)
    written = _spared(
        lambda: _write(network, fitted), "Its weights cannot be saved", notes
    )
    return Outcome(
        name=network.execution.name,
        status="completed",
        curves=fitted.curves,
        params=_spared(
            lambda: sum(math.prod(w.shape) for w in model.weights),
            "Its parameters cannot be counted",
            notes,
        ),
        has_checkpoint=bool(written),
        build_config=_spared(
            build_config, "The shape of its inputs cannot be saved", notes
        ),
        results=results,
        alone_because=network.alone_because,
        notes=tuple(notes),
    )


def _write(network: Trained, fitted: Fitted) -> bool:
    """Writes the best weights, and returns whether it did."""
    path, bar = str(network.execution.checkpoint), network.execution.bar
    keeper = network.keeper
    if keeper is None:
        return False
    if not fitted.is_recorded:
        write_weights(network.model, path)
        return True
    if bar is not None and not keeper.loss(of_all=fitted.of_all) < bar:
        return False
    return keeper.write(path, of_all=fitted.of_all)


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
