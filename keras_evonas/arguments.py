"""Arguments of the oracle, checked with errors that say how to mend them."""

from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import TypeAlias

import keras_tuner

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.strategies import Strategy

Initial: TypeAlias = (
    Mapping[str, Any] | keras_tuner.HyperParameters | Literal["default"]
)
_STRATEGY_METHODS = ("configure", "begin", "absorb", "propose", "vary")


def check_stops(
    max_trials: int | None, max_seconds: float | None, patience: int | None
) -> None:
    """Checks that the search stops, raising a `ValueError` otherwise."""
    if max_trials is not None:
        check_positive_integer("max_trials", max_trials)
    if patience is not None:
        check_positive_integer("patience", patience)
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(
            "`max_seconds` must be a positive number. Received: "
            f"max_seconds={max_seconds!r}."
        )
    if max_trials is None and max_seconds is None and patience is None:
        raise ValueError(
            "`max_trials` may be None only if something else stops the "
            "search. Received: max_trials=None, max_seconds=None, "
            "patience=None. Pass one of them."
        )


def checked_strategy(strategy: Any) -> Strategy:
    """Returns the strategy, or the default one for `None`.

    Raises:
        TypeError: If it is not a strategy.
    """
    if strategy is None:
        return default_strategy()
    is_strategy = all(hasattr(strategy, name) for name in _STRATEGY_METHODS)
    if isinstance(strategy, type) or not is_strategy:
        raise TypeError(
            "`strategy` must be a strategy such as `genetic_algorithm()` of "
            f"keras_evonas.evolution. Received: strategy={strategy!r}. Call "
            "the function that makes it, or write a class with the methods "
            f"{_STRATEGY_METHODS}."
        )
    return strategy


def checked_initial_population(initial: Any) -> list[dict[str, Any]]:
    """Returns what the user wrote as dictionaries of values."""
    if initial is None:
        return []
    if isinstance(initial, str | Mapping | keras_tuner.HyperParameters):
        raise TypeError(
            "`initial_population` must be a list. Received: "
            f"initial_population={initial!r}. Put it in brackets."
        )
    checked = []
    for member in initial:
        if isinstance(member, keras_tuner.HyperParameters):
            checked.append(_plain(member.values))
        elif isinstance(member, Mapping):
            checked.append(_plain(member))
        elif member == "default":
            checked.append({})
        else:
            raise TypeError(
                "`initial_population` may hold dictionaries of values, "
                "HyperParameters, and the word 'default'. Received: "
                f"{member!r}."
            )
    return checked


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns NumPy scalars into the Python values that JSON can hold."""
    return {
        name: value.item() if hasattr(value, "item") else value
        for name, value in values.items()
    }
