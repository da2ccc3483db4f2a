"""Claims: the arithmetic against brute force, class counts against records, reported figures."""

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from utils import datasets, evaluation, records, runtime
from utils.datasets.download import OFFICIAL_COUNTS
from utils.expressions import EXPRESSIONS
from utils.honesty import claims, known
from utils.runtime import DataError

ROUND = {"half up": ROUND_HALF_UP, "half even": ROUND_HALF_EVEN, "truncated": ROUND_DOWN}
FIXED = [split for split in known.KNOWN_SPLITS if split.counts and split.tolerance == 0]
PRIVATE = known.KNOWN_SPLITS[0]
LABELS = np.repeat(np.arange(7), np.sum(list(OFFICIAL_COUNTS.values()), axis=0))


def rounded(right, n, decimals, rounding):
    """Write right / n in percent, by decimal arithmetic that has nothing to do with ours."""
    with localcontext() as context:
        context.prec = 60
        share = Decimal(100 * right) / n
        return f"{share.quantize(Decimal(1).scaleb(-decimals), ROUND[rounding])} %"


@given(st.integers(1, 150), st.integers(0, 3), st.data())
def test_the_counts_are_those_of_brute_force(n, decimals, data):
    units = data.draw(st.integers(0, 100 * 10**decimals))
    figure = Decimal(units).scaleb(-decimals)
    found = claims.possible_counts(figure, n)
    for rounding in ROUND:
        said = f"{figure:f} %"
        expected = [k for k in range(n + 1) if rounded(k, n, decimals, rounding) == said]
        assert list(found[rounding]) == expected


@given(st.integers(1, 40_000), st.integers(0, 6), st.sampled_from([*ROUND]), st.data())
def test_what_some_count_gives_is_possible(n, decimals, rounding, data):
    right = data.draw(st.integers(0, n))
    figure = rounded(right, n, decimals, rounding)
    counts = claims.possible_counts(Decimal(figure.removesuffix(" %")), n)
    assert right in counts[rounding]
    claim = claims.check_claim(figure, n)
    assert claim.possible == bool(counts["half up"] or counts["half even"])
    assert rounding in claim.roundings
    assert claim.low <= claim.accuracy <= claim.high
    if rounding != "truncated":
        assert claim.right_low <= right <= claim.right_high


def test_a_figure_of_the_pooled_test_sets_is_none_of_private_tests():
    claim = claims.check_claim("75.97", 3_589)
    assert (claim.possible, claim.right_low, claim.runs_needed) == (False, None, 2)
    table = claims.possible_at("75.97", "fer2013").set_index("split")
    assert not table.loc["PrivateTest", "possible"]
    assert table.loc["PublicTest and PrivateTest pooled", "possible"]
    # Five runs of one test split have more figures than one.
    assert claims.check_claim("84.99", dataset="ferplus").possible is False
    assert claims.check_claim("84.99", dataset="ferplus", runs=5).possible


def test_a_figure_that_was_cut_off_is_possible_by_no_rounding():
    cut = claims.check_claim("66.6", 3)
    assert (cut.possible, cut.roundings, cut.right_low) == (False, "truncated", 2)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *((86.0, "86.0"), (75.97, "75.97"), (np.float32(75.97), "75.97"), (86, "86")),
        *((0.7597 * 100, "75.97"), (75.97000000000001, "75.97"), (Decimal("86.00"), "86.00")),
        *((" 86.0 ", "86.0"), ("86.0 %", "86.0"), ("0.9 %", "0.9"), (0, "0"), ("100", "100")),
    ],
)
def test_the_decimals_that_a_number_is_given_with(given, meant):
    assert str(claims.check_claim(given, 3_589).accuracy) == meant


