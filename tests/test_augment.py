"""Augmentation: the draws, the batched warp, and that it does what ImageDataGenerator does."""

import ast
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import augment, runtime
from utils.augment import Augmentation, Draws

NOTHING = Augmentation(rotation=0, zoom=0, shift=0, flip=False)
EVERYTHING = Augmentation(rotation=25, zoom=0.3, shift=0.2, flip=True)


def smooth(count=4, size=(64, 64), seed=0):
    """Pictures without sharp edges, (count, height, width, 1) float32 of 0 … 255."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / np.reshape(size, (2, 1, 1))
    waves = random.uniform(1, 9, (count, 2)) @ np.stack([rows, columns]).reshape(2, -1)
    pictures = 127.5 * (1 + np.sin(waves + random.uniform(0, 6, (count, 1))))
    return pictures.reshape(count, *size, 1).astype(np.float32)


def noise(count=4, size=(64, 64), channels=1, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, *size, channels), dtype=np.uint8)


def fixed(count=1, **chosen):
    """The same chosen transform for each of ``count`` pictures; what is not chosen does nothing."""
    columns = {name: np.full(count, value) for name, value in chosen.items()}
    return dataclasses.replace(augment.no_change(count), **columns)


def fast(images, draws):
    import keras

    rows = augment.affine_rows(draws, images.shape[1:3])
    return keras.ops.convert_to_numpy(augment.warp(images, rows))


def slow(images, draws):
    generator = augment.image_data_generator(EVERYTHING)
    return np.stack(
        [
            generator.apply_transform(image.astype(np.float32), draws.generator_parameters(index))
            for index, image in enumerate(images)
        ]
    )


# The settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation": -1},
        {"rotation": 181},
        {"rotation": float("nan")},
        {"zoom": -0.1},
        {"zoom": 1.0},
        {"zoom": float("nan")},
        {"shift": -0.1},
        {"shift": 1.0},  # ImageDataGenerator would take it as one pixel
        {"shift": float("nan")},
    ],
)
def test_settings_outside_their_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)


# The draws

augmentations = st.builds(
    Augmentation,
    rotation=st.floats(0, 180),
    zoom=st.floats(0, 0.99),
    shift=st.floats(0, 0.99),
    flip=st.booleans(),
)


@given(
    augmentations, st.integers(0, 50), st.integers(1, 80), st.integers(1, 80), st.integers(0, 99)
)
@settings(deadline=None)
def test_every_draw_is_in_its_range(augmentation, count, height, width, seed):
    draws = augment.draw(augmentation, count, (height, width), np.random.default_rng(seed))
    for field in dataclasses.fields(draws):
        assert getattr(draws, field.name).shape == (count,)
    near = 1 + 1e-12
    assert (np.abs(draws.theta) <= augmentation.rotation * near).all()
    for zoom in (draws.zoom_rows, draws.zoom_columns):
        assert (np.abs(zoom - 1) <= augmentation.zoom * near + 1e-12).all()
    assert (np.abs(draws.shift_rows) <= augmentation.shift * height * near).all()
    assert (np.abs(draws.shift_columns) <= augmentation.shift * width * near).all()
    assert draws.flip.dtype == bool
    assert augmentation.flip or not draws.flip.any()


def test_draws_are_uniform_independent_and_half_of_the_faces_are_mirrored():
    count = 20_000
    augmentation = Augmentation(rotation=10, zoom=0.2, shift=0.1, flip=True)
    draws = augment.draw(augmentation, count, (48, 64), np.random.default_rng(5))
    scaled = {
        "theta": draws.theta / 10,
        "zoom_rows": (draws.zoom_rows - 1) / 0.2,
        "zoom_columns": (draws.zoom_columns - 1) / 0.2,
        "shift_rows": draws.shift_rows / (0.1 * 48),
        "shift_columns": draws.shift_columns / (0.1 * 64),
    }
    for name, values in scaled.items():
        tenths, _ = np.histogram(values, bins=10, range=(-1, 1))
        # A tenth of 20,000 has a standard deviation of 42.
        assert tenths.sum() == count, name
        assert (np.abs(tenths - count / 10) < 5 * 42).all(), name
    assert abs(draws.flip.mean() - 0.5) < 5 * 0.0036
    correlations = np.corrcoef([*scaled.values(), draws.flip])
    assert (np.abs(correlations - np.eye(6)) < 5 / np.sqrt(count)).all()


def test_the_same_seed_draws_the_same_transforms():
    once, again, other = (
        augment.draw(EVERYTHING, 9, (64, 64), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for field in dataclasses.fields(once):
        np.testing.assert_array_equal(getattr(once, field.name), getattr(again, field.name))
    assert (once.theta != other.theta).all()


# The warp against the generator

TRANSFORMS = {
    "rotation to one side": {"theta": 9.0},
    "rotation to the other side": {"theta": -23.5},
    "rotation by half a turn": {"theta": 180.0},
    "zoom in": {"zoom_rows": 0.8, "zoom_columns": 0.8},
    "zoom out": {"zoom_rows": 1.25, "zoom_columns": 1.25},
    "zoom of the height": {"zoom_rows": 0.85},
    "zoom of the width": {"zoom_columns": 1.15},
    "shift down or up": {"shift_rows": 5.3},
    "shift left or right": {"shift_columns": -4.6},
    "flip": {"flip": True},
    "rotation and flip": {"theta": 9.0, "flip": True},
    "shift and flip": {"shift_columns": 6.4, "shift_rows": -2.2, "flip": True},
    "rotation and zoom": {"theta": 14.0, "zoom_rows": 0.9, "zoom_columns": 1.2},
    "all": {
        "theta": -9.0,
        "zoom_rows": 0.92,
        "zoom_columns": 1.07,
        "shift_rows": 5.2,
        "shift_columns": -3.7,
        "flip": True,
    },
}


@pytest.mark.parametrize("chosen", TRANSFORMS.values(), ids=TRANSFORMS)
def test_the_warp_does_what_the_generator_does(chosen):
    images = smooth()
    draws = fixed(len(images), **chosen)
    warped, generated = fast(images, draws), slow(images, draws)
    np.testing.assert_allclose(warped, generated, atol=1e-3)  # grey levels of 255
    assert np.abs(warped - images).max() > 1  # and it does something


@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 33, 48, 64]), st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None)
def test_the_warp_does_what_the_generator_does_on_any_draw(seed, side, channels):
    images = noise(6, (side, side), channels, seed=seed)
    draws = augment.draw(EVERYTHING, 6, (side, side), np.random.default_rng(seed))
    # Neighbouring pixels of noise differ by up to 255: 1e-5 of a pixel is already 0.003 levels.
    np.testing.assert_allclose(fast(images, draws), slow(images, draws), atol=0.05)


def test_the_generators_own_draws_are_in_our_ranges():
    """The two mean the same by each setting, not only by each parameter."""
    generator = augment.image_data_generator(EVERYTHING)
    drawn = [generator.get_random_transform((64, 64, 1), seed=seed) for seed in range(400)]
    limits = {"theta": (25, 0), "tx": (12.8, 0), "ty": (12.8, 0), "zx": (0.3, 1), "zy": (0.3, 1)}
    for name, (half, middle) in limits.items():
        values = np.array([parameters[name] for parameters in drawn]) - middle
        assert (np.abs(values) <= half + 1e-9).all(), name
        assert values.min() < -0.9 * half, name
        assert values.max() > 0.9 * half, name
    flips = np.mean([parameters["flip_horizontal"] for parameters in drawn])
    assert abs(flips - 0.5) < 5 * 0.025
    assert not any(parameters["flip_vertical"] for parameters in drawn)
    assert all(parameters["shear"] == 0 for parameters in drawn)


def test_a_setting_of_nothing_makes_a_generator_that_does_nothing():
    image = smooth(1)[0]
    np.testing.assert_array_equal(
        augment.image_data_generator(NOTHING).random_transform(image), image
    )


# The warp by itself


def test_no_transform_leaves_every_pixel():
    images = noise(3, (48, 64), channels=3)
    np.testing.assert_array_equal(fast(images, fixed(3)), images)
    warped = augment.augment(images, NOTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(warped), images)


def test_a_flip_mirrors_left_and_right_and_twice_is_nothing():
    images = noise(3, (48, 64))
    flipped = fast(images, fixed(3, flip=True))
    np.testing.assert_array_equal(flipped, images[:, :, ::-1])
    np.testing.assert_array_equal(fast(flipped, fixed(3, flip=True)), images)


def test_a_shift_by_whole_pixels_moves_them_and_repeats_the_edge():
    image = noise(1, (6, 8))
    down = fast(image, fixed(shift_rows=-2.0))[0]
    np.testing.assert_array_equal(down[2:], image[0, :-2])
    np.testing.assert_array_equal(down[:2], image[0, [0, 0]])
    left = fast(image, fixed(shift_columns=3.0))[0]
    np.testing.assert_array_equal(left[:, :-3], image[0, :, 3:])
    np.testing.assert_array_equal(left[:, -3:], image[0, :, [-1] * 3].swapaxes(0, 1))


def test_half_a_turn_turns_a_picture_about_its_middle_whatever_its_sides():
    images = noise(2, (48, 64))
    turned = fast(images, fixed(2, theta=180.0))
    np.testing.assert_allclose(turned, images[:, ::-1, ::-1], atol=0.01)


def test_a_zoom_above_one_shrinks_the_face():
    image = np.zeros((1, 64, 64, 1), np.float32)
    image[:, 16:48, 16:48] = 255
    assert fast(image, fixed(zoom_rows=1.2, zoom_columns=1.2)).sum() < image.sum()
    assert fast(image, fixed(zoom_rows=0.8, zoom_columns=0.8)).sum() > image.sum()
    tall = fast(image, fixed(zoom_columns=1.2))[0, :, :, 0] > 127
    assert tall.any(axis=1).sum() == 32  # the height is as it was
    assert tall.any(axis=0).sum() < 32


@given(augmentations, st.integers(0, 2**32 - 1), st.sampled_from([(7, 7), (16, 16), (12, 20)]))
@settings(max_examples=60, deadline=None)
def test_values_stay_between_the_darkest_and_the_brightest_pixel(augmentation, seed, size):
    random = np.random.default_rng(seed)
    low, high = np.sort(random.integers(0, 256, 2))
    images = random.integers(low, high + 1, (5, *size, 1), dtype=np.uint8)
    warped = np.asarray(augment.augment(images, augmentation, random))
    assert warped.shape == images.shape
    assert warped.dtype == np.float32
    assert warped.min() >= images.min() - 1e-3
    assert warped.max() <= images.max() + 1e-3


def test_each_picture_of_a_batch_is_warped_by_its_own_draw():
    images = np.repeat(smooth(1), 8, axis=0)
    draws = augment.draw(EVERYTHING, 8, (64, 64), np.random.default_rng(0))
    together = fast(images, draws)
    for index in range(8):
        alone = Draws(*(getattr(draws, field.name)[[index]] for field in dataclasses.fields(draws)))
        np.testing.assert_allclose(together[[index]], fast(images[[index]], alone), atol=1e-4)
    assert len(np.unique(together.reshape(8, -1), axis=0)) == 8


def test_augment_is_draw_and_warp_from_one_seeded_source():
    images = noise(5)
    once, again = (
        np.asarray(augment.augment(images, EVERYTHING, np.random.default_rng(3))) for _ in range(2)
    )
    np.testing.assert_array_equal(once, again)
    draws = augment.draw(EVERYTHING, 5, (64, 64), np.random.default_rng(3))
    np.testing.assert_array_equal(once, fast(images, draws))


def test_an_empty_batch_stays_empty():
    rows = augment.affine_rows(
        augment.draw(EVERYTHING, 0, (64, 64), np.random.default_rng(0)), (64, 64)
    )
    assert rows.shape == (0, 8)
    assert rows.dtype == np.float32


# Where ImageDataGenerator comes from

WITHOUT_TENSORFLOW = """
    import sys

    sys.modules["tensorflow"] = None  # importing it now raises ImportError

    import numpy as np
    from utils import augment

    assert "keras" not in sys.modules, "utils.augment imports Keras at its own import"
    settings = augment.Augmentation()
    generator = augment.image_data_generator(settings)
    assert type(generator).__module__ == "keras.src.legacy.preprocessing.image"
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1)).astype("float32")
    draws = augment.draw(settings, 2, (16, 16), np.random.default_rng(0))
    warped = np.asarray(augment.warp(images, augment.affine_rows(draws, (16, 16))))
    generated = generator.apply_transform(images[0], draws.generator_parameters(0))
    assert np.abs(warped[0] - generated).max() < 0.05
    assert not any(name.startswith("tensorflow.") for name in sys.modules)
    print("without TensorFlow")
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_both_ways_work_where_tensorflow_is_absent(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend} installed: Keras runs on it where TensorFlow is absent")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_TENSORFLOW)],
        cwd=runtime.ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "without TensorFlow"


