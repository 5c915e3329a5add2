"""Samplers that learn from scores, and paths that are frozen."""

import keras
import numpy as np
import pytest

from keras_evonas.supernets import FeasiblePaths
from keras_evonas.supernets import FrozenPath
from keras_evonas.supernets import PolicyPaths
from keras_evonas.supernets import Result
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import TournamentPaths
from keras_evonas.supernets import UniformPaths
from keras_evonas.supernets import calibrate
from keras_evonas.supernets import single_path
from keras_evonas.supernets import train
from keras_evonas.training import FitArguments
from tests.supernets.spaces import X
from tests.supernets.spaces import Y
from tests.supernets.spaces import chain
from tests.supernets.test_single_path import trained

pytestmark = pytest.mark.keras
SIZES = (3, 2, 4)
LEARNERS = {
    "policy": PolicyPaths(evaluations=3),
    "tournaments": TournamentPaths(population_size=4, tournaments=2),
}


def searched(learner, epochs, seed=0):
    """Rewards paths of zeros, without a supernet."""
    results = []
    for epoch in range(epochs):
        proposed = learner.proposals(SIZES, (seed, epoch), results)
        results += [
            Result(path, float(np.count_nonzero(path))) for path in proposed
        ]
    return results


def test_paths_within_limits_are_drawn_equally_often():
    def keeps(path):
        return path.sum() <= 2

    sampler = FeasiblePaths(keeps=keeps, pool_size=5000)
    paths = sampler.paths(SIZES, 4000, (0, 1))
    assert paths.shape == (4000, 1, 3)
    assert (paths == sampler.paths(SIZES, 4000, (0, 1))).all()
    assert (paths != sampler.paths(SIZES, 4000, (0, 2))).any()
    assert (paths != sampler.paths(SIZES, 4000, (1, 1))).any()
    allowed = [p for p in np.ndindex(SIZES) if keeps(np.array(p))]
    found, counts = np.unique(paths[:, 0], axis=0, return_counts=True)
    assert [tuple(path) for path in found.tolist()] == allowed
    # Six deviations of a binomial, in the pool and again in the draws.
    expected = 4000 / len(allowed)
    assert np.abs(counts - expected).max() < 6 * (2 * expected) ** 0.5


def test_limits_that_no_path_keeps_are_named():
    sampler = FeasiblePaths(keeps=lambda path: False, limits="params <= 1")
    with pytest.raises(ValueError, match=r"keep params <= 1.*100,000 random"):
        sampler.paths(SIZES, 4, (0, 0))
    with pytest.raises(ValueError, match="`keeps` must tell"):
        FeasiblePaths().paths(SIZES, 4, (0, 0))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_draws_from_its_address_and_results_alone(name):
    learner = LEARNERS[name]
    results = searched(learner, 5)
    assert results == searched(learner, 5)
    assert results != searched(learner, 5, seed=1)
    paths = learner.paths(SIZES, 7, (0, 5), results)
    assert paths.shape == (7, 1, 3)
    assert (paths >= 0).all()
    assert (paths < SIZES).all()
    assert (paths == learner.paths(SIZES, 7, (0, 5), results)).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_comes_to_draw_what_scores_well(name):
    means = []
    for seed in range(10):
        learner = LEARNERS[name]
        results = searched(learner, 40, seed)
        late = learner.paths(SIZES, 50, (seed, 40), results)
        early = learner.paths(SIZES, 50, (seed, 0), [])
        means.append([np.count_nonzero(early), np.count_nonzero(late)])
    early, late = np.mean(means, axis=0)
    assert late < 0.5 * early, means


def test_a_policy_is_that_of_the_policy_gradient():
    policy = PolicyPaths(learning_rate=0.5)
    assert [c.tolist() for c in policy.chances((2,), [])] == [[0.5, 0.5]]
    # The first loss is its own baseline. The second is 1 above it, which is one
    # deviation, sqrt(1/2), of the mean square 1/2: 2**0.5 of them.
    results = [Result((0,), 1.0), Result((1,), 2.0)]
    step = 0.5 * 2**0.5 * np.array([0.5, -0.5])
    expected = np.exp(step) / np.exp(step).sum()
    np.testing.assert_allclose(policy.chances((2,), results)[0], expected)
    # A failure counts as one deviation.
    failed = policy.chances((2,), [*results, Result((0,), None)])[0]
    assert failed[0] < expected[0]


