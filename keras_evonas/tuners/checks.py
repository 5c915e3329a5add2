"""Arguments of tuners: what they may be, and what does not go together."""

import itertools
from collections.abc import Collection
from collections.abc import Sequence
from typing import get_args

import keras
import keras_tuner

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.execution import Executor
from keras_evonas.execution import InProcess
from keras_evonas.models.checks import WANTED_HYPERMODEL
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.oracles import objectives
from keras_evonas.oracles.checks import no_hyperparameters
from keras_evonas.project import wording
from keras_evonas.project.objectives import COSTS
from keras_evonas.training import FitArguments
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.checks import check_fit
from keras_evonas.training.checks import check_own
from keras_evonas.training.folds import folds_of
from keras_evonas.training.model_checks import Verdict
from keras_evonas.training.model_checks import check_fits_model
from keras_evonas.training.values import Values
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.recipe import changes_of
from keras_evonas.tuners.trial_files import Policy

_MODULES = {"optimizer": "optimizers", "loss": "losses", "metrics": "metrics"}
_LISTENERS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
# Names of metrics that Keras resolves by the shape of an output.
_BY_OUTPUT = {"accuracy", "acc", "crossentropy", "ce"}


def check_compile_arguments(
    optimizer: object, loss: object, metrics: object
) -> None:
    """Checks that Keras knows the names among what replaces a model's own."""
    known_to = {
        "optimizer": (optimizer, keras.optimizers.get),
        "loss": (loss, keras.losses.get),
        "metrics": (metrics, keras.metrics.get),
    }
    for name, (given, get) in known_to.items():
        parts = given if isinstance(given, list | tuple) else [given]
        for part in parts:
            if not (part is None or callable(part)) and not isinstance(
                part, str | dict | list | tuple | keras.Optimizer
            ):
                raise TypeError(
                    f"`{name}` must be a name, a function or an object of "
                    f"`keras.{_MODULES[name]}`. Received: {name}={given!r}."
                )
        # Objects and configurations of losses and metrics are Keras's to check.
        leaves = [x for x in keras.tree.flatten(given) if isinstance(x, str)]
        for leaf in [optimizer] if name == "optimizer" else leaves:
            if isinstance(leaf, str) and leaf in _BY_OUTPUT:
                continue
            try:
                get(leaf)
            except (ValueError, KeyError) as error:  # As Keras raises it.
                raise ValueError(
                    f"`{name}` must be known to Keras. Received: "
                    f"{name}={given!r}. See `keras.{_MODULES[name]}` for "
                    f"names, or pass an object."
                ) from error


def check_policy(policy: object, top_k: object, needs_all: bool) -> None:
    """Checks `keep_checkpoints` and `top_k`."""
    policies = get_args(Policy)
    is_word = isinstance(policy, str) and policy in policies
    if policy is not None and not is_word:
        raise ValueError(
            f"`keep_checkpoints` must be one of {policies}. Received: "
            f"keep_checkpoints={policy!r}."
        )
    check_positive_integer("top_k", top_k)
    if needs_all and policy not in (None, "all"):
        raise ValueError(
            "`keep_checkpoints` must be 'all' when trials go on from the "
            "weights of others, as with `HyperbandOracle` and "
            "`successive_halving`. Received: "
            f"keep_checkpoints={policy!r}. Leave it out."
        )


def check_cv_with(cv: object, goes_on_from_weights: bool) -> None:
    """Checks that no trial goes on from weights that have seen other folds."""
    if cv is not None and goes_on_from_weights:
        raise ValueError(
            "`cv` needs an oracle whose trials all begin anew: a network that "
            "goes on from the weights of another fold has seen what it is "
            f"validated on. Received: cv={cv!r} with `successive_halving` or a "
            "`HyperbandOracle`. Leave out one of them."
        )


def checked_executor(executor: object) -> Executor:
    """Checks `executor`, and fills in the default."""
    if executor is None:
        return InProcess()
    if not isinstance(executor, Executor):
        raise TypeError(
            "`executor` must be one of `keras_evonas.execution`. Received: "
            f"executor={executor!r} of type {type(executor).__name__}. Pass "
            "for example `Processes(workers=2)`."
        )
    return executor


def checked_hook(hook: TrialHook | None) -> TrialHook | None:
    """Checks `on_trial_end`."""
    if hook is not None and not callable(hook):
        raise TypeError(
            "`on_trial_end` must be a callable that takes a trial. "
            f"Received: {hook!r} of type {type(hook).__name__}."
        )
    return hook


