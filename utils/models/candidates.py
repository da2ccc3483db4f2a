"""Networks of our own, from scratch, with which the course tries to get further.

None of them has been measured on FER2013 yet: they want a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from utils.models.layers import convolution, dense_layers, model_of, require_sides, scaled


def best(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (64, 128, 256, 512),
    convolutions: int = 2,
    dense: Sequence[int] = (1024,),
    dropout: float = 0.5,
    momentum: float = 0.9,
    dtype: str | None = None,
):
    """Build a VGG-like network: blocks of convolutions with batch normalisation, then pooling.

    By default the eight convolutions that several of the best results on FER2013 share
    (Khaireddin & Chen 2021, Facial emotion recognition: state of the art performance on FER2013,
    §3.1), with one fully connected layer of 1,024 in place of their two of 4,096.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 2 to the power of the blocks.
    classes : int
        How many expressions.
    filters : sequence of int
        Filters of each block's convolutions.
    convolutions : int
        Convolutions a block.
    dense : sequence of int
        Units of the fully connected layers; none puts the softmax on the mean of the last block.
    dropout : float
        Share dropped behind each fully connected layer, or before the softmax; 0 … 1.
    momentum : float
        Of batch normalisation's running averages.
    dtype : str, optional
        Keras dtype policy, as "mixed_bfloat16"; the softmax stays in float32.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small.
    """
    from keras import layers

    inputs, values = scaled("best", input_shape, len(filters), dtype)
    for block, count in enumerate(filters, start=1):
        for number in range(1, convolutions + 1):
            name = f"convolution_{block}_{number}"
            values = convolution(values, count, name, momentum, dtype)
            values = layers.ReLU(name=f"relu_{block}_{number}", dtype=dtype)(values)
        values = layers.MaxPooling2D(name=f"pooling_{block}", dtype=dtype)(values)
    if not dense:
        values = layers.GlobalAveragePooling2D(name="mean", dtype=dtype)(values)
        values = layers.Dropout(dropout, name="dropout", dtype=dtype)(values)
    else:
        values = layers.Flatten(name="flatten", dtype=dtype)(values)
    outputs = dense_layers(values, dense, dropout, classes, dtype)
    return model_of(inputs, outputs, "best")


def convnext(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (64, 128, 256),
    blocks: Sequence[int] = (2, 4, 2),
    dropout: float = 0.2,
    dtype: str | None = None,
):
    """Build a small ConvNeXt (Liu et al. 2022, §2): depthwise 7×7, layer normalisation, GELU.

    Its stem takes patches of 2×2 pixels in place of 4×4: a face of 48 pixels has none to give
    away.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 2 to the power of the stages.
    classes : int
        How many expressions.
    filters, blocks : sequence of int
        Width and blocks of each stage.
    dropout : float
        Share dropped before the softmax, 0 … 1.
    dtype : str, optional
        As in `best`.

    Returns
    -------
    keras.Model
        As in `best`.

    Raises
    ------
    ModelError
        When the faces are too small.
    """
    from keras import layers

    inputs, values = scaled("convnext", input_shape, len(filters), dtype)
    for stage, (count, repeats) in enumerate(zip(filters, blocks, strict=True), start=1):
        if stage > 1:
            values = layers.LayerNormalization(
                epsilon=1e-6, name=f"stage_{stage}_normalisation", dtype=dtype
            )(values)
        values = layers.Conv2D(count, 2, strides=2, name=f"stage_{stage}_down", dtype=dtype)(values)
        for block in range(1, repeats + 1):
            values = _convnext_block(values, count, f"stage_{stage}_block_{block}", dtype)
    values = layers.GlobalAveragePooling2D(name="mean", dtype=dtype)(values)
    values = layers.LayerNormalization(epsilon=1e-6, name="normalisation", dtype=dtype)(values)
    values = layers.Dropout(dropout, name="dropout", dtype=dtype)(values)
    outputs = dense_layers(values, (), 0.0, classes, dtype)
    return model_of(inputs, outputs, "convnext")


def vit(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    patch: int = 6,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    dropout: float = 0.1,
    dtype: str | None = None,
):
    """Build a small vision transformer (Dosovitskiy et al. 2021, §3.1), averaged over its patches.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least `patch`.
    classes : int
        How many expressions.
    patch : int
        Side of a patch in pixels.
    width, depth, heads : int
        Numbers a patch, blocks, and heads of each block's attention.
    dropout : float
        Share dropped in each block and before the softmax, 0 … 1.
    dtype : str, optional
        As in `best`.

    Returns
    -------
    keras.Model
        As in `best`.

    Raises
    ------
    ModelError
        When the faces are too small.
    """
    from keras import layers

    require_sides("vit", input_shape, patch)
    inputs, values = scaled("vit", input_shape, 0, dtype)
    values = layers.Conv2D(width, patch, strides=patch, name="patches", dtype=dtype)(values)
    tokens = values.shape[1] * values.shape[2]
    values = layers.Reshape((tokens, width), name="tokens", dtype=dtype)(values)
    values = _placed(values, tokens, width, dtype)
    for block in range(1, depth + 1):
        values = _transformer_block(values, width, heads, dropout, f"block_{block}", dtype)
    values = layers.LayerNormalization(epsilon=1e-6, name="normalisation", dtype=dtype)(values)
    values = layers.GlobalAveragePooling1D(name="mean", dtype=dtype)(values)
    values = layers.Dropout(dropout, name="dropout", dtype=dtype)(values)
    outputs = dense_layers(values, (), 0.0, classes, dtype)
    return model_of(inputs, outputs, "vit")


def _convnext_block(values, count: int, name: str, dtype: str | None):
    """Add depthwise convolution, layer normalisation and two dense layers, and the shortcut."""
    from keras import layers

    shortcut = values
    values = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_depthwise", dtype=dtype)(
        values
    )
    values = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_normalisation", dtype=dtype)(
        values
    )
    values = layers.Dense(4 * count, activation="gelu", name=f"{name}_wide", dtype=dtype)(values)
    values = layers.Dense(count, name=f"{name}_narrow", dtype=dtype)(values)
    return layers.Add(name=f"{name}_sum", dtype=dtype)([shortcut, values])


def _placed(values, tokens: int, width: int, dtype: str | None):
    """Add what is learned about each place: a number, and a factor, for each of its numbers.

    As a depthwise convolution of one pixel, which is a layer of Keras's own and so is saved with
    the others; ``Embedding`` would want the places as an input.
    """
    from keras import layers

    flat = layers.Reshape((1, 1, tokens * width), name="places_flat", dtype=dtype)(values)
    flat = layers.DepthwiseConv2D(
        1,
        depthwise_initializer="ones",
        bias_initializer="random_normal",
        name="places",
        dtype=dtype,
    )(flat)
    return layers.Reshape((tokens, width), name="placed", dtype=dtype)(flat)


def _transformer_block(
    values, width: int, heads: int, dropout: float, name: str, dtype: str | None
):
    """Add attention and two dense layers, each behind a normalisation, each with its shortcut."""
    from keras import layers

    seen = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_before_attention", dtype=dtype)(
        values
    )
    seen = layers.MultiHeadAttention(
        heads, width // heads, dropout=dropout, name=f"{name}_attention", dtype=dtype
    )(seen, seen)
    values = layers.Add(name=f"{name}_attended", dtype=dtype)([values, seen])
    thought = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_before_dense", dtype=dtype)(
        values
    )
    thought = layers.Dense(4 * width, activation="gelu", name=f"{name}_wide", dtype=dtype)(thought)
    thought = layers.Dense(width, name=f"{name}_narrow", dtype=dtype)(thought)
    thought = layers.Dropout(dropout, name=f"{name}_dropout", dtype=dtype)(thought)
    return layers.Add(name=f"{name}_sum", dtype=dtype)([values, thought])
