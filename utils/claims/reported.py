"""What others report, cited: the one place that knows the figures a claim is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from utils.claims.arithmetic import interval
from utils.claims.splits import known_dataset, official_size
from utils.runtime import DataError

#: How often people agree with FER2013's labels, in percent (Goodfellow et al. 2013).
PEOPLE = (65.0, 5.0)

#: A published figure stands while no repetition came out more than so many standard errors
#: lower. Three, not two: another training adds its own chance to that of the test split.
CONTRADICTED = 3


@dataclass(frozen=True)
class Reported:
    """An accuracy that somebody reported, cited, not measured here.

    Attributes
    ----------
    name : str
    dataset : str
    accuracy : str
        In percent, with the decimals of its source.
    kind : str
        "published": its authors' own figure. "reproduced": what others got who repeated it, or
        read out of its released weights or logs under the honest rule.
    outside_data : bool or None
        Whether the network had learned from other pictures before; None where that is not known.
    n : int or None
        Test faces; None where each report has its own split.
    note : str
    source : str
    repeats : str
        Of a reproduced figure: the name of the published one.
    """

    name: str
    dataset: str
    accuracy: str
    kind: str
    outside_data: bool | None
    n: int | None
    note: str
    source: str
    repeats: str = ""


_RESMASK = "Pham, Vu and Tran, ICPR 2020"
_RESMASK_HOME = "github.com/phamquiluan/ResidualMaskingNetwork"
_VGG19_HOME = "github.com/WuJie1010/Facial-Expression-Recognition.Pytorch"
_VGG = "Khaireddin and Chen 2021, arXiv:2105.03588"
_EMONEXT = "El Boudouri and Bohi 2023, arXiv:2501.08199"
_RESEMOTE = "Roy et al. 2024, ResEmoteNet"
_FERPLUS = "Barsoum et al. 2016, arXiv:1608.01041"

#: The figures that a claim is compared with. The one place that knows them.
REPORTED: tuple[Reported, ...] = (
    Reported(
        "Kaggle's winner",
        "fer2013",
        "71.16",
        "published",
        False,
        3_589,
        "scored by the challenge on hidden labels",
        "Goodfellow et al. 2013, arXiv:1307.0414",
    ),
    Reported(
        "VGG19 from scratch",
        "fer2013",
        "73.11",
        "published",
        False,
        3_589,
        "epoch chosen on PrivateTest",
        _VGG19_HOME,
    ),
    Reported(
        "VGG19 from scratch, epoch chosen on PublicTest",
        "fer2013",
        "72.6",
        "reproduced",
        False,
        3_589,
        "the same training, chosen by the honest rule",
        _VGG19_HOME,
        "VGG19 from scratch",
    ),
    Reported(
        "VGG, tuned", "fer2013", "73.28", "published", False, 3_589, "that is PublicTest", _VGG
    ),
    Reported(
        "VGG, tuned, on PrivateTest",
        "fer2013",
        "73.7",
        "reproduced",
        False,
        3_589,
        "where its released PrivateTest curve levels",
        _VGG,
        "VGG, tuned",
    ),
    Reported(
        "ResNet18 with tricks",
        "fer2013",
        "73.70",
        "published",
        False,
        3_589,
        "epoch chosen on PrivateTest",
        "LetheSec, on GitHub",
    ),
    Reported(
        "eight networks together",
        "fer2013",
        "75.2",
        "published",
        False,
        3_589,
        "the best published without outside data",
        "Pramerdorfer and Kampel 2016, arXiv:1612.02903",
    ),
    Reported(
        "ResMaskNet", "fer2013", "74.14", "published", True, 3_589, "ImageNet weights", _RESMASK
    ),
    Reported(
        "ResMaskNet, trained again",
        "fer2013",
        "73.6",
        "reproduced",
        True,
        3_589,
        "the best that users of its code report",
        f"{_RESMASK_HOME}, issue 9",
        "ResMaskNet",
    ),
    Reported(
        "seven networks with ResMaskNet",
        "fer2013",
        "76.82",
        "published",
        True,
        3_589,
        "ImageNet weights",
        _RESMASK,
    ),
    Reported(
        "EmoNeXt",
        "fer2013",
        "76.12",
        "published",
        True,
        3_589,
        "ImageNet-22k weights, its largest size",
        _EMONEXT,
    ),
    Reported(
        "EmoNeXt Tiny, trained again",
        "fer2013",
        "71.5",
        "reproduced",
        True,
        3_589,
        "its smallest size, by users of its code",
        _EMONEXT,
    ),
    Reported(
        "ResEmoteNet",
        "fer2013",
        "79.79",
        "published",
        None,
        None,
        "test faces not certain: its decimals fit 7,178, not 3,589",
        _RESEMOTE,
    ),
    Reported(
        "ResEmoteNet, its released weights",
        "fer2013",
        "71.57",
        "reproduced",
        None,
        None,
        "on its own released test set",
        _RESEMOTE,
        "ResEmoteNet",
    ),
    Reported(
        "VGG13 on the votes",
        "ferplus",
        "84.99",
        "published",
        False,
        3_153,
        "eight classes; the mean of several runs",
        _FERPLUS,
    ),
    Reported(
        "VGG13 on the votes, repeated",
        "ferplus",
        "83.3",
        "reproduced",
        False,
        3_153,
        "eight classes",
        "a repetition by others",
        "VGG13 on the votes",
    ),
    Reported(
        "best with face pre-training",
        "ferplus",
        "91.8",
        "published",
        True,
        3_153,
        "88 to 91.8 in several papers",
        "papers with weights from face recognition",
    ),
    Reported(
        "face pre-training, repeated",
        "ferplus",
        "86",
        "reproduced",
        True,
        3_153,
        "84 to 86 when others repeat them",
        "repetitions by others",
        "best with face pre-training",
    ),
    Reported(
        "highest published, on a split of its own",
        "expw",
        "74.3",
        "published",
        None,
        None,
        "no official split: each has its own",
        "papers with splits of their own",
    ),
    Reported(
        "repeated honest splits",
        "expw",
        "66",
        "reproduced",
        None,
        None,
        "63 to 66 over repeated splits",
        "papers that repeat the split",
    ),
)


def reported_table(dataset: str | None = None) -> pd.DataFrame:
    """List `REPORTED`, with intervals where the number of test faces is known.

    Parameters
    ----------
    dataset : str, optional
        One data set's only.

    Returns
    -------
    DataFrame
        Index: names; ``dataset``, ``accuracy``, ``low`` and ``high`` (percent; the 95 %
        interval, NaN where n is not known), ``kind``, ``outside_data``, ``stands`` (False for a
        published figure that a repetition contradicts, see `CONTRADICTED`), ``n`` (nullable),
        ``note``, ``source``.

    Raises
    ------
    DataError
        When the data set is none of ours.
    """
    wanted = None if dataset is None else known_dataset(dataset)
    rows = []
    for one in REPORTED:
        if wanted in (None, one.dataset):
            low, high = interval(Decimal(one.accuracy), one.n)
            rows.append(
                {
                    "figure": one.name,
                    "dataset": one.dataset,
                    "accuracy": float(one.accuracy),
                    "low": low,
                    "high": high,
                    "kind": one.kind,
                    "outside_data": one.outside_data,
                    "stands": stands(one),
                    "n": one.n,
                    "note": one.note,
                    "source": one.source,
                }
            )
    table = pd.DataFrame(rows).set_index("figure")
    return table.astype({"n": "Int64", "outside_data": "boolean"})


def stands(reported: Reported) -> bool:
    """Whether no repetition of a figure came out more than `CONTRADICTED` standard errors lower."""
    own = Decimal(reported.accuracy)
    return not any(
        one.repeats == reported.name
        and float(own - Decimal(one.accuracy))
        > CONTRADICTED * standard_error(float(own), one.n or official_size(reported.dataset) or 1)
        for one in REPORTED
    )


def best(dataset: str, kind: str, outside_data: bool | None = None) -> Reported | None:
    """Find the highest figure of a kind.

    Parameters
    ----------
    dataset : str
        "fer2013", "ferplus" or "expw".
    kind : str
        "reproduced", or "published": of these only figures that no repetition contradicts.
    outside_data : bool, optional
        False leaves out networks that had learned from other pictures before.

    Returns
    -------
    Reported or None
        The first of equals; None where there is none.

    Raises
    ------
    DataError
        When the data set or the kind is none of ours.
    """
    if kind not in ("published", "reproduced"):
        raise DataError(f"kind {kind!r}: expected published or reproduced")
    found = [
        one
        for one in REPORTED
        if one.dataset == known_dataset(dataset)
        and one.kind == kind
        and stands(one)
        and not (outside_data is False and one.outside_data)
    ]
    return max(found, key=lambda one: Decimal(one.accuracy), default=None)


def standard_error(accuracy: float, n: int) -> float:
    """Return the standard error, in points, of an accuracy in percent on n faces."""
    return math.sqrt(accuracy * (100 - accuracy) / n)
