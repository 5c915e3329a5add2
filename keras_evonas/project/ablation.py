"""The result of an ablation: the worth of each gene of a network."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from keras_evonas.project.files import finite
from keras_evonas.project.files import objects_in
from keras_evonas.project.objectives import SIGN

ABLATION_NAME = "ablation.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneEffect:
    """The worth of one gene of a network.

    Args:
        gene: The gene's name.
        value: Its value in the network.
        default: The default that it was put back to.
        gains: By how much the network does better than the one with the
            default, one number a seed, positive if its own value is better.
        message: Why a training failed, or `None` if none did.
    """

    gene: str
    value: Any
    default: Any
    gains: tuple[float, ...]
    message: str | None = None

    @property
    def mean(self) -> float | None:
        """Mean of the gains."""
        return statistics.fmean(self.gains) if self.gains else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the gains, `None` of a single one."""
        if len(self.gains) < 2:
            return None
        return round(statistics.stdev(self.gains), 12)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationResult:
    """The worth of each gene of a network.

    Args:
        network: How the network is called.
        objective: What was measured.
        direction: `"min"` or `"max"`.
        scores: The scores of the network itself, one number a seed.
        effects: Of each gene that was put back, the most valuable first;
            those that could not be trained come last.
        skipped: Genes that are not at their default and were left out.
    """

    network: str
    objective: str
    direction: str
    scores: tuple[float, ...]
    effects: tuple[GeneEffect, ...]
    skipped: tuple[str, ...] = ()


def ablation_of(content: object) -> AblationResult | None:
    """Reads the content of `ablation.json`; `None` if there is no result.

    A list of objects, one for each network that was trained, the whole one
    first: `"name"`, `"of"` (the name of the whole one), `"gene"`, `"value"`,
    `"default"` and `"runs"`, a list of objects with `"seed"`, `"score"` and
    `"message"`.
    """
    entries = objects_in(content)
    whole = next((e for e in entries if e.get("gene") is None), None)
    if whole is None:
        return None
    scores = _scores(whole)
    direction = whole.get("direction", "min")
    effects = [
        _effect(entry, scores, SIGN[direction])
        for entry in entries
        if entry.get("gene") is not None and entry.get("of") == whole["name"]
    ]
    effects.sort(key=lambda one: (one.mean is None, -(one.mean or 0.0)))
    if not scores and not effects:
        return None
    done = {one.gene for one in effects}
    return AblationResult(
        network=str(whole["name"]),
        objective=str(whole.get("objective", "score")),
        direction=direction,
        scores=tuple(scores.values()),
        effects=tuple(effects),
        skipped=tuple(g for g in whole.get("changed", ()) if g not in done),
    )


def _effect(
    entry: Mapping[str, Any], scores: Mapping[int, float], sign: float
) -> GeneEffect:
    """Compares one network with the whole one, seed by seed."""
    messages = (run.get("message") for run in entry.get("runs") or ())
    return GeneEffect(
        gene=str(entry["gene"]),
        value=entry.get("value"),
        default=entry.get("default"),
        gains=tuple(
            # Without the last digits, where 0.3 - 0.1 is not 0.2.
            round(sign * (score - scores[seed]), 12)
            for seed, score in _scores(entry).items()
            if seed in scores
        ),
        message=next((message for message in messages if message), None),
    )


def _scores(entry: Mapping[str, Any]) -> dict[int, float]:
    runs = entry.get("runs") or ()
    return {r["seed"]: r["score"] for r in runs if finite([r.get("score")])}
