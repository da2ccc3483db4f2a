"""Boxes, crops, resizing, photos of every kind, and the contract of the detectors."""

import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import faces
from utils.faces import Box, Detection
from utils.runtime import DataError

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
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def touches(box, photo):
    return (
        box.right > 0 and box.bottom > 0 and box.left < photo.shape[1] and box.top < photo.shape[0]
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Boxes


def test_whole_numbers_of_any_type_stay_whole():
    box = Box(np.int64(1), 2.0, np.float32(3), 4)
    assert repr(box) == "Box(left=1, top=2, right=3, bottom=4)"


@pytest.mark.parametrize(
    "sides", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (0, 0, 1e-300, 1e-300)]
)
def test_a_box_without_area_is_refused(sides):
    with pytest.raises(DataError, match="no area"):
        Box(*sides)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e10, 10**400, None, "left", [1]])
def test_a_coordinate_that_is_no_pixel_is_refused_by_name(value):
    with pytest.raises(DataError, match="right = "):
        Box(0, 0, value, 5)


@given(boxes(), st.integers(1, 50), st.integers(1, 50))
def test_a_clipped_box_lies_in_the_photo_and_in_the_box(box, width, height):
    try:
        clipped = box.clipped(width, height)
    except DataError:
        # Only what has (almost) nothing in common with the photo is refused.
        assert faces.overlap(box, Box(0, 0, width, height)) < 1e-12
        return
    assert 0 <= clipped.left < clipped.right <= width
    assert 0 <= clipped.top < clipped.bottom <= height
    assert clipped.left >= box.left
    assert clipped.right <= box.right
    assert clipped.top >= box.top
    assert clipped.bottom <= box.bottom
    assert clipped.clipped(width, height) == clipped
    inside = box.left >= 0 and box.top >= 0 and box.right <= width and box.bottom <= height
    assert (clipped == box) == inside


@pytest.mark.parametrize(
    "box", [Box(-5, 0, 0, 9), Box(20, 0, 25, 9), Box(0, -9, 5, 0), Box(0, 10, 5, 12)]
)
def test_a_box_wholly_outside_names_the_photo_s_size(box):
    with pytest.raises(DataError, match=r"wholly outside its photo.*20 × 10 pixels"):
        box.clipped(20, 10)


@given(boxes(), st.floats(0, 3))
def test_margin_and_square_keep_the_centre(box, margin):
    for changed in (box.widened(margin), box.squared(), box.widened(margin).squared()):
        assert changed.left + changed.right == pytest.approx(box.left + box.right, abs=1e-6)
        assert changed.top + changed.bottom == pytest.approx(box.top + box.bottom, abs=1e-6)
    assert box.widened(margin).width == pytest.approx(box.width * (1 + 2 * margin))
    square = box.squared()
    assert square.width == pytest.approx(max(box.width, box.height))
    assert square.height == pytest.approx(max(box.width, box.height))


@pytest.mark.parametrize("margin", [-0.1, 11, float("nan"), float("inf")])
def test_a_margin_out_of_range_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        Box(0, 0, 5, 5).widened(margin)


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_a_share(a, b):
    assert faces.overlap(a, b) == faces.overlap(b, a)
    assert 0 <= faces.overlap(a, b) <= 1
    assert faces.overlap(a, a) == 1


def test_overlap_of_known_boxes():
    assert faces.overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert faces.overlap(Box(0, 0, 2, 2), Box(2, 0, 4, 2)) == 0
    assert faces.overlap(Box(0, 0, 4, 4), Box(1, 1, 3, 3)) == pytest.approx(1 / 4)


@given(st.data())
def test_overlap_of_whole_boxes_counts_pixels(data):
    edges = st.lists(st.integers(0, 12), min_size=2, max_size=2, unique=True).map(sorted)
    drawn = []
    for _ in range(2):
        (left, right), (top, bottom) = data.draw(edges), data.draw(edges)
        drawn.append((left, top, right, bottom))
    masks = np.zeros((2, 12, 12), dtype=bool)
    for mask, (left, top, right, bottom) in zip(masks, drawn, strict=True):
        mask[top:bottom, left:right] = True
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert faces.overlap(*(Box(*edges) for edges in drawn)) == pytest.approx(expected)


