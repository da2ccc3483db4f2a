"""Finding and opening a source: a csv, the csv inside an archive, a folder of pictures."""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils import runtime
from utils.runtime import DataError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm")

#: What reading a damaged archive can raise, by kind of archive and place of the damage.
BROKEN = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
)


def shown(path: Path) -> str:
    """Shorten a path for printing: relative to the repository, else its last part alone."""
    path = Path(path).absolute()
    try:
        return path.relative_to(runtime.ROOT).as_posix()
    except ValueError:
        return path.name


def named_or_default(path: str | os.PathLike | None, folder: str, title: str, hint: str) -> Path:
    """Choose the caller's path, else ``data/raw/<folder>``.

    Parameters
    ----------
    path : path or None
        What the caller named.
    folder : str
        The folder under ``data/raw``.
    title : str
        The data set's name in the message.
    hint : str
        What to do when ``data/raw`` has nothing.

    Raises
    ------
    DataError
        When there is nothing at that path. There is no fallback.
    """
    if path is not None:
        if not Path(path).exists():
            raise DataError(f"{path}: no such file or folder, expected {title}")
        return Path(path)
    default = runtime.RAW / folder
    if not default.exists():
        raise DataError(f"{title} is not in {shown(default)}: {hint}")
    return default


def walk(folder: Path, depth: int = 4) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk as `os.walk` does: sorted, top down, no hidden folders, at most `depth` levels."""
    for parent, folders, files in os.walk(folder):
        level = len(Path(parent).relative_to(folder).parts)
        hidden = [name for name in folders if name.startswith((".", "__MACOSX"))]
        folders[:] = sorted(set(folders) - set(hidden)) if level < depth else []
        yield Path(parent), folders, sorted(files)


def find_files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Find files of these names, nearest to the folder's top first, then in `names`' order."""
    found = [
        (len(parent.relative_to(folder).parts), names.index(name.lower()), parent / name)
        for parent, _, files in walk(folder)
        for name in files
        if name.lower() in names
    ]
    return [path for _, _, path in sorted(found)]


@contextmanager
def open_csv(path: Path, names: tuple[str, ...]) -> Iterator[tuple[BinaryIO, str]]:
    """Open a csv, or the csv inside a zip, gzip or tar archive.

    Parameters
    ----------
    path : Path
        The csv or the archive.
    names : tuple of str
        The csv names to prefer inside an archive, in this order; a lone csv may have any name.

    Yields
    ------
    (binary file, str)
        The csv, and what to call it in messages.

    Raises
    ------
    DataError
        When the archive is damaged or holds no such csv; also for damage found while reading.
    """
    title = shown(path)
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{title}: found an empty file, expected a csv")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = _choose(archive.namelist(), names, title)
                with archive.open(member) as file:
                    yield file, f"{title}:{member}"
        elif path.name.lower().endswith((".tar", ".tar.gz", ".tgz")):
            opener = open if path.suffix.lower() == ".tar" else gzip.open
            with opener(path, "rb") as stream, tarfile.open(fileobj=stream) as archive:
                member = _choose([m.name for m in archive if m.isfile()], names, title)
                yield archive.extractfile(member), f"{title}:{member}"
                # gzip compares its checksum at the end, which a member's reader never reaches.
                while stream.read(1 << 20):
                    pass
        elif path.suffix.lower() == ".gz":
            with gzip.open(path) as file:
                yield file, title
        elif path.suffix.lower() == ".zip":
            raise DataError(f"{title}: found a damaged or truncated archive, expected a zip")
        else:
            with open(path, "rb") as file:
                yield file, title
    except BROKEN as error:
        raise DataError(
            f"{title}: cannot be read to its end ({error or type(error).__name__}), "
            "expected a whole csv or archive"
        ) from error


def read_text(path: Path, *, largest: int) -> str:
    """Read a UTF-8 text file of at most `largest` bytes, with line feeds as line ends.

    Raises
    ------
    DataError
        When it is empty, larger, unreadable, or no text.
    """
    title = shown(path)
    try:
        size = path.stat().st_size
        if not 0 < size <= largest:
            raise DataError(f"{title}: found {size:,} bytes, expected 1 … {largest:,}")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{title}: cannot be read ({error.strerror}), expected a text") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{title}: found bytes that are no UTF-8, expected a text") from error
    if "\0" in text:
        raise DataError(f"{title}: found a NUL character, expected a text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _choose(members: list[str], names: tuple[str, ...], title: str) -> str:
    tables = [
        member
        for member in members
        if member.lower().endswith(".csv") and not member.startswith("__MACOSX")
    ]
    for name in names:
        for member in tables:
            if member.rsplit("/", 1)[-1].lower() == name:
                return member
    if len(tables) == 1:
        return tables[0]
    found = ", ".join(sorted(tables)[:5]) or "none"
    raise DataError(
        f"{title}: found these csv files inside: {found}; expected {' or '.join(names)} "
        "(pictures inside an archive: unpack it, and name the folder)"
    )


def read_gray(path: Path, *, largest: int = 512) -> np.ndarray:
    """Read one small picture as gray pixels.

    Parameters
    ----------
    path : Path
        A JPEG, PNG, BMP or PGM file.
    largest : int
        The greatest height and width that is decoded.

    Returns
    -------
    (height, width) uint8 array

    Raises
    ------
    DataError
        When the file is no picture, is damaged, too large, or has more than 8 bits a channel.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG", "BMP", "PPM")) as picture:
                width, height = picture.size
                if max(width, height) > largest:
                    raise DataError(
                        f"{shown(path)}: found a picture of {width:,}×{height:,} pixels, "
                        f"expected at most {largest}×{largest}"
                    )
                if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
                    raise DataError(
                        f"{shown(path)}: found picture mode {picture.mode}, "
                        "expected 8 bits a channel"
                    )
                return np.array(picture.convert("L"), dtype=np.uint8)
    except DataError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{shown(path)}: found a decompression bomb, "
            f"expected at most {largest}×{largest} pixels"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{shown(path)}: found no picture that can be read, expected JPEG, PNG, BMP or PGM"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error) as error:
        raise DataError(
            f"{shown(path)}: found a damaged picture ({error}), expected a whole one"
        ) from error
