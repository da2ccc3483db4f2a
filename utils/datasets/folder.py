"""Anyone's faces: class folders, RAF-DB's list, or Hugging Face's parquet."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.datasets import cache as caching
from utils.datasets import sources, splits
from utils.datasets.dataset import USAGES, FaceDataset
from utils.datasets.registry import loader
from utils.expressions import FERPLUS_EXPRESSIONS, RAFDB_EXPRESSIONS, meaning
from utils.runtime import DataError, printable

#: RAF-DB's list: spelled the first way by its authors.
RAFDB_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
#: What a data set may hold: faces, bytes of pixels once resized, bytes of a parquet row group.
MOST_FACES, MOST_PIXELS, LARGEST_GROUP = 2_000_000, 1 << 33, 1 << 32

_DEEPEST = 32
_IMAGE_COLUMNS = ("image", "img", "picture", "pixels", "file", "bytes")
_LABEL_COLUMNS = ("label", "labels", "emotion", "expression", "class")
_EXPECTED = (
    "expected pictures in class folders, with or without train, validation and test above them, "
    "RAF-DB's list, or parquet"
)


@dataclass
class Listing:
    """What a source holds, before any picture of it is read.

    Attributes
    ----------
    title : str
        What to call the source.
    files : list of Path
        Where the pictures lie; a change of one of them is a change of the source.
    faces : list of (str, str, str)
        Split ("" where there is none), class as it is written, and name of each face.
    skipped : dict of str to list of str
        What is left out: reason → names.
    pictures : callable, optional
        Gives each face's picture in order, a path or bytes; by default the `files`.
    """

    title: str
    files: list[Path] = field(default_factory=list)
    faces: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    pictures: Callable[[], Iterable[Path | bytes]] | None = None

    def skip(self, reason: str, name: str) -> None:
        """Note one more thing that is left out."""
        self.skipped.setdefault(reason, []).append(name)


@loader("folder", title="own faces", help="your own faces: class folders, RAF-DB's list or parquet")
def load(
    path: str | os.PathLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    size: int = 48,
    cache: bool = True,
    seed: int = 0,
) -> FaceDataset:
    """Load labelled faces of anyone's.

    ::

        mine/happy/a.jpg                     class folders alone: 70 / 10 / 20 %, stratified
        mine/train/happy/a.jpg               or below train, validation (val, valid) and test
        mine/EmoLabel/list_patition_label.txt, mine/Image/aligned/train_00001_aligned.jpg
        mine/data/train-00000-of-00001.parquet

    Names are matched to FER+'s eight expressions when all of them mean one ("happy", "Happiness",
    "3_happy"), and stand in that order; else they stay as they are, sorted. A picture may have any
    size and any format of `sources.picture_formats`; it becomes gray and `size` × `size`. Splits
    that are missing are drawn by `splits.complete`.

    Parameters
    ----------
    path : path
        A folder, a parquet file, or RAF-DB's list.
    classes : sequence of str, optional
        What numbered classes stand for, from the lowest number up.
    size : int
        Side of the faces in pixels, 8 … 1,024.
    cache, seed
        As in `datasets.load`.

    Returns
    -------
    FaceDataset
        Images (n, size, size, 1) gray, with `files`. `note` says what was understood, `skipped`
        what was left out.

    Raises
    ------
    DataError
        When there are no faces; when numbered classes have no names; for a list or a parquet file
        that is malformed.
    """
    if path is None:
        raise DataError("own faces need a path (--path FOLDER): there is none by default")
    if not 8 <= size <= 1024:
        raise DataError(f"size is {size}, expected 8 … 1,024 pixels")
    path = sources.named_or_default(path, "folder", "a folder of faces, or a parquet file", "")
    listing = find(path, classes)
    key = f"folder {path.absolute()} size={size} seed={seed} classes={classes}"
    return caching.remember(
        key, listing.files, lambda: read(listing, classes, size=size, seed=seed), cache=cache
    )


def find(path: Path, classes: Sequence[str] | None = None) -> Listing:
    """List the faces of a folder, a parquet file, or RAF-DB's list, whichever it is."""
    if path.is_file():
        if path.suffix.lower() == ".parquet":
            return list_parquet(path.parent, [path])
        if path.name.lower() in RAFDB_LISTS:
            return list_rafdb(path, path.parent.parent, classes)
        raise DataError(f"{sources.shown(path)}: found a file, {_EXPECTED} (a csv: --data fer2013)")
    lists = sources.find_files(path, RAFDB_LISTS)
    if lists:
        return list_rafdb(lists[0], path, classes)
    listing = list_pictures(path)
    tables = [p / n for p, _, names in sources.walk(path) for n in names if n.endswith(".parquet")]
    return list_parquet(path, tables) if tables and not listing.faces else listing


