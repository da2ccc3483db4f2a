"""The figures: what stands in them, that they change nothing global, that files repeat exactly."""

import io

import matplotlib
import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils import evaluation, figures
from utils.expressions import COLORS, EXPRESSIONS
from utils.faces import Box
from utils.records import Predictions
from utils.runtime import DataError

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (14, 12, 12, 1), dtype=np.uint8)
LABELS = np.arange(14) % 7
PHOTO = RNG.integers(0, 256, (60, 90, 3), dtype=np.uint8)
BOXES = [Box(10, 12, 30, 40), (40, -5, 95, 50)]
COUNTS = pd.DataFrame({"training": range(1, 8), "test": range(7)}, index=EXPRESSIONS)
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "loss": [2.0, 1.5, 1.2],
        "accuracy": [0.3, 0.5, 0.6],
        "val_loss": [1.9, 1.6, 1.7],
        "val_accuracy": [0.31, 0.52, 0.49],
    }
)


@pytest.fixture(scope="module")
def predictions():
    probabilities = RNG.dirichlet(np.full(7, 0.4), 300)
    return Predictions(
        probabilities, RNG.integers(0, 7, 300), np.arange(300), np.zeros(300, bool), EXPRESSIONS
    )


@pytest.fixture(scope="module")
def every(predictions):
    """A figure of each function."""
    surest, report = evaluation.surest(predictions), evaluation.report(predictions)
    return {
        "face_sheet": figures.face_sheet(FACES, LABELS, per_class=3, title="rendered sample faces"),
        "class_counts": figures.class_counts(COUNTS, title="counts"),
        "photo_with_boxes": figures.photo_with_boxes(PHOTO, BOXES, ["angry", "2"]),
        "picture_row": figures.picture_row([PHOTO, FACES[0], FACES[1, :, :, 0]], ["a", "b", "c"]),
        "crop_examples": figures.crop_examples(PHOTO, BOXES, FACES[:2], title="crops"),
        "smote_parents": figures.smote_parents(
            FACES[:3], FACES[3:6], FACES[6:9], np.array([0, 0.5, 1]), LABELS[:3]
        ),
        "augmentation_examples": figures.augmentation_examples(FACES[0], FACES[1:8]),
        "learning_curves": figures.learning_curves({"one": HISTORY, "two": HISTORY}),
        "confusion_matrix": figures.confusion_matrix(evaluation.confusion(predictions)),
        "per_class_bars": figures.per_class_bars({"one": report, "two": report}),
        "reliability": figures.reliability(evaluation.reliability_table(predictions)),
        "top_predictions": figures.top_predictions(FACES[:10], surest),
        "top_predictions_bars": figures.top_predictions(None, surest),
        "accuracy_intervals": figures.accuracy_intervals(
            evaluation.compare({"one": predictions}), reference={"people": 0.65}
        ),
    }


def texts(figure):
    """All that can be read in a figure."""
    found = [figure.get_suptitle()]
    for text in figure.findobj(matplotlib.text.Text):
        found.append(text.get_text())
    return [text for text in found if text]


def size_of(content):
    return Image.open(io.BytesIO(content)).size


def test_each_figure_renders_at_a_readable_size(every):
    for name, figure in every.items():
        content = figure._repr_png_()
        width, height = size_of(content)
        assert 300 < width < 2200, name
        assert 150 < height < 2200, name
        assert len(content) < 150_000, name


def test_files_repeat_exactly_and_carry_no_metadata(every, tmp_path):
    for name in ("confusion_matrix", "class_counts"):
        first = figures.save(every[name], name, tmp_path / "one")
        second = figures.save(every[name], f"{name}.png", tmp_path / "two")
        assert first.name == second.name == f"{name}.png"
        assert first.read_bytes() == second.read_bytes()
        assert not Image.open(first).text
        assert [path.name for path in first.parent.glob(f"*{name}*")] == [f"{name}.png"]


