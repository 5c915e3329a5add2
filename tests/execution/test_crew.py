"""Executors of one's own that make a mistake: searches say which."""

import pathlib
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas.execution import Crew
from keras_evonas.execution import Ended
from keras_evonas.execution import Executor

pytestmark = pytest.mark.keras

_MISTAKES = {
    "no slot": (0, None, ValueError, r"at least one slot.*slots=0"),
    "half slots": (2.0, None, ValueError, r"at least one slot.*slots=2\.0"),
    "nothing": (1, None, TypeError, r"must return an `Ended`.*None"),
    "another slot": (1, Ended(slot=7, result=1), TypeError, r"\[0\].*slot=7"),
    "no result": (1, Ended(slot=0), TypeError, "say in `death`"),
}


class _Crew(Crew[Any, Any]):
    """A crew of so many slots, whose jobs all end in one way."""

    def __init__(self, slots: Any, ended: Any) -> None:
        self.slots = slots
        self._ended = ended
        self.jobs = 0

    def start(self, slot: int, job: object) -> None:
        self.jobs += 1

    def wait(self) -> Any:
        return self._ended

    def close(self) -> None:
        pass


class _Own(Executor):
    is_elsewhere = False

    def __init__(self, slots: Any, ended: Any) -> None:
        self._crew = _Crew(slots, ended)

    def crew(self, worker: object) -> Crew[Any, Any]:
        return self._crew


def _build(hp: keras_tuner.HyperParameters) -> keras.Model:
    units = hp.Int("units", 2, 5)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_crew_that_answers_badly_is_told(
    mistake: str, tmp_path: pathlib.Path
) -> None:
    slots, ended, kind, message = _MISTAKES[mistake]
    tuner = EvolutionarySearch(
        _build,
        "loss",
        3,
        seed=0,
        executor=_Own(slots, ended),
        directory=tmp_path,
        project_name="search",
    )
    x = np.ones((8, 3))
    with pytest.raises(kind, match=message):
        tuner.search(x, x[:, :1], verbose=0)
