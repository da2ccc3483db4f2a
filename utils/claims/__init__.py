"""Is this claim possible? An accuracy, read as what it says: so many right answers of n.

    python -m utils.claims 86.0 --n 3589 --supports 491 55 528 879 594 416 626

Of n faces a whole number is named rightly, so only n + 1 accuracies exist, and a figure with two
decimals may be none of them: the GRIM test (Brown and Heathers 2017, Social Psychological and
Personality Science 8(4)), asked of a test split. Beside it: which known split the class counts
belong to, how wide the figure's interval is, how far it stands above what has been repeated, and
whether a report's columns fit it.

It shows what a figure cannot be, and never why. A figure that is possible may still be mistaken,
and one that is not may be a slip of the pen: what stands out gets a question.
"""

from utils.claims.arithmetic import ROUNDINGS, possible_counts, possible_sizes
from utils.claims.claim import ANCESTORS, Claim, ancestors, check_claim, claims_table
from utils.claims.reported import (
    PEOPLE,
    REPORTED,
    Reported,
    best,
    reported_table,
    standard_error,
    stands,
)
from utils.claims.splits import KNOWN_SPLITS, KnownSplit, known_splits_table, possible_at
from utils.claims.supports import SplitMatch, match_supports
from utils.claims.tables import TableCheck, read_report

__all__ = [
    "ANCESTORS",
    "KNOWN_SPLITS",
    "PEOPLE",
    "REPORTED",
    "ROUNDINGS",
    "Claim",
    "KnownSplit",
    "Reported",
    "SplitMatch",
    "TableCheck",
    "ancestors",
    "best",
    "check_claim",
    "claims_table",
    "known_splits_table",
    "match_supports",
    "possible_at",
    "possible_counts",
    "possible_sizes",
    "read_report",
    "reported_table",
    "standard_error",
    "stands",
]
