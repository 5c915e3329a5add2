"""`keras_tuner.HyperParameters` as a search space, and values as genomes.

The one place that knows keras-tuner's types of hyperparameters.
"""

import collections
import functools
import itertools
import json
import operator
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Protocol
from typing import TypeAlias

import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import spaces as space_lib
from keras_evonas.project.files import WAY_OUT

HyperParameter: TypeAlias = hp_types.HyperParameter
# What a model asked for before, with the values that it got.
Asked: TypeAlias = Mapping[str, object]

_KINDS = (
    *(hp_types.Boolean, hp_types.Choice, hp_types.Fixed),
    *(hp_types.Float, hp_types.Int),
)


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
    genes = map(_gene, hyperparameters.space)
    ordered, orphans = space_lib.parents_first(genes)
    return SearchSpace(ordered + orphans)  # It names an orphan in its error.


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


def with_values(
    hyperparameters: keras_tuner.HyperParameters, values: Mapping[str, Any]
) -> keras_tuner.HyperParameters:
    """Returns a copy of hyperparameters that has other values."""
    copy = hyperparameters.copy()
    copy.values = dict(values)
    return copy


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
    known = {identity(hp): hp for hp in saved.space}
    changes = []
    for hp in current.space:
        old = known.get(identity(hp))
        if old is None:
            changes.append(describe_new(hp))
        elif definition(old) != definition(hp):
            changes.append(describe_change(old, hp))
    return changes


class Watch(Protocol):
    """Judges what models ask for; see `Definitions` of the oracles."""

    def elsewhere(self) -> "Watch | None":
        """Returns the watch for another process, `None` if it needs none."""

    def differs(
        self, known: HyperParameter, requested: HyperParameter, asked: Asked
    ) -> None:
        """Judges another definition than the known one."""

    def is_new(self, requested: HyperParameter, asked: Asked) -> None:
        """Judges a hyperparameter that is not known."""


class SharedHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters whose copies share one space.

    keras-tuner 1.4.8 takes its space apart and builds it anew for every
    trial, which costs more than evolution does. A hyperparameter never
    changes, so that copies here hold the same ones.

    They can also notice that a model asks for another range than before. The
    host looks hyperparameters up by name and conditions only. A model may ask
    for a name twice; what it asks for first counts, here as for the host.

    Args:
        source: The hyperparameters to start from, with their values.
        watch: Judges differences. Defaults to `None`.

    Attributes:
        asked: Names that the model has asked for, in their order.
    """

    def __init__(
        self,
        source: keras_tuner.HyperParameters,
        *,
        watch: Watch | None = None,
    ) -> None:
        super().__init__()
        self._hold(getattr(source, "_shared", None) or _Space(source.space))
        self.values = dict(source.values)
        self._watch = watch
        self._looked_at: set[str] = set()
        self.asked: dict[str, None] = {}
        self._space_json = getattr(source, "_space_json", (0, "[]"))

    def _hold(self, space: "_Space") -> None:
        self._shared = space
        self._hps, self._space = space.by_name, space.in_order

    def _register(
        self, hyperparameter: HyperParameter, overwrite: bool = False
    ) -> Value | None:
        self._hold(_Space(self.space))  # The copies do not grow.
        value: Value | None = super()._register(hyperparameter, overwrite)
        return value

    def copy(self) -> "SharedHyperParameters":
        """Returns an independent copy that shares the hyperparameters."""
        return SharedHyperParameters(self, watch=self._watch)

    def get_config(self) -> dict[str, Any]:
        """Returns what `keras_tuner.HyperParameters.from_config` takes."""
        size, text = self._space_json
        if size != len(self.space):
            for hp in self.space:
                _check_numbers(hp)
            text = json.dumps(super().get_config()["space"])
            self._space_json = (len(self.space), text)
        # Parsed anew because `from_config` changes what it is given.
        return {"space": json.loads(text), "values": dict(self.values)}

    def ensure_active_values(self) -> None:
        """Drops inactive values, and fills in defaults for missing ones.

        keras-tuner 1.4.8 fills in an unseeded sample, and drops the value of
        a name that is active under one condition and inactive under another.
        """
        changed = True
        while changed:  # what is filled in may activate others
            active: dict[str, Any] = {}
            for block in self._shared.blocks:
                if self.is_active(block[0]):
                    for hp in block:
                        active.setdefault(hp.name, hp)
            inactive = (set(self.values) & self._shared.names) - set(active)
            missing = [
                hp for hp in active.values() if hp.name not in self.values
            ]
            for name in inactive:
                del self.values[name]
            for hp in missing:
                self.values[hp.name] = hp.default
            changed = bool(inactive or missing)

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process, too, a change of a range ends the search.
        watch = None if self._watch is None else self._watch.elsewhere()
        return _restored, (self.get_config(), watch, list(self.asked))

    def get(self, name: str) -> Value:
        """Returns a value; see `keras_tuner.HyperParameters`."""
        value: Value = super().get(name)
        self.asked[self._get_name(name)] = None
        return value

    def _retrieve(self, hp: HyperParameter) -> Value | None:
        if self._watch is not None:
            self._look_at(hp, self._watch)
        value: Value | None = super()._retrieve(hp)
        self.asked[hp.name] = None
        return value

    def _look_at(self, hp: HyperParameter, watch: Watch) -> None:
        identity_of = identity(hp)
        if identity_of in self._looked_at:
            return
        self._looked_at.add(identity_of)
        asked = {x: self.values[x] for x in self.asked if x in self.values}
        for known in self._hps.get(hp.name, ()):
            if known.conditions == hp.conditions:
                if definition(known) != definition(hp):
                    watch.differs(known, hp, asked)
                return
        watch.is_new(hp, asked)


class _Space:
    """The hyperparameters that copies share; once shared, it never grows.

    Args:
        hyperparameters: The hyperparameters in their order.
    """

    def __init__(self, hyperparameters: Iterable[HyperParameter]) -> None:
        self.in_order = list(hyperparameters)
        self.by_name: dict[str, list[HyperParameter]]
        self.by_name = collections.defaultdict(list)
        for hp in self.in_order:
            self.by_name[hp.name].append(hp)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        return frozenset(hp.name for hp in self.in_order)

    @functools.cached_property
    def blocks(self) -> list[list[HyperParameter]]:
        """Those with equal conditions in a row: all are active, or none."""
        conditions_of = operator.attrgetter("conditions")
        blocks = itertools.groupby(self.in_order, conditions_of)
        return [list(block) for _, block in blocks]


def refuse_change(change: str) -> None:
    """Raises the error that ends a search, about a change."""
    raise keras_tuner.errors.FatalValueError(
        "The project folder holds a search that differs from this one: "
        f"{change}. {WAY_OUT}"
    )


def _restored(
    config: dict[str, Any], watch: Watch | None, asked: Iterable[str]
) -> SharedHyperParameters:
    source = keras_tuner.HyperParameters.from_config(config)
    restored = SharedHyperParameters(source, watch=watch)
    restored.asked = dict.fromkeys(asked)
    return restored


def _gene(hp: HyperParameter) -> Gene:
    kind = next((kind for kind in _KINDS if isinstance(hp, kind)), None)
    gene = kind and space_lib.gene_of(kind.__name__, hp.get_config())
    if gene is None:
        raise ValueError(
            "`hyperparameters` may hold Boolean, Choice, Fixed, Float and Int. "
            f"Received: {hp!r} of type {type(hp)}."
        )
    return gene


def _canonical(domains: Iterable[Domain], value: Value) -> Value:
    """Returns the domain's own form of a value: its type and last digits."""
    value = space_lib.plain(value)
    for domain in domains:
        if domain.contains(value):
            return domain.own(value)
        if isinstance(domain, Grid) and isinstance(value, int | float):
            near = space_lib.nearest(domain, value)
            if abs(float(near) - value) <= 1e-9 * max(1.0, abs(value)):
                return near
        whole = isinstance(value, float) and value.is_integer()
        is_interval = isinstance(domain, Interval)
        if is_interval and whole and domain.contains(int(value)):
            return int(value)
    return value


def identity(hp: HyperParameter) -> str:
    """Returns what keras-tuner tells hyperparameters apart by."""
    conditions = [[c.name, list(c.values)] for c in hp.conditions]
    return json.dumps([hp.name, conditions])


def definition(hp: HyperParameter) -> str:
    """Describes a hyperparameter, the same before and after JSON or gRPC."""
    _check_numbers(hp)
    config = {**hp.get_config(), "default": hp.default}
    if isinstance(hp, hp_types.Int | hp_types.Float):
        # Numbers may come back as the other type, and 0 for no step.
        for key in ("min_value", "max_value", "step", "default"):
            config[key] = config[key] and float(config[key])
    return json.dumps([type(hp).__name__, config], sort_keys=True)


def _check_numbers(hp: HyperParameter) -> None:
    """Raises a `TypeError` unless files can hold the numbers of `hp`."""
    for key, value in {**hp.get_config(), "default": hp.default}.items():
        # NumPy's float64 and its strings are Python's, too.
        if isinstance(value, np.generic) and not isinstance(value, float | str):
            raise TypeError(
                f"Hyperparameter '{hp.name}' must be made of Python's own "
                f"numbers, which files can hold. Received: {key}={value!r}. "
                f"Write `{key}={value.item()!r}`, or `.item()` behind it."
            )


def describe_change(known: HyperParameter, requested: HyperParameter) -> str:
    """Describes a definition that has changed."""
    return f"'{requested.name}' was {known!r} and is now {requested!r}"


def describe_new(hp: HyperParameter) -> str:
    """Describes a hyperparameter that is new."""
    return f"'{hp.name}' is new: {hp!r}"
