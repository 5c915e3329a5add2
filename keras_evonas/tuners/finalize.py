"""The best networks of a search, trained again: which one is really best?"""

import dataclasses
import functools
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution import pareto
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.oracles import objectives
from keras_evonas.project import retrained
from keras_evonas.project import wording
from keras_evonas.project.files import write_json
from keras_evonas.project.html import table
from keras_evonas.project.html import tag
from keras_evonas.project.objectives import STATIC_COSTS
from keras_evonas.project.retrained import Network
from keras_evonas.project.retrained import Repeat
from keras_evonas.project.retrained import Score
from keras_evonas.project.search import Finalist
from keras_evonas.training import checkpoints
from keras_evonas.tuners import saving
from keras_evonas.tuners import sizing
from keras_evonas.tuners import unseen
from keras_evonas.tuners.builder import NetworkBuilder
from keras_evonas.tuners.retraining import EndedSearch
from keras_evonas.tuners.retraining import Retraining
from keras_evonas.tuners.retraining import epochs_of

_FOLDER = "finalists"
_WINNER_NAME = "winner.keras"
# On how many examples the saved model must predict the same.
_COMPARED = 256


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Finals:
    """The finalists of a search and the one that was chosen.

    Args:
        objective: String, what was measured on unseen data.
        finalists: The networks that were judged, the chosen one first, then
            by the means of their unseen scores.
        path: Where the chosen one was saved.
        seed: Integer, the seed of the saved training.
        score: Float, the unseen score of the saved training: the best of its
            repeats, so that the mean tells better what to expect.
        front: Strings, the objectives if they are several: the chosen network
            is then the knee of their front. Defaults to none.
    """

    objective: str
    finalists: tuple[Finalist, ...]
    path: pathlib.Path
    seed: int
    score: float
    front: tuple[str, ...] = ()

    @property
    def winner(self) -> Finalist:
        """The network that was chosen."""
        return self.finalists[0]

    def load_model(self) -> keras.Model:
        """Loads the model that was saved.

        Warns:
            UserWarning: If it comes without its loss, metrics and optimizer,
                since Keras does not know a function of your own.
        """
        return saving.load(self.path)

    def __repr__(self) -> str:
        rows = [_HEADER, *map(_cells, self.finalists)]
        title = f"Finalists by their unseen {self.objective}:"
        return "\n".join([title, *wording.columns(rows), self._saved()])

    def _repr_html_(self) -> str:
        return tag(
            "div",
            tag("b", f"Finalists by their unseen {self.objective}"),
            table(_HEADER, map(_cells, self.finalists)),
            tag("p", self._saved()),
        )

    def _saved(self) -> str:
        knee = ""
        if self.front:
            names = ", ".join(self.front)
            knee = f"{self.winner.name} is the knee of the front of {names}. "
        return (
            f"{knee}Saved {self.winner.name} as {self.path} (seed {self.seed}, "
            f"unseen score {wording.number(self.score)}); reloaded, it "
            "predicts the same."
        )


_HEADER = ("network", "search", "unseen", "spread", "runs", "params")


def _cells(one: Finalist) -> tuple[str, ...]:
    runs = str(len(one.honest_scores))
    if one.message:
        runs += ", then failed"
    return (
        f"{one.name} (chosen)" if one.chosen else one.name,
        wording.number(one.search_score),
        wording.number(one.mean if one.honest_scores else None),
        wording.number(one.spread),
        runs,
        wording.number(one.params),
    )


