"""Crops for the refiner made on the device, as `refine.example` makes them on the host, by other draws.

The patches lie in the memory of every device; the host only draws which faces a batch shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, UInt8

from rollcall_model import runtime
from rollcall_model.detection.refiner import MEAN
from rollcall_model.training import device_pictures
from rollcall_model.training.detector.face_patches import Patches
from rollcall_model.training.detector.refine import MIRRORED, NARROWEST, SEVERITIES, RefinerFitConfig

#: How strongly pictures are damaged, see `device_pictures.degrade`, and the share of dark and of softly blurred ones.
_DAMAGE: Final = 1.4
_DARK: Final = (0.09, 0.08, 0.5)  # share, least and largest light
_BLURRED: Final = (0.18, 0.5, 2.5)  # share, least and largest standard deviation in pixels


def batches(data: Patches, config: RefinerFitConfig, size: int) -> Iterator[tuple[Array, Array]]:
    """Yield damaged crops, RGB, and the true landmarks as fractions of a crop, forever; as arrays on the devices.

    Crops are floats of whole numbers. Step n's batch depends on the seed and n alone.
    """
    place = NamedSharding(runtime.mesh(), P())
    pixels, landmarks = jax.device_put((data.pixels, data.landmarks), place)
    shares = np.cumsum(data.weights, dtype=np.float64)
    shares /= shares[-1]

    def make(pixels: Array, landmarks: Array, rows: Array, keys: Array) -> tuple[Array, Array]:
        def one(row: Array, key: Array) -> tuple[Array, Array]:
            return crop(pixels[row], landmarks[row], config, size, jax.random.wrap_key_data(key))

        return jax.vmap(one)(rows, keys)

    specs = (P(), P(), P("batch"), P("batch"))
    program = jax.jit(shard_map(make, mesh=runtime.mesh(), in_specs=specs, out_specs=P("batch"), check_vma=False))
    step = 0
    while True:
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, step]))
        rows = np.searchsorted(shares, rng.random(config.batch), side="right").astype(np.int32)
        yield program(pixels, landmarks, rows, rng.integers(2**32, size=(config.batch, 2), dtype=np.uint32))
        step += 1


def crop(
    patch: UInt8[Array, "p p 3"], landmarks: Float[Array, "5 2"], config: RefinerFitConfig, size: int, key: Array
) -> tuple[Float[Array, "s s 3"], Float[Array, "5 2"]]:
    """Return a crop of a patch, RGB, and the landmarks as fractions of its side."""
    placed, damaged = jax.random.split(key)
    u = jax.random.uniform(placed, (21,), minval=2.0**-24)
    normal = jax.scipy.special.ndtri(u[7:])
    width = jnp.where(u[0] < config.squeezed, NARROWEST + (1 - NARROWEST) * u[1], 1.0)
    middle = patch.shape[0] / 2
    eyes = jnp.linalg.norm(landmarks[1] - landmarks[0])
    narrow = (landmarks - middle) * jnp.stack([width, jnp.ones(())]) + middle
    matrix = _crop_matrix(_wrong(narrow, eyes, config, u[2], normal), size)
    points = (narrow @ matrix[:, :2].T + matrix[:, 2]) / size
    # Back from pixels of the crop, counted by their centres, to those of the patch.
    back = jnp.linalg.inv(matrix[:, :2])
    shift = back @ (jnp.full(2, 0.5) - matrix[:, 2]) - middle
    wide = jnp.stack([1 / width, jnp.ones(())])[:, None]
    back = jnp.concatenate([back * wide, shift[:, None] * wide + middle - 0.5], 1)
    pixels = device_pictures.sample(patch[..., ::-1].astype(jnp.float32), back, size)
    mirror = u[3] < 0.5
    pixels = jnp.where(mirror, pixels[:, ::-1], pixels)
    points = jnp.where(mirror, points[jnp.array(MIRRORED)] * jnp.array([-1, 1]) + jnp.array([1, 0]), points)
    return _damaged(pixels, u[4:7], device_pictures.draw(damaged, size)), points


def _wrong(
    landmarks: Float[Array, "5 2"],
    eyes: Float[Array, ""],
    config: RefinerFitConfig,
    chance: Float[Array, ""],
    normal: Float[Array, " 14"],
) -> Float[Array, "5 2"]:
    """Return landmarks with such errors as a crop is cut along."""
    severity = jnp.where(chance < SEVERITIES[0][1], SEVERITIES[0][0], SEVERITIES[1][0])
    errors = config.point_error * normal[:10].reshape(5, 2) + config.shift_error * normal[10:12]
    wrong = landmarks + severity * eyes * errors
    angle, scale = config.angle_error * severity * normal[12], jnp.exp(config.scale_error * severity * normal[13])
    turn = scale * jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    centre = wrong.mean(0)
    return (wrong - centre) @ turn.T + centre


def _crop_matrix(landmarks: Float[Array, "5 2"], size: int) -> Float[Array, "2 3"]:
    """Return what `refiner.crop_matrix` returns."""
    target = jnp.asarray(MEAN * size, jnp.float32)
    centre, target_centre = landmarks.mean(0), target.mean(0)
    here, there = landmarks - centre, target - target_centre
    spread = (here**2).sum()
    a = (here * there).sum() / spread
    b = (here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum() / spread
    linear = jnp.array([[a, -b], [b, a]])
    return jnp.concatenate([linear, (target_centre - linear @ centre)[:, None]], 1)


def _damaged(x: Float[Array, "s s 3"], u: Float[Array, " 3"], draws: device_pictures.Draws) -> Float[Array, "s s 3"]:
    share, least, largest = _DARK
    x = jnp.where(u[0] < share, x * (least + (largest - least) * u[0] / share), x)
    share, least, largest = _BLURRED
    places = jnp.arange(x.shape[0])
    weights = jnp.exp(-(((places - places[:, None]) / (least + (largest - least) * u[2])) ** 2) / 2)
    weights = weights / weights.sum(1, keepdims=True)
    x = jnp.where(u[1] < share, jnp.einsum("ij,jkc,lk->ilc", weights, x, weights), x)
    return jnp.round(device_pictures.degrade(draws, x, _DAMAGE))
