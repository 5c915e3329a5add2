"""The size of cohorts: how many networks fit and learn together."""

import math
from collections.abc import Callable
from typing import Any
from typing import Literal
from typing import TypeAlias

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models.costs import costs_of_build
from keras_evonas.models.costs.device import gpu_bytes
from keras_evonas.models.costs.device import memory_for_training
from keras_evonas.models.costs.device import usable_bytes
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE

# Evolution learns from every result, so a cohort is a small part of a search.
_LARGEST = 8
_SHARE = 8
# What is left to the libraries and to what an estimate may miss.
_SHARE_OF_GPU = 0.7


CohortSize: TypeAlias = int | Literal["auto"]


def check_cohort_size(cohort_size: object) -> None:
    """Checks that it is a positive integer or `"auto"`.

    Raises:
        ValueError: If it is not.
    """
    is_positive = (
        isinstance(cohort_size, int)
        and not isinstance(cohort_size, bool)
        and cohort_size > 0
    )
    if cohort_size != "auto" and not is_positive:
        raise ValueError(
            "`cohort_size` must be a positive integer or 'auto'. Received: "
            f"cohort_size={cohort_size!r}. Pass 1 to train one network after "
            "another."
        )


def largest_cohort(
    cohort_size: CohortSize, max_trials: int | None, folds: int = 0
) -> int:
    """Returns how many networks train at a time if there is memory.

    Args:
        cohort_size: What the user asked for.
        max_trials: Integer, how many trials the search has, or `None`.
        folds: Integer, how many networks belong to one trial.
    """
    if cohort_size != "auto":
        return cohort_size
    if not max_trials:
        return _LARGEST
    # The folds of a trial learn nothing from each other.
    return max(1, min(_LARGEST, max(max_trials // _SHARE, folds)))


class MemoryPlan:
    """Knows what networks take before they are built.

    Args:
        build: Builds and compiles the model of some hyperparameters.
        arguments: The arguments of `fit`.
        space: The search space.
        size: Integer, how many networks are to be trained together.
        share: Float, the part of the memory that may be taken. Defaults to 1.

    Attributes:
        memory: Integer, the bytes that may be taken, or `None` if it is
            not known. What does not fit all the same raises an error on a GPU,
            which does no harm, and the cohort is halved.
        asks: Whether single networks must be asked for. They need not if the
            largest network of the space fits as often as there are members.
    """

    def __init__(
        self,
        build: Callable[[keras_tuner.HyperParameters], keras.Model],
        arguments: FitArguments,
        space: keras_tuner.HyperParameters,
        size: int,
        share: float = 1.0,
    ) -> None:
        self._build = build
        self._arguments = arguments
        self._input_shapes = shapes_of(arguments.x)
        memory = _memory_of_device()
        self.memory = None if memory is None else int(share * memory)
        self.asks = False
        if self.memory is not None:
            most = self.training_bytes(largest(space), {})
            self.asks = most is None or most * size > self.memory

    def bytes_of(self, execution: Execution) -> int | None:
        """Returns the bytes that an execution takes, `None` if unknown."""
        hp = execution.hyperparameters
        return self.training_bytes(hp, dict(execution.fit))

    def training_bytes(
        self, hp: keras_tuner.HyperParameters, fit: dict[str, Any]
    ) -> int | None:
        """Bytes that training takes, or `None` if they cannot be told.

        Args:
            hp: The hyperparameters. They are not changed.
            fit: The trial's own arguments of `fit`.
        """
        batch_size = (
            fit.get("batch_size")
            or self._arguments.batch_size
            or DEFAULT_BATCH_SIZE
        )
        return training_bytes_of(
            self._build, hp, batch_size, self._input_shapes
        )


def _memory_of_device() -> int | None:
    kinds = {one.device_type for one in tf.config.list_physical_devices()}
    if "GPU" in kinds:
        # TensorFlow takes the whole GPU for itself.
        memory = gpu_bytes()
        return None if memory is None else int(_SHARE_OF_GPU * memory)
    return usable_bytes() if kinds == {"CPU"} else None


def may_exceed_memory(
    build: Callable[[keras_tuner.HyperParameters], keras.Model],
    space: keras_tuner.HyperParameters,
) -> bool:
    """Returns whether the largest network is too large for the device."""
    limit = memory_for_training()
    most = training_bytes_of(build, largest(space))
    return limit is not None and most is not None and most > limit


def training_bytes_of(
    build: Callable[[keras_tuner.HyperParameters], keras.Model],
    hp: keras_tuner.HyperParameters,
    batch_size: int = DEFAULT_BATCH_SIZE,
    input_shapes: InputShapes | None = None,
) -> int | None:
    """Bytes that training takes, or `None` if they cannot be told.

    Args:
        build: Builds and compiles the model of some hyperparameters.
        hp: The hyperparameters. They are not changed.
        batch_size: Integer, the batch size of the training.
        input_shapes: As in `costs_of_build`.
    """
    hp = hp.copy()
    try:
        return costs_of_build(
            lambda: build(hp),
            batch_size=batch_size,
            input_shapes=input_shapes,
        ).training_bytes
    except Exception:
        # Some models cannot be built without values, for example those that
        # read weights from a file. Errors of the model itself come up again
        # when it is built in earnest, and are reported then.
        return None


def largest(
    space: keras_tuner.HyperParameters,
) -> keras_tuner.HyperParameters:
    """The corner of the space where networks should be largest."""
    largest = space.copy()
    for hp in space.space:
        value = hp.default
        if isinstance(hp, hp_types.Int | hp_types.Float):
            value = hp.max_value
        elif isinstance(hp, hp_types.Boolean):
            value = True
        elif isinstance(hp, hp_types.Choice):
            numbers = [v for v in hp.values if isinstance(v, int | float)]
            value = max(numbers, default=hp.default)
        largest.values[hp.name] = value
    return largest


def shapes_of(x: Any) -> Any:
    """Shapes of one example, as `costs_of_build` takes them, or `None`."""
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    leaves = keras.tree.flatten(x)
    if not leaves or not all(hasattr(leaf, "shape") for leaf in leaves):
        return None
    shapes = keras.tree.map_structure(lambda leaf: tuple(leaf.shape)[1:], x)
    flat = [tuple(leaf.shape)[1:] for leaf in leaves]
    if any(None in shape for shape in flat) or not math.prod(map(len, flat)):
        return None
    return shapes
