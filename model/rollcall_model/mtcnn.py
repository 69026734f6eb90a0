"""The three networks of MTCNN, as Flax modules, with the published weights.

Source: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", 2016. The weights lie in the wheel of `mtcnn` 1.0.0 (MIT licence); only its
data files are read, the package (which would import TensorFlow) is not.

All networks take RGB scaled as (x - 127.5) / 128 and return the probability of a face first, then the
offsets of left, top, right, bottom as fractions of the window, then (O-Net) five x and five y.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final, TypeVar, cast

import jax
import jax.numpy as jnp
import joblib
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model import layers
from rollcall_model.checkpoint import WeightsError

#: SHA-256 of the weight files in the distribution `mtcnn` 1.0.0.
SHA256: Final = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
PARAMETERS: Final = {"pnet": 6_632, "rnet": 100_178, "onet": 389_040}
WINDOW: Final = {"pnet": 12, "rnet": 24, "onet": 48}
#: P-Net looks at a window every two pixels.
STRIDE: Final = 2


def normalise(image: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Return RGB values 0..255 scaled as the networks expect them."""
    return (image - 127.5) * (1 / 128)


def _zeros(*shape: int) -> nnx.Param[Array]:
    """Return a parameter to be filled; JAX's own zeros compile a program for every shape, a second in all."""
    return nnx.Param(cast(Array, np.zeros(shape, np.float32)))


