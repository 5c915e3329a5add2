"""Cells found by gradients: DARTS, SNAS, ProxylessNAS and P-DARTS.

None of them scores a network with the weights that it trains. So the cell is
the likeliest one that is under the limit.
"""

import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from absl import logging

from keras_evonas.benchmarks.datasets import Parts

if TYPE_CHECKING:
    from keras_evonas.models import CellNetwork
    from keras_evonas.supernets import DifferentiableSearch

# The arguments of `differentiable` for each method, but for its epochs.
METHODS: Mapping[str, Mapping[str, Any]] = {
    "darts": {},
    "darts_second_order": {"order": 2},
    "snas": {"gate": "gumbel"},
    "proxyless": {"gate": "binary"},
    "pdarts": {"stages": 3, "skip_dropout": (0, 0.4, 0.7), "max_skips": 2},
}
_WITH_COSTS = ("snas", "proxyless")
# Of the difference in loss between nothing and the largest cell.
_COST_WEIGHT = 0.2
# P-DARTS trains 10 of the 25 epochs of a stage without the architecture.
_WARMUP = 0.4


def cell_by_gradients(
    name: str,
    parts: Parts,
    seed: int,
    *,
    hypermodel_of: Callable[[int], "CellNetwork"],
    epochs: int,
    batch_size: int,
    costs: Mapping[str, Mapping[Any, float]],
    allows: Callable[[Mapping[str, Any]], bool],
) -> dict[str, Any]:
    """Returns the values of the likeliest cell that is allowed.

    Both halves of the training data are looked at: one trains the layers, the
    other the weights of operations. Validation data are not. `hypermodel_of`
    takes the steps of its training, and the `epochs` are those of all stages.
    `costs` are `{gene: {value: cost}}`, between 0 and 1 for a whole cell.
    """
    from keras_evonas.supernets import DifferentiableSearch
    from keras_evonas.supernets import differentiable

    settings = dict(METHODS[name])
    stages = settings.get("stages", 1)
    epochs = max(2, epochs // stages)
    if stages > 1:
        settings["warmup"] = int(_WARMUP * epochs)
    if name in _WITH_COSTS:
        settings |= {"costs": costs, "cost_weight": _COST_WEIGHT}
    x, y = parts.training
    steps = epochs * (len(x) // 2 // batch_size)
    with tempfile.TemporaryDirectory() as folder:
        search = DifferentiableSearch(
            hypermodel_of(steps),
            differentiable(epochs, **settings),
            seed=seed,
            directory=folder,
        )
        search.search(x, y, batch_size=batch_size, verbose=0)
        logging.info("%s, seed %d: %s", name, seed, search.history[-1])
        return _likeliest(search, allows)


def _likeliest(
    search: "DifferentiableSearch", allows: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any]:
    count = 1
    while True:
        found = search.likeliest(count)
        for values in found:
            if allows(values):
                return values
        if len(found) < count:
            raise ValueError("No cell that the search left is allowed.")
        count *= 4
