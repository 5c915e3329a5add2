"""A search with a mutation of your own.

The suite that tells whether the mutation keeps the laws of one:

```python
class TestNudge(keras_evonas.testing.MutationConformance):
    @pytest.fixture
    def operator(self):
        return Nudge()
```
"""

import dataclasses
import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import numpy as np
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas.evolution import Draft
from keras_evonas.evolution import Evolution
from keras_evonas.evolution import SearchSpace
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 20, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("population_size", 8, "Of the evolution.", lower_bound=2)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nudge:
    """Moves one gene to a neighbouring value."""

    def __call__(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Changes one gene."""
        genes = space.mutable(draft.genome)
        if not genes:
            return draft
        gene = genes[int(rng.integers(len(genes)))]
        near = gene.domain.neighbours(draft.genome[gene.name])
        value = near[int(rng.integers(len(near)))]
        return dataclasses.replace(
            draft,
            genome={**draft.genome, gene.name: value},
            operator=f"{draft.operator}+nudge",
        )


def main(argv: Sequence[str]) -> None:
    """Searches, and tells where the best network came from."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        strategy=Evolution(
            population_size=FLAGS.population_size, mutate=Nudge()
        ),
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="own_operator",
    )
    tuner.search(
        *images.train, validation_data=images.validation, epochs=FLAGS.epochs
    )
    best = tuner.oracle.get_best_trials()[0]
    print(f"the family of trial {best.trial_id}, the oldest first:")
    for one in tuner.oracle.lineage(best.trial_id):
        print(
            f"  birth {one.birth}, {one.operator}, parents "
            f"{list(one.parents)}: {-one.losses[0]:.4f}"
        )


if __name__ == "__main__":
    app.run(main)
