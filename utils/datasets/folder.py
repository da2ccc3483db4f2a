"""Your own faces: class folders, RAF-DB's list, or Hugging Face's parquet."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils import faces
from utils.datasets import cache as caching
from utils.datasets import sources, splits
from utils.datasets.dataset import USAGES, FaceDataset
from utils.datasets.ondisk import OnDisk
from utils.datasets.sources import refuse
from utils.expressions import FERPLUS_EXPRESSIONS, RAFDB_EXPRESSIONS, meaning
from utils.runtime import DataError, printable

#: RAF-DB's list: the first spelling is its authors'.
RAFDB_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
#: Limits: faces in a data set (their names alone take 1 GB), bytes in a parquet row group.
MOST_FACES, LARGEST_GROUP = 2_000_000, 1 << 32

_DEEPEST = 32
_IMAGE_COLUMNS = ("image", "img", "picture", "pixels", "file", "bytes")
_LABEL_COLUMNS = ("label", "labels", "emotion", "expression", "class")
_EXPECTED = (
    "pictures in class folders, with or without train, validation and test above them, "
    "RAF-DB's list, or parquet"
)


@dataclass
class Listing:
    """What a source called `title` holds, before any picture is read.

    `files` are where the pictures are, `faces` their (split or "", class as written, name),
    `skipped` what is left out (reason → names). `pictures` yields each face's path or bytes, in
    order; by default the `files`.
    """

    title: str
    files: list[Path] = field(default_factory=list)
    faces: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    pictures: Callable[[], Iterable[Path | bytes]] | None = None

    def digest(self) -> str:
        """Tell one listing from another: labels may change, and so may what is left out."""
        text = repr((self.faces, dict(self.skipped)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def load(
    path: str | os.PathLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    size: int = 48,
    cache: bool = True,
    seed: int = 0,
) -> FaceDataset:
    """Load your own labeled faces.

    ::

        mine/happy/a.jpg                     class folders only: 70/10/20%, stratified
        mine/train/happy/a.jpg               or below train, validation (val, valid) and test
        mine/EmoLabel/list_patition_label.txt, mine/Image/aligned/train_00001_aligned.jpg
        mine/data/train-00000-of-00001.parquet

    If every class name means one of FER+'s eight expressions ("happy", "Happiness", "3_happy"),
    these are the classes, in that order; otherwise names stay as they are, sorted. A picture may
    have any size and any format of `sources.picture_formats`; it becomes gray and `size` × `size`.
    Missing splits are drawn by `splits.complete`. Pixels that exceed `ondisk.LARGEST_IN_MEMORY` are
    written to a file when they are first read.

    Parameters
    ----------
    path : path
        A folder, a parquet file, or RAF-DB's list.
    classes : sequence of str, optional
        Names of the numbered classes, from the lowest number up.
    size : int
        Side of the faces in pixels, 8 … 1,024.
    cache, seed
        As in `datasets.load`.

    Returns
    -------
    FaceDataset
        Images (n, size, size, 1) gray, with `files`. `note` says what was inferred, `skipped`
        what was left out.

    Raises
    ------
    DataError
        When there are no faces; when numbered classes have no names; for a list or a parquet file
        that is malformed; when the disk has no room for the faces.
    """
    if path is None:
        raise DataError("your own faces need a path (--path FOLDER): there is no default")
    if not 8 <= size <= 1024:
        raise DataError(f"size is {size}, expected 8 … 1,024 pixels")
    path = sources.named_or_default(path, "folder", "a folder of faces, or a parquet file", "")
    listing = _find(path, classes)
    key = f"folder {path.absolute()} size={size} seed={seed} classes={classes}"

    def build(file: BinaryIO | None = None) -> FaceDataset:
        return read(listing, classes, size=size, seed=seed, file=file)

    pixels = len(listing.faces) * size**2
    how = {"cache": cache, "pixels": pixels, "listed": listing.digest()}
    return caching.remember(key, listing.files, build, **how)


def _find(path: Path, classes: Sequence[str] | None) -> Listing:
    if path.is_file():
        if path.suffix.lower() == ".parquet":
            return _list_parquet(path.parent, [path])
        if path.name.lower() in RAFDB_LISTS:
            return _list_rafdb(path, path.parent.parent, classes)
        refuse(sources.shown(path), "a file", f"{_EXPECTED} (a csv: --data fer2013)")
    lists = sources.find_files(path, RAFDB_LISTS)
    if lists:
        return _list_rafdb(lists[0], path, classes)
    listing = list_pictures(path)
    tables = [
        parent / name
        for parent, _, names in sources.walk(path)
        for name in names
        if name.lower().endswith(".parquet") and not name.startswith(".")
    ]
    return _list_parquet(path, tables) if tables and not listing.faces else listing


def read(
    listing: Listing,
    classes: Sequence[str] | None = None,
    *,
    name: str = "folder",
    size: int = 48,
    seed: int = 0,
    strict: bool = False,
    file: BinaryIO | None = None,
) -> FaceDataset:
    """Read a listing's pictures, into a `file` if one is given.

    `strict` refuses pictures that are damaged or of another size.
    """
    count = len(listing.faces)
    if not count:
        left_out = "; ".join(f"{len(names):,} {why}" for why, names in listing.skipped.items())
        refuse(listing.title, f"no faces ({left_out or 'nothing'})", _EXPECTED)
    if count > MOST_FACES:
        refuse(listing.title, f"{count:,} faces", f"at most {MOST_FACES:,}")
    expressions, numbers = _name_classes(listing, classes)
    images = np.empty((0 if file else count, size, size, 1), dtype=np.uint8)
    kept, sizes = [], set()
    pictures = listing.pictures() if listing.pictures else listing.files
    for row, (picture, (_, _, title)) in enumerate(zip(pictures, listing.faces, strict=True)):
        try:
            gray = sources.read_gray(picture, title)
            if strict and gray.shape != (size, size):
                found = f"a picture of {gray.shape[1]}×{gray.shape[0]}"
                refuse(title, found, f"{size}×{size}")
        except DataError:
            if strict:
                raise
            listing.skipped["unreadable pictures"].append(title)
            continue
        face = faces.resize(gray[None], size)[0]
        if file:
            file.write(face)
        else:
            images[len(kept), ..., 0] = face
        sizes.add(gray.shape)
        kept.append(row)
    if not kept:
        refuse(listing.title, "no picture that can be read", _EXPECTED)
    if file:
        file.flush()
        os.fsync(file.fileno())
    split, written, files = (np.array(column) for column in zip(*listing.faces, strict=True))
    labels = np.array([numbers[label] for label in written[kept].tolist()], dtype=np.int64)
    split, drawn = splits.complete(split[kept], labels, seed=seed)
    few = ", ".join(expressions[:12]) + (", …" if len(expressions) > 12 else "")
    ends = [f"{height}×{width}" for height, width in (min(sizes), max(sizes))]
    resized = f"resized from {' … '.join(dict.fromkeys(ends))}" if sizes != {(size, size)} else ""
    skipped = [(f"{why}, first {names[0]}", len(names)) for why, names in listing.skipped.items()]
    return FaceDataset(
        images=OnDisk(file, (len(kept), size, size, 1)) if file else images[: len(kept)],
        labels=labels,
        split=split,
        rows=np.array(kept, dtype=np.int64),
        name=name,
        source=listing.title,
        expressions=expressions,
        files=files[kept],
        skipped=tuple(skipped),
        note="; ".join(filter(None, [f"{len(expressions)} classes: {few}", drawn, resized])),
    )


def _name_classes(
    listing: Listing, classes: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Put classes in order: their names, and the label of each class as written."""
    names = sorted({written for _, written, _ in listing.faces})
    named = {name: name for name in names}
    if all(re.fullmatch(r"-?[0-9]{1,9}", name) for name in names):
        numbers = sorted({int(name) for name in names})
        different = {meaning(one) or one for one in classes or ()}
        if not len(different) == len(classes or ()) == len(numbers):
            refuse(
                listing.title,
                f"classes that are numbers, {', '.join(map(str, numbers))}, and these names for "
                f"them: {', '.join(classes or ['none'])}",
                f"{len(numbers)} (--classes a,b,…), in the numbers' order, which is not guessed: "
                "3 is surprise in AffectNet and disgust in RAF-DB",
            )
        named = {name: classes[numbers.index(int(name))] for name in names}
    elif classes and {meaning(c) or c for c in classes} != {meaning(n) or n for n in names}:
        found = printable(f"the classes {', '.join(names)}")
        refuse(listing.title, found, f"those that were named: {', '.join(classes)}")
    meant = {name: meaning(label) for name, label in named.items()}
    order = [label for label in FERPLUS_EXPRESSIONS if label in meant.values()]
    if not all(meant.values()):
        meant = {name: " ".join(printable(label).split()) for name, label in named.items()}
        order = sorted(set(meant.values()))
    return tuple(order), {name: order.index(label) for name, label in meant.items()}


