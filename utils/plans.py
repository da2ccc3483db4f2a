"""What a record that grows run by run was begun with, and each sitting that it grew in.

Such a record is a folder ``KIND-NAME`` below ``results/`` with a ``plan.json``: what was asked for,
and a list ``sessions``. `utils.mistakes` and `utils.ablation` keep theirs so. `require_same` is for
whatever else goes on where it was left, too: a run, a search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils import records, runtime
from utils.runtime import ModelError

FILE = "plan.json"


def recorded(kind: str, results: Path = runtime.RESULTS) -> list[str]:
    """List the records of a kind ("mistakes", "ablation") below ``results``, by name."""
    files = results.glob(f"{kind}-*/{FILE}")
    return sorted(file.parent.name.removeprefix(f"{kind}-") for file in files)


def folder(kind: str, name: str, results: Path = runtime.RESULTS) -> Path:
    """Say where a record of a kind and name lies, or will."""
    return results / f"{kind}-{name}"


def find(kind: str, name: str | Path, results: Path = runtime.RESULTS) -> Path:
    """Find a record's folder.

    Parameters
    ----------
    kind : str
        "mistakes" or "ablation".
    name : str or path
        The record's name, as "fer2013" for ``results/KIND-fer2013``; or its folder.
    results : path
        Where named records lie.

    Returns
    -------
    pathlib.Path
        It holds a ``plan.json``.

    Raises
    ------
    ModelError
        When there is no such record.
    """
    found = name if isinstance(name, Path) else folder(kind, name, results)
    if not (found / FILE).is_file():
        there = ", ".join(recorded(kind, found.parent)) or "none"
        raise ModelError(f"{found.name}: no record of {kind} there; recorded: {there}")
    return found


def write(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write ``plan.json``, whole."""
    runtime.write_json(folder / FILE, plan)


def read(folder: Path) -> dict[str, Any]:
    """Read ``plan.json``.

    Raises
    ------
    ModelError
        When it is not there, or is no JSON object with a list ``sessions``.
    """
    try:
        plan = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{folder.name}/{FILE}: cannot be read: {error}") from error
    if not isinstance(plan, dict) or not isinstance(plan.get("sessions"), list):
        raise ModelError(f'{folder.name}/{FILE}: expected an object with a list "sessions"')
    return plan


def begin_session(folder: Path, command: str) -> None:
    """Note by what command, where and when the record goes on."""
    plan = read(folder)
    write(folder, {**plan, "sessions": [*plan["sessions"], records.session(command)]})


def require_same(
    title: str, begun: Mapping[str, Any], asked: Mapping[str, Any], instead: str
) -> None:
    """Refuse to go on with what was begun otherwise.

    Parameters
    ----------
    title : str
        What goes on, for the message.
    begun, asked : mapping
        What it was begun with, and what is asked for now; every key of the latter must be the same.
    instead : str
        What to do about it, for the message.

    Raises
    ------
    ModelError
        At the first difference.

    Examples
    --------
    >>> require_same("a run", {"epochs": 2}, {"epochs": 3}, "take another name")
    Traceback (most recent call last):
    utils.runtime.ModelError: a run: was begun with epochs 2, and is asked to go on with 3: take \
another name
    """
    for key, value in asked.items():
        if begun.get(key) != value:
            raise ModelError(
                f"{title}: was begun with {key} {begun.get(key)!r}, and is asked to go on with "
                f"{value!r}: {instead}"
            )
