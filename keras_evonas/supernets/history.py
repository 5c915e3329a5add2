"""The probabilities of all options after each epoch, in a file."""

import pathlib
from collections.abc import Sequence

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json
from keras_evonas.project.option_weights import FILE_NAME
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.stages import Places

Row = dict[str, list[float]]


class History:
    """Keeps what a search by gradients has come to, epoch by epoch.

    Args:
        folder: Where it is written.
        genes: The genes that are searched.

    Attributes:
        epochs: List of the probabilities of each gene's values.
        skips: The places of the values that are skips, by gene.
        seed: Integer, the seed of the search, `None` before it begins.
        planned: Integer, the epochs of the whole search.
    """

    def __init__(
        self, folder: pathlib.Path, genes: Sequence[SharedGene]
    ) -> None:
        self._path = folder / FILE_NAME
        self._genes = genes
        self.epochs: list[Row] = []
        self.skips: Places = {}
        self.seed: int | None = None
        self.planned: int | None = None

    @classmethod
    def read(
        cls, folder: pathlib.Path, genes: Sequence[SharedGene]
    ) -> "History":
        """Reads it, or makes one without epochs."""
        history = cls(folder, genes)
        if not history._path.exists():
            return history
        saved = read_json(history._path)
        if saved["genes"] != history._values():
            raise ValueError(
                f"'{folder}' holds a search of other genes: {saved['genes']}. "
                f"Received: {history._values()}. Nothing was changed. Pass "
                "`overwrite=True` to begin anew, or another `project_name` to "
                "keep both."
            )
        history.epochs = saved["epochs"]
        history.skips = saved["skips"]
        history.seed = saved["seed"]
        return history

    def add(self, probabilities: Row) -> None:
        """Adds an epoch, and writes all of them."""
        self.epochs.append(probabilities)
        content = {
            "version": 1,
            "seed": self.seed,
            "genes": self._values(),
            "skips": self.skips,
            "planned": self.planned,
            "epochs": self.epochs,
        }
        write_json(self._path, content)

    def _values(self) -> dict[str, list[object]]:
        return {gene.name: list(gene.values) for gene in self._genes}