class Convolution(nnx.Module):
    """A convolution without padding, followed by a parametric rectifier."""

    def __init__(self, size: int, channels: int, features: int) -> None:
        self.kernel = _zeros(size, size, channels, features)
        self.bias = _zeros(features)
        self.slope = _zeros(features)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Convolve in the ordinary form."""
        return layers.prelu(layers.conv_direct(x, self.kernel[...]) + self.bias[...], self.slope[...])

    def paired(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Convolve in the form for few channels."""
        if not layers.on_cpu() or x.shape[2] % 2:
            return self(x)
        return layers.prelu(layers.conv_pairs(x, self.kernel[...]) + self.bias[...], self.slope[...])

    def pooled(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Convolve and take the maximum of each 2x2; height and width must be even."""
        if not layers.on_cpu():
            return layers.max_pool(self(x), 2)
        # The blocks of the convolution are just the windows that the pooling wants.
        return layers.prelu_of_largest(layers.conv_blocks(x, self.kernel[...]), self.bias[...], self.slope[...])


class Dense(nnx.Module):
    """A fully connected layer."""

    def __init__(self, inputs: int, features: int) -> None:
        self.kernel = _zeros(inputs, features)
        self.bias = _zeros(features)

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """Return the weighted sums."""
        return x @ self.kernel[...] + self.bias[...]


class PNet(nnx.Module):
    """The proposal network: looks at every 12x12 window, two pixels apart, of an image of any size."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 10)
        self.conv2 = Convolution(3, 10, 16)
        self.conv3 = Convolution(3, 16, 32)
        self.offsets = Dense(32, 4)
        self.score = Dense(32, 2)

    def __call__(self, x: Float[Array, "n h w 3"]) -> tuple[Float[Array, "n h2 w2"], Float[Array, "n h2 w2 4"]]:
        """Return probabilities and offsets; window (i, j) begins at row 2 i, column 2 j.

        Height and width must be even.
        """
        return self._heads(self.conv3(self.conv2(self.conv1.pooled(x))))

    def streamed(
        self, x: Float[Array, "n h w 3"], rows: int
    ) -> tuple[Float[Array, "n h2 w2"], Float[Array, "n h2 w2 4"]]:
        """Return what a call returns, from a walk down the image by so many rows at a time.

        Each convolution keeps the last two rows of its input for the next step. So nothing is computed
        twice, and what lies between two layers is small enough to stay in a processor's cache. The height
        must be a multiple of `rows`, and `rows` and the width even.
        """
        n, height, width, _ = x.shape
        steps = jnp.moveaxis(x.reshape(n, height // rows, rows, width, 3), 1, 0)

        def step(before: tuple[Array, ...], new: Array) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
            after = []
            convolutions: tuple[Callable[[Array], Array], ...] = (self.conv1.pooled, self.conv2.paired, self.conv3)
            for last, layer in zip(before, convolutions, strict=True):
                after.append(new[:, -2:])
                new = layer(jnp.concatenate([last, new], axis=1))
            return tuple(after), self._heads(new)

        sides = ((width, 3), (width // 2 - 1, 10), (width // 2 - 3, 16))
        above = tuple(jnp.zeros((n, 2, *side), x.dtype) for side in sides)
        _, answers = jax.lax.scan(step, above, steps)
        # The first five rows of answers are about windows that begin above the image.
        probability, offsets = (jnp.moveaxis(y, 0, 1).reshape(n, height // 2, *y.shape[3:])[:, 5:] for y in answers)
        return probability, offsets

    def _heads(self, x: Float[Array, "n h w 32"]) -> tuple[Float[Array, "n h w"], Float[Array, "n h w 4"]]:
        flat, shape = x.reshape(-1, 32), x.shape[:3]
        return _face(self.score(flat)).reshape(shape), self.offsets(flat).reshape(*shape, 4)


class RNet(nnx.Module):
    """The refinement network: 24x24 crops."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 28)
        self.conv2 = Convolution(3, 28, 48)
        self.conv3 = Convolution(2, 48, 64)
        self.dense = Dense(576, 128)
        self.slope = _zeros(128)
        self.offsets = Dense(128, 4)
        self.score = Dense(128, 2)

    def __call__(self, x: Float[Array, "n 24 24 3"]) -> tuple[Float[Array, " n"], Float[Array, "n 4"]]:
        """Return probabilities and offsets."""
        x = layers.max_pool(self.conv1.paired(x), 3)
        x = layers.max_pool(self.conv2(x), 3, partial=False)
        x = self.conv3(x).reshape(-1, 576)
        x = layers.prelu(self.dense(x), self.slope[...])
        return _face(self.score(x)), self.offsets(x)


class ONet(nnx.Module):
    """The output network: 48x48 crops."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 32)
        self.conv2 = Convolution(3, 32, 64)
        self.conv3 = Convolution(3, 64, 64)
        self.conv4 = Convolution(2, 64, 128)
        self.dense = Dense(1152, 256)
        self.slope = _zeros(256)
        self.offsets = Dense(256, 4)
        self.landmarks = Dense(256, 10)
        self.score = Dense(256, 2)

    def __call__(
        self, x: Float[Array, "n 48 48 3"]
    ) -> tuple[Float[Array, " n"], Float[Array, "n 4"], Float[Array, "n 10"]]:
        """Return probabilities, offsets, and five x followed by five y as fractions of the crop."""
        x = layers.max_pool(self.conv1.paired(x), 3)
        x = layers.max_pool(self.conv2(x), 3, partial=False)
        x = layers.max_pool(self.conv3(x), 2)
        x = self.conv4(x).reshape(-1, 1152)
        x = layers.prelu(self.dense(x), self.slope[...])
        return _face(self.score(x)), self.offsets(x), self.landmarks(x)


def _face(logits: Float[Array, "*b 2"]) -> Float[Array, "*b"]:
    """Return the softmax probability of the second of two classes."""
    return jax.nn.sigmoid(logits[..., 1] - logits[..., 0])


Net = TypeVar("Net", PNet, RNet, ONet)


def weights_file(name: str) -> Path:
    """Return where the installed distribution `mtcnn` keeps the weights of "pnet", "rnet" or "onet".

    Raises
    ------
    WeightsError
        If the distribution is not installed.
    """
    try:
        distribution = metadata.distribution("mtcnn")
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            "the distribution 'mtcnn', which carries the detector's weights, is not installed; "
            "install it with `pip install mtcnn==1.0.0`"
        ) from error
    return Path(str(distribution.locate_file(f"mtcnn/assets/weights/{name}.lz4")))


def read_arrays(name: str) -> list[np.ndarray]:
    """Return the published arrays of one network, in the order of its layers, float32.

    Raises
    ------
    WeightsError
        If the file is missing or is not, byte for byte, the one that was published. The check comes
        before the reading: the format can carry code.
    """
    path = weights_file(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the detector's weights cannot be read ({error.strerror}); "
            "reinstall them with `pip install --force-reinstall mtcnn==1.0.0`"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise WeightsError(
            f"{path}: the detector's weights are not the published ones (SHA-256 differs); "
            "reinstall them with `pip install --force-reinstall mtcnn==1.0.0`"
        )
    arrays: list[np.ndarray] = joblib.load(io.BytesIO(data))
    return arrays


def load(kind: type[Net]) -> Net:
    """Return a network with the published weights.

    Raises
    ------
    WeightsError
        If the weights are missing or changed.
    """
    name = kind.__name__.lower()
    arrays = iter(read_arrays(name))
    net = kind()
    convolutions = [layer for layer in vars(net).values() if isinstance(layer, Convolution)]
    for layer in convolutions:
        layer.kernel[...] = next(arrays)
        layer.bias[...] = next(arrays)
        layer.slope[...] = next(arrays).reshape(-1)
    if not isinstance(net, PNet):
        kernel = next(arrays)
        # Caffe's column-major world: the rows of this product run over columns, then rows, then
        # channels. Put in our order once here, they cost no transposition at run time.
        channels = convolutions[-1].kernel.shape[-1]
        side = int(round((kernel.shape[0] / channels) ** 0.5))
        kernel = kernel.reshape(side, side, channels, -1).transpose(1, 0, 2, 3).reshape(kernel.shape)
        net.dense.kernel[...] = kernel
        net.dense.bias[...] = next(arrays)
        net.slope[...] = next(arrays)
    heads = [net.offsets, net.landmarks, net.score] if isinstance(net, ONet) else [net.offsets, net.score]
    for head in heads:
        head.kernel[...] = next(arrays).reshape(head.kernel.shape)
        head.bias[...] = next(arrays)
    return net
