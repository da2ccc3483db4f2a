"""Every metric, from recorded probabilities alone: no model, no pictures, no Keras.

The functions take a `records.Predictions`, check it, bring its probabilities to float64 rows
that sum to one, and never change it. The arithmetic is scikit-learn's, SciPy's and statsmodels'.

Records hold float16, where everything above 0.9998 is stored as 1. The *other* classes' small
probabilities keep their digits, so dividing each row by its sum recovers most of what the top
one lost: "the ten most confident" stay ten different values.
"""

# ruff: noqa: F401

from utils.evaluation.calibration import (
    BINS,
    Answered,
    at_threshold,
    calibration_error,
    calibration_error_by_chance,
    coverage_curve,
    reliability_table,
    temperature,
    threshold_for,
    with_temperature,
)
from utils.evaluation.checks import EPSILON, Checked, check, on_shared_classes
from utils.evaluation.comparison import (
    Difference,
    agreement,
    agreement_counts,
    compare,
    compare_all,
    difference,
    ensemble,
    f1_by_class,
)
from utils.evaluation.intervals import (
    STATISTICS,
    SeedSpread,
    accuracy_interval,
    bootstrap,
    seeds,
    seeds_interval,
)
from utils.evaluation.metrics import (
    AVERAGES,
    Summary,
    confusion,
    log_loss,
    most_confident,
    most_confused,
    report,
    row_shares,
    summary,
)
