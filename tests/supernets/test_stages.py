"""Stages of a search by gradients, and its likeliest networks."""

import itertools

import numpy as np
import pytest

from keras_evonas.supernets import stages

pytestmark = pytest.mark.keras  # The package of supernets loads Keras.


def test_as_many_options_go_on_as_in_p_darts():
    # Of 8, a third is left out after each stage: 16 / 3 = 5.3, 8 / 3 = 2.7.
    assert [stages.kept_after(8, s, 3) for s in range(3)] == [8, 5, 3]
    assert [stages.kept_after(5, s, 3) for s in range(3)] == [5, 3, 2]
    assert [stages.kept_after(2, s, 4) for s in range(4)] == [2, 2, 2, 2]
    assert stages.kept_after(1, 1, 2) == 1


def test_the_options_that_weigh_least_are_left_out():
    probabilities = {"a": [0.1, 0.4, 0.0, 0.3, 0.2], "b": [0.5, 0.5]}
    kept = {"a": [0, 1, 3, 4], "b": [0, 1]}
    # Two of five go on after the second of three stages: 0.4 and 0.3.
    found = stages.pruned(probabilities, kept, 2, 3)
    assert found == {"a": [1, 3], "b": [0, 1]}
    # Of equal ones the first stay.
    even = {"a": [0.25] * 4}
    assert stages.pruned(even, {"a": [0, 1, 2, 3]}, 1, 2) == {"a": [0, 1]}


def test_skips_stay_where_they_weigh_most():
    row = {"a": [0.6, 0.4], "b": [0.5, 0.5], "c": [0.7, 0.3], "d": [0.1, 0.9]}
    skips = {"a": [0], "b": [0], "c": [0], "d": []}
    found = stages.limit_skips(row, skips, 2)
    # 0.7 and 0.6 are the largest; that of b is left out.
    assert found == {**row, "b": [0.0, 0.5]}
    assert stages.limit_skips(row, skips, 3) == row
    # A gene in which nothing but skips is left keeps them.
    assert stages.limit_skips({"a": [1.0, 0.0]}, {"a": [0]}, 0) == {
        "a": [1.0, 0.0]
    }


@pytest.mark.parametrize("seed", range(10))
def test_networks_come_from_the_likeliest_on(seed):
    rng = np.random.default_rng(seed)
    sizes = {"a": 3, "b": 2, "c": 4}
    row = {name: rng.dirichlet(np.ones(n)) for name, n in sizes.items()}
    found = list(stages.likeliest(row, lambda _: frozenset(sizes)))
    expected = sorted(
        itertools.product(*map(range, sizes.values())),
        key=lambda v: -np.prod([row[n][i] for n, i in zip(sizes, v)]),  # noqa: B905
    )
    assert [tuple(one.values()) for one in found] == expected


def test_networks_that_differ_in_silent_genes_come_once():
    row = {"kind": [0.6, 0.4], "units": [0.2, 0.5, 0.3], "tail": [0.9, 0.1]}

    def active(places):
        names = {"kind", "tail"} | ({"units"} if places["kind"] == 1 else set())
        return frozenset(names)

    found = list(stages.likeliest(row, active))
    distinct = {
        tuple((n, v) for n, v in one.items() if n in active(one))
        for one in found
    }
    assert len(found) == len(distinct) == 2 * (1 + 3)
    # Silent genes have their best value, and the best comes first.
    assert found[0] == {"kind": 0, "units": 1, "tail": 0}
    assert all(one["units"] == 1 for one in found if one["kind"] == 0)
