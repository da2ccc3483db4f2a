"""The figures about certainty: what stands in them."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn import made, of_classes

from utils import evaluation, figures
from utils.runtime import DataError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 7, 300)


def network(seed):
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(7, 0.6), 300)
    shares[np.arange(300), LABELS] += random.random(300) < 0.5
    return made(shares / shares.sum(axis=1, keepdims=True), LABELS)


RUNS = {name: network(seed) for seed, name in enumerate(("one", "two", "three"))}
CURVES = {name: evaluation.coverage_curve(one) for name, one in RUNS.items()}


def said(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_every_figure_renders_and_changes_no_setting():
    before = dict(matplotlib.rcParams)
    table = evaluation.reliability_table(RUNS["one"])
    for figure in (
        figures.reliability({"before": table, "after": table}, title="pair"),
        figures.coverage_curves(CURVES, wanted=0.9, title="curves"),
        figures.seed_spread({"a": evaluation.seeds(RUNS)}, title="seeds"),
        figures.difference_forest(evaluation.compare_all(RUNS), title="forest"),
    ):
        assert len(figure._repr_png_()) > 3000
        assert figure.get_suptitle()
    assert dict(matplotlib.rcParams) == before


def test_reliability_before_and_after_shares_its_scales():
    given_ = RUNS["one"]
    warm = evaluation.with_temperature(given_, 2.0)
    tables = {
        "as trained": evaluation.reliability_table(given_),
        "temperature 2": evaluation.reliability_table(warm, equal="mass"),
    }
    figure = figures.reliability(tables)
    upper, lower = figure.axes[:2], figure.axes[2:]
    assert upper[0].get_ylim() == upper[1].get_ylim()
    assert lower[0].get_ylim() == lower[1].get_ylim()
    gaps = [evaluation.calibration_error(given_), evaluation.calibration_error(warm, equal="mass")]
    for axes, name, gap in zip(upper, tables, gaps, strict=True):
        assert axes.get_title(loc="left") == f"{name}: mean gap {100 * gap:.1f} points"
    for axes, table in zip(lower, tables.values(), strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == table["count"].sum()


def test_a_coverage_curve_ends_at_the_accuracy_of_all():
    figure = figures.coverage_curves(CURVES, wanted=0.9)
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 3
    for line, (name, one) in zip(curves, RUNS.items(), strict=True):
        accuracy = evaluation.summary(one).accuracy
        assert line.get_xdata()[-1] == 100
        assert line.get_ydata()[-1] == pytest.approx(100 * accuracy)
        assert line.get_label() == f"{name}: {accuracy:.1%} of all"
        # It begins where 20 are answered.
        assert line.get_xdata()[0] >= 100 * 20 / 300
    assert "wanted: 90%" in said(figure)


def test_a_coverage_curve_of_a_handful_keeps_its_end():
    figure = figures.coverage_curves(evaluation.coverage_curve(of_classes([0, 1], [0, 0])))
    assert "50.0% of all" in said(figure)


def test_seed_spread_draws_every_seed():
    spread = evaluation.seeds(RUNS)
    figure = figures.seed_spread({"a": spread, "b": spread})
    (axes,) = figure.axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [sorted(line.get_xdata()) for line in dots] == [
        pytest.approx(sorted(100 * one for one in spread.accuracies))
    ] * 2
    low, high = spread.interval
    assert f"{100 * spread.mean:.1f}  ({100 * low:.1f} to {100 * high:.1f})" in said(figure)
    assert "a\n3 seeds" in said(figure)
    left, right = axes.get_xlim()
    assert left < 100 * low < 100 * high < right


def test_forest_fills_what_leaves_zero_out():
    table = pd.DataFrame(
        {
            "difference": [0.03, -0.01],
            "low": [0.01, -0.03],
            "high": [0.05, 0.01],
            "p_holm": [0.0001, 0.2],
        },
        index=["mistake one", "mistake two"],
    )
    figure = figures.difference_forest(table)
    fills = [
        line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "o"
    ]
    assert fills[0] != "white"
    assert fills[1] == "white"
    texts = said(figure)
    assert "+3.0  (+1.0 to +5.0)   p < 0.001" in texts
    assert "−1.0  (−3.0 to +1.0)   p = 0.200" in texts
    assert {"mistake one", "mistake two"} <= set(texts)
    plain = figures.difference_forest(table.drop(columns="p_holm"))
    assert not any("p =" in text or "corrected" in text for text in said(plain))


def test_forest_names_both_runs():
    texts = said(figures.difference_forest(evaluation.compare_all(RUNS)))
    assert {"one − two", "one − three", "two − three"} <= set(texts)


def test_nothing_to_draw_is_refused():
    for draw in (figures.reliability, figures.coverage_curves, figures.seed_spread):
        with pytest.raises(DataError, match="one or more"):
            draw({})
    with pytest.raises(DataError, match="no column high, low"):
        figures.difference_forest(pd.DataFrame({"difference": [0.1]}))
    with pytest.raises(DataError, match="one or more"):
        figures.difference_forest(evaluation.compare_all(RUNS).iloc[:0])
