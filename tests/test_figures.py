"""The figures: what they say, that they change nothing global, that files repeat exactly."""

import io

import keras
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from PIL import Image

from utils import figures
from utils.expressions import COLORS, EXPRESSIONS
from utils.runtime import DataError

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (14, 12, 12, 1), dtype=np.uint8)
LABELS = np.arange(14) % 7
PHOTO = np.full((60, 90, 3), 128, np.uint8)
COUNTS = pd.DataFrame({"training": range(1, 8), "test": range(7)}, index=EXPRESSIONS)
HISTORY = pd.DataFrame(
    [[1, 2.0, 0.3, 1.9, 0.31], [2, 1.5, 0.5, 1.6, 0.52], [3, 1.2, 0.6, 1.7, 0.49]],
    columns=["epoch", "loss", "accuracy", "val_loss", "val_accuracy"],
)
SHARES = {"precision": 0.5, "recall": 0.6, "f1": np.linspace(0.1, 0.8, 8), "support": 10}
REPORT = pd.DataFrame(SHARES, index=[*EXPRESSIONS, "macro average"])
TOP = pd.DataFrame(
    [[1, "angry", 0.9999999, True], [2, "angry", 0.998, True], [3, "happy", 0.9, False]],
    columns=["row", "predicted", "probability", "correct"],
).assign(true="angry")
BINS = pd.DataFrame(
    [[0.0, 0.5, 10, 0.4, 0.5], [0.5, 1.0, 30, 0.8, 0.9]],
    columns=["low", "high", "count", "confidence", "accuracy"],
)


@pytest.fixture(scope="module")
def every():
    """A figure from each function that no other room's tests draw."""
    return {
        "face_sheet": figures.face_sheet(FACES, LABELS, per_class=3, title="sample faces"),
        "class_counts": figures.class_counts(COUNTS, title="counts"),
        "picture_row": figures.picture_row([PHOTO, FACES[0], FACES[1, :, :, 0]], ["a", "b", "c"]),
        "timeline": figures.timeline(np.arange(3.0), np.full((3, 7), 1 / 7), EXPRESSIONS),
        "learning_curves": figures.learning_curves({"one": HISTORY, "two": HISTORY}),
        "confusion_matrix": figures.confusion_matrix(np.diag(np.full(7, 10))),
        "per_class_bars": figures.per_class_bars({"one": REPORT, "two": REPORT}),
        "reliability": figures.reliability({"before": BINS, "after": BINS}),
        "top_predictions": figures.top_predictions(FACES[:3], TOP),
    }


def said(figure):
    """All that can be read in a figure."""
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_each_renders_at_a_readable_size_and_nothing_global_changes(every):
    before = dict(matplotlib.rcParams)
    for name, figure in every.items():
        content = figure._repr_png_()
        width, height = Image.open(io.BytesIO(content)).size
        assert 200 < width < 2200, name
        assert 150 < height < 2200, name
        assert len(content) < 150_000, name
    assert dict(matplotlib.rcParams) == before
    assert not pyplot.get_fignums()


def test_titles_stand_over_the_figures_and_expressions_have_their_colors(every):
    assert every["face_sheet"].get_suptitle() == "sample faces"
    assert every["class_counts"].get_suptitle() == "counts"
    bars = every["class_counts"].axes[0].patches[:7]
    colors = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in bars]
    assert colors == [COLORS[name].upper() for name in EXPRESSIONS]


def test_the_style_does_not_depend_on_the_readers_settings():
    with matplotlib.style.context({"font.size": 31, "axes.spines.top": True}):
        loud = figures.class_counts(COUNTS)._repr_png_()
    assert figures.class_counts(COUNTS)._repr_png_() == loud


def test_class_counts_writes_the_numbers_and_leaves_out_the_sum():
    figure = figures.class_counts(COUNTS.assign(all=COUNTS.sum(axis=1)))
    assert len(figure.axes) == 2
    assert any("7 · 25.0%" in text for text in said(figure))
    assert "training: 28" in said(figure)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_confusion_matrix_holds_counts_and_row_percentages():
    counts = np.zeros((7, 7), dtype=np.int64)
    counts[0, 0], counts[0, 1], counts[3, 3], counts[3, 4] = 3, 1, 1_234, 2
    figure = figures.confusion_matrix(counts, names=("FER2013's label", "FER+'s majority"))
    assert {"75%\n3", "25%\n1", "100%\n1,234", "<1%\n2", "angry\nn = 4"} <= set(said(figure))
    assert len(figure.axes[0].texts) == 49
    assert figure.axes[0].get_ylabel() == "FER2013's label"
    assert figure.axes[0].get_xlabel().startswith("FER+'s majority (percent of the row")


