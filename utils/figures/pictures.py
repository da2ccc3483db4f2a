"""Faces and photos: sheets, boxes, crops, SMOTE's parents, augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patches, patheffects
from matplotlib.axes import Axes
from PIL import Image, ImageDraw, ImageFont

from utils.expressions import COLORS, EXPRESSIONS
from utils.figures.style import (
    INK,
    Figure,
    checked_picture,
    color_of,
    grid,
    ink_on,
    require_same_length,
    require_some,
    set_title,
    show,
    styled,
)

#: The least and the most pixels of an annotated photo's long side.
ANNOTATED_SIDES = (480, 1600)


@styled
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
    require_some(images, "images")
    require_same_length(len(images), labels=labels)
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
            sheet[top : top + height, left : left + width] = checked_picture(images[at])
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
            color=color_of(name),
            clip_on=False,
        )
        axes.add_patch(bar)
    set_title(figure, title)
    return figure


@styled
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
    require_some(images, "images")
    require_same_length(len(images), titles=titles)
    lines = 1 + max((text.count("\n") for text in titles), default=0) if titles else 0
    figure, cells = grid(len(images), columns, 1.35, 1.32 + 0.19 * lines, title)
    for at, axes in enumerate(cells):
        show(axes, images[at])
        if titles:
            axes.set_title(titles[at], fontsize=9, fontweight="normal", loc="center", pad=4)
    return figure


@styled
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
    require_same_length(len(boxes), captions=captions)
    photo = checked_picture(photo, "photo")
    height, width = photo.shape[:2]
    scale = 7 / max(height, width)
    figure = Figure(figsize=(max(3.5, scale * width), max(2.5, scale * height) + 0.4))
    axes = figure.subplots()
    _draw_boxes(axes, photo, boxes, captions)
    set_title(figure, title)
    return figure


def _draw_boxes(
    axes: Axes, photo: np.ndarray, boxes: Sequence[Any], captions: Sequence[str] | None
) -> None:
    show(axes, photo)
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
            color=ink_on(color),
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
    require_same_length(len(boxes), captions=captions)
    photo = checked_picture(photo, "photo")
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
        draw.text((x + (line + 1) // 2, y), caption, fill=ink_on(color), font=font)
    return np.asarray(image)


def _caption_color(caption: str) -> str:
    """Return the colour of the expression that a caption begins with, else a dark grey."""
    first = caption.split()[0].strip(",:;") if caption.split() else ""
    return COLORS.get(first, INK)


@styled
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
    require_some(boxes, "boxes")
    require_same_length(len(boxes), crops=crops, captions=captions)
    photo = checked_picture(photo, "photo")
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
        show(axes, crops[at], edge=_caption_color(captions[at]), width=2)
        axes.set_title(
            f"{captions[at]} · {side}", fontsize=9, fontweight="normal", loc="center", pad=4
        )
    set_title(figure, title)
    return figure


@styled
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
    require_some(synthetic, "synthetic")
    count = len(synthetic)
    require_same_length(count, parent_a=parent_a, parent_b=parent_b, weights=weights, labels=labels)
    figure = Figure(figsize=(max(1.32 * count + 0.9, 0.085 * len(title)), 5.0 if title else 4.6))
    cells = figure.subplots(3, count, squeeze=False)
    kinds = (("parent A", parent_a), ("synthetic", synthetic), ("parent B", parent_b))
    for row, (kind, pictures) in enumerate(kinds):
        for column, axes in enumerate(cells[row]):
            color = color_of(expressions[int(labels[column])])
            show(axes, pictures[column], edge=color if kind == "synthetic" else None)
            if row == 0:
                axes.set_title(
                    expressions[int(labels[column])], loc="center", color=INK, fontsize=10.5
                )
            if row == 1:
                axes.set_xlabel(f"{float(weights[column]):.0%} of the way\nfrom A to B", fontsize=9)
        cells[row, 0].set_ylabel(kind, fontweight="bold" if kind == "synthetic" else "normal")
    set_title(figure, title)
    return figure


@styled
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
    require_some(variants, "variants")
    require_same_length(len(variants), titles=titles)
    lines = 1 + max((text.count("\n") for text in titles), default=0) if titles else 1
    figure, cells = grid(len(variants) + 1, columns, 1.45, 1.42 + 0.19 * lines, title)
    show(cells[0], original, edge=INK)
    cells[0].set_title("original", fontsize=9.5, loc="center", pad=4)
    for at, axes in enumerate(cells[1:]):
        show(axes, variants[at])
        if titles:
            axes.set_title(titles[at], fontsize=9, fontweight="normal", loc="center", pad=4)
    return figure
