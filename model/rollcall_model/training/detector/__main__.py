"""The detector's training: `prepare` packs pictures and labels, `fit` trains, `evaluate` measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from rollcall_model import runtime

if TYPE_CHECKING:
    from rollcall_model.detection.refiner import Refiner
    from rollcall_model.training.detector.face_patches import Patches

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    """Run one of the commands."""


@main.command()
@click.option("--voc", multiple=True, nargs=2, type=_FOLDER, metavar="IMAGES XML", help="Pascal VOC boxes. Repeatable.")
@click.option("--points", multiple=True, type=_FOLDER, help="Pictures with 68 landmarks (.pts) beside them.")
@click.option("--unlabelled", multiple=True, type=_FOLDER, help="Pictures that the teacher labels.")
@click.option("--at-most", default=3_000, show_default=True, help="Pictures of one folder.")
@click.option("--teacher", required=True, type=_FILE, help="ONNX file of YuNet.")
@click.option("--exclude", type=_FILE, help="Difference hashes of pictures never to train on, hexadecimal.")
@click.option("--out", required=True, type=_OUT, help="Folder of the pack.")
def prepare(
    voc: tuple[tuple[Path, Path], ...],
    points: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    at_most: int,
    teacher: Path,
    exclude: Path | None,
    out: Path,
) -> None:
    """Pack training pictures, with boxes and landmarks by their labels and by the teacher."""
    from rollcall_model.datasets.exclusion import read_hashes
    from rollcall_model.training.detector import pack, pictures
    from rollcall_model.training.detector.teacher import Teacher

    def sources() -> Iterator[pictures.Source]:
        readers = [pictures.read_voc(*pair) for pair in voc]
        readers += [pictures.read_points(folder) for folder in points]
        readers += [pictures.read_unlabelled(folder) for folder in unlabelled]
        for reader in readers:
            found = list(reader)
            # Evenly over the folder, since neighbours are often alike.
            for index in np.linspace(0, len(found) - 1, min(len(found), at_most)).astype(int):
                yield found[index]

    excluded = read_hashes(exclude) if exclude else np.zeros(0, np.uint64)
    count = pack.write(out, pack.prepare(sources(), Teacher(teacher), excluded, runtime.processors()))
    click.echo(f"{out}: {count:,} pictures")


@main.command()
@click.option("--pack", "packed", required=True, type=_FOLDER, help="Folder that `prepare` wrote.")
@click.option("--out", required=True, type=_OUT, help="Folder of the run: weights, log, state; a cut-off run goes on.")
@click.option("--teacher", type=_FILE, help="ONNX file of YuNet: begin with its weights.")
@click.option("--weights", type=_FILE, help="Begin with these weights instead.")
@click.option("--steps", default=12_000, show_default=True)
@click.option("--blend", default=1.0, show_default=True, help="Share of the trained weights; the rest is the start's.")
@click.option("--batch", default=16, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--seed", default=0, show_default=True)
def fit(
    packed: Path,
    out: Path,
    teacher: Path | None,
    weights: Path | None,
    steps: int,
    blend: float,
    batch: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train the detector.

    Weights between the start's and the trained ones keep what the start knew (Wortsman et al. 2022).
    """
    from rollcall_model import memory

    memory.keep()
    runtime.configure()
    from rollcall_model.detection.single_pass import SinglePassConfig
    from rollcall_model.nn.state import state_dict
    from rollcall_model.training.detector import fit as fitting
    from rollcall_model.training.detector import pack
    from rollcall_model.training.detector.teacher import Teacher

    config = fitting.FitConfig(steps, batch, learning_rate=learning_rate, seed=seed)
    pictures = pack.read(packed)
    net = fitting.initial(SinglePassConfig(), seed, Teacher(teacher) if teacher else None, weights)
    begin = state_dict(net)
    fitting.fit(net, pictures, config, out)
    if blend < 1:
        fitting.blend(out / "detector.safetensors", begin, blend)