def test_without_tensorflow_the_generator_is_kerass_own(monkeypatch):
    with_it = type(augment.image_data_generator(EVERYTHING))
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it now raises ImportError
    generator = augment.image_data_generator(EVERYTHING)
    assert type(generator).__module__ == "keras.src.legacy.preprocessing.image"
    assert type(generator).__name__ == with_it.__name__ == "ImageDataGenerator"
    assert generator.apply_transform(smooth(1)[0], {"theta": 5.0}).shape == (64, 64, 1)


def imports_of_the_generator(source):
    """The functions (or "module") of a Python source that import ImageDataGenerator."""
    found = set()

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)) and (
                any("ImageDataGenerator" in name.name for name in child.names)
                or (getattr(child, "module", None) or "").endswith("preprocessing.image")
                or any("preprocessing.image" in name.name for name in child.names)
            ):
                found.add(inside)
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            visit(child, child.name if named else inside)

    visit(ast.parse(source), "module")
    return found


def python_sources():
    """Every Python file of the repository, and the code of every notebook."""
    folders = ("utils", "tests", "benchmarks", "notebooks")
    files = [*runtime.ROOT.glob("*.py")]
    for folder in folders:
        files += (runtime.ROOT / folder).rglob("*.py")
    for path in files:
        yield path.relative_to(runtime.ROOT), path.read_text(encoding="utf-8")
    for path in (runtime.ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = "".join(
            "".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"
        ).splitlines()
        # Lines of the shell and of IPython are not Python.
        kept = [
            line.replace(line.lstrip(), "pass") if line.lstrip()[:1] in ("!", "%") else line
            for line in lines
            if not line.lstrip().startswith("https://")
        ]
        yield path.relative_to(runtime.ROOT), "\n".join(kept)


def test_one_function_of_the_repository_imports_the_generator():
    places = {
        (path.as_posix(), place)
        for path, source in python_sources()
        for place in imports_of_the_generator(source)
    }
    assert places == {("utils/augment.py", "image_data_generator")}


def test_that_search_would_find_another():
    assert imports_of_the_generator(
        "def f():\n    from keras.src.legacy.preprocessing.image import ImageDataGenerator"
    ) == {"f"}
    assert imports_of_the_generator("import keras.preprocessing.image as image") == {"module"}
    assert imports_of_the_generator("from keras import layers") == set()
    assert Path("utils/augment.py") in {path for path, _ in python_sources()}
