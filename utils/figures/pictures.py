"""Faces and photos: rows, sheets, boxes, top predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from PIL import Image, ImageColor, ImageDraw, ImageFont

from utils.expressions import COLORS, EXPRESSIONS
from utils.faces import Box
from utils.figures import style
from utils.figures.style import INK, WRONG, Figure, checked_picture, color_of, styled

#: The least and the most pixels of an annotated photo's long side.
ANNOTATED_SIDES = (480, 1600)


def _grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None,
    columns: int,
    cell: float = 1.4,
    edges: Mapping[int, str] | None = None,
) -> Figure:
    """Show pictures in rows, ``cell`` inches each, some of them in colored frames."""
    columns = max(1, min(columns, len(images)))
    rows = math.ceil(len(images) / columns)
    lines = 1 + max((text.count("\n") for text in titles), default=0) if titles else 0
    high = (cell + 0.21 * lines) * rows
    figure, cells = style.sheet(cell * columns, high, rows, columns)
    for axes in cells.flat[len(images) :]:
        axes.set_visible(False)
    font = {"fontsize": 10.5, "fontweight": "normal", "loc": "center", "pad": 4}
    titles = titles or [""] * len(images)
    for at, (image, title) in enumerate(zip(images, titles, strict=True)):
        style.show(cells.flat[at], image, (edges or {}).get(at))
        cells.flat[at].set_title(title, **font)
    return figure


@styled
def picture_row(
    images: Sequence[np.ndarray], titles: Sequence[str] | None = None, *, columns: int = 8
) -> Figure:
    """Show pictures of any size side by side, ``columns`` in a row, ``titles`` above them."""
    style.require_some(images, "images")
    return _grid(images, titles, columns)


@styled
def face_sheet(images: np.ndarray, labels: np.ndarray, *, per_class: int = 8) -> Figure:
    """Show the first ``per_class`` faces of each expression, one row per expression.

    Parameters
    ----------
    images : (n, h, w[, 1 or 3]) uint8
    labels : (n,) integers, index into `EXPRESSIONS`
    """
    style.require_some(images, "images")
    height, width = np.asarray(images[0]).shape[:2]
    gap = max(1, height // 16)
    down, across, rows = height + gap, width + gap, len(EXPRESSIONS)
    # One large picture is drawn some twenty times faster than a panel for each face.
    paper = np.full((rows * down - gap, per_class * across - gap, 3), 255, dtype=np.uint8)
    for row in range(rows):
        for column, at in enumerate(np.flatnonzero(np.asarray(labels) == row)[:per_class]):
            top, left = row * down, column * across
            paper[top : top + height, left : left + width] = checked_picture(images[at])
    high = 0.92 * rows * height / width + 0.5
    figure, ((axes,),) = style.sheet(0.92 * per_class + 1.1, high)
    axes.imshow(paper, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([row * down + height / 2 for row in range(rows)], EXPRESSIONS)
    axes.tick_params(length=0, pad=12)
    axes.spines[:].set_visible(False)
    for row, name in enumerate(EXPRESSIONS):
        corner = (-1.6 * gap - 0.5, row * down - 0.5)
        axes.add_patch(Rectangle(corner, gap, height, color=color_of(name), clip_on=False))
    return figure


@styled
def top_predictions(images: Sequence[np.ndarray], table: pd.DataFrame) -> Figure:
    """Show the most confident predictions, right (✓) and wrong (✗, red).

    Parameters
    ----------
    images : sequence of (h, w[, 1 or 3]) uint8
        In the table's order.
    table : DataFrame
        From `evaluation.most_confident`: row, true, predicted, probability (0 … 1), correct.
    """
    style.require_some(table, "table")
    marks = np.where(table["correct"], "✓", "✗")
    # What is less than certain is never written as certain.
    chances = ["> 99.99%" if 0.99995 <= p < 1 else f"{p:.2%}" for p in table["probability"]]
    said = [
        f"{sign} {one.predicted}  {chance}\nlabel: {one.true}\nrow {one.row:,}"
        for sign, chance, one in zip(marks, chances, table.itertuples(), strict=True)
    ]
    edges = {at: WRONG for at, sign in enumerate(marks) if sign == "✗"}
    return _grid(images, said, 5, cell=1.85, edges=edges)


def annotated_photo(photo: np.ndarray, boxes: Sequence[Box], captions: Sequence[str]) -> np.ndarray:
    """Draw boxes with captions into a photo's own pixels: a picture to keep, not a figure.

    Parameters
    ----------
    photo : (h, w[, 1 or 3]) uint8
        Shrunk or enlarged until its long side is within `ANNOTATED_SIDES`.
    boxes : sequence of Box
        `faces.Box`, in pixel edges. One may reach outside the photo.
    captions : sequence of str
        One per box; if it starts with an expression's name, it gets the expression's color.

    Returns
    -------
    (height, width, 3) uint8 array
        RGB. Each caption is above its box, or inside it if there is no room above.
    """
    photo = checked_picture(photo, "photo")
    longest = max(photo.shape[:2])
    factor = min(max(longest, ANNOTATED_SIDES[0]), ANNOTATED_SIDES[1]) / longest
    size = tuple(max(1, round(factor * side)) for side in photo.shape[1::-1])
    image = Image.fromarray(np.ascontiguousarray(photo)).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(14, max(size) // 36))
    line = max(2, max(size) // 250)
    for box, caption in zip(boxes, captions, strict=True):
        color = COLORS.get((caption.split() or [""])[0].strip(",:;"), INK)
        edges = (box.left, box.top, box.right, box.bottom)
        left, top, right, bottom = (round(factor * edge) for edge in edges)
        right, bottom = max(right - 1, left), max(bottom - 1, top)
        outline = (left - line, top - line, right + line, bottom + line)
        draw.rectangle(outline, outline="white", width=2 * line)
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        wide, high = (math.ceil(end) + line for end in draw.textbbox((0, 0), caption, font)[2:])
        x = max(0, min(left, size[0] - wide - line))
        y = max(0, top - high - line if top >= high + line else top)
        draw.rectangle((x, y, x + wide, y + high), fill=color, outline="white")
        draw.text((x + (line + 1) // 2, y), caption, fill=_ink_on(color), font=font)
    return np.asarray(image)


def _ink_on(color: str) -> str:
    """Choose black or white, by a color's luma as Rec. 601 weighs it."""
    luma = np.dot(ImageColor.getrgb(color), (0.299, 0.587, 0.114))
    return "white" if luma < 100 else "black"


