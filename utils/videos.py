"""Faces and their expressions in each frame of a video or camera: what ``predict.py`` calls.

Frames are read one at a time and discarded, so a video may be of any length. A face keeps its track
from frame to frame by overlap: boxes are assigned to tracks so that their total overlap is largest
(`scipy.optimize.linear_sum_assignment`), and never where a box overlaps by less than `SHARED`. A
track not seen for `LOST` seconds ends. Probabilities are smoothed along a track by an exponential
moving average: the weight of a frame falls with its age t in seconds as exp(-t / smooth).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from utils import faces, photos
from utils.runtime import DataError

#: The smallest intersection over union of a face's boxes in two frames.
SHARED = 0.3
#: A track not seen for this many seconds ends.
LOST = 1.0
#: The most points of a timeline; a longer one is thinned to half.
POINTS = 600
#: The most timelines drawn: those of the longest tracks.
DRAWN = 12
#: Frames per second where a video does not say.
RATE = 25.0


@dataclass
class Track:
    """A face followed through a video.

    Attributes
    ----------
    number : int
        Counted from 1.
    box : faces.Box
        Where it was last seen.
    first, last : float
        Seconds from the video's start.
    probabilities : (k,) float array
        Smoothed.
    """

    number: int
    box: faces.Box
    first: float
    last: float
    probabilities: np.ndarray
    seen: int = 0
    total: np.ndarray | float = 0.0
    points: list[tuple[float, np.ndarray]] = field(default_factory=list)
    every: int = 1

    def add(self, when: float, face: photos.Face, smooth: float) -> photos.Face:
        """Add a frame's face; return it with the track's smoothed probabilities."""
        passed = when - self.last
        fresh = 1.0 if not self.seen or smooth <= 0 else 1 - math.exp(-passed / smooth)
        mean = self.probabilities + fresh * (face.probabilities - self.probabilities)
        self.box, self.last, self.probabilities = face.box, when, mean
        if self.seen % self.every == 0:
            self.points.append((when, mean))
            if len(self.points) > POINTS:
                self.points, self.every = self.points[::2], 2 * self.every
        self.seen, self.total = self.seen + 1, self.total + mean
        return replace(face, probabilities=mean.astype(np.float32))


class Tracker:
    """Assign faces to tracks, frame by frame.

    Parameters
    ----------
    smooth : float
        Time constant of the moving average, in seconds; 0 leaves each frame as it is.
    """

    def __init__(self, smooth: float = 0.5) -> None:
        self.smooth, self.count = smooth, 0
        self.active: list[Track] = []
        self.longest: list[Track] = []

    def add(self, when: float, found: Sequence[photos.Face]) -> list[tuple[int, photos.Face]]:
        """Return (track, face with smoothed probabilities) for each face, in the order given."""
        from scipy.optimize import linear_sum_assignment

        for track in [one for one in self.active if when - one.last > LOST]:
            self.active.remove(track)
            self._keep(track)
        shares = np.array(
            [[faces.overlap(face.box, track.box) for track in self.active] for face in found]
        ).reshape(len(found), len(self.active))
        pairs = zip(*linear_sum_assignment(-np.where(shares < SHARED, 0, shares)), strict=True)
        given = {at: self.active[to] for at, to in pairs if shares[at, to] >= SHARED}
        answers = []
        for at, face in enumerate(found):
            if at not in given:
                self.count += 1
                start = face.probabilities.astype(float)
                given[at] = Track(self.count, face.box, when, when, start)
                self.active.append(given[at])
            answers.append((given[at].number, given[at].add(when, face, self.smooth)))
        return answers

    def tracks(self) -> list[Track]:
        """List the longest tracks, at most `DRAWN`, in the order they began."""
        for track in self.active:
            self._keep(track)
        self.active = []
        return sorted(self.longest, key=lambda track: track.number)

    def _keep(self, track: Track) -> None:
        self.longest.append(track)
        self.longest.sort(key=lambda one: one.first - one.last)
        del self.longest[DRAWN:]


class Video:
    """The faces in a video or camera, frame by frame.

    Parameters
    ----------
    source : path or int
        A video that FFmpeg can read, or a camera's number.
    classifier : inference.Classifier or models.Classifier
        The network.
    table : photos.Table
        Where each face in each frame becomes a row.
    smooth : float
        As for `Tracker`.
    detector, margin, side
        As for `photos.find`; quarter turns are not tried on frames.

    Raises
    ------
    DataError
        When the file or the camera cannot be opened.
    """

    def __init__(
        self,
        source: Path | str | int,
        classifier: photos.Classifier,
        table: photos.Table,
        *,
        smooth: float = 0.5,
        detector: str = "centerface",
        margin: float = photos.MARGIN,
        side: int | None = None,
    ) -> None:
        self.source, self.classifier, self.table = source, classifier, table
        if isinstance(source, int):
            self.name, self.stem = f"camera {source}", f"camera-{source}"
        else:
            self.name, self.stem = photos.shown(source), Path(source).stem
        self.how = {"detector": detector, "margin": margin, "side": side, "turn": False}
        self.tracker = Tracker(smooth)
        self.frames = self.with_face = self.count = 0
        self.seconds = self.alone = self._seen = 0.0
        self.written: list[Path] = []
        self._capture, self.rate, self.expected = self._open()

    def _open(self) -> tuple[Any, float, int]:
        # Before OpenCV's first video: silences stderr, and lets no file open another.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        formats = "mov,avi,matroska,mpeg,mpegvideo,mpegts,asf"
        options = f"protocol_whitelist;file|format_whitelist;{formats}"
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
        import cv2

        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        if isinstance(self.source, int):
            capture = cv2.VideoCapture(self.source)
            if not capture.isOpened():
                raise DataError(
                    f"{self.name}: cannot be opened; expected a camera that is connected, that "
                    "this user may use, and that no other program is using"
                )
            return capture, RATE, 0
        expected = f"expected a video ({', '.join(photos.VIDEOS)})"
        path = Path(self.source)
        if not path.is_file():
            found = "not a file" if path.exists() else "no such file"
            raise DataError(f"{self.name}: {found}; {expected}")
        if path.stat().st_size == 0:
            raise DataError(f"{self.name}: the file is empty; {expected}")
        capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise DataError(f"{self.name}: not a video, or cut off or damaged; {expected}")
        size = [capture.get(one) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if size[0] * size[1] > faces.MAX_PIXELS:
            raise DataError(
                f"{self.name}: {size[0]:,.0f} × {size[1]:,.0f} pixels per frame; {expected} of at "
                f"most {faces.MAX_PIXELS:,} pixels"
            )
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return (
            capture,
            rate if 1 <= rate <= 1000 else RATE,
            int(count) if 0 < count < 2**31 else 0,
        )

    def read(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield one frame after another: seconds from the start, upright RGB pixels.

        The time is the frame's own, so a variable rate is kept; where the file has none, it follows
        from the frame rate. A camera's frames are timed by the clock.

        Raises
        ------
        DataError
            When a camera gives no more frames, or a video ends early.
        """
        import cv2

        start, last = time.monotonic(), -1.0
        while True:
            whole, frame = self._capture.read()  # upright: OpenCV applies the rotation flag
            if not whole:
                break
            when = time.monotonic() - start
            if not isinstance(self.source, int):
                when = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not last < when < 1e7:
                when = last + 1 / self.rate if last >= 0 else 0.0
            self.frames, self.seconds, last = self.frames + 1, when, when
            yield when, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if isinstance(self.source, int):
            raise DataError(f"{self.name}: gives no more frames; expected it to stay connected")
        if not self.frames:
            raise DataError(f"{self.name}: no frame can be read; expected a video")
        # Some formats only estimate the number of frames, and badly where frames vary in length.
        least = 0.95 * self.expected - 2
        if self.frames < least and self.seconds < least / self.rate:
            raise DataError(
                f"{self.name}: ends after {self.frames:,} of {self.expected:,} frames, "
                f"{self.seconds:.1f} s; expected all of them: the file is cut off or damaged"
            )

    def follow(self, save: Path | None = None) -> None:
        """Read the video to its end; write one row per face and frame to the table.

        Parameters
        ----------
        save : Path, optional
            A folder for the video with its faces marked, and one figure per long track.

        Raises
        ------
        DataError
            As for `read`; what was read until then is kept.
        OSError
            When a file cannot be written.
        """
        from tqdm import tqdm

        # A rate of 1,000 is not the frames': it is the clock of a file whose frames vary in length.
        rate = self.rate if self.rate < 1000 else 60.0
        marked = _Marked(save, self.stem, rate) if save else None
        name = photos.shown(Path(self.name).name)
        bar = tqdm(total=self.expected or None, desc=name, unit=" frames", disable=None)
        try:
            for when, pixels in self.read():
                try:
                    found = photos.find(pixels, self.classifier, **self.how)
                except DataError as error:
                    raise DataError(f"{self.name}, frame {self.frames:,}: {error}") from error
                followed = self.tracker.add(when, found)
                self.table.add(
                    [photos.row(self.name, when, self.frames, at, face) for at, face in followed]
                )
                if followed:
                    self.with_face, self._seen = self.with_face + 1, when
                self.count += len(followed)
                self.alone = max(self.alone, when - self._seen)
                if marked:
                    marked.add(when, pixels, followed)
                bar.update()
        finally:
            bar.close()
            self._capture.release()
            if marked:
                self.written += marked.close()
                self._draw(save)

    def _draw(self, folder: Path) -> None:
        """Draw each long track's probabilities over time."""
        from utils import figures

        for track in self.tracker.tracks():
            if len(track.points) > 1:
                times, shares = map(np.array, zip(*track.points, strict=True))
                title = f"Track {track.number}: probabilities, smoothed"
                drawn = figures.timeline(times, shares, self.classifier.expressions, title=title)
                write = partial(drawn.savefig, format="png")
                stem = f"{self.stem}-track-{track.number}"
                self.written.append(photos.new_file(folder, stem, ".png", write))

    def sentences(self) -> list[str]:
        """Summarize: one line for the video, and one for each of its longest tracks."""
        count = self.tracker.count
        lines = [
            f"{self.name}: {self.frames:,} frames, {self.seconds:.1f} s; a face in "
            f"{self.with_face:,}, {self.count:,} rows, {count} track{'s' * (count != 1)}; "
            f"longest without a face {self.alone:.1f} s"
        ]
        for track in self.tracker.tracks():
            mean = track.total / track.seen
            named = [
                f"{self.classifier.expressions[at]} {mean[at]:.1%}" for at in np.argsort(-mean)[:2]
            ]
            lines.append(
                f"  track {track.number}: {track.first:.1f}–{track.last:.1f} s, on average "
                f"{', '.join(named)}"
            )
        return [*lines, *(f"  written: {photos.shown(path)}" for path in self.written)]


