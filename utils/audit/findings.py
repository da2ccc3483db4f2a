"""`examine` a data set, and what it found: an `Audit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from utils.audit import correlation as correlating
from utils.audit import faults
from utils.datasets import SPLITS, FaceDataset, first_copies
from utils.runtime import DataError

#: The correlation from which a pair counts as a near copy, unless told otherwise.
THRESHOLD = 0.95
#: Where `Audit.thresholds` counts, and where the bands of `Audit.bands` begin.
THRESHOLDS: tuple[float, ...] = (0.99, 0.98, 0.95, 0.90, 0.85, 0.80)

#: From which correlation a pair is tried once more, shifted.
LIKELY = 0.6

#: What `Audit.masks` looks for, and how it is called in tables.
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
#: Which of `Audit.tables` list pictures; the others count them.
LISTS: tuple[str, ...] = (
    "Near and exact copies",
    "Same picture, several labels",
    "Flat pictures",
    "Files that could not be read",
)
_WITHIN = {
    "exact_copies": "exact copy of another picture",
    "near_copies": "near or exact copy of another picture",
}


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What was found wrong with a data set: arrays with an entry for each of its n pictures.

    Attributes
    ----------
    name, source : str
        The data set's, as in `FaceDataset`.
    fingerprint : str
        The data set's.
    expressions : tuple of str
        Class names, in label order.
    names : tuple of n str
        What to call each picture: a file below the folder, or "row 17".
    rows, labels : (n,) int64 arrays
    split : (n,) str array
    across : bool
        True where validation and test pictures were compared with training ones; False where
        there is one split alone, and every picture was compared with all others.
    threshold : float
        The correlation from which a pair counts as a near copy.
    first : (n,) int64 array
        The position of the first picture with the same pixels.
    exact : (n,) bool array
        Whether the same pixels stand in training (`across`), or anywhere else.
    nearest : (n,) int64 array
        The position of the picture that correlates best: a training picture (`across`), or any
        other. -1 for what was not compared: training pictures (`across`), flat pictures.
    correlation : (n,) float32 array
        With that picture; 1 for an exact copy; NaN where `nearest` is -1.
    aligned : (n,) float32 array
        With that same picture, shifted by up to `correlation.REACH` pixels to where it fits best;
        tried where `correlation` is `LIKELY` or more, elsewhere the same as `correlation`.
    mirrored : (n,) bool array
        Whether the mirror image is what correlates.
    flat, nearly_flat : (n,) bool arrays
    no_face, unclear : (n,) bool arrays, or None where there are no votes
        See `faults.without_face`.
    photos : (n,) str array, or None
        The photo that each face was cut from.
    unreadable : tuple of (str, str)
        Files that could not be read, with the reason.
    skipped : tuple of (str, int)
        As in `FaceDataset`.
    """

    name: str
    source: str
    fingerprint: str
    expressions: tuple[str, ...]
    names: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    across: bool
    threshold: float
    first: np.ndarray
    exact: np.ndarray
    nearest: np.ndarray
    correlation: np.ndarray
    aligned: np.ndarray
    mirrored: np.ndarray
    flat: np.ndarray
    nearly_flat: np.ndarray
    no_face: np.ndarray | None = None
    unclear: np.ndarray | None = None
    photos: np.ndarray | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<Audit of {self.name}: {len(self):,} pictures>"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have pictures, in the order of `SPLITS`."""
        return tuple(split for split in SPLITS if (self.split == split).any())

    @property
    def _named_splits(self) -> tuple[str, ...]:
        """The splits where there are several: one alone is no split."""
        return self.splits if len(self.splits) > 1 else ()

    @property
    def compared(self) -> np.ndarray:
        """Which pictures were compared, (n,) bool: all but training's, or all."""
        return (self.split != "training") if self.across else np.ones(len(self), dtype=bool)

    def near(self, threshold: float | None = None, *, shifted: bool = False) -> np.ndarray:
        """Mark the pictures that have an exact or near copy in training (or anywhere).

        Parameters
        ----------
        threshold : float, optional
            By default the audit's own.
        shifted : bool
            Whether copies count that reach the threshold only when they are shifted.

        Returns
        -------
        (n,) bool array
        """
        threshold = self.threshold if threshold is None else threshold
        with np.errstate(invalid="ignore"):
            return self.exact | ((self.aligned if shifted else self.correlation) >= threshold)

    @property
    def disagrees(self) -> np.ndarray:
        """Whether the nearest picture carries another label, (n,) bool; False where none is."""
        paired = self.nearest >= 0
        return paired & (self.labels[self.nearest] != self.labels)

    def masks(self) -> dict[str, np.ndarray]:
        """Mark the pictures that have each problem.

        Returns
        -------
        dict of str to (n,) bool array
            By the keys of `PROBLEMS`; those that cannot be asked (no votes, no photos) are left
            out. A picture can have several.
        """
        near = self.near()
        found = {
            "repeats": self.first != np.arange(len(self)),
            "exact_copies": self.exact,
            "near_copies": near,
            "near_mirrored": near & self.mirrored,
            "near_other_label": near & self.disagrees,
            "shifted_copies": self.near(shifted=True) & ~near,
            "contradictory": faults.contradictory(self.first, self.labels),
            "flat": self.flat,
            "nearly_flat": self.nearly_flat,
        }
        if self.no_face is not None and self.unclear is not None:
            found |= {"no_face": self.no_face, "no_face_or_unknown": self.unclear}
        if self.photos is not None and self.across:
            known = np.unique(self.photos[self.split == "training"])
            found["photo_in_training"] = np.isin(self.photos, known) & self.compared
        return found

    def problems(self) -> pd.DataFrame:
        """Count the pictures with each problem in each split.

        Returns
        -------
        DataFrame of int
            A row a key of `PROBLEMS`, a column a split that has pictures (where there are
            several), and a last column "all".
        """
        masks = self.masks()
        table = pd.DataFrame(
            {
                split: [int((mask & (self.split == split)).sum()) for mask in masks.values()]
                for split in self._named_splits
            },
            index=pd.Index(masks, name="problem"),
        )
        return table.assign(all=[int(mask.sum()) for mask in masks.values()])

    def identical(self) -> pd.DataFrame:
        """Count the pictures that stand in two splits, or twice in one, pixel for pixel.

        Returns
        -------
        DataFrame of int
            A row a pair of splits (index "splits"). "pictures" counts different pictures, "rows"
            the rows that show them in these splits.
        """
        counts = pd.crosstab(self.first, self.split).reindex(columns=list(self.splits))
        rows = []
        for at, one in enumerate(self.splits):
            for two in self.splits[at:]:
                both = counts[one] > 1 if one == two else (counts[one] > 0) & (counts[two] > 0)
                shown = counts.loc[both, list(dict.fromkeys((one, two)))]
                label = f"twice in {one}" if one == two else f"{one} and {two}"
                label = label if self._named_splits else "twice"
                rows.append((label, int(both.sum()), int(shown.to_numpy().sum())))
        return pd.DataFrame(rows, columns=["splits", "pictures", "rows"]).set_index("splits")

    def thresholds(self, at: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
        """Count near copies at several thresholds: how much hangs on the choice of one.

        Parameters
        ----------
        at : sequence of float
            The audit's own threshold is added.

        Returns
        -------
        DataFrame
            A row a threshold, "exact" first (index "correlation"): a column each compared split
            (where there are several splits), "all", "mirrored" and "other label" (the nearest
            picture carries another).
        """
        compared = [
            split for split in self._named_splits if self.compared[self.split == split].any()
        ]
        rows = {}
        for threshold in (None, *sorted({*at, self.threshold}, reverse=True)):
            near = self.exact if threshold is None else self.near(threshold)
            rows["exact" if threshold is None else f"{_two(threshold)} or more"] = {
                **{split: int((near & (self.split == split)).sum()) for split in compared},
                "all": int(near.sum()),
                "mirrored": int((near & self.mirrored).sum()),
                "other label": int((near & self.disagrees).sum()),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("correlation")

    def bands(self, at: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
        """Ask how far likeness means anything, by how alike a picture and its nearest are.

        Two signs tell copies from strangers that happen to look alike. Labels: those of two
        copies agree about as often as people agree on one picture, those of strangers little
        more often than by chance. Mirror images: among strangers the mirror image fits better as
        often as the picture itself does, while copies are seldom mirrored. So in a band where a
        share s is mirrored, about 2 s of the pairs are strangers, or fewer.

        Parameters
        ----------
        at : sequence of float
            Where the bands begin.

        Returns
        -------
        DataFrame
            A row a band, from "exact" to below the last (index "correlation"): "pairs",
            "mirrored", "fit shifted" (reach the audit's threshold when shifted), "same label"
            (numbers), "agreement" (the share with the same label; NaN where there are no pairs).
        """
        edges = [None, *sorted(set(at), reverse=True), -1.0]
        names = ["exact", *(f"{_two(edge)} …" for edge in edges[1:-1]), "below"]
        taken = ~((self.nearest >= 0) & self.compared)
        rows = {}
        for edge, name in zip(edges, names, strict=True):
            here = (self.exact if edge is None else self.near(edge)) & ~taken
            taken |= here
            same = int((here & ~self.disagrees).sum())
            rows[name] = {
                "pairs": int(here.sum()),
                "mirrored": int((here & self.mirrored).sum()),
                "fit shifted": int((here & self.near(shifted=True)).sum()),
                "same label": same,
                "agreement": same / here.sum() if here.any() else float("nan"),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("correlation")

    def pairs(self, threshold: float | None = None, *, shifted: bool = True) -> pd.DataFrame:
        """List the near and exact copies, the most alike first.

        Parameters
        ----------
        threshold : float, optional
            By default the audit's own.
        shifted : bool
            Whether to list those that reach it only when they are shifted.

        Returns
        -------
        DataFrame
            "picture" and "copy_of" (names), "split", "correlation", "aligned", "exact",
            "mirrored", "label" and "copy_of_label" (names), "same_label"; the index holds
            positions, and "position_of" the other's. Where there are no splits, a pair stands once.
        """
        at = np.flatnonzero(self.near(threshold, shifted=shifted) & (self.nearest >= 0))
        other = self.nearest[at]
        if not self.across:
            keys = np.sort(np.stack([at, other]), axis=0)
            _, once = np.unique(keys, axis=1, return_index=True)
            # Of the two, the later one is the copy.
            at, other = keys[1, once], keys[0, once]
            swapped = self.nearest[at] != other
            source = np.where(swapped, other, at)
        else:
            source = at
        table = pd.DataFrame(
            {
                "picture": [self.names[i] for i in at],
                "split": self.split[at],
                "copy_of": [self.names[i] for i in other],
                "correlation": self.correlation[source],
                "aligned": self.aligned[source],
                "exact": self.first[at] == self.first[other],
                "mirrored": self.mirrored[source],
                "label": [self.expressions[i] for i in self.labels[at]],
                "copy_of_label": [self.expressions[i] for i in self.labels[other]],
                "same_label": self.labels[at] == self.labels[other],
                "position_of": other,
            },
            index=pd.Index(at, name="position"),
        )
        order = np.lexsort((at, -table["correlation"].to_numpy(), ~table["exact"].to_numpy()))
        return table.iloc[order]

    def contradictions(self) -> pd.DataFrame:
        """List the groups of identical pictures that carry several labels.

        Returns
        -------
        DataFrame
            A row a group, by its first picture: "picture", "rows" (how many), "labels" (each with
            its number), "splits", "others" (the names of the rest).
        """
        torn = np.flatnonzero(faults.contradictory(self.first, self.labels))
        groups = []
        for start in np.unique(self.first[torn]):
            members = torn[self.first[torn] == start]
            labels = [self.expressions[i] for i in self.labels[members]]
            groups.append(
                {
                    "picture": self.names[members[0]],
                    "rows": len(members),
                    "labels": ", ".join(
                        f"{labels.count(label)} {label}" for label in dict.fromkeys(labels)
                    ),
                    "splits": ", ".join(dict.fromkeys(self.split[members].tolist())),
                    "others": ", ".join(self.names[i] for i in members[1:]),
                }
            )
        return pd.DataFrame(groups, columns=["picture", "rows", "labels", "splits", "others"])

    def by_photo(self) -> dict[str, int] | None:
        """Count photos and their faces; None where faces come from no photos.

        Returns
        -------
        dict of str to int, or None
            "photos", "with_several_faces", "faces_of_these", "most_faces" (of one photo),
            "in_several_splits" (photos whose faces do not stay together).
        """
        if self.photos is None:
            return None
        _, group, sizes = np.unique(self.photos, return_inverse=True, return_counts=True)
        table = pd.crosstab(group, self.split)
        return {
            "photos": len(sizes),
            "with_several_faces": int((sizes > 1).sum()),
            "faces_of_these": int(sizes[sizes > 1].sum()),
            "most_faces": int(sizes.max()),
            "in_several_splits": int(((table > 0).sum(axis=1) > 1).sum()),
        }

    def describe(self, key: str) -> str:
        """Say in words what a key of `PROBLEMS` counts here."""
        text = PROBLEMS[key] if self.across else _WITHIN.get(key, PROBLEMS[key])
        return f"{text} ({_two(self.threshold)} or more)" if key == "near_copies" else text

    def tables(self) -> dict[str, pd.DataFrame]:
        """Put everything that was found into tables, by their titles, for print or page.

        Returns
        -------
        dict of str to DataFrame
            Counts first, then `LISTS` of pictures; lists that would be empty are left out.
        """
        problems = self.problems().rename(index=self.describe)
        compared_with = "training" if self.across else "the rest"
        found = {
            "What is wrong, in pictures": problems,
            "Identical pictures": self.identical(),
            f"Nearest picture in {compared_with}, by threshold": self.thresholds(),
            "Do the labels of the two agree?": self.bands(),
        }
        photos = self.by_photo()
        if photos is not None:
            names = {key: key.replace("_", " ") for key in photos}
            found["Photos"] = pd.DataFrame(
                {"number": photos.values()}, index=pd.Index(names.values(), name="photos")
            )
        level = np.flatnonzero(self.flat | self.nearly_flat)
        lists = (
            self.pairs().drop(columns="position_of").set_index("picture"),
            self.contradictions().set_index("picture"),
            pd.DataFrame(
                {"split": self.split[level], "how": np.where(self.flat[level], "flat", "nearly")},
                index=pd.Index([self.names[i] for i in level], name="picture"),
            ),
            pd.DataFrame(
                {"reason": [reason for _, reason in self.unreadable]},
                index=pd.Index([name for name, _ in self.unreadable], name="file"),
            ),
        )
        listed = zip(LISTS, lists, strict=True)
        return found | {title: table for title, table in listed if len(table)}

    def numbers(self) -> dict[str, Any]:
        """Count everything, ready for JSON: no names, no pictures.

        Returns
        -------
        dict
            name, source, fingerprint, rows, splits (split → pictures), across, threshold,
            problems (key → split → pictures), identical, thresholds, bands (a list of rows each),
            contradictory_groups, photos, unreadable, skipped.
        """
        return {
            "name": self.name,
            "source": self.source,
            "fingerprint": self.fingerprint,
            "rows": len(self),
            "splits": {split: int((self.split == split).sum()) for split in self.splits},
            "across": self.across,
            "threshold": self.threshold,
            "problems": {
                key: {split: int(count) for split, count in row.items()}
                for key, row in self.problems().iterrows()
            },
            "identical": _rows(self.identical()),
            "thresholds": _rows(self.thresholds()),
            "bands": _rows(self.bands()),
            "contradictory_groups": len(self.contradictions()),
            "photos": self.by_photo(),
            "unreadable": len(self.unreadable),
            "skipped": {reason: int(count) for reason, count in self.skipped},
        }


def _two(threshold: float) -> str:
    """Write a threshold with two decimals, or as many as it has."""
    return f"{threshold:.2f}" if round(threshold, 2) == threshold else f"{threshold:g}"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a table into a list of plain rows; a share that does not exist becomes None."""
    rows = table.reset_index().to_dict("records")
    return [
        {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]


def examine(
    dataset: FaceDataset,
    *,
    threshold: float = THRESHOLD,
    mirror: bool = True,
    block: int = correlating.BLOCK,
    first: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    unreadable: Sequence[tuple[str, str]] = (),
) -> Audit:
    """Look for copies, near copies, contradictory labels, flat pictures and pictures without face.

    With training and at least one other split, every validation and test picture is compared
    with every training picture; with one split alone (or no training), every picture with all
    others.

    Parameters
    ----------
    dataset : FaceDataset
        `votes` and `photos` are looked at where it has them.
    threshold : float
        The correlation from which a pair counts as a near copy, over 0 and at most 1. See
        `utils.audit.correlation` for what it can mean.
    mirror : bool
        Whether mirror images are compared too.
    block : int
        See `correlation.nearest`.
    first : (n,) int array, optional
        For each picture the position of the first that is the same, where that is known better
        than from the data set's own pixels (which may have been shrunk).
    names : sequence of n str, optional
        What to call the pictures; by default "row 17", or the photo and the row.
    unreadable : sequence of (str, str)
        Files that could not be read, with the reason: only passed on.

    Returns
    -------
    Audit

    Raises
    ------
    DataError
        When the data set is empty, or `first` or `names` do not fit it.
    ValueError
        For a threshold that no correlation can be.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}: expected over 0 and at most 1")
    count = len(dataset)
    if not count:
        raise DataError(f"{dataset.name}: found no pictures, expected at least one")
    first = first_copies(dataset) if first is None else np.asarray(first, dtype=np.int64)
    names = _names(dataset) if names is None else tuple(names)
    for what, values in (("first", first), ("names", names)):
        if len(values) != count:
            raise DataError(
                f"found {len(values):,} {what} for {count:,} pictures, expected as many"
            )
    training = dataset.split == "training"
    across = bool(training.any() and not training.all())
    exact, place = _exact(first, training if across else None)
    correlation = np.where(exact, 1, np.nan).astype(np.float32)
    mirrored = np.zeros(count, dtype=bool)
    if across:
        asked = np.flatnonzero(~training & ~exact)
        # Of training pictures with the same pixels the first stands for all.
        _, distinct = np.unique(first[training], return_index=True)
        among = np.sort(np.flatnonzero(training)[distinct])
    else:
        among = np.unique(first)
        asked = among
    found = correlating.nearest(
        dataset.images[asked],
        dataset.images[among],
        mirror=mirror,
        themselves=not across,
        block=block,
    )
    new = ~exact[asked]
    at = asked[new]
    place[at] = np.where(found.place[new] >= 0, among[found.place[new]], -1)
    correlation[at], mirrored[at] = found.correlation[new], found.mirrored[new]
    better = _aligned(dataset.images, place, correlation, mirrored, exact)
    no_face, unclear = (None, None) if dataset.votes is None else faults.without_face(dataset.votes)
    return Audit(
        name=dataset.name,
        source=dataset.source,
        fingerprint=dataset.fingerprint(),
        expressions=dataset.expressions,
        names=names,
        rows=dataset.rows,
        labels=dataset.labels,
        split=dataset.split,
        across=across,
        threshold=float(threshold),
        first=first,
        exact=exact,
        nearest=place,
        correlation=correlation,
        aligned=better,
        mirrored=mirrored,
        flat=faults.flat(dataset.images),
        nearly_flat=faults.nearly_flat(dataset.images),
        no_face=no_face,
        unclear=unclear,
        photos=dataset.photos,
        unreadable=tuple((str(name), str(reason)) for name, reason in unreadable),
        skipped=dataset.skipped,
    )


def _names(dataset: FaceDataset) -> tuple[str, ...]:
    if dataset.photos is None:
        return tuple(f"row {row}" for row in dataset.rows.tolist())
    pairs = zip(dataset.photos.tolist(), dataset.rows.tolist(), strict=True)
    return tuple(f"{photo}, row {row}" for photo, row in pairs)


def _exact(first: np.ndarray, training: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Find who has an exact copy in training (or, with None, anywhere), and the first such one."""
    count = len(first)
    positions = np.arange(count)
    if training is not None:
        known = np.full(count, count)
        np.minimum.at(known, first[training], positions[training])
        place = known[first]
        exact = (place < count) & ~training
    else:
        later = np.flatnonzero(first != positions)
        second = np.full(count, count)
        np.minimum.at(second, first[later], later)
        place = np.where(first != positions, first, second)
        exact = place < count
    return exact, np.where(exact, place, -1)


def _aligned(
    images: np.ndarray,
    place: np.ndarray,
    correlation: np.ndarray,
    mirrored: np.ndarray,
    exact: np.ndarray,
) -> np.ndarray:
    """Try the likely pairs once more, shifted: (n,) float32."""
    better = correlation.copy()
    with np.errstate(invalid="ignore"):
        likely = np.flatnonzero((correlation >= LIKELY) & ~exact)
    if min(images.shape[1:3]) <= 2 * correlating.REACH:
        return better
    for start in range(0, len(likely), correlating.BLOCK):
        at = likely[start : start + correlating.BLOCK]
        asked = images[at]
        asked[mirrored[at]] = correlating.mirrored(asked[mirrored[at]])
        better[at] = correlating.aligned(asked, images[place[at]])
    return better
