"""Every plot of the course: arrays in, a `Figure` out.

A `Figure` is Matplotlib's, made without pyplot: nothing global changes, nothing is shown twice,
and nothing has to be closed. In a notebook it displays itself where it is a cell's last
expression; on disk, `save` writes it, byte for byte the same each time.

Pictures are uint8, (height, width), (height, width, 1) or (height, width, 3). An expression has
one colour everywhere, `expressions.COLORS`, and never colour alone: its name, a mark or a
hatching says the same.
"""

from __future__ import annotations

import functools
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib import patches, patheffects
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter
from PIL import Image, ImageDraw, ImageFont

from utils.errors import DataError
from utils.evaluation import accuracy_interval
from utils.expressions import COLORS, EXPRESSIONS
from utils.runtime import FIGURES

STYLE = Path(__file__).with_name("style.mplstyle")
#: Dots an inch of a figure in a notebook; `save` takes the style's, which are more.
NOTEBOOK_DPI = 120

INK, QUIET, WRONG = "#222222", "#6B6B6B", "#B2182B"
UNKNOWN = "#4D4D4D"
RIGHT_MARK, WRONG_MARK = "✓", "✗"
#: Bars of more runs than these stand too close for their values.
MOST_LABELLED = 3
#: The least and the most pixels of an annotated photo's long side.
ANNOTATED_SIDES = (480, 1600)


class Figure(matplotlib.figure.Figure):
    """A Matplotlib figure that pyplot does not know, and that shows itself in a notebook."""

    def savefig(self, fname: Any, **settings: Any) -> None:
        """Write the figure in the course's style (fonts are chosen as late as this)."""
        with matplotlib.style.context(STYLE):
            # A second layout moves things by a pixel: lay out once, whatever the resolution.
            if self.get_layout_engine() is not None:
                self.draw_without_rendering()
                self.set_layout_engine("none")
            super().savefig(fname, **settings)

    def _repr_png_(self) -> bytes:
        """Give a notebook the picture."""
        return _png(self, NOTEBOOK_DPI)


def _png(figure: matplotlib.figure.Figure, dpi: float) -> bytes:
    """Render as PNG without a time stamp or a program's name: the same bytes each time.

    The 256 commonest colours are kept, which takes a third of the space; on the course's figures
    that changes a pixel by 0.2 of 255 on average.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def _styled(plot: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a plotting function in the course's style, leaving Matplotlib's settings as they were."""

    @functools.wraps(plot)
    def wrapped(*arguments: Any, **settings: Any) -> Figure:
        with matplotlib.style.context(STYLE):
            return plot(*arguments, **settings)

    return wrapped


