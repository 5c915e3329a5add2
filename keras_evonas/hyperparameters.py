"""`keras_tuner.HyperParameters` as a search space, and values as genomes.

The one place that knows keras-tuner's types of hyperparameters.
"""

import json
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project.files import WAY_OUT

# Of a stepped range with more values than this, only every other one (or
# third one, and so on) takes part in the search.
_MAX_GRID = 100_000


def to_space(hyperparameters: keras_tuner.HyperParameters) -> SearchSpace:
    """Converts a keras-tuner space into a search space.

    Every type (`Boolean`, `Choice`, `Fixed`, `Float`, `Int`), step and
    sampling is kept, and every `conditional_scope` becomes conditions. Values
    are plain Python `bool`, `int`, `float` and `str`. A range of more than
    100 000 steps is thinned out to fewer, evenly.

    Args:
        hyperparameters: The space; its current values do not matter.

    Returns:
        The search space, parents before their children.

    Raises:
        ValueError: If a hyperparameter is of an unknown type.
    """
    return SearchSpace(
        _parents_first([_gene(hp) for hp in hyperparameters.space])
    )


def to_genome(
    space: SearchSpace, values: Mapping[str, Any]
) -> dict[str, Value]:
    """Converts values that a user wrote down into a genome.

    Args:
        space: The search space.
        values: Mapping from names to values. Missing genes get their
            defaults; values of genes that are not active are dropped.

    Returns:
        The genome.

    Raises:
        ValueError: If a name is not in the space, or a value of an active
            gene not in its domain.
    """
    domains_of: dict[str, list[Domain]] = {}
    for gene in space.genes:
        domains_of.setdefault(gene.name, []).append(gene.domain)
    draft = {
        name: _canonical(domains_of.get(name, ()), value)
        for name, value in values.items()
    }
    return space.adopt(draft, "initial_population")


def describe_changes(
    saved: keras_tuner.HyperParameters, current: keras_tuner.HyperParameters
) -> list[str]:
    """Names what differs between two spaces.

    Args:
        saved: The space that a project folder holds.
        current: The space that the program asks for now.

    Returns:
        A line for each hyperparameter of both that differs, and for each of
        `current` that `saved` lacks; empty if there is none.
    """
    known = {_identity(hp): hp for hp in saved.space}
    changes = []
    for hp in current.space:
        old = known.get(_identity(hp))
        if old is None:
            changes.append(f"'{hp.name}' is new: {hp!r}")
        elif _differ(old, hp):
            changes.append(_describe_change(old, hp))
    return changes


class SharedHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters whose copies share one space.

    keras-tuner 1.4.8 takes its space apart and builds it anew for every
    trial, which costs more than evolution does. A hyperparameter never
    changes, so that copies here hold the same ones.

    It can also notice when a model asks for another range than before. The
    host looks hyperparameters up by name and conditions only: a range that
    changed between two runs is silently ignored, and values outside of it are
    proposed. A model may ask for a name twice; what it asks for first counts,
    here as for the host.

    Args:
        source: The hyperparameters to start from, with their values.
        on_change: Called with a line about what was known and what is
            requested when they differ. Defaults to `None`, which does not
            look.
        overridden: Hyperparameters that stand in for what the model asks for,
            so that differences are meant. Defaults to none.
    """

    def __init__(
        self,
        source: keras_tuner.HyperParameters,
        on_change: Callable[[str], None] | None = None,
        overridden: Iterable[Any] = (),
    ) -> None:
        super().__init__()
        for hp in source.space:
            self._hps[hp.name].append(hp)
            self._space.append(hp)
        self.values = dict(source.values)
        self._on_change = on_change
        self._overridden = tuple(overridden)
        self._not_looked_at = {_identity(hp) for hp in self._overridden}
        self._space_json = getattr(source, "_space_json", (0, "[]"))

    def copy(self) -> "SharedHyperParameters":
        """Returns an independent copy that shares the hyperparameters."""
        return SharedHyperParameters(self, self._on_change, self._overridden)

    def get_config(self) -> dict[str, Any]:
        """Returns what `keras_tuner.HyperParameters.from_config` takes."""
        size, text = self._space_json
        if size != len(self.space):
            text = json.dumps(super().get_config()["space"])
            self._space_json = (len(self.space), text)
        # Parsed anew because `from_config` changes what it is given.
        return {"space": json.loads(text), "values": dict(self.values)}

    def ensure_active_values(self) -> None:
        """Drops silent values, and fills in defaults for missing ones.

        keras-tuner 1.4.8 fills in an unseeded sample, and drops the value of
        a name that is active under one condition and silent under another.
        """
        changed = True
        while changed:  # what is filled in may activate others
            active: dict[str, Any] = {}
            for hp in self.space:
                if self.is_active(hp):
                    active.setdefault(hp.name, hp)
            silent = (set(self.values) & set(self._hps)) - set(active)
            missing = [
                hp for hp in active.values() if hp.name not in self.values
            ]
            for name in silent:
                del self.values[name]
            for hp in missing:
                self.values[hp.name] = hp.default
            changed = bool(silent or missing)

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process, too, a change of a range ends the search.
        is_watched = self._on_change is not None
        return _restored, (self.get_config(), is_watched, self._overridden)

    def _retrieve(self, hp: Any) -> Any:
        if self._on_change is not None:
            self._look_at(hp, self._on_change)
        return super()._retrieve(hp)

    def _look_at(self, hp: Any, on_change: Callable[[str], None]) -> None:
        identity = _identity(hp)
        if identity in self._not_looked_at:
            return
        self._not_looked_at.add(identity)
        for known in self._hps.get(hp.name, ()):
            if known.conditions == hp.conditions and _differ(known, hp):
                on_change(_describe_change(known, hp))


def refuse_change(change: str) -> None:
    """Ends the search because a model asks for another range than before.

    Raises:
        keras_tuner.errors.FatalValueError: Always.
    """
    raise keras_tuner.errors.FatalValueError(
        "The project folder holds a search that differs from this one: "
        f"{change}. {WAY_OUT}"
    )


def _restored(
    config: dict[str, Any], is_watched: bool, overridden: tuple[Any, ...]
) -> SharedHyperParameters:
    return SharedHyperParameters(
        keras_tuner.HyperParameters.from_config(config),
        refuse_change if is_watched else None,
        overridden,
    )


def _gene(hp: Any) -> Gene:
    domain = _domain(hp)
    conditions = tuple(
        Condition(condition.name, tuple(condition.values))
        for condition in hp.conditions
    )
    default = _nearest(domain, hp.default)
    return Gene(hp.name, domain, conditions, default)


def _domain(hp: Any) -> Domain:
    if isinstance(hp, hp_types.Boolean):
        return Categorical((False, True))
    if isinstance(hp, hp_types.Fixed):
        return Categorical((_plain(hp.value),))
    if isinstance(hp, hp_types.Choice):
        values = tuple(dict.fromkeys(map(_plain, hp.values)))
        return (
            Grid(tuple(sorted(values))) if hp.ordered else Categorical(values)
        )
    if isinstance(hp, hp_types.Int | hp_types.Float):
        return _numerical_domain(hp, integer=isinstance(hp, hp_types.Int))
    raise ValueError(
        "`hyperparameters` may hold Boolean, Choice, Fixed, Float and Int. "
        f"Received: {hp!r} of type {type(hp)}."
    )


def _numerical_domain(hp: Any, *, integer: bool) -> Domain:
    kind = int if integer else float
    low, high, step = kind(hp.min_value), kind(hp.max_value), hp.step
    linear = hp.sampling == "linear"
    if step is None or (integer and linear and step == 1):
        return Interval(low, high, scale=hp.sampling, integer=integer)
    values = hp.values
    if linear:
        count = int((high - low) // step) + 1
        every = math.ceil(count / _MAX_GRID)
        values = (low + index * step for index in range(0, count, every))
    # keras-tuner 1.4.8 gives floats for an Int with logarithmic steps.
    return Grid(tuple(sorted({kind(value) for value in values})))


def _nearest(domain: Domain, value: Any) -> Value:
    """The value of the domain next to a default that may lie outside."""
    value = _plain(value)
    if isinstance(domain, Interval) and not domain.integer:
        value = float(value)
    if domain.contains(value):
        return value
    if not isinstance(domain, Interval):
        numbers = [v for v in domain if isinstance(v, int | float)]
        if numbers and isinstance(value, int | float):
            return min(numbers, key=lambda number: abs(number - value))
        return next(iter(domain))
    clipped = min(max(value, domain.low), domain.high)
    return int(clipped) if domain.integer else float(clipped)


def _canonical(domains: Iterable[Domain], value: Any) -> Any:
    """The domain's own form of a value: its type, and its last digits."""
    value = _plain(value)
    for domain in domains:
        if domain.contains(value):
            return domain.own(value)
        if isinstance(domain, Grid) and isinstance(value, int | float):
            near = _nearest(domain, value)
            if abs(float(near) - value) <= 1e-9 * max(1.0, abs(value)):
                return near
        whole = isinstance(value, float) and value.is_integer()
        if (
            isinstance(domain, Interval)
            and whole
            and domain.contains(int(value))
        ):
            return int(value)
    return value


def _plain(value: Any) -> Any:
    """Turns a NumPy scalar into the Python value; `Choice` takes both."""
    return value.item() if hasattr(value, "item") else value


def _identity(hp: Any) -> str:
    """What keras-tuner tells hyperparameters apart by."""
    conditions = [[c.name, list(c.values)] for c in hp.conditions]
    return json.dumps([hp.name, conditions])


def _differ(known: Any, requested: Any) -> bool:
    return _definition(known) != _definition(requested)


def _definition(hp: Any) -> str:
    """All that makes a hyperparameter, equal before and after JSON or gRPC."""
    config = {**hp.get_config(), "default": hp.default}
    if isinstance(hp, hp_types.Int | hp_types.Float):
        # Numbers may come back as the other type, and 0 for no step.
        for key in ("min_value", "max_value", "step", "default"):
            config[key] = config[key] and float(config[key])
    return json.dumps([type(hp).__name__, config], sort_keys=True)


def _describe_change(known: Any, requested: Any) -> str:
    return f"'{requested.name}' was {known!r} and is now {requested!r}"


def _parents_first(genes: list[Gene]) -> list[Gene]:
    """Sorts stably; a space that came over gRPC is ordered by type."""
    ordered: list[Gene] = []
    names: set[str] = set()
    waiting = list(genes)
    while waiting:
        late = []
        for gene in waiting:
            if names.issuperset(c.parent for c in gene.conditions):
                ordered.append(gene)
                names.add(gene.name)
            else:
                late.append(gene)
        if len(late) == len(waiting):
            return ordered + late  # SearchSpace names the culprit
        waiting = late
    return ordered