# Crops


@given(photos(), boxes(), st.floats(0, 2), st.booleans(), st.integers(1, 70))
@settings(deadline=None)
def test_a_crop_always_has_the_size_asked_for(photo, box, margin, square, size):
    assume(touches(box, photo))
    image = faces.crop(photo, box, margin=margin, square=square, size=size)
    assert image.shape == (size, size, *photo.shape[2:])
    assert image.dtype == np.uint8


@given(photos(), st.data())
@settings(deadline=None)
def test_a_square_box_inside_is_cut_out_pixel_for_pixel(photo, data):
    height, width = photo.shape[:2]
    side = data.draw(st.integers(1, min(height, width)))
    left = data.draw(st.integers(0, width - side))
    top = data.draw(st.integers(0, height - side))
    image = faces.crop(photo, Box(left, top, left + side, top + side), size=side)
    np.testing.assert_array_equal(image, photo[top : top + side, left : left + side])


@given(photos(), boxes())
@settings(deadline=None)
def test_a_crop_equals_one_from_the_photo_with_repeated_edges(photo, box):
    """A box of whole numbers, with a margin that reaches outside: np.pad is the reference."""
    assume(touches(box, photo))
    height, width = photo.shape[:2]
    box = box.clipped(width, height)
    box = Box(np.floor(box.left), np.floor(box.top), np.ceil(box.right), np.ceil(box.bottom))
    padding = ((100, 100), (100, 100), (0, 0))[: photo.ndim]
    padded = np.pad(photo, padding, mode="edge")
    across, down = box.width, box.height
    rows = slice(100 + box.top - down, 100 + box.bottom + down)
    columns = slice(100 + box.left - across, 100 + box.right + across)
    expected = faces.resize(padded[rows, columns][None], 32)[0]
    image = faces.crop(photo, box, margin=1, square=False, size=32)
    np.testing.assert_array_equal(image, expected)


def test_the_short_side_grows_about_the_centre():
    photo = noise(20, 30)
    tall = Box(10, 4, 14, 12)
    np.testing.assert_array_equal(faces.crop(photo, tall, size=8), photo[4:12, 8:16])


def test_a_square_beyond_the_edge_repeats_the_edge():
    photo = noise(12, 12)
    image = faces.crop(photo, Box(0, 2, 4, 10), size=8)
    np.testing.assert_array_equal(image[:, 2:], photo[2:10, 0:6])
    np.testing.assert_array_equal(image[:, 0], photo[2:10, 0])
    np.testing.assert_array_equal(image[:, 1], photo[2:10, 0])


def test_clipping_comes_before_the_square():
    photo = noise(10, 10)
    box = Box(-2, 0, 6, 8)
    expected = faces.crop(photo, Box(0, 0, 6, 8), size=16)
    np.testing.assert_array_equal(faces.crop(photo, box, size=16), expected)


def test_crop_all_tells_which_boxes_were_clipped():
    photo = noise(30, 40, 3)
    given_boxes = [Box(0, 0, 40, 30), Box(-1, 0, 10, 10), Box(35, 25, 41, 30), Box(5, 5, 9, 9)]
    images, clipped = faces.crop_all(photo, given_boxes, size=12)
    assert images.shape == (4, 12, 12, 3)
    assert images.dtype == np.uint8
    assert clipped.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(images[1], faces.crop(photo, given_boxes[1], size=12))


def test_crop_all_of_no_boxes_is_an_empty_stack():
    images, clipped = faces.crop_all(noise(5, 5), [])
    assert images.shape == (0, 64, 64)
    assert clipped.shape == (0,)


def test_crop_all_refuses_a_box_outside():
    with pytest.raises(DataError, match="outside"):
        faces.crop_all(noise(5, 5), [Box(0, 0, 2, 2), Box(7, 7, 9, 9)])


