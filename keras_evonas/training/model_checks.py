"""Checks that a network can be trained with data, before any is trained.

The verdict is TensorFlow's own: it traces the loss of the first batch from the
shapes alone, as `fit` does. A network that runs eagerly may need the values.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.data_checks import check_batch
from keras_evonas.training.eligibility import has_own
from keras_evonas.training.mismatches import Mismatch
from keras_evonas.training.parts import Batch
from keras_evonas.training.parts import Part
from keras_evonas.training.parts import parts_of
from keras_evonas.training.values import Values
from keras_evonas.training.values import flat

Build: TypeAlias = Callable[[], keras.Model]
Step: TypeAlias = Callable[[Values, Values, Values], None]
Change: TypeAlias = Callable[[Batch], Batch]

_TRAINING = ("fit", "make_train_function", "train_step")
_VALIDATION = ("fit", "evaluate", "make_test_function", "test_step")
_METRICS = ("metrics", "compute_metrics", "get_metrics_result")
# The logs that callbacks of Keras add. A user's own may report anything.
_LOGS_OF: Mapping[type, frozenset[str]] = {
    keras.callbacks.EarlyStopping: frozenset(),
    keras.callbacks.ModelCheckpoint: frozenset(),
    keras.callbacks.CSVLogger: frozenset(),
    keras.callbacks.TensorBoard: frozenset(),
    keras.callbacks.TerminateOnNaN: frozenset(),
    keras.callbacks.LearningRateScheduler: frozenset(["learning_rate"]),
    keras.callbacks.ReduceLROnPlateau: frozenset(["learning_rate"]),
}


NOT_COMPILED = (
    "`hypermodel` must return a compiled model. Received: the model {!r}, "
    "which is not compiled. Call `model.compile(optimizer, loss, metrics)` "
    "before it is returned."
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of checking a network before it is trained.

    Args:
        is_certain: Boolean, `False` if only a model with values could tell
            whether it can be trained, or if it cannot be built.
        logs: The names of what training reports, or `None` if the network,
            the data or callbacks do not tell.
    """

    is_certain: bool
    logs: frozenset[str] | None = None


