"""Records what `fit` reports, with the epoch of each value."""

import dataclasses
from collections.abc import Mapping

import keras

from keras_evonas.project.curves import Curve
from keras_evonas.project.curves import Value
from keras_evonas.training.curves import kept


@dataclasses.dataclass(frozen=True, eq=False)
class _Fit:
    """The record of one `fit`, beside the history that Keras writes."""

    history: keras.callbacks.History | None
    curves: dict[str, list[tuple[int, Value]]] = dataclasses.field(
        default_factory=dict
    )


class Recorder(keras.callbacks.Callback):
    """Records every log that a file can hold, with its epoch.

    `keras.callbacks.History` has the values alone, without the epochs of a log
    that is not there in every epoch.

    Attributes:
        left_out: Mapping from the names of logs that cannot be recorded to
            their types, such as `"str"`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left_out: dict[str, str] = {}
        self._fits: list[_Fit] = []
        self._last_epoch = -1
        self._offset = 0
        self._is_interrupted = False

    def curves(self, *, of_all: bool = False) -> dict[str, Curve]:
        """Returns the curves of the last `fit`, or of every one.

        A model's own `fit` may consist of several. The epochs of the later
        ones are counted on where they begin again from 0.
        """
        curves: dict[str, list[tuple[int, Value]]] = {}
        for one in self._fits if of_all else self._fits[-1:]:
            for name, curve in one.curves.items():
                curves.setdefault(name, []).extend(curve)
        return {name: tuple(curve) for name, curve in curves.items()}

    def knows(self, history: object, *, of_all: bool = False) -> bool:
        """Returns whether a history is that of the last `fit`, or of any."""
        fits = self._fits if of_all else self._fits[-1:]
        return any(one.history is history for one in fits)

    def interrupt(self) -> None:
        """Ends the training with the current epoch, from another thread."""
        self._is_interrupted = True

    def on_train_begin(self, logs: Mapping[str, object] | None = None) -> None:
        """Begins to record a `fit`."""
        del logs
        self._fits.append(_Fit(getattr(self.model, "history", None)))

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, object] | None = None
    ) -> None:
        """Records the logs of an epoch."""
        if self._is_interrupted:
            raise KeyboardInterrupt
        if not self._fits:
            self.on_train_begin()
        if epoch + self._offset <= self._last_epoch:
            self._offset = self._last_epoch + 1 - epoch
        self._last_epoch = epoch + self._offset
        for name, value in (logs or {}).items():
            recorded = kept(value)
            if recorded is None:
                self.left_out[name] = type(value).__name__
            else:
                curve = self._fits[-1].curves.setdefault(str(name), [])
                curve.append((self._last_epoch, recorded))
