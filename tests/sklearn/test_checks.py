"""scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.estimator_checks import parametrize_with_checks

from keras_evonas.sklearn import EvoClassifier
from keras_evonas.sklearn import EvoRegressor

pytestmark = pytest.mark.keras

ESTIMATORS = [
    estimator(
        max_trials=1, epochs=60, batch_size=16, refit=False, random_state=0
    )
    for estimator in (EvoClassifier, EvoRegressor)
]
# Those that may fail, and why.
_FLOAT32 = (
    "Networks compute in float32, where the place of a row in its batch makes "
    "a difference of about 1e-7; the check allows less."
)
_SPLIT = (
    "The more examples, the more are kept for validation; the check repeats "
    "examples instead of giving them weight."
)
FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": _SPLIT,
    "check_methods_sample_order_invariance": _FLOAT32,
    "check_methods_subset_invariance": _FLOAT32,
}
# Those that train no network.
QUICK = {
    "check_classifiers_one_label",
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_valid_tag_types",
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scikit_learn_has_no_objection_before_any_training(estimator):
    done = set()
    for fresh, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        if name in QUICK:
            check(fresh)
            done.add(name)
    assert len(done) >= len(QUICK) - 1  # One is for classifiers only.


@pytest.mark.slow
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda estimator: FAILURES
)
def test_scikit_learn_has_no_objection(estimator, check):
    check(estimator)