def list_pictures(root: Path) -> Listing:
    """List the pictures of class folders, with or without split folders, sorted by path.

    Inside split folders, a name that starts with ``Training_``, ``PublicTest_`` or ``PrivateTest_``
    takes precedence over its folder in deciding the split.
    """
    base, folders = _layout(root)
    endings = sources.picture_formats()[1]
    listing = Listing(sources.shown(root))
    for parent, inner, names in sources.walk(base, depth=_DEEPEST):
        within = parent.relative_to(base).parts
        split = folders.get(within[0], "") if folders and within else ""
        within = within[1:] if folders else within
        if len(within) == 1 and not names and not inner:
            listing.skipped["empty class folders"].append(_below(parent, root))
        for name in names:
            title = _below(parent / name, root)
            if name.startswith(".") or not name.lower().endswith(endings):
                listing.skipped["files that are not pictures"].append(title)
            elif folders and not split:
                listing.skipped["pictures outside the split folders"].append(title)
            elif not within:
                listing.skipped["pictures in no class folder"].append(title)
            else:
                usage = USAGES.get(name.partition("_")[0]) if folders and "_" in name else None
                listing.files.append(parent / name)
                listing.faces.append((usage or split, within[0], title))
    return listing


def _layout(root: Path) -> tuple[Path, dict[str, str]]:
    """Find the folder that holds the split folders (name → split), or the class folders."""
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


