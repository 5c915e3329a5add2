"""Learns from trials when a parameter is asked for.

Optuna's spaces are defined by running the objective: which parameters a trial
has may depend on the values of others, and no one says how. Each trial shows
which ones it asked for. A parameter that only some of them have gets
conditions on others that explain all trials so far.
"""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.optuna.parameters import Parameter

# A gene of more values than this is no parent: two trials seldom share one.
_MAX_VALUES = 64
# A parameter that waits for more parents than this counts as asked for always.
_MAX_CONDITIONS = 3


def learned_space(
    parameters: Mapping[str, Parameter],
    trials: Sequence[Mapping[str, Value]],
) -> SearchSpace:
    """Makes the search space that the trials show.

    Args:
        parameters: The parameters by name, in the order in which they were
            first asked for.
        trials: The encoded values of each trial that asked for all that it
            needs.

    Returns:
        The space, parents before their children. A parameter has conditions
        if they hold in every trial that has it, and fail in all others.
    """
    names = list(parameters)
    present = np.array([[n in trial for n in names] for trial in trials])
    present = present.reshape(len(trials), len(names))  # also of no trials
    counts = present.sum(axis=0)
    parents = _Parents(parameters, trials)
    genes = []
    # A parent has more trials than its children, so that none is a circle.
    for index in np.argsort(-counts, kind="stable"):
        parameter = parameters[names[index]]
        with_it = present[:, index]
        earlier = [n for n, c in zip(names, counts, strict=True)
                   if c > counts[index]]  # fmt: skip
        genes.append(
            Gene(
                parameter.name,
                parameter.domain,
                parents.conditions(with_it, earlier) if counts[index] else (),
                parameter.default,
            )
        )
    return SearchSpace(genes)


class _Parents:
    """The values that may decide whether a parameter is asked for."""

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        trials: Sequence[Mapping[str, Value]],
    ) -> None:
        self._values: dict[str, list[Value]] = {}
        self._indices: dict[str, np.ndarray] = {}
        for name, parameter in parameters.items():
            if parameter.domain.size > _MAX_VALUES:
                continue
            values = list(parameter.domain)
            place = {value: index for index, value in enumerate(values)}
            self._values[name] = values
            self._indices[name] = np.array(
                [place.get(trial[name], -1) if name in trial else -1
                 for trial in trials]
            )  # fmt: skip
        self._parameters = parameters

    def conditions(
        self, with_it: np.ndarray, names: Sequence[str]
    ) -> tuple[Condition, ...]:
        """Returns conditions that hold in the trials of a parameter only.

        They are chosen greedily, each the one that rules out the most trials
        without the parameter. None if the trials cannot be told apart.
        """
        found: list[Condition] = []
        unexplained = ~with_it
        while unexplained.any() and len(found) < _MAX_CONDITIONS:
            best, ruled_out = None, np.zeros_like(with_it)
            for name in names:
                indices = self._indices.get(name)
                if indices is None or (indices[with_it] < 0).any():
                    continue
                allowed = np.unique(indices[with_it])
                out = unexplained & ~np.isin(indices, allowed)
                # What else lacks the parent says nothing of its values.
                known = out & (indices >= 0)
                if known.any() and out.sum() > ruled_out.sum():
                    best, ruled_out = name, out
            if best is None:
                return ()
            found.append(self._condition(best, with_it, ruled_out))
            unexplained = unexplained & ~ruled_out
        return () if unexplained.any() else tuple(found)

    def _condition(
        self, name: str, with_it: np.ndarray, without: np.ndarray
    ) -> Condition:
        values, indices = self._values[name], self._indices[name]
        allowed = set(indices[with_it].tolist())
        if self._parameters[name].domain.ordered:
            # Values that no trial had yet are taken to do as the nearest do.
            refused = set(indices[without].tolist()) - allowed - {-1}
            seen = sorted(allowed | refused)
            allowed = {
                index
                for index in range(len(values))
                if min(seen, key=lambda s: (abs(s - index), s in refused))
                in allowed
            }
        return Condition(name, tuple(values[i] for i in sorted(allowed)))
