"""Find and open a source: a csv, a csv inside an archive, a text, a picture."""

from __future__ import annotations

import functools
import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from utils import faces, runtime
from utils.runtime import DataError, printable

#: FER2013's csv is 301 MB; what unpacks to more than this is something else, or endless.
LARGEST_TABLE = 1 << 30
#: The most bytes in a picture file, or in a text.
LARGEST_FILE = 1 << 26

_TAR_BLOCK = 512
#: Formats that Pillow hands to other programs, or cannot decode by itself.
_FOREIGN = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}


def refuse(where: str, found: str, expected: str) -> NoReturn:
    """Raise DataError: every refusal of data has this one form."""
    raise DataError(f"{where}: found {found}, expected {expected}")


def shown(path: str | os.PathLike) -> str:
    """Shorten a path for printing: relative to the repository, or else only its last part."""
    path = Path(path).absolute()
    short = path.relative_to(runtime.ROOT).as_posix() if runtime.ROOT in path.parents else path.name
    return printable(short)


def named_or_default(path: str | os.PathLike | None, folder: str, title: str, hint: str) -> Path:
    """Return the path, or ``data/raw/<folder>`` if None; DataError (with `hint`) if missing."""
    found = runtime.RAW / folder if path is None else Path(path)
    try:
        if found.is_file() or found.is_dir():
            return found
        problem = "neither a file nor a folder" if found.exists() else "no such file or folder"
    except OSError as error:
        problem = error.strerror
    if path is None:
        raise DataError(f"{title} is not in {shown(found)}: {hint}")
    raise DataError(f"{printable(str(path))[:200]}: {problem}, expected {title}")


def walk(folder: Path, depth: int = 4) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk as `os.walk` does: sorted, links followed once, nothing hidden, at most `depth` levels.

    Raises DataError for a folder that cannot be opened.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{shown(error.filename)}: the folder cannot be opened: {error.strerror}")

    seen = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        inner = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(parent, name))
            if not name.startswith((".", "__MACOSX")) and real not in seen:
                seen.add(real)
                inner.append(name)
        folders[:] = inner if len(Path(parent).relative_to(folder).parts) < depth else []
        yield Path(parent), folders, sorted(files)


def find_files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Find files with these names, nearest to the folder's top first, then in `names`' order."""
    found = [
        (len(parent.relative_to(folder).parts), names.index(name.lower()), parent / name)
        for parent, _, files in walk(folder)
        for name in files
        if name.lower() in names
    ]
    return [path for _, _, path in sorted(found)]


def folder_and_file(path: Path, name: str, what: str) -> tuple[Path, Path]:
    """Find the file `name` in a folder, or the folder of a file; DataError if it is missing."""
    if not path.is_dir():
        return path.parent, path
    found = find_files(path, (name,))
    if not found:
        refuse(shown(path), f"no {name}", what)
    return path, found[0]


@contextmanager
def open_csv(path: Path, names: tuple[str, ...]) -> Iterator[tuple[BinaryIO, str]]:
    """Open a csv, or the csv inside a zip, gzip or tar archive; yield it and its name for messages.

    Inside an archive, the csv with the first of `names` is used; a lone csv may have any name.

    Raises
    ------
    DataError
        When the archive is damaged, holds no such csv, or unpacks to more than `LARGEST_TABLE`
        bytes; also for damage found while reading.
    """
    title, ending = shown(path), path.name.lower()
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{title}: found an empty file, expected a csv")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = _choose(archive.namelist(), names, title)
                with archive.open(member) as file:
                    yield _bounded(file, title), f"{title}:{printable(member)}"
        elif ending.endswith((".tar", ".tar.gz", ".tgz")):
            opener = open if ending.endswith(".tar") else gzip.open
            with opener(path, "rb") as file:
                members = _tar_members(file, title)
            member = _choose(list(members), names, title)
            offset, size = members[member]
            with opener(path, "rb") as file:
                file.seek(offset)
                yield _bounded(file, title, size), f"{title}:{printable(member)}"
                rest = _bounded(file, title)
                while rest.read(1 << 18):  # gzip checks its checksum at the end
                    pass
        elif ending.endswith(".zip"):
            raise DataError(f"{title}: found a damaged or truncated archive, expected a zip")
        else:
            with (gzip.open if ending.endswith(".gz") else open)(path, "rb") as file:
                yield _bounded(file, title), title
    except DataError:
        raise
    except Exception as error:  # a dozen kinds, by kind of archive and location of the damage
        raise DataError(
            f"{title}: cannot be read to the end ({error or type(error).__name__}), "
            "expected a complete csv or archive"
        ) from error


class _Bounded(io.RawIOBase):
    """A stream's next `size` bytes; without a size, all of it, up to `LARGEST_TABLE`."""

    def __init__(self, file: BinaryIO, title: str, size: int | None) -> None:
        self.file, self.title, self.whole = file, title, size is None
        self.left = LARGEST_TABLE if size is None else size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        # One byte more than allowed tells a stream that ends from one that goes on.
        data = self.file.read(min(len(buffer), self.left + self.whole))
        if len(data) > self.left:
            raise _too_large(self.title)
        if not data and self.left and not self.whole:
            raise EOFError("the archive ends inside its csv")
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)