@styled
def timeline(times: np.ndarray, probabilities: np.ndarray, expressions: Sequence[str]) -> Figure:
    """Draw how the probabilities of a face change through a video, stacked: their sum is 100%.

    Parameters
    ----------
    times : (n,) array
        Seconds, increasing; two or more.
    probabilities : (n, k) array
        0 … 1, one column per expression.
    expressions : sequence of str
        The k names.
    """
    figure, ((axes,),) = style.sheet(9.5, 3.2)
    shares = 100 * np.asarray(probabilities, dtype=float)
    colors = [color_of(name) for name in expressions]
    areas = axes.stackplot(times, shares.T, colors=colors, edgecolor="white", linewidth=0.5)
    tops = shares.cumsum(axis=1)
    for at, name in enumerate(expressions):  # in the area where it is thickest, if it fits
        most = int(shares[:, at].argmax())
        if shares[most, at] > 12:
            x = np.clip(times[most], *np.quantile(times, [0.06, 0.94]))
            y = tops[np.abs(times - x).argmin(), at] - shares[np.abs(times - x).argmin(), at] / 2
            ink = _ink_on(colors[at])
            axes.text(x, y, name, ha="center", va="center", color=ink, fontsize=9)
    axes.set(xlabel="time (s)", ylabel="probability (%)", ylim=(0, 100))
    axes.set_xlim(times[0], times[-1])
    style.legend_below(figure, areas, list(expressions), ncols=len(expressions))
    return figure
