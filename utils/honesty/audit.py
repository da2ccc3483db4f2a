"""Find what is wrong with a set of faces before anything is trained.

    python -m utils.honesty.audit fer2013.csv
    python -m utils.honesty.audit my-faces --json audit.json

PATH is a csv like FER2013's or an archive of one, a folder of pictures in class folders (with
train, val and test folders around them or not), a folder with ExpW's label.lst, or the name of a
data set. It finds exact and near copies between the splits (mirrored, brightened, shifted: see
`copies`), one picture under several labels, flat pictures, and pictures without a face.

>>> from utils import datasets
>>> found = examine(datasets.load("sample"))
>>> int(found.problems().loc["exact_copies", "test"])
6
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import datasets, runtime
from utils.datasets import SPLITS, FaceDataset, expw, fer2013, ferplus, first_copies, sources
from utils.expressions import FERPLUS_COLUMNS
from utils.honesty import copies
from utils.runtime import DataError

#: The lowest correlation of a near copy, by default.
THRESHOLD = 0.95
#: Where the bands of `Audit.bands` begin.
BANDS = (0.99, 0.98, 0.95, 0.90, 0.85, 0.80)
#: A picture whose gray levels have a smaller standard deviation shows next to nothing: FER2013 has
#: two besides its flat ones, at 0.7 and 3.9, both without a face; the next is at 9.1.
NEARLY_FLAT = 5.0

#: What `Audit.masks` looks for, and what tables call it.
PROBLEMS: dict[str, str] = {
    "repeats": "repeats an earlier picture, pixel for pixel",
    "exact_copies": "exact copy of a training picture",
    "near_copies": "near or exact copy of a training picture",
    "near_mirrored": "… of these, copies of its mirror image",
    "near_other_label": "… of these, copies under another label",
    "shifted_copies": "further near copies, when shifted by up to 2 pixels",
    "contradictory": "same picture under several labels",
    "flat": "one flat color",
    "nearly_flat": "nearly flat",
    "no_face": "no face, by most of its votes",
    "no_face_or_unknown": "no face or unknown, by most of its votes",
    "photo_in_training": "cut from a photo that training faces come from too",
}

_LIKELY = 0.6  # the lowest correlation of a pair that is also tried shifted
_LINES = 10


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What `examine` found: arrays with an entry for each of the data set's n pictures.

    ``across`` says that validation and test pictures were compared with training ones; otherwise,
    every picture was compared with all others, and "training picture" in `PROBLEMS` means any
    other. ``first`` (int64) is the position of the first picture with the same pixels; ``exact``
    (bool) says whether the same pixels are in training (or anywhere else). ``nearest`` (int64) is
    the position of the picture that correlates best, -1 for one not compared, or flat;
    ``correlation`` and ``aligned`` (float32) are with that one as it is and shifted by up to 2
    pixels, 1 for an exact copy, NaN without one; ``mirrored`` (bool) says that its mirror image
    is what correlates.
    """

    dataset: FaceDataset
    across: bool
    threshold: float
    first: np.ndarray
    exact: np.ndarray
    nearest: np.ndarray
    correlation: np.ndarray
    aligned: np.ndarray
    mirrored: np.ndarray

    def __repr__(self) -> str:
        return f"<Audit of {self.dataset.describe()}>"

    @property
    def compared(self) -> np.ndarray:
        """Which pictures were compared, (n,) bool: all but the training ones, or all."""
        return (self.dataset.split != "training") | (not self.across)

    def near(self, threshold: float | None = None, *, shifted: bool = False) -> np.ndarray:
        """Mark the pictures with an exact or near copy, (n,) bool; `shifted`: also when shifted."""
        threshold = self.threshold if threshold is None else threshold
        return self.exact | ((self.aligned if shifted else self.correlation) >= threshold)

    def masks(self) -> dict[str, np.ndarray]:
        """Mark the pictures with each problem, (n,) bool, by the keys of `PROBLEMS`.

        What cannot be checked (no votes, no photos) is left out. A picture can have several.
        """
        data, near, level = self.dataset, self.near(), copies.flat(self.dataset.images)
        spread = np.array([image.std(axis=(0, 1)).max() for image in data.images])
        found = {
            "repeats": self.first != np.arange(len(data)),
            "exact_copies": self.exact,
            "near_copies": near,
            "near_mirrored": near & self.mirrored,
            "near_other_label": near & (data.labels[self.nearest] != data.labels),
            "shifted_copies": self.near(shifted=True) & ~near,
            "contradictory": np.isin(
                self.first, self.first[data.labels != data.labels[self.first]]
            ),
            "flat": level,
            "nearly_flat": (spread < NEARLY_FLAT) & ~level,
        }
        if data.votes is not None:
            unknown, none = (data.votes[:, FERPLUS_COLUMNS.index(x)] for x in ("unknown", "NF"))
            half = data.votes.sum(axis=1) / 2
            found |= {"no_face": none > half, "no_face_or_unknown": none + unknown > half}
        if data.photos is not None and self.across:
            known = np.unique(data.photos[data.split == "training"])
            found["photo_in_training"] = np.isin(data.photos, known) & self.compared
        return found

    def problems(self) -> pd.DataFrame:
        """Count the pictures with each problem: one column per split that has some, and "all"."""
        table = (
            pd.DataFrame(self.masks()).groupby(self.dataset.split).sum().T.rename_axis("problem")
        )
        table = table[[split for split in SPLITS if split in table]].assign(all=table.sum(axis=1))
        return table if len(table.columns) > 2 else table[["all"]]

    def describe(self, key: str) -> str:
        """Say what a key of `PROBLEMS` counts here."""
        text = PROBLEMS[key] + (f" ({self.threshold:.2f} or more)" if key == "near_copies" else "")
        return text if self.across else text.replace("a training picture", "another picture")

    def bands(self) -> pd.DataFrame:
        """Show at what correlations a picture and its nearest are still copies.

        Labels of two copies agree about as often as people do on one picture; and among strangers,
        the mirror image fits as often: where a share s is mirrored, about 2s are strangers.
        Returns one row per band (index "correlation"): "pairs", "mirrored", "fit shifted", "same
        label" (counts), "agreement" (the share with the same label; NaN if there are no pairs).
        """
        taken, rows = ~((self.nearest >= 0) & self.compared), {}
        same = self.dataset.labels == self.dataset.labels[self.nearest]
        for edge in (2, *BANDS, -1.0):
            here = self.near(edge) & ~taken
            taken |= here
            name = {2: "exact", -1: "below"}.get(edge, f"{edge:.2f} …")
            counted = (here, self.mirrored, self.near(shifted=True), same)
            rows[name] = [int((here & mask).sum()) for mask in counted]
        names = ["pairs", "mirrored", "fit shifted", "same label"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=names)
        table["agreement"] = table["same label"] / table["pairs"]
        return table.rename_axis("correlation")

    def pairs(self) -> pd.DataFrame:
        """List the near and exact copies, shifted or not, the most alike first.

        Columns: "picture" and "copy_of" (files or rows), "split", "correlation", "aligned",
        "exact", "mirrored", "label" and "copy_of_label" (names); the index holds positions, and
        "position_of" the other's. If all were compared with all, a pair is listed once.
        """
        data, names = self.dataset, self._names()
        source = np.flatnonzero(self.near(shifted=True) & (self.nearest >= 0))
        at, other = source, self.nearest[source]
        if not self.across:  # of the two, the later one is the copy
            keys = np.sort(np.stack([at, other]), axis=0)
            _, once = np.unique(keys, axis=1, return_index=True)
            source, at, other = source[once], keys[1, once], keys[0, once]
        expressions = np.array(data.expressions)
        table = pd.DataFrame(
            {
                "picture": names[at],
                "split": data.split[at],
                "copy_of": names[other],
                "correlation": self.correlation[source],
                "aligned": self.aligned[source],
                "exact": self.first[at] == self.first[other],
                "mirrored": self.mirrored[source],
                "label": expressions[data.labels[at]],
                "copy_of_label": expressions[data.labels[other]],
                "position_of": other,
            },
            index=pd.Index(at, name="position"),
        )
        order = np.lexsort((at, -table["correlation"].to_numpy(), ~table["exact"].to_numpy()))
        return table.iloc[order]

    def contradictions(self) -> pd.DataFrame:
        """List identical pictures under several labels: one row each, grouped by "same_as"."""
        data, names = self.dataset, self._names()
        at = np.flatnonzero(self.masks()["contradictory"])
        at = at[np.argsort(self.first[at], kind="stable")]
        columns = {
            "picture": names[at],
            "same_as": names[self.first[at]],
            "split": data.split[at],
            "label": np.array(data.expressions)[data.labels[at]],
        }
        return pd.DataFrame(columns, index=pd.Index(at, name="position"))

    def _names(self) -> np.ndarray:
        files, photos = self.dataset.files, self.dataset.photos
        if files is not None:
            return files.astype(object)
        rows = np.array([f"row {row}" for row in self.dataset.rows.tolist()], dtype=object)
        return rows if photos is None else photos.astype(object) + ", " + rows

    def numbers(self) -> dict[str, Any]:
        """Count everything, ready for JSON: no names, no pictures."""
        data = self.dataset
        bands = self.bands().reset_index().astype(object)
        return {
            "name": data.name,
            "source": data.source,
            "fingerprint": data.fingerprint(),
            "rows": len(data),
            "splits": {one: int((data.split == one).sum()) for one in SPLITS if one in data.split},
            "across": self.across,
            "threshold": self.threshold,
            "problems": self.problems().T.to_dict(),
            "bands": bands.where(bands.notna(), None).to_dict("records"),
            "contradictory_groups": int(self.contradictions()["same_as"].nunique()),
            "skipped": {why.partition(", first ")[0]: int(count) for why, count in data.skipped},
        }

    def summary(self) -> str:
        """Report what was examined and found, for a terminal: counts, then the first ten pairs."""
        problems = self.problems().rename(index=self.describe)
        some = problems[problems["all"] > 0]
        parts = [self.dataset.describe(), some.to_string() if len(some) else "nothing found"]
        for title, table in (("copies", self.pairs()), ("contradictions", self.contradictions())):
            if len(table):
                shown = table.head(_LINES).drop(columns="position_of", errors="ignore").round(3)
                parts.append(f"{title} ({min(len(table), _LINES)} of {len(table):,})")
                parts.append(shown.to_string(index=False))
        return runtime.printable("\n\n".join(parts))