@pytest.mark.parametrize(
    "photo", [np.zeros((5, 5)), np.zeros(5, np.uint8), np.zeros((0, 5), np.uint8)]
)
def test_a_photo_that_is_none_is_refused(photo):
    with pytest.raises(DataError, match=r"expected \(height, width\)"):
        faces.crop(photo, Box(0, 0, 2, 2))


# Resizing


@given(photos(), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
@settings(deadline=None)
def test_resizing_keeps_axes_type_and_range(photo, height, width, count):
    stack = np.repeat(photo[None], count, axis=0)
    resized = faces.resize(stack, (height, width))
    assert resized.shape == (count, height, width, *photo.shape[2:])
    assert resized.dtype == np.uint8
    flat = np.full_like(stack, 200)
    assert (faces.resize(flat, (height, width)) == 200).all()


def test_halving_is_the_mean_of_four_pixels():
    images = noise(3, 48, 64, 1)
    means = images.reshape(3, 24, 2, 32, 2).mean(axis=(2, 4))
    resized = faces.resize(images, (24, 32))[..., 0]
    assert np.abs(resized - means).max() <= 0.5


def test_enlarging_is_opencv_s_bicubic():
    images = noise(2, 48, 48, 1)
    expected = cv2.resize(images[1, ..., 0], (64, 64), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(faces.resize(images, 64)[1, ..., 0], expected)


def test_a_side_that_shrinks_is_averaged_also_when_the_other_grows():
    stripes = np.zeros((1, 8, 64), dtype=np.uint8)
    stripes[..., ::2] = 255
    assert np.ptp(faces.resize(stripes, (32, 8))) == 0


def test_the_same_size_gives_a_copy():
    images = noise(2, 7, 9)
    resized = faces.resize(images, (7, 9))
    np.testing.assert_array_equal(resized, images)
    assert not np.shares_memory(resized, images)


def test_resizing_does_not_need_contiguous_memory():
    images = noise(3, 20, 20, 3)
    turned = images[:, ::-1, ::2]
    expected = faces.resize(np.ascontiguousarray(turned), 16)
    np.testing.assert_array_equal(faces.resize(turned, 16), expected)


@pytest.mark.parametrize("size", [0, -3, 2.5, (4, 0), (4, 4, 4)])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises((ValueError, TypeError), match=r"size|iterable"):
        faces.resize(noise(1, 4, 4), size)


@pytest.mark.parametrize("images", [np.zeros((1, 4, 4)), noise(4, 4), noise(1, 0, 4)])
def test_a_stack_that_is_none_is_refused(images):
    with pytest.raises(DataError, match=r"expected \(n, height, width\)"):
        faces.resize(images, 8)


# Photos


def written(tmp_path, image, name="photo.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "a.png"),
        ("L", "a.png"),
        ("P", "a.png"),
        ("LA", "a.png"),
        ("RGB", "a.png"),
        ("RGBA", "a.png"),
        ("L", "a.jpg"),
        ("RGB", "a.jpg"),
        ("CMYK", "a.jpg"),
        ("RGB", "a.bmp"),
        ("RGB", "a.webp"),
        ("RGB", "a.tif"),
        ("CMYK", "a.tif"),
        ("YCbCr", "a.tif"),
        ("P", "a.gif"),
        ("L", "a.pgm"),
        ("RGB", "a.ppm"),
    ],
)
def test_every_mode_and_format_becomes_rgb(tmp_path, mode, name):
    image = Image.new("RGB", (31, 17), (200, 200, 200))
    path = written(tmp_path, image.quantize(4) if mode == "P" else image.convert(mode), name)
    photo = faces.read_photo(path)
    assert photo.shape == (17, 31, 3)
    assert photo.dtype == np.uint8
    if mode == "1":
        assert set(np.unique(photo)) <= {0, 255}
    else:
        assert np.abs(photo.astype(int) - 200).max() <= 6


def test_colours_come_back_in_the_order_red_green_blue(tmp_path):
    pixels = noise(9, 8, 3)
    path = written(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(faces.read_photo(path), pixels)


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path):
    wide = np.array([[0, 128, 257, 32_768, 65_535]], dtype=np.uint16)
    path = written(tmp_path, Image.fromarray(wide))
    assert faces.read_photo(path)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_pixels_without_a_known_range_are_refused(tmp_path):
    for values in (np.full((4, 4), 0.5, np.float32), np.full((4, 4), 70_000, np.int32)):
        path = written(tmp_path, Image.fromarray(values), "a.tif")
        with pytest.raises(DataError, match=r"a\.tif.*8 or 16 bits a channel"):
            faces.read_photo(path)


def test_transparent_pixels_are_white(tmp_path):
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1, 3] = 128
    photo = faces.read_photo(written(tmp_path, Image.fromarray(pixels)))
    assert photo[0, 0].tolist() == [10, 20, 30]
    assert photo[1, 1].tolist() == [255, 255, 255]
    assert 120 <= photo[0, 1, 0] <= 135


