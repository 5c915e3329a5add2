"""Reports: what a search did, read from its project folder alone.

```python
from keras_evonas import reports

search = reports.load("searches/digits")
print(search.summary())
reports.write_report("searches/digits")  # searches/digits/report.html
```

or `python -m keras_evonas report searches/digits`. Nothing here imports Keras,
so a report can be made while the search runs, after a crash, and elsewhere.
"""

from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.ablation import GeneEffect
from keras_evonas.project.reading import load
from keras_evonas.project.search import Finalist
from keras_evonas.project.search import Objective
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.importance import Importance
from keras_evonas.reports.importance import gene_importance
from keras_evonas.reports.page import write_report

__all__ = [
    "AblationResult",
    "Finalist",
    "GeneEffect",
    "Importance",
    "Objective",
    "Search",
    "Trial",
    "gene_importance",
    "load",
    "write_report",
]
