"""Training of the prefilter: `python -m rollcall_model.train_prefilter --data SETS --photos PHOTOS --out RUN`.

Canvases are drawn from faces of the sets, at the sizes that the prefilter shall see, on parts of photographs. What it
shall say of them is what the whole cascade finds there: the windows of P-Net that lead to a face. So no labels are
needed, and what the cascade does not take for a face is none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
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
from jaxtyping import UInt8

from rollcall_model import attributes, augment, checkpoint, data, memory, pooling, prefilter, pyramid, runtime
from rollcall_model import boxes as bx
from rollcall_model.cascade import Detector, DetectorConfig

#: Side of a canvas as the prefilter sees it.
SIDE: Final = 256
#: Smallest faces of the cascade that judges the canvases, in turn. They are as much larger then as the faces are: where
#: larger ones are looked for, the later networks see more of the small ones that P-Net's first windows hold as well.
MIN_FACES: Final = (20, 30, 45)
#: A window leads to a face when what P-Net makes of it overlaps the face by so much (intersection over union).
LEADS: Final = 0.5
#: How much worse it is to miss a cell than to look at one too many.
MISSED: Final = 8.0
#: How many face crops the canvases are composed of.
CROPS: Final = 6_000


class Canvases(NamedTuple):
    """Pictures of an octave, with what the cascade makes of them."""

    pixels: UInt8[np.ndarray, "n s s 3"]
    #: For each cell and level of the octave the face, numbered from 1, that a window of its tile leads to; 0: none.
    face: UInt8[np.ndarray, "n c c 2"]


def compose(
    rng: np.random.Generator,
    crops: Sequence[UInt8[np.ndarray, "h w 3"]],
    grounds: Sequence[UInt8[np.ndarray, "h w 3"]],
    min_face: int,
) -> UInt8[np.ndarray, "s s 3"]:
    """Return a picture of some faces, or of none, as a photograph reduced for the cascade."""
    side = round(SIDE * min_face / pyramid.WINDOW)
    canvas = _ground(rng, grounds, side)
    kind = rng.random()
    count = 0 if kind < 0.25 else int(rng.integers(1, 7)) if kind < 0.75 else int(rng.integers(10, 40))
    for _ in range(count):
        crop = crops[int(rng.integers(len(crops)))]
        # Whole crops show a face on about half of their side.
        wide = int(np.exp(rng.uniform(np.log(1.0), np.log(7.0))) * min_face)
        patch = cv2.resize(crop, (wide, int(wide * rng.uniform(0.9, 1.1))), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        if rng.random() < 0.3:
            turn = cv2.getRotationMatrix2D((wide / 2, wide / 2), rng.normal(0, 15), 1.0)
            patch = cv2.warpAffine(patch, turn, patch.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        top, left = (int(rng.integers(-length // 3, side - length // 2)) for length in patch.shape[:2])
        inner = patch[max(-top, 0) : side - top, max(-left, 0) : side - left]
        top, left = max(top, 0), max(left, 0)
        canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return _worn(rng, canvas)


def _ground(
    rng: np.random.Generator, grounds: Sequence[UInt8[np.ndarray, "h w 3"]], side: int
) -> UInt8[np.ndarray, "s s 3"]:
    """Return a square part of a photograph, at any scale; or a plain or a woven one."""
    if rng.random() < 0.1:
        shape = (int(rng.integers(1, side)),) * 2
        noise = rng.normal(rng.uniform(30, 220), rng.uniform(0, 60), (*shape, 3))
        grain = np.clip(noise, 0, 255).astype(np.uint8)
        return cast_u8(cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC))
    photo = grounds[int(rng.integers(len(grounds)))]
    height, width = photo.shape[:2]
    least = min(64, height, width)
    size = int(np.exp(rng.uniform(np.log(least), np.log(min(height, width)))))
    top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
    part = photo[top : top + size, left : left + size]
    how = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    part = cast_u8(cv2.resize(part, (side, side), interpolation=how))
    turned: UInt8[np.ndarray, "s s 3"] = np.rot90(part, int(rng.integers(4)) if rng.random() < 0.3 else 0)
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def _worn(rng: np.random.Generator, canvas: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """Return the canvas in other light, compressed, grey or grainy, as photographs are."""
    values = canvas.astype(np.float32)
    if rng.random() < 0.6:
        values = augment.light(values, rng)
    if rng.random() < 0.1:
        values[:] = values.mean(axis=2, keepdims=True)
    if rng.random() < 0.4:
        values += rng.normal(0, rng.uniform(1, 12), values.shape).astype(np.float32)
    canvas = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, packed = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        canvas = cast_u8(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return canvas


def cast_u8(picture: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Say that OpenCV gave bytes."""
    return np.asarray(picture, np.uint8)


