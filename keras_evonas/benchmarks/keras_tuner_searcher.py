"""Searches by oracles of keras-tuner."""

import contextlib
import functools
import tempfile
import warnings
from collections.abc import Mapping

import keras_tuner

from keras_evonas.benchmarks.searchers import Losses
from keras_evonas.benchmarks.searchers import Question
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace


class KerasTunerSearcher:
    """A search by an oracle of keras-tuner, by name; see `Searcher`."""

    def __init__(
        self, oracle: str, space: SearchSpace, trials: int, seed: int
    ) -> None:
        self._space = space
        self._folder = tempfile.TemporaryDirectory()
        self._oracle = getattr(keras_tuner.oracles, oracle)(
            objective=keras_tuner.Objective("loss", "min"),
            max_trials=trials,
            hyperparameters=_hyperparameters(space),
            seed=seed + 1,  # keras-tuner takes 0 for no seed
            max_consecutive_failed_trials=trials,
        )
        self._oracle.verbose = 0
        # A tuner gives its oracle the folder that trials are written to.
        keras_tuner.engine.base_tuner.BaseTuner(
            self._oracle, directory=self._folder.name, project_name="peer"
        )

    def ask(self) -> Question | None:
        """Creates a trial; see `Searcher`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            number = len(self._oracle.start_order)
            trial = self._oracle.create_trial(f"tuner{number}")
        if trial.status == "STOPPED":
            return None
        draft = _decoded(self._space, trial.hyperparameters.values)
        return Question(
            self._space.complete(draft), functools.partial(self._tell, trial)
        )

    def _tell(
        self, trial: keras_tuner.engine.trial.Trial, losses: Losses | None
    ) -> None:
        trial.status = "FAILED" if losses is None else "COMPLETED"
        if losses is not None:
            self._oracle.update_trial(trial.trial_id, {"loss": losses[0]})
        self._oracle.end_trial(trial)


def _hyperparameters(space: SearchSpace) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    encoded = {gene.name: _encoded(gene.domain) for gene in space.genes}
    for gene in space.genes:
        name, domain = gene.name, gene.domain
        with contextlib.ExitStack() as scopes:
            for condition in gene.conditions:
                codes = encoded[condition.parent]
                values = [codes.get(v, v) for v in condition.values]
                scope = hp.conditional_scope(condition.parent, values)
                scopes.enter_context(scope)
            if isinstance(domain, Interval):
                make, kind = (
                    (hp.Int, int) if domain.integer else (hp.Float, float)
                )
                low, high = kind(domain.low), kind(domain.high)
                make(name, low, high, sampling=domain.scale)
            else:
                values = list(encoded[name].values())
                hp.Choice(name, values, ordered=domain.ordered)
    return hp


def _encoded(domain: Domain) -> dict[Value, Value]:
    """Returns keras-tuner's value for each value of a list.

    Its `Choice` takes values of one type, and keeps the order of numbers only:
    so ordered values are replaced by their indices, others by words.
    """
    if isinstance(domain, Interval):
        return {}
    return {
        value: number if domain.ordered else f"{number}: {value}"
        for number, value in enumerate(domain.values)
    }


def _decoded(
    space: SearchSpace, values: Mapping[str, Value]
) -> dict[str, Value]:
    draft: dict[str, Value] = {}
    for gene in space.genes:
        if gene.name not in draft and gene.is_active(draft):
            given = values[gene.name]
            value_of = {code: v for v, code in _encoded(gene.domain).items()}
            draft[gene.name] = value_of.get(given, given)
    return draft