def read(
    listing: Listing,
    classes: Sequence[str] | None = None,
    *,
    name: str = "folder",
    size: int = 48,
    seed: int = 0,
    strict: bool = False,
) -> FaceDataset:
    """Read a listing's pictures; `strict` refuses what is damaged or of another size."""
    from utils import faces  # below this module in the order of the data

    if not listing.faces:
        left_out = "; ".join(f"{len(v):,} {k}" for k, v in listing.skipped.items())
        raise DataError(f"{listing.title}: found no faces ({left_out or 'empty'}), {_EXPECTED}")
    if len(listing.faces) > MOST_FACES or len(listing.faces) * size**2 > MOST_PIXELS:
        raise DataError(
            f"{listing.title}: found {len(listing.faces):,} faces, expected at most "
            f"{min(MOST_FACES, MOST_PIXELS // size**2):,} of {size}×{size}"
        )
    expressions, numbers = name_classes([label for _, label, _ in listing.faces], classes, listing)
    images = np.empty((len(listing.faces), size, size, 1), dtype=np.uint8)
    kept, sizes, damaged = [], set(), []
    pictures = listing.pictures() if listing.pictures else listing.files
    for row, (picture, (_, _, title)) in enumerate(zip(pictures, listing.faces, strict=True)):
        try:
            gray = sources.read_gray(picture, title)
            if strict and gray.shape != (size, size):
                found = f"{gray.shape[1]}×{gray.shape[0]}"
                raise DataError(f"{title}: found a picture of {found}, expected {size}×{size}")
        except DataError:
            if strict:
                raise
            damaged.append(title)
            continue
        images[len(kept), ..., 0] = faces.resize(gray[None], size)[0]
        sizes.add(gray.shape)
        kept.append(row)
    skipped = {**listing.skipped, **({"unreadable pictures": damaged} if damaged else {})}
    if not kept:
        raise DataError(f"{listing.title}: found no picture that can be read, {_EXPECTED}")
    chosen = [listing.faces[row] for row in kept]
    labels = np.array([numbers[label] for _, label, _ in chosen], dtype=np.int64)
    split, drawn = splits.complete(np.array([s for s, _, _ in chosen]), labels, seed=seed)
    few = ", ".join(expressions[:12]) + (", …" if len(expressions) > 12 else "")
    notes = [f"{len(expressions)} classes: {few}", drawn]
    if sizes != {(size, size)}:
        (low, high), s = (min(sizes), max(sizes)), "" if len(sizes) == 1 else "s"
        between = f"{low[0]}×{low[1]}" + (f" … {high[0]}×{high[1]}" if s else "")
        notes.append(f"resized from {between}")
    return FaceDataset(
        images=images[: len(kept)],
        labels=labels,
        split=split,
        rows=np.array(kept, dtype=np.int64),
        name=name,
        source=listing.title,
        expressions=expressions,
        files=np.array([title for _, _, title in chosen]),
        skipped=tuple((f"{why}, first {names[0]}", len(names)) for why, names in skipped.items()),
        note="; ".join(filter(None, notes)),
    )


