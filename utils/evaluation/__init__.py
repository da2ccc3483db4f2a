"""Every metric, from recorded probabilities alone: no model, no pictures, no Keras.

The functions take a `records.Predictions` (or anything with its attributes): ``probabilities``
(n, k), ``labels`` (n,), ``rows`` (n,), ``copies`` (n,) and ``expressions`` (k names). They check
it, bring its probabilities to float64 rows that sum to one, and never change it.

Records hold float16, where everything above 0.9998 is stored as 1. The *other* classes' small
probabilities keep their digits, so dividing each row by its sum recovers most of what the top
one lost: "the ten surest" stay ten different values.

`accuracy`, `classes` and `probabilities` hold the metrics, `summaries` a line of them and a
table. How sure they are: `resampling` (bootstrap), `several` (two runs or more on the same
pictures), `spread` (seeds), `calibration` and `abstention`.
"""

from utils.evaluation.abstention import (
    Answered,
    at_coverage,
    at_threshold,
    coverage_curve,
    risk_coverage_area,
    threshold_for,
)
from utils.evaluation.accuracy import accuracy_interval, top_k_accuracy, wilson_bounds
from utils.evaluation.calibration import (
    BINS,
    calibration_by_class,
    calibration_error,
    classwise_calibration_error,
    reliability_table,
    temperature,
    with_temperature,
)
from utils.evaluation.checks import EPSILON, SUM_TOLERANCE, Checked, check
from utils.evaluation.classes import AVERAGES, confusion, most_confused, report, row_shares
from utils.evaluation.probabilities import brier_score, log_loss, surest
from utils.evaluation.resampling import STATISTICS, Statistic, bootstrap, bootstrap_difference
from utils.evaluation.several import (
    Difference,
    agreement,
    agreement_counts,
    compare_all,
    difference,
    difference_matrix,
    f1_by_class,
    holm,
    together,
)
from utils.evaluation.spread import SeedSpread, seeds, seeds_interval
from utils.evaluation.summaries import Summary, compare, summary

__all__ = [
    "AVERAGES",
    "BINS",
    "EPSILON",
    "STATISTICS",
    "SUM_TOLERANCE",
    "Answered",
    "Checked",
    "Difference",
    "SeedSpread",
    "Statistic",
    "Summary",
    "accuracy_interval",
    "agreement",
    "agreement_counts",
    "at_coverage",
    "at_threshold",
    "bootstrap",
    "bootstrap_difference",
    "brier_score",
    "calibration_by_class",
    "calibration_error",
    "check",
    "classwise_calibration_error",
    "compare",
    "compare_all",
    "confusion",
    "coverage_curve",
    "difference",
    "difference_matrix",
    "f1_by_class",
    "holm",
    "log_loss",
    "most_confused",
    "reliability_table",
    "report",
    "risk_coverage_area",
    "row_shares",
    "seeds",
    "seeds_interval",
    "summary",
    "surest",
    "temperature",
    "threshold_for",
    "together",
    "top_k_accuracy",
    "wilson_bounds",
    "with_temperature",
]
