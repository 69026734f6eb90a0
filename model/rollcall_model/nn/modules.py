"""Modules: linear and convolutional layers, batch normalisation, the depthwise separable block.

A module built without `rngs` is all zeros, to be filled at once from a state dict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model.nn import layers

#: Gains of the initial weights in a residual block. A branch that starts close to zero cannot disturb the ones before
#: it while all are untrained.
EXPAND_GAIN: Final = 1.4
PROJECT_GAIN: Final = 0.2


def normal_init(rngs: nnx.Rngs | None, shape: tuple[int, ...], fan_in: int) -> Array:
    """Return normal random numbers with variance 1 / `fan_in`; zeros without `rngs`."""
    if rngs is None:
        return zeros(*shape)
    return jax.random.normal(rngs.params(), shape) * (1 / fan_in) ** 0.5


def zeros(*shape: int) -> Array:
    """Return float32 zeros as a NumPy array: JAX compiles a program for every shape of zeros, a second in all."""
    return cast(Array, np.zeros(shape, np.float32))


class Linear(nnx.Module):
    """A matrix product and a bias over the last axis."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs | None = None, gain: float = 0.5) -> None:
        self.kernel = nnx.Param(normal_init(rngs, (inputs, outputs), inputs) * gain)
        self.bias = nnx.Param(zeros(outputs))

    def __call__(self, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
        """Return x @ kernel + bias."""
        y = layers.pointwise(x, self.kernel[...])
        return y + self.bias[...].astype(y.dtype)


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last, with running statistics for inference."""

    EPSILON = 1e-3
    MOMENTUM = 0.95

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        self.scale = nnx.Param(jnp.full(channels, gain))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    def __call__(self, x: Float[Array, "*b c"], train: bool) -> Float[Array, "*b c"]:
        """Normalise by the batch's own statistics in training, by the running ones otherwise; computed in float32."""
        wide = x.astype(jnp.float32)
        if train:
            axes = tuple(range(x.ndim - 1))
            mean = wide.mean(axes)
            # E[x^2] - E[x]^2 needs one pass over memory.
            var = jnp.maximum((wide * wide).mean(axes) - mean * mean, 0)
            self.mean[...] = self.MOMENTUM * self.mean[...] + (1 - self.MOMENTUM) * mean
            self.var[...] = self.MOMENTUM * self.var[...] + (1 - self.MOMENTUM) * var
        else:
            mean, var = self.mean[...], self.var[...]
        gain = self.scale[...] * jax.lax.rsqrt(var + self.EPSILON)
        return (wide * gain + (self.bias[...] - mean * gain)).astype(x.dtype)

    def gain_and_shift(self) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Return the factor and the summand, per channel, that this normalisation amounts to in inference."""
        gain = self.scale[...] * jax.lax.rsqrt(self.var[...] + self.EPSILON)
        return gain, self.bias[...] - self.mean[...] * gain


class ConvBN(nnx.Module):
    """A convolution followed by batch normalisation; `fused`, a convolution and a bias.

    A kernel of two axes (inputs, outputs) is a pointwise convolution, one of three (k, k, channels) a depthwise one.
    """

    def __init__(self, kernel: Array, fused: bool, gain: float = 1.0) -> None:
        self.kernel = nnx.Param(kernel)
        channels = kernel.shape[-1]
        self.norm = None if fused else BatchNorm(channels, gain)
        self.bias = nnx.Param(zeros(channels)) if fused else None

    def convolve(self, x: Array) -> Array:
        """Return the convolution without normalisation or bias."""
        kernel = self.kernel[...]
        return layers.pointwise(x, kernel) if kernel.ndim == 2 else layers.depthwise(x, kernel)

    def __call__(self, x: Array, train: bool = False) -> Array:
        """Return the normalised convolution."""
        x = self.convolve(x)
        if self.norm is not None:
            return self.norm(x, train)
        assert self.bias is not None
        return x + self.bias[...]


class GlobalDepthwiseConv(ConvBN):
    """Global pooling with a learnt weight for each place and channel (Chen et al. 2018, MobileFaceNets)."""

    def convolve(self, x: Float[Array, "n g g c"]) -> Float[Array, "n c"]:
        """Return the weighted sums over the grid."""
        return (x * self.kernel[...]).sum((1, 2))


class DepthwiseConv(nnx.Module):
    """A depthwise convolution of the same size, without normalisation or bias."""

    def __init__(self, kernel: Float[Array, "k k c"]) -> None:
        self.kernel = nnx.Param(kernel)

    def __call__(self, x: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n h w c"]:
        """Return the convolution."""
        return layers.depthwise(x, self.kernel[...])


class DepthwiseSeparableBlock(nnx.Module):
    """A residual block: depthwise convolution, expansion, activation, projection.

    The depthwise convolution stands before the expansion, not inside it (as in Liu et al. 2022, ConvNeXt): the wide
    arrays are then touched by the two matrix products only, which a CPU is fast at; training was twice as fast.

    Parameters
    ----------
    depthwise
        A `ConvBN` or `DepthwiseConv` over `channels`.
    hidden
        Channels of the wide arrays.
    """

    def __init__(
        self,
        depthwise: ConvBN | DepthwiseConv,
        channels: int,
        hidden: int,
        rngs: nnx.Rngs | None,
        activation: Callable[[Array], Array],
    ) -> None:
        self.depthwise = depthwise
        self.expand = Linear(channels, hidden, rngs, gain=EXPAND_GAIN)
        self.project = Linear(hidden, channels, rngs, gain=PROJECT_GAIN)
        self.activation = activation

    def wide(self, x: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n h w d"]:
        """Return the activations of the wide arrays."""
        return self.activation(self.expand(self.depthwise(x, train)))

    def residual(self, x: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n h w c"]:
        """Return what the block adds to its input."""
        return self.project(self.wide(x, train))

    def __call__(self, x: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n h w c"]:
        """Return x plus the residual branch."""
        return x + self.residual(x, train)
