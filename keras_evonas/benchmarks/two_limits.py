"""One supernet for several limits, beside a search by trials for each of them.

A supernet of cells is trained once. Under each limit of multiply-adds it scores
random networks, and the best of them are trained alone. Beside it stands
`EvolutionarySearch` under the same limit, with as many seconds: a limit's part
of all that the supernet, its scores and the trainings alone have taken. All
networks are chosen by their validation accuracy, and tested on other images.

```sh
python -m keras_evonas.benchmarks limits --images=fashion_mnist.npz --out=FOLDER
```

Each seed is written to the folder; run it again to go on.
"""

import dataclasses
import pathlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from absl import logging

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.benchmarks.datasets import name_of
from keras_evonas.benchmarks.stand_alone import accuracy_of
from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json

if TYPE_CHECKING:
    import keras_tuner

    from keras_evonas.models import CellNetwork

_BATCH = 50
_COST = "multiply_adds"
# Parts of the seconds after which searches by trials are looked at.
_PARTS = (0.25, 0.5, 1.0)
FLAGS = command.Flags()
_IMAGES = FLAGS.images()
_LIMITS = FLAGS.list(
    "limits", ["0.25", "0.5"], "Limits, shares of the largest network's cost."
)
_SEEDS = FLAGS.seeds(5)
_EXAMPLES = FLAGS.positive("examples", 10000, "Images to train on.")
_EPOCHS = FLAGS.positive("epochs", 40, "Epochs of a supernet.")
_EPOCHS_ALONE = FLAGS.positive("epochs_alone", 12, "Epochs alone.")
_FILTERS = FLAGS.positive("filters", 8, "Filters of the first stage.")
_SCORED = FLAGS.positive("scored", 300, "Networks scored under a limit.")
_SHORTLIST = FLAGS.positive("shortlist", 6, "Networks of them to train.")
_OUT = FLAGS.string("out", "limits", "Folder for a file of each seed.")
_MARKDOWN = FLAGS.markdown()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A network that was trained alone until `seconds`.

    The score is its validation accuracy; the best so far is tested on other
    images, too, in percent.
    """

    seconds: float
    score: float
    tested: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One seed: the seconds of each part, and the trials under each limit."""

    supernet: float
    scoring: list[float]
    shortlists: list[list[Trial]]
    searches: list[list[Trial]]

    @property
    def seconds(self) -> float:
        """The part of a limit in all seconds of the supernet's way."""
        trained = sum(trials[-1].seconds for trials in self.shortlists)
        total = self.supernet + sum(self.scoring) + trained
        return total / len(self.scoring)


def main() -> None:
    """Runs the benchmark and prints its table."""
    with command.usage_errors():
        limits = [float(limit) for limit in _LIMITS.value]
        parts = images(
            _IMAGES.value, _EXAMPLES.value, validation=2000, halved=True
        )
    runs = []
    for seed in range(_SEEDS.value):
        path = pathlib.Path(_OUT.value) / f"{seed}.json"
        if not path.exists():
            run = _measured(parts, limits, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, dataclasses.asdict(run))
        runs.append(_read(path))
        logging.info("Seed %d: %s", seed, runs[-1])
    command.publish(report(limits, runs), _MARKDOWN.value)


def _read(path: pathlib.Path) -> Run:
    content: dict[str, Any] = read_json(path)
    for way in ("shortlists", "searches"):
        content[way] = [[Trial(**one) for one in x] for x in content[way]]
    return Run(**content)


def _measured(parts: Parts, limits: Sequence[float], seed: int) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        largest = largest_cost(_network(parts, _EPOCHS_ALONE.value))
        bounds = [share * largest for share in limits]
        scoring, shortlists, supernet = [], [], 0.0
        for number, bound in enumerate(bounds):
            begun = time.perf_counter()
            best, trained = _shortlisted(parts, bound, seed, folder, number)
            supernet += trained
            scoring.append(time.perf_counter() - begun - trained)
            shortlists.append(
                _trained_alone(
                    parts,
                    bound,
                    seed,
                    folder / f"shortlist_{number}",
                    max_trials=len(best),
                    initial_population=best,
                )
            )
        run = Run(
            supernet=supernet,
            scoring=scoring,
            shortlists=shortlists,
            searches=[],
        )
        searches = [
            _trained_alone(
                parts,
                bound,
                seed,
                folder / f"search_{number}",
                max_seconds=run.seconds,
            )
            for number, bound in enumerate(bounds)
        ]
    return dataclasses.replace(run, searches=searches)


def _shortlisted(
    parts: Parts, bound: float, seed: int, folder: pathlib.Path, number: int
) -> tuple[list[Mapping[str, Any]], float]:
    """Returns the best networks by shared weights under a limit.

    The second is the seconds of the supernet's training, 0 of all but the first
    limit.
    """
    from keras_evonas import EvoOracle
    from keras_evonas import OneShotTuner
    from keras_evonas import at_most
    from keras_evonas.evolution import random_search
    from keras_evonas.supernets import single_path

    project = folder / f"scores_{number}"
    if number:
        supernet = folder / "scores_0" / "supernet"
        shutil.copytree(supernet, project / "supernet")
    oracle = EvoOracle(
        "val_loss",
        _SCORED.value,
        strategy=random_search(),
        constraints=[at_most(_COST, bound)],
        seed=seed,
    )
    ends: list[float] = []
    tuner = OneShotTuner(
        oracle,
        _network(parts, _EPOCHS.value),
        sharing=single_path(_EPOCHS.value),
        on_trial_end=lambda _: ends.append(time.perf_counter()),
        directory=folder,
        project_name=project.name,
        verbose=0,
    )
    begun = time.perf_counter()
    tuner.search(
        *parts.training,
        batch_size=_BATCH,
        validation_data=parts.validation,
        validation_batch_size=500,
        verbose=0,
    )
    best = oracle.get_best_trials(_SHORTLIST.value)
    values = [trial.hyperparameters.values for trial in best]
    return values, 0.0 if number else ends[0] - begun


