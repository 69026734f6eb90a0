"""Training pictures made inside a compiled program: composites, warps and photometric augmentation of single faces.

The counterparts for NumPy and OpenCV are `composites` and `augment`. All functions are of one picture and of random
numbers, drawn at once by `draw`: each place that draws would cost more to compile than all that is done with the
numbers. The caller maps them over a batch. RGB values are floats of 0..255.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from rollcall_model.datasets.faces import CROP
from rollcall_model.training.composites import ABOVE, BESIDE, BLEND, SINGLE

#: Cumulative probabilities of a blend and of a face above another among composites of two; the rest lie side by side.
_PAIRED_BOUNDS: Final = np.array([0.4, 0.6], np.float32) / 0.7
_BLEND_RATIO: Final = (0.5, 0.9)
_HALVES_RATIO: Final = (0.5, 0.65)
_SEAM: Final = 0.12
#: The luminance quantisation of quality 50 in Annex K of the JPEG standard (ITU-T T.81).
_QUANTISATION: Final = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_BLOCK: Final = 8
#: How many times smaller the picture of a face at low resolution was.
_REDUCTIONS: Final = (4, 2.5, 1.6)
_COSINES: Final = (
    np.sqrt(np.where(np.arange(_BLOCK) == 0, 1, 2) / _BLOCK)[:, None]
    * np.cos(np.pi * (np.arange(_BLOCK) + 0.5) * np.arange(_BLOCK)[:, None] / _BLOCK)
).astype(np.float32)
_YCC: Final = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)


class Draws(NamedTuple):
    """The random numbers of one picture: uniform in 0..1 (`composite`, `degrade`) and normal (the others)."""

    composite: Float[Array, " 4"]
    degrade: Float[Array, " 19"]
    move: Float[Array, " 4"]
    light: Float[Array, " 6"]
    noise: Float[Array, "s s 3"]


def draw(key: Array, size: int) -> Draws:
    """Return the random numbers of a picture of `size` pixels."""
    # The least number is above 0, whose normal quantile is infinite.
    u = jax.random.uniform(key, (33 + 3 * size**2,), minval=2.0**-24)
    normal = jax.scipy.special.ndtri(u[23:])
    return Draws(u[:4], u[4:23], normal[:4], normal[4:10], normal[10:].reshape(size, size, 3))


def composite(
    u: Float[Array, " 4"], first: Float[Array, "s s 3"], second: Float[Array, "s s 3"], single: float | Array
) -> tuple[Float[Array, "s s 3"], Float[Array, ""]]:
    """Return a picture of two faces, each mirrored or not, and the first one's ratio.

    `single` is the probability that the first one is shown alone.
    """
    first = jnp.where(u[0] < 0.5, first[:, ::-1], first)
    second = jnp.where(u[1] < 0.5, second[:, ::-1], second)
    kind = (u[2] >= single + (1 - single) * _PAIRED_BOUNDS).sum() + (u[2] >= single)
    blend = _BLEND_RATIO[0] + u[3] * (_BLEND_RATIO[1] - _BLEND_RATIO[0])
    halves = _HALVES_RATIO[0] + u[3] * (_HALVES_RATIO[1] - _HALVES_RATIO[0])
    ratio = jnp.where(kind == SINGLE, 1.0, jnp.where(kind == BLEND, blend, halves))
    edge = jnp.clip((ratio - (jnp.arange(first.shape[0]) + 0.5) / first.shape[0]) / _SEAM + 0.5, 0, 1)
    whole = jnp.full(first.shape[:2], ratio)
    mask = jnp.select([kind == ABOVE, kind == BESIDE], [edge[:, None] + 0 * whole, edge[None] + 0 * whole], whole)
    mask = mask[..., None]
    return mask * first + (1 - mask) * second, ratio


def sample(
    picture: Float[Array, "h w 3"], matrix: Float[Array, "2 3"] | np.ndarray, side: int
) -> Float[Array, "t t 3"]:
    """Return the crop of `side` pixels whose pixels (x, y) lie at `matrix` (x, y, 1) of the picture, bilinearly."""
    x, y = jnp.meshgrid(jnp.arange(side, dtype=jnp.float32), jnp.arange(side, dtype=jnp.float32))
    high = jnp.array([picture.shape[1] - 1, picture.shape[0] - 1], jnp.float32)
    place = jnp.clip(jnp.stack([x, y], -1) @ matrix[:, :2].T + matrix[:, 2], 0, high)
    low = jnp.floor(place).astype(jnp.int32)
    above = jnp.minimum(low + 1, high.astype(jnp.int32))
    fx, fy = ((place - low)[..., i, None] for i in range(2))
    (x0, y0), (x1, y1) = (low[..., 0], low[..., 1]), (above[..., 0], above[..., 1])
    top = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
    return top * (1 - fy) + (picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx) * fy


def move_matrix(normal: Float[Array, " 4"], stored: int, size: int, strength: float | Array) -> Float[Array, "2 3"]:
    """Return the matrix from a randomly turned, scaled and shifted crop of `size` pixels to a stored crop's pixels."""
    angle, scale, *shift = normal
    a = jnp.deg2rad(5 * strength * angle)
    zoom = CROP / size * jnp.exp(0.06 * strength * scale)
    turn = zoom * jnp.array([[jnp.cos(a), -jnp.sin(a)], [jnp.sin(a), jnp.cos(a)]])
    centre = (size - 1) / 2 + 0.02 * strength * size * jnp.array(shift)
    return jnp.concatenate([turn, ((stored - 1) / 2 - turn @ centre)[:, None]], 1)


