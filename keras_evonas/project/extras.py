"""Libraries that only the reports need."""

import importlib
import types

from keras_evonas.installation import how_to_install


def load(module: str, package: str) -> types.ModuleType:
    """Imports an optional module, which a package of another name may have.

    Raises:
        ImportError: If it is not installed, with how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"Reports need the package '{package}', which could not be "
            "imported. Install what reports need with "
            f"{how_to_install('reports')}. ({error})"
        ) from error
