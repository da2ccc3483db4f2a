"""The rendered sample faces: drawn, seeded, and in the same file formats as the real ones.

Notebooks and tests run on faces that no camera has seen. They are rendered from facial action
units, the movements into which Ekman and Friesen's Facial Action Coding System (FACS, 1978) breaks
down every expression: action unit (AU) 12 pulls the corners of the lips, AU 6 raises the cheeks,
and the two together are a smile that reaches the eyes. Which units make which expression follows
Friesen and Ekman's *EMFACS-7* (1983); `ACTION_UNITS` is the table. The renderer moves brows, lids,
nose and mouth by these numbers alone, on people who differ in head, skin, hair, age, glasses and
beard, in pose, light, background, sharpness and noise.

These are drawings: what is measured on them says nothing about real faces, and every figure that
shows them says "rendered sample faces". What is wrong with FER2013 is wrong with them too, on
purpose and in known places: wrong labels, copies across splits, one picture with two labels, rows
without a face (`SampleRows` says which). `plant_near_copies` adds copies that differ slightly.

>>> from utils import sample
>>> sample.render_rows().images.shape
(2000, 48, 48)
>>> sample.render_face("happy", intensity=0.5, seed=3).shape
(48, 48)
"""
# ruff: noqa: F401

from utils.sample.files import write
from utils.sample.people import ACTION_UNITS
from utils.sample.photos import render_photos
from utils.sample.planted import plant_near_copies
from utils.sample.rows import render_face, render_rows
