"""Samples a study with the package beside this file.

```sh
python examples/optunahub/package/samplers/evonas/example.py
```
"""

import pathlib

import optuna
import optunahub


def objective(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["line", "square"])
    x = trial.suggest_float("x", -5.0, 5.0)
    if kind == "line":
        return abs(x) + trial.suggest_float("offset", 0.1, 1.0)
    return (x - 2.0) ** 2


if __name__ == "__main__":
    module = optunahub.load_local_module(
        package="samplers/evonas",
        registry_root=str(pathlib.Path(__file__).parents[2]),
    )
    study = optuna.create_study(sampler=module.EvoSampler(seed=0))
    study.optimize(objective, n_trials=30)
    print(f"the best of 30: {study.best_value:.4f}, {study.best_params}")
