"""Screened evolution for several objectives: a surrogate for each of them.

Where few networks can be trained, evolution by ranks alone learns too slowly.
Here children are chosen by how much they are expected to add to the
hypervolume of the front (Emmerich et al., 2006).
"""

import copy
import dataclasses
import itertools
import weakref
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import special

from keras_evonas.evolution import pareto
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import GaussianProcess
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.multiobjective import nsga2
from keras_evonas.evolution.screening import ScreenedEvolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import half_ranked
from keras_evonas.evolution.surrogate import surrogate_of

# How far beyond the worst the reference point lies, as a share of the range.
_MARGIN = 0.1
# Operators of individuals that nothing has chosen.
_DRAWN = ("default", "random", "space_filling")
# Below this hypervolumes are all the same.
_TINY = 1e-300

Box = tuple[tuple[float, float], ...]


def boxes(losses: np.ndarray, reference: Sequence[float]) -> list[Box]:
    """Cuts the space that a front leaves undominated into boxes.

    Args:
        losses: `(n, m)` array, the points.
        reference: `m` numbers, the far corner of the space.

    Returns:
        List of boxes that do not overlap, each a lower and an upper bound for
        every objective. Together they are all that lies below `reference` and
        is dominated by no point.
    """
    corner = [float(number) for number in reference]
    points = losses[(losses < np.array(corner)).all(axis=1)]
    if len(corner) == 1:
        best = float(points.min()) if len(points) else corner[0]
        return [((-np.inf, best),)]
    points = points[np.argsort(points[:, -1], kind="stable")]
    cuts = [-np.inf, *points[:, -1].tolist(), corner[-1]]
    found: list[Box] = []
    for index, (low, high) in enumerate(itertools.pairwise(cuts)):
        if low < high:
            rest = boxes(points[:index, :-1], corner[:-1])
            found += [(*box, (low, high)) for box in rest]
    return found


def log_expected_hypervolume_improvement(
    means: np.ndarray, variances: np.ndarray, cut: Sequence[Box]
) -> np.ndarray:
    """Logarithm of the hypervolume that candidates are expected to add.

    A place of the undominated space is won by a candidate that is below it in
    every objective. The chance of that, integrated over a box, is a product
    of differences of expected improvements, one for each objective.

    Args:
        means: `(n, m)` array, predicted losses, independent of each other.
        variances: `(n, m)` array, positive.
        cut: What `boxes` returned.

    Returns:
        `(n,)` array.
    """
    edges = np.array(cut)  # (boxes, m, 2)
    volume = np.ones((len(means), len(cut)))
    for objective in range(means.shape[1]):
        mean = means[:, objective, None]
        deviation = np.sqrt(variances[:, objective, None])
        low, high = edges[:, objective, 0], edges[:, objective, 1]
        gain = _expected_improvement(mean, deviation, high)
        gain -= _expected_improvement(mean, deviation, low)
        volume *= np.maximum(gain, 0.0)
    return np.asarray(np.log(np.maximum(volume.sum(axis=1), _TINY)))


def _expected_improvement(
    mean: np.ndarray, deviation: np.ndarray, best: np.ndarray
) -> np.ndarray:
    z = (np.maximum(best, -1e6) - mean) / deviation
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviation * (density + z * special.ndtr(z)))


