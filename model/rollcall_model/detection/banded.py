"""The single-pass network in the form that a CPU is fastest at: the same outputs.

The stem runs in bands of rows, so that wide arrays stay in the cache. A band has a margin at first, and each layer
takes what it needs of it: none pads. Beyond the picture every layer must see zeros, as where it
pads: so features are multiplied by masks, and a bias counts for those taps only that lie in the picture.

Of small pictures margins are much: there only the first two convolutions have one, of three pixels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rollcall_model.detection.single_pass import SinglePass, Unit, flatten
from rollcall_model.nn import layers

#: Up to so many pixels a picture is small: with margins of 19 pixels a square of 96 took 0.24 ms instead of 0.20, of
#: 128 0.37 instead of 0.30, 320 x 256 1.50 instead of 1.39, 640 x 480 as long and 1280 x 960 a little less.
_SMALL: Final = 640 * 480


class _Inside(NamedTuple):
    """Which rows and columns of an array lie in the picture: 1, or 0."""

    rows: Float[Array, "h 1 1"]
    columns: Float[Array, "1 w 1"]

    @classmethod
    def of(cls, top: int, left: int, array: Array, height: int, width: int) -> _Inside:
        """Return the masks of an array (n, h, w, c) whose first place is `top`, `left` of so large a picture."""
        rows, columns = jnp.arange(array.shape[1]) + top, jnp.arange(array.shape[2]) + left
        return cls(
            ((rows >= 0) & (rows < height)).astype(jnp.float32)[:, None, None],
            ((columns >= 0) & (columns < width)).astype(jnp.float32)[None, :, None],
        )

    def smaller(self) -> _Inside:
        """Return the masks after a 3x3 convolution without padding."""
        return _Inside(self.rows[1:-1], self.columns[:, 1:-1])

    def taps(self, kernel: Float[Array, "3 3 c"]) -> Float[Array, "h2 w2 c"]:
        """Return the sum of those taps of a kernel that lie in the picture."""
        height, width = len(self.rows) - 2, self.columns.shape[1] - 2
        down = [sum(self.rows[i : i + height] * kernel[i, j] for i in range(3)) for j in range(3)]
        return jnp.asarray(sum(down[j] * self.columns[:, j : j + width] for j in range(3)))


def _unit(unit: Unit, x: Float[Array, "n h w i"], inside: _Inside) -> Float[Array, "n h2 w2 o"]:
    """Return a unit's features without padding; `x` is zero outside of the picture."""
    kernel = unit.kernel[...]
    x = layers.depthwise_inside(x @ unit.pointwise.kernel[...], kernel)
    x = x + (inside.taps(kernel) * unit.pointwise.bias[...] + unit.bias[...])
    return jax.nn.relu(x) if unit.rectified else x


def _padded(unit: Unit, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
    """Return a unit's features of a whole picture, its products padded as an array of its own.

    Without the barrier XLA joins the padding, and what the unit is given, to the multiply-adds, which then compute
    all that for each of the nine taps: the layers after the stem took three times as long.
    """
    x = x @ unit.pointwise.kernel[...] + unit.pointwise.bias[...]
    x = jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    x = layers.depthwise_inside(x, unit.kernel[...]) + unit.bias[...]
    return jax.nn.relu(x) if unit.rectified else x


def _quarter(
    net: SinglePass, pixels: Array, top: int, margin: int, height: int, width: int
) -> Float[Array, "n h4 w4 c"]:
    """Return the features at a stride of 4 of a band of a picture of `height` and `width`, with a margin left."""
    x = layers.conv_halved_inside(pixels.astype(jnp.float32) * (1 / 255), net.first[...])
    inside = _Inside.of(top // 2 - 2 * margin - 1, -2 * margin - 1, x, height // 2, width // 2)
    x = jax.nn.relu(x + net.first_bias[...]) * (inside.rows * inside.columns)
    return layers.max_pool(_unit(net.second, x, inside), 2)


def _stem(net: SinglePass, pixels: Array, top: int, height: int, width: int) -> Float[Array, "n h8 w8 c"]:
    """Return the stem's features of a band of a picture of `height` and `width`, with its margins."""
    margin = len(net.stem_units)
    x = _quarter(net, pixels, top, margin, height, width)
    inside = _Inside.of(top // 4 - margin, -margin, x, height // 4, width // 4)
    for unit in net.stem_units:
        x = x * (inside.rows * inside.columns)
        x = _unit(unit, x, inside)
        inside = inside.smaller()
    return layers.max_pool(x, 2)


def _stem_of_small(net: SinglePass, pixels: Array) -> Float[Array, "n h8 w8 c"]:
    """Return the stem's features of a whole small picture."""
    height, width = pixels.shape[1:3]
    padded = jax.lax.optimization_barrier(jnp.pad(pixels, ((0, 0), (3, 2), (3, 2), (0, 0))))
    x = _quarter(net, padded, 0, 0, height, width)
    for unit in net.stem_units:
        x = _padded(unit, x)
    return layers.max_pool(x, 2)


def outputs(net: SinglePass, pixels: Array, rows: int) -> Float[Array, "n a 16"]:
    """Return what `net(pixels)` returns, the stem in bands of about `rows` rows.

    `pixels` are RGB (n, h, w, 3), 0..255, of any type; height and width must be multiples of 32.
    """
    height, width = pixels.shape[1:3]
    if height * width <= _SMALL:
        return flatten(net.grids(_stem_of_small(net, pixels), _padded))
    band = -(-height // max(round(height / rows), 1) // 8) * 8
    count = -(-height // band)
    # A unit at a stride of 4 needs a row more on each side, and so do the unit and the convolution before them.
    before, after = 4 * len(net.stem_units) + 3, 4 * len(net.stem_units) + 2
    padded = jnp.pad(pixels, ((0, 0), (before, after + count * band - height), (before, after), (0, 0)))

    # The bands are written out: as a loop of XLA's they took a third longer.
    bands = [
        _stem(net, padded[:, top : top + band + before + after], top, height, width)
        for top in range(0, count * band, band)
    ]
    return flatten(net.grids(jnp.concatenate(bands, axis=1)[:, : height // 8], _padded))
