"""A saved model's layers, read from its `.keras` file without Keras.

A `.keras` file is a zip archive whose `config.json` names every layer.
"""

import dataclasses
import itertools
import json
import pathlib
import zipfile
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from keras_evonas.project import wording
from keras_evonas.project.search import Trial

# Settings that characterize a layer; the others seldom matter.
_SHOWN = (
    *("units", "filters", "kernel_size", "pool_size", "strides"),
    *("rate", "activation", "num_heads", "key_dim"),
)
_LARGEST_CONFIG = 20_000_000


@dataclasses.dataclass(frozen=True)
class Block:
    """A layer, with its class and settings such as `units 64`.

    `inputs` are the names of the layers before it, `shape` that of what it
    takes, such as `(8, 8, 1)`, if known.
    """

    name: str
    kind: str
    details: tuple[str, ...]
    inputs: tuple[str, ...]
    shape: tuple[int | None, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A model's layers in their order, and the file that they are read from.

    The file is relative to the project folder.
    """

    source: str
    blocks: tuple[Block, ...]

    @property
    def is_chain(self) -> bool:
        """True if each layer follows the one before."""
        pairs = itertools.pairwise(self.blocks)
        return all(block.inputs == (before.name,) for before, block in pairs)


def find(folder: pathlib.Path, trial: Trial | None) -> Architecture | None:
    """Reads a trial's saved model, in its folder or the project's only one.

    Without a trial it is the project's.
    """
    own: list[pathlib.Path] = []
    if trial is not None:
        own = sorted((folder / f"trial_{trial.trial_id}").glob("*.keras"))
    shared = sorted(folder.glob("*.keras"))
    for path in [*own, *(shared if len(shared) == 1 else ())]:
        blocks = _blocks(_config(path))
        if blocks:
            return Architecture(str(path.relative_to(folder)), blocks)
    return None


def _config(path: pathlib.Path) -> object:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                return None
            return json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None  # half-written or of another program: no architecture


def _blocks(config: object) -> tuple[Block, ...]:
    layers = _get(_get(config, "config"), "layers")
    if not isinstance(layers, list):
        return ()
    blocks: list[Block] = []
    for layer in layers:
        found = _get(layer, "config")
        settings = found if isinstance(found, dict) else {}
        kind = str(_get(layer, "class_name") or "?")
        name = str(_get(settings, "name") or _get(layer, "name") or kind)
        tensors = list(_tensors(_get(layer, "inbound_nodes")))
        inputs = tuple(dict.fromkeys(t["keras_history"][0] for t in tensors))
        if not inputs and blocks and _get(layer, "inbound_nodes") is None:
            inputs = (blocks[-1].name,)  # a Sequential model names none
        shape = tensors[0].get("shape") if tensors else None
        shape = shape or _get(settings, "batch_shape")
        taken = tuple(shape[1:]) if isinstance(shape, list) else None
        blocks.append(Block(name, kind, _details(settings), inputs, taken))
    return tuple(blocks)


def _details(settings: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for name in _SHOWN:
        value = settings.get(name)
        if isinstance(value, list):
            parts = list(map(str, value))
            same = len(set(parts)) == 1
            value = value[0] if same else f" {wording.TIMES} ".join(parts)
        ordinary = value == 1 and name == "strides"
        plain = isinstance(value, int | float | str) and value != "linear"
        if plain and not ordinary:
            found.append(f"{name.replace('_', ' ')} {value}")
    return tuple(found)


def _tensors(node: object) -> Iterator[dict[str, Any]]:
    """Yields the Keras tensors anywhere inside of a layer's saved arguments."""
    if isinstance(node, list):
        for part in node:
            yield from _tensors(part)
    elif isinstance(node, dict):
        history = node.get("keras_history")
        if isinstance(history, list) and history:
            yield node
        else:
            for part in node.values():
                yield from _tensors(part)


def _get(node: object, key: str) -> object:
    return node.get(key) if isinstance(node, dict) else None
