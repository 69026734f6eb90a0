"""Convolutions and activations as functions, each in the form that is fastest on the platform.

On a CPU, XLA's direct convolution is slow for few channels on large images, and its grouped convolution is slower
still; on a GPU the ordinary convolutions win. The choice is made here and nowhere else. All functions take and return
NHWC arrays; kernels are HWIO.
"""

from __future__ import annotations

import functools
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

#: From so many channels on a vector of a processor has values of one place only.
_WIDE: Final = 16


def on_cpu() -> bool:
    """Return whether arrays live on the CPU by default."""
    return jax.default_backend() == "cpu"


def conv_direct(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw c o"], stride: int = 1
) -> Float[Array, "n h2 w2 o"]:
    """Convolve without padding by the backend's own convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_halved(x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c o"]) -> Float[Array, "n h2 w2 o"]:
    """Convolve 3x3 at a stride of 2, zero-padded by one: half the height and width, which must be even.

    On a CPU four horizontal neighbours in one matrix product, for widths that are multiples of 8: of three channels the
    direct form took 2.5 times as long (208 x 1280 pixels to 16 channels).
    """
    _, _, c, o = kernel.shape
    n, height, width, _ = x.shape
    if not on_cpu() or width % 8:
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    # Eight columns and the one before them hold all that four outputs see: the kernel is placed at four places.
    eights = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0))).reshape(n, height + 2, width // 8, 8 * c)
    before = jnp.pad(eights[:, :, :-1, 7 * c :], ((0, 0), (0, 0), (1, 0), (0, 0)))
    nines = jnp.concatenate([before, eights], axis=-1)
    spread = jnp.stack([jnp.pad(kernel, ((0, 0), (2 * j, 6 - 2 * j), (0, 0), (0, 0))) for j in range(4)], axis=3)
    patches = jnp.concatenate([nines[:, i : i + height : 2] for i in range(3)], axis=-1)
    return (patches @ spread.reshape(27 * c, 4 * o)).reshape(n, height // 2, width // 2, o)


def conv_halved_inside(x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c o"]) -> Float[Array, "n h2 w2 o"]:
    """Convolve 3x3 at a stride of 2 without padding; height and width must be odd: 2 h2 + 1 and 2 w2 + 1.

    As multiply-adds over all taps, which XLA fuses into one pass with the outputs' channels in registers. Of three
    channels `conv_halved` took three times as long (196 x 1312 pixels to 16 channels, one thread, AVX-512).
    """
    height, width = ((side - 1) // 2 for side in x.shape[1:3])
    parts = [
        x[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2, c : c + 1] * kernel[i, j, c]
        for i in range(3)
        for j in range(3)
        for c in range(x.shape[-1])
    ]
    return functools.reduce(jnp.add, parts)


def block_kernel(kernel: Float[Array, "3 3 c o"]) -> Float[Array, "p q"]:
    """Return the matrix (16 c, 4 o) that takes a 4x4 patch to the 2x2 outputs of a 3x3 convolution."""
    _, _, c, o = kernel.shape
    spread = jnp.stack(
        [jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in range(2) for j in range(2)],
        axis=3,
    )
    return spread.reshape(16 * c, 4 * o)


def conv_blocks(x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c o"]) -> Float[Array, "n h2 w2 4 o"]:
    """Convolve 3x3 without padding; the outputs stay grouped in 2x2 blocks: (n, h/2 - 1, w/2 - 1, 4, o).

    One matrix product over 4x4 patches: 1.8 times the arithmetic of the direct form, and several times as fast where
    the direct form is bound by memory. Height and width must be even.
    """
    o = kernel.shape[-1]
    n, h, w, c = x.shape
    # A patch is 2x2 cells of 2x2 pixels, so that only four slices are concatenated.
    cells = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)
    patches = jnp.concatenate([cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], axis=-1)
    # The kernel's rows in the order of the cells: (cell row, cell column, row, column, c).
    spread = block_kernel(kernel).reshape(2, 2, 2, 2, c, 4 * o).transpose(0, 2, 1, 3, 4, 5)
    return (patches @ spread.reshape(16 * c, 4 * o)).reshape(n, h // 2 - 1, w // 2 - 1, 4, o)


def conv_pairs(x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c o"]) -> Float[Array, "n h2 w2 o"]:
    """Convolve 3x3 without padding, two horizontal neighbours in one product; the width must be even.

    A third more arithmetic than the direct form, and a third less time for few channels.
    """
    n, height, width, c = x.shape
    o = kernel.shape[-1]
    # 3x4 inputs for two outputs: the kernel is placed at the first of them, or at the second.
    spread = jnp.stack([jnp.pad(kernel, ((0, 0), (j, 1 - j), (0, 0), (0, 0))) for j in range(2)], axis=3)
    pairs = x.reshape(n, height, width // 2, 2 * c)
    fours = jnp.concatenate([pairs[:, :, :-1], pairs[:, :, 1:]], axis=-1)
    patches = jnp.concatenate([fours[:, i : i + height - 2] for i in range(3)], axis=-1)
    return (patches @ spread.reshape(12 * c, 2 * o)).reshape(n, height - 2, width - 2, o)


def prelu(x: Float[Array, "*b c"], slope: Float[Array, " c"]) -> Float[Array, "*b c"]:
    """Return the parametric rectifier (PReLU): x where positive, slope * x elsewhere."""
    return jnp.maximum(x, 0) + slope * jnp.minimum(x, 0)


def prelu_max(x: Float[Array, "*b k c"], bias: Float[Array, " c"], slope: Float[Array, " c"]) -> Float[Array, "*b c"]:
    """Return the maximum over k values of bias and PReLU.

    Only the largest and, where a slope is negative, the smallest value can give the maximum: PReLU is monotone or
    convex. So two rectifiers replace k. (Written as a reduction over an axis of 4 it took ten times as long.)
    """
    parts = [x[..., index, :] for index in range(x.shape[-2])]
    high, low = functools.reduce(jnp.maximum, parts), functools.reduce(jnp.minimum, parts)
    return jnp.maximum(prelu(high + bias, slope), prelu(low + bias, slope))


def max_pool(x: Float[Array, "n h w c"], size: int, *, partial: bool = True) -> Float[Array, "n h2 w2 c"]:
    """Return the maximum over windows of `size` at a stride of 2.

    With `partial` an odd remainder at the border gets a window of its own, as in Caffe, which rounds up. On a CPU by
    comparing shifted slices, first along the columns and then along the rows; the general reduction took a third of
    R-Net's time.
    """
    sides = x.shape[1:3]
    counts = [(-(-(side - size) // 2) if partial else (side - size) // 2) + 1 for side in sides]
    remainders = [max((count - 1) * 2 + size - side, 0) for count, side in zip(counts, sides, strict=True)]
    pads = [(0, 0), *((0, remainder) for remainder in remainders), (0, 0)]
    if not on_cpu():
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, size, size, 1), (1, 2, 2, 1), pads)
    if any(remainders):
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
    rows, columns = ((count - 1) * 2 + 1 for count in counts)
    x = functools.reduce(jnp.maximum, [x[:, i : i + rows : 2] for i in range(size)])
    return functools.reduce(jnp.maximum, [x[:, :, j : j + columns : 2] for j in range(size)])


def depthwise(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c"]) -> Float[Array, "n h w c"]:
    """Convolve each channel by itself, zero-padded to the same size (odd kernels).

    As shifted multiply-adds, which XLA fuses into one pass; on a CPU its grouped convolution took 33 times as long for
    28x28x128, and so did its gradients. There the padding is an array of its own (see `_shifted`).
    """
    return _depthwise(x, kernel)


def depthwise_inside(x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c"]) -> Float[Array, "n h2 w2 c"]:
    """Convolve each channel by itself without padding, on a CPU, for inference: two rows and columns fewer.

    `depthwise` pads within the fused pass, which asks of every value whether it lies outside: several times as long.
    """
    height, width = (side - 2 for side in x.shape[1:3])
    return functools.reduce(
        jnp.add, [x[:, i : i + height, j : j + width] * kernel[i, j] for i in range(3) for j in range(3)]
    )


def _shifted(x: Float[Array, "*n h w c"], size: int) -> list[Array]:
    """Return the array shifted to each place of a kernel of `size`, row by row, zero beyond its border.

    On a CPU a barrier keeps XLA from padding within the pass that reads it, which then asks of every value whether it
    lies outside: two crops took the refiner a sixth longer.
    """
    height, width = x.shape[-3:-1]
    margin = size // 2
    padded = jnp.pad(x, (*[(0, 0)] * (x.ndim - 3), (margin, margin), (margin, margin), (0, 0)))
    if on_cpu():
        padded = jax.lax.optimization_barrier(padded)
    return [padded[..., i : i + height, j : j + width, :] for i in range(size) for j in range(size)]


@jax.custom_vjp
def _depthwise(x: Array, kernel: Array) -> Array:
    size, _, channels = kernel.shape
    parts = zip(_shifted(x, size), kernel.reshape(-1, channels), strict=True)
    return functools.reduce(jnp.add, [part * weight for part, weight in parts])


def _depthwise_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _depthwise(x, kernel), (x, kernel)


def _depthwise_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Return the gradients; on a CPU the kernel's is summed image by image into arrays that stay in the cache.

    As XLA derives it, nine reductions pass over the whole batch with long strides: 7 to 25 ms where this takes 2
    (64 x 20 x 20 x 48, one thread). Other devices sum them at once, in float32.
    """
    x, kernel = saved
    if not on_cpu():
        wide = gradient.astype(jnp.float32)
        totals = [(part * wide).sum(tuple(range(x.ndim - 1))) for part in _shifted(x, len(kernel))]
        kernel_gradient = jnp.stack(totals).reshape(kernel.shape).astype(kernel.dtype)
        return _depthwise(gradient, kernel[::-1, ::-1]), kernel_gradient

    def add(sums: list[Array], image: tuple[Array, Array]) -> tuple[list[Array], None]:
        shifted = _shifted(image[0], len(kernel))
        return [total + part * image[1] for total, part in zip(sums, shifted, strict=True)], None

    sums, _ = jax.lax.scan(add, [jnp.zeros(x.shape[1:])] * kernel.shape[0] ** 2, (x, gradient))
    kernel_gradient = jnp.stack([total.sum((0, 1)) for total in sums]).reshape(kernel.shape)
    return _depthwise(gradient, kernel[::-1, ::-1]), kernel_gradient


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def pointwise(x: Float[Array, "*b i"], kernel: Float[Array, "i o"]) -> Float[Array, "*b o"]:
    """Return x @ kernel over the last axis: a 1x1 convolution.

    With a kernel of bfloat16 the products are of that type, and their sums of float32, unless x is of that type, too.
    """
    if kernel.dtype == jnp.bfloat16 != x.dtype:
        return jnp.matmul(x.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)
    return _pointwise(x, kernel) if on_cpu() and x.ndim == 4 else x @ kernel


