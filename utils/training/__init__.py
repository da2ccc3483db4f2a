"""Training that records itself, and goes on where it was killed.

`train` is the whole of it: the training split balanced and augmented, `model.fit`, the best epoch
chosen on the validation split, the test split read once at the end, everything written to a run's
folder. It stands in `utils/training/fit.py`.
"""
# ruff: noqa: F401, I001

from utils.training.fit import course_run, train
from utils.training.inputs import training_faces, training_targets
from utils.training.predict import faces_for, predict
from utils.training.settings import NO_AUGMENTATION, Settings, course_settings, fields, recipe
from utils.training.settings import settings_from_record
