"""Claims: the arithmetic against brute force, the class counts against records and draws."""

import json
import math
import subprocess
import sys
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import claims, datasets, evaluation, figures, records, runtime
from utils.claims import splits
from utils.claims.__main__ import main
from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.records import Predictions
from utils.runtime import DataError

ROUND = {"half up": ROUND_HALF_UP, "half even": ROUND_HALF_EVEN, "truncated": ROUND_DOWN}
FIXED = [split for split in claims.KNOWN_SPLITS if split.counts and split.tolerance == 0]
PRIVATE = claims.KNOWN_SPLITS[0]
ALPHABETICAL = sorted(EXPRESSIONS)
LABELS = np.repeat(np.arange(7), np.sum(list(splits.FER2013_COUNTS.values()), axis=0))


def rounded(right: int, n: int, decimals: int, rounding: str) -> str:
    """Write right / n in percent, by decimal arithmetic that has nothing to do with ours."""
    with localcontext() as context:
        context.prec = 60
        share = Decimal(100 * right) / n
        return f"{share.quantize(Decimal(1).scaleb(-decimals), ROUND[rounding])} %"


counts_of = st.integers(1, 40_000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(0, 6))
)


# ---------------------------------------------------------------------------------- arithmetic


@given(counts_of, st.sampled_from(claims.ROUNDINGS))
def test_what_some_count_gives_is_possible(case, rounding):
    right, n, decimals = case
    figure = rounded(right, n, decimals, rounding)
    assert right in claims.possible_counts(figure, n)[rounding]
    claim = claims.check_claim(figure, n)
    assert rounding in claim.roundings
    if rounding != "truncated":
        assert claim.possible


@given(st.integers(1, 150), st.integers(0, 3), st.data())
def test_the_counts_are_those_of_brute_force(n, decimals, data):
    units = data.draw(st.integers(0, 100 * 10**decimals))
    figure = f"{Decimal(units).scaleb(-decimals):f} %"
    found = claims.possible_counts(figure, n)
    for rounding in claims.ROUNDINGS:
        expected = [k for k in range(n + 1) if rounded(k, n, decimals, rounding) == figure]
        assert list(found[rounding]) == expected


@given(st.integers(0, 10_000), st.integers(10_000, 60_000))
def test_every_figure_of_two_decimals_is_possible_from_ten_thousand_faces(units, n):
    assert claims.check_claim(f"{Decimal(units).scaleb(-2)} %", n).possible


def test_the_pooled_figure():
    """75.97 % is none of 3,589's, and one of 7,178's."""
    claim = claims.check_claim("75.97", 3_589)
    assert claim.possible is False
    assert claim.roundings == ()
    assert claim.right is None
    assert claim.runs_needed == 2
    assert "2,726 are 75.9543 % and 2,727 are 75.9822 %" in str(claim)
    assert "7,178 (PublicTest and PrivateTest pooled" in str(claim)
    assert "deserves a question" in str(claim)
    pooled = claims.check_claim(75.97, 7_178)
    assert pooled.possible
    assert pooled.right == (5_453, 5_453)
    table = claims.possible_at("75.97", "fer2013").set_index("split")["possible"]
    assert not table["PrivateTest"]
    assert table["PublicTest and PrivateTest pooled"]


def test_ties_tell_the_roundings_apart():
    """1 of 8 is 12.5 %: 13 going up, 12 going to even and cut off; 3 of 8 is 38 either way."""
    assert claims.check_claim("13", 8).roundings == ("half up",)
    assert claims.check_claim("12", 8).roundings == ("half even", "truncated")
    assert "by rounding half even only" in str(claims.check_claim("12", 8))
    assert claims.check_claim("38", 8).roundings == ("half up", "half even")


def test_a_figure_that_is_only_cut_off_is_none_by_rounding():
    claim = claims.check_claim("66.6", 3)
    assert claim.roundings == ("truncated",)
    assert claim.possible is False
    assert claim.right == (2, 2)
    assert "cut off" in claim.questions[0]