@jax.custom_vjp
def _pointwise(x: Array, kernel: Array) -> Array:
    return x @ kernel


def _pointwise_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _pointwise_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Return the gradients; on large grids the kernel's is the sum of one product for each image.

    One product over all places of the batch took up to twice as long: its long side is the contracted one.
    """
    x, kernel = saved
    places = x.shape[1] * x.shape[2]
    count = len(x) if places >= 100 else 1
    left = x.reshape(count, -1, x.shape[-1])
    right = gradient.reshape(count, -1, gradient.shape[-1])
    return gradient @ kernel.T, jnp.einsum("npi,npo->nio", left, right).sum(0)


_pointwise.defvjp(_pointwise_forward, _pointwise_backward)


def patchify(x: Float[Array, "n h w c"], size: int) -> Float[Array, "n h2 w2 p"]:
    """Return every `size` x `size` patch as one vector, which makes a strided convolution a matrix product.

    Of features on a CPU by joining rows, whose neighbours lie side by side, once they are computed: XLA writes a
    general transposition value by value, and does what comes before for each of them.
    """
    n, height, width, channels = x.shape
    if on_cpu() and channels >= _WIDE:
        rows = jax.lax.optimization_barrier(x).reshape(n, height // size, size, width // size, size * channels)
        return jnp.concatenate([rows[:, :, row] for row in range(size)], axis=-1)
    x = x.reshape(n, height // size, size, width // size, size, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // size, width // size, size * size * channels)


def resize(x: Float[Array, "n h w c"], size: int) -> Float[Array, "n s s c"]:
    """Return square images resized to `size` pixels, each pixel the mean of the area that it covers."""
    if x.shape[1] == size:
        return x
    share = area_shares(x.shape[1], size)
    return jnp.einsum("ij,njwc,kw->nikc", share, x, share)


def area_shares(length: int, size: int) -> Float[np.ndarray, "s l"]:
    """Return the share of each of `length` pixels in each of `size` that take their place; the rows sum to 1."""
    ratio, start = length / size, np.arange(size)[:, None] * length / size
    pixel = np.arange(length)[None]
    covered = np.minimum(pixel + 1, start + ratio) - np.maximum(pixel, start)
    return np.asarray(np.maximum(covered, 0) / ratio, np.float32)


def hard_swish(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Return x relu6(x + 3) / 6 (Howard et al. 2019, MobileNetV3)."""
    return x * jnp.clip(x * (1 / 6) + 0.5, 0, 1)