@pytest.mark.parametrize("name", ["", ".png", "a/b", "../a", "/a"])
def test_a_file_name_is_no_path(every, tmp_path, name):
    with pytest.raises(DataError, match="figure name"):
        figures.save(every["confusion_matrix"], name, tmp_path)


def test_the_style_is_applied_and_nothing_global_changes():
    before = dict(matplotlib.rcParams)
    with matplotlib.style.context({"font.size": 31, "axes.spines.top": True}):
        loud = figures.class_counts(COUNTS)._repr_png_()
    assert dict(matplotlib.rcParams) == before
    assert figures.class_counts(COUNTS)._repr_png_() == loud


def test_pyplot_does_not_know_the_figures(every):
    from matplotlib import pyplot

    assert not pyplot.get_fignums()


def test_titles_stand_in_the_figure(every):
    assert every["face_sheet"].get_suptitle() == "rendered sample faces"
    assert every["class_counts"].get_suptitle() == "counts"


def test_expressions_have_their_colours():
    axes = figures.class_counts(COUNTS).axes[0]
    colors = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    assert colors == [COLORS[name].upper() for name in EXPRESSIONS]


def test_class_counts_writes_the_numbers_and_leaves_out_the_sum():
    figure = figures.class_counts(COUNTS.assign(all=COUNTS.sum(axis=1)))
    assert len(figure.axes) == 2
    assert any("7 · 25.0%" in text for text in texts(figure))
    assert "training: 28" in texts(figure)


def test_class_counts_shares_its_scale_unless_told_otherwise():
    shared = figures.class_counts(COUNTS)
    own = figures.class_counts(COUNTS, same_scale=False)
    assert len({axes.get_xlim() for axes in shared.axes}) == 1
    assert len({axes.get_xlim() for axes in own.axes}) == 2


def test_confusion_matrix_holds_counts_and_row_percentages():
    counts = np.zeros((7, 7), dtype=np.int64)
    counts[0, 0], counts[0, 1], counts[3, 3], counts[3, 4] = 3, 1, 1_234, 2
    found = texts(figures.confusion_matrix(counts))
    for text in ("75%", "25%", "3", "1", "1,234", "<1%", "100%", "angry\nn = 4"):
        assert text in found
    # Seven by seven cells, each with a percentage, whether its class has pictures or not.
    assert sum(text.endswith("%") for text in found) == 49


def test_two_sets_of_labels_are_named_by_the_axes():
    counts = np.eye(7, dtype=np.int64)
    axes = figures.confusion_matrix(counts, names=("FER2013's label", "FER+'s majority")).axes[0]
    assert axes.get_ylabel() == "FER2013's label"
    assert axes.get_xlabel().startswith("FER+'s majority (percent of the row")
    assert "true class" in figures.confusion_matrix(counts).axes[0].get_xlabel()


def test_confusion_matrix_writes_light_on_dark():
    counts = np.diag(np.full(7, 10))
    axes = figures.confusion_matrix(counts).axes[0]
    colors = {text.get_text(): text.get_color() for text in axes.texts}
    assert colors["100%"] == "white"
    assert colors["0%"] != "white"


@pytest.mark.parametrize(
    "counts", [np.zeros((7, 6), int), np.zeros((6, 6), int), np.zeros((7, 7)), np.full((7, 7), -1)]
)
def test_confusion_matrix_refuses_what_is_none(counts):
    with pytest.raises(DataError, match="counts"):
        figures.confusion_matrix(counts)


def test_learning_curves_mark_the_best_epoch():
    found = texts(figures.learning_curves(HISTORY))
    assert "best epoch, 2: 52.0%" in found
    assert {"loss", "accuracy", "training", "validation", "epoch", "accuracy (%)"} <= set(found)
    named = texts(figures.learning_curves({"with": HISTORY, "without": HISTORY}))
    assert "with: training" in named
    assert "without: best epoch, 2: 52.0%" in named


def test_learning_curves_refuse_a_history_that_lacks_a_column():
    with pytest.raises(DataError, match="no column val_loss"):
        figures.learning_curves(HISTORY.drop(columns="val_loss"))
    with pytest.raises(DataError, match="no epoch"):
        figures.learning_curves(HISTORY.iloc[:0])


