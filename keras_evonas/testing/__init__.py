"""Conformance suites for operators, strategies, oracles and executors.

A suite is a class to derive from and one fixture to write:

```python
class TestMyMutation(keras_evonas.testing.MutationConformance):
    @pytest.fixture
    def operator(self):
        return MyMutation(rate=0.2)
```

The suites need pytest. Names load on first use, and only `OracleConformance`
loads Keras.
"""

import importlib
import sys
from typing import Any

_HOME_OF = {
    "CrossoverConformance": "keras_evonas.testing.operators",
    "ExecutorConformance": "keras_evonas.testing.executors",
    "MutationConformance": "keras_evonas.testing.operators",
    "OracleConformance": "keras_evonas.testing.oracles",
    "Problem": "keras_evonas.testing.spaces",
    "ReplacementConformance": "keras_evonas.testing.operators",
    "SelectionConformance": "keras_evonas.testing.operators",
    "StrategyConformance": "keras_evonas.testing.strategies",
    "conditional_trap": "keras_evonas.testing.spaces",
    "example_spaces": "keras_evonas.testing.spaces",
    "mixed_space": "keras_evonas.testing.spaces",
}

__all__ = sorted(_HOME_OF)

if "pytest" in sys.modules:
    # Makes a failing law show the values that it compared.
    sys.modules["pytest"].register_assert_rewrite(*set(_HOME_OF.values()))


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(
        f"module 'keras_evonas.testing' has no attribute {name!r}"
    )


def __dir__() -> list[str]:
    return list(__all__)
