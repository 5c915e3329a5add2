"""A search as a table."""

from typing import Any

from keras_evonas.project import extras
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial


def to_dataframe(search: Search) -> Any:
    """Returns one row a trial; see `Search.to_dataframe`.

    Raises:
        ImportError: If pandas is not installed.
    """
    pandas = extras.load("pandas", "pandas")
    rows = [_row(search, trial) for trial in search.trials]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    groups = ("gene.", "metric.", "cost.")
    fixed = [name for name in columns if not name.startswith(groups)]
    grouped = [n for group in groups for n in columns if n.startswith(group)]
    return pandas.DataFrame(rows, columns=fixed + grouped)


def _row(search: Search, trial: Trial) -> dict[str, Any]:
    scores = trial.scores or [None] * len(search.objectives)
    return {
        "trial_id": trial.trial_id,
        "status": trial.status,
        **{
            objective.name: score
            for objective, score in zip(search.objectives, scores, strict=True)
        },
        "violation": trial.violation,
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
