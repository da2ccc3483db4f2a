"""Where things are, how a session starts, what can go wrong: paths, seeds, backend, errors, files.

`setup` is the only function in the project that changes global state. Call it first, before
anything imports Keras, because Keras chooses its backend when it is first imported.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import re
import shlex
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
RAW = DATA / "raw"
CACHE = DATA / "cache"
FIGURES = ROOT / "figures"
RESULTS = ROOT / "results"
RUNS = ROOT / "runs"
MODELS = ROOT / "models"

BACKENDS = ("tensorflow", "jax", "torch")

#: If this environment variable is set to anything, a command shows where an error came from.
DEBUG = "FACIAL_EXPRESSION_DEBUG"


class DataError(ValueError):
    """Data that is not what it claims to be: names file, row, what was found and expected."""


class ModelError(ValueError):
    """A model file or record that is not ours, or does not fit what is asked of it."""


def setup(seed: int = 0) -> None:
    """Start a session: quiet logs, one seed, and the backend of ``KERAS_BACKEND``, or TensorFlow.

    Parameters
    ----------
    seed : int
        Seeds Python's, NumPy's and Keras's random numbers (0 … 2³²-1).

    Raises
    ------
    ValueError
        For an unknown backend, or a seed out of range.
    RuntimeError
        When the backend is not installed, or Keras has already been imported with another one.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected a whole number from 0 to 2³²-1, not {seed}")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise ValueError(
            f"unknown Keras backend {backend!r}: expected one of {', '.join(BACKENDS)}"
        )
    # Both must be set before TensorFlow's first import, or its C++ side writes to stderr.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Twice as fast, but the order of sums depends on the processor: the tests set 0.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ["KERAS_BACKEND"] = backend
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    # In a new home folder, Matplotlib announces its font cache in whichever cell draws first.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # TensorFlow warns against many small networks in one session: five of them are our subject.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # JAX reports each kind of accelerator that is missing.
    logging.getLogger("jax").setLevel(logging.WARNING)
    # In a notebook, tqdm, which Optuna imports, asks for widgets that the course does not use.
    warnings.filterwarnings("ignore", message="IProgress not found")

    try:
        with _without_start_up_messages():
            import keras
    except ImportError as error:
        raise RuntimeError(f"the Keras backend {backend!r} cannot be imported: {error}") from error

    if keras.backend.backend() != backend:
        raise RuntimeError(
            f"Keras already runs on {keras.backend.backend()}: restart Python to use {backend}"
        )
    keras.utils.set_random_seed(seed)


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command and end the process: whatever goes wrong is one sentence on stderr.

    Exit codes: what ``main`` returns (None is 0); 1 for an error; 2 for a wrong command line
    (argparse's); 130 for Ctrl-C; 141 for a closed pipe, silently. An unforeseen error is one
    sentence too; if the environment variable in `DEBUG` is set, its traceback comes first.

    Parameters
    ----------
    main : callable
        Reads ``sys.argv``, prints, returns an exit code.
    """
    called = Path(sys.argv[0])
    name = called.parent.name if called.name == "__main__.py" else called.name
    code = 1
    for stream in (sys.stdout, sys.stderr):  # an ASCII terminal shows × as \\xd7
        with contextlib.suppress(AttributeError):  # not a real stream, in a test
            stream.reconfigure(errors="backslashreplace")
    try:
        finished = main() or 0
        sys.stdout.flush()  # here a full disk is still an error, not a note at exit
        code = finished
    except KeyboardInterrupt:
        code = 130
        _say(f"{name}: stopped")
    except BrokenPipeError:
        code = 141
    except (DataError, ModelError) as error:
        _say(f"{name}: {error}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _say(f"{name}: {error.strerror or error}{where}")
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        kind = type(error).__name__
        _say(f"{name}: {kind}: {str(error) or 'no message'} ({DEBUG}=1 shows where)")
    try:
        sys.stdout.flush()
    except OSError:  # Python would write a traceback of its own while it shuts down
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def parser(program: str | None, words: str, **how: Any) -> argparse.ArgumentParser:
    """Start a parser whose help is its module's own ``words``, line by line."""
    kind = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(program, description=words, formatter_class=kind, **how)


def between(least: float, most: float, kind: type = float) -> Callable[[str], float]:
    """Return a parser for numbers from `least` to `most`; it raises ValueError for others."""

    def number(text: str) -> float:
        value = kind(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return number


def _say(sentence: str) -> None:
    """Write one line to stderr, without control characters that come from somebody's file."""
    line = " ".join(printable(sentence).split())
    with contextlib.suppress(OSError):
        print(line[:2000], file=sys.stderr, flush=True)


def command_line() -> str:
    """Return the running command as a record keeps it: "train.py …", "python -m module …"."""
    module = sys.modules["__main__"].__spec__
    name = Path(sys.argv[0]).name
    words = ["python", "-m", module.name.removesuffix(".__main__")] if module else [name]
    return shlex.join([*words, *sys.argv[1:]])


def printable(text: str) -> str:
    r"""Escape what a terminal would act on.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(
        letter
        if letter.isprintable() or letter.isspace()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a record that `write_json` wrote.

    Raises
    ------
    ModelError
        When the file is missing, is not JSON, or holds anything but an object.
    """
    title = f"{path.parent.name}/{path.name}"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{title}: no such record") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{title}: cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{title}: expected a JSON object, found {type(value).__name__}")
    return value


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a killed process, or a full disk, leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        move_into_place(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_npz(path: Path, **arrays: Any) -> None:
    """Write arrays as a compressed ``.npz``, atomically."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def as_json(value: Any) -> bytes:
    """Format a record as JSON that people can read too: two spaces, UTF-8, a final newline.

    Raises
    ------
    ValueError
        When a number is infinite or NaN: JSON has neither.
    """
    return f"{json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def write_json(path: Path, value: Any) -> None:
    """Write a record `as_json`, atomically."""
    write_atomically(path, as_json(value))


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def sha256(path: Path) -> str:
    """Hash a file's content: SHA-256, 64 hexadecimal digits.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def move_into_place(part: Path, path: Path) -> None:
    """Give a finished file its name, once its content has reached the disk."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


#: TensorFlow 2.21 writes these on import, whatever ``TF_CPP_MIN_LOG_LEVEL`` says.
START_UP_MESSAGE = re.compile(rb"WARNING: All log messages before absl|I0000 ")


@contextlib.contextmanager
def _without_start_up_messages() -> Iterator[None]:
    """Hold back what C++ code writes to stderr, and pass on all but start-up chatter."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not START_UP_MESSAGE.match(line):
                    os.write(2, line)
