"""The loaders, on small files that the tests write: what they read, and what they refuse."""

import functools
import gzip
import io
import json
import os
import re
import struct
import sys
import tarfile
import types
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from utils import datasets, download, faces, runtime
from utils.datasets import expw, fer2013, ferplus, splits
from utils.datasets.__main__ import main as report
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS
from utils.runtime import DataError

USAGES = ("Training", "PublicTest", "PrivateTest")
HEADER = "emotion,pixels,Usage"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test reads or writes the repository's data, cache or results."""
    monkeypatch.setattr(runtime, "ROOT", tmp_path)
    monkeypatch.setattr(runtime, "RAW", tmp_path / "data" / "raw")
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "data" / "cache")
    monkeypatch.setattr(runtime, "RESULTS", tmp_path / "results")


def make_faces(count=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 48, 48), dtype=np.uint8)


def make_csv(images, labels=None, usages=None, header=HEADER):
    labels = [i % 7 for i in range(len(images))] if labels is None else labels
    usages = [USAGES[i % 3] for i in range(len(images))] if usages is None else usages
    rows = [
        f"{label},{' '.join(map(str, image.ravel().tolist()))},{usage}"
        for image, label, usage in zip(images, labels, usages, strict=True)
    ]
    return "\n".join([header, *rows]) + "\n"


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text(make_csv(make_faces()))
    return path


def dataset_of(images, labels=None, split=None, **fields):
    count = len(images)
    return datasets.FaceDataset(
        images=images,
        labels=np.zeros(count, np.int64) if labels is None else np.asarray(labels, np.int64),
        split=np.full(count, "training") if split is None else np.asarray(split),
        rows=np.arange(count),
        name="test",
        **fields,
    )


# ------------------------------------------------------------------------------- FaceDataset


def test_part_take_and_counts_agree():
    labels = [0, 1, 2, 3, 3, 6]
    split = ["training", "training", "validation", "test", "test", "test"]
    dataset = dataset_of(make_faces(6)[..., None], labels, split)
    counts = dataset.counts()
    assert list(counts.index) == list(EXPRESSIONS)
    assert list(counts.columns) == ["training", "validation", "test", "all"]
    assert counts["all"].sum() == len(dataset) == 6
    assert counts.loc["happy", "test"] == 2
    test = dataset.part("test")
    assert test.rows.tolist() == [3, 4, 5]
    assert test.take([2, 0]).labels.tolist() == [6, 3]
    assert len(dataset.take([])) == 0
    assert dataset.take(np.zeros(6, bool)).describe().startswith("test: 0 gray faces of 48×48")


def test_part_refuses_an_unknown_split():
    with pytest.raises(ValueError, match="PrivateTest"):
        dataset_of(make_faces(2)[..., None]).part("PrivateTest")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": np.zeros((2, 48, 48, 1), np.float32)}, "float32"),
        ({"images": np.zeros((2, 48, 48), np.uint8)}, "expected"),
        ({"labels": np.array([0, 7])}, "0 … 6"),
        ({"labels": np.array([0, -1])}, "0 … 6"),
        ({"labels": np.array([0])}, "1 labels for 2 images"),
        ({"labels": np.array([0.0, 1.0])}, "int64"),
        ({"split": np.array(["training", "Training"])}, "'Training'"),
        ({"photos": np.array(["a.jpg"])}, "1 photos for 2 images"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(fields, message):
    good = {
        "images": np.zeros((2, 48, 48, 1), np.uint8),
        "labels": np.array([0, 1]),
        "split": np.array(["training", "test"]),
        "rows": np.arange(2),
        "name": "x",
    }
    with pytest.raises(DataError, match=message):
        datasets.FaceDataset(**{**good, **fields})


def test_the_fingerprint_depends_on_pixels_labels_and_split_alone():
    images = make_faces(4)[..., None]
    split = ["training", "training", "validation", "test"]
    base = dataset_of(images, [0, 1, 2, 3], split)
    same = dataset_of(images.copy(), [0, 1, 2, 3], split, source="elsewhere")
    assert base.fingerprint() == same.fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", base.fingerprint())
    changed = images.copy()
    changed[3, 47, 47] ^= 1
    others = [
        base.with_images(changed),
        dataset_of(images, [0, 1, 2, 4], split),
        dataset_of(images, [0, 1, 2, 3], ["training", "test", "validation", "test"]),
    ]
    assert len({base.fingerprint(), *(d.fingerprint() for d in others)}) == 4


def test_copies_and_contradictions_are_found():
    images = make_faces(6)[..., None]
    images[3] = images[0]  # a test copy of a training picture
    images[4] = images[2]  # a test copy of a validation picture
    images[5] = images[1]  # a repeat inside training, with another label
    split = ["training", "training", "validation", "test", "test", "training"]
    dataset = dataset_of(images, [0, 1, 2, 0, 2, 3], split)
    assert datasets.first_copies(dataset).tolist() == [0, 1, 2, 0, 2, 1]
    assert np.flatnonzero(datasets.copies_in_training(dataset)).tolist() == [3]
    assert datasets.contradictions(dataset).tolist() == [1]
    audit = datasets.summary(dataset)
    assert (audit["repeats"], audit["contradictions"], audit["flat"]) == (3, 1, 0)
    assert audit["copies"] == {"validation": 0, "test": 1}
    json.dumps(audit)


def test_a_copy_is_found_when_the_test_row_stands_first():
    images = make_faces(2)[..., None]
    images[1] = images[0]
    dataset = dataset_of(images, split=["test", "training"])
    assert datasets.copies_in_training(dataset).tolist() == [True, False]


# ------------------------------------------------------------------------------- FER2013's csv


def test_a_csv_gives_its_pixels_labels_and_splits(csv_file):
    dataset = datasets.load("fer2013", csv_file)
    np.testing.assert_array_equal(dataset.images[..., 0], make_faces())
    assert dataset.images.shape == (12, 48, 48, 1)
    assert dataset.labels.tolist() == [i % 7 for i in range(12)]
    assert dataset.split.tolist() == ["training", "validation", "test"] * 4
    assert dataset.rows.tolist() == list(range(12))
    assert dataset.describe() == (
        "fer2013 from fer2013.csv: 12 gray faces of 48×48, 4 training, 4 validation, 4 test"
    )


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 4).flatmap(lambda n: npst.arrays(np.uint8, (n, 48, 48))),
    data=st.data(),
)
def test_any_pictures_come_back_from_a_csv(images, data, tmp_path_factory):
    labels = data.draw(st.lists(st.integers(0, 6), min_size=len(images), max_size=len(images)))
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_text(make_csv(images, labels))
    dataset = fer2013.read_csv(path)
    np.testing.assert_array_equal(dataset.images[..., 0], images)
    assert dataset.labels.tolist() == labels