def test_learning_curves_mark_the_best_epoch(every):
    found = said(figures.learning_curves(HISTORY))
    assert {"best epoch, 2: 52.0%", "cross-entropy (nats)", "accuracy (%)"} <= set(found)
    assert "two: best epoch, 2: 52.0%" in said(every["learning_curves"])
    assert figures.learning_curves(HISTORY.iloc[:1])._repr_png_()


def test_architecture_draws_each_block_to_scale_with_its_parameters():
    layers = keras.layers
    first = [keras.Input((16, 16, 1)), layers.Conv2D(4, 3, padding="same"), layers.MaxPooling2D()]
    inner = keras.Sequential([layers.Conv2D(8, 3, padding="same"), layers.ReLU()])
    last = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([*first, inner, *last])
    figure = figures.architecture(model, title="small")
    found = said(figure)
    assert {"small", "16×16×1", "8×8×4", "8×8×8", "3", "dense, 3 units\nsoftmax"} <= set(found)
    assert "convolution 3×3\nmax-pooling" in found
    counts = [text for text in found[found.index("parameters:") :] if text[-1].isdigit()]
    counts = [int(text.replace(",", "")) for text in counts if "×" not in text and text != "3"]
    assert sum(counts) == model.count_params()
    # Five blocks, of three faces each, every face on white: pixels, two of the first, two others.
    assert len(figure.axes[0].patches) == 5 * 3 * 2
    fronts = [patch.get_xy() for patch in figure.axes[0].patches[1::6]]
    pixels, made, pooled, second, _ = (front[:, 1].max() for front in fronts)
    assert pixels == made == pytest.approx(2 * pooled)
    assert pooled == second
    first, pooled, second = (np.ptp(fronts[at][:, 0]) for at in (1, 2, 3))
    assert second == pytest.approx(2 * first) == pytest.approx(2 * pooled)
    assert figure._repr_png_()


def branches():
    pixels = keras.Input((8, 8, 1))
    one, two = (keras.layers.Conv2D(2, 3)(pixels) for _ in range(2))
    return keras.Model(pixels, keras.layers.Add()([one, two]))


def test_several_runs_are_dots_with_their_values():
    other = REPORT.assign(f1=REPORT["f1"] / 2)
    axes = figures.per_class_bars({"one": REPORT, "two": other}).axes[0]
    values = [f"{value:.2f}" for table in (REPORT, other) for value in table["f1"]]
    texts = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert set(values) <= set(texts)
    assert texts["0.80"] == "bold"
    assert not axes.patches


def test_top_predictions_say_row_label_prediction_and_probability(every):
    found = "\n".join(said(every["top_predictions"]))
    assert found.count("label: ") == found.count("row ") == len(TOP)
    # What is less than certain is never written as certain.
    assert "> 99.99%" in found
    assert "100" not in found
    assert {found.count("✓"), found.count("✗")} == {2, 1}


def test_reliability_states_the_gap_of_each_and_shares_its_scales(every):
    upper, lower = every["reliability"].axes[:2], every["reliability"].axes[2:]
    assert upper[0].get_title(loc="left") == "before: mean gap 10.0 points"
    assert upper[0].get_ylim() == upper[1].get_ylim()
    assert [bar.get_height() for bar in lower[0].patches] == [10, 30]


def test_a_class_without_faces_leaves_its_row_empty():
    sheet = figures.face_sheet(FACES[:2], [0, 0], per_class=2).axes[0].images[0].get_array()
    assert (sheet[13:] == 255).all()
    assert not (sheet[:12] == 255).all()


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda: figures.face_sheet(FACES[:0], []), "got none"),
        (lambda: figures.picture_row([]), "got none"),
        (lambda: figures.learning_curves({}), "got none"),
        (lambda: figures.learning_curves(HISTORY.iloc[:0]), "got none"),
        (lambda: figures.reliability(BINS.assign(count=0)), "got none"),
        (lambda: figures.picture_row([np.zeros((4, 4))]), "expected uint8 of shape"),
        (lambda: figures.picture_row([np.zeros((4, 4, 2), np.uint8)]), "expected uint8 of shape"),
        (lambda: figures.picture_row([np.zeros((0, 4), np.uint8)]), "expected uint8 of shape"),
        (lambda: figures.confusion_matrix(np.zeros((7, 6), int)), "counts"),
        (lambda: figures.confusion_matrix(np.zeros((6, 6), int)), "counts"),
        (lambda: figures.confusion_matrix(np.zeros((7, 7))), "counts"),
        (lambda: figures.per_class_bars({"one": REPORT}, metric="accuracy"), "metric"),
        (lambda: figures.per_class_bars({"one": REPORT, "two": REPORT[1:]}), "same expressions"),
        (lambda: figures.architecture(branches()), "joins branches"),
    ],
)
def test_what_does_not_fit_is_refused(draw, expected):
    with pytest.raises(DataError, match=expected):
        draw()
