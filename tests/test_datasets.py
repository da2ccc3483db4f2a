"""The loaders, on small files that the tests write: what they read, and what they refuse."""

import argparse
import dataclasses
import functools
import gzip
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import types
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from utils import commands, datasets, faces, runtime
from utils.datasets import download, expw, fer2013, ferplus, sources, splits
from utils.datasets.__main__ import main as report
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS, meaning
from utils.runtime import DataError

USAGES = ("Training", "PublicTest", "PrivateTest")
HEADER = "emotion,pixels,Usage"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test reads or writes the repository's data, cache or results."""
    places = {"ROOT": "", "RAW": "data/raw", "CACHE": "data/cache", "RESULTS": "results"}
    for name, place in places.items():
        monkeypatch.setattr(runtime, name, tmp_path / place)


def make_faces(count=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def make_csv(images):
    rows = [
        f"{row % 7},{' '.join(map(str, image.ravel()))},{USAGES[row % 3]}"
        for row, image in enumerate(images)
    ]
    return "\n".join([HEADER, *rows]) + "\n"


def put(path, content):
    """Write text, bytes, or the pixels of a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        Image.fromarray(content).save(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def csv_file(tmp_path):
    return put(tmp_path / "fer2013.csv", make_csv(make_faces()))


def dataset_of(images, labels, split, **fields):
    arrays = images[..., None], np.array(labels), np.array(split), np.arange(len(images))
    return datasets.FaceDataset(*arrays, name="test", **fields)


def refused(message, *words, by=datasets.load, **options):
    """The DataError of a load, or of another call; its message may go to a terminal."""
    with pytest.raises(DataError, match=message) as error:
        by(*words, **options)
    text = str(error.value)
    assert text.isprintable()
    assert len(text) < 700
    return text


# ---- FaceDataset
def test_part_take_and_counts_agree():
    labels = [0, 1, 2, 3, 3, 6]
    split = ["training", "training", "validation", "test", "test", "test"]
    dataset = dataset_of(make_faces(6), labels, split)
    counts = dataset.counts()
    assert list(counts.index) == list(EXPRESSIONS)
    assert list(counts.columns) == ["training", "validation", "test", "all"]
    assert counts["all"].sum() == len(dataset) == 6
    assert counts.loc["happy", "test"] == 2
    test = dataset.part("test")
    assert test.rows.tolist() == [3, 4, 5]
    assert test.take([2, 0]).labels.tolist() == [6, 3]
    assert dataset.take([]).describe().startswith("test: 0 gray faces of 48×48")
    assert dataset.without_test().rows.tolist() == [0, 1, 2]
    refused("no training rows", by=test.without_test)
    with pytest.raises(ValueError, match="PrivateTest"):
        dataset.part("PrivateTest")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": np.zeros((2, 48, 48, 1), np.float32)}, "float32"),
        ({"labels": np.array([0, 7])}, "0 … 6"),
        ({"labels": np.array([0])}, "1 labels for 2 images"),
        ({"labels": np.array([0.0, 1.0])}, "int64"),
        ({"split": np.array(["training", "Training"])}, "'Training'"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(fields, message):
    good = dataset_of(make_faces(2), [0, 1], ["training", "test"])
    refused(message, good, by=dataclasses.replace, **fields)


def test_the_fingerprint_depends_on_pixels_labels_and_split_alone():
    images, changed = make_faces(4), make_faces(4)
    changed[3, 47, 47] ^= 1
    split = ["training", "training", "validation", "test"]
    base = dataset_of(images, [0, 1, 2, 3], split)
    same = dataset_of(images.copy(), [0, 1, 2, 3], split, source="elsewhere", note="other")
    assert base.fingerprint() == same.fingerprint()
    others = [
        base.with_images(changed[..., None]),
        dataset_of(images, [0, 1, 2, 4], split),
        dataset_of(images, [0, 1, 2, 3], ["training", "test", "validation", "test"]),
    ]
    assert len({dataset.fingerprint() for dataset in (base, *others)}) == 4


def test_copies_and_contradictions_are_found():
    images = make_faces(6)
    images[3] = images[0]  # a test copy of a training picture
    images[4] = images[2]  # a test copy of a validation picture
    images[5] = images[1]  # a repeat inside training, with another label
    split = ["training", "training", "validation", "test", "test", "training"]
    dataset = dataset_of(images, [0, 1, 2, 0, 2, 3], split)
    assert datasets.first_copies(dataset).tolist() == [0, 1, 2, 0, 2, 1]
    assert np.flatnonzero(datasets.copies_in_training(dataset)).tolist() == [3]
    backward = datasets.copies_in_training(dataset.take(range(5, -1, -1)))
    assert np.flatnonzero(backward).tolist() == [2]
    assert datasets.contradictions(dataset).tolist() == [1]
    audit = datasets.summary(dataset)
    assert (audit["repeats"], audit["contradictions"], audit["flat"]) == (3, 1, 0)
    assert audit["copies"] == {"validation": 0, "test": 1}
    json.dumps(audit)


# ---- FER2013's csv
def test_rows_come_back_and_the_wrong_one_is_named(tmp_path):
    images = make_faces(40)
    path = put(tmp_path / "long.csv", make_csv(images))
    np.testing.assert_array_equal(fer2013.read_csv(path).images[..., 0], images)
    change_line(path, 32, r",\d+", ",x1")
    refused(r"long\.csv, row 30 \(line 32\): found pixel 0", "fer2013", path)


CORRUPTIONS = st.tuples(
    st.integers(0, 10**6),  # where
    st.integers(0, 4) | st.integers(1, 4000) | st.just(10**6),  # how many bytes are removed
    st.binary(max_size=4),  # what replaces them
)


def corrupt(content: bytes, corruption) -> bytes:
    place, gone, what = corruption
    place %= len(content)
    return content[:place] + what + content[place + gone :]


def read_or_refused(read, path):
    """What a reader returns, or None if it refuses the file by name, with what it expected."""
    try:
        return read(path)
    except DataError as error:
        refusal = str(error)
    assert path.name in refusal
    assert "expected" in refusal
    assert refusal.isprintable()
    return None


@settings(max_examples=150, deadline=None)
@given(corruption=CORRUPTIONS)
def test_a_corrupt_csv_is_refused_or_read_as_it_stands(corruption, tmp_path_factory):
    content = corrupt(make_csv(make_faces(3)).encode(), corruption)
    path = put(tmp_path_factory.mktemp("corrupt") / "fer2013.csv", content)
    dataset = read_or_refused(fer2013.read_csv, path)
    if dataset is None:
        return
    # Excel puts a byte-order mark in front, and some writers quote the names.
    header, *rows = content.decode("utf-8-sig").strip().split("\n")
    names = [name.strip().strip('"').lower() for name in header.split(",")]
    table = pd.DataFrame([row.split(",") for row in rows], columns=names)
    pixels = [[int(pixel) for pixel in row.split()] for row in table["pixels"]]
    np.testing.assert_array_equal(dataset.images.reshape(len(rows), 48 * 48), pixels)
    assert dataset.labels.tolist() == [int(label) for label in table["emotion"]]
    assert dataset.split.tolist() == [datasets.USAGES[usage.strip()] for usage in table["usage"]]


def change_line(path, number, pattern, replacement):
    """Replace the first match of a pattern in one line of a file, counted from 1."""
    lines = path.read_text().split("\n")
    lines[number - 1] = re.sub(pattern, replacement, lines[number - 1], count=1)
    put(path, "\n".join(lines))


def test_other_spellings_of_the_csv_are_read(tmp_path):
    images = make_faces(3)
    plain = make_csv(images)
    rows = [line.split(",") for line in plain.splitlines()]
    spellings = {
        "icml": "\n".join(f"{emotion}, {usage}, {pixels}" for emotion, pixels, usage in rows),
        "quoted": "\n".join(",".join(f'"{field}"' for field in row) for row in rows),
        "windows": plain.replace("\n", "\r\n"),
        "marked": "\ufeff" + plain,
        "unfinished": plain.rstrip("\n"),
        "longer": plain + "\n\n",
        "spaced": plain.replace(" ", "  ", 5),
    }
    for name, text in spellings.items():
        read = fer2013.read_csv(put(tmp_path / f"{name}.csv", text))
        np.testing.assert_array_equal(read.images[..., 0], images, err_msg=name)


# ---- archives
def packed(members, kind="zip"):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in members.items():
            put(Path(folder) / "in" / name, content)
        archive = shutil.make_archive(f"{folder}/out", kind, f"{folder}/in")
        return Path(archive).read_bytes()


@functools.cache
def archives():
    table = make_csv(make_faces()).encode()
    members = {
        "a/readme.csv": b"no,such\n",
        "__MACOSX/._fer2013.csv": b"",
        "a/b/fer2013.csv": table,
        "ä/" + "long" * 40: b"an extended header",
    }
    return {
        "fer2013.zip": packed(members),
        "one.zip": packed({"deep/in/it/faces.csv": table}),
        "fer2013.csv.gz": gzip.compress(table),
        "fer2013.tar.gz": packed(members, "gztar"),
        "fer2013.tar": packed(members, "tar"),
    }


@pytest.mark.parametrize("name", archives())
@settings(max_examples=50, deadline=None)
@given(corruption=CORRUPTIONS)
def test_an_archive_s_csv_is_read_and_a_damaged_one_refused(name, corruption, tmp_path_factory):
    path = put(tmp_path_factory.mktemp("archive") / name, archives()[name])
    dataset = datasets.load("fer2013", path)
    np.testing.assert_array_equal(dataset.images[..., 0], make_faces())
    assert dataset.source == name
    if name != "fer2013.tar":  # has no checksum over its content
        put(path, corrupt(archives()[name], corruption))
        dataset = read_or_refused(fer2013.read_csv, path)
        assert dataset is None or (dataset.images[..., 0] == make_faces()).all()


def test_an_archive_without_the_csv_or_with_a_name_that_is_no_text_is_named(tmp_path):
    content = packed({"train.csv": b"x", "te\x1bst.csv": b"y", "train/angry/a.jpg": b""})
    path = put(tmp_path / "fer2013.zip", content)
    refused(r"te\\x1bst\.csv, train\.csv; expected fer2013\.csv", "fer2013", path)
    put(path, packed({"é.txt": b"", "fer2013.csv": b""}).replace("é".encode(), b"\xff\xfe"))
    refused(r"^fer2013\.zip: cannot be read", "fer2013", path)


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        (3 << 30, tarfile.XHDTYPE),
        (40 << 30, tarfile.GNUTYPE_LONGNAME),
        (20 << 30, tarfile.GNUTYPE_SPARSE),
        (20 << 30, tarfile.REGTYPE),
    ],
    ids=["an extended header", "a long name", "a sparse member", "a member before the csv"],
)
def test_a_tar_bomb_is_refused_by_the_bound_that_it_breaks(tmp_path, size, kind, monkeypatch):
    entry = tarfile.TarInfo("bomb")
    entry.size, entry.type = size, kind
    content = entry.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)
    path = put(tmp_path / "fer2013.tar.gz", gzip.compress(content))
    read, original = [], gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda s, n=-1: read.append(len(d := original(s, n))) or d
    )
    refused("more than 1,073,741,824 bytes unpacked", "fer2013", path)
    assert sum(read) < 1 << 20


@pytest.mark.parametrize("name", archives())
def test_what_unpacks_without_end_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST_TABLE", 50_000)  # the csv has some 100,000
    path = put(tmp_path / name, archives()[name])
    refused("more than 50,000 bytes unpacked", "fer2013", path)


# ---- FER2013's own folders
def write_folders(root, prefixes=True):
    """Ten training pictures per class, two per test split: file → pixels."""
    parts = (("train", "Training", 10), ("test", "PublicTest", 2), ("test", "PrivateTest", 2))
    paths = [
        root / folder / name / f"{'' if prefixes else 'x'}{prefix}_{number}.png"
        for name in EXPRESSIONS
        for folder, prefix, count in parts
        for number in range(count)
    ]
    written = dict(zip(paths, make_faces(7 * 14, seed=3), strict=True))
    for path, pixels in written.items():
        put(path, pixels)
    return written


def test_fer2013_s_folders_are_split_by_file_name(tmp_path):
    written = write_folders(tmp_path / "fer" / "archive")
    put(tmp_path / "fer" / "archive" / "train" / "angry" / ".DS_Store", "x")
    dataset = datasets.load("fer2013", tmp_path / "fer")
    assert dataset.name == "fer2013"
    assert dataset.counts().to_numpy().tolist() == [[10, 2, 2, 14]] * 7
    assert dataset.skipped == (("files that are not pictures, first train/angry/.DS_Store", 1),)
    paths = sorted(written)
    np.testing.assert_array_equal(dataset.images[..., 0], [written[path] for path in paths])
    assert [EXPRESSIONS[label] for label in dataset.labels] == [path.parent.name for path in paths]


def test_fer2013_s_folders_without_prefixes_hold_out_a_stratified_tenth(tmp_path):
    write_folders(tmp_path, prefixes=False)
    dataset = datasets.load("fer2013", tmp_path)
    assert dataset.counts().to_numpy().tolist() == [[9, 1, 4, 14]] * 7
    again = datasets.load("fer2013", tmp_path, cache=False)
    assert again.fingerprint() == dataset.fingerprint()
    assert datasets.load("fer2013", tmp_path, seed=1).fingerprint() != dataset.fingerprint()
    assert "a tenth of training taken for it, stratified, seed 0" in dataset.describe()


BAD_PICTURES = {
    "not a picture; expected a picture": b"this is no picture",
    "found 67,108,865 bytes": bytes((1 << 26) + 1),
    "found a picture of 48×47, expected 48×48": make_faces(1)[0][:47],
}


@pytest.mark.parametrize("message", BAD_PICTURES)
def test_a_bad_picture_stops_fer2013_and_is_counted_in_own_faces(tmp_path, message):
    path = put(min(write_folders(tmp_path)), BAD_PICTURES[message])
    assert path.name in refused(message, "fer2013", tmp_path)
    own = datasets.load("folder", tmp_path)
    bad = "48×47" not in message
    assert len(own) == 98 - bad
    skipped = {f"unreadable pictures, first {path.relative_to(tmp_path)}": 1} if bad else {}
    assert dict(own.skipped) == skipped


def test_folders_that_are_not_fer2013_are_refused(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "train" / "sad").rename(tmp_path / "train" / "bored")
    refused("found the classes angry, bored.*--data folder", "fer2013", tmp_path)
    (tmp_path / "train" / "bored").rename(tmp_path / "out")
    refused("found no pictures of sad for training", "fer2013", tmp_path)
    (tmp_path / "test").rename(tmp_path / "validation")
    refused("expected fer2013.csv, an archive .*--data folder", "fer2013", tmp_path)


# ---- own faces
def write_own(root, layout, side=30):
    """Write ``{"train/happy": 3}``: that many pictures in that folder."""
    for number, (folder, count) in enumerate(layout.items()):
        for place, image in enumerate(make_faces(count, seed=number)):
            put(root / folder / f"{place}.png", image[:side, :side])
    return root


def splits_of(dataset):
    return [int((dataset.split == split).sum()) for split in datasets.SPLITS]


@pytest.mark.parametrize(
    ("parts", "expected", "note"),
    [
        ({"": 10}, [14, 2, 4], "no split folders: 70/10/20% split drawn"),
        ({"train": 10}, [14, 2, 4], "no split folders"),
        ({"train": 10, "val": 3, "test": 2}, [20, 6, 4], ""),
        ({"Training": 10, "valid": 3, "testing": 2}, [20, 6, 4], ""),
        ({"train": 10, "Public Test": 3, "PrivateTest": 2}, [20, 6, 4], ""),
        ({"train": 10, "validation": 4}, [20, 4, 4], "no test split: half of validation"),
        ({"train": 10, "test": 4}, [18, 2, 8], "no validation split: a tenth of training"),
        ({"test": 4}, [0, 0, 8], ""),
    ],
)
def test_splits_are_the_folders_own_or_drawn_and_said(tmp_path, parts, expected, note):
    layout = {f"./{part}/{name}": n for part, n in parts.items() for name in ("happy", "sad")}
    dataset = datasets.load("folder", write_own(tmp_path / "around" / "mine", layout).parent)
    assert splits_of(dataset) == expected
    assert note in dataset.note
    assert (note != "") == ("stratified" in dataset.note)
    assert all(dataset.counts()["all"] == sum(expected) / 2)


def test_few_faces_still_fill_every_split(tmp_path):
    root = write_own(tmp_path / "few", dict.fromkeys(EXPRESSIONS, 1))
    assert min(splits_of(datasets.load("folder", root))) > 0


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("Happiness", "3_sad", "ANGER", "06 - Neutral"), ("angry", "happy", "sad", "neutral")),
        (("contempt", "fearful", "Disgust"), ("disgust", "fear", "contempt")),
        (("happy", "bored", "Anger"), ("Anger", "bored", "happy")),
        (("zebra", "apple\x1b[2J"), ("apple\\x1b[2J", "zebra")),
    ],
)
def test_names_are_matched_when_all_mean_an_expression(tmp_path, folders, expected):
    root = write_own(tmp_path / "mine", {f"train/{name}": 2 for name in folders})
    dataset = datasets.load("folder", root)
    assert dataset.expressions == expected
    assert dataset.describe().isprintable()
    for file, label in zip(dataset.files, dataset.labels, strict=True):
        written = file.split("/")[1]
        assert expected[label] in (meaning(written), written)


def test_numbered_folders_need_names_and_no_order_is_guessed(tmp_path):
    root = write_own(tmp_path / "mine", {"train/10": 2, "train/2": 3, "test/1": 1})
    refused(r"numbers, 1, 2, 10, .*--classes.*AffectNet.*RAF-DB", "folder", root)
    refused("names for them: a, b, expected 3", "folder", root, classes=["a", "b"])
    refused("expected 3", "folder", root, classes=["a", "b", "a"])
    refused("expected 3", "folder", root, classes=["happy", "Happiness", "sad"])
    dataset = datasets.load("folder", root, classes=["x", "b", "a"])
    assert dataset.expressions == ("a", "b", "x")
    assert dataset.counts()["all"].tolist() == [2, 3, 1]
    matched = datasets.load("folder", root, classes=["Sadness", "happy", "fear"])
    assert matched.expressions == ("fear", "happy", "sad")
    assert matched.counts()["all"].tolist() == [2, 3, 1]
    named = write_own(tmp_path / "named", {"happy": 3, "sad": 3})
    refused("expected those that were named: a, b", "folder", named, classes=["a", "b"])
    refused("FER2013: found classes a, b, expected none", "fer2013", named, classes=["a", "b"])


@pytest.mark.parametrize("kind", ["jpg", "PNG", "bmp", "gif", "webp", "tiff", "pgm", "jp2", "ico"])
def test_any_format_and_any_size_become_gray_faces_of_one_size(tmp_path, kind):
    root = write_own(tmp_path / "mine", {"happy": 3, "sad": 3})
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    put(root / "sad" / f"more.{kind}", smooth)
    dataset = datasets.load("folder", root, size=32)
    assert dataset.images.shape == (7, 32, 32, 1)
    (place,) = np.flatnonzero(np.char.endswith(dataset.files, f"more.{kind}"))
    error = dataset.images[place, ..., 0] - faces.resize(smooth[None], 32)[0].astype(float)
    assert np.abs(error).mean() < 20
    assert "resized from 30×30 … 64×96" in dataset.describe() or kind == "ico"


def test_what_is_left_out_is_counted_and_named(tmp_path):
    root = write_own(tmp_path / "mine", {"train/happy": 3, "train/sad": 3, "test/sad": 2})
    write_own(root, {"extra/sad": 2, "train": 1, "train/sad/inner": 1})
    (root / "train" / "notes.txt").write_text("x")
    (root / "train" / "bored").mkdir()
    (root / "train" / ".git").mkdir()
    (root / "train" / "again").symlink_to(root)  # no endless loop
    dataset = datasets.load("folder", root)
    assert dict(dataset.skipped) == {
        "pictures outside the split folders, first extra/sad/0.png": 2,
        "pictures in no class folder, first train/0.png": 1,
        "files that are not pictures, first train/notes.txt": 1,
        "empty class folders, first train/bored": 1,
    }
    assert len(dataset) == 9
    assert "first train/notes.txt: 1" in dataset.describe()
    again = datasets.load("folder", root)
    assert (again.note, again.skipped) == (dataset.note, dataset.skipped)
    assert again.files.tolist() == dataset.files.tolist()


def test_what_holds_no_faces_is_refused(tmp_path, csv_file):
    refused("own faces need a path", "folder")
    (tmp_path / "empty").mkdir()
    refused("empty: found no faces", "folder", tmp_path / "empty")
    refused("pictures in no class folder", "folder", write_own(tmp_path / "flat", {"": 2}))
    refused(r"fer2013\.csv: found a file.*--data fer2013", "folder", csv_file)
    refused("expected 8 … 1,024", "folder", tmp_path, size=0)
    os.mkfifo(tmp_path / "pipe")
    refused("neither a file nor a folder", "folder", tmp_path / "pipe")
    refused("name too long", "folder", "x" * 5000)
    put(tmp_path / "bad" / "sad" / "x.jpg", "x")
    refused("no picture that can be read", "folder", tmp_path / "bad")


def test_raf_db_is_read_by_its_own_list_and_numbers(tmp_path):
    lines = [f"train_{n:05}.jpg {n % 7 + 1}" for n in range(14)]
    lines += [f"test_{n:05}.jpg {n % 7 + 1}" for n in range(7)]
    for line in lines:
        name = line[:-2].replace(".jpg", "_aligned.jpg")
        put(tmp_path / "Image" / "aligned" / name, np.zeros((100, 100, 3), np.uint8))
    path = put(tmp_path / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n")
    dataset = datasets.load("folder", tmp_path)
    raf_db = ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]
    assert dataset.expressions == EXPRESSIONS
    assert [EXPRESSIONS[label] for label in dataset.labels] == raf_db * 3
    assert dataset.images.shape == (21, 48, 48, 1)
    assert splits_of(dataset)[2] == 7
    assert datasets.load("folder", path).fingerprint() == dataset.fingerprint()
    put(path, "\n".join(["train_00000.jpg 7", *lines[1:]]) + "\n")  # a label is corrected
    assert EXPRESSIONS[datasets.load("folder", tmp_path).labels[0]] == "neutral"
    for line, message in [
        ("train_00000.jpg 8", r"row 0 \(line 1\): found 'train_00000.jpg 8', expected.*1 … 7"),
        ("train_00000.jpg", "found 'train_00000.jpg'"),
        ("train_77777.jpg 1", "found no file for 'train_77777.jpg'"),
        ("other_00000.jpg 1", "found no split|found no file"),
        ("\x1b[2J 1", r"'\\x1b\[2J'"),
    ]:
        put(path, "\n".join([line, *lines[1:]]))
        refused(message, "folder", tmp_path)
    put(path, "\n".join([*lines[1:], "train_00000.jpg 8"]))
    more = datasets.load("folder", path, classes=list("abcdefgh"))
    assert more.expressions == tuple("abcdefgh")


def write_parquet(path, labels, names=None, column="image", struct=True):
    pictures = [cv2.imencode(".png", image)[1].tobytes() for image in make_faces(len(labels))]
    cells = [{"bytes": p, "path": "x.png"} for p in pictures] if struct else pictures
    table = pa.table({"id": [0.5] * len(labels), column: cells, "label": labels})
    if names:
        features = {column: {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        told = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": told})
    pq.write_table(table, buffer := io.BytesIO())
    return put(path, buffer.getvalue())


def test_parquet_is_read_with_its_own_names(tmp_path):
    names, data = ["Sadness", "Happiness"], tmp_path / "hf" / "data"
    write_parquet(data / "train-00000-of-00001.parquet", [0, 1, 1, -1], names)
    write_parquet(data / "validation-00000-of-00001.parquet", [1], names)
    write_parquet(data / "test" / "0000.parquet", [0, 0], names)
    dataset = datasets.load("folder", tmp_path / "hf")
    assert dataset.expressions == ("happy", "sad")
    assert splits_of(dataset) == [3, 1, 2]
    training = dataset.part("training")
    assert [dataset.expressions[label] for label in training.labels] == ["sad", "happy", "happy"]
    np.testing.assert_array_equal(training.images[..., 0], make_faces(4)[:3])
    (skipped,) = dataset.skipped
    assert skipped[0].startswith("faces without a label, first data/train-00000-of-00001.parquet")


def test_parquet_without_names_needs_them_and_a_broken_one_is_refused(tmp_path):
    path = write_parquet(tmp_path / "faces.parquet", [3, 1, 3], struct=False, column="img")
    refused("numbers, 1, 3, .*--classes", "folder", path)
    assert datasets.load("folder", path, classes=["b", "a"]).labels.tolist() == [0, 1, 0]
    few = write_parquet(tmp_path / "few.parquet", [2], ["a", "b"])
    refused("row 0: found label 2, expected 0 … 1", "folder", few)
    refused("found the columns", "folder", write_parquet(tmp_path / "f.parquet", [0.5, 1.5]))
    words = write_parquet(tmp_path / "words.parquet", ["sad", "happy"])
    assert datasets.load("folder", words).expressions == ("happy", "sad")
    content = words.read_bytes()
    for damaged in (b"", b"PAR1\x1b[2J", content[:-100], content[: len(content) // 2] + b"PAR1"):
        refused(r"words\.parquet: found no complete parquet file", "folder", put(words, damaged))


# ---- the cache
def test_the_cache_gives_the_same_arrays_without_reading_again(csv_file, monkeypatch):
    calls, original = [], fer2013.read_csv
    monkeypatch.setattr(fer2013, "read_csv", lambda path: calls.append(path) or original(path))
    first, second = (datasets.load("fer2013", csv_file) for _ in range(2))
    assert len(calls) == 1
    for field in ("images", "labels", "split", "rows"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert getattr(first, field).dtype == getattr(second, field).dtype
    assert first.describe() == second.describe()
    times = csv_file.stat()
    # The same size and modification time: only the content differs.
    put(csv_file, csv_file.read_text().replace("\n0,", "\n6,", 1))
    os.utime(csv_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert datasets.load("fer2013", csv_file).labels[0] == 6
    assert len(calls) == 2
    csv_file.unlink()
    refused("no such file", "fer2013", csv_file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", None])
def test_a_damaged_cache_is_read_as_none(csv_file, content):
    dataset = datasets.load("fer2013", csv_file)
    (cached,) = runtime.CACHE.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert datasets.load("fer2013", csv_file).fingerprint() == dataset.fingerprint()
    assert cached.read_bytes() == whole


def test_no_cache_is_written_where_none_is_wanted_or_none_can_be(csv_file, monkeypatch):
    datasets.load("fer2013", csv_file, cache=False)
    assert not runtime.CACHE.exists()
    monkeypatch.setattr(runtime, "CACHE", csv_file / "cache")
    assert len(datasets.load("fer2013", csv_file)) == 12


# ---- the table of loaders
def test_absent_data_are_never_replaced_by_other_data(tmp_path):
    refused("found data set 'FER2013', expected one of", "FER2013")
    hints = {"fer2013": "make data", "ferplus": "make data", "expw": "mmlab"}
    for name in set(datasets.LOADERS) - {"sample"}:
        refused(hints.get(name, "need a path"), name)
        refused("no such file or folder", name, "nowhere")
    put(tmp_path / "data" / "raw", "a file")
    for name, hint in hints.items():
        refused(hint, name)


def test_data_raw_is_the_default(csv_file):
    put(runtime.RAW / "fer2013" / "deep" / "fer2013.csv", make_csv(make_faces(3)))
    assert len(datasets.load("fer2013")) == 3
    csv_file.rename(runtime.RAW / "fer2013" / "fer2013.csv")  # nearer
    assert "from data/raw/fer2013/fer2013.csv: 12" in datasets.load("fer2013").describe()


# ---- FER+
def votes_csv():
    rows = [
        f"{USAGES[number % 3]},fer{number:07d}.png,{','.join(map(str, votes))}"
        for number, (votes, _) in enumerate(VOTES)
    ]
    return "\n".join([",".join(("Usage", "Image name", *FERPLUS_COLUMNS)), *rows]) + "\n"


#            neutral happy surprise sad anger disgust fear contempt unknown NF
VOTES = [
    ([9, 1, 0, 0, 0, 0, 0, 0, 0, 0], "neutral"),
    ([0, 10, 0, 0, 0, 0, 0, 0, 0, 0], "happy"),
    ([1, 1, 3, 1, 1, 1, 1, 1, 0, 0], "surprise"),  # lone votes do not count
    ([0, 0, 0, 5, 5, 0, 0, 0, 0, 0], None),  # half is not more than half
    ([0, 0, 0, 6, 4, 0, 0, 0, 0, 0], "sad"),
    ([0, 0, 0, 0, 10, 0, 0, 0, 0, 0], "angry"),
    ([0, 0, 0, 0, 0, 10, 0, 0, 0, 0], "disgust"),
    ([0, 0, 0, 0, 0, 0, 10, 0, 0, 0], "fear"),
    ([0, 0, 0, 0, 0, 0, 0, 10, 0, 0], "contempt"),
    ([0, 0, 0, 0, 0, 0, 0, 0, 10, 0], None),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),  # nothing is left
]


@pytest.fixture
def ferplus_folder(tmp_path, csv_file):
    return put(tmp_path / "fer2013new.csv", votes_csv()).parent


def test_ferplus_labels_are_the_majority_of_the_votes(ferplus_folder):
    dataset = datasets.load("ferplus", ferplus_folder)
    expected = [(row, name) for row, (_, name) in enumerate(VOTES) if name]
    assert dataset.expressions == FERPLUS_EXPRESSIONS
    assert dataset.rows.tolist() == [row for row, _ in expected]
    assert [dataset.expressions[label] for label in dataset.labels] == [n for _, n in expected]
    assert dict(dataset.skipped) == {"no majority": 2, "unknown": 1, "no face": 1}
    np.testing.assert_array_equal(dataset.images[..., 0], make_faces()[dataset.rows])
    again = datasets.load("ferplus", ferplus_folder / "fer2013new.csv")
    assert again.fingerprint() == dataset.fingerprint()
    fewer = dataset.without(["contempt"])
    assert (fewer.expressions, len(fewer)) == (EXPRESSIONS, 7)
    assert dict(fewer.skipped) == {"no majority": 2, "unknown": 1, "no face": 1, "contempt": 1}
    middle = dataset.without(["fear"])
    named = [middle.expressions[label] for label in middle.labels]
    assert named == [name for _, name in expected if name != "fear"]
    refused("no boredom", ["boredom"], by=dataset.without)
    refused("two expressions", EXPRESSIONS, by=dataset.without)


@settings(max_examples=200, deadline=None)
@given(npst.arrays(np.int64, (5, 10), elements=st.integers(0, 10)))
def test_the_majority_rule_and_the_shares_of_votes(votes):
    labels, reasons = ferplus.majority(votes)
    beginnings = [name[:3] for name in FERPLUS_EXPRESSIONS]
    classes = np.array([beginnings.index(name[:3]) for name in FERPLUS_COLUMNS[:8]] + [-1, -1])
    counted = np.where(votes == 1, 0, votes)
    winner = counted.argmax(axis=1)  # as its authors wrote it
    kept = (counted.max(axis=1) > 0.5 * counted.sum(axis=1)) & (winner < 8)
    np.testing.assert_array_equal(reasons == "", kept)
    np.testing.assert_array_equal(labels, np.where(kept, classes[winner], -1))
    with np.errstate(invalid="ignore"):
        shares = counted[:, :8] / counted[:, :8].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(datasets.vote_shares(votes)[:, classes[:8]], shares)


def test_votes_lie_beside_fer2013_s_own_labels(ferplus_folder):
    whole = datasets.load("fer2013", ferplus_folder)
    beside = datasets.beside_fer2013(ferplus_folder)
    assert (beside.name, len(beside)) == ("fer2013", len(whole))
    np.testing.assert_array_equal(beside.labels, whole.labels)
    assert beside.votes.tolist() == [votes for votes, _ in VOTES]
    asked = argparse.Namespace(data="fer2013", path=str(ferplus_folder), classes=None)
    assert commands.load_data(asked).votes is None
    np.testing.assert_array_equal(commands.load_data(asked, votes=True).votes, beside.votes)
    table = datasets.label_agreement(whole.labels, beside.votes, whole.split)
    assert table.to_numpy().sum() == len(whole) == 12
    for row, (_, name) in enumerate(VOTES):
        place = (whole.split[row], EXPRESSIONS[whole.labels[row]])
        columns = [name] if name else ["no majority", "unknown", "no face"]
        assert table.loc[place, columns].sum() >= 1


def test_votes_need_the_rows_of_a_csv(ferplus_folder):
    (ferplus_folder / "fer2013.csv").unlink()
    refused(r"expected it next to fer2013new\.csv", "ferplus", ferplus_folder)
    (ferplus_folder / "fer2013new.csv").unlink()
    refused(r"found no fer2013new\.csv", "ferplus", ferplus_folder)


@settings(max_examples=100, deadline=None)
@given(corruption=CORRUPTIONS)
def test_corrupt_votes_and_lists_are_refused_or_read_as_they_stand(corruption, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrupt")
    path = put(folder / "fer2013new.csv", corrupt(votes_csv().encode(), corruption))
    if found := read_or_refused(ferplus.read_votes, path):
        assert found[1].shape[1] == 10
        assert 0 <= found[1].min() <= found[1].max() <= 10
    content = corrupt(("\n".join(LINES) + "\n").encode(), corruption)
    table = read_or_refused(expw.read_list, put(folder / "label.lst", content))
    if table is not None:
        lines = content.decode().replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
        assert [row.split()[0] for row in lines] == table["photo"].tolist()
        numbers = table[["face", "top", "left", "right", "bottom"]].to_numpy().tolist()
        assert [[int(n) for n in row.split()[1:6]] for row in lines] == numbers
        assert table["label"].between(0, 6).all()


# ---- ExpW

#        photo face top left right bottom confidence label
LINES = ["a.jpg 0 10 20 60 50 43.5 3", "a.jpg 1 -5 60 110 30 9.1 0", "b.jpg 0 0 0 80 80 77 6"]


def write_expw(root, lines=LINES, where="image"):
    (root / where).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / where / name, format="PNG")
    put(root / "label.lst", "\n".join(lines) + "\n")
    return root


def test_expw_faces_are_the_boxes_cut_from_their_photos(tmp_path):
    root = write_expw(tmp_path)
    dataset = datasets.load("expw", root)
    assert dataset.images.shape == (3, 64, 64, 1)
    assert dataset.labels.tolist() == [3, 0, 6]
    assert dataset.photos.tolist() == ["a.jpg", "a.jpg", "b.jpg"]
    assert dataset.skipped == (("boxes clipped to their photo", 1),)
    photo = faces.read_photo(root / "image" / "a.jpg")
    box = faces.Box(left=20, top=10, right=60, bottom=50)
    face = faces.to_gray(faces.crop(photo, box, size=64))
    np.testing.assert_array_equal(dataset.images[0, ..., 0], face)
    again = datasets.load("expw", root)
    assert again.fingerprint() == dataset.fingerprint()
    assert again.photos.tolist() == dataset.photos.tolist()
    Image.new("RGB", (100, 80)).save(root / "image" / "a.jpg", format="PNG")
    assert datasets.load("expw", root).images[0].max() == 0  # the cache notices


def test_the_release_s_own_folders_are_read(tmp_path):
    write_expw(tmp_path, where="data/image/origin")
    (tmp_path / "data" / "label").mkdir()
    (tmp_path / "label.lst").rename(tmp_path / "data" / "label" / "label.lst")
    assert len(datasets.load("expw", tmp_path)) == 3
    assert len(datasets.load("expw", tmp_path / "data" / "label" / "label.lst")) == 3


def test_bad_photos_and_lists_are_refused(tmp_path):
    root = write_expw(tmp_path, [LINES[0], "a.jpg 0 10 200 260 50 43.5 3"])
    refused(r"^label\.lst, row 1 \(line 2\), a\.jpg: .* outside", "expw", root)
    put(root / "label.lst", "\n".join(LINES))
    put(root / "image" / "b.jpg", "no picture")
    refused(r"b\.jpg", "expw", root)
    put(root / "more" / "a.jpg", "")
    refused(r"found 2 files named 'a\.jpg'", "expw", root)
    (root / "label.lst").unlink()
    refused(r"found no label\.lst", "expw", root)


# ---- bad tables of all three
@pytest.fixture
def tables(ferplus_folder):
    return write_expw(ferplus_folder)


PLACES = {
    "fer2013": ("fer2013.csv", 3, 5),
    "ferplus": ("fer2013new.csv", 3, 5),
    "expw": ("label.lst", 1, 2),
}


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "found"),
    [
        ("fer2013", r" \d+,", ",", "2,303 pixels, expected 2,304"),
        ("fer2013", ",T", " 7,T", "2,305 pixels, expected 2,304"),
        ("fer2013", r",\d+", ",256", "pixel 0 = '256', expected a whole number 0 … 255"),
        ("fer2013", r",\d+", ",-1", "pixel 0 = '-1', expected a whole number 0 … 255"),
        ("fer2013", r",\d+", ",٣", "pixel 0 = '٣', expected a whole number 0 … 255"),
        ("fer2013", ",", ',1 "2\r', """pixel 1 = '"2', expected a whole number 0 … 255"""),
        ("fer2013", "^3", "7", "emotion '7', expected a whole number 0 … 6"),
        ("fer2013", "^3", "\x1b[2J", r"emotion '\x1b[2J', expected a whole number 0 … 6"),
        ("fer2013", "Training", "Test", "Usage 'Test', expected Training, PublicTest, PrivateTest"),
        ("fer2013", "Training", "Training,1", "4 fields, expected 3"),
        ("ferplus", "png,0", "png", "11 fields, expected 12"),
        ("ferplus", "png,0", "png,11", "'11' votes for neutral, expected a whole number 0 … 10"),
        ("ferplus", "png,0", "png,-1", "'-1' votes for neutral, expected a whole number 0 … 10"),
        ("ferplus", "Training", "Te\x1bst", r"Usage 'Te\x1bst', expected Training, PublicTest"),
        ("ferplus", "Training", "PublicTest", "a Usage for validation, expected training, as in"),
        ("ferplus", "^", "\n", "1 fields, expected 12"),
        ("expw", " 9.1", "", "7 fields, expected 8"),
        ("expw", " 30 ", " x ", "bottom 'x', expected a whole number"),
        ("expw", "9.1", "nan", "confidence 'nan', expected a number"),
        ("expw", "0$", "7", "label '7', expected a whole number 0 … 6"),
        ("expw", "110", "60", "a box without area"),
        ("expw", "^a", "c\x1b", r"0 files named 'c\x1b.jpg'"),
    ],
)
def test_a_bad_row_is_named_with_what_was_found_and_expected(
    tables, name, pattern, replacement, found
):
    file, row, line = PLACES[name]
    change_line(tables / file, line, pattern, replacement)
    refused("^" + re.escape(f"{file}, row {row} (line {line}): found {found}"), name, tables)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fer2013", "", "empty file"),
        ("fer2013", HEADER + "\n", "no rows"),
        ("fer2013", "emotion,pixels\n0,1 2\n", "train.csv"),
        ("fer2013", "emotion,pixels,Usage,Usage\n0,1,Training,Training\n", "once each"),
        ("fer2013", "0,1 2 3,Training\n", "line 1"),
        (
            "fer2013",
            make_csv(make_faces(3)).replace("\n1,", "\n\n1,"),
            "line 3: found a blank line",
        ),
        ("fer2013", "\x1b]0;title\x07" * 50, "bytes that are not text"),
        ("fer2013", "PAR1\x15\x04\x15", "a parquet file.*--data folder"),
        ("fer2013", "x" * 100_000, "65,536 bytes"),
        ("ferplus", votes_csv().replace("contempt", "scorn"), "found 0 columns 'contempt'"),
        ("ferplus", votes_csv().rstrip().rsplit("\n", 1)[0], "found 11 rows, expected 12"),
        ("expw", "", "found 0 bytes"),
        ("expw", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tables, name, content, message):
    file = PLACES[name][0]
    put(tables / file, content)
    refused(rf"^{file}.*{message}", name, tables)


# ---- splits, sample
@settings(max_examples=50, deadline=None)
@given(
    groups=npst.arrays(np.int64, st.integers(1, 300), elements=st.integers(0, 120)),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_photo_s_faces_come_into_one_split(groups, seed):
    labels = np.random.default_rng(seed).integers(0, 7, len(groups))
    split = splits.by_group(labels, groups, seed=seed)
    assert set(split.tolist()) <= set(datasets.SPLITS)
    for group in np.unique(groups):
        assert len(set(split[groups == group].tolist())) == 1
    np.testing.assert_array_equal(split, splits.by_group(labels, groups, seed=seed))


def test_the_sample_is_the_default_and_says_so():
    dataset = datasets.load(count=150)
    assert (dataset.name, dataset.images.shape) == ("sample", (150, 48, 48, 1))
    assert datasets.load(count=150, cache=False).fingerprint() == dataset.fingerprint()
    assert datasets.load(count=150, seed=1).fingerprint() != dataset.fingerprint()


# ---- download and command line
def official(monkeypatch, dataset):
    """Counts that the tests' twelve rows, or their folders, have."""
    counts = {split: tuple(dataset.counts()[split].tolist()) for split in datasets.SPLITS}
    monkeypatch.setattr(download, "OFFICIAL_COUNTS", counts)


def stand_in(monkeypatch, folder):
    """Fake a kagglehub that delivers `folder`; return the handles that it was asked for."""
    asked = []

    def dataset_download(handle):
        asked.append(handle)
        if folder is None:
            raise ConnectionError("no network")
        return str(folder)

    module = types.SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return asked


def test_the_csv_comes_from_kaggle_once(csv_file, monkeypatch, capsys):
    official(monkeypatch, datasets.load("fer2013", csv_file))
    asked = stand_in(monkeypatch, csv_file.parent)
    download.main([])
    assert asked == ["deadskull7/fer2013"]
    assert (runtime.RAW / "fer2013" / "fer2013.csv").read_bytes() == csv_file.read_bytes()
    assert "from data/raw/fer2013/fer2013.csv: 12 gray faces" in capsys.readouterr().out
    download.main([])  # already there: not fetched again
    assert len(asked) == 1
    assert [path.name for path in runtime.RAW.iterdir()] == ["fer2013"]


def test_the_folders_come_from_kaggle(tmp_path, monkeypatch):
    write_folders(tmp_path / "kaggle")
    official(monkeypatch, datasets.load("fer2013", tmp_path / "kaggle"))
    asked = stand_in(monkeypatch, tmp_path / "kaggle")
    download.main(["--source", "kaggle-folders"])
    download.main(["--source", "kaggle-folders", "--force"])
    assert asked == ["msambare/fer2013"] * 2
    assert len(list((runtime.RAW / "fer2013").glob("*/*/*.png"))) == 98
    for name in ("fer2013.csv", "fer2013.zip"):
        first = put(runtime.RAW / "fer2013" / name, "what the loader reads first")
        refused(f"{name} is there too", ["--source", "kaggle-folders", "--force"], by=download.main)
        first.unlink()


@pytest.mark.parametrize("name", archives())
def test_a_named_copy_is_taken(tmp_path, name, monkeypatch):
    path = put(tmp_path / name, archives()[name])
    official(monkeypatch, datasets.load("fer2013", path))
    asked = stand_in(monkeypatch, None)
    download.main(["--from", str(path)])
    assert asked == []
    assert len(datasets.load("fer2013")) == 12


def test_a_failed_download_says_what_to_do_and_leaves_nothing(csv_file, monkeypatch):
    stand_in(monkeypatch, None)
    refused(r"no network.*--from", [], by=download.main)
    refused("no such file", ["--from", "nowhere"], by=download.main)
    message = r"found training \{'angry': 1, .*, expected \{'angry': 3995, "
    refused(message, ["--from", str(csv_file)], by=download.main)
    assert not (runtime.RAW / "fer2013").exists()


def test_votes_are_fetched_or_copied(ferplus_folder, monkeypatch):
    monkeypatch.setattr(download, "FERPLUS_ROWS", 12)
    votes = ferplus_folder / "fer2013new.csv"
    official(monkeypatch, datasets.load("fer2013", ferplus_folder))
    download.main(["--from", str(ferplus_folder / "fer2013.csv")])
    monkeypatch.setattr(download, "FERPLUS_ADDRESS", votes.as_uri())
    download.main(["--source", "ferplus"])
    assert len(datasets.load("ferplus")) == 8
    download.main(["--source", "ferplus", "--from", str(ferplus_folder)])
    monkeypatch.setattr(download, "FERPLUS_ADDRESS", (ferplus_folder / "none.csv").as_uri())
    refused("could not be downloaded", ["--source", "ferplus", "--force"], by=download.main)


def test_kagglehub_still_has_the_function_that_is_called():
    kagglehub = pytest.importorskip("kagglehub")
    assert callable(kagglehub.dataset_download)


def test_the_command_line_records_numbers_only(csv_file, capsys, tmp_path):
    report(["fer2013", str(csv_file), "--record"])
    record = json.loads(Path(runtime.RESULTS / "data" / "fer2013.json").read_text())
    assert record["rows"] == 12
    assert record["fingerprint"] == datasets.load("fer2013", csv_file).fingerprint()
    assert "wrote results/data/fer2013.json" in capsys.readouterr().out
    write_own(tmp_path / "mine", {"0": 2, "1": 2})
    report(["folder", str(tmp_path / "mine"), "--classes", "yes,no"])
    assert "2 classes: no, yes" in capsys.readouterr().out
