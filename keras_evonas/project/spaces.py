"""The search space of a project folder, without keras-tuner.

`keras_evonas.hyperparameters` makes a `SearchSpace` of keras-tuner's
objects; this module makes the same of their JSON form, and forgives what it
does not know, because a report shows what there is.
"""

import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace

# As in `oracles.hyperparameters`: longer ranges count as continuous.
_MAX_GRID = 100_000


def from_config(config: Iterable[Mapping[str, Any]]) -> SearchSpace:
    """Makes a search space of the `"space"` of saved hyperparameters.

    Args:
        config: The saved hyperparameters, each with `"class_name"` and
            `"config"`.

    Returns:
        The space. Hyperparameters of a kind unknown to this package are left
        out.
    """
    genes = [_gene(entry) for entry in config]
    return SearchSpace(_parents_first([gene for gene in genes if gene]))


def from_values(genomes: Iterable[Mapping[str, Value]]) -> SearchSpace:
    """Guesses a space from genomes, where none was saved."""
    seen: dict[str, dict[Value, None]] = {}
    for genome in genomes:
        for name, value in genome.items():
            seen.setdefault(name, {})[value] = None
    return SearchSpace(
        [Gene(name, covering(values)) for name, values in seen.items()]
    )


def covering(values: Iterable[Value]) -> Domain:
    """The smallest domain that holds some values."""
    values = tuple(dict.fromkeys(values))
    if any(isinstance(value, bool | str) for value in values):
        return Categorical(values)
    numbers = [value for value in values if math.isfinite(float(value))]
    if len(numbers) <= 12:
        return Grid(tuple(sorted(numbers))) if numbers else Categorical(values)
    low, high = min(numbers), max(numbers)
    wide = low > 0 and high / low >= 100
    return Interval(low, high, scale="log" if wide else "linear")


def active_values(
    space: SearchSpace | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """The values that take part in a network; all without a space."""
    if space is None:
        return dict(values)
    # A value outside of its domain is kept: the space was changed by hand.
    active = space.active(values)
    named = {gene.name for gene in space.genes}
    known = {g.name: values[g.name] for g in active if g.name in values}
    unknown = {n: v for n, v in values.items() if n not in named}
    return known | unknown


def _gene(entry: Mapping[str, Any]) -> Gene | None:
    config = entry.get("config", {})
    domain = _domain(entry.get("class_name"), config)
    if domain is None or "name" not in config:
        return None
    conditions = tuple(
        Condition(c["config"]["name"], tuple(c["config"]["values"]))
        for c in config.get("conditions") or ()
    )
    default = config.get("default")
    if not domain.contains(default):
        default = None
    return Gene(config["name"], domain, conditions, default)


def _domain(kind: str | None, config: Mapping[str, Any]) -> Domain | None:
    if kind == "Boolean":
        return Categorical((False, True))
    if kind == "Fixed":
        return Categorical((config["value"],))
    if kind == "Choice":
        values = tuple(dict.fromkeys(config["values"]))
        if config.get("ordered"):
            return Grid(tuple(sorted(values)))
        return Categorical(values)
    if kind in ("Int", "Float"):
        return _numerical(config, integer=kind == "Int")
    return None


def _numerical(config: Mapping[str, Any], *, integer: bool) -> Domain:
    low, high = config["min_value"], config["max_value"]
    step, scale = config.get("step"), config.get("sampling") or "linear"
    linear = scale == "linear"
    stepped = step is not None and not (integer and step == 1 and linear)
    if stepped and (not linear or (high - low) / step <= _MAX_GRID):
        return Grid(_stepped(low, high, step, scale, int if integer else float))
    if not integer:
        low, high = float(low), float(high)
    return Interval(low, high, scale=scale, integer=integer)


def _stepped(
    low: float, high: float, step: float, scale: str, kind: type
) -> tuple[Any, ...]:
    """The values of a stepped range, by keras-tuner's own formulas."""
    if scale == "linear":
        count = int((high - low) // step + 1)
        values = [low + index * step for index in range(count)]
    else:
        count = int(math.log(high / low, step) + 1e-8) + 1
        values = [low * math.pow(step, index) for index in range(count)]
        if scale == "reverse_log":
            values = [high + low - value for value in values]
    return tuple(sorted({kind(value) for value in values}))


def _parents_first(genes: list[Gene]) -> list[Gene]:
    """Sorts stably, and drops genes that hang on a gene that is not there."""
    ordered: list[Gene] = []
    names: set[str] = set()
    waiting = list(genes)
    while True:
        late = []
        for gene in waiting:
            if all(condition.parent in names for condition in gene.conditions):
                ordered.append(gene)
                names.add(gene.name)
            else:
                late.append(gene)
        if len(late) == len(waiting):
            return ordered
        waiting = late