def test_a_transparent_palette_is_white(tmp_path):
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
    photo = faces.read_photo(path)
    assert photo.shape == (6, 10, 3)
    assert photo[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_orientation_is_applied(tmp_path, orientation, mode):
    upright = noise(5, 7)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    pixels = stored.astype(np.uint16) * 257 if mode == "I;16" else np.stack([stored] * 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, Image.fromarray(np.ascontiguousarray(pixels)), exif=exif)
    np.testing.assert_array_equal(faces.read_photo(path)[..., 0], upright)


def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path):
    path = written(tmp_path, Image.new("RGB", (9, 5)), "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff")
    assert faces.read_photo(path).shape == (5, 9, 3)


def test_a_small_file_of_many_pixels_is_refused_before_decoding(tmp_path):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    for side in (8_000, 12_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        path = tmp_path / f"{side}.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(DataError, match=rf"{side}\.png.*at most 50,000,000 pixels"):
            faces.read_photo(path)


def test_the_bound_on_pixels_is_exact(tmp_path):
    path = written(tmp_path, Image.new("RGB", (20, 10)))
    assert faces.read_photo(path, max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(DataError, match="20 × 10 pixels"):
        faces.read_photo(path, max_pixels=199)


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "vector.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "folder.png").mkdir()
    for name in ("empty.jpg", "text.jpg", "vector.png", "folder.png", "absent.png"):
        with pytest.raises(DataError, match=rf"{name}.*expected a picture"):
            faces.read_photo(tmp_path / name)


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), st.floats(0, 0.95))
@settings(deadline=None, max_examples=60)
def test_a_truncated_picture_is_refused(tmp_path_factory, kind, share):
    content = io.BytesIO()
    Image.fromarray(noise(40, 40, 3)).save(content, kind)
    path = tmp_path_factory.getbasetemp() / f"cut.{kind.lower()}"
    path.write_bytes(content.getvalue()[: int(len(content.getvalue()) * share)])
    with pytest.raises(DataError, match="cut"):
        faces.read_photo(path)


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), st.data())
@settings(deadline=None, max_examples=150)
def test_a_damaged_picture_is_read_or_refused_never_anything_else(tmp_path_factory, kind, data):
    content = io.BytesIO()
    Image.fromarray(noise(16, 16, 3)).save(content, kind)
    damaged = bytearray(content.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    with contextlib.suppress(DataError):
        photo = faces.read_photo(path, max_pixels=1_000_000)
        assert photo.ndim == 3
        assert photo.shape[2] == 3
        assert photo.dtype == np.uint8


def test_gray_is_pillow_s_for_every_kind_of_colour():
    colours = noise(400, 300, 3)
    colours[:16] = np.stack(np.meshgrid(*[[0, 1, 127, 255]] * 3), -1).reshape(-1, 3)[:1]
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(faces.to_gray(colours), expected)
    np.testing.assert_array_equal(faces.to_gray(colours[None])[0], expected)


def test_gray_of_gray_is_itself():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(faces.to_gray(np.stack([levels] * 3, axis=1)), levels)


def test_gray_refuses_what_is_no_colour():
    with pytest.raises(DataError, match="expected"):
        faces.to_gray(noise(4, 4))


# Detection


class FixedDetector:
    """Stands in for MTCNN: remembers what it was shown, and answers what it was told."""

    def __init__(self, *found):
        self.found, self.seen = found, []

    def detect_faces(self, image, box_format):
        assert box_format == "xyxy"
        assert image.dtype == np.uint8
        self.seen.append(image.shape)
        return [{"box": list(box), "confidence": confidence} for box, confidence in self.found]


@pytest.fixture
def fixed(monkeypatch):
    def put(*found):
        detector = FixedDetector(*found)
        monkeypatch.setattr(faces, "_mtcnn", lambda: detector)
        return detector

    return put


def test_the_surest_face_comes_first_and_boxes_are_clipped(fixed):
    fixed(((5, 5, 25, 30), 0.8), ((-3, 2, 20, 70), 0.9))
    found = faces.detect(noise(60, 50, 3))
    assert found == [Detection(Box(0, 2, 20, 60), 0.9), Detection(Box(5, 5, 25, 30), 0.8)]


def test_a_found_box_without_a_pixel_in_the_photo_is_left_out(fixed):
    fixed(((60, 5, 70, 9), 0.9), ((8, 8, 8, 20), 0.9), ((5, -9, 9, 0), 0.9))
    assert faces.detect(noise(40, 50, 3)) == []


def test_a_large_photo_is_shrunk_and_its_boxes_scaled_back(fixed):
    detector = fixed(((100, 50, 200, 150), 0.99))
    (found,) = faces.detect(noise(1500, 3000, 3))
    assert detector.seen == [(500, 1000, 3)]
    assert found.box == Box(300, 150, 600, 450)


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 1), (30, 30, 3)])
def test_gray_photos_are_shown_as_colour(fixed, shape):
    detector = fixed()
    assert faces.detect(noise(*shape)) == []
    assert detector.seen == [(30, 30, 3)]


