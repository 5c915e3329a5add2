"""Optuna's distributions as genes, and genes as distributions."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project.spaces import nearest
from keras_evonas.project.spaces import numerical

# Of more steps than this only every other one (or third one, and so on) takes
# part in the search.
_MAX_STEPS = 10_000
# What Optuna's parameters may be.
Choice: TypeAlias = bool | int | float | str | None


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a study, and the gene that stands for it.

    Args:
        name: Its name.
        distribution: Its distribution, as the last trial asked for it.
        domain: The values of the gene. Those of a categorical distribution
            are its choices where these are ascending numbers, which have an
            order, and otherwise their indices as strings, since a gene cannot
            be `None`, nor both `True` and `1`.
    """

    name: str
    distribution: BaseDistribution
    domain: Domain

    @property
    def default(self) -> Value:
        """The value in the middle, or the first where there is no order."""
        if isinstance(self.domain, Grid | Interval):
            return self.domain.at(0.5)
        return self.domain.values[0]

    def encode(self, value: Choice) -> Value:
        """Returns the gene's value; of one outside of the domain the nearest.

        What is no such value gives the default. Earlier trials may have had
        another range.
        """
        try:
            if isinstance(self.distribution, CategoricalDistribution):
                index = int(self.distribution.to_internal_repr(value))
                return tuple(self.domain)[index]
            return (
                self.default if value is None else nearest(self.domain, value)
            )
        except (TypeError, ValueError):
            # None of its kind: a trial that was enqueued with it fails alone.
            return self.default

    def decode(self, value: Value) -> Choice:
        """Returns the parameter's value of a gene's."""
        if isinstance(self.distribution, CategoricalDistribution):
            choices: tuple[Choice, ...] = self.distribution.choices
            return choices[tuple(self.domain).index(value)]
        return value


def parameter_of(name: str, distribution: BaseDistribution) -> Parameter:
    """Makes the parameter of a distribution.

    Raises:
        ValueError: If the distribution is of a kind that Optuna 5 lacks.
    """
    if isinstance(distribution, CategoricalDistribution):
        domain = _choices(distribution.choices)
    elif isinstance(distribution, IntDistribution):
        step = None if distribution.step == 1 else distribution.step
        domain = _range(int, distribution, step)
    elif isinstance(distribution, FloatDistribution):
        if distribution.step is None:
            domain = _range(float, distribution, None)
        else:
            domain = _stepped(distribution, distribution.step)
    else:
        raise ValueError(
            f"The distribution of '{name}' must be a FloatDistribution, an "
            "IntDistribution or a CategoricalDistribution. Received: "
            f"{distribution!r}."
        )
    return Parameter(name, distribution, domain)


def _choices(choices: Sequence[Choice]) -> Domain:
    numbers = [
        choice
        for choice in choices
        if isinstance(choice, int | float)
        and not isinstance(choice, bool)
        and math.isfinite(choice)
    ]
    ascend = all(a < b for a, b in itertools.pairwise(numbers))
    if ascend and len(numbers) == len(choices):
        # Of NumPy's numbers, Python's own.
        return Grid(tuple(getattr(x, "item", lambda x=x: x)() for x in numbers))
    return Categorical(tuple(map(str, range(len(choices)))))


def _range(
    kind: type[float],
    distribution: IntDistribution | FloatDistribution,
    step: float | None,
) -> Domain:
    """Returns the domain of the same range of keras-tuner."""
    config = {
        "min_value": distribution.low,
        "max_value": distribution.high,
        "step": step,
        "sampling": "log" if distribution.log else "linear",
    }
    return numerical(config, kind)


def _stepped(distribution: FloatDistribution, step: float) -> Domain:
    """Returns Optuna's values, which are whole steps up to the bound.

    keras-tuner 1.4.8 leaves the bound out where a quotient is rounded down.
    """
    low, high = distribution.low, distribution.high
    count = round((high - low) / step) + 1
    indices = range(0, count, math.ceil(count / _MAX_STEPS))
    # A product may be rounded to just above the bound.
    return Grid(tuple(min(low + index * step, high) for index in indices))


def distributions_of(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Returns a distribution for each name of a search space.

    A name that is asked for under several conditions, with different ranges,
    gets one distribution that holds them all, as Optuna has it.
    """
    domains: dict[str, list[Domain]] = {}
    for gene in space.genes:
        domains.setdefault(gene.name, []).append(gene.domain)
    return {name: _distribution(found) for name, found in domains.items()}


def fitting(
    values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Returns the values that their distributions hold."""
    return {
        name: value
        for name, value in values.items()
        if name in distributions and _holds(distributions[name], value)
    }


def _holds(distribution: BaseDistribution, value: Choice) -> bool:
    try:
        internal = distribution.to_internal_repr(value)
    except ValueError:
        return False
    return bool(distribution._contains(internal))  # noqa: SLF001 (no other)


def _distribution(domains: list[Domain]) -> BaseDistribution:
    first = domains[0]
    intervals = [d for d in domains if isinstance(d, Interval)]
    if len(intervals) < len(domains):
        values = [v for d in domains if not isinstance(d, Interval) for v in d]
        if not intervals:
            return CategoricalDistribution(list(dict.fromkeys(values)))
        numbers = [float(v) for v in values if not isinstance(v, bool | str)]
        bounds = [x for d in intervals for x in (d.low, d.high)] + numbers
        return FloatDistribution(min(bounds), max(bounds))
    low = min(d.low for d in intervals)
    high = max(d.high for d in intervals)
    log = all(d.scale == "log" for d in intervals)
    if isinstance(first, Interval) and all(d.integer for d in intervals):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)
