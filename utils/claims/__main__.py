"""Ask of a claimed accuracy what arithmetic can tell.

    python -m utils.claims 86.0 --n 3589 --supports 491 55 528 879 594 416 626

A question is no error: the exit status is 0 for whatever is found, 2 for what is no claim.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.claims.claim import check_claim
from utils.claims.splits import DATASETS
from utils.runtime import DataError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("accuracy", help="in percent, with the decimals it was given with: 86.0")
    parser.add_argument("--n", type=int, help="test faces (default: the official test split's)")
    parser.add_argument(
        "--supports",
        nargs="+",
        metavar="COUNT",
        help="test faces of each class: 491 55 …, or by name: angry=491 disgust=55 …",
    )
    parser.add_argument("--correct", type=int, help="right answers claimed")
    parser.add_argument("--dataset", default="fer2013", choices=tuple(DATASETS))
    parser.add_argument("--classes", type=int, help="how many (default: the supports' number)")
    parser.add_argument("--runs", type=int, default=1, help="the figure is the mean of so many")
    parser.add_argument(
        "--without-outside-data",
        action="store_true",
        help="compare with networks that had learned from no other pictures",
    )
    parser.add_argument(
        "--report", type=Path, help="a file with what scikit-learn's classification_report prints"
    )
    return parser


def _read_supports(words: Sequence[str] | None) -> Sequence[int] | dict[str, int] | None:
    if words is None:
        return None
    words = [word for part in words for word in part.replace(",", " ").split()]
    named = [word.partition("=") for word in words]
    if len({bool(equals) for _, equals, _ in named}) > 1:
        raise DataError("supports: expected all counts with a name, or none")
    try:
        counts = [int(count if equals else name) for name, equals, count in named]
    except ValueError:
        raise DataError(f"supports {' '.join(words)!r}: expected whole numbers") from None
    if not any(equals for _, equals, _ in named):
        return counts
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names):
        raise DataError(f"supports {' '.join(words)!r}: expected each class once")
    return dict(zip(names, counts, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what arithmetic says of a claim; 0 whatever that is, 2 for what is no claim."""
    asked = _parser().parse_args(arguments)
    try:
        report = asked.report and asked.report.read_text(encoding="utf-8")
        claim = check_claim(
            asked.accuracy,
            asked.n,
            correct=asked.correct,
            supports=_read_supports(asked.supports),
            dataset=asked.dataset,
            classes=asked.classes,
            runs=asked.runs,
            outside_data=False if asked.without_outside_data else None,
            report=report,
        )
    except (DataError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    print(claim)
    return 0


if __name__ == "__main__":
    sys.exit(main())
