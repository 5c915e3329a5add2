"""Screened evolution for several objectives: a surrogate for each of them.

With few trials, evolution by ranks alone learns too slowly. Here the candidate
is chosen that is expected to add most to the hypervolume of the front (Emmerich
et al., 2006).
"""

import copy
import dataclasses
import itertools
import weakref
from collections.abc import Sequence

import numpy as np
from scipy import special

from keras_evonas.evolution import labels
from keras_evonas.evolution import pareto
from keras_evonas.evolution.checks import Size
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import GaussianProcess
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.screening import Draw
from keras_evonas.evolution.screening import ScreenedEvolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import nsga2
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import half_ranked
from keras_evonas.evolution.surrogate import surrogate_of

# Distance of the reference point from the worst losses, as a share of their
# range; BoTorch's `infer_reference_point` has the same. Without it the extremes
# of a front would add no hypervolume.
_MARGIN = 0.1
# Operators of individuals that neither parents nor a surrogate were behind.
_DRAWN = (labels.DEFAULT, labels.RANDOM, labels.SPACE_FILLING)
# Smaller hypervolumes count as this, so that logarithms are finite.
_TINY = 1e-300
# Stands for a lower bound of minus infinity, in units of standardised losses:
# nothing is expected to improve on it.
_FAR_BELOW = -1e6

# The number of boxes grows fast with that of points and objectives. With more
# objectives than `_MANY`, points are left out where there would be more than
# `_MOST_BOXES`.
_MANY = 3
_MOST_BOXES = 1000
_FEW_POINTS = 8

Box = tuple[tuple[float, float], ...]


def boxes(losses: np.ndarray, reference: Sequence[float]) -> list[Box]:
    """Cuts the space that no point dominates into boxes.

    The boxes do not overlap. Each is a lower and an upper bound for every
    objective, and together they hold all that no row of the `(n, m)` array
    `losses` dominates, up to the `m` numbers of `reference`.
    """
    corner = [float(number) for number in reference]
    points = losses[(losses < np.array(corner)).all(axis=1)]
    if len(corner) == 1:
        best = float(points.min()) if len(points) else corner[0]
        return [((-np.inf, best),)]
    if len(corner) == 2:
        return _steps(points, corner)
    # Points that another one dominates would only cut boxes smaller.
    points = points[pareto.ranks(points) == 0]
    # Slabs between successive values of the last objective, as in
    # `pareto.hypervolume`: in each only the points below it dominate.
    points = points[np.argsort(points[:, -1], kind="stable")]
    cuts = [-np.inf, *points[:, -1].tolist(), corner[-1]]
    found: list[Box] = []
    for index, (low, high) in enumerate(itertools.pairwise(cuts)):
        if low < high:
            rest = boxes(points[:index, :-1], corner[:-1])
            found += [(*box, (low, high)) for box in rest]
    return found


def _steps(points: np.ndarray, corner: Sequence[float]) -> list[Box]:
    """Returns the boxes of two objectives, whose front is a flight of steps."""
    points = points[np.lexsort(points.T)]
    least = np.minimum.accumulate(points[:, 0])
    points = points[np.diff(least, prepend=np.inf) < 0]
    rights = [corner[0], *points[:, 0].tolist()]
    cuts = [-np.inf, *points[:, 1].tolist(), corner[1]]
    between = itertools.pairwise(cuts)
    return [
        ((-np.inf, right), cut)
        for right, cut in zip(rights, between, strict=True)
    ]


def log_expected_hypervolume_improvement(
    means: np.ndarray, variances: np.ndarray, cut: Sequence[Box]
) -> np.ndarray:
    """Returns the logarithm of the expected gain of hypervolume.

    A point of the undominated space is gained if the candidate is below it in
    every objective. For independent objectives the chance of that is a product
    of distribution functions. Integrated over a box it is a product of
    differences of expected improvements, since the expected improvement on a
    bound is the integral of the distribution function up to that bound. Yang et
    al. (2019) sum such boxes, too. The means and variances are `(n, m)` arrays,
    the result is an `(n,)` array.
    """
    edges = np.array(cut)  # (boxes, m, 2)
    volume = np.ones((len(means), len(cut)))
    for objective in range(means.shape[1]):
        mean = means[:, objective, None]
        deviation = np.sqrt(variances[:, objective, None])
        # Many boxes share an edge.
        distinct, places = np.unique(edges[:, objective], return_inverse=True)
        low, high = places.reshape(-1, 2).T
        below = _expected_improvement(mean, deviation, distinct)
        # Rounding may make a gain negative.
        volume *= np.maximum(below[:, high] - below[:, low], 0.0)
    return np.asarray(np.log(np.maximum(volume.sum(axis=1), _TINY)))


