"""`Supernet`: one network that holds every network of a hypermodel."""

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_evonas.evolution.checks import check_range
from keras_evonas.models.costs.device import available_bytes
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets import held as held_lib
from keras_evonas.supernets.distillation import Distillation
from keras_evonas.supernets.looking import leaves_of
from keras_evonas.supernets.masked import mask_layers
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.samplers import UniformPaths
from keras_evonas.supernets.sharing import PathGate
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.sharing import SharingHyperParameters
from keras_evonas.supernets.sharing import Values
from keras_evonas.supernets.sharing import apply_rules
from keras_evonas.supernets.transfer import FrozenPath
from keras_evonas.supernets.transfer import freeze
from keras_evonas.supernets.updates import GatedUpdates
from keras_evonas.supernets.walk import layers_on
from keras_evonas.supernets.walk import shapes_on
from keras_evonas.supernets.walk import value_on
from keras_evonas.supernets.walk import weights_on

Logs: TypeAlias = dict[str, Any]
Path: TypeAlias = Sequence[int] | np.ndarray

# So many paths are drawn for a `fit` that is given none.
_DRAWN = 1024


class Supernet(keras.Model):
    """Every network of a hypermodel in one, with weights that they share.

    One-shot architecture search (Bender et al., 2018) in its single-path form
    (Guo et al., 2020): each training step takes one path, on which each choice
    has one option. What `layer_choice`, `repeated` and `block` of
    `keras_evonas.models` ask for is shared: all options are built, and a path
    says which are called. Widths and kernels that other hyperparameters ask
    for are elastic, as in Once-for-All (Cai et al., 2020): the largest is
    built, and a path has the first channels of it, or the center of a kernel.
    All other hyperparameters are held at one value.

    It is compiled as the hypermodel compiles its networks. `fit` takes the
    same random paths in each epoch, unless `set_paths` is called before it, as
    `OneShotTuner` does.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a compiled Sequential or functional
            model.
        held: Mapping from names of hyperparameters that are not shared to the
            values that they are held at. Defaults to their defaults.
        frozen: A `FrozenPath`, whose layers are kept as they are. Defaults to
            `None`.
        plan: What `held.plan` found out about the hypermodel, if it was
            asked. Defaults to `None`.

    Attributes:
        genes: The shared genes, in the order of a path. Those that are elastic
            come last, with their values in increasing order.
        held: Dictionary of all that are held, with their values.
        refused: Dictionary of those that change widths or kernels and are
            held all the same, with the reasons.
        settings: Dictionary of the loss, and of the settings of the optimizer
            and of layers.

    Raises:
        ValueError: If there is nothing to share, if options do not fit
            together, or if a hyperparameter that changes the network in other
            ways is not in `held`.
        MemoryError: If weights and the optimizer's memory do not fit.

    Example:

    ```python
    supernet = Supernet(build_model)
    supernet.fit(x, y, epochs=20)
    model = supernet.subnet({"layer_0": "conv_3x3", "layer_1": "skip"})
    ```
    """

    def __init__(
        self,
        hypermodel: Hypermodel,
        *,
        held: Values | None = None,
        frozen: FrozenPath | None = None,
        plan: held_lib.Plan | None = None,
    ) -> None:
        super().__init__()
        plan = plan or held_lib.plan(hypermodel, held, elastic=True)
        plan.check_memory(available_bytes())
        self.held = dict(plan.held)
        self.refused = dict(plan.elastic.refused)
        self.settings = dict(plan.settings)
        self._build_plain = builder_of(hypermodel)
        self._index_of: dict[str, tf.Variable] = {}
        values = {**self.held, **plan.elastic.largest}
        hp = SharingHyperParameters(self._path_gate, values)
        self.network = self._build_plain(hp)
        self.genes = (*hp.genes.values(), *plan.elastic.genes)
        self._rules = tuple(hp.rules)
        mixed = [
            one for one in self._flatten_layers() if isinstance(one, MixedLayer)
        ]
        self.built = True
        for gene in plan.elastic.genes:
            self._index_variable(gene)
        self._axes = mask_layers(
            leaves_of(self.network), plan.elastic.slices, self._index_of
        )
        self._frozen = None if frozen is None else frozen.fingerprint
        if frozen is not None:
            path = self.path_of(frozen.values)
            freeze(self.network, self.index_of(path), frozen)
        self._updates = GatedUpdates(
            mixed,
            self.network.optimizer,
            self.network.trainable_weights,
            self._axes,
            self._index_of,
        )
        paths = self.called(UniformPaths().paths(self.sizes, _DRAWN, (0,)))
        self._passes = paths.shape[1]
        self._paths = tf.Variable(
            paths, shape=[None, None, len(self.genes)], trainable=False
        )
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._distillation: Distillation | None = None
        self.compile(optimizer=self.network.optimizer, jit_compile=False)

    def _path_gate(
        self, gene: SharedGene, branches: tuple[int, ...]
    ) -> PathGate:
        return PathGate(self._index_variable(gene), branches)

    def _index_variable(self, gene: SharedGene) -> tf.Variable:
        if gene.name not in self._index_of:
            index = tf.Variable(0, dtype=tf.int32, trainable=False)
            self._index_of[gene.name] = index
        return self._index_of[gene.name]

    # Paths.

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each gene."""
        return tuple(len(gene.values) for gene in self.genes)

    def path_of(self, values: Values) -> np.ndarray:
        """Returns the path of a network.

        Args:
            values: Mapping from names to values, or `HyperParameters`. Genes
                that are left out, or not active, get their default;
                hyperparameters that are held may be among them.

        Returns:
            `(genes,)` array of integers, the place of each gene's value.

        Raises:
            ValueError: If a name or value is not of this supernet.
        """
        if isinstance(values, keras_tuner.HyperParameters):
            values = values.values
        if not isinstance(values, Mapping):
            raise TypeError(
                "`values` must be a dictionary of values by the names of "
                f"hyperparameters. Received: {values!r}."
            )
        names = {gene.name for gene in self.genes}
        for name, value in values.items():
            if name in names or name.startswith("tuner/"):
                continue
            if name not in self.held or self.held[name] != value:
                raise ValueError(
                    "`values` must be those of a network of this supernet. "
                    f"Received: {name}={value!r}. It shares {sorted(names)} "
                    f"and holds {self.held}."
                )
        return np.array([one.place_in(values) for one in self.genes], np.int32)

    def values_of(self, path: Path) -> dict[str, Any]:
        """Returns the values of all shared genes on a path."""
        return {
            gene.name: gene.values[int(index)]
            for gene, index in zip(self.genes, self._checked(path), strict=True)
        }

    def called(self, paths: Path) -> np.ndarray:
        """Returns the places of the values whose layers are called.

        They are those of the path itself, but where a choice has no effect, as
        for an edge of a cell that leads nowhere.

        Args:
            paths: `(..., genes)` array of integers, one or several paths.

        Raises:
            ValueError: If these are not paths of this supernet.
        """
        return apply_rules(self.genes, self._rules, self._checked(paths))

    def _checked(self, paths: Path) -> np.ndarray:
        found, sizes = np.asarray(paths), np.array(self.sizes)
        if found.shape[-1:] != sizes.shape or found.dtype.kind not in "iu":
            raise ValueError(
                "`paths` must be integers, the place of a value for each of "
                f"{len(sizes)} genes. Received: {found.dtype} of shape "
                f"{found.shape}. Pass what `path_of` returns."
            )
        if ((found < 0) | (found >= sizes)).any():
            places = found.reshape(-1, len(sizes))
            raise ValueError(
                "`paths` must hold places of values, from 0 to "
                f"{(sizes - 1).tolist()}. Received: places from "
                f"{places.min(0).tolist()} to {places.max(0).tolist()}."
            )
        return found

    def take(self, path: tf.Tensor | np.ndarray) -> None:
        """Calls the options of this path, from `called`, from now on."""
        for number, gene in enumerate(self.genes):
            self._index_of[gene.name].assign(path[number])

    def set_paths(self, paths: np.ndarray) -> None:
        """Sets the paths of the steps to come.

        Args:
            paths: `(steps, passes, genes)` array of integers. A step takes
                each of its passes on the same batch, then updates the weights
                once; after the last step the first one comes again.

        Raises:
            ValueError: If these are not paths of this supernet.
        """
        paths = np.asarray(paths)
        size = len(self.genes)
        if paths.ndim != 3 or not paths.size or paths.shape[-1] != size:
            raise ValueError(
                "`paths` must be an array of shape `(steps, passes, genes)`, "
                f"with {size} genes. Received: shape {paths.shape}."
            )
        paths = self.called(paths)
        if paths.shape[1] != self._passes:
            self._passes = paths.shape[1]
            # One pass is traced without a sum of gradients.
            if self.train_function is not None:
                self.make_train_function(force=True)
        self._paths.assign(paths)
        self._step.assign(0)

    def distill(self, share: float) -> None:
        """Lets paths learn from the largest one, from now on.

        Args:
            share: Float in `[0, 1]`, the share of the loss that compares both;
                see `single_path`.

        Raises:
            ValueError: If the loss of the network is of another kind.
        """
        check_range("share", share, 0, 1)
        self._distillation = None
        if share:
            self._distillation = Distillation(
                self.network, self.genes, self.take, share
            )
        if self.train_function is not None:
            self.make_train_function(force=True)

    # Training, as Keras calls it.

    def call(
        self,
        inputs: Structure,
        training: bool | None = None,
    ) -> Structure:
        """Applies the network on the current path."""
        return self.network(inputs, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the networks."""
        metrics: list[keras.metrics.Metric] = self.network.metrics
        return metrics

    def train_step(self, data: Structure) -> Logs:
        """Takes the next paths on one batch; see `set_paths`."""
        steps = tf.cast(tf.shape(self._paths)[0], tf.int64)
        passes = self._paths[self._step % steps]
        self._step.assign_add(1)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)

        def take(path: tf.Tensor) -> list[tf.Tensor]:
            return self._gradients(x, y, weight, path)

        if self._passes == 1:
            self._updates.apply(take(passes[0]))
        else:
            self._updates.apply_sum(passes, take)
        logs: Logs = self.network.get_metrics_result()
        return logs

    def _gradients(
        self,
        x: Structure,
        y: Structure,
        weight: Structure,
        path: tf.Tensor,
    ) -> list[tf.Tensor]:
        """Takes a path; returns gradients as `Model.train_step` does (3.15)."""
        network, distillation = self.network, self._distillation
        soft = None if distillation is None else distillation.targets(x, path)
        self.take(path)
        with tf.GradientTape() as tape:
            outputs = network(x, training=True)
            loss = network.compute_loss(
                x=x, y=y, y_pred=outputs, sample_weight=weight, training=True
            )
            if distillation is not None:
                loss = distillation.mixed(loss, path, soft, outputs, weight)
            scaled = network.optimizer.scale_loss(loss)
        size = tf.shape(keras.tree.flatten(x)[0])[0]
        tracker = next(m for m in network.metrics if m.name == "loss")
        tracker.update_state(loss, sample_weight=size)
        network.compute_metrics(x, y, outputs, sample_weight=weight)
        weights = [w.value for w in network.trainable_weights]
        gradients: list[tf.Tensor] = tape.gradient(
            scaled,
            weights,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return gradients

    def test_step(self, data: Structure) -> Logs:
        """Evaluates the current path on one batch."""
        logs: Logs = self.network.test_step(data)
        return logs

    # Networks of it.

    def subnet(self, values: Values) -> keras.Model:
        """Cuts a network out, with its share of the weights.

        Args:
            values: As for `path_of`.

        Returns:
            The model that `hypermodel.build` makes of the values, compiled as
            there. Its weights are copies. Moving averages of batch
            normalization are those of all paths: calibrate them with
            `keras_evonas.supernets.calibrate` before it predicts. Layers of a
            frozen path are frozen.
        """
        path = self.path_of(values)
        hp = keras_tuner.HyperParameters()
        hp.values = {**self.held, **self.values_of(path)}
        model = self._build_plain(hp)
        own = weights_on(model, {})
        shapes = [[tuple(w.shape) for w in own], self.shapes_on(path)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "`hypermodel` must build the same layers in a supernet and "
                f"alone. Received: weights of the shapes {shapes[0]} alone, "
                f"and {shapes[1]} in the supernet, for {hp.values}. Make "
                "layers that depend on a choice by `layer_choice`, `repeated` "
                "or `block`."
            )
        index_of = self.index_of(path)
        for weight, shared in zip(own, self.weights_on(path), strict=True):
            weight.assign(value_on(shared, self._axes, index_of))
        if self._frozen is not None:
            frozen = layers_on(self.network, index_of)
            for one, other in zip(layers_on(model, {}), frozen, strict=True):
                one.trainable = other.trainable
        return model

    def weights_on(self, path: Path) -> list[keras.Variable]:
        """Returns the weights on a path, in the order of its network's.

        Of elastic ones only a part is on the path; see `shapes_on`.
        """
        return weights_on(self.network, self.index_of(path))

    def shapes_on(self, path: Path) -> list[tuple[int, ...]]:
        """Returns the shapes of the weights of the network of a path."""
        index_of = self.index_of(path)
        weights = weights_on(self.network, index_of)
        return shapes_on(weights, self._axes, index_of)

    def penalty_off(self, path: Path) -> float:
        """Returns what regularizers add to the loss for weights off a path."""
        if all(one.regularizer is None for one in self.network.weights):
            return 0.0
        index_of = self.index_of(path)
        penalty = 0.0
        for weight in self.network.trainable_weights:
            if weight.regularizer is not None:
                penalty += float(weight.regularizer(weight))
        for weight in weights_on(self.network, index_of):
            if weight.trainable and weight.regularizer is not None:
                value = value_on(weight, self._axes, index_of)
                penalty -= float(weight.regularizer(tf.constant(value)))
        return penalty

    def index_of(self, path: Path) -> dict[str, int]:
        """Returns the places of the values that are called, by gene."""
        called = self.called(path).tolist()
        names = [gene.name for gene in self.genes]
        return dict(zip(names, called, strict=True))

    @property
    def fingerprint(self) -> str:
        """Tells this supernet from others: its genes, held values, shapes."""
        content: dict[str, object] = {
            "genes": [[gene.name, list(gene.values)] for gene in self.genes],
            "held": self.held,
            "shapes": [list(w.shape) for w in self.weights],
        }
        if self._frozen is not None:
            content["frozen"] = self._frozen
        text = json.dumps(content, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
