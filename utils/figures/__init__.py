"""Every plot of the course: arrays in, a `Figure` out.

A `Figure` is Matplotlib's, made without pyplot: nothing global changes, nothing is shown twice,
and nothing has to be closed. In a notebook it displays itself where it is a cell's last
expression; on disk, `save` writes it, byte for byte the same each time.

Pictures are uint8, (height, width), (height, width, 1) or (height, width, 3). An expression has
one colour everywhere, `expressions.COLORS`, and never colour alone: its name, a mark or a
hatching says the same.
"""

from utils.figures.pictures import (
    ANNOTATED_SIDES,
    annotated_photo,
    augmentation_examples,
    crop_examples,
    face_sheet,
    photo_with_boxes,
    picture_row,
    smote_parents,
)
from utils.figures.runs import (
    MOST_LABELLED,
    accuracy_curves,
    accuracy_intervals,
    agreement_matrix,
    class_counts,
    confusion_matrix,
    learning_curves,
    per_class_bars,
    reliability,
    top_predictions,
)
from utils.figures.searches import (
    search_curves,
    search_history,
    search_importance,
    search_settings,
)
from utils.figures.style import STYLE, Figure, save

__all__ = [
    "ANNOTATED_SIDES",
    "MOST_LABELLED",
    "STYLE",
    "Figure",
    "accuracy_curves",
    "accuracy_intervals",
    "agreement_matrix",
    "annotated_photo",
    "augmentation_examples",
    "class_counts",
    "confusion_matrix",
    "crop_examples",
    "face_sheet",
    "learning_curves",
    "per_class_bars",
    "photo_with_boxes",
    "picture_row",
    "reliability",
    "save",
    "search_curves",
    "search_history",
    "search_importance",
    "search_settings",
    "smote_parents",
    "top_predictions",
]
