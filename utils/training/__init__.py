"""Training that records itself, and goes on where it was killed.

`train` is the whole of it: the training split balanced and augmented, the best epoch chosen on
the validation split, the test split read once at the end, everything written to a run's folder.
"""

from utils.training.asking import check_names, faces_for, predict, views_of
from utils.training.draws import EpochDraws, epoch_draws
from utils.training.feeding import training_faces, training_targets, vote_shares
from utils.training.optimization import learning_rate_schedule
from utils.training.runs import course_run, train
from utils.training.settings import (
    BALANCES,
    FEEDS,
    OPTIMIZERS,
    OUR_RECIPE,
    TARGETS,
    VIEWS,
    Settings,
    complete,
    course_settings,
    recipe,
)

__all__ = [
    "BALANCES",
    "FEEDS",
    "OPTIMIZERS",
    "OUR_RECIPE",
    "TARGETS",
    "VIEWS",
    "EpochDraws",
    "Settings",
    "check_names",
    "complete",
    "course_run",
    "course_settings",
    "epoch_draws",
    "faces_for",
    "learning_rate_schedule",
    "predict",
    "recipe",
    "train",
    "training_faces",
    "training_targets",
    "views_of",
    "vote_shares",
]
