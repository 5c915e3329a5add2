"""Spaces out of keras-tuner's JSON."""

import json

import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.project import spaces as space_lib


def test_unknown_kinds_and_orphans_are_left_out():
    def entry(kind, name, parent=None, **config):
        conditions = []
        if parent:
            conditions = [{"config": {"name": parent, "values": [True]}}]
        return {
            "class_name": kind,
            "config": {"name": name, "conditions": conditions, **config},
        }

    space = space_lib.from_config(
        [
            entry("Boolean", "child", "switch"),
            entry("Boolean", "switch"),
            entry("Later", "strange"),
            entry("Boolean", "orphan", "strange"),
        ]
    )
    assert [gene.name for gene in space.genes] == ["switch", "child"]


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        (["b", "a", "b"], Categorical(("b", "a"))),
        ([True, False], Categorical((True, False))),
        ([3, 1, 3], Grid((1, 3))),
        ([float(n) for n in range(20)], Interval(0.0, 19.0)),
        ([10.0**n for n in range(20)], Interval(1.0, 1e19, scale="log")),
    ],
)
def test_a_domain_is_guessed_from_values(values, domain):
    assert space_lib.covering(values) == domain


@pytest.mark.keras
def test_the_space_is_the_one_that_the_oracle_searches():
    import keras_tuner

    from keras_evonas import hyperparameters as hp_lib

    hp = keras_tuner.HyperParameters()
    hp.Boolean("boolean")
    hp.Fixed("fixed", 3)
    hp.Choice("words", ["a", "b"])
    hp.Choice("numbers", [4, 1, 2], ordered=True)
    hp.Int("int", 1, 9)
    hp.Int("int_step", 1, 10, step=3)
    hp.Int("int_log", 1, 100, sampling="log")
    hp.Int("int_log_step", 2, 64, step=2, sampling="log")
    hp.Int("int_reverse", 1, 64, step=2, sampling="reverse_log")
    hp.Float("float", 0.0, 1.0, default=0.5)
    hp.Float("float_step", 0.1, 0.9, step=0.2)
    hp.Float("float_log", 1e-4, 1.0, sampling="log")
    hp.Float("float_reverse", 0.5, 0.99, sampling="reverse_log")
    hp.Float("float_log_step", 1e-4, 1.0, step=10, sampling="log")
    with hp.conditional_scope("words", ["b"]):
        hp.Int("twice", 1, 3)
    with hp.conditional_scope("words", ["a"]):
        hp.Float("twice", 0.0, 1.0)
        hp.Boolean("inner")
        with hp.conditional_scope("inner", [True]):
            hp.Choice("deep", ["x", "y"])
    saved = json.loads(json.dumps(hp.get_config()["space"]))
    assert space_lib.from_config(saved) == hp_lib.to_space(hp)
