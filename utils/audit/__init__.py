"""What is wrong with a set of faces, before anything is trained: ``python -m utils.audit PATH``.

`load` reads a csv, ExpW's list, or anyone's folder of pictures; `examine` looks for exact and near
copies between its splits, one picture under several labels, flat pictures and (by FER+'s votes)
pictures without a face; `text` and `page` write what it found.

>>> from utils import audit
>>> found = audit.examine(audit.load("sample").dataset)
>>> int(found.problems().loc["exact_copies", "test"])
6

`recorded` reads what ``--record`` kept, for the accuracy without near copies; `sensitivity`
measures which copies a threshold can find at all.
"""

from utils.audit.correlation import Nearest, aligned, correlations, nearest
from utils.audit.faults import NEARLY_FLAT
from utils.audit.findings import PROBLEMS, THRESHOLD, THRESHOLDS, Audit, examine
from utils.audit.keeping import Leaks, record, recorded
from utils.audit.limits import sensitivity
from utils.audit.reading import Faces, load, read_pictures
from utils.audit.reporting import page, text

__all__ = [
    "NEARLY_FLAT",
    "PROBLEMS",
    "THRESHOLD",
    "THRESHOLDS",
    "Audit",
    "Faces",
    "Leaks",
    "Nearest",
    "aligned",
    "correlations",
    "examine",
    "load",
    "nearest",
    "page",
    "read_pictures",
    "record",
    "recorded",
    "sensitivity",
    "text",
]
