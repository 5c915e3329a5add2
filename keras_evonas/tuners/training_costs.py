"""Tells what networks cost as a tuner trains them: in its batches."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import keras_tuner
import tensorflow as tf

from keras_evonas.models.costs import Costs
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.models.costs import device
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.training import FitArguments
from keras_evonas.training.parts import parts_of
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.tuners.recipe import FitArgumentsOf
from keras_evonas.tuners.recipe import changes_of
from keras_evonas.tuners.sizing import largest

# Data sets whose batches are not larger need not be read to know their size.
LARGE_BATCH = 1024


def arguments_of(
    args: Sequence[object], kwargs: Mapping[str, object]
) -> FitArguments:
    """Returns what is known of the arguments of `search`.

    A `fit` of the hypermodel may take others than `keras.Model.fit`.
    """
    try:
        return FitArguments.of(*args, **kwargs)
    except TypeError:
        size = kwargs.get("batch_size")
        return FitArguments(
            x=kwargs.get("x", args[0] if args else None),
            batch_size=size if isinstance(size, int) else None,
        )


@dataclasses.dataclass(frozen=True)
class TrainingCosts(HypermodelCosts):
    """Costs of networks whose arguments of `fit` may be their own.

    Args:
        fit_arguments: As for `EvoTuner`. The `batch_size` among them is that of
            a network.
    """

    fit_arguments: FitArgumentsOf | None = None

    def __call__(self, hp: keras_tuner.HyperParameters) -> Costs:
        """Returns the costs of the network for these hyperparameters."""
        size = changes_of(hp, self.fit_arguments).get("batch_size")
        size = size or self.batch_size
        return HypermodelCosts(self.hypermodel, size, self.input_shapes)(hp)


def guard(
    costs: TrainingCosts,
    space: keras_tuner.HyperParameters,
    input_shapes: InputShapes | None,
) -> TrainingCosts | None:
    """Returns the costs if the largest network is too large for the device.

    They know the shapes of the input if they need to. Otherwise, or if it is
    not known how large the network is, the result is `None`.
    """
    limit = device.memory_for_training()
    for known in (costs, dataclasses.replace(costs, input_shapes=input_shapes)):
        try:
            most = known(largest(space)).training_bytes
        except Exception:
            continue  # See `sizing.training_bytes_of`.
        return known if limit is not None and most > limit else None
    return None


def told_limit(batch_size: int) -> str:
    """Says which networks are left out because of the memory."""
    limit = (device.memory_for_training() or math.nan) / 1e9
    return (
        "Networks that might not fit into the memory are left out: "
        f"{limit:.2g} GB, a share of this device's memory, is the most that a "
        f"training with batches of {batch_size} may take. "
        "`constraints=[at_most('training_bytes', n)]` sets another limit."
    )


def batch_size_of(arguments: FitArguments) -> int | None:
    """Returns how many examples a batch has, `None` if that is not known."""
    if arguments.batch_size is not None:
        return arguments.batch_size
    # The batches of a step of the user's own may have any structure.
    if isinstance(arguments.x, tf.data.Dataset):
        return _rows_of(arguments.x.element_spec)
    if isinstance(arguments.x, keras.utils.PyDataset):
        return _rows_of(arguments.x[0])
    return _rows_of(parts_of(arguments)[0].batch_spec())


def batch_size_read(arguments: FitArguments) -> int | None:
    """Reads a batch of a `tf.data.Dataset` to know its size, no other data."""
    if not isinstance(arguments.x, tf.data.Dataset):
        return None
    return _rows_of(next(iter(arguments.x)))


def _rows_of(batch: Values) -> int | None:
    shapes = [getattr(leaf, "shape", None) for leaf in leaves_of(batch)]
    rows = [next(iter(shape)) for shape in shapes if shape]
    return next((int(number) for number in rows if number), None)
