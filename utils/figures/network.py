"""A network drawn from its own layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.patches import Polygon

from utils.figures import style
from utils.figures.style import INK, MAIN, QUIET, Figure, styled
from utils.runtime import DataError

#: How far a block's depth goes to the right and up, as a share of the side that it represents.
_SLANT = 0.3
#: Least width of a block's captions, in inches.
_LEAST = 1.3
_NOTE = (
    "height and depth: sides in pixels; length: filters or units\n"
    "pale: as the convolution makes it; dark: after pooling"
)
_INPUT, _DENSE = "#88CCEE", "#117733"
_SHORT = {
    "BatchNormalization": "normalization",
    "MaxPooling2D": "max-pooling",
    "AveragePooling2D": "mean pooling",
    "GlobalAveragePooling2D": "mean of each filter",
    "Activation": "activation",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "Rescaling": "rescaling",
}


@styled
def architecture(model: Any) -> Figure:
    """Draw a network as blocks to scale, one for each convolution or dense layer, with captions.

    A block's height and depth are the sides of the feature maps that its convolution outputs (pale)
    and that leave it after pooling (dark); its length is their number, one per filter. A dense
    layer is a rod whose length is its number of units. Anything thinner than 0.03 inches is drawn
    that thick. Captions name the layers in order, and the block's parameters.

    Parameters
    ----------
    model : keras.Model
        A chain of layers; a chain inside it is drawn layer by layer.

    Raises
    ------
    DataError
        When the network has branches.
    """
    blocks = _blocks(model)
    # Inches per pixel of side, and per filter or unit: the largest of each decides.
    side_scale = 1.35 / max(block["outer"][0] for block in blocks)
    length_scale = 1.9 / max(block["outer"][2] for block in blocks)
    figure, ((axes,),) = style.sheet(1, 1)
    left, bottom = 0.0, -0.46 - 0.2 * max(len(block["said"]) for block in blocks)
    for block in blocks:
        shapes = [block["outer"]]
        if block["inner"] != block["outer"]:
            shapes.append(block["inner"])
        begin, colors = left, [block["color"]] if len(shapes) == 1 else ["pale", block["color"]]
        for (height, width, filters), color in zip(shapes, colors, strict=True):
            sizes = (length_scale * filters, side_scale * height, _SLANT * side_scale * width)
            left = _cuboid(axes, left, sizes, color) + 0.06
        middle = max((begin + left - 0.06) / 2, begin + _LEAST / 2 - 0.1)
        left = max(left + 0.12, begin + _LEAST)
        font = {"ha": "center", "va": "top"}
        axes.text(middle, -0.12, block["shape"], fontweight="bold", fontsize=11, **font)
        axes.text(middle, -0.36, "\n".join(block["said"]), fontsize=10, linespacing=1.25, **font)
        axes.text(middle, bottom, block["count"], fontsize=10, **font)
    top = 1.35 * (1 + _SLANT)
    axes.text(left - 0.12, top, _NOTE, fontsize=10, color=QUIET, ha="right", va="top")
    low, high = bottom - 0.25, top + 0.1
    figure.set_size_inches(left + 0.1, high - low)
    axes.set(xlim=(-0.1, left), ylim=(low, high), aspect="equal")
    axes.axis("off")
    return figure


def _cuboid(axes: Any, left: float, sizes: tuple[float, float, float], color: str) -> float:
    """Draw a block by its length, height and depth in inches, and return its right edge."""
    length, height, depth = (max(size, 0.03) for size in sizes)
    pale, color = color == "pale", MAIN if color == "pale" else color
    right = left + length
    faces = {
        1.0: [(left, 0), (right, 0), (right, height), (left, height)],
        0.55: [(left, height), (right, height), (right + depth, height + depth)],
        0.8: [(right, 0), (right + depth, depth), (right + depth, height + depth), (right, height)],
    }
    faces[0.55].append((left + depth, height + depth))
    for strength, corners in faces.items():
        alpha = strength * (0.12 if pale else 0.85)
        axes.add_patch(Polygon(corners, facecolor="white", edgecolor="none"))
        look = {"facecolor": (color, alpha), "edgecolor": QUIET if pale else INK}
        axes.add_patch(Polygon(corners, linewidth=0.6, **look))
    return right + depth


def _chain(model: Any) -> Iterator[Any]:
    """Yield the layers one after the other; a `DataError` if the network branches."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _chain(layer)
            continue
        inputs = layer.input
        if isinstance(inputs, list | tuple) and len(inputs) > 1:
            raise DataError(
                f"{model.name}: layer {layer.name} joins branches; expected one layer after the "
                "other"
            )
        yield layer


def _volume(layer: Any) -> tuple[int, int, int]:
    """Return the sides and the filters of a layer's output; a vector has sides of 1."""
    shape = tuple(int(side) for side in layer.output.shape[1:])
    return shape if len(shape) == 3 else (1, 1, shape[-1])


def _blocks(model: Any) -> list[dict[str, Any]]:
    """Group a network's layers: what follows a convolution or dense layer belongs to it."""
    height, width, channels = model.input_shape[1:]
    shape = f"{height}×{width}×{channels}"
    volume = (height, width, channels)
    first = {"outer": volume, "inner": volume, "shape": shape, "said": ["pixels"], "count": 0}
    blocks = [{**first, "color": _INPUT}]
    for layer in _chain(model):
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        if getattr(layer, "kernel", None) is not None:
            volume = _volume(layer)
            dense = kind == "Dense"
            kernel = "×".join(str(side) for side in layer.kernel.shape[:-2])
            said = f"dense, {volume[2]:,} units" if dense else f"convolution {kernel}"
            blocks.append({"outer": volume, "said": [said], "count": 0})
            blocks[-1]["color"] = _DENSE if dense else MAIN
            activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
            if activation != "linear":
                blocks[-1]["said"].append(activation.replace("relu", "ReLU"))
        else:
            blocks[-1]["said"].append(_said(layer, kind))
        block = blocks[-1]
        if kind != "Flatten":  # the same numbers in a vector: nothing to draw
            block["inner"] = _volume(layer)
        sides = [f"{side:,}" for side in block["inner"]]
        block["shape"] = sides[2] if block["color"] == _DENSE else "×".join(sides)
        block["count"] += layer.count_params()
    blocks[0]["count"] = "parameters:"
    for block in blocks[1:]:
        block["count"] = f"{block['count']:,}"
    return blocks


def _said(layer: Any, kind: str) -> str:
    """Name a layer for a caption."""
    if kind == "Dropout":
        return f"dropout {layer.rate:g}"
    return _SHORT.get(kind, kind)
