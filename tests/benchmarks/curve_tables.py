"""A small table with learning curves."""

import json

import numpy as np


def write(path, **changes):
    """Writes 25 networks of two genes whose accuracy rises for 9 epochs."""
    genomes = np.array([(x, y) for x in range(5) for y in range(5)])
    height = 0.9 - 0.02 * ((genomes - (3, 1)) ** 2).sum(1)
    curves = height[:, None] * (1 - 0.5 ** np.arange(1, 10))
    content = {
        "genomes": genomes,
        "sizes": np.array([5, 5]),
        "ordinal": np.array([True, True]),
        "names": np.array(["x", "y"]),
        "values_json": json.dumps([[1, 2, 3, 4, 5]] * 2),
        "observed": curves[:, -1:],
        "true": height,
        "direction": "max",
        "curves": curves.astype(np.float32),
    }
    content.update(changes)
    kept = {key: value for key, value in content.items() if value is not None}
    np.savez(path, **kept)
    return str(path)