class _Marked:
    """A video with boxes and captions, ``STEM-faces.mp4``; frames repeat to keep their times."""

    def __init__(self, folder: Path, stem: str, rate: float) -> None:
        self.path = photos.new_file(folder, f"{stem}-faces", ".mp4")
        self.rate, self.written = rate, 0
        self._writer: Any = None
        self._waiting: np.ndarray | None = None

    def add(self, when: float, pixels: np.ndarray, found: list[tuple[int, photos.Face]]) -> None:
        """Append a frame."""
        import cv2

        from utils import figures

        captions = [f"{face.expression} {face.probability:.0%} ({at})" for at, face in found]
        drawn = figures.annotated_photo(pixels, [face.box for _, face in found], captions)
        drawn = drawn[: drawn.shape[0] // 2 * 2, : drawn.shape[1] // 2 * 2]
        self._until(when)
        if self._writer is None:
            code, size = cv2.VideoWriter_fourcc(*"mp4v"), drawn.shape[1::-1]
            writer = cv2.VideoWriter(str(self.path), code, self.rate, size)
            if not writer.isOpened():
                raise OSError(f"{photos.shown(self.path)}: this OpenCV cannot write the video")
            self._writer = writer
        self._waiting = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)

    def _until(self, when: float) -> None:
        """Write the last frame until the next one's time; at least once, so that none is lost."""
        if self._waiting is not None:
            count = max(1, round(when * self.rate) - self.written)
            for _ in range(min(count, round(60 * self.rate))):
                self._writer.write(self._waiting)
                self.written += 1

    def close(self) -> list[Path]:
        """Finish the file; return its path, or nothing if there was no frame."""
        import cv2

        if self._writer is None:
            self.path.unlink()
            return []
        self._until(0)
        self._writer.release()
        check = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        kept = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if kept < self.written:  # the writer itself does not report a full disk
            raise OSError(
                f"{photos.shown(self.path)}: holds {kept:,} of {self.written:,} frames: "
                "is the disk full?"
            )
        return [self.path]