def test_rows_come_back_across_the_parser_s_blocks(tmp_path):
    images = np.repeat(make_faces(7), 300, axis=0)
    images[:, 0, 0] = np.arange(2100) % 256
    path = tmp_path / "long.csv"
    path.write_text(make_csv(images))
    dataset = fer2013.read_csv(path)
    np.testing.assert_array_equal(dataset.images[..., 0], images)
    text = path.read_text().splitlines()
    text[1900 + 1] = text[1900 + 1].replace(" ", " x", 1)
    path.write_text("\n".join(text))
    with pytest.raises(DataError, match=r"long\.csv, row 1900 \(line 1902\): found pixel 1"):
        fer2013.read_csv(path)


CORRUPTIONS = st.one_of(
    st.tuples(st.just("replace"), st.integers(0, 10**6), st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("insert"), st.integers(0, 10**6), st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.integers(0, 10**6), st.integers(1, 4000)),
    st.tuples(st.just("truncate"), st.integers(0, 10**6), st.none()),
)


def corrupt(content: bytes, corruption) -> bytes:
    kind, place, what = corruption
    place %= len(content)
    if kind == "replace":
        return content[:place] + what + content[place + len(what) :]
    if kind == "insert":
        return content[:place] + what + content[place:]
    return content[:place] + (content[place + what :] if kind == "delete" else b"")


def plain_reading(content: bytes):
    """What a slow and simple reader makes of a csv: (pixels, labels, usages), or None."""
    try:
        # Excel puts a byte-order mark in front, and some writers quote the names.
        text = content.removeprefix(b"\xef\xbb\xbf").decode()
        header, *rows = text.strip().split("\n")
        names = [name.strip().strip('"').lower() for name in header.split(",")]
        table = [dict(zip(names, row.split(","), strict=True)) for row in rows]
        pixels = [[int(p) for p in row["pixels"].split()] for row in table]
        return (
            np.array(pixels, dtype=np.uint8).reshape(len(rows), 48, 48),
            [int(row["emotion"]) for row in table],
            [row["usage"].strip() for row in table],
        )
    except (UnicodeDecodeError, ValueError, KeyError, OverflowError):
        return None


@settings(max_examples=150, deadline=None)
@given(corruption=CORRUPTIONS)
def test_a_corrupt_csv_is_refused_or_read_as_it_stands(corruption, tmp_path_factory):
    content = corrupt(make_csv(make_faces(3)).encode(), corruption)
    path = tmp_path_factory.mktemp("corrupt") / "fer2013.csv"
    path.write_bytes(content)
    dataset, refusal = outcome(fer2013.read_csv, path)
    if refusal is not None:
        assert "fer2013.csv" in refusal
        assert "expected" in refusal
        return
    expected = plain_reading(content)
    assert expected is not None
    np.testing.assert_array_equal(dataset.images[..., 0], expected[0])
    assert dataset.labels.tolist() == expected[1]
    assert dataset.split.tolist() == [datasets.USAGES[usage] for usage in expected[2]]


def outcome(read, path):
    """What a reader gives, and the message of the DataError that it raised instead."""
    try:
        return read(path), None
    except DataError as error:
        return None, str(error)