@given(st.integers(1, 2_000), st.integers(0, 2), st.data())
def test_the_interval_rises_with_the_figure_and_holds_it(n, decimals, data):
    numbers = st.integers(0, 100 * 10**decimals)
    low, high = sorted([data.draw(numbers), data.draw(numbers)])
    one, two = (
        claims.check_claim(f"{Decimal(units).scaleb(-decimals):f} %", n) for units in (low, high)
    )
    assert one.interval[0] <= two.interval[0]
    assert one.interval[1] <= two.interval[1]
    if one.possible:
        nearest = one.right[0]
        of_one_count = evaluation.accuracy_interval(nearest, n)
        assert one.interval[0] <= 100 * of_one_count[0]
        assert one.interval[1] >= 100 * of_one_count[1]


def test_sizes_at_which_a_figure_is_possible():
    sizes = claims.possible_sizes("75.97", 400)
    assert sizes.tolist() == [n for n in range(1, 401) if claims.check_claim("75.97", n).possible]
    assert sizes.dtype == np.int64
    assert sizes[0] == 129  # 98 of 129
    assert claims.possible_sizes("66.6", 3, roundings=["truncated"]).tolist() == [3]
    assert 3 in claims.possible_sizes("66.7", 3)


def test_several_runs_share_their_test_faces():
    """84.99 is none of 3,153's, and is a mean of five runs'; the interval stays that of n."""
    one = claims.check_claim("84.99", dataset="ferplus")
    five = claims.check_claim("84.99", dataset="ferplus", runs=5)
    assert one.n == five.n == 3_153
    assert one.possible is False
    assert five.possible
    assert five.interval == pytest.approx(one.interval, abs=0.05)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (86.0, "86.0"),
        (75.97, "75.97"),
        (np.float64(75.97), "75.97"),
        (np.float32(75.97), "75.97"),
        (0.7597 * 100, "75.97"),
        (75.97000000000001, "75.97"),
        (86, "86"),
        (Decimal("86.00"), "86.00"),
        (" 86.0 ", "86.0"),
        ("86.0 %", "86.0"),
        ("0.9 %", "0.9"),
        (0, "0"),
        ("100", "100"),
    ],
)
def test_the_decimals_that_a_number_is_given_with(given, meant):
    assert str(claims.check_claim(given, 3_589).accuracy) == meant


def test_decimals_that_a_float_has_lost():
    assert str(claims.check_claim(75.9, 3_589, decimals=2).accuracy) == "75.90"
    assert str(claims.check_claim(86.0, 3_589, decimals=0).accuracy) == "86"
    with pytest.raises(DataError, match="1 decimals"):
        claims.check_claim("75.97", 3_589, decimals=1)


