"""One small network for age, gender and identity: a shared trunk and three heads.

Depthwise separable residual blocks on the landmark-aligned crop. The first layer and the downsampling between stages
are matrix products over patches: a network of this size spends most of its time moving large, shallow arrays, which
patches avoid. The last pooling is a global depthwise convolution (Chen et al. 2018, MobileFaceNets): on an aligned face
every place of the grid has a fixed meaning.

The network has two forms with the same parameter names: the training form, with batch normalisation, and the inference
form, with every normalisation fused into the convolution before it (see `fusion`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, cast

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model.ages import AGES
from rollcall_model.nn import layers
from rollcall_model.nn.modules import (
    ConvBN,
    DepthwiseSeparableBlock,
    GlobalDepthwiseConv,
    Linear,
    normal_init,
)
from rollcall_model.types import EMBEDDING

#: Scale of the input: (x - 127.5) / 64 for RGB values 0..255.
INPUT_MEAN: Final = 127.5
INPUT_SCALE: Final = 1 / 64


class AttributeConfig(NamedTuple):
    """The architecture; the defaults are those of the committed weights."""

    size: int = 96  # side of the crop in pixels
    patch: int = 4  # side of the first layer's patches, in pixels
    widths: tuple[int, ...] = (64, 128, 208)  # channels of each stage
    depths: tuple[int, ...] = (3, 6, 3)  # blocks of each stage
    kernels: tuple[int, ...] = (3, 3, 3)  # depthwise kernel of each stage
    expansion: int = 3
    features: int = 320  # dimensions of the vector that the heads read

    @property
    def grid(self) -> int:
        """Side of the last stage's grid."""
        return self.size // self.patch // 2 ** (len(self.widths) - 1)


class Outputs(NamedTuple):
    """Outputs for n crops, before calibration."""

    age: Float[Array, "n 101"]  # logits
    female: Float[Array, " n"]  # logit
    embedding: Float[Array, "n 128"]  # unit length


class AttributeNet(nnx.Module):
    """The network; `fused` is the inference form. Without `rngs` it is all zeros, to be filled from a state dict."""

    #: Subclasses may use another; a class attribute holds no state.
    activation: Callable[[Array], Array] = staticmethod(layers.hard_swish)

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs | None, fused: bool = False) -> None:
        self.config = config
        inputs = 3 * config.patch**2
        self.stem = ConvBN(normal_init(rngs, (inputs, config.widths[0]), inputs), fused)
        stages, downsample = [], []
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            if number:
                patch = 4 * config.widths[number - 1]
                downsample.append(ConvBN(normal_init(rngs, (patch, width), patch), fused))
            stages.append(nnx.List([self.block(number, fused, rngs) for _ in range(depth)]))
        self.stages = nnx.List(stages)
        self.downsample = nnx.List(downsample)
        last = config.widths[-1]
        self.final = ConvBN(normal_init(rngs, (last, config.features), last), fused)
        mean = np.full((config.grid, config.grid, config.features), 1 / config.grid**2, np.float32)
        self.pool = GlobalDepthwiseConv(cast(Array, mean), fused)
        self.age = Linear(config.features, AGES, rngs)
        self.gender = Linear(config.features, 1, rngs)
        self.identity = Linear(config.features, EMBEDDING, rngs)

    def block(self, stage: int, fused: bool, rngs: nnx.Rngs | None) -> nnx.Module:
        """Return a new block of a stage; called with an array and `train`."""
        width, kernel = self.config.widths[stage], self.config.kernels[stage]
        depthwise = ConvBN(normal_init(rngs, (kernel, kernel, width), kernel**2), fused)
        return DepthwiseSeparableBlock(depthwise, width, self.config.expansion, rngs, self.activation)

    def trunk(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n g g c"]:
        """Return the last stage's output, for crops of RGB values 0..255."""
        x = (x - INPUT_MEAN) * INPUT_SCALE
        x = self.stem(layers.patchify(x, self.config.patch), train)
        for number, blocks in enumerate(self.stages):
            if number:
                x = self.downsample[number - 1](layers.patchify(x, 2), train)
            for block in blocks:
                x = block(x, train)
        return x

    def features(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n f"]:
        """Return the heads' input, for crops of RGB values 0..255."""
        pooled: Array = self.pool(self.activation(self.final(self.trunk(x, train), train)), train)
        return pooled

    def __call__(self, x: Float[Array, "n s s 3"], train: bool = False) -> Outputs:
        """Return the outputs for crops of RGB values 0..255."""
        x = self.features(x, train)
        return Outputs(self.age(x), self.gender(x)[:, 0], unit_length(self.identity(x)))


def unit_length(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Return the rows scaled to unit length; a row of zeros stays finite."""
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-12)
