"""The single-pass detector network: one look at the whole picture at strides of 8, 16 and 32 pixels.

Anchor-free (Ge et al. 2021, YOLOX) and built of depthwise separable units: the design of YuNet (Wu et al. 2023). A
place of a grid predicts the face whose centre is near it: a score, a box, five landmarks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32

from rollcall_model import checkpoint
from rollcall_model.nn import layers
from rollcall_model.nn.modules import Linear, normal_init, zeros
from rollcall_model.nn.state import load_network
from rollcall_model.weights import SINGLE_PASS

#: Pixels between neighbouring places of the three grids.
STRIDES: Final = (8, 16, 32)
#: Sides of a picture must be multiples of this.
MULTIPLE: Final = 32
#: Outputs of a place: class score, objectness, box (centre and log size in strides), five landmarks (in strides).
OUTPUTS: Final = 16


class SinglePassConfig(NamedTuple):
    """The architecture; the defaults are those of the committed weights."""

    first: int = 16  # channels at a stride of 2
    stem: tuple[int, ...] = (16, 64, 64, 64)  # channels of the units at a stride of 4
    width: int = 64  # channels from a stride of 8 on
    depth: int = 2  # units at each of the strides


class Unit(nnx.Module):
    """A pointwise and a depthwise 3x3 convolution, then a rectifier."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs | None, *, rectified: bool = True) -> None:
        self.pointwise = Linear(inputs, outputs, rngs, gain=1.4)
        self.kernel = nnx.Param(normal_init(rngs, (3, 3, outputs), 9) + (0 if rngs is None else _centre(outputs)))
        self.bias = nnx.Param(zeros(outputs))
        self.rectified = rectified

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        """Return the unit's features."""
        x = layers.depthwise(self.pointwise(x), self.kernel[...]) + self.bias[...]
        return jax.nn.relu(x) if self.rectified else x


def _centre(channels: int) -> Array:
    """Return depthwise 3x3 kernels that keep their input."""
    return jnp.zeros((3, 3, channels)).at[1, 1].set(0.7)


class SinglePass(nnx.Module):
    """The network. Without `rngs` it is all zeros, to be filled from a state dict."""

    def __init__(self, config: SinglePassConfig, rngs: nnx.Rngs | None) -> None:
        self.config = config
        width = config.width
        self.first = nnx.Param(normal_init(rngs, (3, 3, 3, config.first), 27))
        self.first_bias = nnx.Param(zeros(config.first))
        self.second = Unit(config.first, config.first, rngs)
        sides = (config.first, *config.stem)
        self.stem_units = nnx.List([Unit(i, o, rngs) for i, o in zip(sides[:-1], sides[1:], strict=True)])
        self.stages = nnx.List(
            [
                nnx.List([Unit(sides[-1] if n + k == 0 else width, width, rngs) for k in range(config.depth)])
                for n in range(len(STRIDES))
            ]
        )
        self.laterals = nnx.List([Unit(width, width, rngs) for _ in STRIDES])
        self.heads = nnx.List([Unit(width, width, rngs) for _ in STRIDES])
        self.outputs = nnx.List([Unit(width, OUTPUTS, rngs, rectified=False) for _ in STRIDES])

    def stem(self, pixels: Array) -> Float[Array, "n h8 w8 c"]:
        """Return the features at a stride of 8 of RGB pixels (n, h, w, 3), 0..255, of any type."""
        x = layers.conv_halved(pixels.astype(jnp.float32) * (1 / 255), self.first[...])
        x = layers.max_pool(self.second(jax.nn.relu(x + self.first_bias[...])), 2)
        for unit in self.stem_units:
            x = unit(x)
        return layers.max_pool(x, 2)

    def grids(
        self, x: Float[Array, "n h8 w8 c"], apply: Callable[[Unit, Array], Array] = Unit.__call__
    ) -> list[Float[Array, "n h w 16"]]:
        """Return the outputs at each stride of the stem's features; `apply` computes a unit."""
        features = []
        for number, units in enumerate(self.stages):
            x = layers.max_pool(x, 2) if number else x
            for unit in units:
                x = apply(unit, x)
            features.append(x)
        above: Array | None = None
        results = []
        for number in reversed(range(len(STRIDES))):
            x = features[number]
            if above is not None:
                x = x + jnp.repeat(jnp.repeat(above, 2, axis=1), 2, axis=2)
            above = apply(self.laterals[number], x)
            results.append(apply(self.outputs[number], apply(self.heads[number], above)))
        return results[::-1]

    def __call__(self, pixels: Array) -> Float[Array, "n a 16"]:
        """Return the outputs of all places, stride by stride, row by row, of RGB pixels 0..255.

        Height and width must be multiples of 32.
        """
        return flatten(self.grids(self.stem(pixels)))


