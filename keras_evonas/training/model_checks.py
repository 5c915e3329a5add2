"""Checks that a network can be trained with data, before any is trained.

The verdict is Keras's own: it computes the loss of the first batch in symbols,
from the shapes alone. Where that is not what `fit` does, because code of the
user's own is involved, an error is confirmed first: by tracing, as `fit` does,
or with the values of the first batch if the network runs eagerly.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.data_checks import check_batch
from keras_evonas.training.mismatches import Mismatch
from keras_evonas.training.mismatches import has_keras_loss
from keras_evonas.training.mismatches import is_made_of_layers
from keras_evonas.training.parts import Batch
from keras_evonas.training.parts import Part
from keras_evonas.training.parts import parts_of
from keras_evonas.training.values import Values

Build: TypeAlias = Callable[[], keras.Model]
Step: TypeAlias = Callable[[Values, Values, Values], Values]
Change: TypeAlias = Callable[[Batch], Batch]

_TRAINING = ("fit", "make_train_function", "train_step")
_VALIDATION = ("fit", "evaluate", "make_test_function", "test_step")
_METRICS = ("metrics", "compute_metrics", "get_metrics_result")
# Callbacks of Keras that add no log. A user's own may report anything.
_SILENT = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    keras.callbacks.TerminateOnNaN,
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is known of a network before it is trained.

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
        ValueError: If the data suit its inputs, loss or metrics not.
    """
    try:
        model = build()
    except Exception:
        return Verdict(is_certain=False)
    if not model.compiled:
        return Verdict(is_certain=True)
    is_certain, logs = True, _logs_of_callbacks(arguments.callbacks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in parts_of(arguments):
            steps = _VALIDATION if part.is_validation else _TRAINING
            found = None
            if not _has_own(model, steps):
                again = build
                if part.is_validation:
                    again = _trained(build, parts_of(arguments)[0])
                rehearsal = _check_part(model, again, part)
                is_certain &= rehearsal.is_certain
                found = rehearsal.logs
            if logs is not None and found is not None:
                prefix = "val_" if part.is_validation else ""
                logs = logs.union(prefix + name for name in found)
            else:
                logs = None
    return Verdict(is_certain, logs)


def _logs_of_callbacks(callbacks: Values) -> frozenset[str] | None:
    """Returns an empty set if callbacks add no logs for certain."""
    given = keras.tree.flatten(callbacks or [])
    is_silent = all(type(one) in _SILENT for one in given)
    return frozenset() if is_silent else None


def _has_own(model: keras.Model, names: tuple[str, ...]) -> bool:
    """Returns whether a model has one of some methods of its own."""
    return any(
        name in vars(model)
        or getattr(type(model), name) is not getattr(keras.Model, name)
        for name in names
    )


def _trained(build: Build, training: Part) -> Build:
    """Returns `build` for models that have seen the training data."""

    def build_trained() -> keras.Model:
        model = build()
        if not _has_own(model, _TRAINING):
            _Rehearsal(model, build, training).error("loss")
        return model

    return build_trained


def _check_part(model: keras.Model, build: Build, part: Part) -> "_Rehearsal":
    x, *_ = part.data
    if isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, tuple):
        check_batch(part, x.element_spec)
    batch = part.batch_spec()
    rehearsal = _Rehearsal(model, build, part)
    if batch is None:
        return rehearsal
    has_own_loss = _has_own(model, ("compute_loss",))
    mismatch = Mismatch(model, part, batch)
    mismatch.check_strings(of_labels=not has_own_loss)
    if has_own_loss:
        if error := rehearsal.error("forward"):
            raise mismatch.of_inputs(error) from error
        return rehearsal
    if rehearsal.error("step") or not rehearsal.is_certain:
        _raise_mismatch(mismatch, rehearsal)
    mismatch.check_labels(rehearsal.outputs)
    return rehearsal


def _raise_mismatch(mismatch: Mismatch, rehearsal: "_Rehearsal") -> None:
    """Finds out which of the data a network cannot be trained with."""
    of_inputs = rehearsal.error("forward")
    of_loss = of_inputs or rehearsal.error("loss")
    if of_loss is None:
        if error := rehearsal.error("step"):
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