def _trained_alone(
    parts: Parts,
    bound: float,
    seed: int,
    folder: pathlib.Path,
    *,
    max_trials: int | None = None,
    max_seconds: float | None = None,
    initial_population: Sequence[Mapping[str, Any]] | None = None,
) -> list[Trial]:
    """Searches by trials, and returns them in the order of their ends."""
    from keras_evonas import EvolutionarySearch
    from keras_evonas import at_most

    ended: list[tuple[float, str, float]] = []

    def on_trial_end(trial: "keras_tuner.engine.trial.Trial") -> None:
        seconds = time.perf_counter() - begun
        if trial.status == "COMPLETED":
            ended.append((seconds, trial.trial_id, trial.score))

    begun = time.perf_counter()
    tuner = EvolutionarySearch(
        _network(parts, _EPOCHS_ALONE.value),
        "val_accuracy",
        max_trials,
        max_seconds=max_seconds,
        initial_population=initial_population,
        constraints=[at_most(_COST, bound)],
        keep_checkpoints="all",
        seed=seed,
        on_trial_end=on_trial_end,
        directory=folder.parent,
        project_name=folder.name,
        verbose=0,
    )
    tuner.search(
        *parts.training,
        batch_size=_BATCH,
        epochs=_EPOCHS_ALONE.value,
        validation_data=parts.validation,
        verbose=0,
    )
    trials, best = [], -1.0
    for seconds, trial_id, score in ended:
        tested = None
        if score > best:
            best = score
            model = tuner.load_model(tuner.oracle.get_trial(trial_id))
            tested = 100 * accuracy_of(model, parts.held_out)
        trials.append(Trial(seconds=seconds, score=score, tested=tested))
    return trials


def _network(parts: Parts, epochs: int) -> "CellNetwork":
    from keras_evonas.benchmarks.networks import cell_network

    return cell_network(
        parts.input_shape,
        steps=parts.steps(epochs, _BATCH),
        stages=2,
        filters=_FILTERS.value,
    )


def largest_cost(hypermodel: "CellNetwork") -> float:
    """Returns the multiply-adds of the network with the dearest operations."""
    import keras_tuner

    from keras_evonas import HypermodelCosts

    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)
    choices = [one for one in hp.space if len(getattr(one, "values", ())) > 1]
    costs = HypermodelCosts(hypermodel)
    largest = 0.0
    for option in choices[0].values:
        hp.values = {one.name: option for one in choices}
        largest = max(largest, costs(hp).multiply_adds)
    return largest


def tested_at(trials: Sequence[Trial], seconds: float) -> float:
    """Returns the accuracy of the best trial so far, NaN before the first."""
    tested = [
        one.tested
        for one in trials
        if one.seconds <= seconds and one.tested is not None
    ]
    return tested[-1] if tested else float("nan")


def report(limits: Sequence[float], runs: Sequence[Run]) -> str:
    """Returns the table, and what a supernet costs in trainings alone."""
    header = ["limit", "supernet, shortlist"]
    header += [f"trials, {part:.0%} of its seconds" for part in _PARTS]
    header += ["trainings until as good"]
    rows = []
    for number, limit in enumerate(limits):
        shared = [tested_at(x.shortlists[number], float("inf")) for x in runs]
        searched = [
            [tested_at(x.searches[number], part * x.seconds) for x in runs]
            for part in _PARTS
        ]
        means = [summaries.summary(column) for column in (shared, *searched)]
        cells = summaries.compared(means, digits=2, best="max")
        needed = [
            trainings_until(run.searches[number], accuracy)
            for run, accuracy in zip(runs, shared, strict=True)
        ]
        rows.append([f"{limit:.0%}", *cells, ", ".join(needed)])
    mean = statistics.mean
    alone = mean(
        trials[-1].seconds / len(trials)
        for run in runs
        for trials in run.searches
        if trials
    )
    supernet = mean(run.supernet for run in runs)
    scoring = mean(seconds for run in runs for seconds in run.scoring)
    return (
        f"{summaries.table(header, rows)}\n\n"
        f"Held-out accuracy in percent, {len(runs)} seeds ± standard error. "
        f"The supernet was trained in {supernet:.0f} s, as long as "
        f"{supernet / alone:.1f} trainings alone of {alone:.1f} s, and "
        f"{_SCORED.value} networks under a limit were scored in {scoring:.0f} "
        f"s; {_SHORTLIST.value} of them were trained alone. Cells of "
        f"NAS-Bench-201 in two stages with {_FILTERS.value} filters, "
        f"{_EXAMPLES.value} images of {name_of(_IMAGES.value)} at half the "
        f"resolution, {_EPOCHS.value} epochs of a supernet, "
        f"{_EPOCHS_ALONE.value} alone; {command.machine()}.\n"
    )


def trainings_until(trials: Sequence[Trial], accuracy: float) -> str:
    """Returns after how many trainings a search was as good, or more than all.

    A search counts as good as the network that it would name by then.
    """
    for number, trial in enumerate(trials, start=1):
        if trial.tested is not None and trial.tested >= accuracy:
            return str(number)
    return f">{len(trials)}"
