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


def scoring_data(
    arguments: FitArguments, calibration: int
) -> tuple[Arrays, Arrays | None]:
    """Returns the validation data, and training examples to calibrate with.

    Data that bring their own batches are read once: the validation data to
    their end, the training data as far as needed.

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
        training = arrays[0]
        if not calibration:
            return arrays[1], None
        number = min(calibration, training.size)
        places = np.linspace(0, training.size - 1, number).astype("int64")
        some = dataclasses.replace(
            training,
            tensors=training.gather(tf.constant(places)),
            size=number,
            batch_size=min(training.batch_size, number),
        )
        return arrays[1], some
    part, *rest = parts_of(arguments)
    if not rest:
        raise ValueError(
            "`validation_split` needs arrays. Received: "
            f"validation_split={arguments.validation_split} with `x` of type "
            f"{type(arguments.x).__name__}. Pass `validation_data`."
        )
    held_out = _read(rest[0], None)
    return held_out, _read(part, calibration) if calibration else None


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
