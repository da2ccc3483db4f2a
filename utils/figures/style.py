"""The one style: the figure itself, how it is saved, and the small things that all plots share."""

from __future__ import annotations

import functools
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator
from PIL import Image

from utils import runtime
from utils.expressions import COLORS, OTHER_COLOR
from utils.runtime import DataError

STYLE = Path(__file__).with_name("style.mplstyle")
#: Dots per inch of a figure in a notebook; `save` takes the style's, which are more.
NOTEBOOK_DPI = 110
INK, QUIET, WRONG, MAIN = "#222222", "#5F5F5F", "#B2182B", "#332288"
DOTTED = (0, (1, 2))


class Figure(matplotlib.figure.Figure):
    """A Matplotlib figure that pyplot does not know, and that displays itself in a notebook."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        FigureCanvasAgg(self)  # without one, seaborn's heat maps would open a pyplot figure

    def savefig(self, fname: Any, **settings: Any) -> None:
        """Write the figure in the course's style (fonts are chosen only here)."""
        with matplotlib.style.context(STYLE):
            # A second layout moves things by a pixel: lay out once, whatever the resolution.
            if self.get_layout_engine() is not None:
                self.draw_without_rendering()
                self.set_layout_engine("none")
            super().savefig(fname, **settings)

    def _repr_png_(self) -> bytes:
        return png(self, NOTEBOOK_DPI)


def png(figure: matplotlib.figure.Figure, dpi: float) -> bytes:
    """Render as PNG without a time stamp: the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return quantized(buffer.getvalue())


def quantized(content: bytes, *, kmeans: int = 0) -> bytes:
    """Reduce a PNG to 256 colors; one that already has a palette stays as it is.

    The result takes a third of the space; a pixel of a plot changes by 0.2 of 255 on average. With
    ``kmeans``, which refines the colors that many times, photos look better.
    """
    picture = Image.open(io.BytesIO(content))
    if picture.mode == "P":
        return content
    picture = picture.convert("RGB")
    median = Image.Quantize.MEDIANCUT
    picture = picture.quantize(256, method=median, kmeans=kmeans, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def styled(plot: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the course's style, changing nothing global; add the argument ``title``."""

    @functools.wraps(plot)
    def wrapped(*arguments: Any, title: str = "", **settings: Any) -> Figure:
        with matplotlib.style.context(STYLE):
            figure = plot(*arguments, **settings)
            if title:
                lines, (width, height) = title.split("\n"), figure.get_size_inches()
                width = max(width, 0.105 * max(map(len, lines)) + 0.3)
                figure.set_size_inches(width, height + 0.25 * len(lines) + 0.1)
                figure.suptitle(title)
            return figure

    signature = inspect.signature(plot)
    extra = inspect.Parameter("title", inspect.Parameter.KEYWORD_ONLY, default="", annotation="str")
    wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), extra])
    return wrapped


def save(figure: matplotlib.figure.Figure, name: str, folder: Path) -> Path:
    """Write a figure as ``folder``/``name``.png, which depends on nothing but its content.

    The folder is created if needed; the file is written atomically, and its path returned.
    """
    path = folder / f"{name}.png"
    with matplotlib.style.context(STYLE):
        content = png(figure, matplotlib.rcParams["savefig.dpi"])
    runtime.write_atomically(path, content)
    return path


def sheet(
    width: float, height: float, rows: int = 1, columns: int = 1, **settings: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure in inches, and its (rows, columns) axes."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **settings)


def look(at: int) -> dict[str, Any]:
    """Give the run at a place its color and its mark: never color alone."""
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return {"color": cycle[at % len(cycle)], "marker": "osD^vPX"[at % 7]}


def mark(marker: str = "o", color: str = MAIN, filled: bool = True) -> dict[str, Any]:
    """Return the look of a mark, for `Axes.plot` and for a legend."""
    face = color if filled else "white"
    edge = {"markeredgecolor": color, "markeredgewidth": 1.8, "linestyle": "none"}
    return {"marker": marker, "markersize": 8, "markerfacecolor": face, **edge}


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Name the lines of a plot, the first at the top."""
    axes.set_yticks(range(len(names)), [str(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def beside(axes: Axes, place: float, text: str, points: float = 8, **font: Any) -> None:
    """Write to the right of the axes, this many points from their edge."""
    where = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    font = {"va": "center", "annotation_clip": False, **font}
    axes.annotate(text, (1, place), (points, 0), **where, **font)


def references(axes: Axes, named: Mapping[str, float]) -> None:
    """Mark values with dotted vertical lines, named above the axes, one line of text each."""
    for level, (name, value) in enumerate(sorted(named.items(), key=lambda one: one[1])):
        axes.axvline(value, color=QUIET, linewidth=1.3, linestyle=DOTTED, zorder=0.5)
        where = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        font = {"ha": "center", "fontsize": 10.5, "color": QUIET, "annotation_clip": False}
        axes.annotate(name, (value, 1), (0, 4 + 14 * level), **where, **font)


def whole_axis(axis: Any, most: int = 7) -> None:
    """Put at most this many ticks at whole numbers, with commas."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=True))
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def legend_below(figure: Figure, handles: Any, labels: Sequence[str] | None = None, **how) -> None:
    """Put the legend under the figure; up to three entries per line by default."""
    labels = [handle.get_label() for handle in handles] if labels is None else labels
    how = {"ncols": min(3, len(labels)), **how}
    figure.legend(handles, labels, loc="outside lower center", **how)


def color_of(expression: str) -> str:
    """Return an expression's color, or gray for anything else."""
    return COLORS.get(expression, OTHER_COLOR)


def checked_picture(image: np.ndarray, what: str = "picture") -> np.ndarray:
    """Convert a picture to (height, width, 3) uint8, whatever its channels."""
    image = np.asarray(image)
    full = image[:, :, None] if image.ndim == 2 else image
    if full.ndim != 3 or full.shape[2] not in (1, 3) or full.dtype != np.uint8 or not full.size:
        raise DataError(
            f"{what}: expected uint8 of shape (height, width[, 1 or 3]), "
            f"got {image.dtype} of shape {image.shape}"
        )
    return np.broadcast_to(full, (*full.shape[:2], 3))


def show(axes: Axes, image: np.ndarray, edge: str | None = None) -> None:
    """Draw a picture without ticks, in a thin frame or in a thick one of the given color."""
    axes.imshow(checked_picture(image), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=edge or "#CFCFCF", linewidth=3 if edge else 0.6)


def require_some(values: Sequence | np.ndarray, what: str) -> None:
    """Refuse to draw nothing."""
    if len(values) == 0:
        raise DataError(f"{what}: expected one or more, got none")


def several(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame], what: str
) -> dict[str, pd.DataFrame]:
    """Take one table or a mapping of names to tables, each of which has a row."""
    tables = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    require_some(tables, what)
    for name, table in tables.items():
        require_some(table, f"{what} {name!r}" if name else what)
    return tables