def compress(x: Float[Array, "s s 3"], quality: Float[Array, ""]) -> Float[Array, "s s 3"]:
    """Return the picture after JPEG's quantisation of 8 x 8 blocks at a quality of 1 to 100; colour is not reduced."""
    size = x.shape[0]
    pad = -size % _BLOCK
    padded = jnp.pad(x, ((0, pad), (0, pad), (0, 0)), "edge")
    count = (size + pad) // _BLOCK
    blocks = ((padded - 128) @ _YCC.T).reshape(count, _BLOCK, count, _BLOCK, 3)
    scale = jnp.where(quality < 50, 50 / quality, 2 - quality / 50)
    step = jnp.maximum(jnp.round(_QUANTISATION * scale), 1)
    found = jnp.einsum("ui,aibjc,vj->abuvc", _COSINES, blocks, _COSINES)
    kept = jnp.round(found / step[..., None]) * step[..., None]
    back = jnp.einsum("ui,abuvc,vj->aibjc", _COSINES, kept, _COSINES).reshape(padded.shape)
    return jnp.clip(back @ jnp.asarray(np.linalg.inv(_YCC).T, jnp.float32) + 128, 0, 255)[:size, :size]


def degrade(draws: Draws, x: Float[Array, "s s 3"], strength: float | Array) -> Float[Array, "s s 3"]:
    """Return the crop with random resolution, light, noise, compression and occlusion; see `augment.augment`."""
    u = draws.degrade
    resample = jnp.asarray(_resampling(x.shape[0]))[(u[0] * len(_REDUCTIONS)).astype(jnp.int32)]
    x = jnp.where(u[1] < 0.3 * strength, jnp.einsum("ij,jkc,lk->ilc", resample, x, resample), x)
    x = jnp.where(u[2] < 0.8, _change_light(u[9:12], draws.light, x), x)
    x = jnp.where(u[3] < 0.12, (x @ _YCC[0])[..., None], x)
    x = jnp.where(u[4] < 0.15 * strength, x + (2 + 12 * u[5]) * draws.noise, x)
    x = jnp.clip(x, 0, 255)
    x = jnp.where(u[6] < 0.2 * strength, compress(x, 15 + 60 * u[7]), x)
    return jnp.where(u[8] < 0.2 * strength, _cover(u[12:], x), x)


def _resampling(size: int) -> Float32[np.ndarray, "n s s"]:
    """Return a matrix for each reduction that makes a row of `size` pixels smaller and large again."""
    sides = [max(round(size / part), 2) for part in _REDUCTIONS]
    return np.stack([_resize_matrix(side, size) @ _resize_matrix(size, side) for side in sides])


def _resize_matrix(old: int, new: int) -> Float32[np.ndarray, "new old"]:
    """Return the matrix of linear interpolation from `old` to `new` pixels, over a wider range where they get fewer."""
    centre = (np.arange(new) + 0.5) * old / new - 0.5
    weight = np.maximum(1 - np.abs(np.arange(old) - centre[:, None]) / max(old / new, 1), 0)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def _change_light(
    uniform: Float[Array, " 3"], normal: Float[Array, " 6"], x: Float[Array, "s s 3"]
) -> Float[Array, "s s 3"]:
    x = (x - 110) * jnp.exp(0.2 * normal[0]) * (1 + 0.06 * normal[1:4]) + 110 + 12 * normal[4]
    grey = x.mean(-1, keepdims=True)
    x = jnp.where(uniform[0] < 0.4, grey + (x - grey) * (0.4 + 1.1 * uniform[1]), x)
    return jnp.where(uniform[2] < 0.3, 255 * (jnp.clip(x, 0, 255) / 255) ** jnp.exp(0.3 * normal[5]), x)


def _cover(u: Float[Array, " 7"], x: Float[Array, "s s 3"]) -> Float[Array, "s s 3"]:
    """Draw a rectangle of one colour over a part of the face."""
    extent, start = 0.15 + 0.3 * u[:2], 1.3 * u[2:4] - 0.3
    place = (jnp.arange(x.shape[0]) + 0.5) / x.shape[0]
    rows, columns = ((place >= start[i]) & (place < start[i] + extent[i]) for i in range(2))
    return jnp.where((rows[:, None] & columns[None])[..., None], 255 * u[4:], x)