def examine(dataset: FaceDataset, *, threshold: float = THRESHOLD, within: bool = False) -> Audit:
    """Look for copies, near copies, contradictory labels, flat pictures, pictures without a face.

    Parameters
    ----------
    dataset : FaceDataset
        Its `votes` and `photos` are used if it has them.
    threshold : float
        The lowest correlation of a near copy, over 0 and at most 1.
    within : bool
        Compare every picture with all others, whatever their splits. This is also done when
        nothing, or everything, is training.

    Raises
    ------
    DataError
        When the data set is empty, or the threshold is not a possible correlation.
    """
    if not 0 < threshold <= 1:
        raise DataError(f"threshold {threshold}: expected over 0 and at most 1")
    count = len(dataset)
    if not count:
        raise DataError(f"{dataset.name}: found no pictures, expected at least one")
    # All at once: every picture is compared with every other.
    dataset = dataset.with_images(np.asarray(dataset.images))
    training, images = dataset.split == "training", dataset.images
    across = bool(training.any() and not training.all() and not within)
    first = first_copies(dataset)
    at = np.arange(count)
    chosen = training if across else first != at  # of the same pixels: in training, or repeats
    known = pd.Series(np.where(chosen, at, count)).groupby(first).transform("min").to_numpy()
    place = np.where(chosen, count if across else first, known)
    place[place == count] = -1
    exact = place >= 0
    correlation, mirrored = np.where(exact, 1, np.nan), np.zeros(count, dtype=bool)
    # Of pictures with the same pixels, the first represents all.
    known = np.flatnonzero(training) if across else np.arange(count)
    among = np.sort(known[np.unique(first[known], return_index=True)[1]])
    asked = np.flatnonzero(~training & ~exact) if across else among
    found = copies.nearest(images[asked], images[among], themselves=not across)
    new = ~exact[asked] & (found[0] >= 0)
    at = asked[new]
    place[at], correlation[at], mirrored[at] = among[found[0][new]], found[1][new], found[2][new]
    aligned = correlation.astype(np.float32)
    likely = np.flatnonzero((correlation >= _LIKELY) & ~exact)
    for at in np.split(likely, range(copies.BLOCK, len(likely), copies.BLOCK)):
        aligned[at] = copies.aligned(copies.mirrored(images[at], mirrored[at]), images[place[at]])
    arrays = first, exact, place, correlation.astype(np.float32), aligned, mirrored
    return Audit(dataset, across, float(threshold), *arrays)