def _labels(command: Any) -> Any:
    """Add the options that name faces with true landmarks to a command."""
    options = [
        click.option("--points", multiple=True, type=_FOLDER, help="Pictures with 68 landmarks (.pts) beside them."),
        click.option(
            "--text", multiple=True, nargs=2, type=_FOLDER, metavar="IMAGES TXT", help="49 or 68 landmarks as text."
        ),
        click.option("--table", multiple=True, type=(_FOLDER, _FILE), metavar="IMAGES CSV", help="68 landmarks a row."),
        click.option(
            "--five", multiple=True, type=(_FOLDER, _FILE), metavar="IMAGES LIST", help="Five landmarks a line."
        ),
        click.option("--pack", "packed", type=_FOLDER, help="Its larger faces, with the landmarks of MTCNN."),
        click.option("--exclude", type=_FILE, help="Difference hashes of pictures never to train on, hexadecimal."),
        click.option("--weights", type=_FILE, help="Begin with these weights."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command("prepare-refiner")
@_labels
@click.option("--quality", default=90, show_default=True, help="Of the patches as WebP, 1 to 100.")
@click.option("--out", required=True, type=_OUT, help="Folder of the patches.")
def prepare_refiner(out: Path, quality: int, **labels: Any) -> None:
    """Write the faces that `fit-refiner` is given, upright and with room around them, to be carried elsewhere.

    Lists of five landmarks (--five) need --weights, to whose meaning of the five theirs are moved.
    """
    runtime.configure()
    from rollcall_model.training.detector import face_patches

    data = _patches(_begin(labels["weights"]), **labels)
    face_patches.write(out, data, quality)
    click.echo(f"{out}: {len(data.pixels):,} faces")


@main.command("fit-refiner")
@_labels
@click.option("--patches", "prepared", type=_FOLDER, help="Folder that `prepare-refiner` wrote, instead of pictures.")
@click.option("--out", required=True, type=_OUT, help="Folder of the run.")
@click.option("--steps", default=6_000, show_default=True)
@click.option("--steady", default=0, help="The step from which on the learning rate falls; 0: from a twentieth on.")
@click.option("--seconds", type=float, help="Instead of --steps: how long it may take; the log tells both.")
@click.option("--batch", default=64, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--average", default=0.998, show_default=True, help="Decay of the moving average of the weights.")
@click.option("--turned", default=1.0, show_default=True, help="How many times as often turned faces are shown.")
@click.option("--squeezed", default=0.0, show_default=True, help="Share of the faces that are made narrower.")
@click.option("--device", is_flag=True, help="Make the crops on the device.")
@click.option("--size", type=click.IntRange(16), help="Side of a crop in pixels, a multiple of 16; else the weights'.")
@click.option("--seed", default=0, show_default=True)
def fit_refiner(
    prepared: Path | None,
    out: Path,
    steps: int,
    steady: int,
    seconds: float | None,
    batch: int,
    learning_rate: float,
    average: float,
    turned: float,
    squeezed: float,
    device: bool,
    size: int | None,
    seed: int,
    **labels: Any,
) -> None:
    """Train the refiner of the landmarks; true landmarks in the wild (--points) are shown eight times as often.

    Every tenth face is measured on. Lists of five landmarks (--five) need --weights, to whose meaning of the five
    theirs are moved.
    """
    from rollcall_model import memory

    memory.keep()
    runtime.configure()
    from rollcall_model.training.detector import device_crops, face_patches, refine

    if size is not None and size % 16:
        raise click.UsageError(f"--size {size}: the network reduces crops by 16, so their side is a multiple of it.")
    begin = _begin(labels["weights"])
    every = face_patches.read(prepared) if prepared else _patches(begin, **labels)
    data, validation = face_patches.held_out(every)
    click.echo(f"{len(data.pixels):,} faces, and {len(validation.pixels):,} to measure on")
    if size not in (None, begin.config.size):
        begin = refine.resized(begin, size)
    data = data._replace(weights=np.where(face_patches.turned(data), data.weights * np.float32(turned), data.weights))
    config = refine.RefinerFitConfig(
        steps, batch, learning_rate, average=average, seed=seed, squeezed=squeezed, steady=steady
    )
    source = device_crops.batches if device else refine.batches
    refine.fit(source(data, config, begin.config.size), validation, begin, config, out, seconds)


def _begin(weights: Path | None) -> Refiner:
    """Return the refiner of a file, or a new one."""
    from flax import nnx

    from rollcall_model.detection import refiner

    return refiner.load(weights) if weights else refiner.Refiner(refiner.RefinerConfig(), nnx.Rngs(0))


def _patches(
    begin: Refiner,
    points: tuple[Path, ...],
    text: tuple[tuple[Path, Path], ...],
    table: tuple[tuple[Path, Path], ...],
    five: tuple[tuple[Path, Path], ...],
    packed: Path | None,
    exclude: Path | None,
    weights: Path | None,
) -> Patches:
    """Return the patches of all labels."""
    from rollcall_model.datasets.exclusion import read_hashes
    from rollcall_model.training.detector import face_patches, pack, pictures, refine

    excluded = read_hashes(exclude) if exclude else np.zeros(0, np.uint64)
    if five and weights is None:
        raise click.UsageError("--five needs --weights: its landmarks are moved to mean the same as theirs.")
    of = face_patches.patches
    parts = [of(pictures.read_points(folder), excluded, 8.0) for folder in points]
    parts += [of(pictures.read_text_points(*pair), excluded, 0.5) for pair in text]
    parts += [of(pictures.read_table_points(*pair), excluded, 0.5) for pair in table]
    for pair in five:
        parts.append(refine.in_convention(of(pictures.read_five_points(*pair), excluded, 2.0), begin))
    if packed is not None:
        parts.append(face_patches.pseudo_labelled(pack.read(packed)))
    if not parts:
        raise click.UsageError("No faces to train on: name at least one set, see --help.")
    return face_patches.joined(parts)


@main.command()
@click.option("--voc", required=True, multiple=True, nargs=2, type=_FOLDER, metavar="IMAGES XML", help="True boxes.")
@click.option("--weights", required=True, type=_FILE, help="Weights to measure.")
@click.option("--precision", default=0.93, show_default=True, help="The default threshold has this precision here.")
@click.option("--write", is_flag=True, help="Store calibration and default threshold in the weights.")
def evaluate(voc: tuple[tuple[Path, Path], ...], weights: Path, precision: float, write: bool) -> None:
    """Measure recall and precision of faces from 20 pixels, and fit what a score means."""
    runtime.configure()
    from itertools import chain

    from rollcall_model import checkpoint
    from rollcall_model.detection import single_pass
    from rollcall_model.detection.config import DetectorConfig
    from rollcall_model.detection.single_pass_detector import SinglePassDetector
    from rollcall_model.evaluation import detection
    from rollcall_model.training.detector import pictures

    detector = SinglePassDetector(DetectorConfig(threshold=0.05), single_pass.load(weights)[0])
    sources = chain.from_iterable(pictures.read_voc(*pair) for pair in voc)
    found = detection.score_all(lambda image: detector.find([image])[0], map(pictures.as_labelled, sources))
    scale, shift, small = detection.fit_score(found, pictures.LEAST_FACE)
    calibration = single_pass.Calibration(scale, shift, small=small)
    relative = (found.sides / pictures.LEAST_FACE).astype(np.float32)
    likely = calibration.probability(found.scores.astype(np.float32), relative)
    curve = detection.curve(found._replace(scores=likely.astype(np.float64)))
    for wanted in (0.98, 0.95, 0.92, 0.85):
        recall, threshold = curve.recall_at(wanted)
        click.echo(f"precision {wanted:.2f}: recall {recall:.3f} at a probability of {threshold:.3f}")
    least = curve.recall_at(precision)[1]
    click.echo(f"probability: scale {scale:.3f}, shift {shift:.3f}, small {small:.3f}; threshold {least:.3f}")
    if write:
        checkpoint.update_metadata(weights, calibration=calibration._replace(threshold=round(least, 3))._asdict())


if __name__ == "__main__":
    main()
