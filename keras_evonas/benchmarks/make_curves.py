"""Makes a table with learning curves: trains every network of a small space.

The table is for `python -m keras_evonas.benchmarks curves`, and so tells which
search finds good networks of such a space, and on such data, in fewest epochs.

```sh
python -m keras_evonas.benchmarks make_curves --hypermodel=my_module:build \
    --data=fashion_mnist.npz --examples=2500 --epochs=27 --out=mine.npz
```

`build` is a function of hyperparameters, or a `keras_tuner.HyperModel`, whose
space has no conditions and no continuous ranges. What was trained stays in the
folder `mine`, and a second run goes on from there.
"""

import importlib
import json
import math
import pathlib
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.space import SearchSpace

if TYPE_CHECKING:
    from keras_tuner.engine import trial as trial_lib

    from keras_evonas.project.trials import Trial
    from keras_evonas.tuners.shorthand import EvolutionarySearch

FLAGS = command.Flags()
_HYPERMODEL = FLAGS.string(
    "hypermodel", None, "Module and name of a hypermodel: `my_module:build`."
)
_DATA = FLAGS.images("data")
_EXAMPLES = FLAGS.positive("examples", 2500, "Images to train on.")
_EPOCHS = FLAGS.positive("epochs", 27, "Epochs of a whole training.")
_OBJECTIVE = FLAGS.string("objective", "val_accuracy", "What is recorded.")
_OUT = FLAGS.string("out", "curves.npz", "The table to write.")


def main() -> None:
    """Trains the networks that are missing, and writes the table."""
    with command.usage_errors():
        count = make_curve_table(
            _hypermodel(_HYPERMODEL.value),
            images(_DATA.value, _EXAMPLES.value, halved=True),
            _OUT.value,
            epochs=_EPOCHS.value,
            objective=_OBJECTIVE.value,
        )
    print(f"wrote {_OUT.value}: {count} networks")


def make_curve_table(
    hypermodel: object,
    parts: Parts,
    path: str,
    *,
    epochs: int,
    objective: str = "val_accuracy",
) -> int:
    """Trains every network of a space, and writes a table with their curves.

    A network's true score is that on the held-out examples, with the weights
    of its best epoch. Networks that fail are left out. The trainings are kept
    in the folder of the path without its suffix. Returns the number of networks
    in the table.

    Raises:
        ValueError: If the space has conditions or continuous ranges, if the
            objective is no metric of the validation, or if no network was
            trained.
    """
    # Keras is loaded only where networks are trained.
    import keras_tuner

    from keras_evonas.evolution import random_search
    from keras_evonas.hyperparameters import to_space
    from keras_evonas.project.reading import load
    from keras_evonas.tuners.shorthand import EvolutionarySearch

    if not objective.startswith("val_"):
        raise ValueError(
            "`objective` must be a metric of the validation. Received: "
            f"objective={objective!r}. Pass for example 'val_accuracy'."
        )
    out = pathlib.Path(path)
    hp = keras_tuner.HyperParameters()
    build: Any = getattr(hypermodel, "build", hypermodel)
    build(hp)  # Registers all hyperparameters.
    domains = _domains(to_space(hp))
    tuner = EvolutionarySearch(
        hypermodel,
        objective,
        math.prod(len(domain.values) for domain in domains.values()),
        strategy=random_search(),
        seed=0,
        keep_checkpoints="all",
        directory=out.parent,
        project_name=out.stem,
    )
    tuner.search(
        *parts.training, epochs=epochs, validation_data=parts.validation
    )
    trials = load(tuner.project_dir).completed
    if not trials:
        raise ValueError(
            f"`hypermodel` must build networks that can be trained. Received: "
            f"{hypermodel!r}, none of whose networks was."
        )
    np.savez_compressed(out, **_content(tuner, trials, parts, domains, epochs))
    return len(trials)


def _content(
    tuner: "EvolutionarySearch",
    trials: Sequence["Trial"],
    parts: Parts,
    domains: Mapping[str, Categorical],
    epochs: int,
) -> dict[str, Any]:
    """Returns the arrays of a table; see `curve_tables`."""
    objective = tuner.oracle.objective
    curves = np.full((len(trials), epochs), np.nan)
    for row, trial in zip(curves, trials, strict=True):
        for epoch, score in trial.curves[objective.name]:
            row[int(epoch) - 1] = score
    curves = _without_gaps(curves, objective.direction)
    known = tuner.oracle.trials
    return {
        "genomes": np.array(
            [
                [one.index(trial.values[name]) for name, one in domains.items()]
                for trial in trials
            ]
        ),
        "sizes": np.array([one.size for one in domains.values()]),
        "ordinal": np.array([one.ordered for one in domains.values()]),
        "names": np.array(list(domains)),
        "values_json": json.dumps([[*x.values] for x in domains.values()]),
        "observed": curves[:, -1:],
        "true": np.array(
            [_tested(tuner, known[one.trial_id], parts) for one in trials]
        ),
        "direction": objective.direction,
        "curves": curves.astype(np.float32),
    }


def _domains(space: SearchSpace) -> dict[str, Categorical]:
    domains = {}
    for gene in space.genes:
        if gene.conditions or not isinstance(gene.domain, Categorical):
            kind = "a condition" if gene.conditions else "a continuous range"
            raise ValueError(
                "`hypermodel` must have a space whose networks can be listed. "
                f"Received: the hyperparameter '{gene.name}' with {kind}. Use "
                "`hp.Choice`, `hp.Boolean`, and `hp.Int` or `hp.Float` with a "
                "`step`, each outside of any condition."
            )
        domains[gene.name] = gene.domain
    return domains


def _without_gaps(curves: np.ndarray, direction: str) -> np.ndarray:
    """Writes the worst score for epochs without one, such as those of NaN."""
    finite = curves[np.isfinite(curves)]
    worst = finite.min() if direction == "max" else finite.max()
    return np.where(np.isfinite(curves), curves, worst)


def _tested(
    tuner: "EvolutionarySearch", trial: "trial_lib.Trial", parts: Parts
) -> float:
    logs = tuner.load_model(trial).evaluate(
        *parts.held_out, batch_size=500, verbose=0, return_dict=True
    )
    return float(logs[tuner.oracle.objective.name.removeprefix("val_")])


def _hypermodel(named: str | None) -> object:
    module, _, name = (named or "").partition(":")
    sys.path.insert(0, "")  # A module of the user's own, where it is run.
    try:
        return getattr(importlib.import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(
            "`--hypermodel` must name a module that can be imported and a "
            f"hypermodel in it, as in `my_module:build`. Received: {named!r}, "
            f"which gives {error!r}."
        ) from error
