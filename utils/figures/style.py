"""The one style: the figure itself, how it is saved, and the small things that all plots share."""

from __future__ import annotations

import functools
import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image

from utils.expressions import COLORS
from utils.runtime import FIGURES, DataError

STYLE = Path(__file__).with_name("style.mplstyle")
#: Dots an inch of a figure in a notebook; `save` takes the style's, which are more.
NOTEBOOK_DPI = 120
INK, QUIET, WRONG = "#222222", "#6B6B6B", "#B2182B"
UNKNOWN = "#4D4D4D"
RIGHT_MARK, WRONG_MARK = "✓", "✗"


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
        return png(self, NOTEBOOK_DPI)


def png(figure: matplotlib.figure.Figure, dpi: float) -> bytes:
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


def styled(plot: Callable[..., Figure]) -> Callable[..., Figure]:
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
        content = png(figure, matplotlib.rcParams["savefig.dpi"])
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path


def color_of(expression: str) -> str:
    """Return an expression's colour, or grey for what is none."""
    return COLORS.get(expression, UNKNOWN)


def checked_picture(image: np.ndarray, what: str = "picture") -> np.ndarray:
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


def show(axes: Axes, image: np.ndarray, edge: str | None = None, width: float = 2.5) -> None:
    """Draw a picture without ticks, in a thin frame or in one of the given colour."""
    axes.imshow(checked_picture(image), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=edge or "#CFCFCF", linewidth=width if edge else 0.6)


def grid(
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
    set_title(figure, title)
    return figure, list(cells[:count])


def set_title(figure: Figure, title: str) -> None:
    """Write a title over the whole figure, if there is one."""
    if title:
        figure.suptitle(title)


def require_same_length(count: int, **others: Sequence | np.ndarray | None) -> None:
    """Refuse what should have ``count`` entries and has another number; None is no entry."""
    for name, values in others.items():
        if values is not None and len(values) != count:
            raise DataError(f"{name}: expected {count}, one each, got {len(values)}")


def require_some(values: Sequence | np.ndarray, what: str) -> None:
    """Refuse to draw nothing."""
    if len(values) == 0:
        raise DataError(f"{what}: expected one or more, got none")


def ink_on(color: Any) -> str:
    """Black or white, whichever stands out more on the colour (WCAG's relative luminance)."""
    channels = np.asarray(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def percent(share: float) -> str:
    """Write a share as a percentage, with as many decimals as keep it below 100 and above 0."""
    if 0 < share < 1:
        for decimals in (1, 2):
            text = f"{100 * share:.{decimals}f}"
            if 0 < float(text) < 100:
                return f"{text}%"
        return "> 99.99%" if share > 0.5 else "< 0.01%"
    return f"{100 * share:.0f}%"
