"""Two lines, scikit-learn's way: digits, and diabetes beside `Ridge`.

`--data=diabetes` prints the R² on a quarter of the patients that no search has
seen, once for each seed, and the medians.
"""

import os
import statistics
import time
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app
from absl import flags
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_evonas.sklearn import EvoClassifier
from keras_evonas.sklearn import EvoRegressor

FLAGS = flags.FLAGS
flags.DEFINE_enum("data", "digits", ["digits", "diabetes"], "What to learn.")
flags.DEFINE_integer("max_trials", 6, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", None, "Epochs at most.", lower_bound=1)
flags.DEFINE_integer("seeds", 1, "How often, from seed 0 on.", lower_bound=1)


def digits(seed: int) -> list[float]:
    x, x_test, y, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=seed
    )
    classifier = EvoClassifier(
        max_trials=FLAGS.max_trials, epochs=FLAGS.epochs, random_state=seed
    )
    classifier.fit(x, y)
    return [classifier.score(x_test, y_test)]


def diabetes(seed: int) -> list[float]:
    x, x_test, y, y_test = train_test_split(
        *load_diabetes(return_X_y=True), random_state=seed
    )
    regressor = EvoRegressor(
        max_trials=FLAGS.max_trials, epochs=FLAGS.epochs, random_state=seed
    )
    regressor.fit(x, y)
    linear = Ridge(), make_pipeline(StandardScaler(), Ridge())
    models = regressor, *(model.fit(x, y) for model in linear)
    return [model.score(x_test, y_test) for model in models]


def main(argv: Sequence[str]) -> None:
    """Searches once for each seed, and prints the held-out scores."""
    del argv
    run, names = {
        "digits": (digits, ["accuracy"]),
        "diabetes": (diabetes, ["R²", "Ridge", "Ridge of scaled data"]),
    }[FLAGS.data]
    scores = []
    for seed in range(FLAGS.seeds):
        begin, cpu = time.perf_counter(), time.process_time()
        scores.append(run(seed))
        print(
            f"seed {seed}: {_line(names, scores[-1])}; "
            f"{time.perf_counter() - begin:.0f} s, "
            f"{time.process_time() - cpu:.0f} s of a CPU"
        )
    medians = [
        statistics.median(column) for column in zip(*scores, strict=True)
    ]
    print(f"held out, the median: {_line(names, medians)}")


def _line(names: list[str], values: list[float]) -> str:
    return ", ".join(f"{n} {v:.3f}" for n, v in zip(names, values, strict=True))


if __name__ == "__main__":
    app.run(main)
