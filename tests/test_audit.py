"""The audit: copies found wherever they were put, and nothing else; records that load."""

import dataclasses
import json
import shutil
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import datasets, evaluation, records, runtime, sample
from utils.datasets import FaceDataset
from utils.honesty import audit, case, claims, copies
from utils.runtime import DataError, ModelError
from utils.sample.planted import CHANGES

seeds = st.integers(0, 10_000)


def noise(count, seed=0, side=8, low=0, high=256, channels=1):
    """Pictures that have nothing to do with each other: (count, side, side, channels) uint8."""
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def dataset(images, split="training", labels=0, **more):
    count = len(images)
    labels = np.broadcast_to(labels, count).astype(np.int64)
    return FaceDataset(
        images, labels, np.broadcast_to(split, count), np.arange(count), "made", **more
    )


def halves(count):
    """Name the splits of `count` rows: the first half training, then validation, then test."""
    return np.repeat(datasets.SPLITS, [count // 2, count // 4, count // 4])


@given(seeds, st.integers(1, 3), st.integers(0, 60))
def test_correlation_is_pearsons_whatever_brightness_and_contrast(seed, contrast, brightness):
    one, two = noise(6, seed, high=65), noise(6, seed + 1)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, two, strict=True)]
    assert np.allclose(copies.correlations(one, two), expected)
    other = one * np.uint8(contrast) + np.uint8(brightness)
    assert np.allclose(copies.correlations(other, two), expected)
    assert np.allclose(copies.correlations(one, other), 1)


@given(seeds, st.integers(1, 9), st.integers(1, 12), st.integers(1, 15), st.sampled_from([1, 3]))
def test_blocks_of_any_size_give_the_best_of_all_pairs(seed, asked, known, block, channels):
    queries = noise(asked, seed, channels=channels)
    references = noise(known, seed + 1, channels=channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "BLOCK", block)
        place, correlation, mirrored = copies.nearest(queries, references)
    both = np.concatenate([queries, copies.mirrored(queries), references])
    pairs = np.corrcoef(both.reshape(len(both), -1))[: 2 * asked, 2 * asked :]
    pairs = pairs.reshape(2, asked, known)
    assert np.allclose(correlation, pairs.max(axis=(0, 2)), atol=1e-6)
    chosen = pairs[mirrored.astype(int), np.arange(asked), place]
    assert np.allclose(chosen, correlation, atol=1e-6)


HOW = {
    "exact": lambda image: image,
    "mirrored": lambda image: image[:, ::-1],
    "brighter": lambda image: image + np.uint8(40),
}


@given(seeds, st.integers(-2, 2), st.integers(-2, 2))
def test_shifted_pictures_are_aligned(seed, down, across):
    wide = noise(3, seed, side=14)
    one, two = wide[:, 2:-2, 2:-2], wide[:, 2 + down : 12 + down, 2 + across : 12 + across]
    assert np.allclose(copies.aligned(one, two), 1)
    assert (copies.aligned(one, noise(3, seed + 1, side=10)) < 0.9).all()


def test_flat_pictures_have_no_correlation_and_of_equal_fits_the_first_straight_one_is_taken():
    images = noise(4)
    images[1] = 7
    for queries, references in ((images, images[1:2]), (images[1:2], images)):
        place, correlation, mirrored = copies.nearest(queries, references)
        assert (place == -1).all()
        assert np.isnan(correlation).all()
        assert not mirrored.any()
    picture = noise(1)
    both = np.concatenate([noise(1, 1), picture[:, :, ::-1], picture, picture])
    place, _, mirrored = copies.nearest(picture, both)
    assert (place[0], bool(mirrored[0])) == (2, False)