def change_row(text, row, emotion=None, pixels=None, usage=None):
    lines = text.splitlines()
    old = lines[row + 1].split(",")
    new = (emotion, pixels(old[1]) if pixels else None, usage)
    lines[row + 1] = ",".join(o if n is None else n for o, n in zip(old, new, strict=True))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        ({"pixels": lambda p: p.rsplit(" ", 1)[0]}, "2,303 pixels", "2,304"),
        ({"pixels": lambda p: p + " 7"}, "2,305 pixels", "2,304"),
        ({"pixels": lambda p: ""}, "0 pixels", "2,304"),
        ({"pixels": lambda p: "256 " + p.split(" ", 1)[1]}, "pixel 0 = '256'", "0 … 255"),
        ({"pixels": lambda p: p.rsplit(" ", 1)[0] + " 999"}, "pixel 2303 = '999'", "0 … 255"),
        ({"pixels": lambda p: "-1 " + p.split(" ", 1)[1]}, "pixel 0 = '-1'", "0 … 255"),
        ({"pixels": lambda p: "1.5 " + p.split(" ", 1)[1]}, "pixel 0 = '1.5'", "0 … 255"),
        ({"pixels": lambda p: "nan " + p.split(" ", 1)[1]}, "pixel 0 = 'nan'", "0 … 255"),
        ({"pixels": lambda p: "٣ " + p.split(" ", 1)[1]}, "pixel 0 = '٣'", "0 … 255"),
        ({"pixels": lambda p: "1" * 9000}, "pixel 0", "0 … 255"),
        ({"emotion": "7"}, "emotion '7'", "0 … 6"),
        ({"emotion": ""}, "emotion ''", "0 … 6"),
        ({"emotion": "happy"}, "emotion 'happy'", "0 … 6"),
        ({"usage": "Test"}, "Usage 'Test'", "Training, PublicTest, PrivateTest"),
        ({"usage": ""}, "Usage ''", "Training, PublicTest, PrivateTest"),
        ({"usage": "Training,1"}, "4 fields", "3"),
    ],
)
def test_a_bad_row_is_named_with_what_was_found_and_expected(tmp_path, change, found, expected):
    path = tmp_path / "bad.csv"
    path.write_text(change_row(make_csv(make_faces(5)), 3, **change), encoding="utf-8")
    with pytest.raises(DataError) as error:
        datasets.load("fer2013", path)
    message = str(error.value)
    assert message.startswith("bad.csv, row 3 (line 5): found ")
    assert found in message
    assert f"expected {expected}" in message or expected in message.split("expected")[1]
    assert len(message) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("\n\n", "columns ''"),
        (HEADER + "\n", "no rows"),
        ("emotion,pixels\n0,1 2\n", "train.csv"),
        ("emotion,Usage\n0,Training\n", "expected emotion, pixels and Usage"),
        ("emotion,pixels,Usage,Usage\n0,1,Training,Training\n", "once each"),
        ("0,1 2 3,Training\n", "line 1"),
        ("\x00" * 5000, "line 1"),
        ("x" * 100_000, "65,536 bytes"),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        datasets.load("fer2013", path)
    assert "bad.csv" in str(error.value)


def test_a_truncated_csv_is_refused(csv_file):
    content = csv_file.read_bytes()
    csv_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"row 5 \(line 7\): found 2 fields, expected 3"):
        datasets.load("fer2013", csv_file)


def test_a_blank_line_between_rows_is_refused_and_at_the_end_allowed(csv_file):
    text = csv_file.read_text()
    csv_file.write_text(text + "\n\n")
    assert len(datasets.load("fer2013", csv_file)) == 12
    lines = text.splitlines()
    csv_file.write_text("\n".join([*lines[:4], "", *lines[4:]]))
    with pytest.raises(DataError, match="line 5: found a blank line"):
        datasets.load("fer2013", csv_file)


def test_other_spellings_of_the_csv_are_read(tmp_path):
    images = make_faces(3)
    plain = make_csv(images)
    rows = [line.split(",") for line in plain.splitlines()[1:]]
    spellings = {
        "icml": "emotion, Usage, pixels\n" + "\n".join(f"{e}, {u}, {p}" for e, p, u in rows),
        "quoted": '"emotion","pixels","Usage"\n'
        + "\n".join(f'"{e}","{p}","{u}"' for e, p, u in rows),
        "windows": plain.replace("\n", "\r\n"),
        "marked": "\ufeff" + plain,
        "unfinished": plain.rstrip("\n"),
        "spaced": plain.replace(" ", "  ", 5),
    }
    for name, text in spellings.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(text.encode())
        np.testing.assert_array_equal(fer2013.read_csv(path).images[..., 0], images, err_msg=name)


# ------------------------------------------------------------------------------ archives, folders


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@functools.cache
def archives():
    table = make_csv(make_faces()).encode()
    members = {
        "a/readme.csv": b"no,such\n",
        "__MACOSX/._fer2013.csv": b"",
        "a/b/fer2013.csv": table,
    }
    return {
        "fer2013.zip": zipped(members),
        "one.zip": zipped({"deep/in/it/faces.csv": table}),
        "fer2013.csv.gz": gzip.compress(table),
        "fer2013.tar.gz": tarred(members),
    }


