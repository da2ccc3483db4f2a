"""Several runs on the same pictures: where they differ, where they agree, what they say together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from utils.evaluation.checks import in_one_order
from utils.evaluation.metrics import AVERAGES, report, summary
from utils.records import Predictions
from utils.runtime import DataError

#: 95 % of a normal distribution lie within so many standard deviations.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Difference:
    """Two runs on the same pictures: accuracy of the first less that of the second.

    Attributes
    ----------
    n : int
        Pictures.
    only_first, only_second : int
        Pictures that only the one run named rightly; all others tell nothing about which is
        better.
    difference : float
        In accuracy, -1 … 1; positive where the first is better.
    interval : (low, high)
        Its 95 % interval (normal approximation for paired shares).
    p : float
        McNemar's exact test: how often a difference this large comes about between two runs
        that are equally good on such pictures.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    p: float


def difference(first: Predictions, second: Predictions) -> Difference:
    """Compare two runs on the same pictures, picture by picture.

    Two runs are wrong on much the same pictures, so the paired difference is known far better
    than the two intervals of their accuracies, set side by side, suggest. What it does not
    know: another seed of the same training may differ by as much. Of several pairs only
    `compare_all` says which differ.

    Raises
    ------
    DataError
        When the two do not hold the same rows with the same labels and names.

    References
    ----------
    McNemar (1947), Psychometrika 12; Agresti (2013), Categorical Data Analysis, §11.1.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    one, two = (run.correct for run in in_one_order([first, second]))
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    shift = one.astype(float) - two
    half = _Z * shift.std() / np.sqrt(len(shift))
    return Difference(
        n=len(shift),
        only_first=only_first,
        only_second=only_second,
        difference=(only_first - only_second) / len(shift),
        interval=(float(max(-1, shift.mean() - half)), float(min(1, shift.mean() + half))),
        p=float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue),
    )


def compare_all(runs: Mapping[str, Predictions], correction: str = "holm") -> pd.DataFrame:
    """Compare each two of several runs: the one place that says which of them differ.

    Among ten comparisons of equals, one or more falls below p = 0.05 two times in five. Holm's
    correction counts the comparisons: the chance that *any* pair of equally good runs is called
    different is 5 in 100 at most.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.
    correction : str
        A method of statsmodels' ``multipletests``: "holm", "bonferroni" …

    Returns
    -------
    DataFrame
        A row a pair, the index ``first`` and ``second``, in the order of ``runs``: ``n``,
        ``only_first``, ``only_second``, ``difference``, ``low`` and ``high`` (each its own,
        uncorrected 95 % interval), ``p``, as in `Difference`; the corrected ``p_holm`` (or
        ``p_bonferroni`` …), and ``differ``, whether that is below 0.05.

    Raises
    ------
    DataError
        For fewer than two runs, an unknown correction, or others than the same rows with the
        same labels.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statistics 6.
    """
    from statsmodels.stats.multitest import multipletests

    _two_or_more(runs)
    pairs = list(combinations(runs, 2))
    found = [vars(difference(runs[first], runs[second])) for first, second in pairs]
    table = pd.DataFrame(found, index=pd.MultiIndex.from_tuples(pairs, names=["first", "second"]))
    table[["low", "high"]] = table.pop("interval").tolist()
    table["p"] = table.pop("p")  # behind the interval
    try:
        differ, corrected, *_ = multipletests(table["p"], alpha=0.05, method=correction)
    except ValueError as error:
        raise DataError(f"correction {correction!r}: expected holm, bonferroni …") from error
    return table.assign(**{f"p_{correction}": corrected, "differ": differ})


def compare(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Set several runs side by side: a row a run, columns as in `Summary`, interval low and high."""
    rows = {}
    for name, predictions in runs.items():
        row = vars(summary(predictions)).copy()
        row["low"], row["high"] = row.pop("interval")
        rows[name] = row
    columns = (
        "n accuracy low high n_without_copies accuracy_without_copies macro_f1 "
        "balanced_accuracy top2_accuracy log_loss calibration_error"
    ).split()
    return pd.DataFrame.from_dict(rows, orient="index")[columns].rename_axis("run")


def f1_by_class(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Set the F1 of runs on the same pictures side by side.

    Returns a row an expression and the row "macro average", a column a run; 0 … 1.
    """
    in_one_order(runs.values())
    table = pd.DataFrame({name: report(predictions)["f1"] for name, predictions in runs.items()})
    return table.drop(index=AVERAGES[1])


def agreement(runs: Mapping[str, Predictions], *, errors: bool = False) -> pd.DataFrame:
    """Compute on how many pictures each two runs give the same answer.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.
    errors : bool
        Count only the pictures on which that common answer is wrong.

    Returns
    -------
    (m, m) DataFrame
        Shares of all pictures, 0 … 1; the diagonal is 1, or with ``errors`` the error rate.
    """
    _two_or_more(runs)
    ordered = in_one_order(runs.values())
    answers = np.stack([one.predicted for one in ordered])
    same = answers[:, None] == answers
    if errors:
        same &= answers != ordered[0].labels
    names = pd.Index(runs, name="run")
    return pd.DataFrame(same.mean(axis=2), index=names, columns=names.rename(None))


def agreement_counts(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Count the pictures that none, one, two … all of m runs name rightly.

    Returns a row an expression and the row "all", columns 0 … m: a row sums to its pictures.
    """
    _two_or_more(runs)
    ordered = in_one_order(runs.values())
    labels, names = ordered[0].labels, ordered[0].expressions
    table = pd.crosstab(labels, np.sum([one.correct for one in ordered], axis=0))
    table = table.reindex(index=range(len(names)), columns=range(len(runs) + 1), fill_value=0)
    table.index, table.columns = pd.Index(names, name="expression"), table.columns.rename("right")
    table.loc["all"] = table.sum()
    return table


def ensemble(runs: Mapping[str, Predictions]) -> Predictions:
    """Average what several networks say of each picture, each network counting alike.

    Networks that were begun from other random numbers, or built otherwise, are wrong on other
    pictures, and their mean is right more often than most of them (Hansen & Salamon 1990, Neural
    network ensembles, IEEE PAMI 12). Which of them are taken is a choice: make it on the
    validation split.

    Returns
    -------
    Predictions
        The mean of the probabilities, rows in the source file's order.

    Raises
    ------
    DataError
        When there is no run, or they do not hold the same rows with the same labels.
    """
    ordered = in_one_order(runs.values())
    mean = np.mean([one.probabilities for one in ordered], axis=0)
    return Predictions(**{**vars(ordered[0]), "probabilities": mean})


def _two_or_more(runs: Mapping[str, Predictions]) -> None:
    if len(runs) < 2:
        raise DataError(f"expected two runs or more to compare, got {len(runs)}")
