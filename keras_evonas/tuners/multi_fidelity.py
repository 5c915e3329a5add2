"""keras-tuner's Tuner, with trials of different lengths."""

import keras
import keras_tuner

from keras_evonas.oracles.fidelity import PREFIX
from keras_evonas.project.files import read_json
from keras_evonas.training.checkpoints import build_again


class MultiFidelityTuner(keras_tuner.Hyperband):
    """keras-tuner's Tuner, for an oracle that says how long to train.

    `keras_tuner.Tuner` trains every trial from the beginning and for the same
    number of epochs, whatever the oracle says; `keras_tuner.Hyperband` can do
    better, but brings its own oracle. This one is called as
    `keras_tuner.Tuner` is, and trains as `keras_tuner.Hyperband` does: up to
    the epochs of the trial's rung, and a promoted trial goes on from the
    weights of its best epoch so far. Deviation from it: the optimizer goes on
    from its state of that epoch, too, instead of from none.

    Args:
        oracle: Instance of a `keras_tuner.Oracle`, for example an `EvoOracle`
            with the strategy `successive_halving(max_epochs=27)`.
        hypermodel: As in `keras_tuner.Tuner`.
        **kwargs: As in `keras_tuner.Tuner`.

    Example:

    ```python
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=100,
        strategy=successive_halving(max_epochs=27, min_epochs=3),
    )
    tuner = MultiFidelityTuner(oracle=oracle, hypermodel=build_model)
    tuner.search(x, y, validation_data=(x_val, y_val))
    ```
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: object = None,
        **kwargs: object,
    ) -> None:
        # Not Hyperband's, which would make its own oracle.
        keras_tuner.Tuner.__init__(
            self, oracle=oracle, hypermodel=hypermodel, **kwargs
        )

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras_tuner.Tuner._build_hypermodel(self, hp)
        parent = hp.values.get(f"{PREFIX}trial_id")
        if parent is not None:
            if not model.built:
                path = self._get_build_config_fname(parent)
                build_again(model, read_json(path))
            # keras-tuner 1.4.8 loads into an optimizer without variables,
            # and Keras skips what it cannot place.
            if model.optimizer is not None:
                model.optimizer.build(model.trainable_variables)
            model.load_weights(self._get_checkpoint_fname(parent))
        return model
