"""Videos: every frame's faces are rows, a face keeps its track, early ends are reported."""

import contextlib
import os
import signal
import struct
import time

import cv2
import numpy as np
import pandas as pd
import processes
import pytest
from PIL import Image

from utils import faces, figures, photos, videos
from utils.expressions import EXPRESSIONS
from utils.faces import Box, Detection
from utils.runtime import DataError


class Bright:
    """A network that calls bright faces happy and dark ones sad."""

    input_shape, expressions = (8, 8, 1), EXPRESSIONS

    def predict(self, images):
        bright = images.mean(axis=(1, 2, 3)) > 180
        return np.eye(7, dtype=np.float32)[np.where(bright, 3, 4)]


@pytest.fixture(autouse=True)
def squares(monkeypatch):
    """A detector that takes anything brighter than the gray background for a face."""

    def detect(pixels, *_, **__):
        count, _, found, _ = cv2.connectedComponentsWithStats(
            (pixels[..., 1] > 90).astype(np.uint8)
        )
        return [
            Detection(Box(x, y, x + wide, y + high), 0.9)
            for x, y, wide, high, area in found[1:count]
            if area > 100
        ]

    monkeypatch.setattr(faces, "detect", detect)
    monkeypatch.setattr(photos, "load", lambda _: (Bright(), {"name": "bright"}))


def video(path, count=20, rate=10, code="mp4v", at=lambda frame: [(10 + frame, 20, 230)]):
    """Write frames of 96×64: for each (x, y, brightness) a square of 24 pixels."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), rate, (96, 64))
    for frame in range(count):
        pixels = np.full((64, 96, 3), 40, np.uint8)
        for x, y, bright in at(frame):
            pixels[y : y + 24, x : x + 24] = bright
        writer.write(pixels)
    writer.release()
    return path


# Rows


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_row_per_face_and_frame(ask, tmp_path, ending):
    path = video(tmp_path / "video.mp4")
    code, out, err = ask(path, "--table", tmp_path / f"rows.{ending}")
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: 20 frames, 1.9 s; a face in 20, 20 rows, 1 track; longest")
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    rows = read(tmp_path / f"rows.{ending}")
    assert tuple(rows.columns) == (*photos.Table.COLUMNS, *EXPRESSIONS)
    np.testing.assert_allclose(rows["time"], np.arange(20) / 10, atol=1e-3)
    assert rows["frame"].tolist() == list(range(1, 21))
    assert set(rows["track"]) == {1}
    np.testing.assert_allclose(rows["left"], 10 + np.arange(20), atol=2)
    assert set(rows["expression"]) == {"happy"}


def test_without_a_table_rows_go_to_stdout_and_words_to_stderr(ask, tmp_path):
    video(tmp_path / "video.mp4", 5)
    code, out, err = ask(tmp_path / "v*")
    assert code == 0
    assert [line.count(",") for line in out.splitlines()] == [17] * 6
    assert "5 frames" in err


def test_a_faceless_minute_is_reported_and_ends_a_track(ask, tmp_path):
    path = video(
        tmp_path / "video.avi",
        140,
        2,
        code="MJPG",
        at=lambda frame: [(10, 20, 230)] * (not 4 <= frame < 130),
    )
    code, out, _ = ask(path, "--table", tmp_path / "rows.csv")
    assert code == 0
    assert "a face in 14, 14 rows, 2 tracks; longest without a face 63.0 s" in out
    assert pd.read_csv(tmp_path / "rows.csv")["track"].tolist() == [1] * 4 + [2] * 10


def boxes(content, *names):
    """Find an MP4's box by the names that lead to it; yield the offset of each on the way."""
    start, end = 0, len(content)
    for name in names:
        while start < end:
            size, found = struct.unpack_from(">I4s", content, start)
            if found == name:
                break
            start += size
        yield start
        start, end = start + 8, start + size


def test_a_rotation_flag_is_obeyed(tmp_path):
    """A phone writes lying frames, and a matrix that says how to turn them."""
    path = video(tmp_path / "video.mp4", 3, at=lambda _: [(0, 0, 230)])
    content = bytearray(path.read_bytes())
    *_, place = boxes(content, b"moov", b"trak", b"tkhd")
    quarter = (0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30)
    struct.pack_into(">9i", content, place + 48, *quarter)
    path.write_bytes(content)
    _, pixels = next(videos.Video(path, Bright(), None).read())
    assert pixels.shape == (96, 64, 3)
    assert pixels[:20, 44:].mean() > 180 > pixels[:20, :20].mean()


