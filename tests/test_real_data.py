"""The loaders on the real pictures: the published counts, and what is known to be wrong.

Needs FER2013 with FER+'s votes in ``data/raw/fer2013`` and ExpW in ``data/raw/expw``; a part that
is missing is skipped, and says so.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from utils import datasets, runtime
from utils.datasets import download, expw, fer2013
from utils.expressions import EXPRESSIONS

pytestmark = pytest.mark.real_data


def load(name, **options):
    wanted = {"expw": "expw/**/label.lst", "ferplus": "fer2013/**/fer2013new.csv"}
    if not any(runtime.RAW.glob(wanted.get(name, "fer2013/**/*"))):
        pytest.skip(f"{name} is not in data/raw")
    return datasets.load(name, **options)


@pytest.fixture(scope="module")
def fer():
    return load("fer2013")


def test_fer2013_has_the_challenge_s_own_counts(fer):
    counts = fer.counts()
    for split, official in download.OFFICIAL_COUNTS.items():
        assert counts[split].tolist() == list(official)
    assert counts["all"].sum() == len(fer) == 35_887
    assert counts[list(datasets.SPLITS)].sum().tolist() == [28_709, 3_589, 3_589]
    assert fer.images.shape == (35_887, 48, 48, 1)
    assert fer.skipped == ()


@pytest.mark.parametrize("name", ["fer2013", "ferplus", "expw"])
def test_the_records_are_of_these_pictures(name):
    recorded = runtime.read_json(runtime.RESULTS / "data" / f"{name}.json")
    dataset = load(name)
    # A copy assembled from another release differs in some pixels, so in its fingerprint.
    if dataset.fingerprint() != recorded["fingerprint"]:
        pytest.skip("another copy than the recorded one")
    assert datasets.summary(dataset) == recorded
    for file in runtime.RESULTS.glob("*/run.json"):
        run = runtime.read_json(file)
        if run["dataset"] == name:
            assert run["fingerprint"] == recorded["fingerprint"], file


def test_fer2013_loads_in_bounded_memory():
    """1 GB from the csv; VmHWM, not getrusage, which counts what a process was forked from."""
    path = fer2013.find_csv(runtime.RAW / "fer2013")
    status = Path("/proc/self/status")
    if path is None or path.suffix != ".csv" or not status.is_file():
        pytest.skip("needs the csv, and /proc")
    code = (
        "from utils import datasets; datasets.load('fer2013', cache=False); "
        f"print(next(line.split()[1] for line in open('{status}') if line.startswith('VmHWM')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=runtime.ROOT, capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) * 1024 < 1e9


@pytest.mark.parametrize(
    ("contempt", "published"), [(True, (25_060, 3_199, 3_153)), (False, (24_941, 3_186, 3_137))]
)
def test_ferplus_keeps_the_published_rows(contempt, published):
    dataset = load("ferplus").without([] if contempt else ["contempt"])
    counts = dataset.counts()[list(datasets.SPLITS)].sum()
    # A copy that has lost up to four pictures has as many rows fewer.
    missing = np.array(published) - counts.to_numpy()
    assert missing.min() >= 0
    assert missing.sum() <= 4
    assert len(dataset) + sum(count for _, count in dataset.skipped) == 35_887
    assert (dataset.counts()["all"] > 0).all()


def test_ferplus_labels_the_pictures_of_the_same_rows(fer):
    """A join that is off by a row would agree by chance: a quarter of the time."""
    dataset = load("ferplus")
    np.testing.assert_array_equal(dataset.images[::97], fer.images[dataset.rows[::97]])
    happy = dataset.labels == EXPRESSIONS.index("happy")
    assert (fer.labels[dataset.rows[happy]] == EXPRESSIONS.index("happy")).mean() > 0.9


def test_expw_boxes_and_labels():
    dataset = load("expw")
    table = expw.read_list(next(runtime.RAW.glob("expw/**/label.lst")))
    assert len(dataset) == len(table)
    np.testing.assert_array_equal(dataset.labels, table["label"])
    clipped = dict(dataset.skipped)["boxes clipped to their photo"]
    if len(table) == 1_682:  # the class-balanced part of the release
        assert dataset.counts()["all"].between(240, 241).all()
        assert len(np.unique(dataset.photos)) == 1_589
        assert clipped == 16
    # Faces, not slivers or flat patches: nearly all have some contrast.
    assert (dataset.images.reshape(len(dataset), -1).std(axis=1) > 10).mean() > 0.99