@pytest.mark.parametrize(
    "accuracy",
    [
        *("100.1", 101, -3, "-3", "1e2", "86,0", "86.0 % %", "", "nan", [86], None, True),
        *(math.nan, math.inf, Decimal("NaN"), Decimal("1E-999999999"), 0.86, "0.86", "1"),
    ],
)
def test_what_is_no_percentage_is_refused(accuracy):
    with pytest.raises(DataError, match=r"accuracy .* expected"):
        claims.check_claim(accuracy, 3_589)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n 0: expected a whole number, 1"),
        ({"n": 3589.0}, "n 3589.0"),
        ({"n": 3_589, "runs": 0}, "runs 0"),
        ({"n": 100, "supports": [50, 49]}, "sum to 99, expected n = 100"),
        ({"supports": [50, -1]}, "count -1"),
        ({"supports": [50.5, 1]}, "count 50.5"),
        ({"supports": [50]}, "two classes"),
        ({"supports": [0, 0]}, "some faces"),
        ({"supports": "491"}, "count '4'"),
        ({"supports": {"angry": 5, "bored": 3}}, "'bored'"),
        ({"supports": {"angry": 5, "anger": 3}}, "each class once"),
        ({"dataset": "ck+"}, "'ck+': expected one of fer2013"),
        ({"report": "no table at all"}, "each class once"),
        ({"report": 86.0}, "expected a table"),
        ({"report": "sad 0.5 0.5 0.5 9\nsad 0.5 0.5 0.5 8"}, "each once"),
        ({"report": pd.DataFrame({"recall": [0.5]}, ["sad"])}, "support"),
        ({"report": pd.DataFrame({"recall": [0.5], "support": [math.nan]}, ["sad"])}, "support"),
        ({"report": "sad 0.5 1.5 0.5 9\nfear 0.5 0.5 0.5 8"}, "recall of sad"),
        ({"report": "sad 0.5 0.5 0.5 9\nfear 0.5 0.5 0.5 8", "supports": [9, 8]}, "without"),
    ],
)
def test_what_is_no_claim_is_refused_by_name(options, said):
    with pytest.raises(DataError) as refused:
        claims.check_claim("86", **options)
    assert said in str(refused.value)


@given(st.sampled_from(FIXED), st.booleans(), st.data())
def test_a_known_splits_counts_are_found_in_any_order_and_by_name(split, named, data):
    pairs = data.draw(st.permutations(list(zip(split.expressions, split.counts, strict=True))))
    counts = dict(pairs) if named else [count for _, count in pairs]
    match = claims.match_supports(counts, split.dataset)
    assert (match.how, match.split, match.renamed) == ("exact", split, ())
    if named:
        assert match.order == "as named"


def test_the_order_of_the_counts_and_a_wrong_one_are_told():
    counts = dict(zip(EXPRESSIONS, PRIVATE.counts, strict=True))
    alphabetical = [counts[name] for name in sorted(EXPRESSIONS)]
    votes = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")
    for order, counted in (
        ("FER2013's order", PRIVATE.counts),
        ("alphabetical order", alphabetical),
        ("FER+'s order", [counts[name] for name in votes]),
        ("another order", PRIVATE.counts[::-1]),
    ):
        assert claims.match_supports(counted).order == order
    match = claims.match_supports(dict(zip(EXPRESSIONS, alphabetical, strict=True)))
    assert match.split == PRIVATE
    assert set(match.renamed) == {("sad", "neutral"), ("surprise", "sad"), ("neutral", "surprise")}
    assert "sad has the count of neutral" in str(match)


@pytest.mark.parametrize(("part", "seed"), [(0.1, 0), (0.2, 1), (0.25, 2)])
def test_a_stratified_split_of_ones_own_is_told_from_the_official_one(part, seed):
    _, drawn = train_test_split(LABELS, test_size=part, stratify=LABELS, random_state=seed)
    claim = claims.check_claim("86", supports=np.bincount(drawn, minlength=7))
    assert claim.split.how == "to rounding"
    assert claim.split.split.name == f"{100 * part:.0f}% of the whole set"
    assert claim.split.split.n == claim.n == len(drawn)


