"""The types of what `keras.Model.fit` takes."""

from typing import Any
from typing import TypeAlias

# Data in any form that Keras reads: arrays, tensors, frames, nested structures
# of them, data sets and generators. Keras decides by what they can do.
Values: TypeAlias = Any
