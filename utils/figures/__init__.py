"""Every plot that is needed twice: arrays or a DataFrame in, a `Figure` out.

A `Figure` is Matplotlib's, made without pyplot: nothing global changes, nothing is shown twice,
and nothing has to be closed. In a notebook, it displays itself if it is a cell's last
expression; on disk, `save` writes it, byte for byte the same each time.

Pictures are uint8, (height, width), (height, width, 1) or (height, width, 3). An expression has
one color everywhere, `expressions.COLORS`, and never color alone: its name or a mark says the
same. ``title`` goes above the entire figure. When there is nothing to draw, each raises
`DataError`.
"""
# ruff: noqa: F401, I001

from utils.figures.accuracies import reliability
from utils.figures.classes import class_counts, confusion_matrix, per_class_bars
from utils.figures.honesty import mistakes_waterfall
from utils.figures.network import architecture
from utils.figures.pictures import ANNOTATED_SIDES, annotated_photo
from utils.figures.pictures import face_sheet, picture_row
from utils.figures.pictures import timeline, top_predictions
from utils.figures.style import STYLE, Figure, quantized, save
from utils.figures.training import learning_curves
