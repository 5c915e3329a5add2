"""The user's `on_trial_end`."""

from collections.abc import Callable
from typing import Any

from keras_tuner.engine import trial as trial_lib

TrialHook = Callable[[trial_lib.Trial], Any]


class CheckedHook:
    """A hook whose error waits until everything is recorded.

    Args:
        hook: Callable that takes an ended trial, or `None`.

    Raises:
        TypeError: If it is something else.
    """

    def __init__(self, hook: TrialHook | None) -> None:
        if hook is not None and not callable(hook):
            raise TypeError(
                "`on_trial_end` must be a callable that takes a trial. "
                f"Received: {hook!r} of type {type(hook).__name__}."
            )
        self._hook = hook
        self._error: Exception | None = None

    def __call__(self, trial: trial_lib.Trial) -> None:
        """Calls the hook and keeps the first error."""
        if self._hook is None:
            return
        try:
            self._hook(trial)
        except Exception as error:
            self._error = self._error or error

    def raise_error(self) -> None:
        """Raises the error, if there was one."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
