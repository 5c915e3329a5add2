"""Marks that several test modules need."""

import pytest


def everyday(*names, of):
    """Parameters of which all but some are left to the slow tests."""
    assert set(names) <= set(of)
    return [
        name if name in names else pytest.param(name, marks=pytest.mark.slow)
        for name in of
    ]
