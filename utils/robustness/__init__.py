"""What a trained network loses when its faces are worse than those it learned from, or others.

Three things are measured here, none of which changes what was trained:

- `corrupt` spoils test faces by a known amount (blur, noise, brightness, contrast, rotation,
  hidden parts, low resolution, JPEG), `curves` says how many are still named rightly;
- `at_home_and_away` and `by_class` set a network's answers on its own data set beside those on
  another one, class by class;
- `sureness` asks whether it is as sure there as it is at home.

    python -m utils.robustness cnn5-fer2013-smote --data fer2013

asks a network about every condition and writes ``results/robustness/NETWORK-on-DATASET-SPLIT.json``
and ``.npz``. By default it takes the test split, as nothing is chosen by what comes out; killed,
the same command goes on with the networks that are not recorded yet.

The corruptions follow Hendrycks and Dietterich (2019), whose ImageNet-C made such curves usual, and
differ from it. Theirs are fifteen kinds at five severities, numbered 1 to 5 and chosen for photos
of 224 pixels, and they end in one score that is divided by AlexNet's. Here a level is an amount
in a unit that can be measured (pixels of the picture as it is, gray levels, degrees, percent of the
area); a draw belongs to a face, not to a batch; rotation and hidden parts, which ImageNet-C lacks,
stand for a tilted head, a hand, dark glasses; there is no snow and no fog; and no overall score,
which would depend on the levels that one happened to choose.

References
----------
Hendrycks and Dietterich (2019), Benchmarking neural network robustness to common corruptions and
perturbations, ICLR.
"""

from utils.robustness.answers import Answers, ask, classes, curves, table
from utils.robustness.command import measure
from utils.robustness.corruptions import (
    CORRUPTIONS,
    GRAY,
    Corruption,
    Strip,
    corrupt,
    examples,
)
from utils.robustness.elsewhere import (
    at_home_and_away,
    by_class,
    calibration_error_by_chance,
    falls_furthest,
    sureness,
)
from utils.robustness.files import FOLDER, load, recorded, write

__all__ = [
    "CORRUPTIONS",
    "FOLDER",
    "GRAY",
    "Answers",
    "Corruption",
    "Strip",
    "ask",
    "at_home_and_away",
    "by_class",
    "calibration_error_by_chance",
    "classes",
    "corrupt",
    "curves",
    "examples",
    "falls_furthest",
    "load",
    "measure",
    "recorded",
    "sureness",
    "table",
    "write",
]
