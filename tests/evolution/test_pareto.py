"""Fronts, crowding and hypervolume against naive references."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_evonas.evolution import pareto

INF, NAN = math.inf, math.nan
SEEDS = range(200)
# A quick run takes only some of them.
in_parts = pytest.mark.parametrize(
    "seeds",
    [SEEDS[:60], pytest.param(SEEDS[60:], marks=pytest.mark.thorough)],
    ids=["60", "140"],
)


# References in plain loops.


def beats(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(
        a < b for a, b in zip(one, other, strict=True)
    )


def constrained_beats(one, other, violation, other_violation):
    if violation != other_violation:
        return violation < other_violation
    return beats(one, other)


def naive_ranks(points, violations):
    ranks, left, front = {}, set(range(len(points))), 0
    while left:
        first = {
            i
            for i in left
            if not any(
                constrained_beats(
                    points[j], points[i], violations[j], violations[i]
                )
                for j in left
            )
        }
        ranks.update(dict.fromkeys(first, front))
        left -= first
        front += 1
    return [ranks[i] for i in range(len(points))]


def naive_crowding(points):
    distances = [0.0] * len(points)
    for objective in range(len(points[0]) if len(points) else 0):
        order = sorted(
            range(len(points)), key=lambda i: (points[i][objective], i)
        )
        values = [points[i][objective] for i in order]
        if values[0] == values[-1]:
            continue
        distances[order[0]] = distances[order[-1]] = INF
        for k in range(1, len(order) - 1):
            gap = values[k + 1] - values[k - 1]
            distances[order[k]] += gap / (values[-1] - values[0])
    return distances


def cells_hypervolume(points, reference):
    """Counts the dominated cells of the grid that the points span."""
    points = [p for p in points if all(np.less(p, reference))]
    axes = [
        sorted({p[k] for p in points} | {reference[k]})
        for k in range(len(reference))
    ]
    total = 0.0
    for corner in itertools.product(*(range(len(a) - 1) for a in axes)):
        low = [a[c] for a, c in zip(axes, corner, strict=True)]
        high = [a[c + 1] for a, c in zip(axes, corner, strict=True)]
        if any(all(np.less_equal(p, low)) for p in points):
            total += math.prod(np.subtract(high, low))
    return total


def random_points(seed):
    """Up to 40 points; a coarse grid, so that ties and duplicates abound."""
    rng = np.random.default_rng(seed)
    number, objectives = int(rng.integers(0, 40)), int(rng.integers(1, 5))
    points = rng.integers(0, 8, size=(number, objectives)).astype(float)
    if seed % 2:
        points += rng.random(points.shape)
    return points


# Ranks.


@in_parts
def test_ranks_agree_with_the_naive_ones(seeds):
    for seed in seeds:
        points = random_points(seed)
        expected = naive_ranks(points, [0.0] * len(points))
        assert pareto.ranks(points).tolist() == expected, seed


@in_parts
def test_constrained_ranks_agree_with_the_naive_ones(seeds):
    for seed in seeds:
        points = random_points(seed)
        rng = np.random.default_rng([seed, 1])
        violations = rng.choice([0, 0, 0, 1, 2, INF], size=len(points))
        expected = naive_ranks(points, violations)
        assert pareto.ranks(points, violations).tolist() == expected, seed


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (np.empty((0, 2)), []),
        ([[1, 2]], [0]),
        ([[1, 2], [1, 2]], [0, 0]),  # equals do not dominate each other
        ([[1, 2], [2, 1], [2, 2]], [0, 0, 1]),
        ([[1, 2], [1, 3]], [0, 1]),  # a tie in one, better in the other
        ([[INF, 0], [0, INF], [INF, INF]], [0, 0, 1]),
        ([[0, NAN], [9, 9], [NAN, NAN]], [1, 0, 1]),  # half a NaN is worst
        ([[3], [1], [2], [1]], [2, 0, 1, 0]),  # one objective: by value
    ],
)
def test_ranks_by_hand(points, expected):
    assert pareto.ranks(points).tolist() == expected


@pytest.mark.thorough
@given(
    st.lists(
        st.tuples(*[st.floats(-3, 3) | st.just(INF)] * 3),
        min_size=1,
        max_size=12,
    )
)
def test_dominance_is_a_strict_order(points):
    rank = pareto.ranks(points)
    for i, j in itertools.product(range(len(points)), repeat=2):
        if beats(points[i], points[j]):
            assert rank[i] < rank[j]
            assert not beats(points[j], points[i])
            for k in range(len(points)):
                if beats(points[j], points[k]):
                    assert beats(points[i], points[k])
    # Every point but those of the first front is beaten by the front before.
    for j, front in enumerate(rank):
        before = [points[i] for i in np.flatnonzero(rank == front - 1)]
        assert front == 0 or any(beats(one, points[j]) for one in before)


@pytest.mark.thorough
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    st.floats(0.1, 10),
)
def test_ranks_ignore_order_and_scale(points, scale):
    points = np.reshape(points, (-1, 2)).astype(float)
    rank = pareto.ranks(points)
    assert pareto.ranks(points[::-1]).tolist() == rank[::-1].tolist()
    assert pareto.ranks(scale * points**3 - 1).tolist() == rank.tolist()


# Crowding.


def test_crowding_agrees_with_the_naive_one():
    for seed in SEEDS:
        points = random_points(seed)
        np.testing.assert_allclose(
            pareto.crowding_distances(points),
            naive_crowding(points),
            err_msg=f"{seed=}",
        )


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (np.empty((0, 2)), []),
        ([[1, 1]], [0]),  # no range, nothing to be alone in
        ([[0, 1], [1, 0]], [INF, INF]),
        # Spans 4 and 8: (4 - 0) / 4 + (8 - 0) / 8 in the middle.
        ([[0, 8], [1, 4], [4, 0]], [INF, 2, INF]),
        ([[0, 1], [0, 1], [0, 1]], [0, 0, 0]),
        # The second objective is constant and contributes nothing.
        ([[0, 5], [1, 5], [4, 5]], [INF, 1, INF]),
        # Of three equal extremes the first and the last: 0 in the middle.
        ([[0, 8], [0, 8], [0, 8], [4, 0]], [INF, 0, INF, INF]),
        # An infinite range contributes nothing.
        ([[0, 1], [1, 0.5], [INF, 0]], [INF, 1, INF]),
    ],
)
def test_crowding_by_hand(points, expected):
    assert pareto.crowding_distances(points).tolist() == expected


def test_order_compares_ranks_then_crowding_then_place():
    points = [[2, 2], [1, 1.5], [0, 3], [3, 0], [1, 1.5], [4, 4]]
    # Front 0: 1, 2, 3, 4; the extremes 2 and 3 first; 1 and 4 are equal but
    # for their place: of equal points the sort puts 1 before 4, and its
    # neighbours 2 and 4 are as far as those of 4, which are 1 and 3.
    crowding = dict(zip((1, 2, 3, 4), naive_crowding(points[1:5]), strict=True))
    second = sorted((1, 4), key=lambda i: (-crowding[i], i))
    assert pareto.order(points).tolist() == [2, 3, *second, 0, 5]


def test_order_without_points():
    assert pareto.order(np.empty((0, 3))).tolist() == []


# Discrete fronts in the manner of Zitzler, Deb & Thiele (2000).


def zdt(number, count=9, variables=3):
    grid = np.linspace(0, 1, count)
    x = np.array(list(itertools.product(grid, repeat=variables)))
    first = x[:, 0]
    g = 1 + 9 * x[:, 1:].mean(axis=1)
    h = 1 - np.sqrt(first / g)
    if number == 3:
        h -= first / g * np.sin(10 * np.pi * first)
    return x, np.column_stack([first, g * h])


@pytest.mark.parametrize("number", [1, 3])
def test_discrete_zdt_ranks_and_crowding(number):
    _, losses = zdt(number, count=5)
    rank = pareto.ranks(losses)
    assert rank.tolist() == naive_ranks(losses, [0] * len(losses))
    for front in range(rank.max() + 1):
        members = losses[rank == front]
        np.testing.assert_allclose(
            pareto.crowding_distances(members), naive_crowding(members)
        )


def test_front_of_discrete_zdt1_is_where_g_is_one():
    x, losses = zdt(1)
    on_front = (x[:, 1:] == 0).all(axis=1)
    assert ((pareto.ranks(losses) == 0) == on_front).all()


def test_front_of_discrete_zdt3_is_in_pieces():
    x, losses = zdt(3, count=41, variables=2)
    on_front = pareto.ranks(losses) == 0
    assert (x[on_front, 1:] == 0).all()
    gaps = np.diff(np.sort(x[on_front, 0]))
    assert gaps.max() > 3 * gaps.min()


# Hypervolume.


@pytest.mark.parametrize("seed", range(60))
def test_hypervolume_agrees_with_counted_cells(seed):
    rng = np.random.default_rng(seed)
    objectives = int(rng.integers(1, 4))
    points = rng.integers(0, 7, size=(int(rng.integers(0, 9)), objectives))
    reference = [6.0, 5.0, 7.0][:objectives]
    volume = pareto.hypervolume(points.astype(float), reference)
    assert volume == pytest.approx(cells_hypervolume(points, reference))


@pytest.mark.thorough
@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_within_the_error_of_monte_carlo(objectives):
    rng = np.random.default_rng(objectives)
    points = rng.random((30, objectives))
    draws = rng.random((100_000, objectives))
    hit = np.zeros(len(draws), bool)
    for point in points:
        hit |= (point <= draws).all(axis=1)
    share = hit.mean()
    error = 5 * math.sqrt(share * (1 - share) / len(draws))
    volume = pareto.hypervolume(points, [1.0] * objectives)
    assert abs(volume - share) < error


@pytest.mark.parametrize(
    ("points", "reference", "expected"),
    [
        (np.empty((0, 2)), [1, 1], 0),
        ([[0, 0]], [2, 3], 6),
        ([[0, 0], [0, 0]], [2, 3], 6),
        ([[2, 0]], [2, 3], 0),  # on the border
        ([[5, 5]], [2, 3], 0),  # outside
        ([[NAN, 0]], [2, 3], 0),
        ([[-INF, INF]], [2, 3], 0),
        ([[0, 2], [1, 1], [2, 0]], [3, 3], 6),  # 3 + 2 + 1, the stairs
        # Three unit cubes out of a corner of 2: 8 - (1 free cube).
        ([[0, 0, 1], [0, 1, 0], [1, 0, 0]], [2, 2, 2], 7),
        ([[1], [0.5]], [2], 1.5),
    ],
)
def test_hypervolume_by_hand(points, reference, expected):
    assert pareto.hypervolume(points, reference) == expected


def test_an_infinitely_good_point_has_an_infinite_volume():
    points = [[-np.inf, 1.0], [0.0, 1.0]]
    assert pareto.hypervolume(points, [2.0, 2.0]) == np.inf


def test_hypervolume_of_zdt1_nears_its_integral():
    first = np.linspace(0, 1, 20_001)
    losses = np.column_stack([first, 1 - np.sqrt(first)])
    # One minus the integral of 1 - sqrt(x) from 0 to 1.
    assert pareto.hypervolume(losses, [1, 1]) == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.thorough
@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=8))
def test_hypervolume_grows_only_by_undominated_points(points):
    points = np.reshape(points, (-1, 3)).astype(float)
    volume = pareto.hypervolume(points, [10, 10, 10])
    front = points[pareto.ranks(points) == 0]
    assert pareto.hypervolume(front, [10, 10, 10]) == pytest.approx(volume)
    for index, point in enumerate(points):
        without = np.delete(points, index, axis=0)
        smaller = pareto.hypervolume(without, [10, 10, 10])
        covered = any((other <= point).all() for other in without)
        assert smaller <= volume + 1e-9
        assert (smaller < volume - 1e-9) == (not covered)


@pytest.mark.parametrize("reference", [[1], [1, 2, 3], [1, INF], [NAN, 1]])
def test_hypervolume_of_a_wrong_reference(reference):
    with pytest.raises(ValueError, match="`reference` must hold one finite"):
        pareto.hypervolume([[0, 0]], reference)


@pytest.mark.parametrize(
    "function", [pareto.ranks, pareto.crowding_distances, pareto.knee_point]
)
def test_losses_must_be_two_dimensional(function):
    with pytest.raises(ValueError, match=r"two-dimensional.*\(3,\)"):
        function([1, 2, 3])


# The knee.


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[3, 4]], 0),
        ([[0, 10], [1, 1], [10, 0]], 1),
        ([[9, 9], [0, 10], [1, 1], [10, 0]], 2),
        ([[0, 100], [1, 1], [10, 0]], 1),  # whatever the scale
        ([[1, 1], [1, 1]], 0),
        ([[NAN, 0], [2, 2]], 1),
        ([[0, 0, 9], [0, 9, 0], [9, 0, 0], [1, 1, 1]], 3),
    ],
)
def test_knee_by_hand(points, expected):
    assert pareto.knee_point(points) == expected


@pytest.mark.parametrize("points", [np.empty((0, 2)), [[NAN, 1]], [[INF, 1]]])
def test_knee_without_a_finite_point(points):
    with pytest.raises(ValueError, match="at least one finite point"):
        pareto.knee_point(points)
