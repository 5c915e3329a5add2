"""The best networks of a search, judged again: which one is really best?"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_evonas.evolution import pareto
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.oracles import objectives
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.files import write_json
from keras_evonas.project.objectives import STATIC_COSTS
from keras_evonas.project.reading import FINALISTS_NAME
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.checkpoints import write_weights
from keras_evonas.tuners import honest
from keras_evonas.tuners import retraining
from keras_evonas.tuners import sizing
from keras_evonas.tuners.finals import Finals
from keras_evonas.tuners.retraining import Retraining
from keras_evonas.tuners.retraining import Run
from keras_evonas.tuners.retraining import Score
from keras_evonas.tuners.scoreboard import Network
from keras_evonas.tuners.scoreboard import Scoreboard
from keras_evonas.tuners.scoreboard import run_of
from keras_evonas.tuners.scoreboard import slug
from keras_evonas.tuners.trial_files import completed

_FOLDER = "finalists"
_WINNER_NAME = "winner.keras"
# On how many examples the saved model must predict the same.
_COMPARED = 256


def candidates(
    tuner: Any, top_k: int, include_default: bool
) -> tuple[list[Network], dict[str, keras_tuner.engine.trial.Trial]]:
    """Returns the networks to judge, and the trials of those that have one.

    What is known to violate a constraint is not among them, unless the search
    found nothing else.

    Raises:
        ValueError: If no trial has completed.
    """
    trials = _finalists(tuner, top_k)
    if not trials:
        raise ValueError(
            "There must be a completed trial to finalize. Received: a search "
            "without one. Call `tuner.search` first."
        )
    within = [trial for trial in trials if _is_within(tuner, trial)]
    space = retraining.space_of(tuner.oracle)
    default = space.default if include_default else None
    if default is not None and not _may_be_trained(tuner, default):
        default = None
    networks: dict[str, Network] = {}
    trial_of: dict[str, keras_tuner.engine.trial.Trial] = {}
    for trial in within or trials:
        genome = space.complete(trial.hyperparameters.values)
        name = f"trial {trial.trial_id}"
        if genome == default:
            name, default = f"{name}, the default", None
        networks[name] = _network(name, genome, trial)
        trial_of[name] = trial
    if default is not None:
        trial = next(
            (
                trial
                for trial in completed(tuner.oracle.get_best_trials(10**9))
                if space.complete(trial.hyperparameters.values) == default
            ),
            None,
        )
        if trial is not None:
            if within and not _is_within(tuner, trial):
                return list(networks.values()), trial_of
            trial_of["the default"] = trial
        longest = max((one.epochs or 0 for one in networks.values()), default=0)
        networks["the default"] = dataclasses.replace(
            _network("the default", default, trial), epochs=longest or None
        )
    return list(networks.values()), trial_of


def _may_be_trained(tuner: Any, genome: Mapping[str, Any]) -> bool:
    oracle = tuner._local_oracle
    judges = isinstance(oracle, EvoOracle)
    return not judges or oracle.violation_before(genome) == 0


def _is_within(tuner: Any, trial: keras_tuner.engine.trial.Trial) -> bool:
    oracle = tuner._local_oracle
    judges = isinstance(oracle, EvoOracle)
    return not judges or oracle.violation_after(trial) == 0


def _network(name: str, genome: Mapping[str, Any], trial: Any) -> Network:
    return Network(
        name=name,
        values=genome,
        epochs=trial and retraining.epochs_of(trial.hyperparameters),
        notes={
            "trial_id": trial and trial.trial_id,
            "search_score": trial and trial.score,
        },
    )


def _finalists(tuner: Any, top_k: int) -> list[Any]:
    """The best trials; of several objectives, trials all along the front."""
    oracle = tuner.oracle
    if not isinstance(oracle.objective, objectives.SeveralObjectives):
        return completed(oracle.get_best_trials(top_k))
    front = tuner._local_oracle.get_pareto_trials()
    if len(front) <= top_k:
        return front
    knee = tuner._local_oracle.get_knee_trial()
    rest = [trial for trial in front if trial.trial_id != knee.trial_id]
    places = np.linspace(0, len(rest) - 1, max(top_k - 1, 1)).round()
    spread = [rest[int(place)] for place in places][: top_k - 1]
    kept = {trial.trial_id for trial in [knee, *spread]}
    return [trial for trial in front if trial.trial_id in kept]


class Judging:
    """Trains finalists, chooses one, and saves it.

    Args:
        tuner: The `EvoTuner`.
        training: Trains and judges.
        networks: The finalists.
        trial_of: The trials of those that have one, by name.
        overwrite: Boolean, whether to train all anew.
    """

    def __init__(
        self,
        tuner: Any,
        training: Retraining,
        networks: Sequence[Network],
        trial_of: Mapping[str, Any],
        *,
        overwrite: bool,
    ) -> None:
        self._tuner = tuner
        self._training = training
        self._networks = {network.name: network for network in networks}
        self._trial_of = trial_of
        self._project = pathlib.Path(tuner.project_dir)
        self._project.mkdir(parents=True, exist_ok=True)
        self._folder = self._project / _FOLDER
        self._folder.mkdir(exist_ok=True)
        self._board = Scoreboard(
            self._project / FINALISTS_NAME,
            training.settings,
            networks,
            overwrite=overwrite,
        )
        self._parts = objectives.parts_of(tuner.oracle.objective)
        self._sign = objectives.SIGN[tuner.oracle.objective.direction]

    def run(self, repeats: int, path: Any) -> Finals:
        """Trains what is missing, chooses the best, and saves it."""
        seeds = retraining.seeds_after_search(self._tuner, repeats)
        runs = self._board.missing(seeds, _FOLDER)
        total = len(self._networks) * repeats
        progress = self._training.progress(total, total - len(runs))
        self._train(runs, progress)
        winner = self._winner()
        score = self._best_run(winner)
        if not self._weights(winner, score.seed).exists():
            progress.say(
                f"{winner.name} is trained again: its weights are gone"
            )
            self._train([run_of(winner, score.seed, _FOLDER)], progress)
            score = self._best_run(winner)
        ranked = self._ranked(winner)
        self._board.write(ranked, chosen=winner)
        path = pathlib.Path(path or self._project / _WINNER_NAME)
        self._export(winner, score, path)
        finals = Finals(
            objective=self._tuner.oracle.objective.name,
            finalists=self._board.finalists(ranked, winner),
            path=path,
            seed=score.seed,
            score=score.score,
        )
        progress.conclude(finals)
        return finals

    def _train(self, runs: Sequence[Run], progress: Any) -> None:
        by_name = {run.name: run for run in runs}
        self._training.run(
            list(by_name.values()),
            on_score=self._note,
            progress=progress,
            on_trained=self._keep,
        )

    # Weights: one file a finalist, of the best of its repeats.

    def _weights(self, network: Network, seed: int) -> pathlib.Path:
        return self._folder / f"{slug(network)}-seed{seed}.weights.h5"

    def _build_config(self, network: Network) -> pathlib.Path:
        return self._folder / f"{slug(network)}.build_config.json"

    def _keep(self, run: Run, model: keras.Model, score: float) -> None:
        network = self._networks[run.network]
        best = self._best_run(network)
        if best is None or self._sign * (score - best.score) <= 0:
            write_weights(model, str(self._weights(network, run.seed)))
            config = model.get_build_config()
            write_json(self._build_config(network), config)

    def _note(self, run: Run, score: Score) -> None:
        network = self._networks[run.network]
        self._board.add(network.name, score)
        best = self._best_run(network)
        for other in self._board.scores(network):
            if best is not None and other.seed != best.seed:
                self._weights(network, other.seed).unlink(missing_ok=True)

    def _best_run(self, network: Network) -> Score | None:
        scored = [s for s in self._board.scores(network) if s.score is not None]
        return min(scored, key=lambda one: self._sign * one.score, default=None)

    # Choosing.

    def _winner(self) -> Network:
        """The best mean; of several objectives, the knee of the front.

        What keeps to the constraints comes first, then what violates them
        least.
        """
        sound = [
            network
            for network in self._networks.values()
            if not any(one.message for one in self._board.scores(network))
        ]
        if not sound:
            messages = [
                one.message
                for network in self._networks.values()
                for one in self._board.scores(network)
            ]
            raise RuntimeError(
                "None of the finalists could be trained again. The first "
                f"failed with:\n{messages[0]}"
            )
        violations = {one.name: self._violation(one) for one in sound}
        least = min(violations.values())
        sound = [one for one in sound if violations[one.name] == least]
        if len(self._parts) == 1:
            return min(sound, key=self._loss)
        losses = [self._losses(network) for network in sound]
        return sound[pareto.knee_point(losses)]

    def _ranked(self, winner: Network) -> list[Network]:
        return sorted(
            self._networks.values(),
            key=lambda network: (network != winner, self._loss(network)),
        )

    def _loss(self, network: Network) -> float:
        scores = [
            self._sign * one.score
            for one in self._board.scores(network)
            if one.score is not None
        ]
        return sum(scores) / len(scores) if scores else math.inf

    def _violation(self, network: Network) -> float:
        limits = getattr(self._tuner._local_oracle, "constraints", ())
        return sum(
            one.violation(self._value(one.name, network)) for one in limits
        )

    def _losses(self, network: Network) -> list[float]:
        return [
            objectives.SIGN[part.direction] * self._value(part.name, network)
            for part in self._parts
        ]

    def _value(self, name: str, network: Network) -> float:
        """A metric or cost: measured now, or by the search, or computed."""
        scores = self._board.scores(network)
        metric = honest.metric_of(name)
        measured = [s.metrics[metric] for s in scores if metric in s.metrics]
        if name == "train_seconds":
            measured = [one.seconds for one in scores]
        if measured:
            return sum(measured) / len(measured)
        trial = self._trial_of.get(network.name)
        if trial is not None and trial.metrics.exists(name):
            return objectives.value_at(trial.metrics, name, trial.best_step)
        if name not in STATIC_COSTS:
            return math.nan
        costs = HypermodelCosts(
            self._tuner.hypermodel,
            input_shapes=sizing.shapes_of(self._training.arguments.x),
        )(self._training.hyperparameters(network.values))
        return float(getattr(costs, name))

    # Saving.

    def _export(
        self, network: Network, score: Score, path: pathlib.Path
    ) -> None:
        """Saves the model, and makes sure that what is saved is the model.

        Raises:
            RuntimeError: If it cannot be saved, cannot be loaded, or predicts
                something else. What was trained and scored is kept.
        """
        hp = self._training.hyperparameters(network.values)
        model = self._tuner._checked_model(hp)
        if not model.built:
            config = self._build_config(network).read_text(encoding="utf-8")
            build_again(model, json.loads(config))
        read_weights(model, str(self._weights(network, score.seed)))
        if model.optimizer is not None:
            # Keras 3.15 complains when it loads one without variables.
            model.optimizer.build(model.trainable_variables)
        temporary = path.with_name(f"{path.stem}.tmp.keras")
        path.parent.mkdir(parents=True, exist_ok=True)
        way_out = (
            "The scores are kept, so that the same call trains nothing again. "
            "See `keras.saving.register_keras_serializable` for layers and "
            "functions of your own."
        )
        try:
            model.save(temporary)
            reloaded = keras.models.load_model(temporary)
        except Exception as error:
            temporary.unlink(missing_ok=True)
            raise RuntimeError(
                "The winner must be a model that `save` and `load_model` can "
                f"handle. Received: {network.name}, which fails with "
                f"{error!r}. {way_out}"
            ) from error
        x = self._training.examples(_COMPARED)
        expected = keras.tree.flatten(model.predict(x, verbose=0))
        found = keras.tree.flatten(reloaded.predict(x, verbose=0))
        for one, other in zip(expected, found, strict=True):
            if not np.allclose(one, other, rtol=1e-4, atol=1e-5):
                temporary.unlink()
                raise RuntimeError(
                    "The winner must predict the same after it was saved and "
                    f"loaded. Received: {network.name}, whose predictions "
                    f"differ by {np.abs(one - other).max()}. {way_out}"
                )
        os.replace(temporary, path)