def check_has_hypermodel(hypermodel: object) -> None:
    """Checks that there is a hypermodel."""
    if hypermodel is None:
        raise ValueError(
            f"`hypermodel` {WANTED_HYPERMODEL} Received: hypermodel=None."
        )


def checked_folds(recipe: Recipe) -> int:
    """Raises what is wrong for all networks, which then costs no trial.

    Returns:
        The number of folds, 0 without `cv`.
    """
    if recipe.alone is not None:
        if recipe.cv is not None:
            raise ValueError(
                "`cv` needs networks that can be trained together, since folds "
                f"are. Received: cv={recipe.cv!r}, and {recipe.alone}. Leave "
                "`cv` out and pass `validation_data` to `search`."
            )
        return 0
    check_has_hypermodel(recipe.builder.hypermodel)
    arguments = recipe.arguments
    callback_lib.copied(arguments.callbacks)
    folds = 0
    if recipe.cv is not None:
        folds = len(folds_of(arguments, recipe.cv, seed=recipe.seed))
    check_fit(arguments)
    if recipe.objective.name == "default_objective":
        raise ValueError(
            "`objective` must name a metric that `fit` reports. Received: "
            "objective=None. Pass a name such as 'val_loss' to the oracle."
        )
    may_ask = recipe.fit_arguments is not None or recipe.tuner is not None
    if not recipe.space.space and not may_ask:
        raise no_hyperparameters([])
    _check_default(recipe, arguments)
    return folds


def check_validations(recipe: Recipe, rungs: Sequence[int]) -> None:
    """Checks that each training has an epoch with what is compared.

    `rungs` are the epochs after which trainings may stop, none if all are
    trained alike, by the arguments of `fit`.
    """
    arguments, frequency = recipe.arguments, recipe.arguments.validation_freq
    parts = objectives.parts_of(recipe.objective)
    needed = any(one.name.startswith("val_") for one in parts)
    if not needed or (recipe.fit_arguments is not None and not rungs):
        return
    bounds = [arguments.initial_epoch, arguments.epochs]
    if rungs:
        bounds = [0, *rungs]
    for first, last in itertools.pairwise(bounds):
        if not any(map(arguments.validates_after, range(first, last))):
            way_out = "train for longer"
            if rungs:
                way_out = "pass a larger `min_epochs` to the strategy"
            raise ValueError(
                "`validation_freq` must leave each training an epoch with a "
                f"validation, as the objective is '{recipe.objective.name}'. "
                f"Received: validation_freq={frequency!r}, and trainings from "
                f"epoch {first + 1} to {last}. Leave it out, or {way_out}."
            )


def _check_default(recipe: Recipe, arguments: FitArguments) -> None:
    """Checks that the default network can be trained, and be scored.

    It is built without values where that tells enough, since it may be too
    large for the memory.
    """
    space = recipe.space.copy()
    try:
        changes = changes_of(space, recipe.fit_arguments)
    except keras_tuner.errors.FatalTypeError:
        raise
    except Exception:
        return  # The default lacks what other trials may have.
    arguments = arguments.with_changes(**changes)
    try:
        check_own(arguments)
    except ValueError as error:
        raise ValueError(
            "`fit_arguments` must return arguments that `fit` takes. "
            f"Received: {wording.shorten(changes, 200)} for the default "
            f"values: {error}"
        ) from error

    def check() -> Verdict:
        return check_fits_model(
            lambda: recipe.builder.build(space.copy()), arguments
        )

    verdict = without_allocation(check)
    if not verdict.is_certain:
        verdict = isolated(check)
    if verdict.logs is None or recipe.tuner is not None:
        return  # Code of the user's own may report anything.
    names = set(verdict.logs)
    if recipe.cv is not None or arguments.validation_split:
        names |= {f"val_{name}" for name in names}
    if recipe.cv is not None:
        names |= {f"{name}_std" for name in names}
    parts = objectives.parts_of(recipe.objective)
    wanted = [one.name for one in parts if one.name not in COSTS]
    objectives.check_reported(wanted, dict.fromkeys(names))
    _check_monitors(arguments.callbacks, names)


def _check_monitors(callbacks: Values, names: Collection[str]) -> None:
    """Checks that training reports what callbacks of Keras listen to."""
    for callback in keras.tree.flatten(callbacks or []):
        if not isinstance(callback, _LISTENERS):
            continue
        # A checkpoint of every epoch listens to nothing.
        if getattr(callback, "save_best_only", True):
            objectives.check_reported(
                [callback.monitor],
                dict.fromkeys(names),
                f"{type(callback).__name__}.monitor",
            )
