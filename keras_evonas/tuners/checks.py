"""Arguments of tuners: what they may be, and what does not go together."""

from keras_evonas.execution import Executor
from keras_evonas.execution import InProcess


def check_cv_with(cv: object, goes_on_from_weights: bool) -> None:
    """Checks that `cv` suits the oracle.

    Raises:
        ValueError: If trials go on from the weights of others, which have
            seen other folds.
    """
    if cv is not None and goes_on_from_weights:
        raise ValueError(
            "`cv` needs an oracle whose trials all begin anew: a network that "
            "goes on from the weights of another fold has seen what it is "
            f"validated on. Received: cv={cv!r} with `successive_halving` or a "
            "`HyperbandOracle`. Leave out one of them."
        )


def check_can_fold(cv: object, reason: str) -> None:
    """Checks that there is no `cv` where networks train one after another.

    Raises:
        ValueError: If there is.
    """
    if cv is not None:
        raise ValueError(
            "`cv` needs networks that can be trained together, since folds "
            f"are. Received: cv={cv!r}, and {reason}. Leave `cv` out and pass "
            "`validation_data` to `search`."
        )


def checked_executor(executor: object) -> Executor:
    """Checks `executor`, raising a `TypeError`, and fills in the default."""
    if executor is None:
        return InProcess()
    if not isinstance(executor, Executor):
        raise TypeError(
            "`executor` must be one of `keras_evonas.execution`. Received: "
            f"executor={executor!r} of type {type(executor).__name__}. Pass "
            "for example `Processes(workers=2)`."
        )
    return executor
