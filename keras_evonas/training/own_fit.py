"""A network trained alone by its own `fit`, and what that returned."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import keras

from keras_evonas.project.curves import Curves
from keras_evonas.project.curves import Value
from keras_evonas.project.curves import curves_of
from keras_evonas.training.arguments import NAMES
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arguments import takes
from keras_evonas.training.curves import Objective
from keras_evonas.training.curves import best_of
from keras_evonas.training.curves import kept
from keras_evonas.training.recording import Recorder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """The learning curves of a training by `fit`.

    Args:
        curves: The learning curves.
        of_all: Boolean, whether they are those of every `fit` that the
            model's own consists of, or of the last.
        is_recorded: Boolean, whether callbacks were called in their epochs.
            Otherwise only the weights at the end are known.
        notes: Sentences for the user.
    """

    curves: Curves
    of_all: bool = False
    is_recorded: bool = True
    notes: tuple[str, ...] = ()


def fit_alone(
    model: keras.Model,
    arguments: FitArguments,
    callbacks: Sequence[keras.callbacks.Callback],
    recorder: Recorder,
    objective: Objective,
) -> Fitted:
    """Trains a network by its own `fit`.

    It is called with the arguments that the user gave, and with the callbacks.
    `recorder` is one of them. See `fitted`.
    """
    positional, named = arguments.given()
    changes: dict[str, object] = {"callbacks": list(callbacks)}
    if "verbose" in NAMES[: len(positional)] or takes(model.fit, "verbose"):
        changes["verbose"] = 0
    else:
        named.pop("verbose", None)
    if arguments.epochs == 1 and not takes(model.fit, "epochs"):
        named.pop("epochs", None)  # It has a length of its own.
    values = [
        changes.pop(name, value)
        for name, value in zip(NAMES, positional, strict=False)
    ]
    returned = model.fit(*values, **{**named, **changes})
    return fitted(returned, model, recorder, objective)


def fitted(
    returned: object,
    model: keras.Model,
    recorder: Recorder,
    objective: Objective,
) -> Fitted:
    """Returns the curves of a training from what a `fit` returned.

    Args:
        returned: A `History`, a dictionary of logs, the objective as a number,
            or `None` for the history of the model.
        model: The trained model.
        recorder: One of the callbacks that the `fit` was called with.
        objective: See `training.curves.Objective`.

    Raises:
        TypeError: If `fit` returned anything else.
    """
    if returned is None:
        returned = getattr(model, "history", None)
    logs = _logs_of(returned, objective)
    recorded = None
    for of_all in (False, True):
        candidate = recorder.curves(of_all=of_all)
        is_known = recorder.knows(returned, of_all=of_all)
        if _is_of(candidate, logs, is_known=is_known):
            recorded = candidate
            break
    if recorded is None:
        return _unrecorded(logs)
    # What `fit` returned counts: it may have changed its history.
    curves = dict(recorded)
    for name, values in logs.items():
        epochs = [epoch for epoch, _ in recorded.get(name, ())]
        if len(epochs) == len(values):
            curves[name] = tuple(zip(epochs, values, strict=True))
    best, known = best_of(objective, curves), best_of(objective, recorded)
    notes: tuple[str, ...] = ()
    if best is not None and (known is None or known.epoch != best.epoch):
        notes = (
            "An own `fit` returns other logs than it reported to its "
            "callbacks, so that the weights that are kept are not those of the "
            "best epoch.",
        )
    return Fitted(curves=curves, of_all=of_all, notes=notes)


def unnamed(recorder: Recorder, *, is_only: bool) -> Fitted:
    """Returns a training of which `fit` has told no curves.

    They are those of its epochs if it has told one result, `is_only`.
    """
    curves = recorder.curves(of_all=True)
    return Fitted(
        curves=curves if is_only else {}, is_recorded=bool(recorder.curves())
    )


def _logs_of(
    returned: object, objective: Objective
) -> dict[str, tuple[Value, ...]]:
    """Returns what `fit` returned as the values of each log.

    As in keras-tuner, a number is the objective, and a dictionary holds logs.
    """
    if isinstance(returned, keras.callbacks.History):
        returned = returned.history
    number = kept(returned)
    if isinstance(number, float) and len(objective) == 1:
        return {objective[0][0]: (number,)}
    if not isinstance(returned, Mapping):
        raise TypeError(
            "An own `fit` must return a `keras.callbacks.History`, a "
            "dictionary from names of logs to numbers, or the objective as a "
            f"number. Received: {returned!r} of type "
            f"{type(returned).__name__}. Return what `super().fit` returns."
        )
    logs = {}
    for name, values in returned.items():
        is_curve = isinstance(values, list | tuple)
        found = map(kept, values if is_curve else [values])
        logs[str(name)] = tuple(math.nan if x is None else x for x in found)
    return logs


def _is_of(
    candidate: Curves, logs: Mapping[str, Sequence[Value]], *, is_known: bool
) -> bool:
    """Returns whether logs are those of recorded epochs.

    If `is_known`, they were returned as the history of these epochs, whose
    values may have been changed.
    """
    shared = [name for name in logs if name in candidate]
    if any(len(logs[name]) != len(candidate[name]) for name in shared):
        return False
    return bool(shared and is_known) or any(
        list(logs[name]) == [value for _, value in candidate[name]]
        for name in shared
    )


def _unrecorded(logs: Mapping[str, Sequence[Value]]) -> Fitted:
    if not any(logs.values()):
        return Fitted(curves={})  # No epoch was trained.
    last = max(map(len, logs.values()), default=1) - 1
    # A log that is there once is that of the end.
    single = {
        name: ((last, values[0]),)
        for name, values in logs.items()
        if len(values) == 1
    }
    return Fitted(
        curves={**curves_of(logs), **single},
        is_recorded=False,
        notes=(
            "An own `fit` returns logs of epochs in which it called no "
            "callbacks, so that the weights that are kept are those at the end "
            "of the training.",
        ),
    )