def finalists_of(
    search: EndedSearch, top_k: int, include_default: bool
) -> tuple[list[Network], dict[str, trial_lib.Trial]]:
    """Returns the networks to train again, and the trials of those with one.

    What is known to violate a constraint is not among them, unless the search
    found nothing else.
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
    found = None
    for trial in search.completed if default is not None else ():
        if space.complete(trial.hyperparameters.values) == default:
            found = trial_of["the default"] = trial
            break
    if found and within and not search.is_within(found):
        del trial_of["the default"]
    elif default is not None:
        longest = max((one.epochs or 0 for one in networks.values()), default=0)
        networks["the default"] = dataclasses.replace(
            _network("the default", default, found), epochs=longest or None
        )
    return list(networks.values()), trial_of


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
    oracle, objective = search.evo_oracle, search.oracle.objective
    is_several = isinstance(objective, objectives.SeveralObjectives)
    if oracle is None or not is_several:
        return search.best(top_k)
    front, knee = oracle.get_pareto_trials(), oracle.get_knee_trial()
    if not front:  # No trial keeps the constraints.
        return search.best(top_k)
    if len(front) <= top_k or knee is None:
        return front
    rest = [trial for trial in front if trial.trial_id != knee.trial_id]
    places = np.linspace(0, len(rest) - 1, max(top_k - 1, 1)).round()
    spread = [rest[int(place)] for place in places][: top_k - 1]
    kept = {trial.trial_id for trial in [knee, *spread]}
    return [trial for trial in front if trial.trial_id in kept]


@dataclasses.dataclass(kw_only=True, eq=False)
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

    search: EndedSearch
    builder: NetworkBuilder
    training: Retraining
    networks: Sequence[Network]
    trial_of: Mapping[str, trial_lib.Trial]
    overwrite: bool

    def __post_init__(self) -> None:
        self._folder = self.search.folder / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._board = retrained.Scoreboard(
            self.search.folder / retrained.FINALISTS_NAME,
            self.training.settings,
            self.networks,
            overwrite=self.overwrite,
        )
        objective = self.search.oracle.objective
        self._parts = objectives.parts_of(objective)
        self._sign = objectives.SIGN[objective.direction]

    def run(self, repeats: int, path: str | os.PathLike[str] | None) -> Finals:
        """Trains what is missing, chooses the best, and saves it."""
        missing = self._board.missing(self.search.seeds(repeats), _FOLDER)
        if missing:
            self._check_saving()
        total = len(self.networks) * repeats
        progress = self.training.progress(total, total - len(missing))
        train = functools.partial(
            self.training.run,
            on_score=self._add,
            progress=progress,
            on_trained=self._keep,
        )
        train(missing)
        winner = self._winner()
        loss, score = self._repeats(winner)[0]
        if not self._weights(winner, score.seed).exists():
            progress.say(
                f"{winner.name} is trained again: its weights are gone"
            )
            train([Repeat(network=winner, folder=_FOLDER, seed=score.seed)])
            loss, score = self._repeats(winner)[0]
        ranked = sorted(
            self.networks, key=lambda one: (one != winner, self._loss(one))
        )
        self._board.write(ranked, chosen=winner)
        path = pathlib.Path(path or self.search.folder / _WINNER_NAME)
        self._export(winner, score, path)
        finals = Finals(
            objective=self.search.oracle.objective.name,
            finalists=self._board.finalists(ranked, winner),
            path=path,
            seed=score.seed,
            score=self._sign * loss,
            front=tuple(one.name for one in self._parts)
            if len(self._parts) > 1
            else (),
        )
        progress.conclude(finals)
        return finals

    # Weights: one file a finalist, of the best of its repeats.

    def _weights(self, network: Network, seed: int) -> pathlib.Path:
        return self._folder / f"{network.file_name}-seed{seed}.weights.h5"

    def _build_config(self, network: Network) -> pathlib.Path:
        return self._folder / f"{network.file_name}.build_config.json"

    def _keep(self, repeat: Repeat, model: keras.Model, score: float) -> None:
        network = repeat.network
        ranked = self._repeats(network)
        if not ranked or self._sign * score <= ranked[0][0]:
            weights = self._weights(network, repeat.seed)
            checkpoints.write_weights(model, str(weights))
            config = model.get_build_config()
            write_json(self._build_config(network), config)

    def _add(self, repeat: Repeat, score: Score) -> None:
        network = repeat.network
        self._board.add(network.name, score)
        for _, best in self._repeats(network)[:1]:
            for other in self._board.scores(network):
                if other.seed != best.seed:
                    self._weights(network, other.seed).unlink(missing_ok=True)

    def _repeats(self, network: Network) -> list[tuple[float, Score]]:
        """Returns the losses and scores of a network's repeats, best first."""
        found = [
            (self._sign * one.score, one)
            for one in self._board.scores(network)
            if one.score is not None
        ]
        return sorted(found, key=lambda pair: pair[0])

    # Choosing.

    def _winner(self) -> Network:
        """The best mean; of several objectives, the knee of the front.

        What keeps to the constraints comes first, then what violates them
        least.
        """
        messages = {
            network.name: [one.message for one in self._board.scores(network)]
            for network in self.networks
        }
        sound = [one for one in self.networks if not any(messages[one.name])]
        if not sound:
            first = next(iter(messages.values()))[0]
            raise RuntimeError(
                "None of the finalists could be trained again. The first "
                f"failed with:\n{first}"
            )
        violations = {one.name: self._violation(one) for one in sound}
        least = min(violations.values())
        sound = [one for one in sound if violations[one.name] == least]
        if len(self._parts) == 1:
            return min(sound, key=self._loss)
        return sound[pareto.knee_point(list(map(self._losses, sound)))]

    def _losses(self, network: Network) -> list[float]:
        losses = []
        for part in self._parts:
            value = self._value(part.name, network)
            sign = objectives.SIGN[part.direction]
            losses.append(math.nan if value is None else sign * value)
        return losses

    def _loss(self, network: Network) -> float:
        losses = [loss for loss, _ in self._repeats(network)]
        return sum(losses) / len(losses) if losses else math.inf

    def _violation(self, network: Network) -> float:
        oracle = self.search.evo_oracle
        limits = () if oracle is None else oracle.constraints
        values = [(one, self._value(one.name, network)) for one in limits]
        # A network that was no trial has no spread over folds, for example.
        return sum(
            one.violation(value) for one, value in values if value is not None
        )

    def _value(self, name: str, network: Network) -> float | None:
        """A metric or cost: measured now, or by the search, or computed.

        It is `None` if it is not known, and NaN if that is what was measured.
        """
        scores = self._board.scores(network)
        metric = unseen.metric_of(name)
        measured = [s.metrics[metric] for s in scores if metric in s.metrics]
        if name == "train_seconds":
            measured = [one.seconds for one in scores]
        if measured:
            return sum(measured) / len(measured)
        trial = self.trial_of.get(network.name)
        if trial is not None and trial.metrics.exists(name):
            return objectives.value_at(trial.metrics, name, trial.best_step)
        oracle = self.search.evo_oracle
        if oracle is not None and oracle.feasibility is not None:
            known = oracle.feasibility.costs_of(network.values)
            if name in known:
                return known[name]
        others = (s for one in self.networks for s in self._board.scores(one))
        if any(metric in score.metrics for score in others):
            return math.nan  # A board keeps finite numbers only.
        if name not in STATIC_COSTS:
            return None
        costs = HypermodelCosts(
            self.builder.hypermodel,
            input_shapes=sizing.shapes_of(self.training.arguments.x),
        )(self.training.hyperparameters(network.values))
        return float(getattr(costs, name))

    # Saving.

    def _check_saving(self) -> None:
        """Checks that networks can be saved, before any is trained."""
        network = self.networks[0]
        examples = unseen.examples(self.training.unseen, _COMPARED)
        try:
            model = self._built(network)
            if not model.built:
                model.predict(examples, verbose=0)
        except Exception:
            return  # Its training will fail as well, and is told of.
        with tempfile.TemporaryDirectory() as folder:
            saving.save(
                model,
                pathlib.Path(folder, _WINNER_NAME),
                name=network.name,
                examples=examples,
                way_out="Nothing was trained.",
            )

    def _export(
        self, network: Network, score: Score, path: pathlib.Path
    ) -> None:
        """Saves the model, and makes sure that what is saved is the model."""
        model = self._built(network)
        if not model.built:
            config = self._build_config(network).read_text(encoding="utf-8")
            checkpoints.build_again(model, json.loads(config))
        checkpoints.read_weights(model, str(self._weights(network, score.seed)))
        saving.save(
            model,
            path,
            name=network.name,
            examples=unseen.examples(self.training.unseen, _COMPARED),
            way_out=(
                "The scores are kept, so that the same call trains nothing "
                "again."
            ),
        )

    def _built(self, network: Network) -> keras.Model:
        return self.builder.build(self.training.hyperparameters(network.values))