def _expected_improvement(
    mean: np.ndarray, deviation: np.ndarray, best: np.ndarray
) -> np.ndarray:
    z = (np.maximum(best, _FAR_BELOW) - mean) / deviation
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviation * (density + z * special.ndtr(z)))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FrontSurrogate(Surrogate):
    """Predicts all losses; its gain is hypervolume of the Pareto front.

    Its trust is the least one of all objectives.
    """

    # For each sample of the parameters a model of each objective, and the boxes
    # of the undominated space.
    models: Sequence[Sequence[GaussianProcess]]
    cuts: Sequence[Sequence[Box]]

    def elites(self, count: int) -> np.ndarray:
        """Returns the indices of feasible individuals expected best."""
        feasible = np.array([one.feasible for one in self.individuals])
        order = pareto.order(self.expected)
        return np.asarray(order[feasible[order]][:count])

    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Returns the log of the expected hypervolume; see `Surrogate`."""
        features = self.features(codes)
        logs = []
        for models, cut in zip(self.models, self.cuts, strict=True):
            predicted = [model.predict(features) for model in models]
            mean, variance = np.stack(predicted, axis=2)
            gain = log_expected_hypervolume_improvement(mean, variance, cut)
            logs.append(gain)
        return np.asarray(special.logsumexp(logs, axis=0))


def front_surrogate_of(space: SearchSpace, history: History) -> FrontSurrogate:
    """Makes a surrogate of all objectives from a feasible individual on.

    Failures and individuals that violate a constraint count as the worst in
    all objectives; see `surrogate_of`.
    """
    parts = [
        surrogate_of(space, part, (half_ranked,)) for part in _views(history)
    ]
    # Each part may have learnt from a part of the individuals only, those that
    # matter for its objective. The front is that of all.
    ended = history.ended
    encoding = parts[0].encoding
    codes, active = encoding.encode([one.genome for one in ended])
    features = encoding.features(codes, active)
    feasible = np.array([one.feasible for one in ended])
    drawn = feasible & np.array([one.operator in _DRAWN for one in ended])
    # Mostly the first objective is the quality of a network and the others are
    # costs. A cheap network that is worse than half of the random ones is of
    # little use, so it gains hypervolume only at every second birth.
    is_limited = bool(history.births % 2) and bool(drawn.any())
    models = list(zip(*(part.models for part in parts), strict=False))
    means, cuts = [], []
    for some in models:
        mean = np.column_stack([model.predict(features)[0] for model in some])
        limit = float(np.median(mean[drawn, 0])) if is_limited else np.inf
        means.append(mean)
        cuts.append(_undominated(mean[feasible], limit))
    return FrontSurrogate(
        encoding=encoding,
        models=models,
        cuts=cuts,
        codes=codes,
        active=active,
        expected=np.mean(means, axis=0),
        individuals=ended,
        trust=min(part.trust for part in parts),
    )


def _undominated(losses: np.ndarray, limit: float) -> list[Box]:
    """Returns the undominated boxes, up to a limit of the first loss."""
    high = losses.max(axis=0)
    span = high - losses.min(axis=0)
    reference = high + np.where(span > 0, _MARGIN * span, 1.0)
    reference[0] = min(reference[0], limit)
    front = losses[pareto.ranks(losses) == 0]
    if losses.shape[1] <= _MANY:
        return boxes(front, reference)
    # As many points as give few enough boxes, far from each other.
    front = front[_spread_first(front / np.where(span > 0, span, 1.0))]
    count = _FEW_POINTS
    found = boxes(front[:count], reference)
    while count < len(front):
        count += count // 2
        more = boxes(front[:count], reference)
        if len(more) > _MOST_BOXES:
            break
        found = more
    return found


def _spread_first(points: np.ndarray) -> np.ndarray:
    """Returns an order of points in which each is far from all before it.

    The point of least sum is first.
    """
    order = [int(points.sum(axis=1).argmin())]
    gaps = np.full(len(points), np.inf)
    while len(order) < len(points):
        apart = ((points - points[order[-1]]) ** 2).sum(axis=1)
        gaps = np.minimum(gaps, apart)
        gaps[order[-1]] = -1.0
        order.append(int(gaps.argmax()))
    return np.array(order)


# For each history a history of each objective. They follow from the history
# alone, and are kept because the fits of surrogates are kept by history.
_VIEWS: weakref.WeakKeyDictionary[History, list[History]] = (
    weakref.WeakKeyDictionary()
)


def _views(history: History) -> list[History]:
    """Returns for each objective the history of that objective alone."""
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
    losses = (one.losses[objective],) if one.losses and one.viable else None
    return dataclasses.replace(one, losses=losses)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenedParetoEvolution(ScreenedEvolution):
    """Screened evolution for a Pareto front instead of one best network.

    It differs from `ScreenedEvolution` in the gain that is predicted, which is
    hypervolume of the front. As long as no individual is feasible, it is a
    smaller violation of the constraints. With more than three objectives the
    hypervolume is that above a part of the front, whose points are far from
    each other, where the whole of it would take seconds.

    Args:
        evolution: The evolution that makes children. Defaults to `nsga2()`.
    """

    evolution: Evolution = dataclasses.field(default_factory=nsga2)

    def initial(
        self,
        space: SearchSpace,
        history: History,
        rng: Rng,
        draw: Draw = Encoding.sample,
    ) -> Draft:
        """Draws up to the ends of genes, which a front may reach."""
        return super().initial(space, history, rng, draw)

    def learn(self, space: SearchSpace, history: History) -> Surrogate:
        """Makes the surrogate of a history; see `ScreenedEvolution`."""
        if not any(one.feasible for one in history.ended):
            return surrogate_of(space, history)
        return front_surrogate_of(space, history)


def screened_nsga2(
    *,
    evolution: Evolution | None = None,
    initial_size: Size = "auto",
    unscreened: int = 10,
    default_first: bool = True,
) -> ScreenedParetoEvolution:
    """Returns NSGA-II whose children are chosen by Gaussian processes.

    Suits searches of up to some hundred trials, in which each trial is costly.
    The arguments are those of `ScreenedParetoEvolution`, except that every
    tenth child is unscreened.
    """
    return ScreenedParetoEvolution(
        evolution=nsga2() if evolution is None else evolution,
        initial_size=initial_size,
        unscreened=unscreened,
        default_first=default_first,
    )
