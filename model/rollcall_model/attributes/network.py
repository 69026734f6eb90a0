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
import jax.numpy as jnp
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
    hidden: tuple[int, ...] = ()  # channels of each stage's wide arrays, in place of `expansion`
    identity: bool = True  # whether there is a head for the embedding

    @property
    def grid(self) -> int:
        """Side of the last stage's grid."""
        return self.size // self.patch // 2 ** (len(self.widths) - 1)

    @property
    def wide(self) -> tuple[int, ...]:
        """Channels of each stage's wide arrays."""
        return self.hidden or tuple(width * self.expansion for width in self.widths)


class Outputs(NamedTuple):
    """Outputs for n crops, before calibration."""

    age: Float[Array, "n 101"]  # logits
    female: Float[Array, " n"]  # logit
    embedding: Float[Array, "n 128"]  # unit length; zeros without a head for it


class AttributeNet(nnx.Module):
    """The network; `fused` is the inference form. Without `rngs` it is all zeros, to be filled from a state dict.

    In the inference form it may have a *companion*: a smaller network that sees the mirror image and predicts age and
    gender, too. The mean of two networks that err differently errs less than either. Trainings leave it as it is.
    """

    #: Subclasses may use another; a class attribute holds no state.
    activation: Callable[[Array], Array] = staticmethod(layers.hard_swish)

    def __init__(
        self,
        config: AttributeConfig,
        rngs: nnx.Rngs | None,
        fused: bool = False,
        companion: AttributeConfig | None = None,
    ) -> None:
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
        self.identity = Linear(config.features, EMBEDDING, rngs) if config.identity else None
        self.companion = None if companion is None else AttributeNet(companion, rngs, fused)

    def block(self, stage: int, fused: bool, rngs: nnx.Rngs | None) -> nnx.Module:
        """Return a new block of a stage; called with an array and `train`."""
        width, kernel = self.config.widths[stage], self.config.kernels[stage]
        depthwise = ConvBN(normal_init(rngs, (kernel, kernel, width), kernel**2), fused)
        return DepthwiseSeparableBlock(depthwise, width, self.config.wide[stage], rngs, self.activation)

    def trunk(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n g g c"]:
        """Return the last stage's output, for crops of RGB values 0..255."""
        x = self.first(x, train)
        for number, blocks in enumerate(self.stages):
            if number:
                x = self.reduce(number, x, train)
            for block in blocks:
                x = block(x, train)
        return x

    def first(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n h w c"]:
        """Return the first stage's input."""
        return self.stem(layers.patchify((x - INPUT_MEAN) * INPUT_SCALE, self.config.patch), train)

    def reduce(self, stage: int, x: Float[Array, "n h w c"], train: bool = False) -> Float[Array, "n h2 w2 d"]:
        """Return a stage's input, of half the height and width, from the output of the one before it."""
        return self.downsample[stage - 1](layers.patchify(x, 2), train)

    def features(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n f"]:
        """Return the heads' input, for crops of RGB values 0..255."""
        pooled: Array = self.pool(self.activation(self.final(self.trunk(x, train), train)), train)
        return pooled

    def __call__(self, x: Float[Array, "n s s 3"], train: bool = False) -> Outputs:
        """Return the outputs for crops of RGB values 0..255.

        With a companion, ages and genders are the mean of both: of the probabilities of the ages, and of the logits.
        """
        features = self.features(x, train)
        age, female = self.age(features), self.gender(features)[:, 0]
        if self.companion is not None:
            # The mirror image costs nothing here, and makes the errors of the two differ more.
            other = self.companion(layers.resize(x[:, :, ::-1], self.companion.config.size), train)
            age = jnp.logaddexp(jax.nn.log_softmax(age), jax.nn.log_softmax(other.age)) - np.log(2)
            female = (female + other.female) / 2
        if self.identity is None:
            return Outputs(age, female, jnp.zeros((len(x), EMBEDDING)))
        return Outputs(age, female, unit_length(self.identity(features)))


def unit_length(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Return the rows scaled to unit length; a row of zeros stays finite."""
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-12)