def record(audit: Audit, folder: Path, about: Mapping[str, Any]) -> Path:
    """Write an audit's numbers and pairs, no names and no pictures; `recorded` reads them back.

    The .json, which is returned, is written last: without it, there is no record. DataError if
    nothing was compared with training.
    """
    from utils import records

    data, path = audit.dataset, folder / f"{audit.dataset.name}-leaks.json"
    if not audit.across:
        raise DataError(f"{data.name}: found no splits, expected some: there is nothing to record")
    at = np.flatnonzero(audit.compared)
    at = at[np.argsort(data.rows[at], kind="stable")]
    names = ("correlation", "aligned", "mirrored", "exact")
    arrays = {name: getattr(audit, name)[at] for name in names}
    arrays["rows"], near = data.rows[at].astype(np.int32), audit.nearest[at]
    arrays["nearest"] = np.where(near >= 0, data.rows[near], -1).astype(np.int32)
    training, tried = data.part("training").images, None
    if training.shape[3] == 1:
        tried = sensitivity(training, threshold=audit.threshold).round(4).reset_index()
    path.unlink(missing_ok=True)
    runtime.write_npz(path.with_suffix(".npz"), **arrays)
    info = {
        **audit.numbers(),
        "sensitivity": None if tried is None else tried.to_dict("records"),
        "audited": runtime.now(),
        **about,
        **records.surroundings(),
    }
    runtime.write_json(path, info)
    return path


