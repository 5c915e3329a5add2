"""Transfer: the path of one task, frozen in the supernet of another."""

import dataclasses
import hashlib
from collections.abc import Mapping

import keras
import keras_tuner

from keras_evonas.supernets.sharing import Values
from keras_evonas.supernets.walk import behind_choices
from keras_evonas.supernets.walk import layers_on


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FrozenPath:
    """A network of one supernet whose layers another one keeps as they are.

    PathNet (Fernando et al., 2017): the path that won the first task is frozen,
    all other layers begin anew, and new paths are trained for the second task,
    which may lead through frozen layers. Layers behind all choices, such as
    the head, are new. Frozen batch normalization keeps its moving averages, so
    calibrate the network.

    Args:
        values: The values of the network, as for `Supernet.path_of`.
        network: The network that was cut out with them, calibrated.

    Raises:
        TypeError: If `values` or `network` is of another type.

    Example:

    ```python
    network = first.subnet(values)
    calibrate(network, batches)
    second = Supernet(
        build_model, frozen=FrozenPath(values=values, network=network)
    )
    ```
    """

    values: Values
    network: keras.Model

    def __post_init__(self) -> None:
        """Checks both."""
        if not isinstance(self.values, Mapping | keras_tuner.HyperParameters):
            raise TypeError(
                "`values` must be a mapping from names to values, or "
                f"`HyperParameters`. Received: values={self.values!r}."
            )
        if not isinstance(self.network, keras.Model):
            raise TypeError(
                "`network` must be a `keras.Model` that was cut out of a "
                f"supernet. Received: network={self.network!r}. Pass "
                "`supernet.subnet(values)`."
            )

    @property
    def fingerprint(self) -> str:
        """Tells this path from others, by its weights."""
        digest = hashlib.sha256()
        for weight in self.network.get_weights():
            digest.update(weight.tobytes())
        return digest.hexdigest()[:16]


def freeze(
    network: keras.Model, index_of: Mapping[str, int], frozen: FrozenPath
) -> None:
    """Copies a frozen path into the network of a supernet.

    Args:
        network: The network, for which no optimizer is built yet.
        index_of: The path; see `layers_on`.
        frozen: What to copy.

    Raises:
        ValueError: If the path is not one of this network.
    """
    new = {id(layer) for layer in behind_choices(network)}
    own = list(layers_on(network, index_of))
    given = list(layers_on(frozen.network, {}))
    if len(own) != len(given):
        raise ValueError(
            "`frozen` must be a network of the same hypermodel, cut out with "
            f"its values. Received: {len(given)} layers with weights, in "
            f"place of {len(own)}. Cut it out with `subnet(values)`."
        )
    for layer, source in zip(own, given, strict=True):
        if id(layer) in new:
            continue
        shapes = [[tuple(w.shape) for w in x.weights] for x in (layer, source)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "`frozen` must be a network of the same hypermodel, cut out "
                f"with its values. Received: weights of the shapes {shapes[1]} "
                f"in place of {shapes[0]}, in the layer {layer.name!r}. Hold "
                "elastic widths at those of the network: `held={...}`."
            )
        layer.set_weights(source.get_weights())
        layer.trainable = False