def flatten(grids: list[Float[Array, "n h w k"]]) -> Float[Array, "n a k"]:
    """Return the places of all grids as one axis."""
    return jnp.concatenate([grid.reshape(grid.shape[0], -1, grid.shape[-1]) for grid in grids], axis=1)


def anchors(height: int, width: int) -> Float32[np.ndarray, "a 3"]:
    """Return x, y in pixels and the stride of every place, in the order of the outputs."""
    parts = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        parts.append(np.stack([columns * stride, rows * stride, np.full(rows.shape, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(parts).astype(np.float32)


def decode_boxes(outputs: Float[Array, "*n a 16"], places: Float[Array, "a 3"]) -> Float[Array, "*n a 4"]:
    """Return left, top, right, bottom in pixels."""
    centre, stride = places[:, :2], places[:, 2:]
    middle = centre + outputs[..., 2:4] * stride
    # Bounded, since an untrained network's exponent can be of any size.
    half = jnp.exp(jnp.clip(outputs[..., 4:6], -6, 6)) * stride / 2
    return jnp.concatenate([middle - half, middle + half], axis=-1)


def decode_landmarks(outputs: Float[Array, "*n a 16"], places: Float[Array, "a 3"]) -> Float[Array, "*n a 5 2"]:
    """Return the landmarks in pixels, in the order of `types.Detections`."""
    points = outputs[..., 6:16].reshape(*outputs.shape[:-1], 5, 2)
    return points * places[:, None, 2:] + places[:, None, :2]


def scores(outputs: Float[Array, "*n a 16"]) -> Float[Array, "*n a"]:
    """Return the score 0..1 of every place: the geometric mean of class score and objectness."""
    return jnp.sqrt(jax.nn.sigmoid(outputs[..., 0]) * jax.nn.sigmoid(outputs[..., 1]))


class Calibration(NamedTuple):
    """What was measured with the weights: from the network's score to the probability of a face, and the least one."""

    scale: float = 1.0  # of the score's logit
    shift: float = 0.0
    threshold: float = 0.5  # of the probability
    small: float = 0.0  # of the logarithm of a relative side, where that is negative

    def probability(
        self, score: Float32[np.ndarray, " n"], relative_sides: Float32[np.ndarray, " n"] | None = None
    ) -> Float32[np.ndarray, " n"]:
        """Return the probability of a face for scores between 0 and 1.

        `relative_sides` are the sides of the boxes over that of the smallest face that is looked for; without, none is
        small. A box below that is seldom a face of that size: it is smaller still, or the box is wrong.
        """
        clipped = np.clip(score, 1e-6, 1 - 1e-6)
        logit = self.scale * np.log(clipped / (1 - clipped)) + self.shift
        if relative_sides is not None:
            logit = logit + self.small * np.log(np.clip(relative_sides, 1e-3, 1))
        return (1 / (1 + np.exp(-logit))).astype(np.float32)

    def score(self, probability: float) -> float:
        """Return the score of a probability between 0 and 1 for a face that is not small."""
        logit = (np.log(probability / (1 - probability)) - self.shift) / self.scale
        return float(1 / (1 + np.exp(-logit)))


def load(path: Path = SINGLE_PASS) -> tuple[SinglePass, Calibration]:
    """Return the network and the calibration of its scores.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    return load_network(
        path,
        "the detector's",
        SinglePassConfig,
        lambda config: SinglePass(config, None),
        lambda metadata: checkpoint.configured(Calibration, metadata.get("calibration", {})),
    )
