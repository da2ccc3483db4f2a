"""Exercises that say right or wrong without giving the answer away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any


def fingerprint(answer: Any) -> str:
    """Return 12 hexadecimal digits that stand for an answer without showing it.

    Parameters
    ----------
    answer : str, bool, number, or list, tuple or set of these
        The case of text does not matter, nor do spaces around it; the order of a set does not,
        that of a list does. Decimals are compared to three significant digits, and a whole
        number is the same as an int or a float.

    Raises
    ------
    TypeError
        When the answer is something else.
    """
    return hashlib.sha256(f"expression course: {_plain(answer)}".encode()).hexdigest()[:12]


def check(answer: Any, expected: str) -> str:
    """Compare an answer with the fingerprint of the right one.

    Parameters
    ----------
    answer : object
        As `fingerprint` takes it; ``...`` or None if none has been given yet.
    expected : str
        What `fingerprint` returns for the right answer.

    Returns
    -------
    str
        What the reader is told.
    """
    if answer is None or answer is ...:
        return "No answer yet: replace the dots above, and run both cells."
    if fingerprint(answer) == expected:
        return "Right."
    return f"Not yet: {answer!r} is not it."


def _plain(answer: Any) -> str:
    """Write an answer in one form that all its spellings share."""
    if hasattr(answer, "tolist"):  # from NumPy
        answer = answer.tolist()
    if isinstance(answer, str):
        return " ".join(answer.split()).casefold()
    if isinstance(answer, Real):
        whole = isinstance(answer, Integral) or float(answer).is_integer()
        return str(int(answer)) if whole else f"{float(answer):.3g}"
    if isinstance(answer, Iterable):
        parts = [_plain(part) for part in answer]
        return f"[{'; '.join(sorted(parts) if isinstance(answer, set | frozenset) else parts)}]"
    raise TypeError(f"an answer is text, a number or a list of these, not {type(answer).__name__}")
