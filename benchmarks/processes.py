"""A process of its own for what is measured in memory, and what it tells of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from utils import runtime
from utils.runtime import DataError

_STATUS, _PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes() -> float:
    """Return the most memory that this process has held, in 10⁶ bytes; NaN if nothing tells.

    Linux's ``VmHWM`` is this process's own. ``getrusage`` counts what the process was forked from
    too: the child of a large program would seem large. Elsewhere there is nothing better.
    """
    found = _status("VmHWM")
    if found == found:
        return found
    try:
        import resource  # not on Windows
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def memory_megabytes() -> float:
    """Return the memory that this process holds now, in 10⁶ bytes; NaN if nothing tells."""
    return _status("VmRSS")


def reset_peak() -> bool:
    """Let the peak begin anew at what is held now; return whether that is allowed (proc(5))."""
    try:
        _PEAK_RESET.write_text("5")
    except OSError:
        return False
    return True


def available_megabytes() -> float:
    """Return how much memory a new process could take, in 10⁶ bytes; NaN if nothing tells."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable")


def _status(name: str) -> float:
    return _kilobytes(_STATUS, name)


def _kilobytes(path: Path, name: str) -> float:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return float("nan")
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def ask_child(task: str, settings: Mapping[str, str | int]) -> dict[str, dict[str, float]]:
    """Do a task of `benchmarks.child` in a fresh process.

    Parameters
    ----------
    task : str
        One of `benchmarks.child.TASKS`.
    settings : mapping
        What it takes.

    Returns
    -------
    dict of str to dict
        For each thing that was measured, "seconds" and "megabytes".

    Raises
    ------
    DataError
        When the process ended without an answer; killed for its memory, for instance.
    """
    command = [sys.executable, "-m", "benchmarks.child", task, json.dumps(dict(settings))]
    done = subprocess.run(command, cwd=runtime.ROOT, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        raise DataError(
            f"{task} {dict(settings)}: its process ended with {how}, expected an answer"
        )
    return json.loads(lines[-1])
