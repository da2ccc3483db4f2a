"""Dlib's face network in Keras computes what its file says, and other files are refused."""

import keras
import numpy as np
import pytest
from outside import astronaut, features, weights_file

from utils import models, sample
from utils.models import dlib_face, networks
from utils.runtime import ModelError

pytestmark = pytest.mark.usefixtures("ready")

FILE = "dlib_face_recognition_resnet_model_v1.dat"
#: Filters and channels of the 29 convolutions, in order from the input.
SHAPES = [(32, 3, 7)]
for filters, blocks, _ in dlib_face.STAGES:
    for _ in range(2 * blocks):
        SHAPES.append((filters, SHAPES[-1][0], 3))


def packed(number):
    """Write an integer as dlib does: a byte that counts bytes, then these bytes."""
    content = number.to_bytes(4, "little").rstrip(b"\0")
    return bytes([len(content)]) + content


def written(name, numbers, before=b""):
    sides = b"".join(map(packed, (numbers.size, 1, 1, 1)))
    head = b"\x01" + bytes([len(name)]) + name.encode()
    return head + before + packed(2) + sides + numbers.astype("<f4").tobytes()


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A file in dlib's format with numbers of our own, and these numbers."""
    rng, content, tensors = np.random.default_rng(0), b"\x01\x01some layers", []
    for filters, channels, side in SHAPES:
        scale = 1 / np.sqrt(channels * side * side)
        kernel = rng.normal(0, scale, filters * channels * side * side)
        tensors.append(np.append(kernel, rng.normal(0, 0.1, filters)))
        tensors.append(np.append(rng.uniform(0.5, 1.5, filters), rng.normal(0, 0.1, filters)))
        content += written("con_4", tensors[-2]) + b"\0\0" + written("affine_", tensors[-1])
    tensors.append(rng.normal(size=256 * 128))
    content += written("fc_2", tensors[-1], packed(128) + packed(256))
    path = tmp_path_factory.mktemp("dlib") / FILE
    path.write_bytes(content)
    return path, tensors


def by_hand(images, tensors, stages):
    """Compute the mean of a stage in NumPy, affine layers and zeros as dlib has them."""

    def convolved(values, number, stride, pad):
        filters, channels, side = SHAPES[number]
        flat, affine = tensors[2 * number : 2 * number + 2]
        kernel = flat[:-filters].reshape(filters, channels, side, side)
        values = np.pad(values, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), (2, 3))
        values = np.einsum("ncyxij,fcij->nfyx", windows[:, :, ::stride, ::stride], kernel)
        values = values + flat[-filters:, None, None]
        return values * affine[:filters, None, None] + affine[filters:, None, None]

    def pooled(values, side, how):
        windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), (2, 3))
        return how(windows[:, :, ::2, ::2], axis=(4, 5))

    mean = np.array(dlib_face.MEAN_COLOR)[:, None, None]
    values = (images.transpose(0, 3, 1, 2) - mean) / 256
    values = pooled(np.maximum(convolved(values, 0, 2, 0), 0), 3, np.max)
    number = 1
    for _, blocks, halves in dlib_face.STAGES[:stages]:
        for block in range(blocks):
            half = halves and block == 0
            inner = np.maximum(convolved(values, number, 1 + half, 0 if half else 1), 0)
            inner = convolved(inner, number + 1, 1, 1)
            shortcut = pooled(values, 2, np.mean) if half else values
            both = [np.maximum(*sides) for sides in zip(inner.shape, shortcut.shape, strict=True)]
            filled = [np.pad(a, [(0, b - s) for b, s in zip(both, a.shape, strict=True)])
                      for a in (inner, shortcut)]  # fmt: skip
            values, number = np.maximum(sum(filled), 0), number + 2
    return values.mean(axis=(2, 3))


@pytest.mark.parametrize("shape", [(62, 61, 3), (61, 60, 1)])
def test_the_network_computes_what_the_file_says(stand_in, shape):
    path, tensors = stand_in
    images = np.random.default_rng(1).integers(0, 256, (2, *shape)).astype(np.float32)
    model = models.build("dlib_face", shape, weights=str(path), stages=3)
    expected = by_hand(np.broadcast_to(images, (2, *shape[:2], 3)), tensors, 3)
    assert features(model, images) == pytest.approx(expected, abs=1e-4, rel=1e-4)


def test_batch_normalization_begins_as_the_identity(stand_in):
    faces = sample.render_rows(networks.CALIBRATION_FACES).images[..., None].astype(np.float32)
    settings = {"weights": str(stand_in[0]), "stages": 1}
    plain = models.build("dlib_face", (48, 48, 1), **settings)
    normalized = models.build("dlib_face", (48, 48, 1), normalization=True, **settings)
    expected = features(plain, faces)
    assert features(normalized, faces) == pytest.approx(expected, abs=1e-4)
    mean = keras.Model(normalized.input, normalized.get_layer("mean").output)
    assert mean(faces, training=True).numpy() == pytest.approx(expected, abs=1e-4)
    kinds = [type(layer).__name__ for layer in normalized.layers]
    assert kinds.count("BatchNormalization") == kinds.count("Conv2D") == 7


def test_other_files_are_refused(stand_in, tmp_path):
    content = stand_in[0].read_bytes()
    other = tmp_path / "other.dat"
    for wrong in (b"", b"not dlib's", content[:5000], content.replace(b"fc_2", b"fc_3")):
        other.write_bytes(wrong)
        with pytest.raises(ModelError, match=r"other\.dat: this is not dlib's face network"):
            models.build("dlib_face", weights=str(other))
    with pytest.raises(ModelError, match=r"dlib_face cannot be built.*none\.dat"):
        models.build("dlib_face", weights=str(tmp_path / "none.dat"))
    with pytest.raises(ModelError, match="1 to 5 stages, not 6"):
        models.build("dlib_face", stages=6)


@pytest.mark.real_data
def test_the_real_file_gives_dlibs_own_description():
    path = weights_file(FILE)
    model = models.build("dlib_face", (150, 150, 3), weights=path, stages=5)
    found = features(model, astronaut(150, 150)) @ dlib_face.read_weights(path)[-1].reshape(256, -1)
    # What dlib 20.0.1's face_recognition_model_v1.compute_face_descriptor gives for this square.
    expected = [-0.091632, 0.079292, 0.091927, -0.002422, -0.06363, -0.071281]
    assert found[0, :6] == pytest.approx(expected, abs=1e-5)
