"""Training a supernet path by path, so that it can be taken up again."""

import dataclasses
import math
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.garbage import collected_at_the_end
from keras_evonas.project.wording import settings
from keras_evonas.supernets.data import scoring_data
from keras_evonas.supernets.learners import Learner
from keras_evonas.supernets.learners import PolicyPaths
from keras_evonas.supernets.learners import Result
from keras_evonas.supernets.learners import TournamentPaths
from keras_evonas.supernets.samplers import ElasticSampler
from keras_evonas.supernets.samplers import FairPaths
from keras_evonas.supernets.samplers import FeasiblePaths
from keras_evonas.supernets.samplers import Paths
from keras_evonas.supernets.samplers import Sampler
from keras_evonas.supernets.samplers import SandwichPaths
from keras_evonas.supernets.samplers import ShrinkingPaths
from keras_evonas.supernets.samplers import UniformPaths
from keras_evonas.supernets.scoring import Scorer
from keras_evonas.supernets.state import Epochs
from keras_evonas.supernets.state import SavedState
from keras_evonas.supernets.state import callbacks_of
from keras_evonas.supernets.supernet import Supernet
from keras_evonas.training.arguments import NAMES
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.parts import Part
from keras_evonas.training.parts import parts_of
from keras_evonas.training.programs import prepare