def judged(
    detector: Detector, images: Sequence[UInt8[np.ndarray, "h w 3"]]
) -> list[list[tuple[prefilter.Octave, UInt8[np.ndarray, "h w 2"]]]]:
    """Return the octaves of each image with the face that each of their cells speaks for, as in `Canvases`.

    `detector` is a thorough one; images are no larger than it reduces them to.
    """
    sums = [pooling.integral(image) for image in images]
    levels = detector.levels(images, [detector.config.min_face] * len(images))
    found, numbers = detector.search(images, sums, levels)
    moved = bx.square(bx.regress(found.boxes, found.offsets))
    scales = np.array([level.scale for level in levels])
    # From the box in pixels back to where the window begins in its level.
    windows = np.rint((found.boxes[:, :2] * scales[numbers, None] - 1) / pyramid.STRIDE + 0.25).astype(np.int64)
    tiles = (windows - prefilter.BEFORE) // prefilter.WINDOWS
    result = []
    for index, (image, faces) in enumerate(zip(images, detector.detect(images), strict=True)):
        mine = np.flatnonzero(found.image == index)
        overlap = bx.iou(moved[mine], bx.square(faces.boxes)) if len(faces.boxes) else np.zeros((len(mine), 1))
        face = np.where(overlap.max(axis=1) >= LEADS, overlap.argmax(axis=1) + 1, 0)
        own = [n for n, level in enumerate(levels) if level.image == index]
        octaves = prefilter.octaves(index, image.shape[0], image.shape[1], [levels[n] for n in own])
        answers = []
        for octave in octaves:
            of_face = np.zeros((*octave.cells, 2), np.uint8)
            every = np.argwhere(np.ones(octave.cells, bool))
            for number in own:
                where, which = prefilter.place(levels[number])
                if where != octave.number or not prefilter.is_asked(levels[number]):
                    continue
                marked = np.zeros(prefilter.grid(levels[number]), np.uint8)
                here = (numbers[mine] == number) & (face > 0)
                column, row = tiles[mine[here]].T
                marked[row, column] = face[here]
                at = prefilter.tile_of(levels[number], octave, image.shape[:2], every)
                of_face[..., which] = marked[at[:, 0], at[:, 1]].reshape(octave.cells)
            answers.append((octave, of_face))
        result.append(answers)
    return result


