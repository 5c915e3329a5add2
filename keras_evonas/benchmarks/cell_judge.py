"""Cells of NAS-Bench-201, judged by a table of trained cells."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution.genes import Genome

# The operations of the table, as `CellNetwork` names them.
_OPERATIONS = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "avg_pool_3x3": "average_pool_3x3",
}
# The column of multiply-adds.
COST = "flops_millions"
# A cell is near the limit from this share of the most expensive one allowed on.
NEAR = 0.9


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CellJudge:
    """Judges cells by a table; `allowed` is true of the rows under a limit."""

    table: Table
    allowed: np.ndarray

    def allows(self, genome: Genome) -> bool:
        """Returns whether a cell is under the limit."""
        return bool(self.allowed[self.table.row_of(genome)])

    def is_near_limit(self, genome: Genome) -> bool:
        """Returns whether a cell costs almost as much as is allowed."""
        costs = self.table.costs[COST]
        most = costs[self.allowed].max()
        return bool(costs[self.table.row_of(genome)] >= NEAR * most)

    def accuracy(self, genome: Genome) -> float:
        """Returns the accuracy of a trained cell, in percent."""
        return -float(self.table.true[self.table.row_of(genome)])

    def rank(self, genome: Genome) -> float:
        """Returns the share of allowed cells that are better."""
        true = self.table.true
        better = true[self.allowed] < true[self.table.row_of(genome)]
        return float(better.mean())

    def largest(self) -> Genome:
        """Returns the most expensive cell that is allowed."""
        costs = np.where(self.allowed, self.table.costs[COST], -np.inf)
        wanted = int(costs.argmax())
        return next(g for g, row in _genomes(self.table) if row == wanted)

    def random(self, seed: int, number: int) -> list[Genome]:
        """Draws cells that are allowed."""
        rng = np.random.default_rng([seed, 201])
        drawn: list[Genome] = []
        while len(drawn) < number:
            genome = self.table.space.sample(rng)
            if self.allows(genome):
                drawn.append(genome)
        return drawn

    def shares(self) -> dict[str, dict[str, float]]:
        """Returns the cost of each operation, by edge.

        That of the largest cell is 1, and that of the smallest 0.
        """
        edges = [gene.name for gene in self.table.space.genes]
        costs = {
            ours: self.table.costs[COST][
                self.table.row_of(dict.fromkeys(edges, name))
            ]
            for name, ours in _OPERATIONS.items()
        }
        low, high = min(costs.values()), max(costs.values())
        scale = (high - low) * len(edges)
        shares = {name: (c - low) / scale for name, c in costs.items()}
        return {_edge_of(edge): shares for edge in edges}


def cell_judge(path: str) -> CellJudge:
    """Reads a table; the limit is half the cost of the largest cell.

    Raises:
        ValueError: If the table has no multiply-adds.
    """
    table = read_table(path)
    if COST not in table.costs:
        raise ValueError(
            f"`--table` must have '{COST}', the multiply-adds of every cell. "
            f"Received: '{path}', which has {sorted(table.costs)}."
        )
    costs = table.costs[COST]
    allowed = costs <= costs.max() / 2
    for genome, row in _genomes(table):
        allowed[row] &= _is_reached(genome)
    return CellJudge(table=table, allowed=allowed)


def _genomes(table: Table) -> Iterator[tuple[Genome, int]]:
    """Yields the genomes of a table with their rows."""
    for places, row in table.rows.items():
        yield (
            {
                gene.name: gene.domain.values[place]  # type: ignore[union-attr]
                for gene, place in zip(table.space.genes, places, strict=True)
            },
            row,
        )


def _is_reached(genome: Genome) -> bool:
    """Returns whether a path leads through a cell.

    Where none does, `CellNetwork` has the identity and the table zeros.
    """
    reached = {0}
    for name, operation in sorted(genome.items()):  # By the end of the edge.
        _, end, start = name.split("_")
        if int(start) in reached and operation != "none":
            reached.add(int(end))
    return 3 in reached


def values_of(genome: Genome) -> dict[str, str]:
    """Returns a cell of the table as values of the hypermodel."""
    return {_edge_of(n): _OPERATIONS[str(v)] for n, v in genome.items()}


def genome_of(judge: CellJudge, values: Mapping[str, Any]) -> Genome:
    """Returns values of the hypermodel as a cell of the table."""
    names = {ours: name for name, ours in _OPERATIONS.items()}
    genes = judge.table.space.genes
    return {gene.name: names[values[_edge_of(gene.name)]] for gene in genes}


def _edge_of(name: str) -> str:
    """Returns our name of an edge: the table names its end first."""
    _, end, start = name.split("_")
    return f"cell/edge_{start}_{end}"
