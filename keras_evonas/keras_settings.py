"""Settings of Keras for all networks, kept where they would be lost."""

import copy
import dataclasses
import functools
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class KerasSettings:
    """The settings of Keras in the thread that reads them.

    Keras (3.10 to 3.15) keeps most of them by thread, forgets those when its
    session is cleared, and begins with its defaults in another process.
    """

    floatx: str
    epsilon: float
    image_data_format: str
    dtype_policy: keras.DTypePolicy
    flash_attention: bool | None
    interactive_logging: bool
    traceback_filtering: bool
    unsafe_deserialization: bool

    @classmethod
    def now(cls) -> "KerasSettings":
        """Reads the settings of this thread."""
        config = keras.config
        return cls(
            floatx=config.floatx(),
            epsilon=config.epsilon(),
            image_data_format=config.image_data_format(),
            dtype_policy=config.dtype_policy(),
            flash_attention=config.is_flash_attention_enabled(),
            interactive_logging=config.is_interactive_logging_enabled(),
            traceback_filtering=config.is_traceback_filtering_enabled(),
            unsafe_deserialization=_is_unsafe(),
        )

    def apply(self) -> None:
        """Gives Keras these settings in this thread."""
        config = keras.config
        config.set_floatx(self.floatx)
        config.set_epsilon(self.epsilon)
        config.set_image_data_format(self.image_data_format)
        config.set_dtype_policy(self.dtype_policy)
        if self.flash_attention is False:
            config.disable_flash_attention()
        if not self.interactive_logging:
            config.disable_interactive_logging()
        if not self.traceback_filtering:
            config.disable_traceback_filtering()
        if self.unsafe_deserialization:
            config.enable_unsafe_deserialization()


def _is_unsafe() -> bool:
    """Returns whether layers may be made of functions in their configuration.

    Keras has no function that says so.
    """
    try:
        # Keras changes what it is given.
        keras.layers.Lambda.from_config(copy.deepcopy(_config_with_function()))
    except ValueError:
        return False
    return True


@functools.cache
def _config_with_function() -> dict[str, Any]:
    config: dict[str, Any] = keras.layers.Lambda(
        _same, name="same"
    ).get_config()
    return config


_same = lambda x: x  # noqa: E731
