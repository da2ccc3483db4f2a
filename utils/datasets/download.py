"""Put FER2013 into ``data/raw/fer2013``: ``make data``, or ``python -m utils.datasets.download``.

The pictures come from Kaggle through `kagglehub`, which needs no account for public sets, or from
a copy that you name. Before anything is put in place, it is read, and its rows are checked against
the challenge's own counts (Goodfellow et al. 2013).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from utils import datasets, runtime
from utils.datasets import ferplus, splits
from utils.datasets.fer2013 import ARCHIVE_NAMES, CSV_NAMES, find_csv, find_folders
from utils.datasets.sources import find_files, folder_and_file, refuse, shown
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError

#: Where each form of FER2013 is on Kaggle.
KAGGLE = {"kaggle-csv": "deadskull7/fer2013", "kaggle-folders": "msambare/fer2013"}

#: FER+'s votes, in Microsoft's repository; and how many rows they have.
FERPLUS_ADDRESS = "https://raw.githubusercontent.com/microsoft/FERPlus/master/fer2013new.csv"
FERPLUS_ROWS = 35_887

#: The challenge's own counts: one row per split, one column per expression.
OFFICIAL_COUNTS = {
    "training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}


def _fetch(source: str, copy: str | None) -> None:
    """Get FER2013 or FER+'s votes, online or from a local copy; check it; put it in place."""
    if copy is not None and not Path(copy).expanduser().exists():
        raise DataError(f"{copy}: no such file or folder, expected a copy of the data")
    runtime.RAW.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runtime.RAW, prefix=".download-") as folder:
        scratch = Path(folder)
        if copy is not None:
            origin = Path(copy).expanduser()
        elif source == "ferplus":
            origin = _from_address(FERPLUS_ADDRESS, scratch / "download.csv")
        else:
            origin = _from_kaggle(KAGGLE[source])
        install = _install_votes if source == "ferplus" else _install_faces
        try:
            install(origin, runtime.RAW / "fer2013", scratch)
        finally:
            with contextlib.suppress(OSError):  # not empty, as it should be
                (runtime.RAW / "fer2013").rmdir()


def _checked(name: str, path: Path | None = None, *, cache: bool = True) -> datasets.FaceDataset:
    """Load a data set; check FER2013's rows against the challenge's own counts."""
    dataset = datasets.load(name, path, cache=cache)
    for split, numbers in OFFICIAL_COUNTS.items() if name == "fer2013" else ():
        found = dataset.counts()[split].to_dict()
        expected = dict(zip(EXPRESSIONS, numbers, strict=True))
        if found != expected:
            refuse(dataset.source, f"{split} {found}", f"{expected} as in FER2013")
    return dataset


def _from_kaggle(handle: str) -> Path:
    try:
        import kagglehub

        # Shows its own progress bar, resumes interrupted downloads, and checks Kaggle's checksum.
        return Path(kagglehub.dataset_download(handle))
    except Exception as error:  # not installed, network, quota, Kaggle's own: one remedy
        raise DataError(
            f"{handle} could not be downloaded from Kaggle ({type(error).__name__}: {error}): try "
            f"again, or get it from https://www.kaggle.com/datasets/{handle} in a browser and name "
            "the copy with --from"
        ) from error


def _from_address(address: str, target: Path) -> Path:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            target.write_bytes(answer.read())  # IncompleteRead, an HTTPException, if cut off
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        raise DataError(
            f"{address} could not be downloaded ({error}): try again, or name a copy with --from"
        ) from error
    return target


def _install_faces(origin: Path, target: Path, scratch: Path) -> None:
    _checked("fer2013", origin, cache=False)
    target.mkdir(exist_ok=True)
    table, name = find_csv(origin), ""
    if table is not None:
        # A name that the loader looks for, chosen by the form of the file.
        forms = {".zip": "fer2013.zip", ".gz": "fer2013.csv.gz", ".tar": "fer2013.tar"}
        tarred = table.name.lower().endswith((".tar.gz", ".tgz"))
        name = "fer2013.tar.gz" if tarred else forms.get(table.suffix.lower(), "fer2013.csv")
    first = CSV_NAMES if table else (*CSV_NAMES, *ARCHIVE_NAMES)
    others = [file for file in find_files(target, first) if file.name.lower() != name]
    if others and not (table and others[0].samefile(table)):
        raise DataError(f"{shown(others[0])} is there too and would be read first: remove it")
    if table is not None:
        _place(table, target / name, scratch)
        return
    for folder in sorted(find_folders(origin).iterdir()):
        if folder.is_dir() and splits.named(folder.name):
            place, new = target / folder.name.lower(), scratch / folder.name.lower()
            shutil.copytree(folder, new)
            if place.exists():
                os.replace(place, scratch / f"old-{place.name}")
            os.replace(new, place)


def _install_votes(origin: Path, target: Path, scratch: Path) -> None:
    _, table = folder_and_file(origin, ferplus.VOTES_NAME, "FER+'s votes")
    _, votes = ferplus.read_votes(table)
    if len(votes) != FERPLUS_ROWS:
        refuse(table.name, f"{len(votes):,} rows", f"{FERPLUS_ROWS:,}")
    target.mkdir(exist_ok=True)
    _place(table, target / ferplus.VOTES_NAME, scratch)


def _place(origin: Path, target: Path, scratch: Path) -> None:
    """Copy a file; at any moment the target is either the old one or the complete new one."""
    if not (target.exists() and target.samefile(origin)):
        shutil.copyfile(origin, scratch / target.name)
        os.replace(scratch / target.name, target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch what the command line asks for, and print one line on what is there now."""
    parser = argparse.ArgumentParser(prog="python -m utils.datasets.download", description=__doc__)
    parser.add_argument("--source", choices=(*KAGGLE, "ferplus"), default="kaggle-csv")
    parser.add_argument(
        "--from", dest="copy", metavar="PATH", help="take the data from this file or folder instead"
    )
    parser.add_argument("--force", action="store_true", help="fetch it even if it is already there")
    chosen = parser.parse_args(arguments)
    name = "ferplus" if chosen.source == "ferplus" else "fer2013"
    try:
        if chosen.force or chosen.copy is not None:
            raise DataError("a new copy is wanted")
        dataset = _checked(name)
    except DataError:
        _fetch(chosen.source, chosen.copy)
        dataset = _checked(name)
    print(dataset.describe())


if __name__ == "__main__":
    runtime.run_command(main)
