"""Numbers that become inputs of a program when a network is traced.

Layers and optimizers of Keras compute with Python's numbers before these become
constants of a graph, such as `1 / (1 - rate)`. A number of this module notes
what is computed with it, so that another network's constants can be computed
from its own number, with the same digits.
"""

import numbers
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

# From a number of a network to one that is computed from it.
Formula: TypeAlias = Callable[[float], float]
_PLAIN = (int, float)
# A rate of dropout is used twice; a trace that needs more of a number fails.
_USES = 4


class Inputs:
    """What a program was found to need of some numbers.

    Attributes:
        needed: Triples of a variable that was traced, the place of a number,
            and what the variable holds of it.
    """

    def __init__(self) -> None:
        self.needed: list[tuple[tf.Variable, int, Formula]] = []
        # Variables cannot be created within a trace.
        self._spare: list[tf.Variable] = []
        self._held: dict[int, tuple[Number, tf.Variable]] = {}
        self._answers: list[tuple[int, Callable[[float], bool], bool]] = []

    def number(self, place: int, value: float) -> "Number":
        """Returns what stands for a number in a trace, before it begins."""
        self._spare += [input_of(value) for _ in range(_USES)]
        return Number(self, place, value, lambda x: x)

    def answer(self, one: "Number", test: Callable[[float], bool]) -> bool:
        """Answers a question about a number, and notes it."""
        formula = one.formula
        answer = test(one.value)
        self._answers.append((one.place, lambda x: test(formula(x)), answer))
        return answer

    def tensor(self, one: "Number") -> tf.Tensor:
        """Returns the number as an input of the function in which it is."""
        if id(one) not in self._held:
            held = self._spare.pop()
            self._held[id(one)] = one, held
            self.needed.append((held, one.place, one.formula))
        return self._held[id(one)][1].read_value()

    def fits(self, values: list[float]) -> bool:
        """Returns whether the same would have been traced with other values."""
        return all(
            test(values[place]) == answer
            for place, test, answer in self._answers
        )


def input_of(value: float) -> tf.Variable:
    """Returns a variable that holds an input."""
    return tf.Variable(value, trainable=False, dtype=tf.float32)


class Number:
    """Stands for a number in a trace.

    It is no `float`, so that nothing takes its value unseen.

    Args:
        inputs: Where to note what is needed of it.
        place: Integer, which number of the network it is.
        value: Its value for the network that is traced.
        formula: How it is computed from the network's number.
    """

    def __init__(
        self, inputs: Inputs, place: int, value: float, formula: Formula
    ) -> None:
        self.inputs = inputs
        self.place = place
        self.value = value
        self.formula = formula

    def _then(self, step: Formula) -> "Number":
        formula = self.formula
        return Number(
            self.inputs,
            self.place,
            step(self.value),
            lambda x: step(formula(x)),
        )

    def __add__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: x + other)

    __radd__ = __add__

    def __sub__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: x - other)

    def __rsub__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: other - x)

    def __mul__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: x * other)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: x / other)

    def __rtruediv__(self, other: float) -> "Number":
        if type(other) not in _PLAIN:
            return NotImplemented
        return self._then(lambda x: other / x)

    def __lt__(self, other: float) -> bool:
        return self.inputs.answer(self, lambda x: x < other)

    def __le__(self, other: float) -> bool:
        return self.inputs.answer(self, lambda x: x <= other)

    def __gt__(self, other: float) -> bool:
        return self.inputs.answer(self, lambda x: x > other)

    def __ge__(self, other: float) -> bool:
        return self.inputs.answer(self, lambda x: x >= other)

    def __eq__(self, other: object) -> bool:
        return self.inputs.answer(self, lambda x: x == other)

    def __ne__(self, other: object) -> bool:
        return self.inputs.answer(self, lambda x: x != other)

    def __bool__(self) -> bool:
        return self.inputs.answer(self, bool)

    __hash__ = None  # type: ignore[assignment]


# TensorFlow (2.19 to 2.21) computes with a rate of dropout as with a constant
# if it is such a number, and else in another order.
numbers.Real.register(Number)


def _converted(
    one: Number,
    dtype: tf.DType | None = None,
    name: str | None = None,
    as_ref: bool = False,
) -> tf.Tensor:
    del name, as_ref
    if dtype not in (None, tf.float32):
        raise TypeError(f"A number of a network as {dtype!r}")
    return one.inputs.tensor(one)


tf.register_tensor_conversion_function(Number, _converted)
