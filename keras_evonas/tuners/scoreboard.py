"""What networks that were trained anew came to, in a file that grows."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.project.files import write_json
from keras_evonas.project.reading import finalist_of
from keras_evonas.project.search import Finalist
from keras_evonas.tuners.retraining import Run
from keras_evonas.tuners.retraining import Score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network to be judged.

    Args:
        name: String, how it is called; unique.
        values: Mapping, its genome.
        epochs: Integer, how many if nobody says so, or `None`.
        notes: Mapping of what else the file tells about it.
    """

    name: str
    values: Mapping[str, Any]
    epochs: int | None = None
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Scoreboard:
    """The scores of networks, run by run.

    It is written after every score, so that a run that was scored is not
    trained again. Scores of other data or other arguments do not count.

    Args:
        path: The JSON file, a list with an object for each network.
        settings: String, digest of the data and the arguments.
        networks: The networks. Others that the file holds with the same
            settings stay in it.
        overwrite: Boolean, whether to begin anew.

    Raises:
        ValueError: If the file is damaged.
    """

    def __init__(
        self,
        path: pathlib.Path,
        settings: str,
        networks: Sequence[Network],
        *,
        overwrite: bool,
    ) -> None:
        self._path = path
        self._settings = settings
        self._networks = tuple(networks)
        self._scores: dict[str, dict[int, Score]] = {
            network.name: {} for network in networks
        }
        self._others: list[dict[str, Any]] = []
        for entry in () if overwrite else self._read():
            self._take_over(entry)

    def scores(self, network: Network) -> list[Score]:
        """The runs of a network that have ended, by their seeds."""
        found = self._scores[network.name]
        return [found[seed] for seed in sorted(found)]

    def missing(
        self, seeds: Iterable[int], folder: str, *, by_seed: bool = False
    ) -> list[Run]:
        """What is still to be trained.

        Args:
            seeds: The seeds that each network is to be trained with.
            folder: Where callbacks of the runs write, inside of their own.
            by_seed: Boolean, whether all networks of a seed come before the
                next seed.
        """
        runs = [
            run_of(network, seed, folder)
            for network in self._networks
            for seed in seeds
            if not self._is_scored(network, seed)
        ]
        return sorted(runs, key=lambda run: run.seed) if by_seed else runs

    def add(self, name: str, score: Score) -> None:
        """Notes what a run came to, and writes the file."""
        self._scores[name][score.seed] = score
        self.write()

    def write(
        self,
        order: Sequence[Network] | None = None,
        chosen: Network | None = None,
    ) -> None:
        """Writes the file.

        Args:
            order: The networks in the order to write them in.
            chosen: The one that was chosen.
        """
        entries = [
            self._entry(network, network == chosen)
            for network in order or self._networks
        ]
        write_json(self._path, entries + self._others)

    def finalists(
        self, order: Sequence[Network], chosen: Network
    ) -> tuple[Finalist, ...]:
        """The networks as the reports read them."""
        return tuple(
            finalist_of(self._entry(network, network == chosen))
            for network in order
        )

    def _is_scored(self, network: Network, seed: int) -> bool:
        score = self._scores[network.name].get(seed)
        return score is not None and score.score is not None

    def _entry(self, network: Network, chosen: bool) -> dict[str, Any]:
        scores = self.scores(network)
        return {
            "name": network.name,
            **network.notes,
            "values": dict(network.values),
            "epochs": network.epochs,
            "honest_scores": [
                one.score for one in scores if one.score is not None
            ],
            "chosen": chosen,
            "settings": self._settings,
            "runs": [
                {**dataclasses.asdict(one), "metrics": dict(one.metrics)}
                for one in scores
            ],
        }

    def _take_over(self, entry: dict[str, Any]) -> None:
        if entry.get("settings") != self._settings:
            return
        for network in self._networks:
            same = (dict(network.values), network.epochs)
            if same == (entry["values"], entry.get("epochs")):
                self._scores[network.name] = {
                    run["seed"]: Score(**run) for run in entry["runs"]
                }
                return
        self._others.append({**entry, "chosen": False})

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, list):
            raise ValueError(
                f"'{self._path}' must hold a JSON list. Received: something "
                "else; it is damaged or of another program. Pass "
                "`overwrite=True` to train all networks anew."
            )
        return content


def run_of(network: Network, seed: int, folder: str) -> Run:
    """The training of a network with a seed."""
    return Run(
        network=network.name,
        name=f"{folder}/{slug(network)}/seed{seed}",
        values=network.values,
        seed=seed,
        epochs=network.epochs,
    )


def slug(network: Network) -> str:
    """A network's name, fit for a file."""
    return "".join(
        letter if letter.isalnum() or letter in "-." else "_"
        for letter in network.name
    )
