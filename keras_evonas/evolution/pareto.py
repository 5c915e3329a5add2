"""Several objectives: dominance, crowding and the quality of a front.

Pure functions of arrays of losses, with a row for each point and a column for
each objective, lower is better. A row that holds a NaN counts as the worst in
all objectives. Arrays of other dimensions raise a `ValueError`.

A point *dominates* another if it is nowhere worse and somewhere better. With
violations of constraints, the rules of Deb (2000) come before that: a
feasible point dominates an infeasible one, and of two infeasible ones the one
that violates less dominates.
"""

import bisect
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Losses = npt.NDArray[np.float64]


def ranks(
    losses: npt.ArrayLike, violations: Sequence[float] | None = None
) -> npt.NDArray[np.int64]:
    """Sorts points into fronts, each dominated only by the fronts before it.

    Takes the points in lexicographic order, in which no point is dominated by
    a later one, and finds the front of each by bisection, as ENS-BS does
    (Zhang et al., 2015). Two infeasible points that violate equally are
    compared by their losses.

    Args:
        losses: `(n, m)` array.
        violations: `n` numbers, 0 for a feasible point and larger the more it
            violates. Defaults to `None`, all feasible.

    Returns:
        `(n,)` array: 0 for the first front, 1 for the next, and so on.
    """
    points = _checked(losses)
    if violations is not None:
        points = np.column_stack([np.asarray(violations, float), points])
    constrained = int(violations is not None)
    found = np.zeros(len(points), dtype=np.int64)
    fronts: list[_Front] = []
    for index in np.lexsort(points.T[::-1]):
        point = points[index]
        # If a front does not dominate the point, no later front does, so that
        # the fronts are ordered and bisection finds the first of these.
        place = bisect.bisect_left(
            fronts,
            True,
            key=lambda front, point=point: (  # type: ignore[misc]
                not front.dominates(point)
            ),
        )
        if place == len(fronts):
            fronts.append(_Front(points.shape[1], constrained))
        fronts[place].add(point)
        found[index] = place
    return found


class _Front:
    """The points of a front, in an array that grows by doubling."""

    def __init__(self, width: int, constrained: int) -> None:
        self._rows = np.empty((8, width))
        self._count = 0
        self._constrained = constrained
        # Of two objectives, the least last one, and the first one beside it.
        self._two = width - constrained == 2
        self._lowest = (np.inf, np.inf)

    def add(self, point: Losses) -> None:
        if self._two:
            self._lowest = min(self._lowest, (point[-1], point[-2]))
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, self._rows])
        self._rows[self._count] = point
        self._count += 1

    def dominates(self, point: Losses) -> bool:
        """Returns whether a point dominates one that comes after all."""
        rows = self._rows[: self._count]
        if self._constrained and rows[-1, 0] < point[0]:
            return True
        if self._two:  # No first objective here is larger than the point's.
            return bool(self._lowest < (point[-1], point[-2]))
        better = (rows <= point).all(axis=1) & (rows < point).any(axis=1)
        return bool(better.any())


def crowding_distances(losses: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Measures how far each point is from its neighbours on its front.

    Follows Deb et al. (2002), section III-B, except that an objective that is
    constant or infinite over the front contributes nothing instead of
    dividing by zero.

    The `(n, m)` points of one front have `(n,)` distances, larger where it is
    less crowded; `inf` for one point at each end of each objective.
    """
    points = _checked(losses)
    distances = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        if not len(values) or not 0 < values[-1] - values[0] < np.inf:
            continue
        distances[order[[0, -1]]] = np.inf
        gaps = values[2:] - values[:-2]
        distances[order[1:-1]] += gaps / (values[-1] - values[0])
    return distances


def order(
    losses: npt.ArrayLike, violations: Sequence[float] | None = None
) -> npt.NDArray[np.int64]:
    """Sorts points by the crowded comparison of Deb et al. (2002).

    The lower rank comes first, on the same front the less crowded point, and
    of equal points the one that is earlier in `losses`.

    Args:
        losses: `(n, m)` array.
        violations: As for `ranks`.

    Returns:
        `(n,)` array of indices, the best first.
    """
    points = _checked(losses)
    rank = ranks(points, violations)
    distances = np.zeros(len(points))
    for front in range(int(rank.max(initial=-1)) + 1):
        members = np.flatnonzero(rank == front)
        distances[members] = crowding_distances(points[members])
    return np.lexsort((-distances, rank))


def hypervolume(losses: npt.ArrayLike, reference: Sequence[float]) -> float:
    """Returns the volume that points dominate, up to a reference point.

    Exact for any number of objectives, by slicing along the last one. Meant
    for two or three: the time grows like `n ** (m - 1)`.

    Args:
        losses: `(n, m)` array. Points that do not beat the reference in every
            objective contribute nothing.
        reference: `m` finite numbers, losses that are just not acceptable.

    Raises:
        ValueError: If `reference` has not one finite number for each objective.
    """
    points = _checked(losses)
    corner = np.asarray(reference, dtype=float)
    if corner.shape != points.shape[1:] or not np.isfinite(corner).all():
        raise ValueError(
            "`reference` must hold one finite number for each objective. "
            f"Received: reference={list(reference)}, for losses of shape "
            f"{points.shape}."
        )
    points = points[(points < corner).all(axis=1)]
    return _volume(points, corner)


def _volume(points: Losses, corner: Losses) -> float:
    # Between two values of the last objective, what is dominated is a slab, its
    # base dominated by the points up to there in one objective less.
    if not len(points):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(np.append(points[:, -1], corner[-1]))
    if len(corner) == 2:
        widths = corner[0] - np.minimum.accumulate(points[:, 0])
        # A width may be infinite.
        return float(np.dot(widths[depths > 0], depths[depths > 0]))
    slabs = [
        depth * _volume(points[: index + 1, :-1], corner[:-1])
        for index, depth in enumerate(depths)
        if depth > 0
    ]
    return float(sum(slabs))


def knee_point(losses: npt.ArrayLike) -> int:
    """Finds the best compromise of a front, where it bends most.

    It is the point of the first front that lies deepest below the plane
    through the extremes of the front (Das, 1999), with each objective scaled to
    its range over the front.

    Args:
        losses: `(n, m)` array, at least one point.

    Returns:
        The index of the point; of equals the first.

    Raises:
        ValueError: If `losses` holds no point that is finite.
    """
    points = _checked(losses)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not len(finite):
        raise ValueError(
            "`losses` must hold at least one finite point. Received: "
            f"losses={points.tolist()}."
        )
    # Scaled, the extremes are the unit vectors, so that the plane through them
    # holds the points whose losses sum to 1: the smallest sum is the deepest.
    front = finite[ranks(points[finite]) == 0]
    low = points[front].min(axis=0)
    span = points[front].max(axis=0) - low
    scaled = (points[front] - low) / np.where(span > 0, span, 1.0)
    return int(front[scaled.sum(axis=1).argmin()])


def _checked(losses: npt.ArrayLike) -> Losses:
    points = np.array(losses, dtype=float)
    if points.ndim != 2:
        raise ValueError(
            "`losses` must be a two-dimensional array, a row for each point. "
            f"Received: losses of shape {points.shape}."
        )
    points[np.isnan(points).any(axis=1)] = np.inf
    return points
