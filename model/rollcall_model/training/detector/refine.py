"""Training of the refiner on faces with true landmarks: `python -m rollcall_model.training.detector fit-refiner`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
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
from jaxtyping import Float32, UInt8, UInt64

from rollcall_model import checkpoint, geometry, runtime
from rollcall_model.datasets.exclusion import usable
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import refiner
from rollcall_model.detection.candidates import Candidates
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.detection.refiner import MEAN, Refiner
from rollcall_model.evaluation.landmarks import LandmarkErrors
from rollcall_model.evaluation.landmarks import error as landmark_error
from rollcall_model.nn import pooling
from rollcall_model.nn.state import state_dict
from rollcall_model.training.detector import scenes
from rollcall_model.training.detector.losses import wing
from rollcall_model.training.detector.pack import Pack
from rollcall_model.training.detector.pictures import Source

#: Side of a stored patch, and how much smaller a face is in it than in a crop of that side: room for errors.
_PATCH: Final = 128
_ZOOM: Final = 0.72
#: MTCNN's landmarks are taken of faces of such a side in pixels, such a probability, and such a difference from the
#: teacher's, in sides.
_PSEUDO_SIDE: Final = 36.0
_PSEUDO_SCORE: Final = 0.97
_PSEUDO_ERROR: Final = 0.12
_MIRRORED: Final = [1, 0, 2, 4, 3]
#: Of the faces every tenth is not trained on but measured on, cut out along landmarks with such errors, in distances
#: of the eyes, in batches of one size.
_HELD_OUT: Final = 10
_CUT_ERROR: Final = 0.05
_AT_ONCE: Final = 256
#: Where the eyes are nearer than this share of the usual distance, errors count as if they were no nearer.
_NEAREST_EYES: Final = 0.5
_TURNED: Final = 0.8
_ECHO: Final = 100


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


class Patches(NamedTuple):
    """Upright faces with room around them, and their true landmarks in pixels of the patch."""

    pixels: UInt8[np.ndarray, "n 128 128 3"]  # BGR
    landmarks: Float32[np.ndarray, "n 5 2"]
    weights: Float32[np.ndarray, " n"]  # how often each is shown, in proportion


def patches(sources: Iterable[Source], excluded: UInt64[np.ndarray, " h"], weight: float = 1.0) -> Patches:
    """Return the patches of all labelled faces; pictures in a test set are left out."""

    def of(source: Source) -> list[tuple[np.ndarray, np.ndarray]]:
        encoded = source.path.read_bytes()
        if not usable(encoded, excluded):
            return []
        image = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        return [_patch(image, landmarks) for landmarks in source.faces.landmarks]

    with ThreadPoolExecutor(runtime.processors()) as threads:
        return _collected([one for some in threads.map(of, sources) for one in some], weight)


def pseudo_labelled(pack: Pack, weight: float = 1.0) -> Patches:
    """Return patches of a pack's larger faces with the landmarks that MTCNN's output network gives them.

    Faces in the wild have true landmarks in few sets. Kept are those it is sure of and the teacher agrees with.
    """
    cascade = CascadeDetector()
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for index, faces in enumerate(pack.faces):
        sides = np.sqrt(bx.area(faces.boxes))
        chosen = np.flatnonzero(~faces.ignored & (sides >= _PSEUDO_SIDE) & ~np.isnan(faces.landmarks).any((1, 2)))
        if not len(chosen):
            continue
        image = pack.picture(index)
        count = len(chosen)
        offsets = np.zeros((count, 4), np.float32)
        candidates = Candidates(np.zeros(count, np.int64), bx.square(faces.boxes[chosen]), offsets[:, 0], offsets)
        scored = cascade.score_crops([pooling.integral(np.ascontiguousarray(image[..., ::-1]))], candidates)
        for box, probability, landmarks in zip(scored.boxes, scored.scores, scored.landmarks, strict=True):
            nearest = int(bx.iou(box[None], faces.boxes[chosen])[0].argmax())
            difference = np.linalg.norm(faces.landmarks[chosen[nearest]] - landmarks, axis=1).mean()
            if probability >= _PSEUDO_SCORE and difference < _PSEUDO_ERROR * sides[chosen[nearest]]:
                found.append(_patch(image, landmarks))
    return _collected(found, weight)


def in_convention(data: Patches, network: Refiner) -> Patches:
    """Return patches whose landmarks mean the same points of a face as the network's.

    Sets differ in what they call the middle of an eye or the tip of the nose, and in where a pixel's centre is. Their
    landmarks are moved by the median difference from the network's, which is one shift for each of the five.
    """
    moved = predictions(network, data) - data.landmarks
    return data._replace(landmarks=data.landmarks + np.median(moved, axis=0).astype(np.float32))


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


def held_out(data: Patches) -> tuple[Patches, Patches]:
    """Return the patches to train on, and every tenth, to measure on."""
    tenth = np.arange(len(data.pixels)) % _HELD_OUT == 0
    return Patches(*(column[~tenth] for column in data)), Patches(*(column[tenth] for column in data))


def measured(network: Refiner, data: Patches) -> dict[str, float]:
    """Return mean error and share of wrong landmarks, of all faces and of turned ones, cut out slightly wrong.

    A face counts as turned where its eyes are nearer than 0.8 of their distance from the mouth.
    """
    found = predictions(network, data, _CUT_ERROR)
    errors = np.array([landmark_error(*pair) for pair in zip(found, data.landmarks, strict=True)])
    left, right, _, low, high = data.landmarks.swapaxes(0, 1)
    height = np.linalg.norm((left + right - low - high) / 2, axis=1)
    turned = LandmarkErrors(errors[np.linalg.norm(right - left, axis=1) < _TURNED * height], 0)
    every = LandmarkErrors(errors, 0)
    figures = {"error": every.mean, "wrong": every.wrong, "turned error": turned.mean, "turned wrong": turned.wrong}
    return {name: round(value, 4) for name, value in figures.items()}


def joined(parts: Sequence[Patches]) -> Patches:
    """Return all patches together."""
    return Patches(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _patch(image: UInt8[np.ndarray, "h w 3"], landmarks: Float32[np.ndarray, "5 2"]) -> tuple[np.ndarray, np.ndarray]:
    matrix = refiner.crop_matrix(landmarks, _PATCH)
    # Around the crop's centre, so that the face keeps its place.
    matrix = (matrix - [[0, 0, _PATCH / 2]] * 2) * _ZOOM + [[0, 0, _PATCH / 2]] * 2
    return geometry.cut(image, matrix, _PATCH), geometry.moved(landmarks, matrix)


def _collected(found: Sequence[tuple[np.ndarray, np.ndarray]], weight: float) -> Patches:
    pixels = np.array([one[0] for one in found], np.uint8).reshape(-1, _PATCH, _PATCH, 3)
    landmarks = np.array([one[1] for one in found], np.float32).reshape(-1, 5, 2)
    return Patches(pixels, landmarks, np.full(len(found), weight, np.float32))


def batches(
    data: Patches, config: RefinerFitConfig, size: int
) -> Iterator[tuple[UInt8[np.ndarray, "n s s 3"], Float32[np.ndarray, "n 5 2"]]]:
    """Yield damaged crops, cut along landmarks with errors, and the true landmarks as fractions of a crop."""
    chooser = np.random.default_rng(config.seed)
    chances = data.weights.astype(np.float64) / data.weights.sum(dtype=np.float64)

    def one(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return example(data.pixels[index], data.landmarks[index], config, size, np.random.default_rng(seed))

    with ThreadPoolExecutor(runtime.processors()) as threads:
        for _ in range(config.steps):
            rows = chooser.choice(len(data.pixels), config.batch, p=chances)
            seeds = chooser.integers(1 << 62, size=config.batch)
            found = list(threads.map(one, rows.tolist(), seeds.tolist()))
            yield np.stack([pixels for pixels, _ in found]), np.stack([points for _, points in found])


def example(
    pixels: UInt8[np.ndarray, "s s 3"],
    landmarks: Float32[np.ndarray, "5 2"],
    config: RefinerFitConfig,
    size: int,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "s s 3"], Float32[np.ndarray, "5 2"]]:
    """Return a crop of a patch, RGB, and the landmarks as fractions of its side."""
    eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    # Some of the time the single pass is nearly right, as in the second round of the refiner.
    severity = rng.choice([0.3, 1.0], p=[0.3, 0.7])
    wrong = landmarks + rng.normal(0, config.point_error * severity * eyes, (5, 2))
    wrong = wrong + rng.normal(0, config.shift_error * severity * eyes, 2)
    angle, scale = rng.normal(0, config.angle_error * severity), np.exp(rng.normal(0, config.scale_error * severity))
    centre = wrong.mean(axis=0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wrong = (wrong - centre) @ turn.T + centre
    matrix = refiner.crop_matrix(wrong, size)
    crop = geometry.cut(pixels, matrix, size)
    points = geometry.moved(landmarks, matrix) / size
    if rng.random() < 0.5:
        crop, points = crop[:, ::-1], points[_MIRRORED] * (-1, 1) + (1, 0)
    if rng.random() < 0.25:
        # A small face: fewer pixels than the crop has.
        small = int(rng.integers(size // 4, size))
        reduced = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    crop = scenes.damaged(np.ascontiguousarray(crop), rng)
    if rng.random() < 0.2:
        crop = _covered(crop, rng)
    return crop[..., ::-1], points.astype(np.float32)


def _covered(crop: UInt8[np.ndarray, "s s 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """Return the crop with a rectangle of one colour on it, as a hand or a mask hides a part."""
    size = len(crop)
    low, side = rng.integers(0, size, 2), rng.integers(size // 6, size // 2, 2)
    crop = crop.copy()
    crop[low[1] : low[1] + side[1], low[0] : low[0] + side[0]] = rng.integers(0, 256, 3)
    return crop


def fit(data: Patches, validation: Patches, begin: Refiner, config: RefinerFitConfig, out: Path) -> Refiner:
    """Return the trained refiner, with a moving average of its weights; write it and its log to the folder `out`.

    It is measured on `validation` before, and each time that it is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = begin.config
    graph, params = nnx.split(begin)
    rate = config.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(rate / 20, rate, config.steps // 20, config.steps, rate / 100)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))
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

    def step(params: Any, average: Any, state: Any, pixels: jax.Array, target: jax.Array) -> Any:
        (_, error), gradient = jax.value_and_grad(loss, has_aux=True)(params, pixels, target)
        gradient, error = jax.lax.pmean((gradient, error), "batch")
        updates, state = optimiser.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: config.average * old + (1 - config.average) * new, average, params)
        return params, average, state, error

    specs = (P(), P(), P(), P("batch"), P("batch"))
    compiled = jax.jit(shard_map(step, mesh=runtime.mesh(), in_specs=specs, out_specs=P(), check_vma=False))
    average, state, total, began = params, optimiser.init(params), 0.0, time.perf_counter()

    def note(**entry: float) -> None:
        line = json.dumps({**entry, "seconds": round(time.perf_counter() - began)})
        with (out / "refiner-log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        click.echo(line)

    note(step=0, **measured(begin, validation))
    for number, (pixels, target) in enumerate(batches(data, config, network.size), 1):
        params, average, state, error = compiled(params, average, state, pixels, target)
        total += float(error)
        if number % _ECHO == 0:
            note(step=number, training=round(total / _ECHO, 5))
            total = 0.0
        if number % 1_000 == 0 or number == config.steps:
            net: Refiner = nnx.merge(graph, average)
            metadata = {"config": network._asdict(), "training": {**config._asdict(), "done": number}}
            checkpoint.save(out / "refiner.safetensors", state_dict(net), metadata)
            note(step=number, **measured(net, validation))
    return net
