"""Progressive search and policy gradient."""

import numpy as np
import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Individual
from keras_evonas.evolution import Interval
from keras_evonas.evolution import PolicyGradient
from keras_evonas.evolution import ProgressiveSearch
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import progressive_search
from keras_evonas.evolution import random_search
from keras_evonas.evolution.policy_gradient import _index_of
from keras_evonas.evolution.progressive import opened
from keras_evonas.testing import StrategyConformance
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import example_spaces


@pytest.mark.thorough
class TestProgressiveSearch(StrategyConformance):
    learns = False  # see below, with fewer searches

    @pytest.fixture
    def strategy(self):
        return ProgressiveSearch(initial_size=20)

    @pytest.mark.slow
    def test_same_seed_same_search(self, strategy):
        super().test_same_seed_same_search(strategy)

    @pytest.mark.slow
    def test_a_cut_search_goes_on_as_if_uncut(self, strategy):
        super().test_a_cut_search_goes_on_as_if_uncut(strategy)


def best(strategy, seed, trials=40):
    space, loss = conditional_trap(3)
    engine = Engine(space, strategy.configure(trials), seed=seed)
    for _ in range(trials):
        one = engine.ask()
        engine.tell(one.birth, (loss(one.genome),))
    return min(one.losses[0] for one in engine.history.ended)


@pytest.mark.thorough
@pytest.mark.slow
def test_progressive_search_beats_random_search_on_the_trap():
    seeds = range(5)
    by_chance = [best(random_search(), seed) for seed in seeds]
    learnt = [best(progressive_search(), seed) for seed in seeds]
    gain = np.subtract(by_chance, learnt)
    error = gain.std(ddof=1) / len(gain) ** 0.5
    assert gain.mean() > 2 * error, f"{by_chance=} {learnt=}"


@pytest.mark.parametrize("name", example_spaces())
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_an_open_part_lies_in_the_space_and_in_the_next(name, level):
    space = example_spaces()[name]
    part, wider = opened(space, level, 4), opened(space, level + 1, 4)
    assert part.size <= wider.size <= space.size
    for seed in range(20):
        genome = part.sample(np.random.default_rng(seed))
        assert space.contains(genome)
        assert wider.contains(genome)
    assert opened(space, 4, 4) == space


def test_depth_is_opened_from_the_lowest_value_on():
    space = conditional_trap(3).space
    sizes = [opened(space, level, 3).size for level in (1, 2, 3)]
    # A layer is dense with 5 widths, or convolutional with 5 times 4.
    assert sizes == [25, 25 + 25**2, 25 + 25**2 + 25**3]


def test_genes_are_opened_in_order_where_none_switches_others():
    space = SearchSpace(
        [
            Gene("a", Grid((1, 2))),
            Gene("b", Interval(0.0, 1.0), default=0.5),
            Gene("c", Categorical(("x", "y")), default="y"),
        ]
    )
    first = opened(space, 1, 3)
    assert list(first.enumerate()) == [
        {"a": 1, "b": 0.5, "c": "y"},
        {"a": 2, "b": 0.5, "c": "y"},
    ]
    assert opened(space, 2, 3).sample(np.random.default_rng(0))["c"] == "y"


@pytest.mark.thorough
def test_simple_networks_come_first():
    space, loss = conditional_trap(3)
    strategy = progressive_search().configure(30)
    engine = Engine(space, strategy, seed=0)
    depths = []
    for _ in range(30):
        one = engine.ask()
        engine.tell(one.birth, (loss(one.genome),))
        depths.append(one.genome["depth"])
    # Each of three levels has five births, half of the trials together.
    assert depths[:5] == [1] * 5
    assert max(depths[:10]) == 2
    assert max(depths) == 3


def ended(birth, loss, **genome):
    losses = None if loss is None else (loss,)
    return Individual(birth=birth, genome=genome, losses=losses)


def test_preferences_follow_reinforce_by_hand():
    space = SearchSpace([Gene("a", Categorical(("x", "y")))])
    strategy = PolicyGradient(learning_rate=0.5, decay=0.5)
    state = (ended(0, 4.0, a="x"),)
    (table,) = strategy.preferences(state, space).values()
    assert table.tolist() == [0.0, 0.0]  # it is its own baseline
    # The second is 2 better than the baseline 4; the moving variance is
    # 0 + 0.5 * (2 ** 2 - 0) = 2, so that the advantage is 2 / sqrt(2).
    state = (*state, ended(1, 2.0, a="y"))
    (table,) = strategy.preferences(state, space).values()
    step = 0.5 * 2**0.5 * 0.5
    np.testing.assert_allclose(table, [-step, step])
    # A failure counts as one deviation above.
    state = (ended(0, 4.0, a="x"), ended(1, None, a="y"))
    (table,) = strategy.preferences(state, space).values()
    np.testing.assert_allclose(table, [0.25, -0.25])


@pytest.mark.parametrize("name", example_spaces())
def test_the_policy_moves_towards_what_is_rewarded(name):
    space = example_spaces()[name]
    strategy = PolicyGradient()
    rng = np.random.default_rng(0)
    good, other = space.sample(rng), space.sample(rng)
    state = (
        Individual(birth=0, genome=other, losses=(1.0,)),
        *(Individual(birth=i, genome=good, losses=(0.0,)) for i in range(1, 4)),
    )
    preferences = strategy.preferences(state, space)
    for gene in space.active(good):
        table = preferences[gene]
        rewarded = _index_of(gene.domain, good[gene.name], len(table))
        assert table[rewarded] == table.max()
        assert len(table) == 1 or table[rewarded] > 0
        assert table.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProgressiveSearch(levels=0), "`levels`"),
        (lambda: ProgressiveSearch(opening=0), "`opening`"),
        (lambda: ProgressiveSearch(initial_size=0), "`initial_size`"),
        (lambda: PolicyGradient(learning_rate=0.0), "`learning_rate`"),
        (lambda: PolicyGradient(decay=1.0), "`decay`"),
        (lambda: PolicyGradient(bins=1), "`bins`"),
    ],
)
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_unresolved_settings_are_named():
    with pytest.raises(RuntimeError, match="configure"):
        ProgressiveSearch().level(3)