@pytest.mark.parametrize("name", archives())
def test_the_csv_is_found_inside_an_archive(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(archives()[name])
    dataset = datasets.load("fer2013", path)
    np.testing.assert_array_equal(dataset.images[..., 0], make_faces())
    assert dataset.source == name


@pytest.mark.parametrize("name", archives())
@settings(max_examples=60, deadline=None)
@given(corruption=CORRUPTIONS)
def test_a_damaged_archive_is_refused_or_read_whole(name, corruption, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / name
    path.write_bytes(corrupt(archives()[name], corruption))
    dataset, refusal = outcome(fer2013.read_csv, path)
    if refusal is not None:
        assert name in refusal
    else:
        np.testing.assert_array_equal(dataset.images[..., 0], make_faces())


def test_an_archive_without_the_csv_says_what_is_inside(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(zipped({"train.csv": b"x", "test.csv": b"y", "train/angry/a.jpg": b""}))
    with pytest.raises(DataError, match=r"test\.csv, train\.csv; expected fer2013\.csv"):
        datasets.load("fer2013", path)


def test_a_folder_s_csv_is_found_and_the_nearest_taken(tmp_path, csv_file):
    deep = tmp_path / "deep" / "down"
    deep.mkdir(parents=True)
    (deep / "fer2013.csv").write_text(make_csv(make_faces(3)))
    assert len(datasets.load("fer2013", tmp_path / "deep")) == 3
    assert len(datasets.load("fer2013", tmp_path)) == 12


def write_folders(root, prefixes=True, side=48, suffix=".png"):
    """Ten training pictures a class, two of each test: (class, prefix) → pixels."""
    images = iter(make_faces(7 * 14, seed=3))
    written = {}
    for name in EXPRESSIONS:
        for folder, prefix, count in (
            ("train", "Training", 10),
            ("test", "PublicTest", 2),
            ("test", "PrivateTest", 2),
        ):
            for number in range(count):
                path = (
                    root
                    / folder
                    / name
                    / f"{prefix if prefixes else folder + prefix}_{number}{suffix}"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                written[path] = next(images)[:side, :side]
                Image.fromarray(written[path]).save(path)
    return written


def test_folders_are_split_by_file_name(tmp_path):
    written = write_folders(tmp_path / "fer" / "archive")
    (tmp_path / "fer" / "archive" / "train" / "angry" / ".DS_Store").write_bytes(b"x")
    dataset = datasets.load("fer2013", tmp_path / "fer")
    assert dataset.counts().to_numpy().tolist() == [[10, 2, 2, 14]] * 7
    assert dataset.skipped == (("files that are no pictures", 1),)
    paths = sorted(written, key=lambda p: (p.parent.parent.name, p.parent.name, p.name))
    paths.sort(key=lambda p: p.parent.parent.name)
    np.testing.assert_array_equal(dataset.images[..., 0], [written[path] for path in paths])
    assert [EXPRESSIONS[label] for label in dataset.labels] == [path.parent.name for path in paths]


def test_folders_without_prefixes_hold_out_a_stratified_tenth(tmp_path):
    write_folders(tmp_path, prefixes=False)
    dataset = datasets.load("fer2013", tmp_path)
    assert dataset.counts().to_numpy().tolist() == [[9, 1, 4, 14]] * 7
    again = datasets.load("fer2013", tmp_path, cache=False)
    assert again.fingerprint() == dataset.fingerprint()
    other = datasets.load("fer2013", tmp_path, seed=1)
    assert other.fingerprint() != dataset.fingerprint()
    assert "a tenth of train, seed 0" in dataset.describe()


def break_unknown_class(root):
    (root / "train" / "bored").mkdir()
    return "bored: found a folder of an unknown class"


def break_empty_class(root):
    for path in (root / "test" / "fear").iterdir():
        path.unlink()
    return "fear: found no pictures"


def break_no_picture(root):
    path = sorted((root / "train" / "sad").iterdir())[0]
    path.write_text("this is no picture")
    return f"{path.name}: found no picture that can be read"


def break_empty_picture(root):
    path = sorted((root / "train" / "sad").iterdir())[0]
    path.write_bytes(b"")
    return f"{path.name}: found no picture that can be read"


def break_truncated_picture(root):
    path = sorted((root / "train" / "sad").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-1000])
    return f"{path.name}: found a damaged picture"


def break_other_size(root):
    path = sorted((root / "test" / "sad").iterdir())[0]
    Image.new("L", (48, 47)).save(path)
    return f"{path.name}: found a picture of 48×47, expected 48×48"


def break_large_picture(root):
    path = sorted((root / "test" / "sad").iterdir())[0]
    Image.new("1", (2000, 48)).save(path)
    return f"{path.name}: found a picture of 2,000×48 pixels"


def break_bomb(root):
    path = sorted((root / "test" / "sad").iterdir())[0]
    # A few bytes that claim to be 900 million pixels.
    header = struct.pack(">II5B", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return f"{path.name}: found a decompression bomb"


def break_deep_picture(root):
    path = sorted((root / "test" / "sad").iterdir())[0]
    Image.fromarray(np.full((48, 48), 60_000, np.uint16)).save(path)
    return f"{path.name}: found picture mode I;16"


def break_no_training(root):
    for path in sorted(root.glob("train/*/*")):
        path.unlink()
    for path in sorted(root.glob("train/*")):
        path.rmdir()
    return "found no pictures for training"


def break_no_test(root):
    (root / "test").rename(root / "elsewhere")
    return "expected fer2013.csv, an archive such as fer2013.zip, or the folders train and test"


@pytest.mark.parametrize(
    "damage", [value for name, value in sorted(globals().items()) if name.startswith("break_")]
)
def test_a_damaged_folder_is_refused(tmp_path, damage):
    write_folders(tmp_path)
    message = damage(tmp_path)
    with pytest.raises(DataError, match=re.escape(message)):
        datasets.load("fer2013", tmp_path)


# ------------------------------------------------------------------------------------- the cache


def reads(monkeypatch):
    """A list that grows by one whenever a csv is parsed."""
    calls = []
    original = fer2013.read_csv
    monkeypatch.setattr(fer2013, "read_csv", lambda path: calls.append(path) or original(path))
    return calls


def test_the_cache_gives_the_same_arrays_without_reading_again(csv_file, monkeypatch):
    calls = reads(monkeypatch)
    first = datasets.load("fer2013", csv_file)
    second = datasets.load("fer2013", csv_file)
    assert len(calls) == 1
    for field in ("images", "labels", "split", "rows"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert getattr(first, field).dtype == getattr(second, field).dtype
    assert first.describe() == second.describe()
    assert first.skipped == second.skipped
    assert not list(runtime.CACHE.glob("*.part"))


def test_the_cache_notices_that_its_source_has_changed(csv_file, monkeypatch):
    calls = reads(monkeypatch)
    datasets.load("fer2013", csv_file)
    times = csv_file.stat()
    # The same size and the same time of change: only the content differs.
    csv_file.write_text(csv_file.read_text().replace("\n0,", "\n6,", 1))
    os.utime(csv_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert datasets.load("fer2013", csv_file).labels[0] == 6
    csv_file.write_text(make_csv(make_faces(2)))
    assert len(datasets.load("fer2013", csv_file)) == 2
    assert len(calls) == 3
    csv_file.unlink()
    with pytest.raises(DataError, match="no such file"):
        datasets.load("fer2013", csv_file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", None])
def test_a_damaged_cache_is_read_as_none(csv_file, content):
    dataset = datasets.load("fer2013", csv_file)
    (cached,) = runtime.CACHE.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert datasets.load("fer2013", csv_file).fingerprint() == dataset.fingerprint()
    assert cached.read_bytes() == whole


def test_without_a_cache_none_is_written(csv_file):
    datasets.load("fer2013", csv_file, cache=False)
    assert not runtime.CACHE.exists()


def test_a_cache_that_cannot_be_written_costs_nothing_but_speed(csv_file, monkeypatch):
    blocker = csv_file.parent / "file"
    blocker.write_text("")
    monkeypatch.setattr(runtime, "CACHE", blocker / "cache")
    assert len(datasets.load("fer2013", csv_file)) == 12


# -------------------------------------------------------------------------------- where data are


@pytest.mark.parametrize(
    ("name", "message"),
    [("fer2013", "make data"), ("ferplus", "make data"), ("expw", "mmlab")],
)
def test_absent_data_are_never_replaced_by_other_data(name, message):
    with pytest.raises(DataError, match=message):
        datasets.load(name)
    with pytest.raises(DataError, match="no such file or folder"):
        datasets.load(name, "nowhere")


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="expected one of sample, fer2013, ferplus, expw"):
        datasets.load("FER2013")


def test_an_unknown_option_is_refused(csv_file):
    with pytest.raises(TypeError):
        datasets.load("fer2013", csv_file, contempt=True)


def test_data_raw_is_the_default(csv_file):
    (runtime.RAW / "fer2013").mkdir(parents=True)
    csv_file.rename(runtime.RAW / "fer2013" / "fer2013.csv")
    dataset = datasets.load("fer2013")
    assert "from data/raw/fer2013/fer2013.csv:" in dataset.describe()


# ----------------------------------------------------------------------------------------- FER+


def votes_csv(votes, usages, header=None):
    columns = ("Usage", "Image name", *FERPLUS_COLUMNS) if header is None else header
    rows = [
        f"{usage},fer{number:07d}.png,{','.join(map(str, row))}"
        for number, (usage, row) in enumerate(zip(usages, votes, strict=True))
    ]
    return "\n".join([",".join(columns), *rows]) + "\n"


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
    usages = [USAGES[i % 3] for i in range(12)]
    (tmp_path / "fer2013new.csv").write_text(votes_csv([v for v, _ in VOTES], usages))
    return tmp_path


def test_ferplus_labels_are_the_majority_of_the_votes(ferplus_folder):
    dataset = datasets.load("ferplus", ferplus_folder)
    expected = [(row, name) for row, (_, name) in enumerate(VOTES) if name]
    assert dataset.expressions == FERPLUS_EXPRESSIONS
    assert dataset.rows.tolist() == [row for row, _ in expected]
    assert [dataset.expressions[label] for label in dataset.labels] == [n for _, n in expected]
    assert dict(dataset.skipped) == {"no majority": 2, "unknown": 1, "no face": 1}
    assert dataset.votes.shape == (8, 10)
    np.testing.assert_array_equal(dataset.images[..., 0], make_faces()[dataset.rows])


def test_ferplus_without_contempt_has_our_seven_classes(ferplus_folder):
    dataset = datasets.load("ferplus", ferplus_folder / "fer2013new.csv", contempt=False)
    assert dataset.expressions == EXPRESSIONS
    assert len(dataset) == 7
    assert dict(dataset.skipped)["contempt"] == 1
    assert len(dataset) + sum(count for _, count in dataset.skipped) == 12


@settings(max_examples=200, deadline=None)
@given(npst.arrays(np.int64, (5, 10), elements=st.integers(0, 10)))
def test_vote_shares_sum_to_one_and_are_highest_for_the_majority(votes):
    shares = datasets.vote_shares(votes)
    labels, _ = ferplus.majority(votes)
    assert shares.shape == (5, 8)
    for row, share, label in zip(votes, shares, labels, strict=True):
        if all(count <= 1 for count in row[:8]):
            assert np.isnan(share).all()
            continue
        assert share.sum() == pytest.approx(1)
        for column, name in enumerate(FERPLUS_COLUMNS[:8]):
            place = [found[:3] for found in FERPLUS_EXPRESSIONS].index(name[:3])
            assert (share[place] > 0) == (row[column] > 1)
        if label >= 0:
            assert share[label] == share.max()


def test_votes_lie_beside_fer2013_s_own_labels(ferplus_folder):
    whole, votes = ferplus.load_both(ferplus_folder)
    beside = datasets.beside_fer2013(ferplus_folder)
    assert (beside.name, len(beside)) == ("fer2013", len(whole))
    np.testing.assert_array_equal(beside.labels, whole.labels)
    np.testing.assert_array_equal(beside.votes, votes)


def test_every_row_stands_once_in_the_agreement_of_labels(ferplus_folder, tmp_path):
    faces, votes = ferplus.load_both(ferplus_folder)
    table = datasets.label_agreement(faces.labels, votes, faces.split)
    assert table.to_numpy().sum() == len(faces) == 12
    for row, (_, name) in enumerate(VOTES):
        place = (faces.split[row], EXPRESSIONS[faces.labels[row]])
        columns = [name] if name else ["no majority", "unknown", "no face"]
        assert table.loc[place, columns].sum() >= 1
    assert table["no majority"].sum() == 2
    table.to_csv(tmp_path / "agreement.csv")
    pd.testing.assert_frame_equal(
        datasets.read_agreement(tmp_path / "agreement.csv"), table, check_names=False
    )
    for text in ("", "split,fer2013,angry\ntest,angry,1\n"):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(DataError, match=r"bad\.csv"):
            datasets.read_agreement(tmp_path / "bad.csv")


def test_an_expression_is_left_out_with_its_faces_and_its_name(ferplus_folder):
    dataset = datasets.load("ferplus", ferplus_folder)
    fewer = dataset.without(["contempt", "boredom"])
    same = datasets.load("ferplus", ferplus_folder, contempt=False)
    assert fewer.expressions == EXPRESSIONS
    assert dict(fewer.skipped) == dict(same.skipped)
    assert fewer.fingerprint() == same.fingerprint()
    middle = dataset.without(["fear"])
    named = [middle.expressions[label] for label in middle.labels]
    assert named == [name for _, name in VOTES if name not in (None, "fear")]


@settings(max_examples=200, deadline=None)
@given(npst.arrays(np.int64, (5, 10), elements=st.integers(0, 10)))
def test_the_majority_rule_as_its_authors_wrote_it(votes):
    labels, reasons = ferplus.majority(votes)
    for row, label, reason in zip(votes, labels, reasons, strict=True):
        counted = [0 if count == 1 else int(count) for count in row]
        top = max(counted)
        if top <= 0.5 * sum(counted) or counted.index(top) >= 8:
            assert label == -1
            assert reason != ""
        else:
            name = FERPLUS_COLUMNS[counted.index(top)]
            assert reason == ""
            assert FERPLUS_EXPRESSIONS[label][:3] == name[:3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("9,1,0", "9,1", r"row 0 \(line 2\): found 11 fields, expected 12"),
        ("9,1,0", "11,1,0", r"row 0 \(line 2\): found '11' votes for neutral"),
        ("9,1,0", "-1,1,0", r"found '-1' votes for neutral"),
        ("9,1,0", "nine,1,0", r"found 'nine' votes for neutral"),
        ("contempt", "scorn", "found 0 columns 'contempt'"),
        ("Training,fer0000003", "Test,fer0000003", r"row 3 \(line 5\): found Usage 'Test'"),
        ("Training,fer0000003", "PublicTest,fer0000003", r"row 3 \(line 5\).*expected training"),
        ("\nTraining,fer0000003", "\n\nTraining,fer0000003", "after a blank line"),
        ("\nPublicTest,fer0000010.png,0,0,0,0,0,0,0,0,0,10", "", "found a Usage for|11 rows"),
    ],
)
def test_bad_votes_are_refused(ferplus_folder, old, new, message):
    path = ferplus_folder / "fer2013new.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        datasets.load("ferplus", ferplus_folder)


@settings(max_examples=100, deadline=None)
@given(corruption=CORRUPTIONS)
def test_corrupt_votes_are_refused_or_read_as_they_stand(corruption, tmp_path_factory):
    votes = [row for row, _ in VOTES]
    content = corrupt(votes_csv(votes, ["Training"] * 12).encode(), corruption)
    path = tmp_path_factory.mktemp("votes") / "fer2013new.csv"
    path.write_bytes(content)
    table, refusal = outcome(ferplus.read_votes, path)
    if refusal is not None:
        assert "fer2013new.csv" in refusal
    else:
        _, read = table
        assert read.shape[1] == 10
        assert 0 <= read.min() <= read.max() <= 10


def test_votes_need_the_rows_of_a_csv(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "fer2013new.csv").write_text(votes_csv([VOTES[0][0]], ["Training"]))
    with pytest.raises(DataError, match=r"expected it beside fer2013new\.csv"):
        datasets.load("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").unlink()
    with pytest.raises(DataError, match=r"found no fer2013new\.csv"):
        datasets.load("ferplus", tmp_path)


# ----------------------------------------------------------------------------------------- ExpW


def write_expw(root, lines=None, photos=("a.jpg", "b.jpg"), where="image"):
    folder = root / where
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(photos):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name, format="PNG")
    lines = LINES if lines is None else lines
    (root / "label.lst").write_text("\n".join(lines) + "\n")
    return root


#        photo face top left right bottom confidence label
LINES = ["a.jpg 0 10 20 60 50 43.5 3", "a.jpg 1 -5 60 110 30 9.1 0", "b.jpg 0 0 0 80 80 77 6"]


def test_expw_faces_are_the_boxes_cut_from_their_photos(tmp_path):
    dataset = datasets.load("expw", write_expw(tmp_path))
    assert dataset.images.shape == (3, 64, 64, 1)
    assert dataset.labels.tolist() == [3, 0, 6]
    assert dataset.photos.tolist() == ["a.jpg", "a.jpg", "b.jpg"]
    assert dataset.skipped == (("boxes clipped to their photo", 1),)
    photo = faces.read_photo(tmp_path / "image" / "a.jpg")
    face = faces.to_gray(
        faces.crop(photo, faces.Box(left=20, top=10, right=60, bottom=50), size=64)
    )
    np.testing.assert_array_equal(dataset.images[0, ..., 0], face)
    again = datasets.load("expw", tmp_path)
    assert again.fingerprint() == dataset.fingerprint()
    assert again.photos.tolist() == dataset.photos.tolist()


def test_expw_options_change_the_pictures_and_nothing_else(tmp_path):
    root = write_expw(tmp_path)
    plain = datasets.load("expw", root)
    color = datasets.load("expw", root, color=True, size=32, margin=0.2)
    assert color.images.shape == (3, 32, 32, 3)
    assert color.split.tolist() == plain.split.tolist()


def test_the_release_s_own_folders_are_read(tmp_path):
    write_expw(tmp_path, where="data/image/origin")
    (tmp_path / "data" / "label").mkdir()
    (tmp_path / "label.lst").rename(tmp_path / "data" / "label" / "label.lst")
    assert len(datasets.load("expw", tmp_path)) == 3
    assert len(datasets.load("expw", tmp_path / "data" / "label" / "label.lst")) == 3


def test_the_cache_notices_that_a_photo_has_changed(tmp_path):
    root = write_expw(tmp_path)
    before = datasets.load("expw", root)
    Image.new("RGB", (100, 80)).save(root / "image" / "a.jpg", format="PNG")
    assert datasets.load("expw", root).images[0].max() == 0 < before.images[0].max()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg 0 10 20 60 50 3", "found 7 fields, expected 8"),
        ("a.jpg 0 10 20 60 50 43.5 3 1", "found 9 fields, expected 8"),
        ("", "found 0 fields, expected 8"),
        ("a.jpg 0 10 20 60 x 43.5 3", "found bottom 'x', expected a whole number"),
        ("a.jpg 0 10.5 20 60 50 43.5 3", "found top '10.5'"),
        ("a.jpg 0 10 20 60 50 sure 3", "found confidence 'sure'"),
        ("a.jpg 0 10 20 60 50 nan 3", "found confidence 'nan'"),
        ("a.jpg 0 10 20 60 50 43.5 7", "found label '7'"),
        ("a.jpg 0 10 20 20 50 43.5 3", "found a box without area"),
        ("a.jpg 0 50 20 60 10 43.5 3", "found a box without area"),
        ("a.jpg 0 10 200 260 50 43.5 3", "outside"),
        ("c.jpg 0 10 20 60 50 43.5 3", "found 0 files named 'c.jpg'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    write_expw(tmp_path, [LINES[0], line, LINES[2]])
    with pytest.raises(DataError, match=re.escape(message)) as error:
        datasets.load("expw", tmp_path)
    assert str(error.value).startswith("label.lst, row 1 (line 2)")


def test_bad_photos_and_lists_are_refused(tmp_path):
    root = write_expw(tmp_path)
    (root / "image" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.jpg"):
        datasets.load("expw", root)
    write_expw(tmp_path)
    (root / "more").mkdir()
    (root / "more" / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"found 2 files named 'a\.jpg'"):
        datasets.load("expw", root)
    (root / "label.lst").write_bytes(b"")
    with pytest.raises(DataError, match=r"label\.lst: found 0 bytes"):
        datasets.load("expw", root)
    (root / "label.lst").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no UTF-8"):
        datasets.load("expw", root)
    (root / "label.lst").unlink()
    with pytest.raises(DataError, match=r"found no label\.lst"):
        datasets.load("expw", root)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(corruption=CORRUPTIONS)
def test_a_corrupt_list_is_refused_or_read_as_it_stands(corruption, tmp_path):
    content = corrupt(("\n".join(LINES) + "\n").encode(), corruption)
    path = tmp_path / "label.lst"
    path.write_bytes(content)
    table, refusal = outcome(expw.read_list, path)
    if refusal is not None:
        assert "label.lst" in refusal
        return
    lines = content.decode().replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    assert [row.split()[0] for row in lines] == table["photo"].tolist()
    numbers = table[["face", "top", "left", "right", "bottom"]].to_numpy().tolist()
    assert [[int(n) for n in row.split()[1:6]] for row in lines] == numbers
    assert table["label"].between(0, 6).all()


# --------------------------------------------------------------------------------------- splits


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


def test_a_split_by_photo_is_stratified():
    labels = np.repeat(np.arange(7), 100)
    split = splits.by_group(labels, np.arange(700))
    for label in range(7):
        sizes = [np.count_nonzero(split[labels == label] == name) for name in datasets.SPLITS]
        assert sizes == [70, 10, 20]


# --------------------------------------------------------------------------------------- sample


def test_the_sample_is_the_default_and_says_so():
    dataset = datasets.load(count=150)
    assert dataset.name == "sample"
    assert dataset.images.shape == (150, 48, 48, 1)
    shares = dataset.counts()[list(datasets.SPLITS)].sum() / 150
    np.testing.assert_allclose(shares.to_numpy(), [0.7, 0.1, 0.2], atol=0.02)
    assert datasets.load(count=150, cache=False).fingerprint() == dataset.fingerprint()
    assert datasets.load(count=150, seed=1).fingerprint() != dataset.fingerprint()


# ------------------------------------------------------------------------------------- download


@pytest.fixture
def small_official(monkeypatch):
    """Counts that the tests' twelve rows, or their folders, have."""

    def set_counts(dataset):
        counts = {split: tuple(dataset.counts()[split].tolist()) for split in datasets.SPLITS}
        monkeypatch.setattr(download, "OFFICIAL_COUNTS", counts)

    return set_counts


def stand_in(monkeypatch, folder):
    """A kagglehub that has `folder` to give; returns the handles that it was asked for."""
    asked = []

    def dataset_download(handle):
        asked.append(handle)
        if folder is None:
            raise ConnectionError("no network")
        return str(folder)

    module = types.SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return asked


def test_the_csv_comes_from_kaggle(csv_file, small_official, monkeypatch, capsys):
    small_official(datasets.load("fer2013", csv_file))
    asked = stand_in(monkeypatch, csv_file.parent)
    assert download.main([]) == 0
    assert asked == ["deadskull7/fer2013"]
    assert (runtime.RAW / "fer2013" / "fer2013.csv").read_bytes() == csv_file.read_bytes()
    assert "from data/raw/fer2013/fer2013.csv: 12 gray faces" in capsys.readouterr().out
    assert download.main([]) == 0  # there already: not fetched again
    assert len(asked) == 1
    assert [path.name for path in runtime.RAW.iterdir()] == ["fer2013"]


def test_the_folders_come_from_kaggle(tmp_path, small_official, monkeypatch):
    write_folders(tmp_path / "kaggle")
    small_official(datasets.load("fer2013", tmp_path / "kaggle"))
    asked = stand_in(monkeypatch, tmp_path / "kaggle")
    assert download.main(["--source", "kaggle-folders"]) == 0
    assert asked == ["msambare/fer2013"]
    assert download.main(["--source", "kaggle-folders", "--force"]) == 0
    assert len(asked) == 2
    assert len(list((runtime.RAW / "fer2013").glob("*/*/*.png"))) == 98


@pytest.mark.parametrize("name", archives())
def test_a_named_copy_is_taken(tmp_path, name, small_official, monkeypatch):
    path = tmp_path / name
    path.write_bytes(archives()[name])
    small_official(datasets.load("fer2013", path))
    asked = stand_in(monkeypatch, None)
    assert download.main(["--from", str(path)]) == 0
    assert asked == []
    assert len(datasets.load("fer2013")) == 12


def test_an_incomplete_copy_is_refused_and_not_put_in_place(csv_file, capsys):
    assert download.main(["--from", str(csv_file)]) == 1
    assert "found 1 training faces of angry, expected 3,995" in capsys.readouterr().err
    assert not (runtime.RAW / "fer2013").exists()


def test_a_failed_download_says_what_to_do(monkeypatch, capsys):
    stand_in(monkeypatch, None)
    assert download.main([]) == 1
    message = capsys.readouterr().err
    assert "no network" in message
    assert "--from" in message
    assert download.main(["--from", "nowhere"]) == 1


def test_votes_are_fetched_or_copied(ferplus_folder, monkeypatch, small_official):
    monkeypatch.setattr(download, "FERPLUS_ROWS", 12)
    votes = ferplus_folder / "fer2013new.csv"
    small_official(datasets.load("fer2013", ferplus_folder))
    assert download.main(["--from", str(ferplus_folder / "fer2013.csv")]) == 0
    monkeypatch.setattr(download, "FERPLUS_ADDRESS", votes.as_uri())
    assert download.main(["--source", "ferplus"]) == 0
    assert len(datasets.load("ferplus")) == 8
    assert download.main(["--source", "ferplus", "--from", str(ferplus_folder)]) == 0
    monkeypatch.setattr(download, "FERPLUS_ADDRESS", (ferplus_folder / "none.csv").as_uri())
    assert download.main(["--source", "ferplus", "--force"]) == 1


def test_kagglehub_still_has_the_function_that_is_called():
    kagglehub = pytest.importorskip("kagglehub")
    assert callable(kagglehub.dataset_download)


# --------------------------------------------------------------------------------- command line


def test_the_command_line_records_numbers_only(csv_file, capsys):
    assert report(["fer2013", str(csv_file), "--record"]) == 0
    record = json.loads(Path(runtime.RESULTS / "data" / "fer2013.json").read_text())
    assert record["rows"] == 12
    assert record["fingerprint"] == datasets.load("fer2013", csv_file).fingerprint()
    assert "wrote results/data/fer2013.json" in capsys.readouterr().out
    assert report(["fer2013", "nowhere"]) == 1