@pytest.mark.parametrize(
    "accuracy",
    [
        *("100.1", 101, -3, "-3", "1e2", "86,0", "86.0 % %", "good", "", "nan", [86], None, True),
        *(math.nan, math.inf, Decimal("NaN"), Decimal("1E-999999999"), 0.86, "0.86", "1"),
    ],
)
def test_what_is_no_percentage_is_refused(accuracy):
    with pytest.raises(DataError, match=r"accuracy .* (expected|found)"):
        claims.check_claim(accuracy, 3_589)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n 0: expected a whole number, 1"),
        ({"n": -5}, "n -5"),
        ({"n": 3589.0}, "n 3589.0"),
        ({"n": "3589"}, "n '3589'"),
        ({"n": True}, "n True"),
        ({"n": 10, "correct": 11}, "correct 11"),
        ({"n": 10, "correct": -1}, "correct -1"),
        ({"n": 3_589, "runs": 0}, "runs 0"),
        ({"n": 100, "supports": [50, 49]}, "sum to 99, expected n = 100"),
        ({"supports": [50, -1]}, "class 1 -1"),
        ({"supports": [50.5, 1]}, "class 0 50.5"),
        ({"supports": [50]}, "two classes"),
        ({"supports": [0, 0]}, "some faces"),
        ({"supports": "491"}, "a count for each class"),
        ({"supports": {"angry": 5, "bored": 3}}, "'bored'"),
        ({"supports": {"angry": 5, "anger": 3}}, "angry stands there twice"),
        ({"supports": [50, 50], "classes": 7}, "expected 2"),
        ({"supports": [50, 50], "classes": ["sad", "sad"]}, "each once"),
        ({"dataset": "ck+"}, "'ck+': expected one of fer2013"),
        ({"decimals": 99}, "decimals 99"),
        ({"recalls": [0.5] * 7}, "expected the supports"),
        ({"supports": [50, 50], "recalls": [0.5]}, "expected 2, one a class"),
        ({"supports": [50, 50], "recalls": ["85", "0.5"]}, "a share 0 … 1"),
        ({"supports": [50, 50], "recalls": [math.nan, 0.5]}, "recall of class 0 nan"),
        ({"supports": [50, 50], "confusion": [[1, 2, 3]]}, "square"),
        ({"supports": [50, 50], "confusion": [[0.9, 0.1], [0.2, 0.8]]}, "diagonal as recalls"),
        ({"supports": [50, 50], "confusion": [[9, 1], [2, 8]]}, "sums to 20 faces"),
        ({"supports": [50, 50], "confusion": np.eye(3)}, "3 classes, expected 2"),
        ({"confusion": [[-1, 1], [2, 8]]}, "0 or more"),
        ({"runs": 5, "confusion": [[9, 1], [2, 8]]}, "one run's"),
        ({"report": "no table at all"}, "classification_report"),
        ({"report": 86.0}, "got float"),
        ({"report": "sad 0.5 0.5 0.5 9\nsad 0.5 0.5 0.5 8"}, "'sad' stands there twice"),
        ({"report": {"sad": {"recall": 0.5}}}, "no column 'support'"),
        ({"report": {"sad": {"recall": 0.5, "support": math.nan}}}, "'support'"),
        ({"report": "sad 0.5 0.5 0.5 9", "supports": [9, 1]}, "got both"),
        ({"dataset": "expw", "correct": 5}, "expected n beside it"),
    ],
)
def test_what_is_no_claim_is_refused_by_name(options, said):
    with pytest.raises(DataError) as refused:
        claims.check_claim("86", **options)
    assert said in str(refused.value)


def test_right_answers_that_do_not_give_the_figure():
    assert claims.check_claim("86.0", 3_589, correct=3_087).correct_agrees
    other = claims.check_claim("86.0", 3_589, correct=3_000)
    assert other.correct_agrees is False
    assert "do not give it: they are 83.589 %" in str(other)
    assert any("Which is right" in question for question in other.questions)


# -------------------------------------------------------------------------------- class counts


@given(st.sampled_from(FIXED), st.data())
def test_counts_in_any_order_are_found(split, data):
    places = data.draw(st.permutations(range(len(split.counts))))
    match = claims.match_supports([split.counts[place] for place in places], split.dataset)
    assert match.how == "exact"
    assert match.split == split
    counts = dict(zip(split.expressions, split.counts, strict=True))
    assert [counts[name] for name in match.expressions] == [split.counts[place] for place in places]


@given(st.sampled_from(FIXED), st.data())
def test_named_counts_are_found_in_any_order(split, data):
    pairs = list(zip(split.expressions, split.counts, strict=True))
    match = claims.match_supports(dict(data.draw(st.permutations(pairs))), split.dataset)
    assert (match.how, match.split, match.order) == ("exact", split, "as named")
    assert match.renamed == ()


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (EXPRESSIONS, "FER2013's order"),
        (ALPHABETICAL, "alphabetical order"),
        (("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"), "FER+'s order"),
        (EXPRESSIONS[::-1], "another order"),
    ],
)
def test_the_order_of_the_counts_is_told(order, name):
    counts = dict(zip(EXPRESSIONS, PRIVATE.counts, strict=True))
    claim = claims.check_claim("70.0", supports=[counts[expression] for expression in order])
    assert claim.match.official
    assert claim.match.order == name
    assert claim.match.expressions == tuple(order)
    assert (name if name != "another order" else "in the order neutral, surprise") in str(claim)