def name_classes(
    written: Sequence[str], classes: Sequence[str] | None, listing: Listing
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Put classes in order: the names, and the label of each class as it is written."""
    names = sorted(set(written))
    named = {name: name for name in names}
    if all(re.fullmatch(r"-?[0-9]{1,9}", name) for name in names):
        numbers = sorted({int(name) for name in names})
        if classes is None or len(classes) != len(numbers) or len(set(classes)) != len(classes):
            given = "none" if classes is None else ", ".join(classes)
            raise DataError(
                f"{listing.title}: found classes that are numbers, {', '.join(map(str, numbers))}, "
                f"and these names for them: {given}; expected {len(numbers)} (--classes a,b,…), in "
                "the numbers' order: it is not guessed, since 3 is surprise in AffectNet and "
                "disgust in RAF-DB"
            )
        named = {name: classes[numbers.index(int(name))] for name in names}
    elif classes is not None and {meaning(c) or c for c in classes} != {
        meaning(name) or name for name in names
    }:
        raise DataError(
            f"{listing.title}: found the classes {', '.join(names)}, expected those that were "
            f"named: {', '.join(classes)}"
        )
    meant = {name: meaning(label) for name, label in named.items()}
    if all(meant.values()):
        order = [label for label in FERPLUS_EXPRESSIONS if label in meant.values()]
    else:
        meant = {name: " ".join(printable(label).split()) for name, label in named.items()}
        order = sorted(set(meant.values()))
    return tuple(order), {name: order.index(label) for name, label in meant.items()}


# ---------------------------------------------------------------------------------- class folders


def list_pictures(root: Path) -> Listing:
    """List the pictures of class folders, with or without split folders above them.

    In sorted order of their paths. Below split folders a name that starts with ``Training_``,
    ``PublicTest_`` or ``PrivateTest_`` decides the split before its folder does.
    """
    base, folders = _layout(root)
    endings = sources.picture_formats()[1]
    listing = Listing(sources.shown(root))
    for parent, inner, names in sources.walk(base, depth=_DEEPEST):
        within = parent.relative_to(base).parts
        split = folders.get(within[0], "") if folders and within else ""
        within = within[1:] if folders else within
        if len(within) == 1 and not names and not inner:
            listing.skip("empty class folders", _below(parent, root))
        for name in names:
            title = _below(parent / name, root)
            if name.startswith(".") or not name.lower().endswith(endings):
                listing.skip("files that are no pictures", title)
            elif folders and not split:
                listing.skip("pictures outside the split folders", title)
            elif not within:
                listing.skip("pictures in no class folder", title)
            else:
                usage = USAGES.get(name.partition("_")[0]) if folders and "_" in name else None
                listing.files.append(parent / name)
                listing.faces.append((usage or split, within[0], title))
    return listing


def _layout(root: Path) -> tuple[Path, dict[str, str]]:
    """Find the folder of the split folders (name → split), or that of the class folders."""
    base, endings = root, sources.picture_formats()[1]
    while True:  # an archive often unpacks to one folder around the others
        _, folders, files = next(sources.walk(base))
        found = {name: split for name in folders if (split := splits.named(name))}
        if found or len(folders) != 1 or any(name.lower().endswith(endings) for name in files):
            return base, found
        if meaning(folders[0]) or not next(sources.walk(base / folders[0]))[1]:
            return base, {}
        base = base / folders[0]


def _below(file: Path, root: Path) -> str:
    return printable(file.relative_to(root).as_posix())


# ----------------------------------------------------------------------------------------- RAF-DB


def list_rafdb(path: Path, root: Path, classes: Sequence[str] | None = None) -> Listing:
    """List the faces that RAF-DB's list names: ``train_00001.jpg 5``, one a line.

    The numbers 1 … 7 are `RAFDB_EXPRESSIONS`, unless `classes` names them from 1 up, as the
    compound expressions need it. ``train_00001_aligned.jpg`` is taken before ``train_00001.jpg``.
    """
    title = sources.shown(path)
    names = RAFDB_EXPRESSIONS if classes is None else tuple(classes)
    files = {n: p / n for p, _, inner in sources.walk(root, depth=_DEEPEST) for n in inner}
    listing = Listing(title)
    for row, line in enumerate(sources.read_text(path).rstrip().split("\n")):
        where = f"{title}, row {row} (line {row + 1})"
        picture, _, number = line.strip().rpartition(" ")
        if not picture or number not in map(str, range(1, len(names) + 1)):
            raise DataError(
                f"{where}: found {line[:60]!r}, expected a picture and a number 1 … {len(names)} "
                "(other numbers, such as the compound expressions': name them with --classes)"
            )
        split = splits.named(picture.partition("_")[0])
        stem, dot, ending = picture.rpartition(".")
        file = files.get(f"{stem}_aligned{dot}{ending}") or files.get(picture)
        if split is None or file is None:
            raise DataError(
                f"{where}: found {'no file' if split else 'no split'} for {picture[:60]!r}, "
                f"expected train_… or test_…, as {stem[:60]!r}_aligned.{ending[:8]!r} or itself"
            )
        listing.files.append(file)
        listing.faces.append((split, names[int(number) - 1], printable(picture)))
    return listing


# ---------------------------------------------------------------------------------------- parquet


def list_parquet(root: Path, files: list[Path]) -> Listing:
    """List the faces of parquet files: a column of picture bytes, and one of labels.

    The split is in a file's name (``train-00000-of-00001.parquet``) or its folder's. Whole
    numbers are named by Hugging Face's ``ClassLabel`` in the file, if it is there.
    """
    listing = Listing(sources.shown(files[0] if len(files) == 1 else root), sorted(files))
    tables, found = [], {file: _split_of(file, root) for file in listing.files}
    for file in listing.files:
        title = _below(file, root)
        if any(found.values()) and not found[file]:
            listing.skip("parquet files that name no split", title)
            continue
        with _opening(title) as reader:
            parquet = reader(file)
            groups = [parquet.metadata.row_group(g) for g in range(parquet.num_row_groups)]
            if any(group.total_byte_size > LARGEST_GROUP for group in groups):
                raise DataError(f"{title}: found a row group of over {LARGEST_GROUP:,} bytes")
            if parquet.metadata.num_rows + len(listing.faces) > MOST_FACES:
                raise DataError(f"{title}: found more than {MOST_FACES:,} rows")
            image, label, names = _columns(parquet.schema_arrow, title)
            labels = parquet.read(columns=[label])[label].to_pylist()
        kept = []
        for row, value in enumerate(labels):
            nameless = value is None or (names is not None and value == -1)
            if nameless:
                listing.skip("faces without a label", f"{title}, row {row}")
            elif names is not None and not 0 <= value < len(names):
                raise DataError(
                    f"{title}, row {row}: found label {value}, expected 0 … {len(names) - 1}"
                )
            else:
                written = str(value) if names is None else str(names[value])
                listing.faces.append((found[file] or "", written, f"{title}, row {row}"))
            kept.append(not nameless)
        tables.append((file, title, image, kept))

    def pictures() -> Iterator[bytes]:
        for file, title, image, kept in tables:
            with _opening(title) as reader:
                wanted = iter(kept)
                for batch in reader(file).iter_batches(256, columns=[image]):
                    for cell in batch.column(0).to_pylist():
                        content = cell.get("bytes") if isinstance(cell, dict) else cell
                        if next(wanted):
                            yield content or b""

    listing.pictures = pictures
    return listing


@contextmanager
def _opening(title: str) -> Iterator[Callable]:
    """Give pyarrow's reader, and turn what it raises into DataError."""
    import pyarrow.parquet

    try:
        yield pyarrow.parquet.ParquetFile
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(printable(str(error)).split())[:200]
        raise DataError(f"{title}: found no whole parquet file ({reason})") from error


def _split_of(file: Path, root: Path) -> str | None:
    first = re.split(r"[^a-z]", file.stem.lower())[0]
    inner = [splits.named(part) for part in reversed(file.relative_to(root).parts[:-1])]
    return next(filter(None, [splits.named(first), *inner]), None)


def _columns(schema, title: str) -> tuple[str, str, list[str] | None]:
    """Find the columns of pictures and labels, and the labels' names if the file has them."""
    from pyarrow import types

    def holds_pictures(kind) -> bool:
        if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        return types.is_binary(kind) or types.is_large_binary(kind)

    def holds_labels(kind) -> bool:
        kind = kind.value_type if types.is_dictionary(kind) else kind
        return types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)

    def choose(fits: Callable, usual: tuple[str, ...], what: str) -> str:
        fitting = [column.name for column in schema if fits(column.type)]
        known = [name for name in usual if name in fitting] or fitting
        if not known or (len(known) > 1 and known == fitting and known[0] not in usual):
            columns = printable(", ".join(schema.names))[:200]
            raise DataError(f"{title}: found the columns {columns}, expected one of {what}")
        return known[0]

    image = choose(holds_pictures, _IMAGE_COLUMNS, "picture bytes")
    label = choose(holds_labels, _LABEL_COLUMNS, "labels (whole numbers or names)")
    kind = schema.field(label).type
    if not types.is_integer(kind):
        return image, label, None
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError):
        return image, label, None
    return image, label, names if isinstance(names, list) and names else None