def test_balanced_merged_missing_and_unknown_classes():
    assert claims.match_supports([500] * 7).how == "balanced"
    drawn = np.bincount(np.random.default_rng(0).integers(0, 7, 12_000), minlength=7)
    assert claims.match_supports(drawn).how == "balanced"
    assert "before the split" in claims.match_supports([1_443] * 7).split.note
    angry, disgust, *rest = PRIVATE.counts
    left, merged = (claims.match_supports([one, *rest]) for one in (angry, angry + disgust))
    assert (left.how, left.split, left.changed) == ("classes left out", PRIVATE, ("disgust",))
    assert (merged.how, merged.changed) == ("classes merged", ("angry", "disgust"))
    assert claims.match_supports([1000, 2, 3, 4, 5, 6, 2000]).how == "none"


def test_the_written_counts_are_those_of_the_records():
    run = records.load("cnn5-fer2013-smote")
    for usage, split in (("PublicTest", run.validation), ("PrivateTest", run.test)):
        counts = np.bincount(split.labels, minlength=7)
        assert tuple(counts) == OFFICIAL_COUNTS[datasets.USAGES[usage]]
        without = np.bincount(split.labels[~split.copies], minlength=7)
        assert tuple(without) == known.FER2013_WITHOUT_COPIES[usage]
    expw = records.load("cnn5-expw-none").test
    assert tuple(np.bincount(expw.labels, minlength=7)) == known.EXPW_COUNTS


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 90)), min_size=2, max_size=7))
def test_a_true_report_allows_its_own_right_answers(classes):
    support, hits = np.transpose(classes)
    right, n = np.minimum(support, hits), int(support.sum())
    table = pd.DataFrame({"recall": (right / support).round(2), "support": support})
    claim = claims.check_claim(rounded(int(right.sum()), n, 2, "half up"), report=table)
    assert claim.n == n
    assert claim.report_low <= 100 * right.sum() / n + 1e-9
    assert 100 * right.sum() / n <= claim.report_high + 1e-9
    assert claim.report_fits
    assert claim.report_impossible == ""


def test_the_printed_report_is_read_and_a_figure_or_recall_that_cannot_be_refuted():
    test = records.load("cnn5-fer2013-smote").test
    text = classification_report(test.labels, test.predicted, target_names=list(EXPRESSIONS))
    own = f"{100 * np.mean(test.labels == test.predicted):.2f}"
    for report in (text, evaluation.report(test).round(2)):
        honest, other = (claims.check_claim(figure, report=report) for figure in (own, "91.00"))
        assert (honest.split.how, honest.split.split) == ("exact", PRIVATE)
        assert (honest.report_fits, other.report_fits) == (True, False)
        assert [round(honest.report_low, 1), round(honest.report_high, 1)] == [67.2, 67.9]
    # Without names, its classes are numbers, which do not tell their order.
    numbered = claims.check_claim(own, report=classification_report(test.labels, test.predicted))
    assert numbered.split.order == "FER2013's order"
    claim = claims.check_claim("50", report="angry 0.50 0.50 0.50 3\nsad 0.50 0.50 0.50 100")
    assert (claim.report_impossible, claim.report_fits) == ("angry", False)


def test_reported_figures_say_what_they_may_be_compared_with():
    table = claims.reported_table()
    assert table.index.is_unique
    assert set(table["kind"]) == set(claims.KINDS) == {"published", "measured", "reproduced"}
    n = table["n"].notna()
    assert ((table["low"] < table["accuracy"]) & (table["accuracy"] < table["high"]))[n].all()
    assert table.loc[~n, ["low", "high"]].isna().all(axis=None)
    # A figure whose epoch was chosen on the test split, and its repetition by the honest rule.
    assert table.loc["VGG19 from scratch", "chosen_on_test"]
    assert not table.loc["VGG19 from scratch, epoch chosen on PublicTest", "chosen_on_test"]
    # One that its repetition contradicts sets no bar.
    assert table.loc[["ResEmoteNet", "ResMaskNet"], "stands"].tolist() == [False, True]
    # "Reproduced" means trained again by others; released weights and logs are "measured".
    assert known.best("fer2013", "published").accuracy == 76.82
    assert known.best("fer2013", "reproduced").name == "ResMaskNet, trained again"
    assert known.best("fer2013", "measured").accuracy == 73.7
    # All of FER2013's rows are on its test split: PublicTest's 73.28 is not one of them.
    on_fer2013 = table[table["dataset"] == "fer2013"]
    assert set(on_fer2013["n"].dropna()) == {3_589}
    assert 73.28 not in set(on_fer2013["accuracy"])


