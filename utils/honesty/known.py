"""What a claim is compared with: known splits with their class counts, and cited accuracies.

The one place for these numbers. No accuracy here was measured by the course.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils import evaluation
from utils.datasets.download import OFFICIAL_COUNTS
from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.runtime import DataError

DATASETS = {"fer2013": "FER2013", "ferplus": "FER+", "expw": "ExpW"}

#: Faces in each official test split; ExpW has none.
TEST_FACES = {"fer2013": 3_589, "ferplus": 3_153}

#: How often people agree with FER2013's labels, in percent: mean and spread (Goodfellow 2013).
PEOPLE = (65.0, 5.0)

#: FER2013's faces of each expression without pictures that are also in Training, bit for bit.
FER2013_WITHOUT_COPIES = {
    "PublicTest": (438, 41, 449, 866, 626, 301, 588),
    "PrivateTest": (454, 39, 481, 851, 577, 298, 601),
}
#: FER+'s faces by its published majority rule, in `FERPLUS_EXPRESSIONS`' order.
FERPLUS_COUNTS = {
    "Training": (2100, 119, 532, 7287, 3014, 3149, 8740, 119),
    "PublicTest": (287, 24, 62, 865, 351, 415, 1182, 13),
    "PrivateTest": (273, 18, 83, 893, 384, 396, 1090, 16),
}
#: The course's own test split of ExpW's class-balanced part, with the seed 0.
EXPW_COUNTS = (46, 46, 48, 46, 48, 49, 50)

#: A published figure stands unless a repetition came out more than this many standard errors
#: lower. Three, not two: another training run adds its own randomness to the test split's.
CONTRADICTED = 3

#: What a reported figure is, by strength of evidence; these words mean nothing else.
KINDS: dict[str, str] = {
    "published": "the authors' own",
    "measured": "others tested the released weights, or read the released logs",
    "reproduced": "others trained the network again",
}

_NULLABLE = {"n": "Int64", "outside_data": "boolean", "chosen_on_test": "boolean"}
_POOLED = "PublicTest and PrivateTest pooled"


@dataclass(frozen=True)
class KnownSplit:
    """A split that accuracies are known to have been computed on: n faces, `counts` by expression.

    `counts` is None where unknown; `tolerance` is 1 where counts come from rounding shares.
    """

    name: str
    dataset: str
    n: int
    counts: tuple[int, ...] | None
    expressions: tuple[str, ...] = EXPRESSIONS
    tolerance: int = 0
    note: str = ""


def _known_splits() -> tuple[KnownSplit, ...]:
    splits: list[KnownSplit] = []

    def fixed(name, dataset, counts, note, classes=EXPRESSIONS):
        splits.append(KnownSplit(name, dataset, sum(counts), counts, classes, 0, note))

    def parts(percents, of, dataset, counts, classes=EXPRESSIONS, note="a stratified split"):
        for percent in percents:  # rounded up, as scikit-learn's train_test_split does
            n = -(-percent * sum(counts) // 100)
            rounded = tuple((2 * percent * count + 100) // 200 for count in counts)
            name = f"{percent}% of {of}"
            splits.append(KnownSplit(name, dataset, n, rounded, classes, 1, note))

    training, public, private = OFFICIAL_COUNTS.values()
    whole = _sum(training, public, private)
    fixed("PrivateTest", "fer2013", private, "the official test split")
    fixed("PublicTest", "fer2013", public, "the official validation split")
    fixed(_POOLED, "fer2013", _sum(public, private), "the test folder of the release as folders")
    fixed("Training", "fer2013", training, "what networks learn from")
    fixed("whole set", "fer2013", whole, "all three Usages")
    for usage, counts in reversed(FER2013_WITHOUT_COPIES.items()):
        fixed(f"{usage} without copies", "fer2013", counts, "no picture of Training")
    parts((10, 15, 20, 25, 30), "the whole set", "fer2013", whole)
    parts((10, 20), "Training", "fer2013", training)
    resampled = "classes balanced before the split: test faces are made from training faces"
    for name, counts in (("the whole set", whole), ("Training", training)):
        equal = (max(counts),) * 7
        parts((10, 20), f"{name} after balancing", "fer2013", equal, note=resampled)
    for classes, note in ((FERPLUS_EXPRESSIONS, "eight classes"), (EXPRESSIONS, "no contempt")):
        count = len(classes)
        kept = {usage: counts[:count] for usage, counts in FERPLUS_COUNTS.items()}
        training, public, private = kept.values()
        whole, pooled = _sum(training, public, private), _sum(public, private)
        named = {"PrivateTest": private, "PublicTest": public, _POOLED: pooled}
        for name, counts in {**named, "Training": training, "whole set": whole}.items():
            fixed(f"{name}, {count} classes", "ferplus", counts, f"majority, {note}", classes)
        parts((10, 20), f"the whole set, {count} classes", "ferplus", whole, classes)
    # The release's faces per class are not known well enough to be written down here.
    for faces, of in ((91_793, "the whole set"), (36_000, "36,000 faces")):
        for percent in (10, 20):
            n = -(-percent * faces // 100)
            splits.append(KnownSplit(f"{percent}% of {of}", "expw", n, None, note="no official"))
    fixed("test split of this course", "expw", EXPW_COUNTS, "class-balanced, split by photo")
    return tuple(splits)


def _sum(*counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.sum(counts, axis=0).tolist())


#: Each data set's official test split comes first.
KNOWN_SPLITS: tuple[KnownSplit, ...] = _known_splits()


def known_dataset(name: str) -> str:
    """Return the name of a data set in `DATASETS`; DataError for any other."""
    if name not in DATASETS:
        raise DataError(f"dataset {name!r}: expected one of {', '.join(DATASETS)}")
    return name


_RESMASK = "github.com/phamquiluan/ResidualMaskingNetwork"
_VGG19 = "github.com/WuJie1010/Facial-Expression-Recognition.Pytorch"
_VGG = "Khaireddin and Chen 2021, arXiv:2105.03588"
_EMONEXT = "El Boudouri and Bohi 2023, arXiv:2501.08199"
_RESEMOTE = "Roy et al. 2024, ResEmoteNet"
_FERPLUS = "Barsoum et al. 2016, arXiv:1608.01041"

# fmt: off
#: As the columns below; the last, of a figure that others got, names the published one.
_COLUMNS = ("figure", "dataset", "accuracy", "kind", "outside_data", "chosen_on_test", "n", "note",
            "source", "repeats")
_REPORTED = (
    ("Kaggle's winner", "fer2013", 71.16, "published", False, False, 3_589,
     "scored by the challenge on hidden labels", "Goodfellow et al. 2013, arXiv:1307.0414"),
    ("VGG19 from scratch", "fer2013", 73.11, "published", False, True, 3_589,
     "epoch chosen on PrivateTest", _VGG19),
    ("VGG19 from scratch, epoch chosen on PublicTest", "fer2013", 72.6, "measured", False,
     False, 3_589, "the same training, chosen by the honest rule", _VGG19, "VGG19 from scratch"),
    # Its paper's own figure, 73.28, is on PublicTest: no row here, where n is PrivateTest's.
    ("VGG, tuned, on PrivateTest", "fer2013", 73.7, "measured", False, None, 3_589,
     "where its released curve levels; 73.28 is PublicTest", _VGG),
    ("ResNet18 with tricks", "fer2013", 73.70, "published", False, True, 3_589,
     "epoch chosen on PrivateTest", "LetheSec, on GitHub"),
    ("eight networks together", "fer2013", 75.2, "published", False, None, 3_589,
     "the best published without outside data", "Pramerdorfer and Kampel 2016, arXiv:1612.02903"),
    ("ResMaskNet", "fer2013", 74.14, "published", True, None, 3_589,
     "ImageNet weights", "Pham, Vu and Tran, ICPR 2020"),
    ("ResMaskNet, trained again", "fer2013", 73.6, "reproduced", True, None, 3_589,
     "the best that users of its code report", f"{_RESMASK}, issue 9", "ResMaskNet"),
    ("seven networks with ResMaskNet", "fer2013", 76.82, "published", True, None, 3_589,
     "ImageNet weights", "Pham, Vu and Tran, ICPR 2020"),
    ("EmoNeXt", "fer2013", 76.12, "published", True, None, 3_589,
     "ImageNet-22k weights, its largest size", _EMONEXT),
    ("EmoNeXt Tiny, trained again", "fer2013", 71.5, "reproduced", True, None, 3_589,
     "its smallest size, by users of its code", _EMONEXT),
    ("ResEmoteNet", "fer2013", 79.79, "published", None, None, None,
     "test faces not certain: its decimals fit 7,178, not 3,589", _RESEMOTE),
    ("ResEmoteNet, its released weights", "fer2013", 71.57, "measured", None, None, None,
     "on its own released test set", _RESEMOTE, "ResEmoteNet"),
    ("VGG13 on the votes", "ferplus", 84.99, "published", False, None, 3_153,
     "eight classes; the mean of several runs", _FERPLUS),
    ("VGG13 on the votes, repeated", "ferplus", 83.3, "reproduced", False, None, 3_153,
     "eight classes", "a repetition by others", "VGG13 on the votes"),
    ("best with face pre-training", "ferplus", 91.8, "published", True, None, 3_153,
     "88 to 91.8 in several papers", "papers with weights from face recognition"),
    ("face pre-training, repeated", "ferplus", 86, "reproduced", True, None, 3_153,
     "84 to 86 when others repeat them", "repetitions by others", "best with face pre-training"),
    ("highest published, on a split of its own", "expw", 74.3, "published", None, None, None,
     "no official split: each has its own", "papers with splits of their own"),
    ("repeated honest splits", "expw", 66, "reproduced", None, None, None,
     "63 to 66 over repeated splits", "papers that repeat the split"),
)
#: What the course's five ancestors claimed: network, accuracy in percent (None: nothing), the
#: data set it is checked on, test faces, and what was said.
ANCESTORS: tuple[tuple[str, str | None, str, int | None, str], ...] = (
    ("cnn3", "86", "fer2013", None, "FER2013; the number of test faces was not said"),
    ("cnn4", "78", "fer2013", None, "neither the data nor the number of test faces was said"),
    ("cnn5", "65.5", "expw", None, "boxes as ExpW's; the number of test faces was not said"),
    ("vgg16", "91", "expw", 7_200, "36,000 faces of ExpW, split 70/10/20"),
    ("resnet", None, "fer2013", None, "FER2013; no figure was claimed"),
)
# fmt: on


def reported_table(dataset: str | None = None) -> pd.DataFrame:
    """List accuracies that others report: cited, not measured here.

    Returns
    -------
    DataFrame
        Those of one ``dataset``, or all. Index ``figure``; ``dataset``; ``accuracy``, ``low`` and
        ``high`` (percent; the 95% interval, NaN where n is not known); ``kind`` (one of `KINDS`);
        ``outside_data`` (whether the network had learned from other pictures; nullable); ``stands``
        (False where a repetition came out more than `CONTRADICTED` standard errors lower); ``n``
        (nullable), ``note``, ``source``; ``chosen_on_test`` (whether the epoch was chosen on the
        split that is reported; nullable).
    """
    table = pd.DataFrame([(*row, "")[:10] for row in _REPORTED], columns=list(_COLUMNS))
    repeats = table[table["repeats"] != ""].groupby("repeats")["accuracy"]
    table = table.set_index("figure").drop(columns="repeats")
    n = table["n"].fillna(table["dataset"].map(TEST_FACES)).astype(float)
    lowest = table["accuracy"] - CONTRADICTED * standard_error(table["accuracy"], n)
    ends = [accuracy_interval(*row) for row in zip(table["accuracy"], table["n"], strict=True)]
    table[["low", "high"]] = ends
    table["stands"] = ~(repeats.min().reindex(table.index) < lowest)
    table = table.astype(_NULLABLE)
    return table if dataset is None else table[table["dataset"] == known_dataset(dataset)]


def best(dataset: str, kind: str) -> pd.Series:
    """Find the highest row of a kind in `reported_table` that stands."""
    table = reported_table(dataset)
    table = table[(table["kind"] == kind) & table["stands"]]
    return table.loc[table["accuracy"].idxmax()]


def standard_error(accuracy: float | pd.Series, n: float | pd.Series) -> float | pd.Series:
    """Return the standard error, in points, of accuracies in percent on n faces."""
    return np.sqrt(accuracy * (100 - accuracy) / n)


def accuracy_interval(
    accuracy: float, n: int | None, right: range | None = None
) -> tuple[float, float]:
    """Return the 95% interval in percent, over all counts that give a figure."""
    if not n or n != n:
        return (np.nan, np.nan)
    nearest = min(n, math.floor(float(accuracy) * n / 100 + 0.5))
    first, last = (right[0], right[-1]) if right else (nearest, nearest)
    low = evaluation.accuracy_interval(int(first), int(n))[0]
    return 100 * low, 100 * evaluation.accuracy_interval(int(last), int(n))[1]
