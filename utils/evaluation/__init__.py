"""Every metric, from recorded probabilities alone: no model, no pictures, no Keras.

The functions take a `records.Predictions`, check it, convert its probabilities to float64 rows that
sum to one, and never change it. The arithmetic is scikit-learn's, SciPy's and statsmodels'.

Records hold float16, where everything above 0.9998 is stored as 1. The *other* classes' small
probabilities keep their digits, so dividing each row by its sum recovers most of what the top one
lost: "the ten most confident" stay ten different values.
"""
# ruff: noqa: F401, I001

from utils.evaluation.calibration import at_threshold, coverage_curve, temperature, threshold_for
from utils.evaluation.calibration import with_temperature
from utils.evaluation.comparison import compare, compare_all, difference, ensemble
from utils.evaluation.metrics import AVERAGES, BINS, Summary, accuracy_interval, calibration_error
from utils.evaluation.metrics import check, confusion, most_confident, most_confused
from utils.evaluation.metrics import reliability_table, report, summary
