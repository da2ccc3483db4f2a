"""Boxes, crops, resizing, photos of every kind, and the contract of the detectors."""

import contextlib
import io
import os

import cv2
import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pngs import png

from utils import faces
from utils.faces import Box, Detection
from utils.runtime import DataError, ModelError

coordinates = st.integers(-40, 60) | st.floats(-40, 60, allow_nan=False)


@st.composite
def boxes(draw):
    left, top = draw(coordinates), draw(coordinates)
    sides = st.integers(1, 60) | st.floats(0.01, 60)
    return Box(left, top, left + draw(sides), top + draw(sides))


@st.composite
def photos(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    return noise(height, width, *channels, seed=draw(st.integers(0, 2**32 - 1)))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Boxes and crops
def test_whole_numbers_of_any_type_stay_whole():
    assert repr(Box(np.int64(1), 2.0, np.float32(3), 4)) == "Box(left=1, top=2, right=3, bottom=4)"


@given(boxes(), st.integers(1, 50), st.integers(1, 50))
def test_a_clipped_box_lies_in_the_photo_and_in_the_box(box, width, height):
    try:
        clipped = box.clipped(width, height)
    except DataError:
        # Only a box with (almost) nothing in common with the photo is refused.
        assert faces.overlap(box, Box(0, 0, width, height)) < 1e-12
        return
    assert max(0, box.left) == clipped.left < clipped.right == min(width, box.right)
    assert max(0, box.top) == clipped.top < clipped.bottom == min(height, box.bottom)


@given(boxes(), st.floats(0, 3))
def test_margin_and_square_keep_the_center(box, margin):
    for changed in (box.widened(margin), box.squared(), box.widened(margin).squared()):
        assert changed.left + changed.right == pytest.approx(box.left + box.right, abs=1e-6)
        assert changed.top + changed.bottom == pytest.approx(box.top + box.bottom, abs=1e-6)
    assert box.widened(margin).width == pytest.approx(box.width * (1 + 2 * margin))
    square = box.squared()
    assert square.width == pytest.approx(max(box.width, box.height)) == square.height


@given(st.data())
def test_overlap_of_whole_boxes_counts_pixels(data):
    edges = st.lists(st.integers(0, 12), min_size=2, max_size=2, unique=True).map(sorted)
    drawn, masks = [], np.zeros((2, 12, 12), dtype=bool)
    for mask in masks:
        (left, right), (top, bottom) = data.draw(edges), data.draw(edges)
        mask[top:bottom, left:right] = True
        drawn.append(Box(left, top, right, bottom))
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert faces.overlap(*drawn) == faces.overlap(*drawn[::-1]) == pytest.approx(expected)


@given(photos(), boxes(), st.floats(0, 2), st.booleans(), st.integers(1, 70))
def test_a_crop_has_the_size_asked_for_and_equals_one_from_a_photo_with_repeated_edges(
    photo, box, margin, square, size
):
    height, width = photo.shape[:2]
    assume(faces.overlap(box, Box(0, 0, width, height)) > 0)
    image = faces.crop(photo, box, margin=margin, square=square, size=size)
    assert image.shape == (size, size, *photo.shape[2:])
    assert image.dtype == np.uint8
    # A box of whole numbers, even with a margin that reaches outside: np.pad is the reference.
    box = box.clipped(width, height)
    box = Box(np.floor(box.left), np.floor(box.top), np.ceil(box.right), np.ceil(box.bottom))
    padded = np.pad(photo, ((100, 100), (100, 100), (0, 0))[: photo.ndim], mode="edge")
    for reach in (0, 1):
        down, across = 100 - reach * box.height, 100 - reach * box.width
        rows = slice(box.top + down, box.bottom + 200 - down)
        columns = slice(box.left + across, box.right + 200 - across)
        expected = faces.resize(padded[rows, columns][None], 32)[0]
        image = faces.crop(photo, box, margin=reach, square=False, size=32)
        np.testing.assert_array_equal(image, expected)


def test_clipping_comes_before_the_square_and_the_edge_is_repeated_after_it():
    photo = noise(12, 12)
    np.testing.assert_array_equal(
        faces.crop(photo, Box(-2, 0, 6, 8), size=16), faces.crop(photo, Box(0, 0, 6, 8), size=16)
    )
    image = faces.crop(photo, Box(0, 2, 4, 10), size=8)
    np.testing.assert_array_equal(image[:, 2:], photo[2:10, 0:6])
    np.testing.assert_array_equal(image[:, :2], photo[2:10, [0, 0]])


def test_crop_all_tells_which_boxes_were_clipped():
    photo = noise(30, 40, 3)
    given_boxes = [Box(0, 0, 40, 30), Box(-1, 0, 10, 10), Box(35, 25, 41, 30), Box(5, 5, 9, 9)]
    images, clipped = faces.crop_all(photo, given_boxes, size=12)
    assert images.shape == (4, 12, 12, 3)
    assert clipped.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(images[1], faces.crop(photo, given_boxes[1], size=12))
    images, clipped = faces.crop_all(photo, [])
    assert (images.shape, clipped.shape) == ((0, 64, 64, 3), (0,))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Box(5, 5, 5, 9), "no area"),
        (lambda: Box(9, 5, 5, 9), "no area"),
        (lambda: Box(0, 0, 1e-300, 1e-300), "no area"),
        (lambda: Box(0, 0, float("nan"), 5), "right = nan"),
        (lambda: Box(0, 0, 10**400, 5), "right = "),
        (lambda: Box(0, 0, "left", 5), "right = 'left'"),
        (lambda: Box(20, 0, 25, 9).clipped(20, 10), r"entirely outside its photo.*20 × 10 pixels"),
        (lambda: Box(0, -9, 5, 0).clipped(20, 10), "entirely outside"),
        (lambda: Box(0, 0, 5, 5).widened(-0.1), "margin"),
        (lambda: Box(0, 0, 5, 5).widened(float("nan")), "margin"),
        (lambda: faces.crop(noise(9, 50_000), Box(0, 0, 50_000, 9)), "at most 200,000,000"),
        (lambda: faces.crop(np.zeros((5, 5)), Box(0, 0, 2, 2)), r"expected \(height, width\)"),
        (lambda: faces.crop_all(noise(5, 5), [Box(7, 7, 9, 9)]), "outside"),
        (lambda: faces.resize(np.zeros((1, 4, 4)), 8), r"expected \(n, height, width\)"),
        (lambda: faces.resize(noise(1, 0, 4), 8), r"expected \(n, height, width\)"),
        (lambda: faces.resize(noise(1, 4, 4), 2.5), "size 2.5"),
        (lambda: faces.resize(noise(1, 4, 4), (4, 0)), "size"),
        (lambda: faces.to_gray(noise(4, 4)), r"expected \(…, 3\)"),
        (lambda: faces.detect(noise(40, 40), "yolo"), "expected centerface, mtcnn or haar"),
        (lambda: faces.detect(noise(40, 40, 4)), r"expected \(height, width\)"),
        (lambda: faces.detect(noise(0, 4)), r"expected \(height, width\)"),
    ],
)
def test_bad_input_is_refused_by_name(call, words):
    with pytest.raises(DataError, match=words):
        call()


