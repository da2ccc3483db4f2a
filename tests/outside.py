"""What tests of networks with other people's weights share."""

import keras
import numpy as np
import pytest

from utils import faces, runtime


def features(model, images):
    """Return what comes before dropout and softmax: a mean of each filter."""
    return keras.Model(model.input, model.get_layer("mean").output)(images).numpy()


def weights_file(name):
    """Find a file that its owners distribute; without it, the test is skipped and says so."""
    path = runtime.RAW / name
    if not path.is_file():
        pytest.skip(f"no {name} in data/raw")
    return str(path)


def astronaut(left, side):
    """Cut a square out of the top of a photo: (1, side, side, 3) float32."""
    photo = faces.read_photo(runtime.DATA / "photos" / "astronaut.jpg")
    return photo[None, :side, left : left + side].astype(np.float32)


def assert_largest(found, expected):
    """Hold the largest numbers, in their order, against those that the original gives."""
    assert np.argsort(-found)[: len(expected)].tolist() == list(expected)
    assert found[list(expected)] == pytest.approx(list(expected.values()), abs=1e-4)
