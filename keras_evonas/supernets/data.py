"""The data that networks of a supernet are scored on, in memory."""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.models.costs.inputs import Structure
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.parts import Part
from keras_evonas.training.parts import parts_of

# Batches are so many times those of the training: without gradients a network
# keeps no outputs of its layers, and larger batches are scored sooner.
_LARGER = 4


def scoring_data(
    arguments: FitArguments, calibration: int
) -> tuple[Arrays, Arrays | None]:
    """Returns the validation data, and training examples to calibrate with.

    Arrays are scored in batches of `validation_batch_size`, or else of four
    times `batch_size`, and calibrated with batches of the latter size. Data
    that bring their own batches are read once: the validation data to their
    end, the training data as far as needed.

    Args:
        arguments: The arguments of `fit`.
        calibration: Integer, how many training examples, or 0 for none.

    Raises:
        ValueError: If there are no validation data.
    """
    if arguments.validation_data is None and not arguments.validation_split:
        raise ValueError(
            "`validation_data` must be passed to `search`: networks of a "
            "supernet are scored on it. Received: none. Pass "
            "`validation_data=(x_val, y_val)` or `validation_split=0.2`."
        )
    arrays = arrays_of(arguments)
    if arrays is not None and arrays[1] is not None:
        size = _LARGER * arrays[0].batch_size
        some = _some(arrays[0], calibration, size) if calibration else None
        if arguments.validation_batch_size is not None:
            return arrays[1], some
        return _in_batches(arrays[1], size), some
    part, *rest = parts_of(arguments)
    if not rest:
        raise ValueError(
            "`validation_split` needs arrays. Received: "
            f"validation_split={arguments.validation_split} with `x` of type "
            f"{type(arguments.x).__name__}. Pass `validation_data`."
        )
    held_out = _read(rest[0], None)
    return held_out, _read(part, calibration) if calibration else None


def _some(training: Arrays, number: int, batch_size: int) -> Arrays:
    """Returns so many examples, spread over all, in batches of a size."""
    number = min(number, training.size)
    places = np.linspace(0, training.size - 1, number).astype("int64")
    tensors = training.gather(tf.constant(places))
    some = dataclasses.replace(training, tensors=tensors, size=number)
    return _in_batches(some, batch_size)


def _in_batches(data: Arrays, size: int) -> Arrays:
    return dataclasses.replace(data, batch_size=min(size, data.size))


def _read(part: Part, examples: int | None) -> Arrays:
    """Reads batches into memory, up to so many examples."""
    x, *_ = part.data
    size = part.batch_size or DEFAULT_BATCH_SIZE
    if isinstance(x, tf.data.Dataset):
        batches: Structure = iter(x)
    elif isinstance(x, keras.utils.PyDataset):
        batches = (x[number] for number in range(x.num_batches or 0))
    else:
        batch = part.batch()
        if batch is None:
            raise ValueError(
                f"`{part.name}` must be arrays, a `tf.data.Dataset` or a "
                "`keras.utils.PyDataset` to score networks of a supernet. "
                f"Received: {part.kind}. Read it into arrays."
            )
        whole = keras.utils.pack_x_y_sample_weight(*part.data)
        batches = iter([whole])
    if part.steps is not None:
        batches = itertools.islice(batches, part.steps)
    kept: list[Structure] = []
    count = 0
    for batch in batches:
        kept.append(keras.tree.map_structure(tf.convert_to_tensor, batch))
        count += keras.tree.flatten(kept[-1])[0].shape[0]
        if examples is not None and count >= examples:
            break
    tensors = keras.tree.map_structure(lambda *x: tf.concat(x, 0), *kept)
    if len(kept) > 1:
        size = keras.tree.flatten(kept[0])[0].shape[0]
    return Arrays(tensors, count, min(size, count))
