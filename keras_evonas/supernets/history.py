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
        folder: Where it is written, and read if it was before.
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
        if not self._path.exists():
            return
        saved = read_json(self._path)
        if saved["genes"] != self._values():
            raise ValueError(
                f"'{folder}' holds a search of other genes: {saved['genes']}. "
                f"Received: {self._values()}. Nothing was changed. Pass "
                "`overwrite=True` to begin anew, or another `project_name` to "
                "keep both."
            )
        self.epochs = saved["epochs"]
        self.skips = saved["skips"]
        self.seed = saved["seed"]

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