def test_the_recorded_votes_give_the_recorded_agreement():
    data = runtime.RESULTS / "data"
    with np.load(data / "ferplus-test-votes.npz") as record:
        rows, votes = record["rows"], record["votes"].astype(np.int64)
    test = records.load("cnn4-fer2013-none").test
    np.testing.assert_array_equal(rows, test.rows)
    found = datasets.label_agreement(test.labels, votes, np.full(len(rows), "test"))
    recorded = pd.read_csv(data / "ferplus-agreement.csv", index_col=["split", "fer2013"])
    pd.testing.assert_frame_equal(found.loc["test"], recorded.loc["test"], check_names=False)


def test_how_far_a_claim_stands_above():
    claim = claims.check_claim("86.0", 3_589)
    assert claim.above_reproduced == pytest.approx(12.4)
    error = 100 * math.sqrt(0.736 * 0.264 / 3_589)
    assert claim.errors_above_reproduced == pytest.approx(12.4 / error)
    assert claim.above_published == pytest.approx(9.18)
    assert claim.above_people == 21


@pytest.mark.parametrize(
    ("claim", "options", "asked"),
    [
        ("75.97", {"n": 3_589}, ["No whole number of 3,589", "far above"]),
        ("86", {}, ["Of how many test faces", "far above"]),
        ("60", {"supports": [958, 111, 1024, 1774, 1247, 831, 1233]}, ["pooled"]),
        ("60", {"supports": [1_443] * 7}, ["after balancing"]),
        ("60", {"supports": [500] * 7}, ["balanced before the split"]),
        ("60", {"supports": [491, 528, 879, 594, 416, 626]}, ["Why leave out disgust"]),
        ("60", {"supports": [9, 8, 7]}, ["No known split"]),
        ("60", {"report": "angry 0.5 0.5 0.5 3\nsad 0.5 0.5 0.5 100"}, ["table of recalls"]),
        ("60", {"supports": PRIVATE.counts}, ["nothing to ask"]),
        ("91", {"dataset": "expw"}, ["Of how many"]),
    ],
)
def test_what_to_ask_an_author(claim, options, asked):
    told = " ".join(claims.questions(claims.check_claim(claim, **options)))
    assert all(part in told for part in asked)


def test_the_ancestors_are_claims():
    table = claims.claims_table(claims.ancestors())
    assert [name for name, *_ in claims.ANCESTORS] == ["cnn3", "cnn4", "cnn5", "vgg16", "resnet"]
    assert table["accuracy"].to_dict() == {"cnn3": 86, "cnn4": 78, "cnn5": 65.5, "vgg16": 91}
    assert table.loc["cnn3", ["n", "right_low", "right_high"]].tolist() == [3_589, 3_069, 3_104]
    unsaid = table.loc["cnn5"]
    assert [unsaid[name] is pd.NA for name in ("n", "possible", "right_low")] == [True] * 3
    assert math.isnan(unsaid["low"])


def test_the_command_line_answers(tmp_path, capsys):
    supports = [f"{name}={count}" for name, count in zip(EXPRESSIONS, PRIVATE.counts, strict=True)]
    claims.main(["86.0", "--n", "3589", "--supports", *supports])
    said = capsys.readouterr().out
    assert "exact, FER2013's PrivateTest" in said
    assert "12.40" in said
    claims.main(["75.97", "--supports", ",".join(map(str, PRIVATE.counts))])
    assert "7,178 (PublicTest and PrivateTest pooled)" in capsys.readouterr().out
    path = tmp_path / "report.txt"
    path.write_text("angry 0.50 0.50 0.50 100\nsad 0.75 0.75 0.75 200\n", encoding="utf-8")
    claims.main(["66.7", "--report", str(path)])
    assert "report fits              True" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["many"], ["angry=5", "6"], ["angry=5", "angry=6"]])
def test_the_command_line_refuses_what_is_no_claim(words):
    with pytest.raises(DataError):
        claims.main(["86", "--supports", *words])