class _Steps:
    """The steps of `fit` with a batch, but for the gradients.

    Args:
        model: A compiled model.
        training: Boolean, whether it trains or validates.

    Attributes:
        outputs: The outputs of the model, once it was called.
        logs: The names of what a step has reported, `None` if not known.
    """

    def __init__(self, model: keras.Model, *, training: bool) -> None:
        self.outputs: Values = None
        self.logs: list[str] | None = None
        self._model = model
        self._training = training
        self._mode = {}
        if "training" in inspect.signature(model.call).parameters:
            self._mode = {"training": training}

    def forward(self, x: Values, _y: Values, _weight: Values) -> Values:
        """Calls the model."""
        self.outputs = self._model(x, **self._mode)
        return self.outputs

    def loss(self, x: Values, y: Values, weight: Values) -> Values:
        """Computes the loss."""
        return self._model.compute_loss(
            x=x,
            y=y,
            y_pred=self.forward(x, y, weight),
            sample_weight=weight,
            training=self._training,
        )

    def step(self, x: Values, y: Values, weight: Values) -> Values:
        """Computes the loss and the metrics."""
        loss = self.loss(x, y, weight)
        logs = self._model.compute_metrics(
            x=x, y=y, y_pred=self.outputs, sample_weight=weight
        )
        if not _has_own(self._model, _METRICS):
            self.logs = list(logs)
        return loss


class _Rehearsal:
    """Takes a step with the first batch, in symbols as long as that suffices.

    Args:
        model: A compiled model, for the first step.
        build: Returns the same model anew, for the following ones.
        part: The data.
        change: Changes the batch. Defaults to not changing it.

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
        self.is_certain = True
        self.outputs: Values = None
        self.logs: list[str] | None = None
        self._models = [model]
        self._build = build
        self._part = part
        self._change = change

    def succeeds_with(self, change: Change) -> bool:
        """Returns whether the loss can be computed of a changed batch."""
        changed = _Rehearsal(self._build(), self._build, self._part, change)
        return changed.error("loss") is None and changed.is_certain

    def error(self, name: str) -> Exception | None:
        """Returns why a step fails, or `None` unless it certainly does.

        Args:
            name: String, `"forward"`, `"loss"` or `"step"`.
        """
        model = self._models.pop() if self._models else self._build()
        steps = self._steps_of(model)
        is_certain = is_made_of_layers(model) and (
            name == "forward" or (name == "loss" and has_keras_loss(model))
        )
        error = _error_of(lambda: self._in_symbols(getattr(steps, name)))
        if steps.outputs is not None:
            self.outputs, self.logs = steps.outputs, steps.logs
        if error is None or is_certain:
            return error
        model = self._build()
        step = getattr(self._steps_of(model), name)
        if not (model.run_eagerly or tf.config.functions_run_eagerly()):
            return _error_of(lambda: self._trace(step))
        if tf.executing_eagerly():
            return _error_of(lambda: self._with_values(step))
        self.is_certain = False
        return None

    def _steps_of(self, model: keras.Model) -> _Steps:
        return _Steps(model, training=not self._part.is_validation)

    def _in_symbols(self, step: Step) -> None:
        spec = self._part.batch_spec()
        if spec is not None:
            _Operation(step).raise_error(self._change(spec))

    def _trace(self, step: Step) -> None:
        def spec_of(leaf: Values) -> Values:
            if leaf is None:
                return None
            kind = tf.SparseTensorSpec if leaf.sparse else tf.TensorSpec
            return kind(leaf.shape, leaf.dtype)

        spec = self._part.batch_spec()
        if spec is not None:
            function = tf.autograph.experimental.do_not_convert(step)
            tf.function(function).get_concrete_function(
                *keras.tree.map_structure(spec_of, self._change(spec))
            )

    def _with_values(self, step: Step) -> None:
        try:
            batch = self._part.batch()
        except Exception:
            return  # Such as sparse matrices, of which Keras cuts batches.
        if batch is not None:
            step(*self._change(batch))


class _Operation(keras.Operation):
    """Lets Keras compute a step from specifications."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self._step = step
        self._errors: list[Exception] = []

    def call(self, x: Values, y: Values, weight: Values) -> Values:
        """Takes the step, and notes its error before Keras wraps it."""
        try:
            return self._step(x, y, weight)
        except Exception as error:
            self._errors.append(error)
            raise

    def raise_error(self, batch: Batch) -> None:
        """Raises what the step raises, and nothing else.

        Args:
            batch: Specification of a batch.
        """
        _error_of(lambda: self.compute_output_spec(*batch))
        if self._errors:
            raise self._errors[0]


def _error_of(task: Callable[[], object]) -> Exception | None:
    try:
        task()
    except Exception as error:
        return error
    return None
