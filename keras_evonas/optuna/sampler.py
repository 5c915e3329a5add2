"""`EvoSampler`: evolution behind any Optuna study."""

import threading
import zlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.defaults import checked_strategy
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.optuna.fold import FIXED
from keras_evonas.optuna.fold import PROPOSAL
from keras_evonas.optuna.fold import Fold
from keras_evonas.optuna.parameters import Choice
from keras_evonas.optuna.parameters import parameter_of

_CONSTRAINTS = "constraints"  # as Optuna 5's own samplers store them
# Another process may propose the same at the same moment, and again.
_TRIES = 20


class EvoSampler(BaseSampler):
    """Samples a study's parameters by evolution, as `EvoOracle` does.

    Optuna's studies, storages, pruners and Ray Tune's `OptunaSearch` take it as
    any other sampler. It keeps nothing but a cache: all that it needs is in the
    study, so that a study goes on from its storage, and several processes may
    share one. Which parameters depend on others is learned from the trials. No
    set of parameters is tried twice, in several processes neither, until the
    space has no other left; what `PartialFixedSampler` fixes is not known here.

    The first trial is the one with which the strategy begins: for the default,
    the middle of all ranges. A parameter that a later trial is the first to ask
    for is drawn at random. A failed trial counts as the worst. A pruned one has
    its last intermediate value, and is no better than the best that completed.

    Args:
        strategy: What to try next, such as `genetic_algorithm()` of
            `keras_evonas.evolution`. Strategies with rungs do not fit: pruners
            are Optuna's way. Defaults to `None`, the default of `EvoOracle`
            for one objective or several.
        seed: Non-negative integer, `0` included, or `None` for a random one.
            The same seed gives the same study if trials run one by one.
        n_trials: Integer, how many trials the study will have, if that is
            known; some strategies choose their population by it. Defaults to
            `None`.
        constraints_func: Function from a `FrozenTrial` to a sequence of
            numbers, which are positive where it breaks a constraint, as for
            Optuna's own samplers. `Trial.set_constraint` needs none. Defaults
            to `None`.

    Raises:
        TypeError: If `strategy` is no strategy, or `constraints_func` not
            callable.
        ValueError: If an argument is out of its range, or the strategy has
            rungs.

    Example:

    ```python
    study = optuna.create_study(sampler=EvoSampler(seed=0))
    study.optimize(objective, n_trials=100)
    ```
    """

    def __init__(
        self,
        strategy: Strategy | None = None,
        seed: int | None = None,
        *,
        n_trials: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]]
        | None = None,
    ) -> None:
        if strategy is not None:
            checked_strategy(strategy, several_objectives=False)
        if getattr(strategy, "epochs", ()):
            raise ValueError(
                "`strategy` must not have rungs: a study's trials are ended "
                f"early by its pruner. Received: strategy={strategy!r}. Pass "
                "the strategy inside of it, and for example "
                "`optuna.create_study(pruner=optuna.pruners.HyperbandPruner())`"
                "."
            )
        if n_trials is not None:
            check_positive_integer("n_trials", n_trials)
        if constraints_func is not None and not callable(constraints_func):
            raise TypeError(
                "`constraints_func` must be a function of a trial. Received: "
                f"constraints_func={constraints_func!r}."
            )
        self._strategy = strategy
        self._seed = check_seed(seed)
        self._n_trials = n_trials
        self._constraints_func = constraints_func
        self._lock = threading.Lock()
        self._fold: Fold | None = None
        self._fold_of: tuple[object, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # The cache is made anew where the sampler is used.
        cache = {"_lock": None, "_fold": None, "_fold_of": None}
        return {**self.__dict__, **cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns all parameters that trials have asked for; see Optuna."""
        with self._lock:
            return self._updated(study, trial).distributions

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Choice]:
        """Proposes the values of a trial; see Optuna.

        They are written into the study first, and proposed anew if another
        process has meanwhile proposed the same. Parameters that are not in
        `search_space` are left out.
        """
        if not search_space:
            return {}
        with self._lock, one_blas_thread():
            fold = self._updated(study, trial)
            fixed = trial.system_attrs.get(FIXED, {})
            for _ in range(_TRIES):
                proposal = fold.propose(trial.number, fixed)
                _note(study, trial, PROPOSAL, proposal.to_json())
                self._updated(study, trial)
                is_settled = fixed or not proposal.is_new
                if is_settled or not fold.knows(proposal.values):
                    break
            # `PartialFixedSampler` takes what it fixes out of the space.
            return {
                name: value
                for name, value in proposal.values.items()
                if name in search_space
            }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Choice:
        """Chooses what no trial has asked for before; see Optuna."""
        parameter = parameter_of(param_name, param_distribution)
        name = zlib.crc32(param_name.encode())
        rng = rng_at(self._seed, trial.number, 0, name)
        if trial.number == 0:
            with self._lock:
                return self._updated(study, trial).first(parameter, rng)
        return parameter.decode(parameter.domain.sample(rng))

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stores what `constraints_func` says of a trial; see Optuna."""
        del values
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        if self._constraints_func is None or state not in ended:
            return
        constraints = [float(c) for c in self._constraints_func(trial)]
        if any(c != c for c in constraints):
            raise ValueError(
                "`constraints_func` must return numbers. Received: "
                f"{constraints} for trial {trial.number}."
            )
        _note(study, trial, _CONSTRAINTS, constraints)

    def _updated(self, study: Study, asking: FrozenTrial) -> Fold:
        """Returns the fold of all trials of a study but the one that asks."""
        # A pruner shows its own bracket only; evolution learns from all.
        storage, study_id = study._storage, study._study_id  # noqa: SLF001
        if self._fold is None or self._fold_of != (storage, study_id):
            directions = storage.get_study_directions(study_id)
            strategy = checked_strategy(
                self._strategy, several_objectives=len(directions) > 1
            ).configure(self._n_trials)
            self._fold = Fold(strategy, self._seed, directions)
            self._fold_of = (storage, study_id)
        trials = storage.get_all_trials(study_id, deepcopy=False)
        self._fold.update(t for t in trials if t.number != asking.number)
        return self._fold


def _note(
    study: Study,
    trial: FrozenTrial,
    key: str,
    value: dict[str, Any] | list[float],
) -> None:
    """Writes down something of a trial, as Optuna's own samplers do."""
    study._storage.set_trial_system_attr(  # noqa: SLF001
        trial._trial_id,  # noqa: SLF001
        key,
        value,
    )