# Resizing and gray
@given(photos(), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_resizing_keeps_axes_type_and_range(photo, height, width, count):
    stack = np.repeat(photo[None], count, axis=0)
    resized = faces.resize(stack, (height, width))
    assert resized.shape == (count, height, width, *photo.shape[2:])
    assert resized.dtype == np.uint8
    assert not np.shares_memory(resized, stack)
    assert (faces.resize(np.full_like(stack, 200), (height, width)) == 200).all()
    np.testing.assert_array_equal(faces.resize(stack, photo.shape[:2]), stack)


def test_shrinking_is_the_mean_and_enlarging_bicubic():
    images = noise(3, 48, 64, 1)
    means = images.reshape(3, 24, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(faces.resize(images, (24, 32))[..., 0] - means).max() <= 0.5
    expected = cv2.resize(images[1, ..., 0], (96, 96), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(faces.resize(images, 96)[1, ..., 0], expected)
    stripes = np.zeros((1, 8, 64), dtype=np.uint8)
    stripes[..., ::2] = 255
    assert np.ptp(faces.resize(stripes, (32, 8))) == 0  # one side shrinks, the other grows
    turned = images[:, ::-1, ::2]
    np.testing.assert_array_equal(
        faces.resize(turned, 16), faces.resize(np.ascontiguousarray(turned), 16)
    )


def test_gray_is_pillow_s_for_every_kind_of_color():
    colors, levels = noise(400, 300, 3), np.arange(256, dtype=np.uint8)
    expected = np.asarray(Image.fromarray(colors).convert("L"))
    np.testing.assert_array_equal(faces.to_gray(colors[None])[0], expected)
    np.testing.assert_array_equal(faces.to_gray(np.stack([levels] * 3, axis=1)), levels)


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


# Photos
def written(tmp_path, image, name="photo.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize(
    ("mode", "name"),
    [(mode, "a.png") for mode in ("1", "L", "P", "LA", "RGB", "RGBA")]
    + [("L", "a.jpg"), ("CMYK", "a.jpg"), ("RGB", "a.bmp"), ("RGB", "a.webp"), ("CMYK", "a.tif")]
    + [("YCbCr", "a.tif"), ("P", "a.gif"), ("L", "a.pgm"), ("RGB", "a.ppm")],
)
def test_every_mode_and_format_becomes_rgb(tmp_path, mode, name):
    image = Image.new("RGB", (31, 17), (200, 200, 200))
    path = written(tmp_path, image.quantize(4) if mode == "P" else image.convert(mode), name)
    photo = faces.read_photo(path)
    assert (photo.shape, photo.dtype) == ((17, 31, 3), np.uint8)
    if mode == "1":
        assert set(np.unique(photo)) <= {0, 255}
    else:
        assert np.abs(photo.astype(int) - 200).max() <= 6


def test_colors_come_back_in_their_order_and_sixteen_bits_are_scaled(tmp_path):
    pixels = noise(9, 8, 3)
    np.testing.assert_array_equal(
        faces.read_photo(written(tmp_path, Image.fromarray(pixels))), pixels
    )
    wide = np.array([[0, 128, 257, 32_768, 65_535]], dtype=np.uint16)
    path = written(tmp_path, Image.fromarray(wide))
    assert faces.read_photo(path)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_transparent_pixels_are_white(tmp_path):
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1, 3] = 128
    photo = faces.read_photo(written(tmp_path, Image.fromarray(pixels)))
    assert photo[0, 0].tolist() == [10, 20, 30]
    assert photo[1, 1].tolist() == [255, 255, 255]
    assert 120 <= photo[0, 1, 0] <= 135
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 1), 1)
    photo = faces.read_photo(written(tmp_path, image, "a.gif", transparency=0))
    assert photo[0, 0].tolist() == [255, 255, 255]
    assert photo[1, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, name):
    frames = [Image.new("RGB", (10, 6), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = written(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert faces.read_photo(path)[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_orientation_is_applied_and_a_damaged_one_passed_over(tmp_path, mode):
    upright = noise(5, 7)
    turned = upright.T
    stored = (upright, upright[:, ::-1], upright[::-1, ::-1], upright[::-1])
    stored += (turned, turned[::-1], turned[::-1, ::-1], turned[:, ::-1], upright)
    for orientation, pixels in enumerate(stored, start=1):
        wide = pixels.astype(np.uint16) * 257 if mode == "I;16" else np.stack([pixels] * 3, axis=2)
        exif = Image.Exif()
        exif[0x0112] = orientation
        # Pillow 13 turns a TIFF itself, and garbles a 16-bit one.
        for ending in ("png", "tiff") if mode == "RGB" else ("png",):
            image = Image.fromarray(np.ascontiguousarray(wide))
            path = written(tmp_path, image, f"a.{ending}", exif=exif)
            np.testing.assert_array_equal(faces.read_photo(path)[..., 0], upright)
    path = written(tmp_path, Image.new("RGB", (9, 5)), "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff")
    assert faces.read_photo(path).shape == (5, 9, 3)


def text_bomb():
    """Make a small PNG whose comment unpacks to 100 MB."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "a" * 100_000_000, zip=True)
    return encoded(Image.new("L", (4, 4)), pnginfo=notes)


def constant(value, kind):
    return encoded(Image.fromarray(np.full((4, 4), value, kind)), "TIFF")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (lambda: None, "no such file"),
        (lambda: b"", "empty"),
        (lambda: b"not an image \x1b[2J", "not a picture"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (lambda: png(8_000, 8_000, color=2, rows=bytes(1000)), "8,000 × 8,000 pixels"),
        (lambda: png(60_000, 60_000), "pixels"),
        (lambda: encoded(Image.new("1", (20_000, 20_000))), "pixels"),
        (lambda: png(7_000, 7_000, color=2, rows=bytes(1000)), "cannot be decoded"),
        (text_bomb, "cannot be decoded"),
        (lambda: constant(0.5, np.float32), "floating-point.*8 or 16 bits"),
        (lambda: constant(70_000, np.int32), "65,535.*8 or 16 bits"),
    ],
)
def test_what_is_no_photo_is_one_sentence_with_its_name(tmp_path, content, found):
    path = tmp_path / "bad.jpg"
    if (written := content()) is not None:
        path.write_bytes(written)
    with pytest.raises(DataError, match=rf"bad\.jpg: .*{found}.*expected a picture") as told:
        faces.read_photo(path)
    assert "\n" not in str(told.value)


def test_what_is_no_file_is_refused_and_the_bound_on_pixels_is_exact(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    for place in (tmp_path, tmp_path / "pipe.png"):
        with pytest.raises(DataError, match="not a file"):
            faces.read_photo(place)
    path = written(tmp_path, Image.new("RGB", (20, 10)))
    monkeypatch.setattr(faces, "MAX_PIXELS", 200)
    assert faces.read_photo(path).shape == (10, 20, 3)
    monkeypatch.setattr(faces, "MAX_PIXELS", 199)
    with pytest.raises(DataError, match=r"20 × 10 pixels; expected .* of at most 199 pixels"):
        faces.read_photo(path)


@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]),
    share=st.floats(0, 0.95),
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_cut_picture_is_refused_and_a_damaged_one_never_anything_else(
    tmp_path_factory, kind, share, damage
):
    whole = bytearray(encoded(Image.fromarray(noise(40, 40, 3)), kind))
    path = tmp_path_factory.getbasetemp() / f"cut.{kind.lower()}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="cut"):
        faces.read_photo(path)
    for place, value in damage:
        whole[place % len(whole)] = value
    path.write_bytes(whole)
    with contextlib.suppress(DataError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "MAX_PIXELS", 1_000_000)
        photo = faces.read_photo(path)
        assert (photo.ndim, photo.shape[2], photo.dtype) == (3, 3, np.uint8)


# Detection
@pytest.fixture
def fixed(monkeypatch):
    """Stand in for MTCNN: return the given boxes, and keep the shapes that it is shown."""

    def put(*found):
        seen = []

        class Detector:
            def detect_faces(self, image, box_format):
                assert (image.dtype, box_format) == (np.uint8, "xyxy")
                seen.append(image.shape)
                return [{"box": list(box), "confidence": sure} for box, sure in found]

        monkeypatch.setattr(faces, "_mtcnn", Detector)
        return seen

    return put


def test_the_surest_face_comes_first_and_boxes_are_clipped(fixed):
    fixed(((5, 5, 25, 30), 0.8), ((-3, 2, 20, 70), 0.9), ((60, 5, 70, 9), 0.9), ((8, 8, 8, 20), 1))
    found = faces.detect(noise(60, 50, 3), "mtcnn")
    assert found == [Detection(Box(0, 2, 20, 60), 0.9), Detection(Box(5, 5, 25, 30), 0.8)]


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 1), (30, 30, 3), (90, 3000)])
def test_gray_photos_are_shown_as_color_and_large_ones_shrunk_with_boxes_scaled_back(fixed, shape):
    seen = fixed(((10, 5, 20, 15), 0.99))
    factor = max(1, max(shape) / 1000)
    (found,) = faces.detect(noise(*shape), "mtcnn")
    assert seen == [(30, shape[1] / factor, 3)]
    assert found.box == Box(10 * factor, 5 * factor, 20 * factor, 15 * factor)


@pytest.mark.parametrize("shape", [(1, 1), (19, 300), (40, 30, 1), (1200, 20, 3)])
def test_no_face_is_found_in_a_blank_picture(shape):
    for detector in faces.DETECTORS:
        assert faces.detect(np.full(shape, 128, np.uint8), detector) == []


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_face_is_found_however_it_lies_and_which_way_is_up(root, turns, mirrored):
    photo = faces.read_photo(root / "data" / "photos" / "astronaut.jpg")[:320, 60:460]
    photo = photo[:, ::-1] if mirrored else photo
    (upright,) = faces.detect(photo)
    lying = np.ascontiguousarray(np.rot90(photo, -turns))
    (found,) = faces.detect(lying, turn=True)
    assert (upright.turns, found.turns) == (0, turns)
    back = np.zeros(lying.shape[:2], np.uint8)
    left, top, right, bottom = (round(edge) for edge in vars(found.box).values())
    back[top:bottom, left:right] = 1
    rows, columns = np.nonzero(np.rot90(back, turns))
    box = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert faces.overlap(box, upright.box) > 0.5


def test_quarter_turns_are_tried_only_where_nothing_is_found_and_boxes_come_back(monkeypatch):
    seen = []

    def find(pixels):
        seen.append(pixels.shape[:2])
        return [(10.0, 20.0, 40.0, 60.0, 0.9, 0)] if len(seen) == 2 else []

    monkeypatch.setattr(faces, "_find_haar", find)
    (found,) = faces.detect(noise(200, 100), "haar", turn=True)
    # A quarter turn to the left puts the photo's right edge on top: x is 100 - y, y is x.
    assert seen == [(200, 100), (100, 200)]
    assert found == Detection(Box(40, 10, 80, 40), 0.9, 1)
    seen.clear()
    assert faces.detect(noise(200, 100), "haar") == []


def test_a_larger_side_finds_smaller_faces(root):
    photo = faces.read_photo(root / "data" / "photos" / "astronaut.jpg")
    wide = np.full((1600, 1600, 3), 90, np.uint8)
    wide[500:628, 600:728] = faces.resize(photo[None], 128)[0]
    assert faces.detect(wide) == []
    (found,) = faces.detect(wide, side=1600)
    assert faces.overlap(found.box, Box(646, 515, 667, 543)) > 0.5


def test_haar_finds_the_face_that_centerface_finds(root):
    photo = faces.read_photo(root / "data" / "photos" / "astronaut.jpg")
    wanted, found = (faces.detect(photo, detector)[0] for detector in ("centerface", "haar"))
    assert faces.overlap(wanted.box, found.box) > 0.4


def test_a_detector_that_cannot_be_loaded_is_named(monkeypatch, root):
    faces._cascade.cache_clear()
    faces._mtcnn.cache_clear()
    faces._centerface.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(faces.runtime, "MODELS", root / "nowhere")
        with pytest.raises(ModelError, match=r"centerface.onnx: expected an .onnx file"):
            faces.detect(noise(40, 40))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ModelError, match="Keras runs on jax: choose detector 'haar'"):
        faces.detect(noise(40, 40), "mtcnn")
