"""Training pictures made inside a compiled program: composites, warps and photometric augmentation of single faces.

The counterparts for NumPy and OpenCV are `composites` and `augment`. All functions are of one picture and a random key;
the caller maps them over a batch. RGB values are floats of 0..255.
"""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rollcall_model.datasets.faces import CROP
from rollcall_model.training.composites import SINGLE

#: Kinds of composites of two faces and their probabilities, as `composites` draws them: blend, above, beside.
_PAIRED: Final = np.array([0.4, 0.2, 0.1]) / 0.7
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
_COSINES: Final = (
    np.sqrt(np.where(np.arange(_BLOCK) == 0, 1, 2) / _BLOCK)[:, None]
    * np.cos(np.pi * (np.arange(_BLOCK) + 0.5) * np.arange(_BLOCK)[:, None] / _BLOCK)
).astype(np.float32)
_YCC: Final = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)


def composite(
    key: Array, first: Float[Array, "s s 3"], second: Float[Array, "s s 3"], single: float
) -> tuple[Float[Array, "s s 3"], Float[Array, ""]]:
    """Return a picture of two faces, each mirrored or not, and the first one's ratio.

    `single` is the probability that the first one is shown alone.
    """
    keys = jax.random.split(key, 4)
    mirrored = jax.random.bernoulli(keys[0], 0.5, (2,))
    first = jnp.where(mirrored[0], first[:, ::-1], first)
    second = jnp.where(mirrored[1], second[:, ::-1], second)
    kind = jax.random.choice(keys[1], 4, p=jnp.array([single, *((1 - single) * _PAIRED)]))
    u = jax.random.uniform(keys[2])
    blend = _BLEND_RATIO[0] + u * (_BLEND_RATIO[1] - _BLEND_RATIO[0])
    halves = _HALVES_RATIO[0] + u * (_HALVES_RATIO[1] - _HALVES_RATIO[0])
    ratio = jnp.where(kind == SINGLE, 1.0, jnp.where(kind == 1, blend, halves))
    edge = jnp.clip((ratio - (jnp.arange(first.shape[0]) + 0.5) / first.shape[0]) / _SEAM + 0.5, 0, 1)
    whole = jnp.full(first.shape[:2], ratio)
    mask = jnp.select([kind == 2, kind == 3], [edge[:, None] + 0 * whole, edge[None] + 0 * whole], whole)[..., None]
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


def move_matrix(key: Array, stored: int, size: int, strength: float) -> Float[Array, "2 3"]:
    """Return the matrix from a randomly turned, scaled and shifted crop of `size` pixels to a stored crop's pixels."""
    angle, scale, *shift = jax.random.normal(key, (4,))
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


def degrade(key: Array, x: Float[Array, "s s 3"], strength: float) -> Float[Array, "s s 3"]:
    """Return the crop with random resolution, light, noise, compression and occlusion; see `augment.augment`."""
    keys = iter(jax.random.split(key, 8))

    def maybe(probability: float, changed: Array, x: Array) -> Array:
        return jnp.where(jax.random.bernoulli(next(turns), probability), changed, x)

    turns = iter(jax.random.split(next(keys), 8))
    for part in (4, 2.5, 1.6):
        side = max(round(x.shape[0] / part), 2)
        small = jax.image.resize(x, (side, side, 3), "linear")
        x = maybe(0.1 * strength, jax.image.resize(small, x.shape, "linear"), x)
    x = maybe(0.8, _change_light(next(keys), x), x)
    x = maybe(0.12, (x @ _YCC[0])[..., None] + 0 * x, x)
    deviation = jax.random.uniform(next(keys), minval=2, maxval=14)
    x = maybe(0.15 * strength, x + deviation * jax.random.normal(next(keys), x.shape), x)
    x = jnp.clip(x, 0, 255)
    x = maybe(0.2 * strength, compress(x, jax.random.uniform(next(keys), minval=15, maxval=75)), x)
    return maybe(0.2 * strength, _cover(next(keys), x), x)


def _change_light(key: Array, x: Float[Array, "s s 3"]) -> Float[Array, "s s 3"]:
    normal, uniform = jax.random.normal(key, (6,)), jax.random.uniform(jax.random.fold_in(key, 1), (3,))
    x = (x - 110) * jnp.exp(0.2 * normal[0]) * (1 + 0.06 * normal[1:4]) + 110 + 12 * normal[4]
    grey = x.mean(-1, keepdims=True)
    x = jnp.where(uniform[0] < 0.4, grey + (x - grey) * (0.4 + 1.1 * uniform[1]), x)
    return jnp.where(uniform[2] < 0.3, 255 * (jnp.clip(x, 0, 255) / 255) ** jnp.exp(0.3 * normal[5]), x)


def _cover(key: Array, x: Float[Array, "s s 3"]) -> Float[Array, "s s 3"]:
    """Draw a rectangle of one colour over a part of the face."""
    u = jax.random.uniform(key, (7,))
    extent, start = 0.15 + 0.3 * u[:2], 1.3 * u[2:4] - 0.3
    place = (jnp.arange(x.shape[0]) + 0.5) / x.shape[0]
    rows, columns = ((place >= start[i]) & (place < start[i] + extent[i]) for i in range(2))
    return jnp.where((rows[:, None] & columns[None])[..., None], 255 * u[4:], x)