def save(figure: matplotlib.figure.Figure, name: str, folder: Path | str = FIGURES) -> Path:
    """Write a figure as a PNG that depends on nothing but its content.

    Parameters
    ----------
    figure : Figure
    name : str
        The file's name, with or without ".png"; no folders.
    folder : path
        Made if it is not there.

    Returns
    -------
    Path
        The file, written beside its place and moved there.

    Raises
    ------
    DataError
        When the name is empty or holds a folder.
    """
    name = name.removesuffix(".png")
    if not name or name != Path(name).name:
        raise DataError(f"figure name {name!r}: expected a file name without a folder")
    path = Path(folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.style.context(STYLE):
        content = _png(figure, matplotlib.rcParams["savefig.dpi"])
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path


# ------------------------------------------------------------------------------ small helpers


def _color(expression: str) -> str:
    return COLORS.get(expression, UNKNOWN)


def _picture(image: np.ndarray, what: str = "picture") -> np.ndarray:
    """Bring a picture to (height, width, 3) uint8, whatever its channels."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[:, :, None]
    if (
        image.ndim != 3
        or image.shape[2] not in (1, 3)
        or image.dtype != np.uint8
        or 0 in image.shape
    ):
        raise DataError(
            f"{what}: expected uint8 of shape (height, width[, 1 or 3]), "
            f"got {image.dtype} of shape {image.shape}"
        )
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _show(axes: Axes, image: np.ndarray, edge: str | None = None, width: float = 2.5) -> None:
    """Draw a picture without ticks, in a thin frame or in one of the given colour."""
    axes.imshow(_picture(image), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=edge or "#CFCFCF", linewidth=width if edge else 0.6)


def _grid(
    count: int, columns: int, cell: float, row: float, title: str
) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``count`` cells, each ``cell`` inches wide and ``row`` high."""
    columns = max(1, min(columns, count))
    rows = math.ceil(count / columns)
    width = max(cell * columns, 0.082 * len(title) + 0.3)
    figure = Figure(figsize=(width, row * rows + (0.45 if title else 0)))
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells[count:]:
        axes.set_visible(False)
    _title(figure, title)
    return figure, list(cells[:count])


def _title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(title)


def _same_length(count: int, **others: Sequence | np.ndarray | None) -> None:
    for name, values in others.items():
        if values is not None and len(values) != count:
            raise DataError(f"{name}: expected {count}, one each, got {len(values)}")


def _needs_some(values: Sequence | np.ndarray, what: str) -> None:
    if len(values) == 0:
        raise DataError(f"{what}: expected one or more, got none")


# ------------------------------------------------------------------------------------ pictures


@_styled
def face_sheet(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    per_class: int = 8,
    expressions: Sequence[str] = EXPRESSIONS,
    title: str = "",
) -> Figure:
    """Show the first faces of each expression, a row an expression.

    Parameters
    ----------
    images : (n, h, w[, 1 or 3]) uint8
    labels : (n,) whole numbers, index into ``expressions``
    per_class : int
        Faces a row; a class with fewer leaves the rest of its row empty.
    expressions : sequence of str
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When there are no images, they are no pictures, or the labels do not fit them.
    """
    _needs_some(images, "images")
    _same_length(len(images), labels=labels)
    labels = np.asarray(labels)
    height, width = np.asarray(images[0]).shape[:2]
    gap = max(1, height // 16)
    rows = len(expressions)
    sheet = np.full(
        (rows * (height + gap) - gap, per_class * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for row in range(rows):
        for column, at in enumerate(np.flatnonzero(labels == row)[:per_class]):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = _picture(images[at])
    inches = 0.92
    figure = Figure(figsize=(inches * per_class + 1.1, inches * rows * height / width + 0.5))
    axes = figure.subplots()
    axes.imshow(sheet, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([row * (height + gap) + height / 2 for row in range(rows)], expressions)
    axes.tick_params(length=0, labelsize=11, pad=12)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, name in enumerate(expressions):
        bar = patches.Rectangle(
            (-1.6 * gap - 0.5, row * (height + gap) - 0.5),
            gap,
            height,
            color=_color(name),
            clip_on=False,
        )
        axes.add_patch(bar)
    _title(figure, title)
    return figure


@_styled
def picture_row(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    title: str = "",
    columns: int = 8,
) -> Figure:
    """Show pictures of any size side by side, in as many rows as they need.

    Parameters
    ----------
    images : sequence of (h, w[, 1 or 3]) uint8
    titles : sequence of str, optional
        One above each picture; a line break makes two lines.
    title : str
    columns : int
        Pictures a row.

    Returns
    -------
    Figure
    """
    _needs_some(images, "images")
    _same_length(len(images), titles=titles)
    lines = 1 + max((text.count("\n") for text in titles), default=0) if titles else 0
    figure, cells = _grid(len(images), columns, 1.35, 1.32 + 0.19 * lines, title)
    for at, axes in enumerate(cells):
        _show(axes, images[at])
        if titles:
            axes.set_title(titles[at], fontsize=9, fontweight="normal", loc="center", pad=4)
    return figure


@_styled
def photo_with_boxes(
    photo: np.ndarray,
    boxes: Sequence[Any],
    captions: Sequence[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw boxes on a photo, numbered from 1 or with captions.

    Parameters
    ----------
    photo : (h, w[, 1 or 3]) uint8
    boxes : sequence of Box, or of (left, top, right, bottom)
        In pixel edges, as `faces.Box` counts them. One may reach outside the photo.
    captions : sequence of str, optional
        One a box; that an expression's name begins gets the expression's colour.
    title : str

    Returns
    -------
    Figure
    """
    _same_length(len(boxes), captions=captions)
    photo = _picture(photo, "photo")
    height, width = photo.shape[:2]
    scale = 7 / max(height, width)
    figure = Figure(figsize=(max(3.5, scale * width), max(2.5, scale * height) + 0.4))
    axes = figure.subplots()
    _draw_boxes(axes, photo, boxes, captions)
    _title(figure, title)
    return figure


def _draw_boxes(
    axes: Axes, photo: np.ndarray, boxes: Sequence[Any], captions: Sequence[str] | None
) -> None:
    _show(axes, photo)
    height, width = photo.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    captions = [str(at) for at in range(1, len(boxes) + 1)] if captions is None else captions
    for box, caption in zip(boxes, captions, strict=True):
        left, top, right, bottom = (
            (box.left, box.top, box.right, box.bottom) if hasattr(box, "left") else box
        )
        color = _caption_color(caption)
        # Pixel edges: Matplotlib puts the middle of the first pixel at 0, so its edge at -0.5.
        axes.add_patch(
            patches.Rectangle(
                (left - 0.5, top - 0.5),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=color,
                linewidth=2.2,
                path_effects=[patheffects.withStroke(linewidth=4.2, foreground="white")],
            )
        )
        at_top = top > 0.07 * height
        axes.annotate(
            caption,
            (min(max(left, 0), width), top if at_top else min(bottom, height)),
            xytext=(1, 4 if at_top else -4),
            textcoords="offset points",
            va="bottom" if at_top else "top",
            color=_ink_on(color),
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
            bbox={"boxstyle": "round,pad=0.22", "facecolor": color, "edgecolor": "white"},
        )


def annotated_photo(photo: np.ndarray, boxes: Sequence[Any], captions: Sequence[str]) -> np.ndarray:
    """Draw boxes with captions into a photo's own pixels: a picture to keep, not a figure.

    Parameters
    ----------
    photo : (h, w[, 1 or 3]) uint8
        Drawn with a long side within `ANNOTATED_SIDES`: a larger one is shrunk, a smaller one
        enlarged so that its captions can be read.
    boxes : sequence of Box
        In pixel edges, as `faces.Box` counts them.
    captions : sequence of str
        One a box; that an expression's name begins gets the expression's colour.

    Returns
    -------
    (height, width, 3) uint8 array
        RGB. Each caption stands above its box, or inside it where there is no room above.
    """
    _same_length(len(boxes), captions=captions)
    photo = _picture(photo, "photo")
    longest = max(photo.shape[:2])
    factor = min(max(longest, ANNOTATED_SIDES[0]), ANNOTATED_SIDES[1]) / longest
    size = tuple(max(1, round(factor * side)) for side in photo.shape[1::-1])
    image = Image.fromarray(np.ascontiguousarray(photo)).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(14, max(size) // 36))
    line = max(2, max(size) // 250)
    for box, caption in zip(boxes, captions, strict=True):
        color = _caption_color(caption)
        left, top, right, bottom = (
            round(factor * edge) for edge in (box.left, box.top, box.right, box.bottom)
        )
        right, bottom = max(right - 1, left), max(bottom - 1, top)
        outline = (left - line, top - line, right + line, bottom + line)
        draw.rectangle(outline, outline="white", width=2 * line)
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        wide, high = (math.ceil(end) + line for end in draw.textbbox((0, 0), caption, font)[2:])
        x = max(0, min(left, size[0] - wide - line))
        y = top - high - line if top >= high + line else top
        draw.rectangle((x, y, x + wide, y + high), fill=color, outline="white")
        draw.text((x + (line + 1) // 2, y), caption, fill=_ink_on(color), font=font)
    return np.asarray(image)


def _caption_color(caption: str) -> str:
    """Return the colour of the expression that a caption begins with, else a dark grey."""
    first = caption.split()[0].strip(",:;") if caption.split() else ""
    return COLORS.get(first, INK)


@_styled
def crop_examples(
    photo: np.ndarray,
    boxes: Sequence[Any],
    crops: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """Show a photo with its boxes, and right of it what was cropped from each.

    Parameters
    ----------
    photo : (h, w[, 1 or 3]) uint8
    boxes : sequence of Box, or of (left, top, right, bottom)
    crops : sequence of (h, w[, 1 or 3]) uint8, one a box
    captions : sequence of str, optional
        One a box, on the photo and above its crop; by default numbers from 1.
    title : str

    Returns
    -------
    Figure
    """
    _needs_some(boxes, "boxes")
    _same_length(len(boxes), crops=crops, captions=captions)
    photo = _picture(photo, "photo")
    captions = [str(at) for at in range(1, len(boxes) + 1)] if captions is None else captions
    height, width = photo.shape[:2]
    rows = min(len(crops), 2 if len(crops) <= 4 else 3)
    columns = math.ceil(len(crops) / rows)
    tall = 3.4
    wide = min(6.0, tall * width / height)
    cell = tall / rows
    figure = Figure(figsize=(wide + cell * columns * 0.95 + 0.3, tall + (0.5 if title else 0.1)))
    left, right = figure.subfigures(1, 2, width_ratios=[wide, cell * columns * 0.95])
    _draw_boxes(left.subplots(), photo, boxes, captions)
    cells = right.subplots(rows, columns, squeeze=False).ravel()
    for at, axes in enumerate(cells):
        if at >= len(crops):
            axes.set_visible(False)
            continue
        side = "×".join(str(side) for side in np.asarray(crops[at]).shape[1::-1])
        _show(axes, crops[at], edge=_caption_color(captions[at]), width=2)
        axes.set_title(
            f"{captions[at]} · {side}", fontsize=9, fontweight="normal", loc="center", pad=4
        )
    _title(figure, title)
    return figure


@_styled
def smote_parents(
    parent_a: np.ndarray,
    synthetic: np.ndarray,
    parent_b: np.ndarray,
    weights: np.ndarray,
    labels: np.ndarray,
    *,
    expressions: Sequence[str] = EXPRESSIONS,
    title: str = "",
) -> Figure:
    """Show synthetic faces between their two parents, a column each.

    Parameters
    ----------
    parent_a, synthetic, parent_b : (m, h, w[, 1 or 3]) uint8
    weights : (m,) float, 0 … 1
        How far each synthetic face has gone from its parent A to its parent B.
    labels : (m,) whole numbers, index into ``expressions``
    expressions : sequence of str
    title : str

    Returns
    -------
    Figure
    """
    _needs_some(synthetic, "synthetic")
    count = len(synthetic)
    _same_length(count, parent_a=parent_a, parent_b=parent_b, weights=weights, labels=labels)
    figure = Figure(figsize=(max(1.32 * count + 0.9, 0.085 * len(title)), 5.0 if title else 4.6))
    cells = figure.subplots(3, count, squeeze=False)
    kinds = (("parent A", parent_a), ("synthetic", synthetic), ("parent B", parent_b))
    for row, (kind, pictures) in enumerate(kinds):
        for column, axes in enumerate(cells[row]):
            color = _color(expressions[int(labels[column])])
            _show(axes, pictures[column], edge=color if kind == "synthetic" else None)
            if row == 0:
                axes.set_title(
                    expressions[int(labels[column])], loc="center", color=INK, fontsize=10.5
                )
            if row == 1:
                axes.set_xlabel(f"{float(weights[column]):.0%} of the way\nfrom A to B", fontsize=9)
        cells[row, 0].set_ylabel(kind, fontweight="bold" if kind == "synthetic" else "normal")
    _title(figure, title)
    return figure


@_styled
def augmentation_examples(
    original: np.ndarray,
    variants: np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    title: str = "",
    columns: int = 6,
) -> Figure:
    """Show a picture, framed, and then what augmentation makes of it.

    Parameters
    ----------
    original : (h, w[, 1 or 3]) uint8
    variants : (m, h, w[, 1 or 3]) uint8
    titles : sequence of str, optional
        One above each variant.
    title : str
    columns : int
        Pictures a row, the original among them.

    Returns
    -------
    Figure
    """
    _needs_some(variants, "variants")
    _same_length(len(variants), titles=titles)
    lines = 1 + max((text.count("\n") for text in titles), default=0) if titles else 1
    figure, cells = _grid(len(variants) + 1, columns, 1.45, 1.42 + 0.19 * lines, title)
    _show(cells[0], original, edge=INK)
    cells[0].set_title("original", fontsize=9.5, loc="center", pad=4)
    for at, axes in enumerate(cells[1:]):
        _show(axes, variants[at])
        if titles:
            axes.set_title(titles[at], fontsize=9, fontweight="normal", loc="center", pad=4)
    return figure


# -------------------------------------------------------------------------------------- counts


@_styled
def class_counts(counts: pd.DataFrame, *, title: str = "", same_scale: bool = True) -> Figure:
    """Draw how many pictures each expression has, a panel a column.

    Parameters
    ----------
    counts : DataFrame
        Index: expressions; columns: splits, or "before" and "after"; a column "all" beside
        others is left out.
    title : str
    same_scale : bool
        Whether the panels share their scale; without it, each fills its own.

    Returns
    -------
    Figure
    """
    columns = [name for name in counts.columns if name != "all"] or list(counts.columns)
    _needs_some(columns, "counts")
    names = [str(name) for name in counts.index]
    figure = Figure(figsize=(1.0 + 3.0 * len(columns), 0.36 * len(names) + 1.1))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    most = {name: max(1, counts[name].max()) for name in columns}
    if same_scale:
        most = dict.fromkeys(columns, max(most.values()))
    for axes, column in zip(panels, columns, strict=True):
        values = counts[column].to_numpy()
        axes.barh(names, values, color=[_color(name) for name in names], height=0.72)
        total = max(1, values.sum())
        for at, value in enumerate(values):
            text = f" {value:,} · {value / total:.1%}"
            axes.text(value, at, text, va="center", fontsize=8.5, color=INK)
        axes.set_title(f"{column}: {values.sum():,}")
        axes.set(xlim=(0, 1.62 * most[column]), xlabel="pictures")
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, prune=None))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    panels[0].invert_yaxis()
    _title(figure, title)
    return figure


# ------------------------------------------------------------------------------------- training


@_styled
def learning_curves(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, title: str = ""
) -> Figure:
    """Draw loss and accuracy by epoch, of training and validation, with the best epoch marked.

    Parameters
    ----------
    history : DataFrame, or mapping of names to DataFrames
        With the columns of ``history.csv``: epoch (from 1), loss, accuracy, val_loss,
        val_accuracy (accuracies 0 … 1).
    title : str

    Returns
    -------
    Figure
        The best epoch is the one with the highest validation accuracy, the first of equals.

    Raises
    ------
    DataError
        When a column is missing or a history is empty.
    """
    histories = {"": history} if isinstance(history, pd.DataFrame) else dict(history)
    _needs_some(histories, "history")
    for name, table in histories.items():
        missing = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} - set(table.columns)
        if missing or table.empty:
            lacks = f"no column {', '.join(sorted(missing))}" if missing else "no epoch"
            raise DataError(f"history {name!r} has {lacks}")
    figure = Figure(figsize=(10, 4.1))
    panels = figure.subplots(1, 2)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    for at, (name, table) in enumerate(histories.items()):
        color = cycle[at % len(cycle)]
        epochs = table["epoch"].to_numpy()
        best = int(table["val_accuracy"].to_numpy().argmax())
        for axes, column, factor in ((panels[0], "loss", 1), (panels[1], "accuracy", 100)):
            prefix = f"{name}: " if name else ""
            axes.plot(
                epochs,
                factor * table[column],
                color=color,
                linestyle=(0, (4, 2)),
                linewidth=1.4,
                label=f"{prefix}training",
            )
            axes.plot(
                epochs, factor * table[f"val_{column}"], color=color, label=f"{prefix}validation"
            )
            axes.plot(
                epochs[best],
                factor * table[f"val_{column}"].iloc[best],
                marker="o",
                markersize=9,
                markerfacecolor="white",
                markeredgecolor=color,
                markeredgewidth=2,
                linestyle="none",
                label=f"{prefix}best epoch, {epochs[best]}: {table['val_accuracy'].iloc[best]:.1%}",
                zorder=3,
            )
    panels[0].set(title="loss", ylabel="cross-entropy (nats)", ylim=(0, None))
    panels[1].set(title="accuracy", ylabel="accuracy (%)")
    for axes in panels:
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
    handles, names = panels[0].get_legend_handles_labels()
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    # A column a run; a single run's three entries in one line.
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=3 if len(histories) == 1 else len(histories),
    )
    _title(figure, title)
    return figure


# ------------------------------------------------------------------------------------ evaluation


@_styled
def confusion_matrix(
    counts: np.ndarray, expressions: Sequence[str] = EXPRESSIONS, *, title: str = ""
) -> Figure:
    """Draw a confusion matrix: each cell its share of the true class, and its count.

    Parameters
    ----------
    counts : (k, k) whole numbers
        Row: the true class; column: the predicted one.
    expressions : sequence of k str
    title : str

    Returns
    -------
    Figure
        Each cell is the darker, the larger its share of the row (one hue, so that it reads the
        same with any colour vision); the right answers are bold.

    Raises
    ------
    DataError
        When the matrix is not square, has a negative count, or does not fit the names.
    """
    counts = np.asarray(counts)
    classes = len(expressions)
    if counts.shape != (classes, classes) or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"counts: expected {classes} × {classes} whole numbers, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    if (counts < 0).any():
        raise DataError("counts: expected 0 or more everywhere")
    sums = counts.sum(axis=1)
    shares = counts / np.maximum(sums, 1)[:, None]
    figure = Figure(figsize=(0.98 * classes + 1.5, 0.8 * classes + (1.2 if title else 0.8)))
    axes = figure.subplots()
    colormap = matplotlib.colormaps["Blues"]
    # The root spreads the small shares, where the mistakes are; the numbers say how much.
    axes.imshow(np.sqrt(shares), cmap=colormap, vmin=0, vmax=1.1, aspect=0.8)
    for true in range(classes):
        for predicted in range(classes):
            count, share = counts[true, predicted], shares[true, predicted]
            ink = _ink_on(colormap(np.sqrt(share) / 1.1)) if count else "#8A8A8A"
            percent = "<1%" if count and share < 0.005 else f"{100 * share:.0f}%"
            for text, size, shift in ((percent, 14.5, -0.11), (f"{count:,}", 10.5, 0.25)):
                axes.text(
                    predicted,
                    true + shift,
                    text,
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=size,
                    fontweight="bold" if true == predicted else "normal",
                )
    axes.set_xticks(range(classes), expressions, fontsize=12)
    named = [f"{name}\nn = {size:,}" for name, size in zip(expressions, sums, strict=True)]
    axes.set_yticks(range(classes), named, fontsize=12)
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted (percent of the true class; number of pictures)", fontsize=12)
    axes.set_ylabel("true", fontsize=12)
    _title(figure, title)
    return figure


def _ink_on(color: Any) -> str:
    """Black or white, whichever stands out more on the colour (WCAG's relative luminance)."""
    channels = np.asarray(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


@_styled
def per_class_bars(
    reports: pd.DataFrame | Mapping[str, pd.DataFrame], *, metric: str = "f1", title: str = ""
) -> Figure:
    """Draw one metric of each expression, with the macro average as a line.

    Parameters
    ----------
    reports : DataFrame, or mapping of names to DataFrames
        From `evaluation.report`; several are drawn as groups of bars, which carry their values
        where there is room for them: up to `MOST_LABELLED`.
    metric : {"f1", "precision", "recall"}
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        For an unknown metric, or reports about different expressions.
    """
    reports = {"": reports} if isinstance(reports, pd.DataFrame) else dict(reports)
    _needs_some(reports, "reports")
    label = {"f1": "F1", "precision": "precision", "recall": "recall"}.get(metric)
    if label is None:
        raise DataError(f"metric {metric!r}: expected f1, precision or recall")
    tables = list(reports.values())
    names = [name for name in tables[0].index if not str(name).endswith(" average")]
    if any(list(table.index) != list(tables[0].index) for table in tables):
        raise DataError("reports: expected the same expressions in each")
    figure = Figure(figsize=(9, 3.9))
    axes = figure.subplots()
    width = 0.8 / len(tables)
    places = np.arange(len(names))
    hatches = ("", "///", "...", "xx", "\\\\\\")
    entries: dict[str, Any] = {}
    styles = ((0, ()), (0, (5, 3)), (0, (1, 2)), (0, (5, 2, 1, 2)), (0, (8, 3)))
    for at, (name, table) in enumerate(reports.items()):
        values = table.loc[names, metric].to_numpy()
        shift = (at - (len(tables) - 1) / 2) * width
        hatch, style = hatches[at % len(hatches)], styles[at % len(styles)]
        bars = axes.bar(
            places + shift,
            values,
            width=0.92 * width,
            color=[_color(expression) for expression in names],
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )
        if len(tables) <= MOST_LABELLED:
            axes.bar_label(
                bars,
                [f"{value:.2f}" for value in values],
                fontsize=9.5 if len(tables) < 3 else 8,
                padding=3,
                bbox={"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none"},
            )
        mean = table.loc["macro average", metric]
        axes.axhline(mean, color=INK, linewidth=1.1, linestyle=style, zorder=0.5)
        entry = f"macro average {mean:.3f}"
        line = Line2D([], [], color=INK, linewidth=1.1, linestyle=style)
        patch = patches.Patch(facecolor="#9A9A9A", edgecolor="white", linewidth=0, hatch=hatch)
        entries[f"{name}, {entry}" if name else entry] = (patch, line) if name else line
    support = tables[0].loc[names, "support"]
    axes.set_xticks(places, [f"{name}\nn = {support[name]:,}" for name in names], fontsize=10.5)
    axes.set(ylim=(0, 1.06), ylabel=label)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(3, len(entries)),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.8)},
        handlelength=4.5 if len(tables) > 1 else 2,
    )
    _title(figure, title)
    return figure


@_styled
def reliability(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how often right against how sure, and how many predictions were so sure.

    Parameters
    ----------
    table : DataFrame
        From `evaluation.reliability_table`: low, high, count, confidence, accuracy.
    title : str

    Returns
    -------
    Figure
        The mean gap in it, weighted by count, is the expected calibration error.
    """
    filled = table[table["count"] > 0]
    _needs_some(filled, "reliability table")
    total = filled["count"].sum()
    gap = float(((filled["confidence"] - filled["accuracy"]).abs() * filled["count"]).sum() / total)
    figure = Figure(figsize=(5.6, 6.0))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    width = table["high"].iloc[0] - table["low"].iloc[0]
    middles = (filled["low"] + filled["high"]) / 2
    color = "#0072B2"
    right = (filled["accuracy"] * filled["count"]).round().astype(int)
    ends = np.array([accuracy_interval(*pair) for pair in zip(right, filled["count"], strict=True)])
    upper.plot(
        [0, 1], [0, 1], color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), label="as sure as right"
    )
    upper.vlines(filled["confidence"], ends[:, 0], ends[:, 1], color=color, linewidth=2, alpha=0.5)
    upper.plot(
        filled["confidence"],
        filled["accuracy"],
        linestyle="none",
        marker="o",
        markersize=7,
        color=color,
        label="measured, with its 95% interval",
    )
    upper.set(ylim=(0, 1.02), ylabel="right (% of the bin)")
    upper.set_title(f"mean gap {100 * gap:.1f} points", fontweight="normal", fontsize=10)
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    upper.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    lower.bar(middles, filled["count"], width=0.94 * width, color=color)
    lower.set(xlim=(0, 1), xlabel="probability of the predicted class (%)", ylabel="predictions")
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    lower.grid(axis="y")
    figure.align_ylabels()
    _title(figure, title)
    return figure


@_styled
def top_predictions(
    images: Sequence[np.ndarray] | None, table: pd.DataFrame, *, title: str = ""
) -> Figure:
    """Show the surest predictions, right (✓) and wrong (✗, framed).

    Parameters
    ----------
    images : sequence of (h, w[, 1 or 3]) uint8, or None
        In the table's order. None draws bars instead: for pictures that may not be shown.
    table : DataFrame
        From `evaluation.surest`: row, true, predicted, probability, true_probability, correct.
    title : str

    Returns
    -------
    Figure
    """
    _needs_some(table, "table")
    if images is None:
        return _surest_bars(table, title)
    _same_length(len(table), images=images)
    figure, cells = _grid(len(table), 5, 1.85, 2.28, title)
    for axes, image, entry in zip(cells, images, table.itertuples(), strict=True):
        _show(axes, image, edge=WRONG if not entry.correct else None, width=4)
        mark = RIGHT_MARK if entry.correct else WRONG_MARK
        axes.set_title(
            f"{mark} {entry.predicted}  {_percent(entry.probability)}",
            loc="center",
            fontsize=10.5,
            color=INK if entry.correct else WRONG,
            pad=5,
        )
        label = "true" if entry.correct else "but truly"
        axes.set_xlabel(
            f"{label}: {entry.true}",
            fontsize=10,
            color=QUIET if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    return figure


def _surest_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw the surest predictions without their pictures: a bar each, wrong ones hatched."""
    count = len(table)
    figure = Figure(figsize=(9, 0.42 * count + (1.15 if title else 0.75)))
    axes = figure.subplots()
    for at, entry in enumerate(table.itertuples()):
        axes.barh(
            at,
            entry.probability,
            color=_color(entry.predicted),
            height=0.74,
            hatch="" if entry.correct else "////",
            edgecolor="white",
            linewidth=0,
        )
        axes.text(
            0.012,
            at,
            f"{entry.predicted}  {_percent(entry.probability)}",
            va="center",
            fontweight="bold",
            color=INK,
            bbox={
                "boxstyle": "round,pad=0.18",
                "facecolor": "white",
                "edgecolor": "none",
                "alpha": 0.92,
            },
        )
        said = (
            f"{RIGHT_MARK} true: {entry.true}"
            if entry.correct
            else f"{WRONG_MARK} but truly {entry.true}, given {_percent(entry.true_probability)}"
        )
        axes.text(
            1.015,
            at,
            said,
            va="center",
            fontsize=10,
            color=INK if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    axes.set_yticks(range(count), [f"row {row:,}" for row in table["row"]])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), xlabel="probability of the predicted class (%)")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    axes.set_ylim(count - 0.4, -0.6)
    axes.grid(axis="x")
    _title(figure, title)
    return figure


def _percent(share: float) -> str:
    """Write a share as a percentage, with as many decimals as keep it below 100 and above 0."""
    if 0 < share < 1:
        for decimals in (1, 2):
            text = f"{100 * share:.{decimals}f}"
            if 0 < float(text) < 100:
                return f"{text}%"
        return "> 99.99%" if share > 0.5 else "< 0.01%"
    return f"{100 * share:.0f}%"


@_styled
def accuracy_intervals(
    table: pd.DataFrame, *, reference: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Draw accuracies with their intervals, a line each.

    Parameters
    ----------
    table : DataFrame
        Index: names; columns ``accuracy``, ``low``, ``high``, 0 … 1.
    reference : mapping of names to shares 0 … 1, optional
        Marked by dotted upright lines: figures from elsewhere, to be cited in the text.
    title : str

    Returns
    -------
    Figure
    """
    _needs_some(table, "table")
    reference = dict(reference or {})
    figure = Figure(figsize=(8, 0.5 * len(table) + 1.2 + 0.25 * len(reference)))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    places = np.arange(len(table))
    accuracy = 100 * table["accuracy"].to_numpy()
    low, high = 100 * table["low"].to_numpy(), 100 * table["high"].to_numpy()
    axes.errorbar(
        accuracy,
        places,
        xerr=np.stack([accuracy - low, high - accuracy]),
        linestyle="none",
        marker="o",
        markersize=8,
        capsize=5,
        color=color,
        elinewidth=2,
        capthick=2,
    )
    for place, value, bottom, top in zip(places, accuracy, low, high, strict=True):
        axes.annotate(
            f"{value:.1f}  ({bottom:.1f} to {top:.1f})",
            (value, place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
        )
    axes.set_yticks(places, [str(name) for name in table.index], fontsize=10.5)
    axes.set_ylim(len(table) - 0.4, -0.75 - 0.45 * len(reference))
    for at, (name, share) in enumerate(reference.items()):
        axes.axvline(100 * share, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        height = -0.72 - 0.45 * (len(reference) - 1 - at)
        axes.annotate(
            f"{name} {100 * share:.1f}",
            (100 * share, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=QUIET,
        )
    axes.margins(x=0.16)
    axes.set(xlabel="accuracy (%), with its 95% interval")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    _title(figure, title)
    return figure


# ---------------------------------------------------------------------------------- several runs


@_styled
def accuracy_curves(histories: Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """Draw the accuracy of several runs by epoch: training on the left, validation on the right.

    `learning_curves` shows a run or two in full; of five it would be a thicket.

    Parameters
    ----------
    histories : mapping of names to DataFrames
        With the columns epoch (from 1), accuracy and val_accuracy (0 … 1) of ``history.csv``;
        their lengths may differ.
    title : str

    Returns
    -------
    Figure
        Both panels have one scale; each line has its own dashes, a ring marks the epoch with the
        highest validation accuracy, the first of equals, and the legend names it.

    Raises
    ------
    DataError
        When there is no run, a column is missing or a history is empty.
    """
    _needs_some(histories, "histories")
    for name, table in histories.items():
        missing = {"epoch", "accuracy", "val_accuracy"} - set(table.columns)
        if missing or table.empty:
            lacks = f"no column {', '.join(sorted(missing))}" if missing else "no epoch"
            raise DataError(f"history {name!r} has {lacks}")
    figure = Figure(figsize=(10, 4.4))
    panels = figure.subplots(1, 2, sharey=True)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    dashes = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)))
    markers = "osD^v"
    for at, (name, table) in enumerate(histories.items()):
        color, best = cycle[at % len(cycle)], int(table["val_accuracy"].to_numpy().argmax())
        epochs = table["epoch"].to_numpy()
        for axes, column in zip(panels, ("accuracy", "val_accuracy"), strict=True):
            shares = 100 * table[column].to_numpy()
            label = f"{name}: epoch {epochs[best]}, {table['val_accuracy'].iloc[best]:.1%}"
            axes.plot(
                epochs,
                shares,
                color=color,
                linestyle=dashes[at % len(dashes)],
                label=label,
                marker=markers[at % len(markers)],
                markevery=[best],
                markersize=8,
                markerfacecolor="white",
                markeredgewidth=2,
            )
    for axes, text in zip(panels, ("training split", "validation split"), strict=True):
        axes.set(title=text, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
    panels[0].set(ylabel="accuracy (%)", ylim=(0, min(100.0, panels[0].get_ylim()[1])))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(3, len(histories)),
        title="best on validation",
    )
    _title(figure, title)
    return figure


@_styled
def agreement_matrix(same: pd.DataFrame, errors: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how often each two runs give the same answer, and how often the same wrong one.

    Parameters
    ----------
    same : (k, k) DataFrame
        `evaluation.agreement`: shares of all pictures, 0 … 1.
    errors : (k, k) DataFrame
        The same with ``errors=True``; its diagonal is each run's share of mistakes.
    title : str

    Returns
    -------
    Figure
        The lower triangle, since the upper one says the same again. Off the diagonal a cell is
        the darker, the more alike its two runs are.

    Raises
    ------
    DataError
        When the two tables are not square, or not about the same runs.
    """
    names = [str(name) for name in same.index]
    _needs_some(names, "same")
    tables = (same, errors)
    if any([str(n) for n in axis] != names for table in tables for axis in table.axes):
        raise DataError("same, errors: expected two square tables about the same runs")
    count = len(names)
    figure = Figure(figsize=(1.15 * count + 1.6, 0.82 * count + (1.1 if title else 0.7)))
    axes = figure.subplots()
    shares, wrong = same.to_numpy(float), errors.to_numpy(float)
    below = np.tri(count, k=-1, dtype=bool)
    least = shares[below].min(initial=1.0)
    colormap = matplotlib.colormaps["Blues"]
    # The scale begins under the smallest share: all of them are high, and differ by little.
    darkness = np.clip((shares - least + 0.1) / (1.15 - least), 0, 1)
    picture = np.where(below[..., None], colormap(darkness), (1, 1, 1, 1))
    picture[np.diag_indices(count)] = (0.93, 0.93, 0.93, 1)
    axes.imshow(picture, aspect=0.7)
    for row, column in zip(*np.nonzero(np.tri(count, dtype=bool)), strict=True):
        ink = _ink_on(picture[row, column, :3])
        alone = row == column
        for text, size, shift in (
            ("" if alone else f"{100 * shares[row, column]:.0f}%", 14.5, -0.12),
            (f"{100 * wrong[row, column]:.0f}% wrong", 10, 0.0 if alone else 0.25),
        ):
            place = (column, row + shift)
            axes.text(*place, text, ha="center", va="center", color=ink, fontsize=size)
    axes.set_xticks(range(count), names, fontsize=12)
    axes.set_yticks(range(count), names, fontsize=12)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("the same answer; below it, the same wrong answer", fontsize=11)
    _title(figure, title)
    return figure


# ---------------------------------------------------------------------------------------- search

#: How a trial's end is drawn: label, marker, face and colour.
_TRIALS = {
    "complete": ("complete", "o", "#332288", "#332288"),
    "pruned": ("pruned", "X", "#CC6677", "#CC6677"),
}


def _ended(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have an accuracy and were not lost; at least one."""
    ended = trials[trials["state"].isin(_TRIALS) & trials["val_accuracy"].notna()]
    _needs_some(ended, "trials")
    return ended


def _best(trials: pd.DataFrame) -> pd.Series | None:
    """Return the best complete trial, the first of equals."""
    complete = trials[trials["state"] == "complete"]
    return None if complete.empty else complete.loc[complete["val_accuracy"].idxmax()]


@_styled
def search_history(trials: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw what each trial of a search reached, and the best so far.

    Parameters
    ----------
    trials : DataFrame
        From `search.results`: trial, state, val_accuracy (0 … 1).
    title : str

    Returns
    -------
    Figure
        A pruned trial stands at the best of the epochs that it was given.

    Raises
    ------
    DataError
        When no trial has ended.
    """
    ended = _ended(trials)
    figure = Figure(figsize=(8.5, 3.9))
    axes = figure.subplots()
    for state, (label, marker, face, edge) in _TRIALS.items():
        some = ended[ended["state"] == state]
        if some.empty:
            continue
        axes.plot(
            some["trial"],
            100 * some["val_accuracy"],
            linestyle="none",
            marker=marker,
            markersize=10 if marker == "X" else 8,
            markerfacecolor=face,
            markeredgecolor="white" if marker == "X" else edge,
            label=f"{label} ({len(some)})",
            zorder=3,
        )
    complete = ended[ended["state"] == "complete"].sort_values("trial")
    best = _best(ended)
    if best is not None:
        last = ended["trial"].max()
        steps = [*complete["trial"], last]
        highest = 100 * complete["val_accuracy"].cummax()
        axes.step(
            steps,
            [*highest, highest.iloc[-1]],
            where="post",
            color=INK,
            linewidth=1.3,
            label="best so far",
            zorder=2,
        )
        axes.annotate(
            f"{best['val_accuracy']:.1%}",
            (best["trial"], 100 * best["val_accuracy"]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
        )
    axes.margins(y=0.14)
    axes.set(xlabel="trial", ylabel="validation accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    _title(figure, title)
    return figure


@_styled
def search_curves(epochs: pd.DataFrame, trials: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw each trial's validation accuracy by epoch, and where it was pruned.

    Parameters
    ----------
    epochs : DataFrame
        A row an epoch of a trial: trial, epoch (from 1), val_accuracy (0 … 1).
    trials : DataFrame
        From `search.results`: trial, state, val_accuracy.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When no trial has ended.
    """
    ended = _ended(trials)
    best = _best(ended)
    figure = Figure(figsize=(8.5, 4.2))
    axes = figure.subplots()
    labelled = set()
    for entry in ended.itertuples():
        curve = epochs[epochs["trial"] == entry.trial].sort_values("epoch")
        name, marker, _, color = _TRIALS[entry.state]
        chosen = best is not None and entry.trial == best["trial"]
        label = "best" if chosen else name
        axes.plot(
            curve["epoch"],
            100 * curve["val_accuracy"],
            color=INK if chosen else color,
            linewidth=2.6 if chosen else 1.2,
            alpha=1 if chosen else 0.75,
            linestyle="-" if entry.state == "complete" else (0, (4, 2)),
            marker=marker if entry.state == "pruned" else None,
            markevery=[-1],
            markersize=8,
            markeredgecolor="white",
            label=None if label in labelled else label,
            zorder=4 if chosen else 3,
        )
        labelled.add(label)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    _title(figure, title)
    return figure


@_styled
def search_settings(
    trials: pd.DataFrame,
    settings: Sequence[str] = ("learning_rate", "batch_size", "filters", "dropout"),
    *,
    title: str = "",
) -> Figure:
    """Draw accuracy against each setting, a panel a setting, with the best trial ringed.

    Parameters
    ----------
    trials : DataFrame
        From `search.results`, with a column for each of the settings.
    settings : sequence of str
        Those to draw. "learning_rate" gets a logarithmic axis; whole numbers stand at equal
        distances.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When no trial has ended, or a column is missing.
    """
    ended = _ended(trials)
    missing = set(settings) - set(ended.columns)
    if missing or not len(settings):
        raise DataError(f"trials: no column {', '.join(sorted(missing)) or 'to draw'}")
    best = _best(ended)
    figure = Figure(figsize=(1.2 + 2.6 * len(settings), 3.6))
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, settings, strict=True):
        values = ended[name].to_numpy(dtype=float)
        whole = name in ("batch_size", "filters")
        choices = np.unique(values)
        places = np.searchsorted(choices, values).astype(float) if whole else values
        if whole:
            # Equal choices lie on one line: set them a little apart, always in the same way.
            places += 0.22 * (((np.arange(len(places)) * 0.618) % 1) - 0.5)
            axes.set_xticks(range(len(choices)), [f"{choice:.0f}" for choice in choices])
            axes.set_xlim(-0.5, len(choices) - 0.5)
        elif name == "learning_rate":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        accuracy = 100 * ended["val_accuracy"].to_numpy()
        for state, (label, marker, face, _) in _TRIALS.items():
            some = (ended["state"] == state).to_numpy()
            if not some.any():
                continue
            axes.plot(
                places[some],
                accuracy[some],
                linestyle="none",
                marker=marker,
                markersize=9 if marker == "X" else 7,
                markerfacecolor=face,
                markeredgecolor="white",
                label=label if name == settings[0] else None,
            )
        if best is not None:
            at = (ended["trial"] == best["trial"]).to_numpy()
            axes.plot(
                places[at],
                accuracy[at],
                linestyle="none",
                marker="o",
                markersize=14,
                markerfacecolor="none",
                markeredgecolor=INK,
                markeredgewidth=1.6,
                label="best" if name == settings[0] else None,
            )
        axes.set_xlabel(name.replace("_", " "))
        axes.margins(y=0.1)
        axes.grid(axis="y")
    panels[0].set_ylabel("validation accuracy (%)")
    figure.legend(loc="outside lower center", ncols=3)
    _title(figure, title)
    return figure


@_styled
def search_importance(shares: pd.Series, *, title: str = "") -> Figure:
    """Draw how much of the accuracy's spread each setting explains.

    Parameters
    ----------
    shares : Series
        From `search.importance`: index settings, values 0 … 1.
    title : str

    Returns
    -------
    Figure
    """
    _needs_some(shares, "shares")
    figure = Figure(figsize=(7, 0.5 * len(shares) + 1.1))
    axes = figure.subplots()
    names = [str(name).replace("_", " ") for name in shares.index]
    bars = axes.barh(names, 100 * shares.to_numpy(), height=0.66, color="#332288")
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the spread in accuracy that it explains (%)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    _title(figure, title)
    return figure