def test_a_varying_frame_rate_keeps_its_times(ask, tmp_path):
    path = video(tmp_path / "video.mp4", 6, 10)
    content = bytearray(path.read_bytes())
    *_, edits = boxes(content, b"moov", b"trak", b"edts")
    content[edits + 4 : edits + 8] = b"free"  # the edit list would end the video at its old length
    names = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")
    places = list(boxes(content, *names))
    size, _, _, entries, count, step = struct.unpack_from(">I4sIIII", content, places[-1])
    assert (entries, count) == (1, 6)
    # Three frames of a tenth of a second, then three of a whole second.
    table = struct.pack(">IIIII", 2, 3, step, 3, 10 * step)
    content[places[-1] + 12 : places[-1] + size] = table
    for place in places:
        (old,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", content, place, old + 8)
    path.write_bytes(content)
    code, _, _ = ask(path, "--table", tmp_path / "rows.csv", "--save", tmp_path / "marked")
    assert code == 0
    times = pd.read_csv(tmp_path / "rows.csv")["time"]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 1.3, 2.3], atol=0.01)
    marked = cv2.VideoCapture(str(tmp_path / "marked" / "video-faces.mp4"))
    lasts = marked.get(cv2.CAP_PROP_FRAME_COUNT) / marked.get(cv2.CAP_PROP_FPS)
    assert lasts == pytest.approx(3.3, abs=0.6)  # as long as the video, at its mean rate
    # WebM estimates the number of frames from the shortest.
    for estimate, ends in ((23, contextlib.nullcontext()), (30, pytest.raises(DataError))):
        varying = videos.Video(path, Bright(), None)
        varying.rate, varying.expected = 10, estimate
        with ends:
            assert len(list(varying.read())) == 6


