"""Several runs on the same pictures: where they differ, and what their mean predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from utils.evaluation.metrics import in_one_order, summary
from utils.records import Predictions


@dataclass(frozen=True)
class Difference:
    """Two runs on the same n pictures: accuracy of the first minus that of the second."""

    n: int
    only_first: int  # pictures that only the first got right
    only_second: int
    difference: float  # in accuracy, -1 … 1; positive where the first is better
    interval: tuple[float, float]  # 95%, normal approximation for paired shares
    p: float  # McNemar's exact test: how often equally good runs differ this much


def difference(first: Predictions, second: Predictions) -> Difference:
    """Compare two runs on the same pictures, picture by picture.

    Two runs are wrong on much the same pictures, so the paired difference is known far better
    than the two intervals of their accuracies suggest. But another seed may differ by as much,
    which it does not account for. For several runs, `compare_all` tells which of them differ.
    McNemar (1947), Psychometrika 12; Agresti (2013), Categorical Data Analysis, §11.1.
    """
    from scipy.stats import norm
    from statsmodels.stats.contingency_tables import mcnemar

    one, two = (run.correct for run in in_one_order([first, second]))
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    shift = one.astype(float) - two
    half = norm.ppf(0.975) * shift.std() / np.sqrt(len(shift))
    return Difference(
        n=len(shift),
        only_first=only_first,
        only_second=only_second,
        difference=float(shift.mean()),
        interval=(float(max(-1, shift.mean() - half)), float(min(1, shift.mean() + half))),
        p=float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue),
    )


def compare_all(runs: Mapping[str, Predictions], correction: str = "holm") -> pd.DataFrame:
    """Compare each pair of several runs: the one place that says which of them differ.

    Among ten comparisons of equal runs, one or more falls below p = 0.05 two times in five. Holm's
    correction (1979, Scandinavian Journal of Statistics 6) counts the comparisons: the chance that
    *any* pair of equally good runs is called different is at most 5 in 100. ``correction`` is a
    method of statsmodels' ``multipletests``.

    Returns
    -------
    DataFrame
        One row per pair, index ``first`` and ``second``: ``n``, ``only_first``, ``only_second``,
        ``difference``, ``low`` and ``high`` (each its own 95% interval), ``p``, all as in
        `Difference`; the corrected ``p_holm`` (or ``p_bonferroni`` …); and ``differ``, whether
        that is 0.05 or less.
    """
    from statsmodels.stats.multitest import multipletests

    in_one_order(runs.values(), least=2)
    pairs = list(combinations(runs, 2))
    found = [vars(difference(runs[first], runs[second])) for first, second in pairs]
    table = pd.DataFrame(found, index=pd.MultiIndex.from_tuples(pairs, names=["first", "second"]))
    table[["low", "high"]] = table.pop("interval").tolist()
    table["p"] = table.pop("p")  # after the interval
    differ, corrected, *_ = multipletests(table["p"], alpha=0.05, method=correction)
    return table.assign(**{f"p_{correction}": corrected, "differ": differ})


def compare(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Put summaries of runs side by side: one row each, the interval as ``low`` and ``high``."""
    table = pd.DataFrame([vars(summary(one)) for one in runs.values()], index=pd.Index(runs))
    ends = pd.DataFrame(table["interval"].tolist(), columns=["low", "high"], index=table.index)
    table = table.drop(columns=["correct", "interval", "interval_without_copies"])
    return pd.concat([table.iloc[:, :2], ends, table.iloc[:, 2:]], axis=1).rename_axis("run")


def ensemble(runs: Mapping[str, Predictions]) -> Predictions:
    """Average what one or more networks predict for the same pictures, with equal weights.

    Networks with other initial weights or architectures are wrong on other pictures, and their
    mean is right more often than most of them (Hansen & Salamon 1990, IEEE PAMI 12). Which ones to
    take is a choice: make it on the validation split. Rows are in the source file's order.
    """
    ordered = in_one_order(runs.values())
    mean = np.mean([one.probabilities for one in ordered], axis=0)
    return Predictions(**{**vars(ordered[0]), "probabilities": mean})