def _list_rafdb(path: Path, root: Path, classes: Sequence[str] | None) -> Listing:
    """List the faces that RAF-DB's list names: ``train_00001.jpg 5``, one per line."""
    names = tuple(classes or RAFDB_EXPRESSIONS)  # the compound expressions need `classes`
    numbers = {str(number): name for number, name in enumerate(names, start=1)}
    files = {n: p / n for p, _, inner in sources.walk(root, depth=_DEEPEST) for n in inner}
    listing = Listing(sources.shown(path))
    for row, line in enumerate(sources.read_text(path).rstrip().split("\n")):
        where = f"{listing.title}, row {row} (line {row + 1})"
        picture, _, number = line.strip().rpartition(" ")
        if not picture or number not in numbers:
            expected = f"a picture and a number 1 … {len(names)} (other classes: --classes)"
            refuse(where, repr(line[:60]), expected)
        split = splits.named(picture.partition("_")[0])
        file = files.get("_aligned.".join(picture.rsplit(".", 1))) or files.get(picture)
        if split is None or file is None:
            found = f"{'no file' if split else 'no split'} for {picture[:60]!r}"
            refuse(where, found, "train_… or test_…, as …_aligned.jpg or by that name")
        listing.files.append(file)
        listing.faces.append((split, numbers[number], printable(picture)))
    return listing


def _list_parquet(root: Path, files: list[Path]) -> Listing:
    """List the faces in parquet files: one column of picture bytes, and one of labels."""
    listing = Listing(sources.shown(files[0] if len(files) == 1 else root), sorted(files))
    tables, found = [], {file: _split_of(file, root) for file in listing.files}
    for file in listing.files:
        title = _below(file, root)
        if any(found.values()) and not found[file]:
            listing.skipped["parquet files that name no split"].append(title)
            continue
        with _opening(title) as reader:
            parquet = reader(file)
            groups = [parquet.metadata.row_group(g) for g in range(parquet.num_row_groups)]
            if any(group.total_byte_size > LARGEST_GROUP for group in groups):
                refuse(title, "a row group", f"at most {LARGEST_GROUP:,} bytes in each")
            if parquet.metadata.num_rows + len(listing.faces) > MOST_FACES:
                refuse(title, f"{parquet.metadata.num_rows:,} rows", f"at most {MOST_FACES:,}")
            image, label, names = _columns(parquet.schema_arrow, title)
            labels = parquet.read(columns=[label])[label].to_pylist()
        kept = [value is not None and (names is None or value != -1) for value in labels]
        for row, value in enumerate(labels):
            where = f"{title}, row {row}"
            if not kept[row]:
                listing.skipped["faces without a label"].append(where)
                continue
            if names is not None and not 0 <= value < len(names):
                refuse(where, f"label {value}", f"0 … {len(names) - 1}")
            written = str(value if names is None else names[value])
            listing.faces.append((found[file] or "", written, where))
        tables.append((file, title, image, kept))

    def pictures() -> Iterator[bytes]:
        for file, title, image, kept in tables:
            wanted = iter(kept)
            with _opening(title) as reader:
                for batch in reader(file).iter_batches(8, columns=[image]):
                    for cell in batch.column(0).to_pylist():
                        content = cell.get("bytes") if isinstance(cell, dict) else cell
                        if next(wanted):
                            yield content or b""

    listing.pictures = pictures
    return listing


@contextmanager
def _opening(title: str) -> Iterator[Callable]:
    """Yield pyarrow's reader, and turn its errors into DataError."""
    import pyarrow.parquet

    try:
        yield pyarrow.parquet.ParquetFile
    except DataError:
        raise
    except Exception as error:  # pyarrow's own, and OSError, UnicodeDecodeError, …
        reason = " ".join(printable(str(error)).split())[:200]
        raise DataError(f"{title}: found no complete parquet file ({reason})") from error


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
        known = [name for name in usual if name in fitting]
        if not known and len(fitting) != 1:
            refuse(
                title,
                f"the columns {printable(', '.join(schema.names))[:200]}",
                f"one column of {what}",
            )
        return (known or fitting)[0]

    image = choose(holds_pictures, _IMAGE_COLUMNS, "picture bytes")
    label = choose(holds_labels, _LABEL_COLUMNS, "labels (whole numbers or names)")
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError):
        names = None
    numbered = types.is_integer(schema.field(label).type) and isinstance(names, list)
    return image, label, names if numbered and names else None
