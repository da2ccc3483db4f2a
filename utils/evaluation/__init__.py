"""Every metric, from recorded probabilities alone: no model, no pictures, no Keras.

The functions take a `records.Predictions`, check it, bring its probabilities to float64 rows that
sum to one, and never change it. The arithmetic is scikit-learn's, SciPy's and statsmodels'.

Records hold float16, where everything above 0.9998 is stored as 1. The *other* classes' small
probabilities keep their digits, so dividing each row by its sum recovers most of what the top one
lost: "the ten most confident" stay ten different values.
"""

# ruff: noqa: F401
from utils.evaluation.calibration import (
    Answered,
    at_threshold,
    coverage_curve,
    temperature,
    threshold_for,
    with_temperature,
)
from utils.evaluation.comparison import (
    Difference,
    agreement,
    compare,
    compare_all,
    difference,
    ensemble,
)
from utils.evaluation.intervals import SeedSpread, seeds, seeds_interval
from utils.evaluation.metrics import (
    AVERAGES,
    BINS,
    EPSILON,
    Checked,
    Summary,
    accuracy_interval,
    calibration_error,
    check,
    confusion,
    most_confident,
    most_confused,
    reliability_table,
    report,
    row_shares,
    summary,
)
