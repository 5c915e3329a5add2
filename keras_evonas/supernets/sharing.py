"""Hyperparameters of a build in which every choice is made at once."""

import contextlib
import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.shared import Apply
from keras_evonas.models.shared import Rule
from keras_evonas.supernets.mixed import Branch
from keras_evonas.supernets.mixed import Gate
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.mixed import Nothing

Values: TypeAlias = Mapping[str, Any]

# The options of a part that may be left out, as in `asking.chained`.
_OPTIONAL = ("absent", "present")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SharedGene:
    """A hyperparameter whose every value has its place in the supernet.

    Args:
        name: Its name, with the scopes that it was asked for in.
        values: All its values, in their order.
        kind: `"options"` for options with weights of their own; `"kernel"`,
            `"depth"` or `"width"` where a larger value has the layers of all
            smaller ones. Defaults to `"options"`.
        default: The value of networks that are built without one. Defaults to
            `None`: the first value.
    """

    name: str
    values: tuple[Any, ...]
    kind: str = "options"
    default: Any = None

    def index_of(self, value: object) -> int:
        """Returns the place of a value.

        Raises:
            ValueError: If the gene does not have it.
        """
        if value not in self.values:
            raise ValueError(
                f"'{self.name}' must be one of {list(self.values)}. Received: "
                f"{value!r}. Pass values of the hypermodel that the supernet "
                "was made of."
            )
        return self.values.index(value)

    def place_in(self, values: Values) -> int:
        """Returns the place of its value, or of its default if there is none.

        Raises:
            ValueError: If the gene does not have it.
        """
        default = self.values[0] if self.default is None else self.default
        return self.index_of(values.get(self.name, default))


# Makes the gate of a gene, given the branch that each of its values takes.
GateMaker: TypeAlias = Callable[[SharedGene, tuple[int, ...]], Gate]


@dataclasses.dataclass(frozen=True, eq=False)
class PathGate:
    """Calls the one branch that a path takes.

    Args:
        index: Variable, the place of the gene's value on the path.
        branches: The number of the branch for each value of the gene.
    """

    index: tf.Variable
    branches: tuple[int, ...]

    @property
    def chosen(self) -> tf.Tensor:
        """The number of the branch that the path takes."""
        if self.branches == tuple(range(len(self.branches))):
            return tf.convert_to_tensor(self.index)
        return tf.gather(tf.constant(self.branches), self.index)

    def __call__(self, branches: Sequence[Branch]) -> tf.Tensor:
        """Calls the branch; see `Gate`."""
        return tf.switch_case(self.chosen, list(branches))


class SharingHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters with which the helpers of `models` build all options.

    What is asked for in other ways gets the value of `held`, or its default.
    What is asked for inside of a scope that is not active is not shared.

    Args:
        gate_of: Makes the gate of a mixed layer.
        held: Values by name.

    Attributes:
        genes: The genes that are shared, by name, in the order in which they
            were asked for.
        rules: Pairs of names of genes and of a rule for their values.
        others_are_held: Boolean, whether the hypermodel says that all other
            hyperparameters may be held.
        widths: The last parts of the names of those that are widths, if the
            hypermodel says so; otherwise `None`.
    """

    def __init__(self, gate_of: GateMaker, held: Values | None = None) -> None:
        super().__init__()
        self.values = dict(held or {})
        self.genes: dict[str, SharedGene] = {}
        self.rules: list[tuple[tuple[str, ...], Rule]] = []
        self.others_are_held = False
        self.widths: tuple[str, ...] | None = None
        self._gate_of = gate_of

    def share_options(
        self,
        name: str,
        options: Mapping[str, Callable[[], Any]],
        default: str,
    ) -> MixedLayer | None:
        """Builds all options; see `keras_evonas.models.layer_choice`."""
        names = list(options)
        if self.Choice(name, names, default=default) is None:
            return None
        gene = self._shared(name, names, default)
        made = {}
        for option, make in options.items():
            scope = self._chosen(name, option, [option])
            with scope, self.name_scope(name), self.name_scope(option):
                made[option] = make()
        return self._mixed(gene, made, range(len(names)))

    def share_parts(
        self,
        name: str,
        bounds: tuple[int, int],
        make: Callable[[int], Any],
        default: int,
    ) -> list[Any]:
        """Builds all parts; see `keras_evonas.models.repeated`."""
        low, high = bounds
        numbers = list(range(low, high + 1))
        if self.Choice(name, numbers, default=default) is None:
            return []
        gene = self._shared(name, numbers, default)
        parts: list[Any] = []
        for index in range(high):
            with contextlib.ExitStack() as scopes:
                if index >= low:
                    active = list(range(index + 1, high + 1))
                    scopes.enter_context(self._chosen(name, high, active))
                scopes.enter_context(self.name_scope(f"{name}/{index}"))
                part = make(index)
            if index >= low:
                part = self._optional(
                    gene, part, [int(number > index) for number in numbers]
                )
            parts.append(part)
        return parts

    def share_block(
        self, name: str, make: Callable[[], Any], default: bool
    ) -> keras.layers.Layer:
        """Builds a part; see `keras_evonas.models.block`."""
        if self.Boolean(name, default=default) is None:
            return keras.layers.Identity()
        gene = self._shared(name, [False, True], default)
        with self._chosen(name, True, [True]), self.name_scope(name):
            part = make()
        return self._optional(gene, part, [0, 1])

    def share_choice(
        self, name: str, values: Sequence[Any], default: object
    ) -> "Answer | None":
        """Asks for a kind of layer; see `keras_evonas.models.shared`."""
        if self.Choice(name, list(values), default=default) is None:
            return None
        gene = self._shared(name, values, default)
        # So that what is asked for of the largest number is active.
        self.values[gene.name] = values[-1]
        return Answer(gene, self._mixed)

    def share_rule(self, answers: Sequence["Answer"], rule: Rule) -> None:
        """Notes a rule; see `keras_evonas.models.shared`."""
        names = tuple(answer.gene.name for answer in answers)
        self.rules.append((names, rule))

    def hold_others(self, widths: Sequence[str]) -> None:
        """Notes that all others may be held; see `keras_evonas.models`."""
        self.others_are_held = True
        self.widths = tuple(widths)

    def _shared(
        self, name: str, values: Sequence[Any], default: object
    ) -> SharedGene:
        full = self._get_name(name)
        for one in self.space:
            is_choice = isinstance(one, hp_types.Choice | hp_types.Boolean)
            if one.name == full and not (
                is_choice and {*one.values} == {*values}
            ):
                raise ValueError(
                    f"'{full}' must be the name of one hyperparameter. "
                    f"Received: {one!r}, and a choice among {list(values)}. "
                    "Give them different names."
                )
        gene = SharedGene(name=full, values=tuple(values), default=default)
        known = self.genes.setdefault(full, gene)
        if known.values != gene.values:
            raise ValueError(
                f"'{full}' must have the same options wherever it is asked "
                f"for. Received: {list(values)} after {list(known.values)}. "
                "Give the choices different names."
            )
        return known

    @contextlib.contextmanager
    def _chosen(
        self, name: str, value: object, active: list[Any]
    ) -> Iterator[None]:
        """Opens a conditional scope, as if a value had been chosen."""
        full = self._get_name(name)
        before = self.values[full]
        self.values[full] = value
        try:
            with self.conditional_scope(name, active):
                yield
        finally:
            self.values[full] = before

    def _optional(
        self,
        gene: SharedGene,
        part: Structure,
        branches: Sequence[int],
    ) -> MixedLayer:
        options = {"absent": keras.layers.Identity(), "present": part}
        return self._mixed(gene, options, branches)

    def _mixed(
        self, gene: SharedGene, made: dict[str, Any], branches: Sequence[int]
    ) -> MixedLayer:
        if tuple(made) == _OPTIONAL:  # More of them have all parts of fewer.
            deeper = dataclasses.replace(gene, kind="depth")
            self.genes[gene.name] = deeper
        gate = self._gate_of(gene, tuple(branches))
        return MixedLayer(gene.name, made, gate)


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """All values of a gene, as the answer to a question.

    Args:
        gene: The gene.
        mixed: Makes a mixed layer of it.
    """

    gene: SharedGene
    mixed: Callable[[SharedGene, dict[str, Any], Sequence[int]], MixedLayer]

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the gene."""
        return self.gene.values

    def share_layers(
        self,
        tensor: keras.KerasTensor,
        options: Mapping[str, Apply],
        branches: Sequence[int] | None = None,
    ) -> keras.KerasTensor:
        """Applies a mixture; see `keras_evonas.models.shared`."""
        made = {name: _layer_of(make, tensor) for name, make in options.items()}
        outputs = [one(tensor) for one in made.values() if one is not None]
        layers = {
            name: Nothing(outputs[0].shape[1:]) if layer is None else layer
            for name, layer in made.items()
        }
        if branches is None:
            branches = range(len(options))
        return self.mixed(self.gene, layers, branches)(tensor)


def _layer_of(
    make: Apply, tensor: keras.KerasTensor
) -> keras.layers.Layer | None:
    """Returns what a function applies to a tensor as one layer."""
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
    outputs = make(inputs)
    if outputs is None:
        return None
    if outputs is inputs:
        return keras.layers.Identity()
    return keras.Model(inputs, outputs)


def apply_rules(
    genes: Sequence[SharedGene],
    rules: Sequence[tuple[tuple[str, ...], Rule]],
    paths: np.ndarray,
) -> np.ndarray:
    """Returns the places of the values whose layers are called.

    Args:
        genes: The genes of a path.
        rules: The rules of `SharingHyperParameters`.
        paths: `(..., genes)` array of the places of values.

    Returns:
        An array of the same shape.
    """
    called = np.array(paths, np.int32)
    place_of = {gene.name: place for place, gene in enumerate(genes)}
    for names, rule in rules:
        places = [place_of[name] for name in names]
        changed = rule([called[..., place] for place in places])
        for place, indexes in zip(places, changed, strict=True):
            called[..., place] = indexes
    return called