def test_one_epoch_is_a_curve():
    assert figures.learning_curves(HISTORY.iloc[:1])._repr_png_()


def test_wrong_predictions_are_marked_not_by_colour_alone(predictions):
    table = evaluation.surest(predictions)
    for images in (FACES[:10], None):
        found = texts(figures.top_predictions(images, table))
        assert sum("✓" in text for text in found) == table["correct"].sum()
        assert sum("✗" in text for text in found) == (~table["correct"]).sum()
        assert sum("but truly" in text for text in found) == (~table["correct"]).sum()


def test_no_probability_is_written_as_certain():
    table = pd.DataFrame(
        {
            "row": [1, 2, 3],
            "true": ["angry"] * 3,
            "predicted": ["angry", "angry", "happy"],
            "probability": [0.9999999, 0.99996, 0.9],
            "true_probability": [0.9999999, 0.99996, 1e-9],
            "correct": [True, True, False],
        }
    )
    found = " ".join(texts(figures.top_predictions(None, table)))
    assert "> 99.99%" in found
    assert "100%" not in found
    assert "given < 0.01%" in found


def test_top_predictions_without_pictures_shows_none(every):
    assert not any(axes.images for axes in every["top_predictions_bars"].axes)
    assert "row 0" not in texts(every["top_predictions"])


def test_reliability_states_the_calibration_error(predictions, every):
    error = evaluation.calibration_error(predictions)
    assert f"mean gap {100 * error:.1f} points" in texts(every["reliability"])


def test_per_class_bars_name_the_macro_average(predictions):
    report = evaluation.report(predictions)
    for metric in ("f1", "precision", "recall"):
        found = texts(figures.per_class_bars(report, metric=metric))
        assert f"macro average {report.loc['macro average', metric]:.3f}" in found
    with pytest.raises(DataError, match="metric"):
        figures.per_class_bars(report, metric="accuracy")
    with pytest.raises(DataError, match="same expressions"):
        figures.per_class_bars({"one": report, "two": report.iloc[1:]})


def test_a_class_without_faces_leaves_its_row_empty():
    sheet = figures.face_sheet(FACES[:2], [0, 0], per_class=2).axes[0].images[0].get_array()
    assert (sheet[13:] == 255).all()
    assert not (sheet[:12] == 255).all()


def test_boxes_are_drawn_on_pixel_edges():
    axes = figures.photo_with_boxes(PHOTO, [Box(10, 12, 30, 40)]).axes[0]
    (box,) = [patch for patch in axes.patches if patch.get_width() == 20]
    assert (box.get_x(), box.get_y(), box.get_height()) == (9.5, 11.5, 28)
    assert axes.get_xlim() == (-0.5, 89.5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), float),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(DataError, match="expected uint8 of shape"):
        figures.picture_row([image])


def test_lists_of_other_lengths_are_refused(predictions):
    table = evaluation.surest(predictions)
    for call in (
        lambda: figures.face_sheet(FACES, LABELS[:-1]),
        lambda: figures.picture_row(FACES, ["one"]),
        lambda: figures.photo_with_boxes(PHOTO, BOXES, ["one"]),
        lambda: figures.crop_examples(PHOTO, BOXES, FACES[:1]),
        lambda: figures.smote_parents(FACES[:2], FACES[:2], FACES[:1], [0, 0], [0, 0]),
        lambda: figures.augmentation_examples(FACES[0], FACES[1:3], ["one"]),
        lambda: figures.top_predictions(FACES[:2], table),
    ):
        with pytest.raises(DataError, match="one each"):
            call()


def test_nothing_to_draw_is_refused():
    for call in (
        lambda: figures.face_sheet(FACES[:0], []),
        lambda: figures.picture_row([]),
        lambda: figures.learning_curves({}),
        lambda: figures.top_predictions(None, pd.DataFrame()),
    ):
        with pytest.raises(DataError, match="got none"):
            call()
