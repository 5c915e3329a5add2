"""Trials as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_evonas.project import extras
from keras_evonas.project.objectives import Objective
from keras_evonas.project.trials import Trial

if TYPE_CHECKING:
    import pandas


def to_dataframe(
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    ranking: Sequence[Trial],
) -> "pandas.DataFrame":
    """Returns one row a trial; see `Search.to_dataframe`.

    Args:
        objectives: The objectives.
        trials: The trials, one a row.
        ranking: Those of them that have a rank, best first.

    Raises:
        ImportError: If pandas is not installed.
    """
    library = extras.load("pandas", "pandas")
    rank_of = {trial.trial_id: i for i, trial in enumerate(ranking, start=1)}
    rows = [
        _row(objectives, trial, rank_of.get(trial.trial_id)) for trial in trials
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    groups = ("gene.", "metric.", "cost.")
    fixed = [name for name in columns if not name.startswith(groups)]
    grouped = [n for group in groups for n in columns if n.startswith(group)]
    table = library.DataFrame(rows, columns=fixed + grouped)
    return table.astype({"rank": "Int64"}) if rows else table


def _row(
    objectives: Sequence[Objective], trial: Trial, rank: int | None
) -> dict[str, Any]:
    scores = trial.scores or [None] * len(objectives)
    return {
        "trial_id": trial.trial_id,
        "status": trial.status,
        "rank": rank,
        **{
            objective.name: score
            for objective, score in zip(objectives, scores, strict=True)
        },
        "violation": trial.violation,
        "rung": trial.rung,
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "ended": trial.ended,
        "birth": trial.birth,
        "operator": trial.operator,
        "parents": trial.parents,
        "message": trial.message,
        "curves": {name: list(curve) for name, curve in trial.curves.items()},
        **{f"gene.{name}": value for name, value in trial.values.items()},
        **{f"metric.{name}": value for name, value in trial.metrics.items()},
        **{f"cost.{name}": value for name, value in trial.costs.items()},
    }
