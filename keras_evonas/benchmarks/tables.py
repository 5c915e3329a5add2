"""Tabular benchmarks: every genome of a space, trained beforehand.

A table is one `.npz` file in this format:

| key | shape, type | meaning |
|---|---|---|
| `genomes` | `(n, d)` integers | one row a genome; entry `j` is an index into the values of gene `j` |
| `sizes` | `(d,)` integers | number of values of each gene |
| `ordinal` | `(d,)` booleans | whether the values of a gene are ordered |
| `names` | `(d,)` strings | names of the genes |
| `values_json` | string | JSON list of the `d` lists of values |
| `observed` | `(n, s)` floats | scores of single training runs, one column a run |
| `true` | `(n,)` floats | scores that a regret is measured by, such as the mean over runs |
| `direction` | string | `"max"` or `"min"` |

Any other key with one number a genome is a cost, such as `flops`; the rest is
ignored. Each evaluation in a search sees one column, drawn at random, in place
of a training run.
"""  # noqa: E501

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace

_KEYS = (
    *("genomes", "sizes", "ordinal", "names", "values_json", "observed"),
    *("true", "direction"),
)
_SIGN = {"max": -1.0, "min": 1.0}


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A search space with the result of every genome.

    Args:
        name: Name of the table.
        space: The search space.
        rows: Mapping from tuples of value indices to row numbers.
        observed: `(n, s)` array of losses of single training runs.
        true: `(n,)` array of losses that a regret is measured by.
        costs: Mapping of names to `(n,)` arrays of costs.
    """

    name: str
    space: SearchSpace
    rows: Mapping[tuple[int, ...], int]
    observed: np.ndarray
    true: np.ndarray
    costs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def _bounds(self) -> tuple[float, float]:
        return float(self.true.min()), float(np.median(self.true))

    @functools.cached_property
    def _domains(self) -> list[tuple[str, Categorical]]:
        return [
            (gene.name, gene.domain)
            for gene in self.space.genes
            if isinstance(gene.domain, Categorical)
        ]

    def row(self, genome: Genome) -> int | None:
        """Returns the row of a genome, `None` if the table lacks it."""
        indices = tuple(
            domain.index(genome[name]) for name, domain in self._domains
        )
        return self.rows.get(indices)

    def row_of(self, genome: Genome) -> int:
        """Returns the row of a genome, or raises a `KeyError`."""
        row = self.row(genome)
        if row is None:
            raise KeyError(f"table '{self.name}' lacks {dict(genome)}")
        return row

    def evaluate(
        self, genome: Genome, seed: int, evaluation: int
    ) -> float | None:
        """Returns the loss of a run that seed and number of evaluation draw.

        It is `None` if the table lacks the genome, a failed training.
        """
        row = self.row(genome)
        if row is None:
            return None
        runs = self.observed.shape[1]
        column = int(rng_at(seed, evaluation).integers(runs))
        return float(self.observed[row, column])

    def regret(self, genome: Genome) -> float:
        """Returns the regret by true losses: 0 for the best, 1 for a median."""
        best, median = self._bounds
        return (float(self.true[self.row_of(genome)]) - best) / (median - best)


def table_paths(given: Iterable[str]) -> list[str]:
    """Returns the paths of tables: those given, and all in folders among them.

    Raises:
        ValueError: If a folder holds none.
    """
    found: list[str] = []
    for path in map(pathlib.Path, given):
        paths = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not paths:
            raise ValueError(
                "`--tables` must name `.npz` files or folders that hold some. "
                f"Received: '{path}', which holds none."
            )
        found += map(str, paths)
    return found


def read_table(path: str | pathlib.Path) -> Table:
    """Reads a table; see this module for the format.

    Raises:
        ValueError: If the file does not follow the format. The error names
            the key, the expected content and the correction.
    """
    path = pathlib.Path(path)
    content = _load(path)
    try:
        return _table(path.stem, content)
    except ValueError as error:
        raise ValueError(f"The table '{path}' must be mended: {error}") from (
            error
        )


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(
            f"The table '{path}' must be a `.npz` file of plain arrays, "
            "written by `numpy.savez_compressed`. Received a file that NumPy "
            f"does not read: {error}"
        ) from error


def _table(name: str, content: dict[str, np.ndarray]) -> Table:
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ValueError(
            f"it must hold the keys {list(_KEYS)}. Missing: {missing}."
        )
    direction = str(content["direction"])
    _check(
        direction in _SIGN,
        "`direction` must be 'max' or 'min'",
        f"direction={direction!r}",
    )
    genomes, genes = _genes(content)
    count, sign = len(genomes), _SIGN[direction]
    observed, true = _scores(content, count)
    rows = {tuple(row): index for index, row in enumerate(genomes.tolist())}
    _check(
        len(rows) == count,
        "`genomes` must hold each configuration once",
        f"{count - len(rows)} repeated rows. Put repeated runs into the "
        "columns of `observed`",
    )
    costs = {
        key: array.astype(float)
        for key, array in content.items()
        if key not in _KEYS
        and array.shape == (count,)
        and array.dtype.kind in "fiu"
    }
    space = SearchSpace(genes)
    return Table(name, space, rows, sign * observed, sign * true, costs)


def _check(is_met: bool, wanted: str, received: str) -> None:
    if not is_met:
        raise ValueError(f"{wanted}. Received: {received}.")


def _genes(content: dict[str, np.ndarray]) -> tuple[np.ndarray, list[Gene]]:
    genomes, sizes = content["genomes"], content["sizes"]
    _check(
        genomes.ndim == 2 and genomes.dtype.kind in "iu" and genomes.size > 0,
        "`genomes` must be a two-dimensional array of integers that is not "
        "empty",
        f"shape {genomes.shape}, {genomes.dtype}",
    )
    number = genomes.shape[1]
    for key in ("sizes", "ordinal", "names"):
        _check(
            content[key].shape == (number,),
            f"`{key}` must have one entry for each of the {number} genes of "
            "`genomes`",
            f"shape {content[key].shape}",
        )
    names = [str(name) for name in content["names"]]
    _check(len(set(names)) == number, "`names` must be distinct", f"{names}")
    values = _values(content["values_json"], names, sizes)
    outside = (genomes < 0) | (genomes >= sizes)
    if outside.any():
        row, gene = np.argwhere(outside)[0]
        raise ValueError(
            f"`genomes` must be from 0 to below `sizes`. Received: "
            f"{genomes[row, gene]} in row {row} for the gene "
            f"'{names[gene]}', which has {sizes[gene]} values."
        )
    return genomes, [
        Gene(name, (Grid if ordered else Categorical)(choices))
        for name, ordered, choices in zip(
            names, content["ordinal"].tolist(), values, strict=True
        )
    ]


def _values(
    encoded: np.ndarray, names: list[str], sizes: np.ndarray
) -> list[tuple[Any, ...]]:
    try:
        values = json.loads(str(encoded))
    except json.JSONDecodeError as error:
        message = f"`values_json` must be JSON. Received: {error}"
        raise ValueError(message) from error
    is_lists = isinstance(values, list) and all(
        isinstance(choices, list) for choices in values
    )
    _check(
        is_lists and [len(choices) for choices in values] == sizes.tolist(),
        f"`values_json` must be a list with the values of {names}, as many as "
        f"`sizes` says: {sizes.tolist()}",
        f"{values}",
    )
    return [tuple(choices) for choices in values]


def _scores(
    content: dict[str, np.ndarray], rows: int
) -> tuple[np.ndarray, np.ndarray]:
    observed, true = content["observed"], content["true"]
    _check(
        observed.ndim == 2 and len(observed) == rows and observed.size > 0,
        "`observed` must have a row for each row of `genomes` and a column for "
        "each run",
        f"shape {observed.shape} for {rows} rows",
    )
    _check(
        true.shape == (rows,),
        "`true` must have an entry for each row of `genomes`",
        f"shape {true.shape} for {rows} rows",
    )
    for key, scores in (("observed", observed), ("true", true)):
        is_number = scores.dtype.kind in "fiu"
        _check(is_number, f"`{key}` must hold numbers", f"{scores.dtype}")
        bad = np.argwhere(~np.isfinite(scores))
        if len(bad):
            raise ValueError(
                f"`{key}` must be finite. Received: {scores[tuple(bad[0])]} in "
                f"row {bad[0][0]}, and {len(bad)} such entries in all. Drop "
                "these rows, or write the worst score for a failed run."
            )
    median = np.median(true)
    _check(
        median not in (true.min(), true.max()),
        "`true` must tell the best from the median configuration",
        f"{true.min()} to {true.max()}, median {median}",
    )
    return observed.astype(float), true.astype(float)
