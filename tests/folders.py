"""Project folders to read, written as a search writes them."""

import json
import math
import shutil

import pytest

from keras_evonas.evolution import Engine
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.project import spaces as space_lib
from keras_evonas.project.files import write_json
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from keras_evonas.project.record import Terms

# As keras-tuner saves hyperparameters: `momentum` only with `sgd`.
SPACE = [
    {
        "class_name": "Choice",
        "config": {
            "name": "optimizer",
            "default": "adam",
            "conditions": [],
            "values": ["adam", "sgd"],
            "ordered": False,
        },
    },
    {
        "class_name": "Int",
        "config": {
            "name": "units",
            "default": 32,
            "conditions": [],
            "min_value": 16,
            "max_value": 256,
            "step": 16,
            "sampling": "linear",
        },
    },
    {
        "class_name": "Float",
        "config": {
            "name": "learning_rate",
            "default": 0.01,
            "conditions": [],
            "min_value": 1e-4,
            "max_value": 1.0,
            "step": None,
            "sampling": "log",
        },
    },
    {
        "class_name": "Float",
        "config": {
            "name": "momentum",
            "default": 0.9,
            "conditions": [
                {
                    "class_name": "Parent",
                    "config": {"name": "optimizer", "values": ["sgd"]},
                }
            ],
            "min_value": 0.0,
            "max_value": 0.99,
            "step": None,
            "sampling": "linear",
        },
    },
]


def loss_of(genome):
    """A smooth loss with its minimum at a learning rate of 0.01."""
    away = math.log10(genome["learning_rate"]) + 2
    return away**2 + (256 - genome["units"]) / 1000 + 0.01


def rename(space, names):
    """A space with other names, conditions included."""
    text = json.dumps(space)
    for old, new in names.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    return json.loads(text)


class Project:
    """Writes a search into a folder, trial by trial.

    A search of several objectives minimizes the parameters too. `names`
    replaces names and values of the space by others.
    """

    def __init__(self, folder, names=None, objectives=1, seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = rename(SPACE, names or {})
        names = [one["config"]["name"] for one in self.config]
        self._plain = dict(
            zip(names, [one["config"]["name"] for one in SPACE], strict=True)
        )
        self.engine = Engine(
            space_lib.from_config(self.config),
            genetic_algorithm().configure(40),
            seed=seed,
            initial_population=[{}],
        )
        self.objectives = [["val_loss", "min"], ["params", "min"]][:objectives]
        self.record = SearchRecord(folder)
        self.elapsed = 0.0
        write_json(
            folder / "oracle.json",
            {"hyperparameters": {"space": self.config, "values": {}}},
        )
        self.record.begin(
            Terms(
                seed=seed,
                objective=self.objectives,
                strategy="genetic_algorithm()",
                initial_population=[{}],
                max_trials=40,
            )
        )

    def born(self):
        individual = self.engine.ask()
        trial_id = f"{individual.birth:02}"
        self.record.birth(trial_id, individual)
        self._write(trial_id, individual.genome, "RUNNING", None)
        return trial_id, individual

    def ended(self, trial_id, individual, message=None):
        self.elapsed += 1.5
        plain = {
            self._plain[name]: value
            for name, value in individual.genome.items()
        }
        loss = None if message else loss_of(plain)
        status = "FAILED" if message else "COMPLETED"
        self.record.end(
            End(
                trial_id=trial_id,
                status=status,
                score=loss,
                best_step=None if message else 2,
                message=message,
                values=dict(individual.genome),
                elapsed=self.elapsed,
            )
        )
        self.engine.tell(individual.birth, None if loss is None else (loss,))
        metrics = {}
        if loss is not None:
            metrics["val_loss"] = loss
            metrics["params"] = 10.0 * plain["units"]
        self._write(trial_id, individual.genome, status, loss, metrics)

    def _write(self, trial_id, values, status, score, metrics=()):
        folder = self.folder / f"trial_{trial_id}"
        folder.mkdir(exist_ok=True)
        observed = {
            name: {
                "direction": "min",
                "observations": [{"value": [metrics[name]], "step": 2}],
            }
            for name in metrics
        }
        write_json(
            folder / "trial.json",
            {
                "trial_id": trial_id,
                "hyperparameters": {
                    "space": self.config,
                    "values": dict(values),
                },
                "metrics": {"metrics": observed},
                "score": score,
                "best_step": 2,
                "status": status,
                "message": None,
            },
        )
        if score is not None:
            curve = [score * factor for factor in (4.0, 2.0, 1.0, 1.2)]
            write_json(
                folder / "learning_curves.json",
                {
                    "version": 1,
                    "initial_epoch": 0,
                    "executions": [{"val_loss": curve}],
                },
            )

    def run(self, count, fails=()):
        for index in range(count):
            message = None
            if index in fails:
                message = "Traceback\nValueError: no memory for <script>"
            self.ended(*self.born(), message=message)
        return self.folder


@pytest.fixture
def new_project(tmp_path):
    def make(name="project", **options):
        return Project(tmp_path / name, **options)

    return make


@pytest.fixture(scope="session")
def forty(tmp_path_factory):
    """The folder of a search of forty trials, three of them failed."""
    folder = tmp_path_factory.mktemp("searches") / "forty"
    return Project(folder).run(40, fails=(3, 17, 30))


def judge(folder, name="trial 07", gene="units"):
    """Writes what `finalize` and `ablate` write."""

    def runs(scores, message=None):
        found = [
            {"seed": seed, "score": score, "message": None, "params": 1234}
            for seed, score in enumerate(scores, start=1)
        ]
        if message:
            found.append({"seed": 9, "score": None, "message": message})
        return found

    def finalist(name, search, scores, **more):
        return {
            "name": name,
            "search_score": search,
            "honest_scores": scores,
            "runs": runs(scores),
            **more,
        }

    write_json(
        folder / "finalists.json",
        [
            finalist(name, 0.02, [0.03, 0.05], trial_id="07", chosen=True),
            finalist("trial 12", 0.01, [0.06, 0.09, 0.06], trial_id="12"),
            finalist("the default", None, [0.4]),
            finalist("trial 20", 0.05, []),
        ],
    )

    def variant(gene, scores, message=None):
        return {
            "name": f"{gene} put back",
            "of": name,
            "gene": gene,
            "value": 256,
            "default": 32,
            "runs": runs(scores, message),
        }

    write_json(
        folder / "ablation.json",
        [
            {
                "name": name,
                "gene": None,
                "changed": [gene, "rate", "momentum", "broken", "left_out"],
                "objective": "val_loss",
                "direction": "min",
                "runs": runs([0.03, 0.05]),
            },
            variant("broken", [], "ValueError: no"),
            variant("momentum", [0.01, 0.03]),
            variant("rate", [0.04, 0.04]),
            variant(gene, [0.13, 0.25]),
            {**variant("elsewhere", [9.0, 9.0]), "of": "trial 12"},
        ],
    )
    return folder


@pytest.fixture(scope="session")
def judged(forty, tmp_path_factory):
    """The folder of a search whose best networks were judged again."""
    folder = tmp_path_factory.mktemp("judged") / "forty"
    return judge(shutil.copytree(forty, folder))