def test_the_detector_is_loaded_once():
    assert faces._cascade() is faces._cascade()


@pytest.mark.parametrize("shape", [(1, 1), (19, 300), (40, 30, 1), (64, 64, 3), (1200, 20, 3)])
def test_haar_finds_no_face_in_a_blank_picture(shape):
    assert faces.detect(np.full(shape, 128, np.uint8), "haar") == []


def test_haar_finds_a_drawn_face_where_it_is():
    photo = np.full((300, 400), 120, np.uint8)
    box = Box(140, 70, 280, 230)
    cv2.ellipse(photo, (210, 150), (62, 85), 0, 0, 360, 215, -1)
    for x in (183, 237):
        cv2.ellipse(photo, (x, 120), (20, 6), 0, 0, 360, 90, -1)
        cv2.ellipse(photo, (x, 135), (15, 9), 0, 0, 360, 40, -1)
    cv2.ellipse(photo, (210, 165), (9, 22), 0, 0, 360, 235, -1)
    cv2.ellipse(photo, (210, 183), (15, 4), 0, 0, 360, 130, -1)
    cv2.ellipse(photo, (210, 203), (28, 8), 0, 0, 360, 80, -1)
    found = faces.detect(cv2.GaussianBlur(photo, (9, 9), 0), "haar")
    assert found
    assert faces.overlap(found[0].box, box) > 0.4


def test_mtcnn_finds_no_face_in_a_blank_picture():
    pytest.importorskip("mtcnn")
    assert faces.detect(np.full((48, 60, 3), 128, np.uint8)) == []
    assert faces.detect(np.zeros((12, 60), np.uint8)) == []


def test_an_opencv_without_cascades_is_named(monkeypatch):
    faces._cascade.cache_clear()
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(ImportError, match=r"opencv-python-headless<5"):
        faces.detect(noise(40, 40), "haar")


def test_a_missing_mtcnn_is_named(monkeypatch):
    import sys

    faces._mtcnn.cache_clear()
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    with pytest.raises(ImportError, match="detector 'mtcnn' needs the packages"):
        faces.detect(noise(40, 40))


def test_detect_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="expected mtcnn or haar"):
        faces.detect(noise(40, 40), "yolo")
    for photo in (np.zeros((40, 40)), noise(40, 40, 4), np.zeros((0, 4), np.uint8)):
        with pytest.raises(DataError, match=r"expected \(height, width\)"):
            faces.detect(photo)