def test_names_in_the_wrong_order_are_noticed():
    """The folders' alphabetical counts under FER2013's names."""
    counts = dict(zip(EXPRESSIONS, PRIVATE.counts, strict=True))
    wrong = dict(zip(EXPRESSIONS, (counts[name] for name in ALPHABETICAL), strict=True))
    claim = claims.check_claim("70.0", supports=wrong)
    assert claim.match.split == PRIVATE
    assert set(claim.match.renamed) == {
        ("sad", "neutral"),
        ("surprise", "sad"),
        ("neutral", "surprise"),
    }
    assert "“sad” has the count of neutral" in str(claim)
    assert any("in the same order" in question for question in claim.questions)


def test_ferplus_s_names_are_known():
    counts = dict(zip(FERPLUS_EXPRESSIONS, splits.FERPLUS_COUNTS["PrivateTest"], strict=True))
    named = {"Anger": counts.pop("angry"), "happiness": counts.pop("happy"), **counts}
    match = claims.match_supports(named)
    assert match.official
    assert match.split.n == 3_153


@pytest.mark.parametrize("part", [0.1, 0.2, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_a_stratified_split_of_one_s_own_is_told_from_the_official_one(part, seed):
    from sklearn.model_selection import train_test_split

    _, drawn = train_test_split(LABELS, test_size=part, stratify=LABELS, random_state=seed)
    claim = claims.check_claim("86", supports=np.bincount(drawn, minlength=7))
    assert claim.match.how == "to rounding"
    assert claim.match.split.name == f"{100 * part:.0f} % of the whole set"
    assert claim.match.split.n == claim.n == len(drawn)
    assert not claim.match.official
    held_out = LABELS[datasets.splits.hold_out(LABELS, part, seed=seed)]
    match = claims.match_supports(np.bincount(held_out, minlength=7))
    assert match.split == claim.match.split


def test_a_random_draw_is_told_from_a_known_split():
    random = np.random.default_rng(0)
    found = [
        claims.match_supports(np.bincount(random.choice(LABELS, 7_178, replace=False), minlength=7))
        for _ in range(20)
    ]
    assert {match.how for match in found} == {"random draw"}
    assert {match.split.name for match in found} == {"whole set"}
    # Its chances are those of a draw: spread over 0 … 1.
    chances = [match.p for match in found]
    assert min(chances) < 0.4
    assert max(chances) > 0.6


def test_balanced_classes_mean_balancing_before_the_split():
    random = np.random.default_rng(0)
    equal = np.repeat(np.arange(7), 8_989)
    drawn = np.bincount(random.choice(equal, 12_585, replace=False), minlength=7)
    for supports in ([1_798] * 7, [1_443] * 7, drawn, [500] * 7):
        claim = claims.check_claim("91", supports=supports)
        assert any("balanced before the split" in question for question in claim.questions)
    assert claims.match_supports(drawn).how == "balanced"


def test_classes_left_out_and_merged():
    without = [count for name, count in zip(EXPRESSIONS, PRIVATE.counts, strict=True)]
    del without[1]
    match = claims.match_supports(without)
    assert (match.how, match.split, match.changed) == ("classes left out", PRIVATE, ("disgust",))
    merged = without.copy()
    merged[0] += PRIVATE.counts[1]
    match = claims.match_supports(merged)
    assert (match.how, match.changed) == ("classes merged", ("angry", "disgust"))
    claim = claims.check_claim("80", supports=without)
    assert any("Which classes count" in question for question in claim.questions)


def test_counts_of_nowhere_belong_nowhere():
    claim = claims.check_claim("70.0", supports=[1000, 2, 3, 4, 5, 6, 2000])
    assert claim.match.how == "none"
    assert claim.match.split is None
    assert "Which faces were tested?" in claim.questions


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("PrivateTest", ""),
        ("PublicTest", "PublicTest"),
        ("PublicTest and PrivateTest pooled", "PublicTest"),
        ("Training", "learned from these faces"),
        ("whole set", "learned from these faces"),
        ("PrivateTest without copies", ""),
    ],
)
def test_what_is_asked_of_a_split(name, asked):
    split = next(one for one in FIXED if one.name == name)
    questions = claims.check_claim("60", supports=split.counts).questions
    assert asked in " ".join(questions)
    assert bool(asked) == bool(questions)


