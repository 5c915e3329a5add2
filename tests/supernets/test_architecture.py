"""The laws of gates whose weights are trained."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.supernets.architecture import Architecture
from keras_evonas.supernets.gates import BinaryGates
from keras_evonas.supernets.gates import GumbelGates
from keras_evonas.supernets.gates import SoftmaxGates
from keras_evonas.supernets.sharing import SharedGene

pytestmark = pytest.mark.keras
ALPHAS = np.array([0.7, -0.4, 0.1])
DRAWS = 20_000
GATES = [SoftmaxGates(), GumbelGates(), BinaryGates()]


def architecture(gates, values=("a", "b", "c"), alphas=ALPHAS, **kwargs):
    genes = [SharedGene(name="gene", values=values)]
    made = Architecture(genes, gates, **kwargs)
    made.alpha.assign(alphas)
    return made, genes[0]


def softmax(alphas):
    powers = np.exp(alphas - np.max(alphas))
    return powers / powers.sum()


def drawn(made, get, draws=DRAWS, *, two=False):
    """What `get` returns after each of many draws, in one call."""
    rng = np.random.default_rng(0)
    noise = tf.constant(rng.gumbel(size=(draws, 2, made.size)), "float32")

    def one(noise):
        made.draw(noise, two=two)
        return get()

    spec = tf.TensorSpec(get().shape, get().dtype)
    loop = tf.function(lambda: tf.map_fn(
        one, noise, fn_output_signature=spec, parallel_iterations=1
    ))  # fmt: skip
    return loop().numpy()


def assert_frequencies(found, expected):
    """Within five standard deviations of what is expected."""
    counts = np.bincount(found, minlength=len(expected)) / len(found)
    deviation = np.sqrt(expected * (1 - expected) / len(found))
    assert (np.abs(counts - expected) <= 5 * deviation).all(), counts


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_concrete_samples_follow_the_softmax_and_become_one_hot(temperature):
    made, gene = architecture(GumbelGates())
    made.temperature.assign(temperature)
    shares = drawn(made, lambda: made.shares_of(gene.name))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    # The largest share is that of the option that is drawn, at any
    # temperature (Maddison et al., 2017, proposition 1).
    assert_frequencies(shares.argmax(axis=1), softmax(ALPHAS))
    largest = shares.max(axis=1).mean()
    low, high = {1.0: (0.6, 0.8), 0.1: (0.93, 0.98), 0.01: (0.99, 1)}[
        temperature
    ]
    assert low < largest < high


def test_temperatures_fall_exponentially():
    gates = GumbelGates(first=1.0, last=0.01)
    found = [gates.temperature(at) for at in (0, 0.5, 1)]
    np.testing.assert_allclose(found, [1, 0.1, 0.01])
    with pytest.raises(ValueError, match="`last` must be above 0"):
        GumbelGates(last=0)


def test_binary_gates_draw_by_the_softmax():
    made, gene = architecture(BinaryGates())
    pairs = drawn(made, lambda: made.pair_of(gene.name) + 0)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert_frequencies(pairs[:, 0], softmax(ALPHAS))
    pairs = drawn(made, lambda: made.pair_of(gene.name) + 0, two=True)
    table = np.zeros([3, 3])
    for pair, chance in enumerated(ALPHAS):
        table[pair] += chance
    assert_frequencies(pairs[:, 0] * 3 + pairs[:, 1], table.reshape(-1))


def enumerated(alphas):
    """Yields pairs of the one drawn and the other, with their chances."""
    p = softmax(alphas)
    for first, second in itertools.permutations(range(len(p)), 2):
        # Two without returning the first, in both orders; then one of them.
        both = p[first] * p[second] * (1 / (1 - p[first]) + 1 / (1 - p[second]))
        yield (first, second), both * p[first] / (p[first] + p[second])


def test_the_mean_gradient_of_binary_gates_is_the_enumerated_one():
    made, gene = architecture(BinaryGates())
    outputs = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.9]], "float32")
    gate = made.gate_of(gene, (0, 1, 2))

    def gradient():
        with tf.GradientTape() as tape:
            output = gate([lambda o=o: tf.constant(o) for o in outputs])
            loss = tf.reduce_sum(tf.tanh(output) ** 2)
        return tf.convert_to_tensor(tape.gradient(loss, made.alpha.value))

    found = drawn(made, gradient, 4000, two=True)
    expected = np.zeros(3)
    for (one, other), chance in enumerated(ALPHAS):
        # The output is that of the one drawn; equation 4 for the two gates.
        tanh = np.tanh(outputs[one])
        slope = 2 * tanh * (1 - tanh**2)
        of_gates = outputs[[one, other]] @ slope
        p = softmax(ALPHAS[[one, other]])
        jacobian = np.diag(p) - np.outer(p, p)
        expected[[one, other]] += chance * (jacobian @ of_gates)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - expected) < 5 * error).all()
    assert (np.abs(expected) > 5 * error).all()  # It is no comparison of zeros.


def test_the_mean_policy_gradient_is_that_of_the_mean_loss():
    genes = [
        SharedGene(name="kind", values=("a", "b", "c")),
        SharedGene(name="depth", values=(1, 2)),
    ]
    gates = BinaryGates(gradient="reinforce")
    made = Architecture(genes, gates, kept={"kind": [0, 2]})
    alphas = tf.constant([0.7, -0.4, 0.1, 0.3, -0.2])
    made.alpha.assign(alphas)
    losses = {(0, 0): 1.0, (0, 1): 2.5, (2, 0): -0.5, (2, 1): 4.0}
    places = {0: 0, 2: 1}  # Among those of the first gene that are kept.
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        kind = tf.nn.softmax(tf.gather(alphas, [0, 2]))
        depth = tf.nn.softmax(alphas[3:])
        chance = {(a, b): kind[places[a]] * depth[b] for a, b in losses}
        mean = sum(chance[path] * loss for path, loss in losses.items())
    expected = tf.convert_to_tensor(tape.gradient(mean, alphas))
    found = np.zeros(5)
    for (a, b), loss in losses.items():
        made._pairs.assign([[a, a], [b, b]])
        made.baseline.assign(0.8)  # Any baseline leaves the mean as it is.
        gradient = made.policy_gradient(tf.constant(loss)).numpy()
        found += chance[a, b].numpy() * gradient
        assert gradient[1] == 0  # It was left out.
        assert float(made.baseline) == pytest.approx(0.95 * 0.8 + 0.05 * loss)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match='`gradient` must be "pair" or'):
        BinaryGates(gradient="policy")
    # The first loss is its own baseline.
    made.baseline.assign(np.nan)
    assert not made.policy_gradient(tf.constant(3.0)).numpy().any()
    assert float(made.baseline) == 3.0


def test_an_update_of_a_pair_leaves_all_other_shares():
    made, gene = architecture(BinaryGates())
    made.draw(tf.zeros([2, 3]), two=True)
    pair = made.pair_of(gene.name).numpy()
    assert pair.tolist() == [0, 2]  # The two largest.
    before = made.alpha.numpy()
    made.alpha.assign_add([0.5, 0.0, -0.2])
    ratio = made.alpha.numpy()[0] - made.alpha.numpy()[2]
    made.keep_others(tf.constant(before))
    after = made.alpha.numpy()
    assert softmax(after)[1] == pytest.approx(softmax(before)[1], rel=1e-5)
    assert after[0] - after[2] == pytest.approx(ratio, rel=1e-5)


@pytest.mark.parametrize("gates", [SoftmaxGates(), BinaryGates()])
def test_a_branch_has_the_shares_of_all_values_that_take_it(gates):
    # The values 1, 2 and 3 of a depth; the second part is there for 2 and 3.
    made, gene = architecture(gates, values=(1, 2, 3))
    gate = made.gate_of(gene, (0, 1, 1))
    made.draw(tf.constant([[0.0, 0, 0], [0, 0, 0]]), two=True)
    output = gate([lambda: tf.constant(10.0), lambda: tf.constant(1.0)])
    p = softmax(ALPHAS)
    expected = 10 * p[0] + p[1] + p[2] if gates == SoftmaxGates() else 10
    assert float(output) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "gates", [SoftmaxGates(), GumbelGates(), BinaryGates()]
)
def test_what_is_left_out_has_no_share_and_is_not_called(gates):
    made, gene = architecture(gates, kept={"gene": [0, 2]})
    gate = made.gate_of(gene, (0, 1, 2))
    made.draw(tf.zeros([2, 3]), two=True)
    called = []
    outputs = gate(
        [lambda n=n: called.append(n) or tf.ones([2]) for n in range(3)]
    )
    np.testing.assert_allclose(outputs, [1, 1], rtol=1e-6)
    assert set(called) == {0, 2}
    if gates.draws_paths:
        pair = drawn(made, lambda: made.pair_of("gene") + 0, 200, two=True)
        assert {tuple(sorted(one)) for one in pair.tolist()} == {(0, 2)}
    expected = softmax(ALPHAS[[0, 2]])
    found = made.probabilities()["gene"]
    np.testing.assert_allclose(found, [expected[0], 0, expected[1]], 1e-6)


def test_the_expected_cost_is_the_mean_over_networks():
    genes = [
        SharedGene(name="a", values=("x", "y")),
        SharedGene(name="b", values=("x", "y", "z")),
    ]
    made = Architecture(genes, SoftmaxGates(), kept={"b": [0, 2]})
    made.alpha.assign([0.3, -0.3, 0.5, 9.0, -0.5])
    costs = np.array([1.0, 4.0, 2.0, 100.0, 8.0])
    p, q = softmax([0.3, -0.3]), softmax([0.5, -0.5])
    expected = sum(
        p[i] * q[j] * (costs[i] + costs[2 + 2 * j])
        for i in range(2)
        for j in range(2)
    )
    assert float(made.expected(costs)) == pytest.approx(expected, rel=1e-6)


def test_dropout_on_skips_keeps_the_mean():
    made, gene = architecture(SoftmaxGates(), ("a", "b"), [0.0, 0.0],
                              drops_skips=True)  # fmt: skip
    gate = made.gate_of(gene, (0, 1))
    gate.skips = {1}
    made.skip_rate.assign(0.4)
    branches = [lambda: tf.zeros([10_000]), lambda: tf.ones([10_000])]
    output = gate(branches).numpy()
    # Half a share: zero, or 0.5 / (1 - 0.4).
    assert np.unique(output.round(4)).tolist() == pytest.approx([0, 0.8333])
    spread = np.sqrt(0.4 * 0.6 / 10_000)
    assert abs((output == 0).mean() - 0.4) < 5 * spread
    assert (gate(branches).numpy() == output).all()  # The seed is the step's.
    keras.backend.clear_session()
