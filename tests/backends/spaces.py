"""All ready-made spaces, and their costs: run with any backend of Keras."""

import dataclasses
import json

import keras
import keras_tuner

from keras_evonas.models import CellNetwork
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import MobileNetwork
from keras_evonas.models import Regression
from keras_evonas.models import evolvable
from keras_evonas.models.costs import HypermodelCosts


def base():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


SPACES = {
    "dense": lambda: DenseNetwork((6,), Regression(outputs=2)),
    "conv": lambda: ConvNetwork((8, 8, 1), Classification(classes=10)),
    "mobile": lambda: MobileNetwork((16, 16, 3), Classification(classes=3)),
    "cells": lambda: CellNetwork((8, 8, 1), Classification(classes=10)),
    "evolvable": lambda: evolvable(base()),
}


def costs():
    return {
        name: dataclasses.asdict(
            HypermodelCosts(make())(keras_tuner.HyperParameters())
        )
        for name, make in SPACES.items()
    }


if __name__ == "__main__":
    print(json.dumps({"backend": keras.config.backend(), "costs": costs()}))