def test_a_playlist_leads_to_no_other_file(ask, tmp_path):
    video(tmp_path / "own.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("ffconcat version 1.0\nfile own.mp4\n", encoding="ascii")
    code, _, said = ask(playlist)
    assert code == 1
    assert "list.mp4: not a video" in said


# Tracks


def face(x, bright=True, y=0):
    shares = np.eye(7, dtype=np.float32)[3 if bright else 4]
    return photos.Face(Box(x, y, x + 20, y + 20), 0.9, EXPRESSIONS, shares)


def test_faces_keep_their_tracks_however_they_are_listed():
    tracker = videos.Tracker()
    assert [at for at, _ in tracker.add(0, [face(0), face(50)])] == [1, 2]
    assert [at for at, _ in tracker.add(0.1, [face(52), face(100), face(2)])] == [2, 3, 1]
    # Not each box's best track, but the largest total overlap.
    tracker = videos.Tracker()
    tracker.add(0, [face(0), face(8)])
    assert [at for at, _ in tracker.add(0.1, [face(7), face(16)])] == [1, 2]


def test_a_track_outlives_a_moment_and_no_longer():
    tracker = videos.Tracker()
    tracker.add(0, [face(0)])
    tracker.add(0.5, [])
    assert tracker.add(0.9, [face(1)])[0][0] == 1
    assert tracker.add(2.0, [face(1)])[0][0] == 2
    assert [(one.first, one.last, one.seen) for one in tracker.tracks()] == [(0, 0.9, 2), (2, 2, 1)]


@pytest.mark.parametrize("rate", [5, 30])
def test_smoothing_is_in_seconds_whatever_the_rate(rate):
    tracker = videos.Tracker(smooth=0.5)
    tracker.add(0, [face(0, bright=False)])
    for frame in range(1, rate + 1):
        ((_, seen),) = tracker.add(frame / rate, [face(0)])
    assert seen.probabilities[3] == pytest.approx(1 - np.exp(-1 / 0.5), abs=1e-5)
    assert seen.probabilities.sum() == pytest.approx(1)
    tracker = videos.Tracker(smooth=0)
    tracker.add(0, [face(0, bright=False)])
    assert tracker.add(0.1, [face(0)])[0][1].expression == "happy"


def test_memory_is_bounded_whatever_the_length():
    tracker = videos.Tracker()
    for frame in range(5_000):
        tracker.add(frame / 10, [face(0), face(100 * (frame // 20), y=90)])
    assert len(tracker.active) <= 3
    tracks = tracker.tracks()
    assert (tracks[0].number, len(tracks)) == (1, videos.DRAWN)
    assert videos.POINTS / 2 < len(tracks[0].points) <= videos.POINTS
    assert tracks[0].points[-1][0] > 490


# What is saved


def test_the_marked_video_and_the_timelines(ask, tmp_path):
    path = video(tmp_path / "video.mp4", at=lambda frame: [(10, 20, 230 if frame < 10 else 120)])
    before = path.read_bytes()
    for _ in range(2):
        code, _, err = ask(path, "--save", tmp_path)
        assert code == 0
    written = [line.split()[-1] for line in err.splitlines() if "written" in line]
    assert written == [
        str(tmp_path / name) for name in ("video-faces-2.mp4", "video-track-1-2.png")
    ]
    capture = cv2.VideoCapture(str(tmp_path / "video-faces.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 20
    first = capture.read()[1]
    factor = figures.ANNOTATED_SIDES[0] / 96
    assert first.shape == (64 * factor, 96 * factor, 3)
    edge = first[round(32 * factor), round(10 * factor)].astype(int)  # orange: happy's
    assert edge[2] > edge[0] + 60
    assert Image.open(tmp_path / "video-track-1.png").size[0] > 400
    assert path.read_bytes() == before


# Cut-off videos, and files that are none


@pytest.mark.parametrize(("name", "code"), [("video.avi", "MJPG"), ("video.mkv", "mp4v")])
def test_rows_of_a_cut_video_are_kept_and_its_end_is_reported(ask, tmp_path, name, code):
    path = video(tmp_path / name, 60, code=code)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    left, out, err = ask(path, "--table", tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert 5 < len(rows) < 55
    assert left == 1
    assert f"{path}: ends after {len(rows)} of 60 frames" in err
    assert f"{len(rows)} rows" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"some text \x1b[2J", "not a video, or cut off"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n", "not a video"),
        ("half", "not a video, or cut off"),
    ],
)
def test_what_is_not_a_video_is_one_sentence_and_the_others_are_read(ask, tmp_path, content, words):
    good, bad = video(tmp_path / "good ✂ 日本語.mp4", 4), tmp_path / "bad.mp4"
    if content == "half":
        content = good.read_bytes()[: good.stat().st_size // 2]
    if content is not None:
        bad.write_bytes(content)
    code, out, err = ask(bad, good)
    lines = err.splitlines()
    assert (code, len(out.splitlines())) == (1, 5)
    assert words in lines[0]
    assert lines[0].startswith(f"predict.py: {bad}: ")
    assert "4 frames" in lines[1]
    assert "\x1b" not in err


def test_a_folder_may_end_like_a_video(ask, tmp_path):
    (tmp_path / "trip.mp4").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "trip.mp4" / "a.png")
    code, _, _ = ask(tmp_path / "trip.mp4")
    assert code == 0


def test_a_camera_that_is_taken_or_leaves(ask, tmp_path, monkeypatch):
    class Camera:
        left = 3

        def __init__(self, number):
            self.number = number

        def isOpened(self):  # OpenCV's name
            return self.number == 0

        def read(self):
            self.left -= 1
            return self.left >= 0, np.full((40, 40, 3), 230, np.uint8)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    code, out, err = ask("--camera", 7)
    assert (code, len(out.splitlines())) == (1, 1)
    assert err.startswith(
        "predict.py: camera 7: cannot be opened; expected a camera that is connected"
    )
    code, out, err = ask("--camera", 0, "--table", tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert (code, rows["file"].tolist()) == (1, ["camera 0"] * 3)
    assert rows["time"].is_monotonic_increasing
    assert "camera 0: gives no more frames" in err


def test_on_a_full_disk_the_rows_so_far_are_whole(ask, tmp_path):
    resource = pytest.importorskip("resource")
    path = video(tmp_path / "video.mp4", 60)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        code, _, err = ask(path, "--table", tmp_path / "rows.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    text = (tmp_path / "rows.csv").read_text()
    assert (code, err.count("\n")) == (1, 1)
    assert f"{tmp_path / 'rows.csv'}" in err
    assert text.endswith("\n")
    assert 5 < len(pd.read_csv(tmp_path / "rows.csv").dropna()) < 60


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_whole_rows(root, tmp_path):
    """The real process with the real networks, on a video of a portrait."""
    portrait = np.asarray(Image.open(root / "data" / "photos" / "astronaut.jpg"))[..., ::-1]
    path, table = tmp_path / "video.avi", tmp_path / "rows.parquet"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (512, 512))
    for _ in range(2_000):
        writer.write(portrait)
    writer.release()
    running = processes.start("predict.py", path, "--table", table, "--save", tmp_path / "m")
    marked = tmp_path / "m" / "video-faces.mp4"
    while running.poll() is None and not (marked.is_file() and marked.stat().st_size):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, err) == (130, "predict.py: stopped\n")
    rows = pd.read_parquet(table)  # made from the csv
    assert 0 < len(rows) < 2_000
    assert rows.notna().all(axis=None)
    assert f"{len(rows)} rows" in out
    assert set(rows["expression"]) == {"happy"}


def test_pixels_of_a_frame_are_bounded(tmp_path, monkeypatch):
    path = video(tmp_path / "video.mp4", 2)
    monkeypatch.setattr(faces, "MAX_PIXELS", 1_000)
    with pytest.raises(DataError, match="96 × 64 pixels per frame"):
        videos.Video(path, Bright(), None)
