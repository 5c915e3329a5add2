"""Layers out of saved models."""

import json
import zipfile

import pytest

from keras_evonas.project.search import Trial
from keras_evonas.reports import architecture

BEST = Trial(trial_id="07", number=7, status="COMPLETED", values={})


def save(path, layers):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        config = {"class_name": "Functional", "config": {"layers": layers}}
        archive.writestr("config.json", json.dumps(config))


def tensor(name, *shape):
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, *shape], "keras_history": [name, 0, 0]},
    }


def layer(kind, name, *before, **settings):
    return {
        "class_name": kind,
        "config": {"name": name, **settings},
        "name": name,
        "inbound_nodes": [{"args": list(before), "kwargs": {}}]
        if before
        else [],
    }


def test_branches_name_the_layers_before(tmp_path):
    save(
        tmp_path / "trial_07" / "model.keras",
        [
            layer("InputLayer", "in", batch_shape=[None, 8, 8, 1]),
            layer(
                "Conv2D",
                "conv",
                tensor("in", 8, 8, 1),
                filters=4,
                kernel_size=[3, 3],
                strides=[1, 1],
                activation="relu",
            ),
            layer("Add", "add", [tensor("in", 8, 8, 1), tensor("conv", 8, 8)]),
        ],
    )
    found = architecture.find(tmp_path, BEST)
    assert found.source == "trial_07/model.keras"
    assert not found.is_chain
    first, conv, add = found.blocks
    assert first.shape == (8, 8, 1)
    assert conv.details == ("filters 4", "kernel size 3", "activation relu")
    assert conv.inputs == ("in",)
    assert add.inputs == ("in", "conv")


def test_the_only_model_of_the_folder_is_taken_for_the_best(tmp_path):
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 3}}]
    save(tmp_path / "best.keras", layers)
    found = architecture.find(tmp_path, BEST)
    assert found.blocks[0].details == ("units 3",)
    save(tmp_path / "other.keras", layers)
    assert architecture.find(tmp_path, BEST) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of an archive"])
def test_a_damaged_model_is_no_model(tmp_path, content):
    (tmp_path / "best.keras").write_bytes(content)
    assert architecture.find(tmp_path, BEST) is None


@pytest.mark.parametrize("config", ["[", "3", '{"config": {"layers": 3}}'])
def test_a_model_with_a_strange_config_is_no_model(tmp_path, config):
    with zipfile.ZipFile(tmp_path / "best.keras", "w") as archive:
        archive.writestr("config.json", config)
    assert architecture.find(tmp_path, BEST) is None


# Keras 3.15 converts variables as numpy 1 did.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.keras
def test_models_that_keras_saves_are_read(tmp_path):
    import keras

    layers = [
        keras.Input((8,)),
        keras.layers.Dense(5, activation="relu"),
        keras.layers.Dropout(0.25),
        keras.layers.Dense(2),
    ]
    keras.Sequential(layers).save(tmp_path / "best.keras")
    sequential = architecture.find(tmp_path, BEST)
    x = layers[0]
    for one in layers[1:]:
        x = one(x)
    keras.Model(layers[0], x).save(tmp_path / "best.keras")
    functional = architecture.find(tmp_path, BEST)
    for found in (sequential, functional):
        assert found.is_chain
        assert [block.kind for block in found.blocks] == [
            "InputLayer",
            "Dense",
            "Dropout",
            "Dense",
        ]
        assert found.blocks[1].details == ("units 5", "activation relu")
        assert found.blocks[2].details == ("rate 0.25",)