def recorded(
    name: str = "fer2013", folder: Path | None = None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read a recorded audit, by the data set's name, from a folder (``results/data``).

    Returns
    -------
    dict
        `Audit.numbers` and more.
    DataFrame
        One row per compared picture, index "rows" (of the source file, ascending): "nearest" (the
        training row that correlates best, or -1), and "correlation", "aligned", "mirrored" and
        "exact" as in `Audit`.

    Raises
    ------
    ModelError, DataError
        When there is none, or a file is not what it should be.
    """
    path = (folder or runtime.RESULTS / "data") / f"{name}-leaks.json"
    info = runtime.read_json(path)
    columns = ("rows", "nearest", "correlation", "aligned", "mirrored", "exact")
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            pairs = pd.DataFrame({key: arrays[key] for key in columns}).set_index("rows")
        expected = info["rows"] - info["splits"]["training"]
        if len(pairs) != expected or not (np.diff(pairs.index) > 0).all():
            raise ValueError(f"expected pairs of {expected:,} rows, ascending")
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds on a damaged archive
        raise DataError(f"{path.name}: cannot be read: {type(error).__name__}: {error}") from error
    return info, pairs


def sensitivity(
    images: np.ndarray, *, threshold: float = THRESHOLD, most: int = 1000
) -> pd.DataFrame:
    """Measure how much a copy still correlates with its picture, by what was done to the copy.

    It draws up to `most` of the images, (n, height, width, 1) uint8, that are not flat. Returns
    one row per change (index "change": `sample.planted.CHANGES`): "pictures", "median" and "lowest"
    (correlation; of all but one in a hundred), "found" (the share at `threshold` or more),
    "found_shifted" (the same when they are `copies.aligned`).
    """
    from utils.sample.draws import Draws
    from utils.sample.planted import CHANGES, changed

    draws = Draws(0, 91)
    chosen = draws.order(len(images))
    originals = images[chosen[~copies.flat(images[chosen])][:most]]
    rows = {}
    for change in CHANGES:
        made = np.stack([changed(image[..., 0], change, draws) for image in originals])[..., None]
        known = copies.mirrored(originals) if change == "mirrored" else originals
        found = np.nan_to_num(copies.correlations(made, known))  # a change can leave one gray level
        better = np.fmax(found, copies.aligned(made, known))
        rows[change] = {
            "pictures": len(found),
            "median": float(np.median(found)),
            "lowest": float(np.quantile(found, 0.01)),
            "found": float(np.mean(found >= threshold)),
            "found_shifted": float(np.mean(better >= threshold)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("change")


def _load(path: str, **options) -> FaceDataset:
    """Read whatever is at a path, or the data set of that name; with FER+'s votes."""
    place = Path(path)
    if not place.exists() and path in datasets.LOADERS:
        place = runtime.RAW / path
        if not place.exists():
            return datasets.load(path, **options)
    if not place.exists():
        raise DataError(f"{path}: no such file or folder, and no data set of that name")
    cache = runtime.RAW in place.absolute().parents  # no copy of data kept elsewhere
    name = {"label.lst": "expw", ".parquet": "folder"}
    name = name.get(place.name, name.get(place.suffix, "fer2013"))
    if place.is_dir():
        if sources.find_files(place, (expw.LIST_NAME,)):
            name = "expw"
        elif fer2013.find_csv(place) is None:
            name = "folder"
        elif not options and sources.find_files(place, (ferplus.VOTES_NAME,)):
            return datasets.beside_fer2013(place, cache=cache)
    return datasets.load(name, place, cache=cache, **options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine, print the findings, write what was asked for."""
    parser = runtime.parser("python -m utils.honesty.audit", __doc__.partition(">>>")[0])
    add = parser.add_argument
    add("path", metavar="PATH", help="a csv, a folder, or a data set's name")
    add("--threshold", type=float, default=THRESHOLD, help="near-copy correlation (%(default)s)")
    add("--classes", metavar="A,B,…", help="names of a folder's numbered classes")
    add("--within", action="store_true", help="compare every picture with all others")
    add("--json", type=Path, metavar="FILE", help="write numbers and pairs; -: print them instead")
    add("--record", type=Path, metavar="FOLDER", help="write FOLDER/NAME-leaks.json: results/data")
    asked = parser.parse_args(arguments)
    options = {"classes": tuple(asked.classes.split(","))} if asked.classes else {}
    audit = examine(_load(asked.path, **options), threshold=asked.threshold, within=asked.within)
    told = audit.numbers()
    for name in ("pairs", "contradictions"):
        table = getattr(audit, name)().drop(columns="position_of", errors="ignore").round(4)
        told[name] = json.loads(table.to_json(orient="records"))
    if asked.json == Path("-"):
        print(json.dumps(told, indent=2, allow_nan=False))
    else:
        print(audit.summary())
        if asked.json:
            runtime.write_json(asked.json, told)
    if asked.record:
        runtime.setup()
        record(audit, asked.record, {"command": runtime.command_line()})


if __name__ == "__main__":
    runtime.run_command(main)
