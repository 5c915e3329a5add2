"""When a search stops: its limits of trials, seconds, epochs and patience."""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.oracles.events import Events
from keras_evonas.oracles.fidelity import planned_epochs


def check_stops(
    max_trials: int | None,
    max_seconds: float | None,
    patience: int | None,
    max_total_epochs: int | None,
) -> None:
    """Checks that the search stops, raising a `ValueError` otherwise."""
    if max_trials is not None:
        check_positive_integer("max_trials", max_trials)
    if patience is not None:
        check_positive_integer("patience", patience)
    if max_total_epochs is not None:
        check_positive_integer("max_total_epochs", max_total_epochs)
    if max_seconds is not None:
        check_range(
            *("max_seconds", max_seconds, 0, math.inf),
            low_open=True,
            high_open=True,
        )
    limits = (max_trials, max_seconds, patience, max_total_epochs)
    if all(limit is None for limit in limits):
        raise ValueError(
            "`max_trials` may be None only if something else stops the "
            "search. Received: max_trials=None, max_seconds=None, "
            "patience=None, max_total_epochs=None. Pass one of them."
        )


def limit_reached(
    events: Events,
    pending: Iterable[Mapping[str, Any]],
    *,
    max_seconds: float | None,
    patience: int | None,
    max_total_epochs: int | None,
    executions: int,
) -> str | None:
    """Returns which limit of `EvoOracle` a search has reached, or `None`.

    `pending` are the values of the trials that are being trained, each in so
    many executions. Raises a `ValueError` if there is a limit on epochs and
    trials do not report any.
    """
    if max_seconds is not None and events.elapsed >= max_seconds:
        return f"max_seconds={max_seconds} have passed"
    if patience is not None and events.since_best >= patience:
        return f"no better trial in the last patience={patience}"
    if max_total_epochs is None:
        return None
    if events.without_epochs is not None:
        raise ValueError(
            "`max_total_epochs` needs trainings that report their epochs. "
            f"Received: max_total_epochs={max_total_epochs}, and none from "
            f"trial '{events.without_epochs}'. `EvoTuner` knows those of "
            "`keras.Model.fit`, and `MultiFidelityTuner` those of a strategy "
            "with rungs; a `fit` of your own must return the history of Keras. "
            "Else pass `max_seconds` or `max_trials`."
        )
    planned = sum(planned_epochs(values) or 0 for values in pending)
    if events.epochs + executions * planned < max_total_epochs:
        return None
    return f"max_total_epochs={max_total_epochs} are trained"
