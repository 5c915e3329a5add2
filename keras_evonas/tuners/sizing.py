"""The size of cohorts: how many networks fit and learn together."""

import math
from collections.abc import Callable
from typing import Literal
from typing import TypeAlias

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models.costs import costs_of_build
from keras_evonas.models.costs import device
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.values import Values

# Evolution learns from every result, so a cohort is a small part of a search.
_LARGEST = 8
_SHARE = 8
# What is left to the libraries and to what an estimate may miss.
_SHARE_OF_GPU = 0.7

CohortSize: TypeAlias = int | Literal["auto"]
Build: TypeAlias = Callable[[keras_tuner.HyperParameters], keras.Model]
MemoryPlan: TypeAlias = tuple[
    int | None, Callable[[Execution], int | None] | None
]


def largest_cohort(
    cohort_size: CohortSize, max_trials: int | None, folds: int = 0
) -> int:
    """Returns how many networks train at a time if there is memory.

    So many `folds` belong to one trial, and learn nothing from each other.
    """
    if cohort_size != "auto":
        return cohort_size
    if not max_trials:
        return _LARGEST
    return max(1, min(_LARGEST, max(max_trials // _SHARE, folds)))


def memory_plan(
    build: Build,
    arguments: FitArguments,
    space: keras_tuner.HyperParameters,
    size: int,
    share: float,
) -> MemoryPlan:
    """Returns the bytes that a cohort may take, and those of an execution.

    Both are `None` if the memory is not known. What does not fit all the same
    raises an error on a GPU, which does no harm, and the cohort is halved.
    Executions are not to be asked for if the largest network of the space fits
    as often as there are members.
    """
    memory = _memory_of_device()
    if memory is None:
        return None, None
    memory = int(share * memory)
    shapes = shapes_of(arguments.x)
    usual = arguments.batch_size or DEFAULT_BATCH_SIZE

    def bytes_of(execution: Execution) -> int | None:
        hp = execution.hyperparameters
        batch_size = execution.fit.get("batch_size") or usual
        return training_bytes_of(build, hp, batch_size, shapes)

    most = training_bytes_of(build, largest(space), usual, shapes)
    fits = most is not None and most * size <= memory
    return memory, None if fits else bytes_of


def _memory_of_device() -> int | None:
    kinds = {one.device_type for one in tf.config.list_physical_devices()}
    if "GPU" in kinds:
        # TensorFlow takes the whole GPU for itself.
        memory = device.gpu_bytes()
        return None if memory is None else int(_SHARE_OF_GPU * memory)
    return device.usable_bytes() if kinds == {"CPU"} else None


def training_bytes_of(
    build: Build,
    hp: keras_tuner.HyperParameters,
    batch_size: int = DEFAULT_BATCH_SIZE,
    input_shapes: InputShapes | None = None,
) -> int | None:
    """Returns the bytes that training takes, `None` if unknown."""
    hp = hp.copy()
    try:
        return costs_of_build(
            lambda: build(hp), batch_size=batch_size, input_shapes=input_shapes
        ).training_bytes
    except Exception:
        # Some models cannot be built without values, for example those that
        # read weights from a file. Errors of the model itself come up again
        # when it is built in earnest, and are reported then.
        return None


def largest(space: keras_tuner.HyperParameters) -> keras_tuner.HyperParameters:
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


def shapes_of(x: Values) -> Values:
    """Shapes of one example, as `costs_of_build` takes them, or `None`."""
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    elif isinstance(x, keras.utils.PyDataset):
        batch = x[0]
        x = batch[0] if isinstance(batch, tuple) else batch
    leaves = keras.tree.flatten(x)
    if not leaves or not all(hasattr(leaf, "shape") for leaf in leaves):
        return None
    shapes = keras.tree.map_structure(lambda leaf: tuple(leaf.shape)[1:], x)
    flat = [tuple(leaf.shape)[1:] for leaf in leaves]
    if any(None in shape for shape in flat) or not math.prod(map(len, flat)):
        return None
    return shapes
