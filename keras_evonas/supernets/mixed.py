"""A layer that holds every option of a choice, and the gates that mix them."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.costs.inputs import is_stateful

Branch = Callable[[], tf.Tensor]
Mask: TypeAlias = tf.Tensor | keras.KerasTensor | None


class Gate(Protocol):
    """Makes one output of the options of a choice."""

    def __call__(self, branches: Sequence[Branch]) -> tf.Tensor:
        """Returns the output, and calls the branches that it needs."""

    @property
    def branches(self) -> tuple[int, ...]:
        """The number of the branch for each value of the gene."""

    @property
    def chosen(self) -> tf.Tensor | None:
        """The number of the one branch that is called, `None` if all are."""


class Nothing(keras.layers.Layer):
    """Returns zeros: an option without layers.

    Args:
        shape: Tuple of integers, the shape for one example.
    """

    def __init__(self, shape: Sequence[int | None]) -> None:
        super().__init__()
        self._shape = tuple(shape)

    def compute_output_spec(
        self, inputs: keras.KerasTensor, training: bool | None = None
    ) -> keras.KerasTensor:
        """Returns the shape of the zeros."""
        del training
        shape = (inputs.shape[0], *self._shape)
        return keras.KerasTensor(shape, self.compute_dtype)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Returns as many zeros as there are inputs."""
        del training
        shape = (tf.shape(inputs)[0], *self._shape)
        return tf.zeros(shape, self.compute_dtype)


class MixedLayer(keras.layers.Layer):
    """All options of a choice in one layer.

    Args:
        choice: String, the name of the hyperparameter, for messages.
        options: Mapping from names to layers. They take the same input and
            return outputs of one shape.
        gate: Mixes their outputs.

    Raises:
        ValueError: If an option is no layer, keeps a state between batches or
            has an activity regularizer; when it is called first, if the shapes
            of the outputs differ, or if some of them pass a mask on and
            others do not.
    """

    def __init__(
        self, choice: str, options: dict[str, keras.layers.Layer], gate: Gate
    ) -> None:
        super().__init__()
        for name, layer in options.items():
            _check_option(choice, name, layer)
        self.choice = choice
        self.option_names = tuple(options)
        self.options = list(options.values())
        self.gate = gate
        # Options read a mask of their inputs.
        self.supports_masking = True
        self._passes_mask = False
        for layer in self._flatten_layers(include_self=False):
            if is_stateful(layer):
                raise ValueError(
                    f"The options of '{choice}' must not keep a state between "
                    "batches to share a supernet. Received: the layer "
                    f"{layer.name!r} of {type(layer).__name__}. Pass "
                    "`stateful=False`."
                )
            if getattr(layer, "activity_regularizer", None) is not None:
                raise ValueError(
                    f"The options of '{choice}' must not regularize what they "
                    "return to share a supernet. Received: the layer "
                    f"{layer.name!r} of {type(layer).__name__} with an "
                    "`activity_regularizer`. Leave it out, or put it behind "
                    "the choice."
                )

    def build(self, input_shape: Structure) -> None:
        """Creates the weights of all options, which `call` may not reach."""
        self.compute_output_spec(_specs_of(input_shape))
        self.built = True

    def compute_output_spec(
        self,
        inputs: Structure,
        training: bool | None = None,
    ) -> keras.KerasTensor:
        """Returns the one shape that all options return."""
        del training
        specs = [option(inputs) for option in self.options]
        self._check_tensors(specs)
        shapes = [tuple(one.shape) for one in specs]
        if getattr(self.gate, "takes_all_widths", False):
            shapes = _widest(shapes)
        if any(shape != shapes[0] for shape in shapes):
            found = ", ".join(
                f"'{name}' {shape}"
                for name, shape in zip(self.option_names, shapes, strict=True)
            )
            raise ValueError(
                f"The options of '{self.choice}' must return outputs of one "
                f"shape to share a supernet. Received: {found} for inputs of "
                f"{keras.tree.map_structure(lambda x: x.shape, inputs)}. Let "
                'them keep the resolution (`padding="same"`, `strides=1`) and '
                "return the same number of channels, for instance by a "
                "convolution with `kernel_size=1` behind."
            )
        masks = [getattr(spec, "_keras_mask", None) for spec in specs]
        given = getattr(inputs, "_keras_mask", None)
        if given is not None or any(mask is not None for mask in masks):
            self._passes_mask = self._checked_masks(given, masks)
        return keras.KerasTensor(shapes[0], specs[0].dtype)

    def _check_tensors(self, specs: Sequence[object]) -> None:
        for name, spec in zip(self.option_names, specs, strict=True):
            if not isinstance(spec, keras.KerasTensor):
                raise ValueError(
                    f"The options of '{self.choice}' must return one tensor "
                    f"to share a supernet. Received: {type(spec).__name__} "
                    f"from '{name}'. Wrap the layer in one that returns what "
                    "is needed."
                )

    def _check_losses(self, option: keras.layers.Layer) -> None:
        """Checks that an option that was called has added no loss."""
        regularized = [x for x in option.trainable_weights if x.regularizer]
        if len(option.losses) > len(regularized):
            raise ValueError(
                f"The options of '{self.choice}' must not add losses of their "
                "own to share a supernet. Received: the option "
                f"'{self.option_names[self.options.index(option)]}', which "
                "calls `add_loss`. Call it in a layer behind the choice."
            )

    def _checked_masks(self, given: object, masks: list[object]) -> bool:
        """Returns whether all options pass the mask on; or none may have one.

        Raises:
            ValueError: If some do.
        """
        if given is not None and all(mask is given for mask in masks):
            return True
        if all(mask is None for mask in masks):
            return False
        found = ", ".join(
            f"'{name}' {'without' if mask is None else 'with a mask'}"
            for name, mask in zip(self.option_names, masks, strict=True)
        )
        raise ValueError(
            f"The options of '{self.choice}' must all pass on the mask of "
            "their inputs, or none, to share a supernet. Received: outputs "
            f"of {found}. Use the mask before the choice, or leave "
            "`mask_zero=True` and `Masking` out."
        )

    def compute_mask(self, inputs: Structure, previous_mask: Mask) -> Mask:
        """Returns the mask of the outputs: that of the inputs, or none."""
        del inputs
        return previous_mask if self._passes_mask else None

    def call(
        self,
        inputs: Structure,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Applies what the gate chooses, or mixes it."""

        def branch(option: keras.layers.Layer) -> Branch:
            def call() -> tf.Tensor:
                outputs = option(inputs, training=training)
                self._check_losses(option)
                return outputs

            return call

        return self.gate([branch(option) for option in self.options])


def _widest(shapes: Sequence[Structure]) -> list[Structure]:
    """Returns the widest of some shapes, if they differ in widths alone."""
    if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
        return list(shapes)
    return [max(shapes, key=lambda shape: shape[-1])] * len(shapes)


def _check_option(choice: str, name: str, layer: object) -> None:
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            f"The options of '{choice}' must return layers to share a "
            f"supernet. Received: {layer!r} from the option '{name}'. Return "
            "the layer without calling it, several as a `keras.Sequential`."
        )


def _specs_of(shapes: Structure) -> Structure:
    if isinstance(shapes, dict):
        return {name: _specs_of(shape) for name, shape in shapes.items()}
    is_shape = all(isinstance(x, int | None) for x in shapes)
    if is_shape:
        return keras.KerasTensor(tuple(shapes), keras.config.floatx())
    return [_specs_of(shape) for shape in shapes]