def test_the_loser_of_a_tournament_becomes_a_copy_of_the_winner():
    learner = TournamentPaths(
        population_size=5, tournaments=2, mutation_rate=0.0
    )
    before = learner.population(SIZES, (0, 0), [])
    paths = learner.proposals(SIZES, (0, 0), [])
    losses = (3.0, 1.0, 2.0, None)
    results = [Result(p, loss) for p, loss in zip(paths, losses, strict=True)]
    after = learner.population(SIZES, (0, 1), results)
    places = learner._places((0, 0), 0)
    for place in range(5):
        expected = before[place]
        if place == places[0]:
            expected = paths[1]
        if place == places[3]:
            expected = paths[2]
        assert (after[place] == expected).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_resumes_to_the_same_end(tmp_path, name):
    sharing = single_path(3, sampler=LEARNERS[name])
    whole, _ = trained(tmp_path / "whole", sharing)
    for cut in (1, 2):
        trained(tmp_path / f"{cut}", sharing, cut=cut)
        again, said = trained(tmp_path / f"{cut}", sharing)
        assert len(said) == 3 - cut
        for mine, expected in zip(again, whole, strict=True):
            assert (mine == expected).all()
        texts = [
            (tmp_path / folder / "supernet.json").read_text()
            for folder in ("whole", f"{cut}")
        ]
        assert texts[0] == texts[1]
        assert '"results"' in texts[0]


def test_a_frozen_path_does_not_move_in_a_second_task():
    values = {"layer_0": "dense", "layer_1": "tanh"}
    keras.utils.set_random_seed(0)
    first = Supernet(chain)
    first.set_paths(UniformPaths().paths(first.sizes, 6, (0,)))
    first.fit(X, Y, epochs=2, verbose=0)
    network = first.subnet(values)
    calibrate(network, [X[:32], X[32:64]])
    second = Supernet(chain, frozen=FrozenPath(values=values, network=network))
    path = second.path_of(values)
    head = [w.numpy() for w in second.network.layers[-1].weights]
    cut = keras.Model(network.inputs[0], network.layers[-2].output)
    before = [w.numpy() for w in network.weights[:-2]]
    second.set_paths(UniformPaths().paths(second.sizes, 6, (1,)))
    second.fit(X, (Y + 1) % 3, epochs=3, verbose=0)
    kept = [w.numpy() for w in second.weights_on(path)]
    for value, expected in zip(kept[:-2], before, strict=True):
        assert (value == expected).all()
    assert any(  # The head learns, and so does what is not frozen.
        (value != w.numpy()).any()
        for value, w in zip(
            head, second.network.layers[-1].weights, strict=True
        )
    )
    assert not np.array_equal(kept[-2], network.weights[-2].numpy())
    other = second.weights_on(second.path_of({**values, "layer_1": "dense"}))
    assert any(w.trainable for w in other[:-2])
    again = second.subnet(values)
    features = keras.Model(again.inputs[0], again.layers[-2].output)
    assert (features(X).numpy() == cut(X).numpy()).all()


def test_another_path_cannot_be_frozen():
    network = Supernet(chain).subnet({"layer_0": "dense", "layer_1": "tanh"})
    values = {"layer_0": "skip", "layer_1": "tanh"}
    with pytest.raises(ValueError, match="`frozen` must be a network of the"):
        Supernet(chain, frozen=FrozenPath(values=values, network=network))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": None}, "`values` must be"),
        ({"network": 3}, "`network` must"),
    ],
)
def test_what_is_no_path_cannot_be_frozen(given, message):
    network = keras.Sequential()
    with pytest.raises(TypeError, match=message):
        FrozenPath(**{"values": {}, "network": network, **given})


def test_metrics_of_each_class_are_told_by_their_mean(capsys, tmp_path):
    def build(hp):
        model = chain(hp)
        model.compile(
            "sgd",
            "categorical_crossentropy",
            metrics=[keras.metrics.F1Score(name="f1")],
        )
        return model

    train(
        Supernet(build),
        single_path(1),
        FitArguments(x=X, y=np.eye(3)[Y], batch_size=32),
        seed=0,
        folder=tmp_path,
    )
    assert ": f1 0." in capsys.readouterr().out


def test_a_sampler_is_an_instance():
    with pytest.raises(TypeError, match=r"`sampler`.*Pass an instance"):
        single_path(2, sampler=UniformPaths)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PolicyPaths(evaluations=0), "`evaluations` must be"),
        (lambda: PolicyPaths(learning_rate=0.0), "`learning_rate` must be"),
        (lambda: TournamentPaths(tournaments=0), "`tournaments` must be"),
        (lambda: TournamentPaths(mutation_rate=2.0), "`mutation_rate` must"),
        (lambda: TournamentPaths(population_size=7), "two paths for each of"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
