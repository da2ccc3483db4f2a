"""The MobileNet trained on people takes its weights from files, and other files are refused."""

import json
import math

import keras
import numpy as np
import pytest
from outside import assert_largest, astronaut, features, weights_file

from utils import models
from utils.runtime import ModelError

pytestmark = pytest.mark.usefixtures("ready")

FILE = "faceres-deep.json"
#: Few blocks, so that rounding does not add up.
SETTINGS = {"blocks": 3}


def write(path, tensors):
    """Write tensors as TensorFlow.js has them."""
    weights = [
        {"name": name, "shape": list(one.shape), "dtype": str(one.dtype)}
        for name, one in tensors.items()
    ]
    manifest = [{"paths": [path.with_suffix(".bin").name], "weights": weights}]
    path.write_text(json.dumps({"format": "graph-model", "weightsManifest": manifest}))
    path.with_suffix(".bin").write_bytes(b"".join(one.tobytes() for one in tensors.values()))


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """`keras.applications.MobileNet` with random weights, and a file that has them."""
    rng = np.random.default_rng(0)
    base = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    tensors = {"first": np.arange(3, dtype=np.int32)}
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            depthwise = "_dw_" in layer.name
            count = layer.gamma.shape[0]
            factors = rng.uniform(0.5, 1.5, count) if depthwise else np.ones(count)
            constants = rng.normal(0, 0.3, count)
            # With a mean of 0 and a variance of 1, what is left is a factor and a constant.
            variance = np.full(count, 1 - layer.epsilon)
            layer.set_weights([factors, constants, np.zeros(count), variance])
            if depthwise:
                tensors[f"{layer.name}/batchnorm_1/mul"] = factors.astype("<f4")
            tensors[f"{layer.name}/batchnorm_1/sub"] = constants.astype("<f4")
        elif isinstance(layer, keras.layers.Conv2D):
            tensors[f"{layer.name}/convolution/merged_input"] = layer.get_weights()[0]
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            scaled = layer.get_weights()[0] * math.sqrt(layer.kernel.shape[2])
            layer.set_weights([scaled])
            tensors[f"{layer.name}/depthwise_kernel"] = scaled
    path = tmp_path_factory.mktemp("mobilenet") / FILE
    write(path, tensors)
    return base, tensors, path


@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_computes_what_the_file_says(stand_in, channels):
    base, _, path = stand_in
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, channels)).astype(np.float32)
    color = np.repeat(images, 3, axis=-1) if channels == 1 else images
    ready = keras.applications.vgg16.preprocess_input(color.copy())
    maps = keras.Model(base.input, base.get_layer("conv_pw_3_relu").output)(ready).numpy()
    expected = maps.mean(axis=(1, 2))
    assert np.ptp(expected) > 0.1
    model = models.build("mobilenet_face", (32, 32, channels), weights=str(path), **SETTINGS)
    assert features(model, images) == pytest.approx(expected, abs=1e-3)


def test_other_files_are_refused(stand_in, tmp_path):
    _, tensors, path = stand_in
    other = tmp_path / FILE
    for wrong in ("", "[]", "{", '{"weightsManifest": []}', path.read_text()):
        other.write_text(wrong)
        other.with_suffix(".bin").write_bytes(b"1234")
        with pytest.raises(ModelError, match=r"faceres-deep\.json: not a TensorFlow\.js model"):
            models.build("mobilenet_face", weights=str(other))
    for shape in ([2**70], [-1], ["3"], {}):
        content = {"weights": [{"name": "a", "dtype": "float32", "shape": shape}]}
        other.write_text(json.dumps({"weightsManifest": [content]}))
        other.with_suffix(".bin").write_bytes(b"12345678")
        with pytest.raises(ModelError, match=r"faceres-deep\.json: "):
            models.build("mobilenet_face", weights=str(other))
    without = {name: one for name, one in tensors.items() if name != "conv_dw_2/depthwise_kernel"}
    for wrong in (without, {name: one[..., :1] for name, one in tensors.items()}):
        write(other, wrong)
        with pytest.raises(ModelError, match=r"faceres-deep\.json: this is not faceres-deep: ."):
            models.build("mobilenet_face", weights=str(other), **SETTINGS)
    with pytest.raises(ModelError, match=r"cannot be built.*none\.json"):
        models.build("mobilenet_face", weights=str(tmp_path / "none.json"))
    with pytest.raises(ModelError, match="1 to 13 blocks, not 14"):
        models.build("mobilenet_face", blocks=14)
    with pytest.raises(ModelError, match="1 or 3 channels"):
        models.build("mobilenet_face", (64, 64, 2))


@pytest.mark.real_data
def test_the_real_file_gives_the_originals_answers():
    weights = weights_file(FILE)
    model = models.build("mobilenet_face", (224, 224, 3), weights=weights, blocks=13)
    # The means that TensorFlow.js 4.22.0 computes for this square: blue, green, red minus
    # ImageNet's mean of each.
    most = {634: 1.313147, 658: 1.152598, 672: 1.114105, 180: 0.995588, 897: 0.959894}
    assert_largest(features(model, astronaut(114, 224))[0], most)
