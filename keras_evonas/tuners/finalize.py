"""The best networks of a search, trained again: which one is really best?"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution import pareto
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.oracles import objectives
from keras_evonas.project.files import write_json
from keras_evonas.project.objectives import STATIC_COSTS
from keras_evonas.project.retrained import FINALISTS_NAME
from keras_evonas.project.retrained import Network
from keras_evonas.project.retrained import Repeat
from keras_evonas.project.retrained import Score
from keras_evonas.project.retrained import Scoreboard
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.checkpoints import write_weights
from keras_evonas.tuners import sizing
from keras_evonas.tuners import unseen
from keras_evonas.tuners.builder import NetworkBuilder
from keras_evonas.tuners.ended_search import EndedSearch
from keras_evonas.tuners.ended_search import epochs_of
from keras_evonas.tuners.finalize_result import Finals
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.retraining import Retraining

_FOLDER = "finalists"
_WINNER_NAME = "winner.keras"
# On how many examples the saved model must predict the same.
_COMPARED = 256


def finalists_of(
    search: EndedSearch, top_k: int, include_default: bool
) -> tuple[list[Network], dict[str, trial_lib.Trial]]:
    """Returns the networks to train again, and the trials of those with one.

    What is known to violate a constraint is not among them, unless the search
    found nothing else.

    Raises:
        ValueError: If no trial has completed.
    """
    trials = _best_trials(search, top_k)
    if not trials:
        raise ValueError(
            "There must be a completed trial to finalize. Received: a search "
            "without one. Call `tuner.search` first."
        )
    within = [trial for trial in trials if search.is_within(trial)]
    space = search.space
    default = space.default if include_default else None
    if default is not None and not search.may_be_trained(default):
        default = None
    networks: dict[str, Network] = {}
    trial_of: dict[str, trial_lib.Trial] = {}
    for trial in within or trials:
        genome = space.complete(trial.hyperparameters.values)
        name = f"trial {trial.trial_id}"
        if genome == default:
            name, default = f"{name}, the default", None
        networks[name] = _network(name, genome, trial)
        trial_of[name] = trial
    if default is not None:
        trial = _trial_with(search, default)
        if trial is not None:
            if within and not search.is_within(trial):
                return list(networks.values()), trial_of
            trial_of["the default"] = trial
        longest = max((one.epochs or 0 for one in networks.values()), default=0)
        networks["the default"] = dataclasses.replace(
            _network("the default", default, trial), epochs=longest or None
        )
    return list(networks.values()), trial_of


def _trial_with(
    search: EndedSearch, genome: Mapping[str, Any]
) -> trial_lib.Trial | None:
    space = search.space
    for trial in search.completed:
        if space.complete(trial.hyperparameters.values) == genome:
            return trial
    return None


def _network(
    name: str, genome: Mapping[str, Any], trial: trial_lib.Trial | None
) -> Network:
    return Network(
        name=name,
        values=genome,
        epochs=trial and epochs_of(trial),
        notes={
            "trial_id": trial and trial.trial_id,
            "search_score": trial and trial.score,
        },
    )


def _best_trials(search: EndedSearch, top_k: int) -> list[trial_lib.Trial]:
    """Returns the best trials; of several objectives, some along the front."""
    evo_oracle = search.evo_oracle
    is_one = not isinstance(
        search.oracle.objective, objectives.SeveralObjectives
    )
    if is_one or evo_oracle is None:
        return search.best(top_k)
    front = evo_oracle.get_pareto_trials()
    knee = evo_oracle.get_knee_trial()
    if len(front) <= top_k or knee is None:
        return front
    rest = [trial for trial in front if trial.trial_id != knee.trial_id]
    places = np.linspace(0, len(rest) - 1, max(top_k - 1, 1)).round()
    spread = [rest[int(place)] for place in places][: top_k - 1]
    kept = {trial.trial_id for trial in [knee, *spread]}
    return [trial for trial in front if trial.trial_id in kept]


class Finalizing:
    """Trains finalists again, chooses one, and saves it.

    Args:
        search: The search.
        builder: Builds its networks.
        training: Trains and judges.
        networks: The finalists.
        trial_of: The trials of those that have one, by name.
        overwrite: Boolean, whether to train all anew.
    """

    def __init__(
        self,
        search: EndedSearch,
        builder: NetworkBuilder,
        training: Retraining,
        networks: Sequence[Network],
        trial_of: Mapping[str, trial_lib.Trial],
        *,
        overwrite: bool,
    ) -> None:
        self._search = search
        self._builder = builder
        self._training = training
        self._networks = {network.name: network for network in networks}
        self._trial_of = trial_of
        self._folder = search.folder / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._board = Scoreboard(
            search.folder / FINALISTS_NAME,
            training.settings,
            networks,
            overwrite=overwrite,
        )
        objective = search.oracle.objective
        self._parts = objectives.parts_of(objective)
        self._sign = objectives.SIGN[objective.direction]

    def run(self, repeats: int, path: str | os.PathLike[str] | None) -> Finals:
        """Trains what is missing, chooses the best, and saves it."""
        missing = self._board.missing(self._search.seeds(repeats), _FOLDER)
        total = len(self._networks) * repeats
        progress = self._training.progress(total, total - len(missing))
        self._train(missing, progress)
        winner = self._winner()
        score, value = self._best_repeat(winner)
        if not self._weights(winner, score.seed).exists():
            progress.say(
                f"{winner.name} is trained again: its weights are gone"
            )
            again = Repeat(network=winner, folder=_FOLDER, seed=score.seed)
            self._train([again], progress)
            score, value = self._best_repeat(winner)
        ranked = self._ranked(winner)
        self._board.write(ranked, chosen=winner)
        path = pathlib.Path(path or self._search.folder / _WINNER_NAME)
        self._export(winner, score, path)
        finals = Finals(
            objective=self._search.oracle.objective.name,
            finalists=self._board.finalists(ranked, winner),
            path=path,
            seed=score.seed,
            score=value,
        )
        progress.conclude(finals)
        return finals

    def _train(self, repeats: Sequence[Repeat], progress: Progress) -> None:
        self._training.run(
            list({repeat.name: repeat for repeat in repeats}.values()),
            on_score=self._add,
            progress=progress,
            on_trained=self._keep,
        )

    # Weights: one file a finalist, of the best of its repeats.

    def _weights(self, network: Network, seed: int) -> pathlib.Path:
        return self._folder / f"{network.file_name}-seed{seed}.weights.h5"

    def _build_config(self, network: Network) -> pathlib.Path:
        return self._folder / f"{network.file_name}.build_config.json"

    def _keep(self, repeat: Repeat, model: keras.Model, score: float) -> None:
        network = repeat.network
        best = min(self._losses_of(network), default=math.inf)
        if self._sign * score <= best:
            write_weights(model, str(self._weights(network, repeat.seed)))
            config = model.get_build_config()
            write_json(self._build_config(network), config)

    def _add(self, repeat: Repeat, score: Score) -> None:
        network = repeat.network
        self._board.add(network.name, score)
        if not self._losses_of(network):
            return
        best, _ = self._best_repeat(network)
        for other in self._board.scores(network):
            if other.seed != best.seed:
                self._weights(network, other.seed).unlink(missing_ok=True)

    def _best_repeat(self, network: Network) -> tuple[Score, float]:
        """Returns the best of a network's repeats, and its score."""
        return min(
            (
                (one, one.score)
                for one in self._board.scores(network)
                if one.score is not None
            ),
            key=lambda pair: self._sign * pair[1],
        )

    def _losses_of(self, network: Network) -> list[float]:
        return [
            self._sign * one.score
            for one in self._board.scores(network)
            if one.score is not None
        ]

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
        losses = self._losses_of(network)
        return sum(losses) / len(losses) if losses else math.inf

    def _violation(self, network: Network) -> float:
        oracle = self._search.evo_oracle
        limits = () if oracle is None else oracle.constraints
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
        metric = unseen.metric_of(name)
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
            self._builder.hypermodel,
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
        model = self._builder.build(hp)
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
