"""Questions that are answered with all their values at once.

A supernet is built by the same code as a network. It asks with hyperparameters
of another kind, `Sharing`: where a network gets a value, a supernet gets a
`SharedAnswer`, and builds the layers of all values.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeAlias
from typing import runtime_checkable

import keras
import numpy as np
from numpy.typing import NDArray

Indexes: TypeAlias = NDArray[np.int32]
# Changes the places of some genes' values on many paths at once to those whose
# layers are called.
Rule: TypeAlias = Callable[[Sequence[Indexes]], Sequence[Indexes]]
# Applies layers to a tensor; returns `None` for zeros.
Apply: TypeAlias = Callable[[keras.KerasTensor], keras.KerasTensor | None]


@runtime_checkable
class SharedAnswer(Protocol):
    """The answer to a question of which a supernet holds all values."""

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that may be the answer."""

    def share_layers(
        self,
        tensor: keras.KerasTensor,
        options: Mapping[str, Apply],
        branches: Sequence[int] | None = None,
    ) -> keras.KerasTensor:
        """Applies a mixture of options to a tensor.

        Args:
            tensor: The tensor.
            options: Mapping from names to functions of a tensor.
            branches: The number of the option of each value. Defaults to that
                of the value itself; then options behind those of all values
                are chosen by rules alone.
        """


@runtime_checkable
class Sharing(Protocol):
    """Hyperparameters with which the helpers build all options at once.

    A supernet is built with them; see `keras_evonas.supernets`. The arguments
    are those of the helpers, checked.
    """

    def share_options(
        self,
        name: str,
        options: Mapping[str, Callable[[], Any]],
        default: str,
    ) -> Any:  # noqa: ANN401
        """Returns one layer in place of all options of `layer_choice`."""

    def share_parts(
        self,
        name: str,
        bounds: tuple[int, int],
        make: Callable[[int], Any],
        default: int,
    ) -> list[Any]:
        """Returns all parts of `repeated`, those that may be absent mixed."""

    def share_block(
        self, name: str, make: Callable[[], Any], default: bool
    ) -> Any:  # noqa: ANN401
        """Returns one layer in place of a `block` and of its absence."""

    def share_choice(
        self, name: str, values: Sequence[Any], default: object
    ) -> SharedAnswer | None:
        """Returns an answer with all values; `None` if it is not active."""

    def share_rule(self, answers: Sequence[SharedAnswer], rule: Rule) -> None:
        """Notes which layers are called where some answers have no effect."""

    def hold_others(self, widths: Sequence[str]) -> None:
        """Notes that all else may be held, whatever layers it changes.

        Hyperparameters whose names end with one of `widths` are of widths of
        layers, and need not be.
        """
