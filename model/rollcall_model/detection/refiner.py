"""The refiner: looks at each found face again, upright and enlarged, for exact landmarks and how sure they are.

It takes the place of MTCNN's output network. A face is cut out along the landmarks of the single pass, so that turned
faces are upright, and its landmarks are predicted as distances from their mean places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float64

from rollcall_model import geometry
from rollcall_model.nn import layers
from rollcall_model.nn.modules import DepthwiseConv, DepthwiseSeparableBlock, Linear, normal_init, zeros
from rollcall_model.nn.state import load_network
from rollcall_model.weights import REFINER

#: Mean landmarks in a crop, as fractions of its side; the face takes about two thirds of it.
MEAN: Final[Float64[np.ndarray, "5 2"]] = np.array(
    [[0.360, 0.390], [0.640, 0.390], [0.500, 0.540], [0.382, 0.660], [0.618, 0.660]]
)
_SIDE: Final = 64


class RefinerConfig(NamedTuple):
    """The architecture; the defaults are those of the committed weights."""

    size: int = _SIDE  # side of a crop in pixels
    widths: tuple[int, int, int] = (48, 96, 128)  # channels for each 4x4, 8x8 and 16x16 pixels
    depths: tuple[int, int, int] = (2, 3, 2)
    expansion: int = 2


class Refiner(nnx.Module):
    """The network. Without `rngs` it is all zeros, to be filled from a state dict."""

    def __init__(self, config: RefinerConfig, rngs: nnx.Rngs | None) -> None:
        self.config = config
        widths = config.widths
        self.patches = Linear(48, widths[0], rngs, gain=1.4)
        self.merges = nnx.List(
            [Linear(4 * small, large, rngs, gain=1.0) for small, large in zip(widths[:-1], widths[1:], strict=True)]
        )
        self.stages = nnx.List(
            [
                nnx.List(
                    [
                        DepthwiseSeparableBlock(
                            DepthwiseConv(normal_init(rngs, (3, 3, width), 9)),
                            width,
                            width * config.expansion,
                            rngs,
                            jax.nn.relu,
                        )
                        for _ in range(depth)
                    ]
                )
                for width, depth in zip(widths, config.depths, strict=True)
            ]
        )
        grid = config.size // 16
        self.pooling = nnx.Param(normal_init(rngs, (grid, grid, widths[-1] * 2), grid * grid))
        self.widen = Linear(widths[-1], widths[-1] * 2, rngs, gain=1.0)
        self.output = Linear(widths[-1] * 2, 11, rngs, gain=0.1)
        self.pooling_bias = nnx.Param(zeros(widths[-1] * 2))

    def __call__(self, pixels: Array) -> tuple[Float[Array, "n 5 2"], Float[Array, " n"]]:
        """Return landmarks, as fractions of the crop's side, and the logarithm of their expected error.

        `pixels` are RGB crops (n, size, size, 3), 0..255, of any type.
        """
        x = (layers.patchify(pixels, 4).astype(jnp.float32) - 127.5) * (1 / 64)
        x = jax.nn.relu(self.patches(x))
        for number, blocks in enumerate(self.stages):
            if number:
                x = jax.nn.relu(self.merges[number - 1](layers.patchify(x, 2)))
            for block in blocks:
                x = block(x)
        x = jax.nn.relu(self.widen(x))
        if layers.on_cpu():
            # Otherwise XLA hands the whole block before the sum to a library, which took twice as long for it.
            x = jax.lax.optimization_barrier(x)
        x = jax.nn.relu((x * self.pooling[...]).sum((1, 2)) + self.pooling_bias[...])
        outputs = self.output(x)
        return outputs[:, :10].reshape(-1, 5, 2) + jnp.asarray(MEAN, jnp.float32), outputs[:, 10] - 3.0


def crop_matrix(landmarks: Float[np.ndarray, "*b 5 2"], size: int) -> Float64[np.ndarray, "*b 2 3"]:
    """Return the similarity from the image to a crop that takes the landmarks nearest to `MEAN`."""
    return geometry.similarity(landmarks, np.broadcast_to(MEAN * size, landmarks.shape))


def unmirrored(landmarks: Float[np.ndarray, "n 5 2"]) -> Float[np.ndarray, "n 5 2"]:
    """Return landmarks of mirrored crops, as fractions of the side, where they lie in the crops themselves."""
    swapped = landmarks[:, [1, 0, 2, 4, 3]]
    swapped[..., 0] = 1 - swapped[..., 0]
    return swapped


def halve_products(net: Refiner) -> None:
    """Make the kernels of matrix products within the network bfloat16, for inference where processors multiply it.

    Its landmarks differ by 0.0004 of the distance of the eyes in the mean (at most 0.002), and crops take three
    quarters of the time (AMD EPYC, one processor).
    """
    for path, node in nnx.iter_graph(net):
        if isinstance(node, Linear) and path[-1] not in ("patches", "output"):
            node.kernel = nnx.Param(jnp.asarray(node.kernel[...], jnp.bfloat16))


def load(path: Path = REFINER) -> Refiner:
    """Return the network.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    return load_network(path, "the refiner's", RefinerConfig, lambda config: Refiner(config, None), lambda _: None)[0]
