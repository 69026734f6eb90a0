"""The prefilter: a small network that selects the parts of an image that P-Net has to score.

P-Net scores every 12x12 window of every level of the pyramid by itself, which is most of a search's work; nearly all
windows show nothing like a face. The prefilter, a few depthwise separable blocks, reads the picture once an octave and
predicts for each cell of 8x8 pixels whether a window there leads to a face, at either of the octave's two levels. It is
trained on the results of the whole cascade (`training.train_prefilter`). The scores of the selected windows are P-Net's
own and do not change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model.nn import layers
from rollcall_model.nn.modules import DepthwiseConv, DepthwiseSeparableBlock, Linear, normal_init
from rollcall_model.nn.state import load_network
from rollcall_model.weights import PREFILTER

#: Radius of the network's receptive field around a cell, in cells; as many as it has 3x3 depthwise convolutions.
RADIUS: Final = 2


class PrefilterConfig(NamedTuple):
    """The architecture; the defaults are those of the committed weights."""

    widths: tuple[int, int] = (16, 48)  # channels for each 4x4 pixels, and for each cell
    depth: int = RADIUS
    expansion: int = 2


class Prefilter(nnx.Module):
    """The network. Without `rngs` it is all zeros, to be filled from a state dict."""

    def __init__(self, config: PrefilterConfig, rngs: nnx.Rngs | None) -> None:
        self.config = config
        small, large = config.widths
        self.patches = Linear(3 * 4**2, small, rngs, gain=1.4)
        self.cells = Linear(small * 2**2, large, rngs, gain=1.4)
        self.blocks = nnx.List(
            [
                DepthwiseSeparableBlock(
                    DepthwiseConv(normal_init(rngs, (3, 3, large), 9)),
                    large,
                    large * config.expansion,
                    rngs,
                    jax.nn.relu,
                )
                for _ in range(config.depth)
            ]
        )
        self.score = Linear(large, 2, rngs)

    def __call__(
        self, x: Float[Array, "n h w 3"], mask: Float[Array, "n h8 w8"] | None = None
    ) -> Float[Array, "n h8 w8 2"]:
        """Return for each cell the logits of the octave's two levels, the finer one first.

        `x` are RGB values 0..255. Cells whose `mask` is 0 hold no picture, as beyond the border.
        """
        x = (x - 127.5) * (1 / 64)
        x = jax.nn.relu(self.patches(layers.patchify(x, 4)))
        x = jax.nn.relu(self.cells(layers.patchify(x, 2)))
        for block in self.blocks:
            # Masked before every convolution, so that empty cells do not influence their neighbours.
            x = block(x if mask is None else x * mask[..., None])
        return self.score(x)


def load(path: Path = PREFILTER) -> tuple[Prefilter, float]:
    """Return the network and the logit from which on a cell is kept.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    return load_network(
        path,
        "the prefilter's",
        PrefilterConfig,
        lambda config: Prefilter(config, None),
        lambda metadata: float(metadata["threshold"]),
    )
