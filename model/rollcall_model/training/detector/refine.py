"""Training of the refiner on faces with true landmarks: `python -m rollcall_model.training.detector fit-refiner`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import shard_map
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Float64, UInt8

from rollcall_model import checkpoint, geometry, runtime
from rollcall_model.detection import refiner
from rollcall_model.detection.refiner import MEAN, Refiner
from rollcall_model.evaluation.landmarks import LandmarkErrors
from rollcall_model.evaluation.landmarks import error as landmark_error
from rollcall_model.nn.state import load_state_dict, state_dict
from rollcall_model.training.detector import scenes
from rollcall_model.training.detector.face_patches import Patches, turned
from rollcall_model.training.detector.losses import wing
from rollcall_model.training.detector.schedule import Schedule

MIRRORED: Final = [1, 0, 2, 4, 3]
#: Faces are measured on cut out along landmarks with such errors, in distances of the eyes, in batches of one size.
_CUT_ERROR: Final = 0.05
_AT_ONCE: Final = 256
#: Where the eyes are nearer than this share of the usual distance, errors count as if they were no nearer.
_NEAREST_EYES: Final = 0.5
#: How often each severity of the errors is met: some of the time the single pass is nearly right, as in the second
#: round of the refiner.
SEVERITIES: Final = ((0.3, 0.3), (1.0, 0.7))
#: Squeezed faces are at least so wide, of their width.
NARROWEST: Final = 0.6
_ECHO: Final = 100
_SAVED_EVERY: Final = 60.0  # seconds


class RefinerFitConfig(NamedTuple):
    """The settings of a run."""

    steps: int = 6_000
    batch: int = 64
    learning_rate: float = 2e-3
    average: float = 0.998
    seed: int = 0
    #: Errors of the single pass's landmarks that a crop is cut along: of each point, and of all together, in distances
    #: of the eyes; of the angle in radians and of the logarithm of the scale.
    point_error: float = 0.12
    shift_error: float = 0.10
    angle_error: float = 0.2
    scale_error: float = 0.12
    #: Share of the faces that are made narrower, whose eyes are then as near as those of turned heads.
    squeezed: float = 0.0
    #: Steps after which the learning rate begins to fall; 0: after the first twentieth, in which it rises.
    steady: int = 0


#: Crops (n, s, s, 3), RGB, and the landmarks in them (n, 5, 2), on the host or on the devices.
Examples = tuple[UInt8[np.ndarray, "n s s 3"] | Array, Float32[np.ndarray, "n 5 2"] | Array]


def in_convention(data: Patches, network: Refiner) -> Patches:
    """Return patches whose landmarks mean the same points of a face as the network's.

    Sets differ in what they call the middle of an eye or the tip of the nose, and in where a pixel's centre is. Their
    landmarks are moved by the median difference from the network's, which is one shift for each of the five.
    """
    moved = predictions(network, data) - data.landmarks
    return data._replace(landmarks=data.landmarks + np.median(moved, axis=0).astype(np.float32))


def resized(network: Refiner, size: int) -> Refiner:
    """Return a refiner for crops of another side, with the network's weights, to begin a training with.

    The grid of its pooling is interpolated; all else is convolutions, which go with any size.
    """
    made = Refiner(network.config._replace(size=size), None)
    arrays = state_dict(network)
    before, after = network.config.size // 16, size // 16
    pooling = jax.image.resize(arrays["pooling"], (after, after, arrays["pooling"].shape[-1]), "linear")
    load_state_dict(made, {**arrays, "pooling": np.asarray(pooling) * (before / after) ** 2})
    return made


def predictions(network: Refiner, data: Patches, error: float = 0.0) -> Float32[np.ndarray, "n 5 2"]:
    """Return the network's landmarks of all patches, in their pixels, each crop seen in a mirror, too.

    Crops are cut along the patches' landmarks with errors of `error`, in distances of the eyes, the same each time.
    """
    rng, size = np.random.default_rng(0), network.config.size
    apply = jax.jit(lambda pixels: network(pixels)[0])
    found = np.zeros((len(data.landmarks), 5, 2), np.float32)
    for start in range(0, len(found), _AT_ONCE):
        rows = range(start, min(start + _AT_ONCE, len(found)))
        eyes = np.linalg.norm(data.landmarks[rows, 1] - data.landmarks[rows, 0], axis=1)
        wrong = data.landmarks[rows] + rng.normal(0, error, (len(rows), 5, 2)) * eyes[:, None, None]
        matrices = [refiner.crop_matrix(one, size) for one in wrong]
        crops = np.zeros((_AT_ONCE, size, size, 3), np.uint8)
        for place, (row, matrix) in enumerate(zip(rows, matrices, strict=True)):
            crops[place] = geometry.cut(data.pixels[row], matrix, size)[..., ::-1]
        points = (np.asarray(apply(crops)) + refiner.unmirrored(np.array(apply(crops[:, :, ::-1])))) / 2
        for row, matrix, one in zip(rows, matrices, points, strict=False):
            found[row] = geometry.moved_back(one * size, matrix)
    return found


def measured(network: Refiner, data: Patches) -> dict[str, float]:
    """Return mean error and share of wrong landmarks, of all faces and of turned ones, cut out slightly wrong."""
    found = predictions(network, data, _CUT_ERROR)
    errors = np.array([landmark_error(*pair) for pair in zip(found, data.landmarks, strict=True)])
    every, those = LandmarkErrors(errors, 0), LandmarkErrors(errors[turned(data)], 0)
    figures = {"error": every.mean, "wrong": every.wrong, "turned error": those.mean, "turned wrong": those.wrong}
    return {name: round(value, 4) for name, value in figures.items()}


def batches(data: Patches, config: RefinerFitConfig, size: int) -> Iterator[Examples]:
    """Yield damaged crops, cut along landmarks with errors, and the true landmarks as fractions of a crop, forever."""
    chooser = np.random.default_rng(config.seed)
    chances = data.weights.astype(np.float64) / data.weights.sum(dtype=np.float64)

    def one(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return example(data.pixels[index], data.landmarks[index], config, size, np.random.default_rng(seed))

    with ThreadPoolExecutor(runtime.processors()) as threads:
        while True:
            rows = chooser.choice(len(data.pixels), config.batch, p=chances)
            seeds = chooser.integers(1 << 62, size=config.batch)
            found = list(threads.map(one, rows.tolist(), seeds.tolist()))
            yield np.stack([pixels for pixels, _ in found]), np.stack([points for _, points in found])


def example(
    pixels: UInt8[np.ndarray, "s s 3"],
    landmarks: Float[np.ndarray, "5 2"],
    config: RefinerFitConfig,
    size: int,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "s s 3"], Float32[np.ndarray, "5 2"]]:
    """Return a crop of a patch, RGB, and the landmarks as fractions of its side."""
    eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    squeeze = _squeeze(
        rng.uniform(NARROWEST, 1) if config.squeezed and rng.random() < config.squeezed else 1.0, len(pixels)
    )
    landmarks = geometry.moved(landmarks, squeeze)
    severity = rng.choice([value for value, _ in SEVERITIES], p=[share for _, share in SEVERITIES])
    wrong = landmarks + rng.normal(0, config.point_error * severity * eyes, (5, 2))
    wrong = wrong + rng.normal(0, config.shift_error * severity * eyes, 2)
    angle, scale = rng.normal(0, config.angle_error * severity), np.exp(rng.normal(0, config.scale_error * severity))
    centre = wrong.mean(axis=0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wrong = (wrong - centre) @ turn.T + centre
    matrix = refiner.crop_matrix(wrong, size)
    crop = geometry.cut(pixels, matrix @ np.concatenate([squeeze, [[0, 0, 1]]]), size)
    points = geometry.moved(landmarks, matrix) / size
    if rng.random() < 0.5:
        crop, points = crop[:, ::-1], points[MIRRORED] * (-1, 1) + (1, 0)
    if rng.random() < 0.25:
        # A small face: fewer pixels than the crop has.
        small = int(rng.integers(size // 4, size))
        reduced = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    crop = scenes.damaged(np.ascontiguousarray(crop), rng)
    if rng.random() < 0.2:
        crop = _covered(crop, rng)
    return crop[..., ::-1], points.astype(np.float32)


def _squeeze(width: float, side: int) -> Float64[np.ndarray, "2 3"]:
    """Return the matrix that makes a patch narrower around its middle, which leaves its face upright."""
    return np.array([[width, 0, (1 - width) * side / 2], [0, 1, 0]])


def _covered(crop: UInt8[np.ndarray, "s s 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """Return the crop with a rectangle of one colour on it, as a hand or a mask hides a part."""
    size = len(crop)
    low, side = rng.integers(0, size, 2), rng.integers(size // 6, size // 2, 2)
    crop = crop.copy()
    crop[low[1] : low[1] + side[1], low[0] : low[0] + side[0]] = rng.integers(0, 256, 3)
    return crop


def fit(
    examples: Iterator[Examples],
    validation: Patches,
    begin: Refiner,
    config: RefinerFitConfig,
    out: Path,
    seconds: float | None = None,
) -> Refiner:
    """Return the trained refiner, with a moving average of its weights; write it and its log to the folder `out`.

    It is measured on `validation` before, half way and in the end, and written each minute. With `seconds` it takes so
    long: the rate falls from half of them on, over as many steps as the rest allows; the log tells `steps` and
    `steady`, with which the run can be repeated.
    """
    out.mkdir(parents=True, exist_ok=True)
    graph, params = nnx.split(begin)
    schedule = Schedule(config.steps, config.learning_rate, config.steady, seconds)
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.add_decayed_weights(1e-3), optax.scale(-1.0)
    )
    compiled = _step(graph, optimiser, config.average)
    average, state, total, saved = params, optimiser.init(params), jnp.zeros(()), time.monotonic()

    def note(**entry: float) -> None:
        line = json.dumps({**entry, "seconds": round(schedule.passed())})
        with (out / "refiner-log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        click.echo(line)

    def save(done: int) -> Refiner:
        net: Refiner = nnx.merge(graph, average)
        settings = {**config._asdict(), "steps": schedule.steps, "steady": schedule.steady, "done": done}
        checkpoint.save(
            out / "refiner.safetensors", state_dict(net), {"config": begin.config._asdict(), "training": settings}
        )
        return net

    note(step=0, **measured(begin, validation))
    number = 0
    while schedule.steps is None or number < schedule.steps:
        rate = np.float32(schedule.rate(number))
        params, average, state, total = compiled(params, average, state, total, rate, *next(examples))
        number += 1
        if number % _ECHO == 0:
            note(step=number, training=round(float(total) / _ECHO, 5))
            total = jnp.zeros(())
            if time.monotonic() >= saved + _SAVED_EVERY:
                save(number)
                saved = time.monotonic()
        if schedule.half_way(number):
            jax.block_until_ready(total)
            began = schedule.passed()
            note(step=number, **measured(save(number), validation))
            if seconds is not None:
                schedule.decide(number, schedule.passed() - began)
                note(step=number, steady=schedule.steady, steps=schedule.steps or 0)
    net = save(number)
    note(step=number, **measured(net, validation))
    return net


def _step(graph: Any, optimiser: optax.GradientTransformation, decay: float) -> Any:
    """Return the compiled step: parameters, their average, the optimiser's state and the sum of errors, renewed."""
    usual = float(MEAN[1, 0] - MEAN[0, 0])

    def loss(params: Any, pixels: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        points, log_error = nnx.merge(graph, params)(pixels)
        # Over the distance of the face's own eyes, as errors are measured.
        eyes = jnp.maximum(jnp.linalg.norm(target[:, 1] - target[:, 0], axis=-1), _NEAREST_EYES * usual)
        error = jnp.linalg.norm(points - target + 1e-6, axis=-1).mean(-1) / eyes
        # The expected error by a Laplace likelihood, which must not pull at the landmarks.
        expected = log_error + jax.lax.stop_gradient(error) * jnp.exp(-log_error)
        missed = wing(jnp.abs(points - target) / eyes[:, None, None]).mean((1, 2))
        return (missed * 10 + 0.05 * expected).mean(), error.mean()

    def step(params: Any, average: Any, state: Any, total: Array, rate: Array, pixels: Array, target: Array) -> Any:
        (_, error), gradient = jax.value_and_grad(loss, has_aux=True)(params, pixels, target)
        gradient, error = jax.lax.pmean((gradient, error), "batch")
        updates, state = optimiser.update(gradient, state, params)
        params = optax.apply_updates(params, jax.tree.map(lambda update: rate * update, updates))
        average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, params)
        return params, average, state, total + error

    specs = (P(), P(), P(), P(), P(), P("batch"), P("batch"))
    return jax.jit(shard_map(step, mesh=runtime.mesh(), in_specs=specs, out_specs=P(), check_vma=False))
