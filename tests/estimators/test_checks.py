"""scikit-learn's own checks of estimators."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from liftax.estimators import LiftedAutoencoder, LiftedClassifier, LiftedRegressor

ESTIMATORS = (LiftedClassifier, LiftedRegressor, LiftedAutoencoder)
# With SCIPY_ARRAY_API none is left out; it must be set before SciPy is imported.
WHOLE = """
import json
import warnings
warnings.simplefilter("ignore")
from sklearn.utils.estimator_checks import check_estimator
import liftax.estimators
found = check_estimator(liftax.estimators.{name}(), on_fail=None, on_skip=None)
bad = [r for r in found if r["status"] != "passed"]
print(json.dumps([len(found), [(r["check_name"], str(r["exception"])) for r in bad]]))
"""
# Of the conventions; those that train for long are in the slow test of all of them.
QUICK = {
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_n_features_in",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
    "check_complex_data",
    "check_estimator_sparse_tag",
    "check_fit1d",
    "check_requires_y_none",
    "check_all_zero_sample_weights_error",
    "check_sample_weights_shape",
    "check_methods_subset_invariance",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_conventions(cls: type) -> None:
    done = set()
    checks: Any = estimator_checks_generator(cls(max_iter=2))
    for estimator, check in checks:
        name = check.func.__name__
        if name in QUICK:
            check(estimator)
            done.add(name)
    assert len(done) >= len(QUICK) - 6  # some are of supervised estimators only


@pytest.mark.slow
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_check_passes_and_none_is_left_out(cls: type) -> None:
    script = WHOLE.format(name=cls.__name__)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )
    assert done.returncode == 0, done.stderr
    count, bad = json.loads(done.stdout.splitlines()[-1])
    assert bad == []
    assert count > 40