def _bounded(file: BinaryIO, title: str, size: int | None = None) -> io.BufferedReader:
    return io.BufferedReader(_Bounded(file, title, size), 1 << 18)


def _too_large(title: str) -> DataError:
    return DataError(f"{title}: found more than {LARGEST_TABLE:,} bytes unpacked, expected a csv")


def _tar_members(file: BinaryIO, title: str) -> dict[str, tuple[int, int]]:
    """List an archive's plain files: name → (offset, size)."""
    # Not by `tarfile.open`: that reads extended headers, of any length, into memory and walks the
    # maps of sparse members. Here such members are skipped, and a member is bounded.
    members, place = {}, 0
    while (block := file.read(_TAR_BLOCK)).strip(b"\0"):
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        place += _TAR_BLOCK
        if entry.type in tarfile.REGULAR_TYPES and entry.type != tarfile.GNUTYPE_SPARSE:
            members[entry.name] = (place, entry.size)
        if not 0 <= entry.size <= LARGEST_TABLE - place:
            raise _too_large(title)
        place = file.seek(place + -(-entry.size // _TAR_BLOCK) * _TAR_BLOCK)
    return members


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
    found = printable(", ".join(sorted(tables)[:5])) or "none"
    raise DataError(
        f"{title}: found these csv files inside: {found}; expected {' or '.join(names)} "
        "(pictures inside an archive: unpack it, and name the folder)"
    )


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of at most `LARGEST_FILE` bytes, with line feeds as line endings.

    DataError when it is empty, larger, unreadable, or not text.
    """
    title = shown(path)
    try:
        size = path.stat().st_size
        if not 0 < size <= LARGEST_FILE:
            refuse(title, f"{size:,} bytes", f"1 … {LARGEST_FILE:,}")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{title}: cannot be read ({error.strerror}), expected text") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{title}: found bytes that are not UTF-8, expected text") from error
    if "\0" in text:
        refuse(title, "a NUL character", "text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


@functools.cache
def picture_formats() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the formats that Pillow recognizes by their first bytes, and their file extensions."""
    from PIL import Image

    Image.init()
    formats = tuple(f for f, (_, accept) in Image.OPEN.items() if accept and f not in _FOREIGN)
    endings = [ending for ending, f in Image.registered_extensions().items() if f in formats]
    return formats, tuple(sorted(endings))


def read_gray(file: Path | bytes, title: str) -> np.ndarray:
    """Read one picture as `faces.read_photo` does, in any of `picture_formats`, as gray pixels.

    Returns
    -------
    (height, width) uint8 array
        As `faces.to_gray` makes it.

    Raises
    ------
    DataError
        As `faces.read_photo`, and for more than `LARGEST_FILE` bytes; names `title`.
    """
    size = len(file) if isinstance(file, bytes) else file.is_file() and file.stat().st_size
    if size > LARGEST_FILE:
        refuse(title, f"{size:,} bytes", f"a picture of at most {LARGEST_FILE:,} bytes")
    return faces.to_gray(faces.read_photo(file, title, formats=picture_formats()[0]))
