"""`keras_tuner.HyperParameters` as a search space, and values as genomes.

The one place that knows keras-tuner's types of hyperparameters.
"""

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

import keras_tuner
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
    ordered, orphans = space_lib.parents_first(
        map(_gene, hyperparameters.space)
    )
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
    config: dict[str, Any],
    is_watched: bool,
    overridden: tuple[HyperParameter, ...],
) -> SharedHyperParameters:
    return SharedHyperParameters(
        keras_tuner.HyperParameters.from_config(config),
        refuse_change if is_watched else None,
        overridden,
    )


def _gene(hp: HyperParameter) -> Gene:
    kind = next((kind for kind in _KINDS if isinstance(hp, kind)), None)
    gene = kind and space_lib.gene_of(kind.__name__, hp.get_config())
    if gene is None:
        raise ValueError(
            "`hyperparameters` may hold Boolean, Choice, Fixed, Float and Int. "
            f"Received: {hp!r} of type {type(hp)}."
        )
    return gene


def _canonical(domains: Iterable[Domain], value: Any) -> Any:
    """The domain's own form of a value: its type, and its last digits."""
    value = space_lib.plain(value)
    for domain in domains:
        if domain.contains(value):
            return domain.own(value)
        if isinstance(domain, Grid) and isinstance(value, int | float):
            near = space_lib.nearest(domain, value)
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
