"""Helpers that write conditional scopes, and the check for who does not."""

import dataclasses
import itertools

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas.hyperparameters import to_space
from keras_evonas.models import block
from keras_evonas.models import explain_space
from keras_evonas.models import layer_choice
from keras_evonas.models import repeated
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.explanation import explored

pytestmark = pytest.mark.keras


def scoped(hp):
    layers = repeated(
        hp,
        "hidden",
        0,
        3,
        lambda i: keras.layers.Dense(hp.Choice("units", [2, 4])),
        default=1,
    )
    mixer = layer_choice(
        hp,
        "mixer",
        {
            "dense": lambda: keras.layers.Dense(hp.Choice("units", [3, 5])),
            "scale": lambda: keras.layers.Rescaling(hp.Choice("by", [2, 3])),
        },
        default="scale",
    )
    drop = block(
        hp,
        "drop",
        lambda: keras.layers.Dropout(hp.Choice("rate", [0.1, 0.5])),
        default=False,
    )
    return keras.Sequential([keras.Input((4,)), *layers, mixer, drop])


def looped(hp):
    model = keras.Sequential([keras.Input((4,))])
    for i in range(hp.Int("depth", 1, 4)):
        model.add(keras.layers.Dense(hp.Choice(f"units_{i}", [2, 4])))
    if hp.Choice("kind", ["a", "b"]) == "b":
        model.add(keras.layers.Dropout(hp.Choice("rate", [0.1, 0.5])))
    return model


def test_the_helpers_ask_for_exactly_what_is_there():
    space = to_space(explored(scoped))
    # (1 + 2 + 4 + 8) stacks, 2 + 2 mixers, 1 + 2 dropouts.
    assert space.size == 15 * 4 * 3
    found = explain_space(scoped, verbose=False)
    assert found.unscoped == ()
    assert found.wasted == 0
    huge = dataclasses.replace(found, size=8**500)  # No float is so large.
    assert "3.51e+451 networks" in str(huge)
    assert space.default == {"hidden": 1, "hidden/0/units": 2} | {
        "mixer": "scale",
        "mixer/scale/by": 2,
        "drop": False,
    }


def test_networks_of_the_helpers_are_different():
    hp = explored(scoped)
    space = to_space(hp)
    described = set()

    def describe(genome):
        hp.values = dict(genome)
        return [
            [type(layer).__name__]
            + [getattr(layer, key, 0) for key in ("units", "rate", "scale")]
            for layer in scoped(hp).layers
        ]

    genomes = list(itertools.islice(space.enumerate(), 0, None, 7))
    described = without_allocation(lambda: [*map(describe, genomes)])
    assert len({*map(str, described)}) == len(genomes)


def test_a_loop_without_scopes_is_found_out(capsys):
    found = explain_space(looped, samples=40)
    assert {one.name: one.parent for one in found.unscoped} == {
        "units_1": "depth",
        "units_2": "depth",
        "units_3": "depth",
        "rate": "kind",
    }
    assert {one.name: one.values for one in found.unscoped} == {
        "units_1": (2, 3, 4),
        "units_2": (3, 4),
        "units_3": (4,),
        "rate": ("b",),
    }
    # Seven of eight networks have less than all: 1 - 1/4 * 1/2.
    error = 5 * (7 / 8 * 1 / 8 / 40) ** 0.5
    assert abs(found.wasted - 7 / 8) < error
    printed = capsys.readouterr().out
    assert printed.strip() == str(found)
    assert "'units_2' is asked for only if depth in (3, 4)" in printed
    assert "depth: whole numbers from 1 to 4" in printed


def test_helpers_nest():
    def nested(hp):
        blocks = repeated(
            hp,
            "blocks",
            1,
            2,
            lambda i: layer_choice(
                hp,
                "kind",
                {
                    "a": lambda: hp.Choice("a", [1, 2]),
                    "b": lambda: repeated(
                        hp, "more", 1, 2, lambda j: hp.Choice("c", [1, 2, 3])
                    ),
                },
            ),
        )
        assert blocks
        return keras.Sequential([keras.Input((2,))])

    one = 2 + 3 + 9
    assert to_space(explored(nested)).size == one + one**2


def test_a_scope_that_is_not_active_has_no_layers():
    hp = keras_tuner.HyperParameters()
    hp.Boolean("deep", default=False)
    options = {"a": lambda: "a", "b": lambda: "b"}
    with hp.conditional_scope("deep", [True]):
        assert layer_choice(hp, "mixer", options) is None
        assert repeated(hp, "hidden", 1, 3, lambda i: i) == []
        layer = block(hp, "drop", lambda: keras.layers.Dense(1))
        assert isinstance(layer, keras.layers.Identity)
    assert [one.name for one in hp.space] == ["deep", "mixer", "hidden", "drop"]


def test_an_absent_block_lets_everything_through():
    hp = keras_tuner.HyperParameters()
    layer = block(hp, "drop", lambda: keras.layers.Dense(1), default=False)
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(layer(x), x)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda hp: layer_choice(hp, "a", {}), "`options`"),
        (lambda hp: layer_choice(hp, "a", {"b": int}, default="c"), "'b'"),
        (lambda hp: repeated(hp, "a", 3, 1, str), "in order"),
        (lambda hp: repeated(hp, "a", -1, 1, str), "at least 0"),
    ],
)
def test_bad_arguments_are_named(ask, words):
    with pytest.raises(ValueError, match=words):
        ask(keras_tuner.HyperParameters())


def test_the_explanation_counts_in_plain_words():
    def one(hp, count=2):
        inputs = keras.Input((2,))
        units = hp.Int("units", 1, count)
        return keras.Model(inputs, keras.layers.Dense(units)(inputs))

    def endless(hp):
        hp.Float("rate", 0.1, 1.0)
        return one(hp)

    said = [str(explain_space(f, verbose=False)) for f in (one, endless)]
    assert said[0].startswith("1 hyperparameter, 2 networks\n")
    assert said[1].startswith("2 hyperparameters, infinitely many networks\n")
    with pytest.raises(ValueError, match=r"`hypermodel` must return.*None"):
        explain_space(lambda hp: None)
