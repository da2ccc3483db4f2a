"""The embedded sample faces: drawn, seeded, and in the same file formats as the real ones.

Every notebook and test of this course runs on faces that no camera has seen. They are rendered
from facial action units, the movements that Ekman and Friesen's Facial Action Coding System
(FACS, 1978) takes every expression apart into: action unit (AU) 12 pulls the corners of the lips,
AU 6 raises the cheeks, and the two together are a smile that reaches the eyes. Their emotional
FACS (EMFACS, 1983) lists which units make which expression:

========  ======================================  =============================================
angry     AU 4, 5, 7, 23 or 24                    brows down, lids tight, lips pressed or bared
disgust   AU 9, 10, 15 or 16                      nose wrinkled, upper lip raised
fear      AU 1, 2, 4, 5, 20, 26                   brows up and together, eyes wide, lips stretched
happy     AU 6, 12, often 25                      cheeks up, lip corners up
sad       AU 1, 4, 15, sometimes 17               inner brows up, lip corners down
surprise  AU 1, 2, 5, 26 or 27                    brows up, eyes wide, jaw down
neutral   none
========  ======================================  =============================================

The renderer moves its brows, lids, nose and mouth by the numbers in `ACTION_UNITS` and
`VARIANTS`, and by nothing else, on people who differ in head, skin, hair, age, glasses and beard,
in pose, light, background, sharpness and noise. Expressions are shown at different strengths and
some are mixed with another that people confuse them with (`CONFUSIONS`).

These are drawings: what is measured on them says nothing about real faces, and every figure that
shows them says "rendered sample faces".

What is wrong with FER2013 is wrong with them too, on purpose and in known places: one label in
`LABEL_NOISE` is false, `COPIES` rows of the test split are exact copies of training rows,
`CONTRADICTIONS` pairs of training rows show one picture under two labels, and `FLAT` training
rows hold no face at all. `SampleRows` says which rows these are. `plant_near_copies` adds copies
that differ by a mirror, some light or noise, for the tools that look for them.

>>> from utils import sample
>>> rows = sample.render_rows()
>>> rows.images.shape
(2000, 48, 48)

``python -m utils.sample FOLDER`` writes them as files.

References
----------
Ekman, P. and Friesen, W. V. (1978). *Facial Action Coding System: a technique for the
measurement of facial movement.* Consulting Psychologists Press.

Friesen, W. V. and Ekman, P. (1983). *EMFACS-7: Emotional Facial Action Coding System.*
University of California at San Francisco.
"""

from utils.sample.action_units import ACTION_UNITS, CONFUSIONS, NAMES, VARIANTS
from utils.sample.files import MARKER, write
from utils.sample.photos import PHOTOS, SamplePhoto, render_photos
from utils.sample.planted import CHANGES, plant_near_copies
from utils.sample.rows import (
    CONTRADICTIONS,
    COPIES,
    FLAT,
    LABEL_NOISE,
    ROWS,
    SIZE,
    USAGES,
    SampleRows,
    render_rows,
)

__all__ = [
    "ACTION_UNITS",
    "CHANGES",
    "CONFUSIONS",
    "CONTRADICTIONS",
    "COPIES",
    "FLAT",
    "LABEL_NOISE",
    "MARKER",
    "NAMES",
    "PHOTOS",
    "ROWS",
    "SIZE",
    "USAGES",
    "VARIANTS",
    "SamplePhoto",
    "SampleRows",
    "plant_near_copies",
    "render_photos",
    "render_rows",
    "write",
]
