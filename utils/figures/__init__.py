"""Every plot of the course: arrays in, a `Figure` out.

A `Figure` is Matplotlib's, made without pyplot: nothing global changes, nothing is shown twice,
and nothing has to be closed. In a notebook it displays itself where it is a cell's last
expression; on disk, `save` writes it, byte for byte the same each time.

Pictures are uint8, (height, width), (height, width, 1) or (height, width, 3). An expression has
one colour everywhere, `expressions.COLORS`, and never colour alone: its name, a mark or a
hatching says the same.
"""

from utils.figures.ablations import ablation
from utils.figures.audits import best_correlations, picture_pairs, problem_counts
from utils.figures.bars import MOST_LABELLED, accuracy_intervals, class_counts, per_class_bars
from utils.figures.certainty import (
    coverage_curves,
    difference_forest,
    reliability,
    seed_spread,
)
from utils.figures.claims import claims_against_reported
from utils.figures.curves import accuracy_curves, learning_curves
from utils.figures.matrices import agreement_matrix, confusion_matrix
from utils.figures.mistakes import mistakes_waterfall
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
from utils.figures.robustness import corruption_examples, recall_elsewhere, robustness_curves
from utils.figures.searches import (
    search_curves,
    search_history,
    search_importance,
    search_settings,
)
from utils.figures.speed import accuracy_by_time, growth_curves, speed_ratios
from utils.figures.style import STYLE, Figure, save
from utils.figures.surest import top_predictions

__all__ = [
    "ANNOTATED_SIDES",
    "MOST_LABELLED",
    "STYLE",
    "Figure",
    "ablation",
    "accuracy_by_time",
    "accuracy_curves",
    "accuracy_intervals",
    "agreement_matrix",
    "annotated_photo",
    "augmentation_examples",
    "best_correlations",
    "claims_against_reported",
    "class_counts",
    "confusion_matrix",
    "corruption_examples",
    "coverage_curves",
    "crop_examples",
    "difference_forest",
    "face_sheet",
    "growth_curves",
    "learning_curves",
    "mistakes_waterfall",
    "per_class_bars",
    "photo_with_boxes",
    "picture_pairs",
    "picture_row",
    "problem_counts",
    "recall_elsewhere",
    "reliability",
    "robustness_curves",
    "save",
    "search_curves",
    "search_history",
    "search_importance",
    "search_settings",
    "seed_spread",
    "smote_parents",
    "speed_ratios",
    "top_predictions",
]
