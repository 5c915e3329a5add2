"""Networks that were trained again: their scores, in a file that grows.

`finalists.json` and `ablation.json` are lists with an object for each network.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.project.files import finite
from keras_evonas.project.files import objects_in
from keras_evonas.project.files import parsed
from keras_evonas.project.files import write_json
from keras_evonas.project.search import Finalist

FINALISTS_NAME = "finalists.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network to be trained again."""

    name: str  # Unique, such as `"trial 07"`.
    values: Mapping[str, Any]  # Its genome.
    epochs: int | None = None  # Unless the user names a number.
    # What else the file says about it.
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The name, fit for a file."""
        return re.sub(r"[^\w.-]", "_", self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repeat:
    """One training of a network, with a seed."""

    network: Network
    folder: str  # For the files of callbacks, inside of their own.
    seed: int

    @property
    def name(self) -> str:
        """A unique name: the folder for the files of callbacks."""
        return f"{self.folder}/{self.network.file_name}/seed{self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """The result of a repeat; JSON can hold its fields."""

    seed: int
    score: float | None = None  # The objective on unseen data.
    # All that was measured on unseen data.
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0  # The share of the time that its cohort took.
    params: int | None = None  # Parameters of the network, if known.
    message: str | None = None  # Why there is no score.


class Scoreboard:
    """The scores of networks, repeat by repeat, in a file that grows.

    It is written after every score, so that a repeat that was scored is not
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
        self._scores: dict[str, dict[int, Score]]
        self._scores = {network.name: {} for network in networks}
        self._others: list[dict[str, Any]] = []
        for entry in () if overwrite else self._read():
            self._take_over(entry)

    def scores(self, network: Network) -> list[Score]:
        """Returns the scores of a network in the order of their seeds."""
        found = self._scores[network.name]
        return [found[seed] for seed in sorted(found)]

    def missing(
        self, seeds: Iterable[int], folder: str, *, by_seed: bool = False
    ) -> list[Repeat]:
        """Lists the repeats of each network with each seed without a score.

        With `by_seed` all networks of a seed come before the next seed.
        """
        scored = {
            (name, seed)
            for name, scores in self._scores.items()
            for seed, score in scores.items()
            if score.score is not None
        }
        repeats = [
            Repeat(network=network, folder=folder, seed=seed)
            for network in self._networks
            for seed in seeds
            if (network.name, seed) not in scored
        ]
        return sorted(repeats, key=lambda r: r.seed) if by_seed else repeats

    def add(self, name: str, score: Score) -> None:
        """Adds the score of a repeat, and writes the file."""
        self._scores[name][score.seed] = score
        self.write()

    def write(
        self,
        order: Sequence[Network] | None = None,
        chosen: Network | None = None,
    ) -> None:
        """Writes the file, its networks in an order, and which was chosen."""
        order = order or self._networks
        entries = [self._entry(network, network == chosen) for network in order]
        write_json(self._path, entries + self._others)

    def finalists(
        self, order: Sequence[Network], chosen: Network
    ) -> tuple[Finalist, ...]:
        """Returns the networks as `Search` holds them."""
        return tuple(
            finalist_of(self._entry(network, network == chosen))
            for network in order
        )

    def _entry(self, network: Network, chosen: bool) -> dict[str, Any]:
        scores = self.scores(network)
        return {
            "name": network.name,
            **network.notes,
            "values": dict(network.values),
            "epochs": network.epochs,
            "honest_scores": [x.score for x in scores if x.score is not None],
            "chosen": chosen,
            "settings": self._settings,
            "runs": [{**vars(x), "metrics": dict(x.metrics)} for x in scores],
        }

    def _take_over(self, entry: dict[str, Any]) -> None:
        if entry.get("settings") != self._settings:
            return
        for network in self._networks:
            same = (dict(network.values), network.epochs)
            if same == (entry["values"], entry.get("epochs")):
                runs = [Score(**run) for run in entry["runs"]]
                self._scores[network.name] = {run.seed: run for run in runs}
                return
        self._others.append({**entry, "chosen": False})

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        content = parsed(self._path.read_bytes())
        if not isinstance(content, list):
            raise ValueError(
                f"'{self._path}' must hold a JSON list. Received: something "
                "else; it is damaged or of another program. Pass "
                "`overwrite=True` to train all networks anew."
            )
        return content


def finalist_of(entry: Mapping[str, Any]) -> Finalist:
    """Reads one entry of `finalists.json`."""
    scores = [s for s in entry.get("honest_scores") or () if finite([s])]
    runs = objects_in(entry.get("runs"))
    messages = [run["message"] for run in runs if run.get("message")]
    params = [run["params"] for run in runs if run.get("params") is not None]
    return Finalist(
        name=str(entry.get("name") or f"trial {entry.get('trial_id', '?')}"),
        search_score=entry.get("search_score"),
        honest_scores=tuple(scores),
        trial_id=entry.get("trial_id"),
        values=entry.get("values") or {},
        params=next(iter(params), None),
        chosen=bool(entry.get("chosen")),
        message=next(iter(messages), None),
    )
