"""Shares the project folders of `tests.folders`."""

from tests.folders import forty
from tests.folders import judged
from tests.folders import new_project

__all__ = ["forty", "judged", "new_project"]
