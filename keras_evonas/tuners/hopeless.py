"""Gathers what is known when a trial begins, to judge its training by."""

import functools
import math
from collections.abc import Callable
from collections.abc import Sequence

import keras_tuner

from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.hopeless import Outlook
from keras_evonas.evolution.hopeless import Training
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import goes_on_from_weights
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.curves import ended_early
from keras_evonas.project.curves import read_curves
from keras_evonas.training.curves import loss_of
from keras_evonas.training.hopeless import Judge
from keras_evonas.tuners.trial_files import TrialFiles


def judges(
    oracle: EvoOracle, files: TrialFiles, chance: float
) -> Callable[[str], Judge]:
    """Returns what makes the judge of a trial, given its identifier.

    It judges by the trials that had ended when this one was proposed, as the
    record has it: a search that was cut judges as it would have.

    Args:
        oracle: The oracle.
        files: The folders of the trials, with their learning curves.
        chance: Float, as for `evolution.hopeless.Outlook`.
    """
    lead = objectives.lead_of(oracle.objective)

    @functools.cache
    def training(trial_id: str) -> Training | None:
        """Reads a training, `None` if it has no learning curves."""
        try:
            curves = read_curves(files.folder_of(trial_id))[0]
        except (IndexError, ValueError):  # None, or a damaged file.
            return None
        logs: dict[int, dict[str, object]] = {}
        for name, curve in curves.items():
            for epoch, value in curve:
                logs.setdefault(epoch, {})[name] = value
        found = [
            loss_of(lead, logs.get(epoch, {}))
            for epoch in range(max(logs, default=-1) + 1)
        ]
        return Training(
            genome=oracle.individual(trial_id).genome,
            losses=tuple(math.nan if x is None else x for x in found),
            whole=not ended_early(curves),
        )

    def judge_of(trial_id: str) -> Judge:
        before = oracle.completed_before(trial_id)
        # Those that violate a constraint are no bar to others.
        kept = (one for one in before if oracle.individual(one).feasible)
        known = map(training, kept)
        outlook = Outlook(
            space=oracle.engine.space,
            genome=oracle.individual(trial_id).genome,
            known=tuple(one for one in known if one is not None),
            chance=chance,
        )
        return functools.partial(_is_hopeless, outlook)

    return judge_of


def _is_hopeless(
    outlook: Outlook, losses: Sequence[float], epochs: int
) -> bool:
    with one_blas_thread():  # As proposals are made.
        return outlook.is_hopeless(losses, epochs)


def check_stop_hopeless(
    chance: object,
    oracle: keras_tuner.Oracle,
    executions_per_trial: int,
    cv: object,
) -> None:
    """Checks `stop_hopeless`, and what does not go together with it."""
    if chance is None:
        return
    check_range("stop_hopeless", chance, 0, 0.5, low_open=True)
    if not isinstance(oracle, EvoOracle):
        needs = "an `EvoOracle`, which records what was known to each trial"
        received = f"oracle={type(oracle).__name__}"
    elif len(objectives.parts_of(oracle.objective)) > 1:
        needs = "one objective, for a single best network"
        received = f"objective={oracle.objective.name!r} of several"
    elif goes_on_from_weights(oracle):
        needs = "trainings that begin anew: rungs leave the others as they are"
        received = "a strategy with rungs, or `inherit_weights=True`"
    elif executions_per_trial > 1 or cv is not None:
        needs = "one training for each trial"
        received = f"executions_per_trial={executions_per_trial}, cv={cv!r}"
    else:
        return
    raise ValueError(
        f"`stop_hopeless` needs {needs}. Received: stop_hopeless={chance}, "
        f"{received}. Leave one of them out."
    )