@st.composite
def planted_sets(draw):
    """Draw noise pictures, and which rows are copies of which: exact, mirrored or brighter."""
    count = draw(st.integers(8, 24))
    rows = draw(st.permutations(range(count)))
    pairs = draw(st.integers(1, count // 4))
    changes = draw(st.lists(st.sampled_from([*HOW]), min_size=pairs, max_size=pairs))
    splits = draw(st.lists(st.sampled_from(datasets.SPLITS), min_size=count, max_size=count))
    labels = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    images = noise(count, draw(seeds), high=200)
    planted = list(zip(rows[:pairs], rows[pairs : 2 * pairs], changes, strict=True))
    for copy, original, change in planted:
        images[copy] = HOW[change](images[original])
    return images, np.array(splits), np.array(labels), planted


@settings(max_examples=60)
@given(planted_sets(), st.booleans())
def test_copies_are_found_wherever_they_stand_and_nothing_else(made, within):
    images, split, labels, planted = made
    with mock.patch.object(copies, "BLOCK", 5):
        found = audit.examine(dataset(images, split, labels), within=within)
    training = split == "training"
    across = training.any() and not training.all() and not within
    assert found.across == across
    expected = {}
    for one, two, change in planted:
        for copy, original in ((one, two), (two, one)):
            if not across or (training[original] and not training[copy]):
                expected[copy] = (original, change)
    masks, pairs = found.masks(), found.pairs()
    assert set(np.flatnonzero(found.near())) == set(expected)
    for copy, (original, change) in expected.items():
        assert found.nearest[copy] == original
        assert found.exact[copy] == (change == "exact")
        assert found.mirrored[copy] == (change == "mirrored")
        assert found.correlation[copy] == pytest.approx(1, abs=1e-6)
        assert masks["near_other_label"][copy] == (labels[copy] != labels[original])
    exact = [(one, two) for one, two, change in planted if change == "exact"]
    torn = {row for pair in exact if np.ptp(labels[list(pair)]) for row in pair}
    assert set(np.flatnonzero(masks["contradictory"])) == torn
    assert set(found.contradictions().index) == torn
    assert masks["repeats"].sum() == len(exact)
    listed = set(zip(pairs.index, pairs["position_of"], strict=True))
    if across:
        assert listed == {(copy, original) for copy, (original, _) in expected.items()}
    else:
        assert listed == {(max(a, b), min(a, b)) for a, b, _ in planted}


def test_three_equal_pictures_are_two_pairs_of_one_group():
    images = noise(6)
    images[[2, 5]] = images[0]
    found = audit.examine(dataset(images, labels=[0, 0, 1, 0, 0, 1]))
    pairs = found.pairs()
    assert set(zip(pairs.index, pairs["position_of"], strict=True)) == {(2, 0), (5, 0)}
    table = found.contradictions()
    assert table["label"].tolist() == ["angry", "disgust", "disgust"]
    assert set(table["same_as"]) == {"row 0"}
    assert found.problems().columns.tolist() == ["all"]


def test_flat_pictures_are_told_from_nearly_flat_ones_and_can_be_exact_copies():
    images = noise(8, channels=3)
    images[0] = images[5] = (9, 90, 200)  # one color
    images[6] = 8
    images[7] = 100 + images[7] // 32  # eight levels
    found = audit.examine(dataset(images, halves(8)))
    assert np.flatnonzero(found.near()).tolist() == [5]
    assert (found.nearest[6], bool(np.isnan(found.correlation[6]))) == (-1, True)
    masks = found.masks()
    assert np.flatnonzero(masks["flat"]).tolist() == [0, 5, 6]
    assert np.flatnonzero(masks["nearly_flat"]).tolist() == [7]


def test_votes_and_photos_are_asked_where_there_are_some():
    votes = np.zeros((8, 10), np.int64)
    votes[:, 0] = 4
    votes[0, 9], votes[1, 9], votes[2, 8:] = 10, 4, 3
    photos = np.array(["a", "a", "b", "c", "c", "d", "b", "e"])
    found = audit.examine(dataset(noise(8), halves(8), votes=votes, photos=photos))
    masks = found.masks()
    assert np.flatnonzero(masks["no_face"]).tolist() == [0]  # more than half, not half
    assert np.flatnonzero(masks["no_face_or_unknown"]).tolist() == [0, 2]
    assert np.flatnonzero(masks["photo_in_training"]).tolist() == [4, 6]
    assert set(masks) == set(audit.PROBLEMS)
    assert "no_face" not in audit.examine(dataset(noise(8), halves(8))).masks()


def test_what_cannot_be_examined_is_refused():
    for threshold in (0, 1.5, float("nan")):
        with pytest.raises(DataError, match="expected over 0 and at most 1"):
            audit.examine(dataset(noise(4)), threshold=threshold)
    with pytest.raises(DataError, match="no pictures"):
        audit.examine(dataset(noise(4)).take([]))


@pytest.fixture(scope="module")
def planted():
    """Give the default sample with 60 planted near copies, its audit, and what was planted."""
    rows, table = sample.plant_near_copies(sample.render_rows(), 60)
    faces = datasets.load("sample").with_images(rows.images[..., None])
    return audit.examine(faces), table, rows


def test_exactly_the_planted_leaks_are_found_in_the_sample(planted):
    found, table, rows = planted
    known = {int(row): int(original) for row, original in rows.copies}
    at = np.flatnonzero(found.near(shifted=True))
    near = dict(zip(at.tolist(), found.nearest[at].tolist(), strict=True))
    assert near == {**table["copy_of"].to_dict(), **known}
    assert set(np.flatnonzero(found.exact)) == set(known)
    masks, pairs = found.masks(), found.pairs()
    of_change = {change: set(part.index) for change, part in table.groupby("change")}
    shifted = set(np.flatnonzero(masks["shifted_copies"]))
    assert len(of_change["shifted"]) / 2 < len(shifted)
    assert shifted <= of_change["shifted"]
    assert set(np.flatnonzero(masks["near_mirrored"])) == of_change["mirrored"]
    other = set(table.index[table["label"] != table["copy_of_label"]])
    assert set(pairs.index[pairs["label"] != pairs["copy_of_label"]]) == other


def test_bands_add_up_to_the_counts(planted):
    found, _, _ = planted
    bands = found.bands()
    assert bands["pairs"].sum() == (found.nearest >= 0).sum()
    assert bands["pairs"].cumsum()["0.95 …"] == found.near().sum()
    assert bands.loc["exact", "pairs"] == found.exact.sum()
    assert bands["fit shifted"].sum() == found.near(shifted=True).sum()
    problems = found.problems()
    assert (problems[list(datasets.SPLITS)].sum(axis=1) == problems["all"]).all()
    assert problems.loc["near_copies", "all"] == found.near().sum()


def test_sensitivity_tells_which_copies_a_threshold_finds():
    table = audit.sensitivity(datasets.load("sample").part("training").images, most=100)
    assert table.index.tolist() == list(CHANGES)
    assert (table.loc[["mirrored", "brighter"], "found"] == 1).all()
    assert table.loc["shifted", "found"] < 0.5 < table.loc["shifted", "found_shifted"]


def test_command_prints_and_writes_json_and_record(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(audit.sensitivity.__kwdefaults__, "most", 20)
    target = tmp_path / "audit.json"
    audit.main(["sample", "--json", str(target), "--record", str(tmp_path)])
    assert "exact copy of a training picture" in capsys.readouterr().out
    told = json.loads(target.read_text("utf-8"))
    assert told["problems"]["exact_copies"]["test"] == 6
    assert told["pairs"][0]["picture"] == "row 1738"
    (info, pairs), faces = audit.recorded("sample", tmp_path), datasets.load("sample")
    found, chosen = audit.examine(faces), faces.split == "test"
    pairs = pairs.loc[faces.rows[chosen]]
    for threshold in (0.9, 0.95):
        for name, shifted in (("correlation", False), ("aligned", True)):
            near = (pairs[name] >= threshold).to_numpy()
            assert np.array_equal(near, found.near(threshold, shifted=shifted)[chosen])
    assert info["fingerprint"] == faces.fingerprint()
    assert [row["change"] for row in info["sensitivity"]] == list(CHANGES)
    with pytest.raises(DataError, match="no splits"):
        audit.record(audit.examine(faces.part("test")), tmp_path, {})


def test_command_reads_a_csv_and_prints_json_alone(tmp_path, capsys):
    written = sample.write(tmp_path / "sample", rows=100, photos=1)
    for place in (written / "fer2013/fer2013.csv", written / "fer2013", written / "expw"):
        audit.main([str(place), "--json", "-"])
        told = json.loads(capsys.readouterr().out)
        assert told["name"] == ("expw" if place.name == "expw" else "fer2013")
        assert ("no_face" in told["problems"]) == (place.name == "fer2013")  # the votes next to it
    with pytest.raises(DataError, match="no such file or folder"):
        audit.main([str(tmp_path / "nowhere")])
    with pytest.raises(DataError, match="classes"):
        audit.main(["sample", "--classes", "a,b"])


def test_a_clean_set_is_said_to_be_clean(tmp_path, capsys):
    for at, image in enumerate(noise(8)):
        place = tmp_path / "mine" / ("happy", "sad")[at % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{at}.png")
    audit.main([str(tmp_path / "mine")])
    assert "nothing found" in capsys.readouterr().out


def test_names_in_somebodys_files_cannot_act_on_the_terminal():
    images = noise(4)
    images[3] = images[0]
    photos = np.array(["a", "b", "c", "\x1b[31mred.png"])
    said = audit.examine(dataset(images, halves(4), photos=photos)).summary()
    assert "\x1b" not in said
    assert "\\x1b[31mred.png" in said


@pytest.mark.parametrize("damage", ["cut", "other rows", "no json"])
def test_a_damaged_record_is_refused(tmp_path, damage):
    path, arrays = tmp_path / "expw-leaks.json", tmp_path / "expw-leaks.npz"
    for file in (path, arrays):
        shutil.copy(runtime.RESULTS / "data" / file.name, file)
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:500])
    elif damage == "other rows":
        with np.load(arrays) as kept:
            np.savez(arrays, **{name: kept[name][:-1] for name in kept.files})
    else:
        path.write_text("{")
    with pytest.raises((DataError, ModelError), match=r"expw-leaks\.json"):
        audit.recorded("expw", tmp_path)


def test_the_record_of_fer2013_agrees_with_the_data_sheet_and_the_runs(root):
    info, pairs = audit.recorded("fer2013")
    run = records.load("cnn5-fer2013-none")
    counts = json.loads((root / "results/data/fer2013.json").read_text("utf-8"))
    problems, pairs = info["problems"], pairs.loc[run.test.rows]
    assert info["fingerprint"] == counts["fingerprint"]
    assert problems["repeats"]["all"] == counts["repeats"] == 1_851
    for split in ("validation", "test"):
        assert problems["exact_copies"][split] == counts["copies"][split]
    assert info["contradictory_groups"] == counts["contradictions"] == 56
    assert problems["near_copies"]["test"] == 397
    made = {row["change"]: row for row in info["sensitivity"]}
    assert min(one["found"] for name, one in made.items() if name != "shifted") == 0.998
    assert (made["shifted"]["found"], made["shifted"]["found_shifted"]) == (0.149, 1.0)
    agreement = {row["correlation"]: round(row["agreement"], 2) for row in info["bands"]}
    assert (agreement["0.90 …"], agreement["0.85 …"]) == (0.87, 0.59)
    near = (pairs["correlation"] >= info["threshold"]).to_numpy()
    assert near.sum() == 397
    assert np.array_equal(pairs["exact"], run.test.copies)
    without = evaluation.summary(dataclasses.replace(run.test, copies=near))
    assert without.n_without_copies == len(near) - near.sum()
    expw, _ = audit.recorded("expw")
    assert expw["fingerprint"] == records.load("cnn5-expw-none").info["fingerprint"]


@pytest.mark.real_data
def test_recorded_pairs_of_fer2013_correlate_as_recorded():
    if not (runtime.RAW / "fer2013").is_dir():
        pytest.skip("FER2013 is not in data/raw (make data)")
    (info, pairs), faces = audit.recorded("fer2013"), datasets.load("fer2013")
    if faces.fingerprint() != info["fingerprint"]:
        pytest.skip("another copy of FER2013 than the recorded one")
    pairs = pairs[(pairs["correlation"] >= 0.9) & ~pairs["exact"]]
    made = copies.mirrored(faces.images[pairs.index], pairs["mirrored"].to_numpy())
    found = copies.correlations(made, faces.images[pairs["nearest"]])
    assert np.allclose(found, pairs["correlation"], atol=1e-6)


def test_the_prepared_set_has_its_three_faults_and_no_others():
    faces = case.prepared()
    test, found = faces.part("test"), audit.examine(faces)
    counts, pairs = found.problems()["test"], found.pairs()
    problems = counts[["exact_copies", "near_mirrored", "shifted_copies", "flat"]]
    assert problems.tolist() == [0, 24, 0, 0]
    assert claims.match_supports(np.bincount(test.labels)).how == "balanced"
    wrong = pairs[pairs["label"] != pairs["copy_of_label"]]
    swapped = {tuple(pair) for pair in wrong[["label", "copy_of_label"]].to_numpy().tolist()}
    assert swapped == {("fear", "surprise"), ("surprise", "fear")}
    assert counts["near_other_label"] == len(wrong)
    assert len(np.unique(faces.rows)) == len(faces)
    assert set(faces.split[faces.rows >= 2000]) == {"training", "test"}  # the rows that were made
    assert faces.fingerprint() == case.prepared().fingerprint() != case.prepared(1).fingerprint()
