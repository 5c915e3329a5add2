"""The architecture weights of a hypermodel, and the gates that mix by them."""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.supernets.gates import Draw
from keras_evonas.supernets.gates import Gates
from keras_evonas.supernets.mixed import Branch
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.sharing import SharedGene

# Of the moving average of losses, as ENAS has it (Pham et al., 2018).
_DECAY = 0.95


class Architecture:
    """The architecture weights of all genes, and what is drawn by them.

    Args:
        genes: The genes.
        gates: Makes shares of the weights.
        kept: Mapping from names of genes to the places of the values that are
            still searched. Defaults to all of them.
        drops_skips: Boolean, whether skips have dropout.

    Attributes:
        alpha: Variable, the weights of all genes in a row.
        temperature: Variable, that of the shares.
        skip_rate: Variable, the rate of dropout on skips.
        baseline: Variable, the moving average of losses; see
            `policy_gradient`.
    """

    def __init__(
        self,
        genes: Sequence[SharedGene],
        gates: Gates,
        *,
        kept: Mapping[str, Sequence[int]] | None = None,
        drops_skips: bool = False,
    ) -> None:
        self.genes = tuple(genes)
        self.gates = gates
        self.drops_skips = drops_skips
        kept = kept or {}
        self.kept = {
            gene.name: tuple(kept.get(gene.name, range(len(gene.values))))
            for gene in genes
        }
        sizes = [len(gene.values) for gene in genes]
        starts = np.cumsum([0, *sizes])
        self._numbers = {gene.name: n for n, gene in enumerate(genes)}
        self._starts = dict(zip(self._numbers, starts.tolist(), strict=False))
        self._gene_of = np.repeat(np.arange(len(genes)), sizes)
        self.size = int(starts[-1])
        dtype = keras.config.floatx()
        self.alpha = keras.Variable(
            np.zeros(self.size), dtype=dtype, autocast=False, name="alpha"
        )
        self._noise = _state(np.zeros(self.size), dtype)
        first = [self.kept[gene.name][0] for gene in genes]
        self._pairs = _state(np.transpose([first, first]), "int32")
        self.temperature = _state(1.0, dtype)
        self.skip_rate = _state(0.0, dtype)
        self.skip_seed = _state(np.zeros(2), "int32")
        # The moving average of losses; there is none before the first step.
        self.baseline = keras.Variable(
            np.nan, trainable=False, dtype=dtype, autocast=False
        )
        self._gates_made = 0

    def gate_of(
        self, gene: SharedGene, branches: tuple[int, ...]
    ) -> "MixtureGate":
        """Returns a gate of a gene, for `SharingHyperParameters`."""
        self._gates_made += 1
        return MixtureGate(self, gene.name, branches, self._gates_made)

    def draw(self, noise: tf.Tensor, *, two: bool) -> None:
        """Draws what the gates need for one call of the network.

        Args:
            noise: `(2, weights)` tensor, drawn from the standard Gumbel
                distribution.
            two: Boolean, whether to draw two options where gates draw paths.
        """
        self._noise.assign(noise[0])
        if self.gates.draws_paths:
            pairs = [self._drawn(gene.name, noise, two) for gene in self.genes]
            self._pairs.assign(tf.stack(pairs))

    def _drawn(self, name: str, noise: tf.Tensor, two: bool) -> tf.Tensor:
        """Draws by the softmax, without returning what was drawn.

        The largest of weight plus Gumbel noise is a draw by the softmax, and
        the second largest the next one.
        """
        kept = tf.constant(self.kept[name])
        places = kept + self._starts[name]
        alphas = self._alphas(name)
        first = alphas + tf.gather(noise[0], places)
        if len(self.kept[name]) == 1 or not two:
            chosen = tf.gather(kept, tf.argmax(first))
            return tf.stack([chosen, chosen])
        pair = tf.math.top_k(first, 2).indices
        again = tf.gather(alphas + tf.gather(noise[1], places), pair)
        order = tf.argsort(again, direction="DESCENDING")
        return tf.gather(kept, tf.gather(pair, order))

    def pair_of(self, name: str) -> tf.Tensor:
        """Returns the places of the options that are drawn for a gene."""
        return self._pairs[self._numbers[name]]

    def shares_of(self, name: str) -> tf.Tensor:
        """Returns the shares of a gene's values that are still searched."""
        kept = self.kept[name]
        places = tf.constant(kept) + self._starts[name]
        pair = self.pair_of(name)
        if self.gates.draws_paths and kept != tuple(range(len(kept))):
            found = tf.equal(pair[:, None], tf.constant(kept)[None])
            pair = tf.argmax(tf.cast(found, tf.int32), axis=1)
        draw = Draw(
            noise=tf.gather(self._noise, places),
            pair=pair,
            temperature=self.temperature,
        )
        return self.gates.shares(self._alphas(name), draw)

    def _alphas(self, name: str) -> tf.Tensor:
        """Returns the weights of a gene's values that are still searched."""
        places = tf.constant(self.kept[name]) + self._starts[name]
        return tf.gather(self.alpha.value, places)

    def policy_gradient(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of the mean loss, from one network (REINFORCE).

        Williams (1992): the gradient of the log of the probability of what was
        drawn, times how far its loss is above the moving average of losses.

        Args:
            loss: Scalar tensor, the loss of the network that is drawn.
        """
        loss = tf.cast(loss, self.alpha.dtype)
        before = self.baseline.value
        before = tf.where(tf.math.is_nan(before), loss, before)
        self.baseline.assign(_DECAY * before + (1 - _DECAY) * loss)
        with tf.GradientTape() as tape:
            total = tf.zeros([], self.alpha.dtype)
            for name, kept in self.kept.items():
                logs = tf.nn.log_softmax(self._alphas(name))
                drawn = tf.equal(tf.constant(kept), self.pair_of(name)[0])
                total += tf.reduce_sum(tf.where(drawn, logs, 0.0))
        slope = tape.gradient(total, self.alpha.value)
        return (loss - before) * tf.convert_to_tensor(slope)

    def expected(self, costs: np.ndarray) -> tf.Tensor:
        """Returns the mean of a cost over networks drawn by the softmax.

        Args:
            costs: `(weights,)` array, what each value of each gene costs.
        """
        total = tf.zeros([], self.alpha.dtype)
        for name, kept in self.kept.items():
            places = np.array(kept) + self._starts[name]
            softmax = tf.nn.softmax(self._alphas(name))
            cost = tf.constant(costs[places], softmax.dtype)
            total += tf.reduce_sum(softmax * cost)
        return total

    def probabilities(self) -> dict[str, list[float]]:
        """Returns the softmax of each gene, zero for values left out."""
        found = {}
        for gene in self.genes:
            start, kept = self._starts[gene.name], list(self.kept[gene.name])
            alphas = self.alpha.numpy()[start : start + len(gene.values)]
            own = np.full(len(gene.values), -np.inf)
            own[kept] = alphas[kept]
            powers = np.exp(own - own.max())
            found[gene.name] = (powers / powers.sum()).tolist()
        return found

    def keep_others(self, before: tf.Tensor) -> None:
        """Moves the weights of a pair so that all other shares stay.

        An update of two weights changes the softmax of all. ProxylessNAS
        (section 3.2.1) adds one number to both, which leaves the sum of their
        shares as it was.

        Args:
            before: The weights before the update.
        """
        starts = tf.constant(list(self._starts.values()))
        places = tf.reshape(self._pairs + starts[:, None], [-1, 1])
        hits = tf.scatter_nd(places, tf.ones_like(places[:, 0]), [self.size])
        drawn = tf.cast(hits > 0, before.dtype)
        number = len(self.genes)
        sums = [
            tf.math.unsorted_segment_sum(
                drawn * tf.exp(alphas), self._gene_of, number
            )
            for alphas in (before, self.alpha.value)
        ]
        offset = tf.math.log(sums[0] / sums[1])
        moved = drawn * tf.gather(offset, self._gene_of)
        self.alpha.assign_add(moved)


@dataclasses.dataclass(eq=False)
class MixtureGate:
    """Mixes the options of one mixed layer; see `Architecture`.

    A gene may have several mixed layers. The share of a branch is the sum of
    the shares of the values that take it.

    Args:
        architecture: The architecture weights.
        name: The name of the gene.
        branches: The number of the branch for each value of the gene.
        number: Integer, tells the gates of a network apart.
        skips: The branches that are skips, known once they are made.
    """

    architecture: Architecture
    name: str
    branches: tuple[int, ...]
    number: int
    skips: Collection[int] = ()

    @property
    def chosen(self) -> tf.Tensor | None:
        """The number of the branch that is drawn, `None` if all are called."""
        if not self.architecture.gates.draws_paths:
            return None
        return tf.gather(self.branches, self._pair[0])

    @property
    def _pair(self) -> tf.Tensor:
        return self.architecture.pair_of(self.name)

    def __call__(self, branches: Sequence[Branch]) -> tf.Tensor:
        """Calls the branches and adds them up; see `Gate`."""
        architecture = self.architecture
        shares = architecture.shares_of(self.name)
        taken = [self.branches[v] for v in architecture.kept[self.name]]
        of_branch = tf.math.unsorted_segment_sum(shares, taken, len(branches))
        calls = [self._call_of(n, branch) for n, branch in enumerate(branches)]
        used = sorted(set(taken))
        if architecture.gates.draws_paths and len(used) > 1:
            return self._two(calls, of_branch)
        return tf.add_n([_times(of_branch[n], calls[n]()) for n in used])

    def _two(self, calls: Sequence[Branch], shares: tf.Tensor) -> tf.Tensor:
        """Calls the branch that is drawn, and the other one of a pair."""
        pair = tf.gather(self.branches, self._pair)
        output = _times(shares[pair[0]], tf.switch_case(pair[0], calls))

        def other() -> tf.Tensor:
            return _times(shares[pair[1]], tf.switch_case(pair[1], calls))

        return output + tf.cond(
            tf.equal(pair[0], pair[1]), lambda: tf.zeros_like(output), other
        )

    def _call_of(self, number: int, branch: Branch) -> Branch:
        """Returns the branch, with dropout if it is a skip."""
        architecture = self.architecture
        if not architecture.drops_skips or number not in self.skips:
            return branch

        def dropped() -> tf.Tensor:
            seed = architecture.skip_seed + tf.constant([0, self.number])
            rate = architecture.skip_rate
            return tf.nn.experimental.stateless_dropout(branch(), rate, seed)

        return dropped


def _state(value: object, dtype: str) -> tf.Variable:
    return tf.Variable(value, trainable=False, dtype=dtype)


def _times(share: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    return tf.cast(share, output.dtype) * output


def mark_skips(mixed: Sequence[MixedLayer]) -> dict[str, list[int]]:
    """Tells gates which of their branches are skips.

    Args:
        mixed: The mixed layers.

    Returns:
        Dictionary from names of genes to the places of the values for which
        all mixed layers of the gene are skips.
    """
    found: dict[str, list[int]] = {}
    for layer in mixed:
        gate = layer.gate
        if isinstance(gate, MixtureGate):
            options = enumerate(layer.options)
            gate.skips = {n for n, option in options if _is_skip(option)}
            values = range(len(gate.branches))
            before = found.get(gate.name, values)
            found[gate.name] = [
                v for v in before if gate.branches[v] in gate.skips
            ]
    return found


def _is_skip(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.Sequential):
        return all(_is_skip(inner) for inner in layer.layers)
    return isinstance(layer, keras.layers.Identity)