def test_the_known_splits_have_their_published_sizes():
    sizes = claims.known_splits_table().set_index(["dataset", "split"])["n"]
    assert len(sizes) == len(set(sizes.index))
    assert sizes["fer2013"][["PrivateTest", "Training", "whole set"]].tolist() == [
        3_589,
        28_709,
        35_887,
    ]
    assert sizes["ferplus", "PrivateTest, 8 classes"] == 3_153
    assert sizes["ferplus", "PrivateTest, 7 classes"] == 3_137
    assert sizes["ferplus", "PublicTest, 8 classes"] == 3_199
    assert sizes["ferplus", "Training, 7 classes"] == 24_941
    assert sizes["fer2013", "PrivateTest without copies"] == 3_301


@pytest.mark.parametrize(
    ("name", "written", "expressions"),
    [
        ("fer2013", splits.FER2013_COUNTS, EXPRESSIONS),
        ("ferplus", splits.FERPLUS_COUNTS, FERPLUS_EXPRESSIONS),
        ("expw", splits.EXPW_COUNTS, EXPRESSIONS),
    ],
)
def test_the_counts_are_those_of_the_records(name, written, expressions):
    path = runtime.RESULTS / "data" / f"{name}.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))["counts"]
    usages = {"Training": "training", "PublicTest": "validation", "PrivateTest": "test"}
    for usage, counts in written.items():
        split = recorded[usages.get(usage, usage)]
        assert counts == tuple(split[expression] for expression in expressions)


def test_the_counts_without_copies_are_those_of_a_record():
    run = records.load("cnn5-fer2013-none")
    for usage, split in (("PublicTest", run.validation), ("PrivateTest", run.test)):
        counts = np.bincount(split.labels[~split.copies], minlength=7)
        assert splits.FER2013_WITHOUT_COPIES[usage] == tuple(counts)


@pytest.mark.real_data
@pytest.mark.parametrize("contempt", [True, False])
def test_ferplus_s_counts_are_those_of_the_real_votes(contempt):
    if not any(runtime.RAW.glob("fer2013/**/fer2013new.csv")):
        pytest.skip("ferplus is not in data/raw")
    counts = datasets.load("ferplus", contempt=contempt).counts()
    classes = 8 if contempt else 7
    written = np.transpose([one[:classes] for one in splits.FERPLUS_COUNTS.values()])
    missing = written - counts[list(datasets.SPLITS)].to_numpy()
    # A copy from which up to four pictures are lost keeps as many rows fewer.
    assert missing.min() >= 0
    assert missing.sum() <= 4


# ------------------------------------------------------------------------ reports and matrices

matrices = st.integers(2, 7).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(0, 60), min_size=k, max_size=k), min_size=k, max_size=k
    ).filter(lambda rows: any(map(sum, rows)))
)


def predictions_of(matrix: np.ndarray) -> Predictions:
    """Predictions that have this confusion matrix."""
    classes = len(matrix)
    pairs = np.repeat(np.arange(classes**2), matrix.ravel())
    labels, predicted = np.divmod(pairs, classes)
    n = len(pairs)
    return Predictions(
        np.eye(classes)[predicted], labels, np.arange(n), np.zeros(n, bool), EXPRESSIONS[:classes]
    )


