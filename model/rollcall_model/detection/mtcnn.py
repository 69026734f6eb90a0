"""The three networks of MTCNN as Flax modules.

Source: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks",
2016. `mtcnn_weights` loads the published weights.

All networks take RGB scaled as (x - 127.5) / 128 and return the probability of a face first, then the offsets of left,
top, right, bottom as fractions of the window, then (O-Net) five x and five y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model.nn import layers
from rollcall_model.nn.modules import Linear, zeros


def normalise(image: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Return RGB values 0..255 scaled as the networks expect them."""
    return (image - 127.5) * (1 / 128)


def of_pixels(form: Callable[..., Any]) -> Callable[..., Any]:
    """Return a form of a network that takes RGB values 0..255 instead of scaled ones."""
    return lambda net, pixels: form(net, normalise(pixels))


class Convolution(nnx.Module):
    """A convolution without padding, followed by a parametric rectifier (PReLU); zeros, to be filled."""

    def __init__(self, size: int, channels: int, features: int) -> None:
        self.kernel = nnx.Param(zeros(size, size, channels, features))
        self.bias = nnx.Param(zeros(features))
        self.slope = nnx.Param(zeros(features))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Return the output by the backend's own convolution."""
        return layers.prelu(layers.conv_direct(x, self.kernel[...]) + self.bias[...], self.slope[...])

    def paired(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Return the output by the form for few channels."""
        if not layers.on_cpu() or x.shape[2] % 2:
            return self(x)
        return layers.prelu(layers.conv_pairs(x, self.kernel[...]) + self.bias[...], self.slope[...])

    def pooled(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 o"]:
        """Return the output after max pooling of 2x2; height and width must be even."""
        if not layers.on_cpu():
            return layers.max_pool(self(x), 2)
        # The blocks of this form of the convolution are the windows of the pooling.
        return layers.prelu_max(layers.conv_blocks(x, self.kernel[...]), self.bias[...], self.slope[...])


class PNet(nnx.Module):
    """The proposal network: scores every 12x12 window, two pixels apart, of an image of any size."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 10)
        self.conv2 = Convolution(3, 10, 16)
        self.conv3 = Convolution(3, 16, 32)
        self.offsets = Linear(32, 4)
        self.score = Linear(32, 2)

    def __call__(self, x: Float[Array, "n h w 3"]) -> tuple[Float[Array, "n h2 w2"], Float[Array, "n h2 w2 4"]]:
        """Return probabilities and offsets; window (i, j) begins at row 2 i, column 2 j.

        Height and width must be even.
        """
        return self._heads(self.conv3(self.conv2(self.conv1.pooled(x))))

    def streamed(
        self, x: Float[Array, "n h w 3"], rows: int
    ) -> tuple[Float[Array, "n h2 w2"], Float[Array, "n h2 w2 4"]]:
        """Return the same as a call, computed in a scan down the image by `rows` rows at a time.

        Each convolution keeps the last two rows of its input for the next step, so nothing is computed twice, and the
        arrays between two layers are small enough to stay in a processor's cache. The height must be a multiple of
        `rows`, and `rows` and the width even.
        """
        n, height, width, _ = x.shape
        steps = jnp.moveaxis(x.reshape(n, height // rows, rows, width, 3), 1, 0)

        def step(last_rows: tuple[Array, ...], new: Array) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
            next_rows = []
            convolutions: tuple[Callable[[Array], Array], ...] = (self.conv1.pooled, self.conv2.paired, self.conv3)
            for last, layer in zip(last_rows, convolutions, strict=True):
                next_rows.append(new[:, -2:])
                new = layer(jnp.concatenate([last, new], axis=1))
            return tuple(next_rows), self._heads(new)

        sides = ((width, 3), (width // 2 - 1, 10), (width // 2 - 3, 16))
        start = tuple(jnp.zeros((n, 2, *side), x.dtype) for side in sides)
        _, outputs = jax.lax.scan(step, start, steps)
        # The first five rows of outputs are of windows that begin above the image.
        probability, offsets = (jnp.moveaxis(y, 0, 1).reshape(n, height // 2, *y.shape[3:])[:, 5:] for y in outputs)
        return probability, offsets

    def _heads(self, x: Float[Array, "n h w 32"]) -> tuple[Float[Array, "n h w"], Float[Array, "n h w 4"]]:
        rows, shape = x.reshape(-1, 32), x.shape[:3]
        return _face_probability(self.score(rows)).reshape(shape), self.offsets(rows).reshape(*shape, 4)


class RNet(nnx.Module):
    """The refinement network: 24x24 crops."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 28)
        self.conv2 = Convolution(3, 28, 48)
        self.conv3 = Convolution(2, 48, 64)
        self.dense = Linear(576, 128)
        self.slope = nnx.Param(zeros(128))
        self.offsets = Linear(128, 4)
        self.score = Linear(128, 2)

    def __call__(self, x: Float[Array, "n 24 24 3"]) -> tuple[Float[Array, " n"], Float[Array, "n 4"]]:
        """Return probabilities and offsets."""
        x = layers.max_pool(self.conv1.paired(x), 3)
        x = layers.max_pool(self.conv2(x), 3, partial=False)
        x = self.conv3(x).reshape(-1, 576)
        x = layers.prelu(self.dense(x), self.slope[...])
        return _face_probability(self.score(x)), self.offsets(x)


class ONet(nnx.Module):
    """The output network: 48x48 crops."""

    def __init__(self) -> None:
        self.conv1 = Convolution(3, 3, 32)
        self.conv2 = Convolution(3, 32, 64)
        self.conv3 = Convolution(3, 64, 64)
        self.conv4 = Convolution(2, 64, 128)
        self.dense = Linear(1152, 256)
        self.slope = nnx.Param(zeros(256))
        self.offsets = Linear(256, 4)
        self.landmarks = Linear(256, 10)
        self.score = Linear(256, 2)

    def __call__(
        self, x: Float[Array, "n 48 48 3"]
    ) -> tuple[Float[Array, " n"], Float[Array, "n 4"], Float[Array, "n 10"]]:
        """Return probabilities, offsets, and five x followed by five y as fractions of the crop."""
        x = layers.max_pool(self.conv1.paired(x), 3)
        x = layers.max_pool(self.conv2(x), 3, partial=False)
        x = layers.max_pool(self.conv3(x), 2)
        x = self.conv4(x).reshape(-1, 1152)
        x = layers.prelu(self.dense(x), self.slope[...])
        return _face_probability(self.score(x)), self.offsets(x), self.landmarks(x)


def _face_probability(logits: Float[Array, "*b 2"]) -> Float[Array, "*b"]:
    """Return the softmax probability of the second of two classes."""
    return jax.nn.sigmoid(logits[..., 1] - logits[..., 0])