def make(
    rng: np.random.Generator,
    count: int,
    crops: Sequence[UInt8[np.ndarray, "h w 3"]],
    grounds: Sequence[UInt8[np.ndarray, "h w 3"]],
    detectors: Sequence[Detector],
) -> Canvases:
    """Compose canvases and have the cascades judge them in turn."""
    pixels = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    face = np.zeros((count, SIDE // prefilter.CELL, SIDE // prefilter.CELL, 2), np.uint8)
    began = time.perf_counter()
    for start in range(0, count, 16):
        detector = detectors[start // 16 % len(detectors)]
        images = [compose(rng, crops, grounds, detector.config.min_face) for _ in range(min(16, count - start))]
        for number, (image, answers) in enumerate(zip(images, judged(detector, images), strict=True), start):
            octave, of_face = answers[0]
            pixels[number] = prefilter.draw(image, [octave])[0]
            face[number] = of_face
        if start // 16 % 20 == 0:
            rate = (start + len(images)) / (time.perf_counter() - began)
            click.echo(f"{start + len(images):,} of {count:,} canvases, {rate:.0f} a second")
    return Canvases(pixels, face)


def batch(rng: np.random.Generator, canvases: Canvases, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return canvases, some mirrored, some darker or lighter, and what is wanted of them."""
    rows = rng.integers(len(canvases.pixels), size=count)
    pixels, wanted = canvases.pixels[rows].astype(np.float32), canvases.face[rows] > 0
    gain = np.exp(rng.normal(0, 0.2, (count, 1, 1, 3 if rng.random() < 0.3 else 1)))
    pixels = np.clip((pixels - 110) * gain + 110 + rng.normal(0, 12, (count, 1, 1, 1)), 0, 255).astype(np.float32)
    if rng.random() < 0.5:
        pixels, wanted = pixels[:, :, ::-1], wanted[:, :, ::-1]
    return pixels, wanted.astype(np.float32)


def fit(canvases: Canvases, config: prefilter.PrefilterConfig, steps: int, size: int, rate: float, seed: int) -> Any:
    """Return the trained network; the mean of its last weights."""
    rng = np.random.default_rng(seed)
    graph, params = nnx.split(prefilter.Prefilter(config, nnx.Rngs(seed)))
    schedule = optax.warmup_cosine_decay_schedule(rate / 20, rate, steps // 20, steps, rate / 100)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))
    state, average = optimiser.init(params), params

    def loss(params: Any, pixels: jax.Array, wanted: jax.Array) -> jax.Array:
        said = nnx.merge(graph, params)(pixels)
        each = optax.sigmoid_binary_cross_entropy(said, wanted)
        # A face that is missed is lost, a cell too many costs a little time.
        return (each * (1 + (MISSED - 1) * wanted)).mean()

    def step(params: Any, average: Any, state: Any, pixels: jax.Array, wanted: jax.Array) -> Any:
        value, gradient = jax.lax.pmean(jax.value_and_grad(loss)(params, pixels, wanted), "batch")
        updates, state = optimiser.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new, average, params)
        return params, average, state, value

    halves = (P(), P(), P(), P("batch"), P("batch"))
    step = jax.jit(shard_map(step, mesh=runtime.mesh(), in_specs=halves, out_specs=P(), check_vma=False))
    total, began = 0.0, time.perf_counter()
    for number in range(1, steps + 1):
        params, average, state, value = step(params, average, state, *batch(rng, canvases, size))
        total += float(value)
        if number % 100 == 0:
            click.echo(f"step {number:,}  loss {total / 100:.4f}  {number / (time.perf_counter() - began):.1f} steps/s")
            total = 0.0
    return nnx.merge(graph, average)


def scores(net: prefilter.Prefilter, canvases: Canvases) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest logit of each face's cells, and all logits."""
    run = jax.jit(lambda x: net(x.astype(jnp.float32)))
    starts = range(0, len(canvases.pixels), 32)
    said = np.concatenate([np.asarray(run(canvases.pixels[start : start + 32])) for start in starts])
    highest = [
        said[n][canvases.face[n] == face].max()
        for n in range(len(said))
        for face in np.unique(canvases.face[n])
        if face
    ]
    return np.array(highest), said


@click.command()
@click.option(
    "--data", "folder", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of the sets."
)
@click.option(
    "--photos", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of photographs, as grounds."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--canvases", "count", default=9_000, show_default=True, help="How many pictures to compose.")
@click.option("--steps", default=8_000, show_default=True, help="How many steps to train.")
@click.option("--batch", "size", default=16, show_default=True, help="Canvases in a step.")
@click.option("--rate", default=4e-3, show_default=True, help="The highest learning rate.")
@click.option("--found", default=0.995, show_default=True, help="Share of validation faces that shall be looked at.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any field of PrefilterConfig.")
def main(
    folder: Path,
    photos: Path,
    out: Path,
    count: int,
    steps: int,
    size: int,
    rate: float,
    found: float,
    seed: int,
    pairs: tuple[str, ...],
) -> None:
    """Train the prefilter on what the cascade finds."""
    memory.keep()
    out.mkdir(parents=True, exist_ok=True)
    runtime.configure(out / "compiled")
    canvases = _canvases(folder, photos, out, "train", count, seed)
    checks = _canvases(folder, photos, out, "val", max(count // 10, 16), seed + 1)
    config = prefilter.PrefilterConfig()
    for pair in pairs:
        name, _, text = pair.partition("=")
        value = json.loads(text)
        config = config._replace(**{name: tuple(value) if isinstance(value, list) else value})  # type: ignore[arg-type]
    net = fit(canvases, config, steps, size, rate, seed)
    highest, said = scores(net, checks)
    least = float(np.quantile(highest, 1 - found))
    for share in (0.99, 0.995, 0.997, 0.998, 0.999):
        border = np.quantile(highest, 1 - share)
        looked = (said >= border).mean()
        click.echo(f"{share:.1%} of {len(highest):,} faces, from {border:.2f}: {looked:.2%} of the cells looked at")
    facts = {
        "config": config._asdict(),
        "least": least,
        "training": {"canvases": count, "steps": steps, "batch": size, "rate": rate, "found": found, "seed": seed},
    }
    checkpoint.save(out / "prefilter.safetensors", attributes.flat(net), facts)


def _canvases(folder: Path, photos: Path, out: Path, split: str, count: int, seed: int) -> Canvases:
    """Return the canvases of one split, composed now unless they lie in `out` already."""
    store = out / f"{split}-{count}.npz"
    if not store.exists():
        rng = np.random.default_rng(seed)
        samples = [sample for sample in data.shared_samples(folder) if sample.split == split]
        read = data.shared_opener(folder)
        some = [samples[i] for i in rng.choice(len(samples), min(len(samples), CROPS), replace=False)]
        crops = [_picture(np.frombuffer(read(sample), np.uint8)) for sample in some]
        files = sorted(file for file in photos.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        # Every fifth photograph is for validation.
        grounds = [
            _picture(np.fromfile(file, np.uint8)) for i, file in enumerate(files) if (i % 5 == 0) == (split == "val")
        ]
        detectors = [Detector(DetectorConfig(min_face=size, thorough=True)) for size in MIN_FACES]
        np.savez(store, **make(rng, count, crops, grounds, detectors)._asdict())
    with np.load(store) as archive:
        return Canvases(**archive)


def _picture(encoded: UInt8[np.ndarray, " n"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(cast_u8(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1])


if __name__ == "__main__":
    main()