@settings(max_examples=40)
@given(matrices, st.sampled_from([2, 3]))
def test_a_true_report_allows_its_own_right_answers(rows, digits):
    matrix = np.array(rows)
    right, n = int(np.trace(matrix)), int(matrix.sum())
    report = evaluation.report(predictions_of(matrix)).iloc[: len(matrix)]
    cells = {
        f"{name}s": [f"{value:.{digits}f}" for value in report[name]]
        for name in ("recall", "precision", "f1")
    }
    claim = claims.check_claim(
        rounded(right, n, 1, "half up"), supports=report["support"].tolist(), **cells
    )
    assert claim.table.impossible == ()
    assert claim.table.right[0] <= right <= claim.table.right[1]
    assert claim.table.agrees
    # More columns never allow more.
    alone = claims.check_claim("50", supports=report["support"].tolist(), recalls=cells["recalls"])
    assert alone.table.right[0] <= claim.table.right[0]
    assert alone.table.right[1] >= claim.table.right[1]


@settings(max_examples=25)
@given(matrices)
def test_an_exact_report_means_one_number_of_right_answers(rows):
    matrix = np.array(rows)
    right, n = int(np.trace(matrix)), int(matrix.sum())
    report = evaluation.report(predictions_of(matrix))
    claim = claims.check_claim(rounded(right, n, 2, "half even"), report=report)
    assert claim.table.right[0] <= right <= claim.table.right[1]
    # A column without a long fraction, 1.0 beside 0.5, may be one of few decimals.
    if report["recall"].iloc[: len(matrix)].map(lambda recall: len(repr(recall)) > 6).any():
        assert claim.table.right == (right, right)
    assert claim.table.agrees
    assert claim.n == n


@settings(max_examples=25)
@given(matrices)
def test_a_matrix_says_its_accuracy_either_way_round(rows):
    matrix = np.array(rows)
    right, n = int(np.trace(matrix)), int(matrix.sum())
    figure = rounded(right, n, 1, "half up")
    supports = matrix.sum(axis=1)
    claim = claims.check_claim(figure, supports=supports, confusion=matrix)
    assert claim.table.right == (right, right)
    assert claim.table.agrees
    assert not claim.table.transposed
    turned = claims.check_claim(figure, supports=supports, confusion=matrix.T)
    assert turned.table.transposed == (matrix.sum(axis=0).tolist() != supports.tolist())
    assert turned.table.agrees


def test_the_printed_report_is_read_and_a_figure_beside_it_refuted():
    from sklearn.metrics import classification_report

    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), PRIVATE.counts)
    taken = np.where(random.random(len(labels)) < 0.66, labels, random.integers(0, 7, len(labels)))
    text = classification_report(labels, taken, target_names=list(EXPRESSIONS))
    right = int((labels == taken).sum())
    honest = claims.check_claim(f"{100 * right / 3_589:.1f}", report=text)
    assert honest.match.official
    assert honest.table.agrees
    assert honest.table.right[0] <= right <= honest.table.right[1]
    assert honest.table.right[1] - honest.table.right[0] < 40
    other = claims.check_claim("86.0", report=text)
    assert not other.table.agrees
    assert "which does not fit the figure" in str(other)
    assert any("from the same run" in question for question in other.questions)
    # Without names its classes are numbers, which say nothing of an order.
    numbered = claims.check_claim("86.0", report=classification_report(labels, taken))
    assert numbered.match.order == "FER2013's order"
    assert numbered.table.right == honest.table.right
    # As a mapping its cells are exact.
    exact = claims.check_claim(
        "86.0", report=classification_report(labels, taken, output_dict=True)
    )
    assert exact.table.right == (right, right)


def test_cells_that_no_whole_numbers_give_are_named():
    claim = claims.check_claim("50", supports={"angry": 3, "sad": 100}, recalls=["0.50", "0.50"])
    assert claim.table.right is None
    assert claim.table.impossible == ("no whole numbers give the recall of angry (3 faces)",)
    assert "does not add up" in str(claim)
    # Cut off instead of rounded: 2 of 3 are 0.66.
    assert claims.check_claim("50", supports=[3, 100], recalls=["0.66", "0.50"]).table.right
    # F1 lies between precision and recall.
    apart = {"recalls": ["0.50", "0.50"], "precisions": ["0.50", "0.50"], "f1s": ["0.90", "0.50"]}
    claim = claims.check_claim("50", supports=[100, 100], **apart)
    assert "the recall, precision and f1 of class 0" in claim.table.impossible[0]