def check_fits_model(build: Build, arguments: FitArguments) -> Verdict:
    """Checks that a network can be trained with the data of `fit`.

    Where a network has steps of its own, or data cannot be looked at without
    being used up, nothing is checked that depends on them.

    Args:
        build: Returns a compiled model, without values if it is called in a
            `tf.Graph`. It is called again after an error, since a model that
            has met one may be half built.
        arguments: The arguments of `fit`, which `check_fit` has passed.

    Returns:
        The verdict.

    Raises:
        ValueError: If it is not compiled, or if the data do not suit its
            inputs, loss or metrics.
    """
    try:
        model = build()
    except Exception:
        return Verdict(is_certain=False)
    if not model.compiled:
        if has_own(model, "fit"):
            return Verdict(is_certain=True)
        raise ValueError(NOT_COMPILED.format(model.name))
    is_certain, logs = True, _logs_of_callbacks(arguments.callbacks)
    parts = parts_of(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in parts:
            found = None
            steps = _VALIDATION if part.is_validation else _TRAINING
            if not has_own(model, *steps):
                again = build
                if part.is_validation:
                    again = _trained(build, parts[0])
                rehearsal = _Rehearsal(model, again, part)
                is_certain &= _check_part(rehearsal)
                found = rehearsal.logs
            if logs is not None and found is not None:
                prefix = "val_" if part.is_validation else ""
                logs = logs.union(prefix + name for name in found)
            else:
                logs = None
    return Verdict(is_certain, logs)


def _logs_of_callbacks(callbacks: Values) -> frozenset[str] | None:
    """Returns the logs that callbacks add, or `None` if that is unknown."""
    kinds = {type(one) for one in keras.tree.flatten(callbacks or [])}
    if not kinds <= _LOGS_OF.keys():
        return None
    return frozenset().union(*map(_LOGS_OF.__getitem__, kinds))


def _trained(build: Build, training: Part) -> Build:
    """Returns `build` for models that have seen the training data."""

    def build_trained() -> keras.Model:
        model = build()
        if not has_own(model, *_TRAINING):
            _Rehearsal(model, build, training).error("loss")
        return model

    return build_trained


class _Rehearsal:
    """Takes a step with the first batch, but for the gradients.

    Attributes:
        is_certain: Boolean, `False` once there was an error that only the
            values of a model could confirm.
        outputs: Specification of the model's outputs, or `None`.
        logs: The names of what a whole step reports, `None` if not known.
    """

    def __init__(
        self,
        model: keras.Model,
        build: Build,
        part: Part,
        change: Change = lambda batch: batch,
    ) -> None:
        self.model = model
        self.part = part
        self.is_certain = True
        self.outputs: Values = None
        self.logs: list[str] | None = None
        self._is_fresh = True
        self._build = build
        self._change = change

    def succeeds_with(self, change: Change) -> bool:
        """Returns whether the loss can be computed of a changed batch."""
        changed = _Rehearsal(self._build(), self._build, self.part, change)
        return changed.error("loss") is None and changed.is_certain

    def error(self, last: str) -> Exception | None:
        """Returns why a step fails, or `None` unless it certainly does.

        It ends with the `"outputs"`, the `"loss"` or the `"metrics"`.
        """
        model = self.model if self._is_fresh else self._build()
        self._is_fresh = False
        error = self._error_of(self._trace, model, last)
        if error is None or not (
            model.run_eagerly or tf.config.functions_run_eagerly()
        ):
            return error
        if tf.executing_eagerly():
            return self._error_of(self._with_values, self._build(), last)
        self.is_certain = False
        return None

    def _error_of(
        self, run: Callable[[Step], None], model: keras.Model, last: str
    ) -> Exception | None:
        training = not self.part.is_validation
        takes_mode = "training" in inspect.signature(model.call).parameters
        mode = {"training": training} if takes_mode else {}

        def step(x: Values, y: Values, weight: Values) -> None:
            self.outputs = outputs = model(x, **mode)
            data = {"x": x, "y": y, "y_pred": outputs, "sample_weight": weight}
            if last != "outputs":
                model.compute_loss(**data, training=training)
            if last == "metrics":
                logs = model.compute_metrics(**data)
                if not has_own(model, *_METRICS):
                    self.logs = list(flat(logs))

        try:
            run(step)
        except Exception as error:
            return error
        return None

    def _trace(self, step: Step) -> None:
        def spec_of(leaf: Values) -> Values:
            if leaf is None:
                return None
            kind = tf.SparseTensorSpec if leaf.sparse else tf.TensorSpec
            return kind(leaf.shape, leaf.dtype)

        spec = self.part.batch_spec()
        if spec is not None:
            function = tf.autograph.experimental.do_not_convert(step)
            tf.function(function).get_concrete_function(
                *keras.tree.map_structure(spec_of, self._change(spec))
            )

    def _with_values(self, step: Step) -> None:
        try:
            batch = self.part.batch()
        except Exception:
            return  # Such as sparse matrices, of which Keras cuts batches.
        if batch is not None:
            step(*self._change(batch))


def _check_part(rehearsal: _Rehearsal) -> bool:
    """Checks one part of the data, and returns whether that was certain."""
    model, part = rehearsal.model, rehearsal.part
    x, *_ = part.data
    if isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, tuple):
        check_batch(part, x.element_spec)
    batch = part.batch_spec()
    if batch is None:
        return True
    has_own_loss = has_own(model, "compute_loss")
    mismatch = Mismatch(model, part, batch)
    mismatch.check_strings(of_labels=not has_own_loss)
    if has_own_loss:
        if error := rehearsal.error("outputs"):
            raise mismatch.of_inputs(error) from error
        return rehearsal.is_certain
    if rehearsal.error("metrics") or not rehearsal.is_certain:
        _raise_mismatch(mismatch, rehearsal)
    mismatch.check_labels(rehearsal.outputs)
    return rehearsal.is_certain


def _raise_mismatch(mismatch: Mismatch, rehearsal: _Rehearsal) -> None:
    """Finds out which of the data a network cannot be trained with."""
    of_inputs = rehearsal.error("outputs")
    of_loss = of_inputs or rehearsal.error("loss")
    if of_loss is None:
        if error := rehearsal.error("metrics"):
            raise mismatch.of_metrics(error) from error
        return
    if mismatch.may_lack_batches and rehearsal.succeeds_with(_batched):
        raise mismatch.of_batches() from of_loss
    if of_inputs is not None:
        raise mismatch.of_inputs(of_inputs) from of_inputs
    if mismatch.has_weights and rehearsal.succeeds_with(_unweighted):
        raise mismatch.of_weights(of_loss) from of_loss
    raise mismatch.of_labels(of_loss, rehearsal.outputs) from of_loss


def _batched(batch: Batch) -> Batch:
    """Makes a batch of one example."""

    def one_more(leaf: Values) -> Values:
        if isinstance(leaf, keras.KerasTensor):
            return keras.KerasTensor((None, *leaf.shape), leaf.dtype)
        return None if leaf is None else tf.expand_dims(leaf, 0)

    x, y, weight = keras.tree.map_structure(one_more, batch)
    return x, y, weight


def _unweighted(batch: Batch) -> Batch:
    x, y, _ = batch
    return x, y, None
