"""Training that records itself and resumes where it was interrupted.

`train` does all of it: balances and augments the training split, calls `model.fit`, chooses the
best epoch on the validation split, reads the test split once at the end, and writes everything to
the run's folder. It is in `utils/training/fit.py`.
"""
# ruff: noqa: F401, I001

from utils.training.fit import course_run, train
from utils.training.inputs import training_faces, training_targets
from utils.training.predict import faces_for, predict
from utils.training.settings import NO_AUGMENTATION, Settings, fields, recipe
from utils.training.settings import settings_from_record