def test_precisions_that_need_more_predictions_than_faces():
    claim = claims.check_claim(
        "90", supports=[100, 100], recalls=["0.90", "0.90"], precisions=["0.70", "0.70"]
    )
    assert claim.table.right is None
    assert "predictions, not 200" in claim.table.impossible[0]


def test_a_matrix_that_is_not_of_these_faces():
    claim = claims.check_claim("50", supports=[5, 5], confusion=[[4, 0], [3, 3]])
    assert claim.table.impossible == ("neither rows nor columns of the matrix sum to the supports",)
    assert claim.questions


# -------------------------------------------------------------------------- reported figures


def test_reported_figures_are_well_formed():
    names = [one.name for one in claims.REPORTED]
    assert len(set(names)) == len(names)
    for one in claims.REPORTED:
        assert claims.check_claim(one.accuracy, one.n or 1, dataset=one.dataset)
        assert one.kind in ("published", "reproduced")
        assert one.source
        assert one.repeats in ("", *names)
        assert not (one.repeats and one.kind == "published")
    table = claims.reported_table("fer2013")
    known = table["n"].notna()
    assert (table["low"] < table["accuracy"])[known].all()
    assert (table["high"] > table["accuracy"])[known].all()
    assert table.loc[~known, ["low", "high"]].isna().all(axis=None)


def test_a_contradicted_figure_is_no_bar():
    table = claims.reported_table()
    assert not table.loc["ResEmoteNet", "stands"]
    assert table.loc["ResMaskNet", "stands"]
    assert claims.best("fer2013", "published").accuracy == "76.82"
    assert claims.best("fer2013", "published", outside_data=False).accuracy == "75.2"
    assert claims.best("fer2013", "reproduced").accuracy == "73.7"
    assert claims.best("ferplus", "published", outside_data=False).accuracy == "84.99"
    with pytest.raises(DataError, match="'guessed'"):
        claims.best("fer2013", "guessed")


def test_where_the_contradicted_figure_may_come_from():
    """Both it and its repetition are none of PrivateTest's, and some of the pooled test sets'."""
    for one in claims.REPORTED:
        if one.name.startswith("ResEmoteNet"):
            assert one.n is None
            assert not claims.check_claim(one.accuracy, 3_589).possible
            assert claims.check_claim(one.accuracy, 7_178).possible


def test_how_far_a_claim_stands_above():
    claim = claims.check_claim("86.0", 3_589)
    assert claim.above_reproduced == pytest.approx(12.3)
    error = 100 * math.sqrt(0.737 * 0.263 / 3_589)
    assert claim.errors_above_reproduced == pytest.approx(12.3 / error)
    assert claim.above_published == pytest.approx(9.18)
    assert claim.above_people == 21
    alone = claims.check_claim("86.0", 3_589, outside_data=False)
    assert alone.above_published == pytest.approx(10.8)
    # Between what was reproduced and what was published nothing is asked.
    assert claims.check_claim("75.2", 3_589).questions == ()
    assert "Nothing here speaks against it." in str(claims.check_claim("66.1", 3_589))


def test_the_ancestors_are_claims():
    found = claims.ancestors()
    assert [name for name, *_ in claims.ANCESTORS] == ["cnn3", "cnn4", "cnn5", "vgg16", "resnet"]
    assert {name: str(claim.accuracy) for name, claim in found.items()} == {
        "cnn3": "86",
        "cnn4": "78",
        "cnn5": "65.5",
        "vgg16": "91",
    }
    asked = {name for name, claim in found.items() if claim.questions}
    assert asked == {"cnn3", "cnn4", "vgg16"}
    # Seven outputs, one yes: 6 of 7 answers are right before anything is learned.
    for name, binary in (("cnn3", True), ("cnn4", False), ("vgg16", True)):
        assert ("binary accuracy" in str(found[name])) == binary
    table = claims.claims_table(found)
    assert table.loc["cnn5", "n"] is pd.NA
    assert table.loc["cnn3", ["n", "right_low", "right_high"]].tolist() == [3_589, 3_069, 3_104]
    assert table["questions"].tolist() == [len(claim.questions) for claim in found.values()]