@dataclasses.dataclass(frozen=True, eq=False)
class FrontSurrogate:
    """Predicts all losses, and what is worth a trial; see `Surrogate`.

    Args:
        encoding: Encodes the genomes.
        models: For each sample of the parameters a Gaussian process for each
            objective.
        cuts: For each sample the boxes that its front leaves undominated.
        codes: `(n, size)` array, the individuals it learnt from.
        active: `(n, size)` boolean array, their active genes.
        expected: `(n, m)` array, their expected losses.
        individuals: The individuals it learnt from.
        trust: Float, the least rank correlation of losses with predictions.
    """

    encoding: Encoding
    models: Sequence[Sequence[GaussianProcess]]
    cuts: Sequence[Sequence[Box]]
    codes: np.ndarray
    active: np.ndarray
    expected: np.ndarray
    individuals: Sequence[Individual]
    trust: float

    def elites(self, count: int) -> np.ndarray:
        """Indices of feasible individuals that are expected to be best."""
        feasible = np.array([one.feasible for one in self.individuals])
        order = pareto.order(self.expected)
        return np.asarray(order[feasible[order]][:count])

    def is_stuck(self, ended: int) -> bool:
        """Never: a front grows somewhere, and asks for no better best."""
        del ended
        return False

    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Log of the expected gain of hypervolume, averaged over samples.

        Args:
            codes: `(n, size)` array.

        Returns:
            `(n,)` array.
        """
        active = self.encoding.activity(codes)
        features = self.encoding.features(codes, active)
        logs = []
        for models, cut in zip(self.models, self.cuts, strict=True):
            predicted = [model.predict(features) for model in models]
            means, variances = np.stack(predicted, axis=2)
            logs.append(
                log_expected_hypervolume_improvement(means, variances, cut)
            )
        return np.asarray(special.logsumexp(logs, axis=0))


def front_surrogate_of(space: SearchSpace, history: History) -> FrontSurrogate:
    """Learns each objective from a history.

    Failures and individuals that violate a constraint count as the worst in
    all objectives; see `surrogate_of`.

    Args:
        space: The space.
        history: The history, at least one individual feasible.

    Returns:
        The surrogate. It depends on its arguments only.
    """
    parts = [
        surrogate_of(space, part, (half_ranked,)) for part in _views(history)
    ]
    # Each learnt from those that matter for its objective; all are compared.
    everyone = history.ended
    encoding = parts[0].encoding
    codes, active = encoding.encode([one.genome for one in everyone])
    features = encoding.features(codes, active)
    feasible = np.array([one.feasible for one in everyone])
    drawn = feasible & np.array([one.operator in _DRAWN for one in everyone])
    # A network that does worse in the first objective than half of the random
    # ones is of little use, however cheap: it counts for every second child.
    is_limited = bool(history.births % 2) and bool(drawn.any())
    models = list(zip(*(part.models for part in parts), strict=False))
    means = [
        np.column_stack([model.predict(features)[0] for model in some])
        for some in models
    ]
    return FrontSurrogate(
        encoding=encoding,
        models=models,
        cuts=[
            _undominated(
                mean[feasible],
                float(np.median(mean[drawn, 0])) if is_limited else np.inf,
            )
            for mean in means
        ],
        codes=codes,
        active=active,
        expected=np.mean(means, axis=0),
        individuals=everyone,
        trust=min(part.trust for part in parts),
    )


def _undominated(losses: np.ndarray, limit: float) -> list[Box]:
    """What the front leaves of all that was seen, up to a first loss."""
    high = losses.max(axis=0)
    span = high - losses.min(axis=0)
    reference = high + np.where(span > 0, _MARGIN * span, 1.0)
    reference[0] = min(reference[0], limit)
    return boxes(losses[pareto.ranks(losses) == 0], reference)


# For each history one of each objective. They follow from the history alone,
# and are kept because the surrogates keep their fits by history.
_VIEWS: weakref.WeakKeyDictionary[History, list[History]] = (
    weakref.WeakKeyDictionary()
)


def _views(history: History) -> list[History]:
    """The history as it looks to a search for one of its objectives."""
    number = next(len(one.losses) for one in history.ended if one.losses)
    views = _VIEWS.setdefault(history, [])
    if len(views) != number:
        views[:] = [copy.copy(history) for _ in range(number)]
        for view in views:
            view.ended = []
    for objective, view in enumerate(views):
        view.pending = history.pending
        view.ended += [
            _seen_by(objective, one) for one in history.ended[len(view.ended) :]
        ]
    return views


def _seen_by(objective: int, one: Individual) -> Individual:
    if one.losses is None or not one.viable:
        return dataclasses.replace(one, losses=None)
    return dataclasses.replace(one, losses=(one.losses[objective],))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenedParetoEvolution(ScreenedEvolution):
    """Screened evolution for a front instead of one best network.

    As `ScreenedEvolution`, but that a child's worth is what it is expected to
    add to the hypervolume of the front. As long as nobody is feasible, it is
    what it is expected to violate less.

    Args:
        evolution: The evolution that makes children. Defaults to `nsga2()`.
    """

    evolution: Evolution = dataclasses.field(default_factory=nsga2)

    def learn(  # type: ignore[override]
        self, space: SearchSpace, history: History
    ) -> FrontSurrogate | Surrogate:
        """Makes the surrogate that screens; see `ScreenedEvolution`."""
        if not any(one.feasible for one in history.ended):
            return surrogate_of(space, history)
        return front_surrogate_of(space, history)


def screened_nsga2(
    *,
    evolution: Evolution | None = None,
    initial_size: int | Literal["auto"] = "auto",
    unscreened: int = 10,
    default_first: bool = True,
) -> ScreenedParetoEvolution:
    """NSGA-II whose children are chosen by Gaussian processes.

    Best for fronts in which every trial counts, up to some hundreds.

    Args:
        evolution: The evolution that makes children, or `None` for `nsga2()`.
        initial_size: Integer or `"auto"`; see `ScreenedEvolution`.
        unscreened: Integer, every how many children one is born unscreened.
            Defaults to 10.
        default_first: Boolean, whether the defaults of the space come first.
            Defaults to `True`.

    Returns:
        The strategy.

    Raises:
        ValueError: If a number is out of range.
    """
    return ScreenedParetoEvolution(
        evolution=nsga2() if evolution is None else evolution,
        initial_size=initial_size,
        unscreened=unscreened,
        default_first=default_first,
    )