_SAMPLERS: dict[str, Sampler | Learner] = {
    "uniform": UniformPaths(),
    "feasible": FeasiblePaths(),
    "fair": FairPaths(),
    "policy": PolicyPaths(),
    "tournaments": TournamentPaths(),
    "sandwich": SandwichPaths(),
}
_NAMES = [*_SAMPLERS, "shrinking"]
# Paths drawn for an epoch whose number of steps is not known.
_STEPS = 1024
# Arguments of `fit` that stay with the search.
_LEFT_OUT = (
    *("epochs", "initial_epoch", "verbose", "callbacks", "validation_data"),
    *("validation_split", "validation_steps", "validation_batch_size"),
    "validation_freq",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SinglePath:
    """Settings of how to train and score; made by `single_path`."""

    epochs: int
    sampler: Sampler | Learner
    calibration: int
    distillation: float = 0.0


def single_path(
    epochs: int = 40,
    *,
    sampler: Sampler | Learner | str = "uniform",
    calibration: int = 512,
    distillation: float = 0.0,
) -> SinglePath:
    """Trains one path of a supernet in each step, or a few.

    Args:
        epochs: Integer, the epochs that the supernet is trained for. Defaults
            to 40.
        sampler: `"uniform"`: each step draws one path (Guo et al., 2020);
            `"feasible"`: so it does among the networks that keep the oracle's
            constraints on costs before training (see `FeasiblePaths`);
            `"fair"`: each step takes as many paths as the largest choice has
            options, so that every option is trained once (Chu et al., 2021),
            and takes as many times longer; `"policy"`: paths are drawn from a
            policy that learns from validation losses (Pham et al., 2018, see
            `PolicyPaths`); `"tournaments"`: the losers of tournaments become
            like the winners (Fernando et al., 2017, see `TournamentPaths`);
            `"sandwich"`: each step takes the largest path, the smallest and
            two between them (Yu and Huang, 2019, see `SandwichPaths`);
            `"shrinking"`: kernels, depths and widths shrink over the epochs
            (Cai et al., 2020, see `ShrinkingPaths`); or a `Sampler`. Defaults
            to `"uniform"`.
        calibration: Integer, the number of training examples from which the
            moving averages of batch normalization are computed for each
            network before it is scored; 0 for none. Defaults to 512.
        distillation: Float in `[0, 1]`, the share of the loss that compares a
            path with the output of the largest one, which has the same
            options, instead of with the targets. 1 is as in Yu and Huang
            (2019), 0.5 weighs both alike as Once-for-All does. It takes
            another forward pass for each path. Defaults to 0.0.

    Returns:
        The training, for `OneShotTuner(sharing=...)`.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_positive_integer("epochs", epochs)
    check_range("distillation", distillation, 0.0, 1.0)
    if sampler == "shrinking":
        sampler = ShrinkingPaths.over(epochs)
    if isinstance(sampler, str):
        if sampler not in _SAMPLERS:
            raise ValueError(
                f"`sampler` must be one of {_NAMES} or a `Sampler`. "
                f"Received: sampler={sampler!r}."
            )
        sampler = _SAMPLERS[sampler]
    elif isinstance(sampler, type) or not callable(
        getattr(sampler, "paths", None)
    ):
        raise TypeError(
            f"`sampler` must be one of {_NAMES} or a `Sampler`. "
            f"Received: sampler={sampler!r} of type {type(sampler).__name__}. "
            "Pass an instance, such as `FairPaths()`."
        )
    check_integer("calibration", calibration, lowest=0)
    return SinglePath(
        epochs=epochs,
        sampler=sampler,
        calibration=calibration,
        distillation=float(distillation),
    )


def train(
    supernet: Supernet,
    sharing: SinglePath,
    arguments: FitArguments,
    *,
    seed: int,
    folder: pathlib.Path,
    say: Callable[[str], object] = print,
) -> list[Result]:
    """Trains a supernet, or what is left of its training.

    After each epoch its weights, the optimizer's memory and the number of the
    epoch are written. Called again, it goes on from there, to the same end.

    Args:
        supernet: The supernet, just made.
        sharing: How to train it.
        arguments: The arguments of `fit`.
        seed: Integer, the seed of paths and of the order of examples.
        folder: Where to write.
        say: Prints a line.

    Returns:
        The results that a learner asked for, in their order.

    Raises:
        ValueError: If `folder` holds another training, or if there are no
            validation data for a learner.
        RuntimeError: If another process trains there.
    """
    callbacks = callbacks_of(arguments)
    arguments = arguments.with_changes(callbacks=callbacks)
    identity = {
        "fingerprint": supernet.fingerprint,
        "sampler": settings(sharing.sampler),
        "seed": seed,
        "distillation": sharing.distillation or None,
        "optimizer": supernet.settings["optimizer"],
    }
    state = SavedState(folder, identity, _training_of(supernet, arguments))
    with state.locked():
        return _train(supernet, sharing, arguments, state, seed=seed, say=say)


def _train(
    supernet: Supernet,
    sharing: SinglePath,
    arguments: FitArguments,
    state: SavedState,
    *,
    seed: int,
    say: Callable[[str], object],
) -> list[Result]:
    saved = state.read()
    done = saved["epoch"]
    if done:
        state.restore(_variables_of(supernet), supernet.network.optimizer)
    results = [Result(tuple(path), x) for path, x in saved.get("results", ())]
    if max(done, saved.get("ended_of", 0)) >= sharing.epochs:
        return results
    data, steps = _data_of(arguments)
    training = parts_of(arguments)[0]
    supernet.distill(sharing.distillation)
    _prepare(supernet, training)
    keras.utils.set_random_seed(seed)
    sampler, scorer = sharing.sampler, None
    if isinstance(sampler, Learner):
        data_to_score = scoring_data(arguments, sharing.calibration)
        scorer = Scorer(supernet, *data_to_score)

    def begin_epoch(epoch: int) -> None:
        address = (seed, epoch)
        supernet.set_paths(
            _paths_of(supernet, sampler, steps or _STEPS, address, results)
        )

    def end_epoch(epoch: int) -> None:
        if scorer is not None and isinstance(sampler, Learner):
            paths = sampler.proposals(supernet.sizes, (seed, epoch), results)
            results.extend([_result(scorer, path) for path in paths])
        nonlocal done
        done = epoch + 1
        state.save(_variables_of(supernet), done, results=results)

    with collected_at_the_end():
        supernet.fit(
            **data,
            epochs=sharing.epochs,
            initial_epoch=done,
            callbacks=[
                *(arguments.callbacks or ()),
                Epochs("Supernet", sharing.epochs, begin_epoch, end_epoch, say),
            ],
            verbose=0,
        )
    if arguments.callbacks:  # They may have stopped it, or changed weights.
        state.save(
            _variables_of(supernet),
            done,
            results=results,
            ended_of=sharing.epochs,
        )
    return results


def _training_of(
    supernet: Supernet, arguments: FitArguments
) -> dict[str, object]:
    """Returns what the weights depend on beside the sampler and the seed."""
    given = arguments.data_and_steps()
    kept = {name: x for name, x in given.items() if name not in _LEFT_OUT}
    return {**kept, **supernet.settings}


def _variables_of(supernet: Supernet) -> list[keras.Variable]:
    network = supernet.network
    return [*network.variables, *network.optimizer.variables]


def _paths_of(
    supernet: Supernet,
    sampler: Sampler | Learner,
    steps: int,
    address: tuple[int, int],
    results: Sequence[Result],
) -> Paths:
    """Draws the paths of an epoch, as the sampler takes its arguments."""
    sizes = supernet.sizes
    if isinstance(sampler, Learner):
        return sampler.paths(sizes, steps, address, results)
    if isinstance(sampler, ElasticSampler):
        kinds = [gene.kind for gene in supernet.genes]
        return sampler.elastic_paths(sizes, kinds, steps, address)
    return sampler.paths(sizes, steps, address)


def _result(scorer: Scorer, path: Sequence[int]) -> Result:
    loss = scorer.score(path)["loss"]
    return Result(tuple(path), loss if math.isfinite(loss) else None)


def _data_of(arguments: FitArguments) -> tuple[dict[str, Any], int | None]:
    """Returns arguments of `fit` for the training data, and their steps."""
    arrays = arrays_of(arguments)
    if arrays is None:
        first, rest = arguments.given()
        given = {**dict(zip(NAMES, first, strict=False)), **rest}
        kept = {n: x for n, x in given.items() if n not in _LEFT_OUT}
        if isinstance(arguments.x, tf.data.Dataset):
            kept.setdefault("shuffle", False)  # Keras warns of its default.
        return kept, arguments.steps_per_epoch
    training, _ = arrays
    x, y, weight = keras.utils.unpack_x_y_sample_weight(training.tensors)
    return {
        "x": x,
        "y": y,
        "sample_weight": weight,
        "batch_size": arguments.batch_size or DEFAULT_BATCH_SIZE,
        "shuffle": training.shuffle,
    }, training.steps


def _prepare(supernet: Supernet, training: Part) -> None:
    """Creates the variables of metrics, so that nothing is traced twice."""
    batch = training.batch()
    if batch is not None:
        rows = keras.tree.flatten(batch)[0].shape[0]
        prepare(supernet.network, batch, rows)