def test_a_claim_without_a_size():
    claim = claims.check_claim("65.5", dataset="expw")
    assert claim.n is None
    assert claim.possible is None
    assert math.isnan(claim.interval[0])
    assert "cannot be checked" in str(claim)
    assert "nothing was said" not in str(claim)
    assumed = claims.check_claim("86")
    assert (assumed.n, assumed.n_said) == (3_589, False)
    assert "as no number was said" in str(assumed)
    assert claims.check_claim("80", dataset="ferplus", classes=7).n == 3_137
    assert claims.check_claim("80", classes=3).n is None


def test_claims_can_be_told_apart_and_counted():
    one, two = claims.check_claim("86.0"), claims.check_claim("86.0")
    assert one == two
    assert len({one, two, claims.check_claim("86")}) == 2


# ------------------------------------------------------------------------ command line, figure


def test_the_command_line_answers(capsys):
    supports = [f"{name}={count}" for name, count in zip(EXPRESSIONS, PRIVATE.counts, strict=True)]
    assert main(["86.0", "--n", "3589", "--supports", *supports]) == 0
    said = capsys.readouterr().out
    assert "86.0 % is possible at n = 3,589" in said
    assert "those of FER2013's PrivateTest" in said
    assert main(["75.97", "--supports", ",".join(map(str, PRIVATE.counts))]) == 0
    assert "not possible" in capsys.readouterr().out


def test_the_command_line_reads_a_report(tmp_path, capsys):
    path = tmp_path / "report.txt"
    path.write_text(
        "              precision    recall  f1-score   support\n\n"
        "       angry       0.50      0.50      0.50       100\n"
        "         sad       0.75      0.75      0.75       200\n\n"
        "    accuracy                           0.67       300\n"
        "   macro avg       0.62      0.62      0.62       300\n",
        encoding="utf-8",
    )
    assert main(["66.7", "--report", str(path)]) == 0
    assert "which fits the figure" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["101"],
        ["0.86"],
        ["86", "--n", "0"],
        ["86", "--n", "100", "--supports", "50", "49"],
        ["86", "--supports", "many"],
        ["86", "--supports", "angry=5", "6"],
        ["86", "--supports", "angry=5", "angry=6"],
        ["86", "--report", "there-is-none.txt"],
    ],
)
def test_the_command_line_refuses_what_is_no_claim(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


def test_the_module_runs_as_a_command():
    command = [sys.executable, "-m", "utils.claims", "75.97", "--n", "3589"]
    done = subprocess.run(command, cwd=runtime.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not possible" in done.stdout


def test_the_figure_shows_every_line():
    found = {"one": claims.check_claim("86"), "two": claims.check_claim("66.1")}
    table, reported = claims.claims_table(found), claims.reported_table("fer2013")
    figure = figures.claims_against_reported(table, reported, title="claims")
    axes = figure.axes[0]
    labels = [label.get_text().removesuffix(" *") for label in axes.get_yticklabels()]
    assert labels[:3] == ["one", "two", ""]
    assert set(labels[3:]) == set(reported.index)
    texts = [text.get_text() for text in axes.texts]
    assert {"86.0", "66.1", "people 65 ± 5", "best reproduced 73.7"} <= set(texts)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "claimed",
        "reproduced",
        "published",
    ]
    with pytest.raises(DataError, match="one or more"):
        figures.claims_against_reported(table[:0], reported)
    with pytest.raises(DataError, match="'low'"):
        figures.claims_against_reported(table.drop(columns="low"), reported)
    with pytest.raises(DataError, match="guessed"):
        figures.claims_against_reported(table, reported.assign(kind="guessed"))
