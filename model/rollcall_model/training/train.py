"""Training of the attribute network: `python -m rollcall_model.training.train --data SETS --out RUN`.

Labels for age and gender, a teacher's embeddings for identity, one network. An interrupted run is resumed by the same
command; every checkpoint writes usable weights to RUN/best.safetensors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import jax
import numpy as np

from rollcall_model import memory, runtime
from rollcall_model.attributes.fusion import fuse_batch_norm
from rollcall_model.attributes.model import save_net
from rollcall_model.checkpoint import WeightsError
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import TEACHER_EMBEDDINGS, Faces
from rollcall_model.datasets.sources import DatasetError
from rollcall_model.evaluation.quick import quick_scores
from rollcall_model.training import composites, initial, soft_labels
from rollcall_model.training.batches import Batch, composite_batches, mixup_batches, prefetch
from rollcall_model.training.composites import Composites
from rollcall_model.training.config import ConfigError, RunConfig, TrainConfig, override, read_run_config
from rollcall_model.training.device_batches import DeviceBatches
from rollcall_model.training.onnx_teacher import OnnxTeacher
from rollcall_model.training.prepare import config_option, data_option, dataset_option, prepare_crops, sources_of
from rollcall_model.training.soft_labels import SoftLabels
from rollcall_model.training.trainer import STATISTICS_BATCHES, Trainer, load_state, save_average, save_state

#: Name of the weights that a training exports; evaluation adds calibration and thresholds.
VERSION: Final = "attributes-8"
#: Steps between reading the loss, which waits for the device, and between two lines on the screen.
_LOSS_STEPS: Final = 10
_ECHO_STEPS: Final = 50
#: Steps before the time of a step is measured, the first of which are compiled, and those that are measured.
_COMPILED_STEPS: Final = 4
_TIMED_STEPS: Final = 40


class Start(NamedTuple):
    """What a training begins with, besides the data; all from earlier runs."""

    states: Sequence[Path] = ()  # state.safetensors: their mean
    weights: Path | None = None  # weights in the inference form
    teachers: Sequence[Path] = ()  # weights whose predictions are soft labels
    composites: Composites | None = None  # the pictures of all batches; None: mixup
    on_device: bool = False  # make the pictures on the device, in place of both
    identity: OnnxTeacher | None = None  # asked about pictures that are made on the device


class _Progress:
    """The running means of the loss, and the time."""

    def __init__(self, first: int, steps: int, batch: int) -> None:
        self._first, self._steps, self._batch = first, steps, batch
        self._began = time.perf_counter()
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, number: int, parts: dict[str, Any]) -> None:
        """Count the loss of a step; print a line now and then."""
        if number % _LOSS_STEPS == 0:
            for name, value in parts.items():
                self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._count += 1
        if number % _ECHO_STEPS == 0:
            rate = (number - self._first) * self._batch / (time.perf_counter() - self._began)
            minutes = (self._steps - number) * self._batch / rate / 60
            text = "  ".join(f"{name} {value:.3f}" for name, value in self._means().items())
            click.echo(f"step {number:6,}  {text}  {rate:.0f} faces/s  {minutes:.0f} min left")

    def line(self, number: int, scores: dict[str, float]) -> dict[str, Any]:
        """Return a line of the log, and reset the means."""
        means = {name: round(value, 4) for name, value in self._means().items()}
        self._sums, self._count = {}, 0
        return {"step": number, "seconds": round(time.perf_counter() - self._began, 1), **means, **scores}

    def _means(self) -> dict[str, float]:
        return {name: value / max(self._count, 1) for name, value in self._sums.items()}


def train(
    faces: Faces,
    out: Path,
    run: RunConfig,
    start: Start,
    folder: Path | None = None,
    until: int | None = None,
    export: bool = True,
    minutes: float | None = None,
) -> Trainer:
    """Train, from the state in `out` if there is one; return the trainer.

    Writes state.safetensors, average.safetensors, best.safetensors and a line of log.jsonl to `out` at every
    checkpoint.

    Parameters
    ----------
    folder
        The folder of the data sets, for the pairs that the log scores.
    until
        Stop after this step, with a checkpoint; None: after the last. 0 exports what the run begins with.
    export
        Whether checkpoints write and score the weights in the inference form, best.safetensors. Another run can do that
        later, with average.safetensors and `until` 0.
    minutes
        Replace the number of steps by as many as take this long, measured on a few that are then forgotten.

    Raises
    ------
    WeightsError
        If files of earlier runs are missing or do not fit the network.
    """
    out.mkdir(parents=True, exist_ok=True)
    config = run.training
    trainer = Trainer(run.network, config)
    click.echo(f"{trainer.count:,} parameters, {len(faces.samples):,} faces, {config.steps:,} steps of {config.batch}")
    soft = soft_labels.predict(start.teachers, faces) if start.teachers else None
    sources = _Sources(faces, run, start, soft)
    with runtime.on_host():
        _initialise(trainer, out / "state.safetensors", faces, start, sources)
    if minutes is not None:
        config = trainer.config = config._replace(steps=_steps_within(minutes, trainer, sources))
        click.echo(
            f"{config.steps:,} steps take about {minutes:g} minutes; repeat the run with --set steps={config.steps}"
        )
    first, last = int(trainer.state.step), config.steps if until is None else min(until, config.steps)
    progress = _Progress(first, config.steps, config.batch)

    def checkpoint(number: int) -> None:
        _save(trainer, out)
        scores = _export(trainer, faces, sources, out, number, folder) if export else {}
        with (out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(progress.line(number, scores)) + "\n")
        if scores:
            click.echo("   ".join(f"{name} {value}" for name, value in scores.items()))

    if last <= first:
        checkpoint(first)
    for number, batch in zip(range(first + 1, last + 1), sources.batches(first, config), strict=False):
        progress.add(number, trainer.step(batch))
        if number % config.every == 0 or number == last:
            checkpoint(number)
    return trainer


class _Sources:
    """The batches of a training, of the kind that `start` asks for."""

    def __init__(self, faces: Faces, run: RunConfig, start: Start, soft: SoftLabels | None) -> None:
        self._faces, self._config, self._size = faces, run.training, run.network.size
        self._composites, self._soft, self._asked = start.composites, soft, start.identity is not None
        self._device = None
        if start.on_device:
            self._device = DeviceBatches(faces, self._config, self._size, start.identity, soft)

    def batches(self, first: int, config: TrainConfig) -> Iterator[Batch]:
        """Return the batches from step `first` on, those of the host made in advance by another thread.

        `config` may have another number of steps than the one that this was made with.
        """
        self._config = config
        # Devices work on in the meantime, and programs started by two threads would wait for each other.
        return self._raw(first) if self._device is not None else prefetch(self._raw(first))

    def _raw(self, first: int) -> Iterator[Batch]:
        if self._device is not None:
            return self._device.batches(self._config, first)
        if self._composites is not None:
            return composite_batches(self._faces, self._config, self._size, first, self._composites, self._soft)
        return mixup_batches(self._faces, self._config, self._size, first, self._soft)

    def for_identity(self) -> Iterator[Batch] | None:
        """Return batches with the teacher's embeddings of the very pictures, if there are any."""
        return self._raw(0) if self._asked or self._composites is not None else None

    def statistics(self, step: int) -> Iterator[Batch]:
        """Return batches of single faces to measure batch statistics on; training does not see them."""
        if self._device is not None:
            return self._device.statistics(self._config, step, STATISTICS_BATCHES)
        unmixed = self._config._replace(seed=self._config.seed + 1, steps=step + STATISTICS_BATCHES, mixup_ratio=0)
        return mixup_batches(self._faces, unmixed, self._size, step)


def _steps_within(minutes: float, trainer: Trainer, sources: _Sources) -> int:
    """Return how many steps take some minutes; the trainer's state is as before."""
    before = jax.tree.map(np.array, trainer.state)
    began = 0.0
    for number, batch in zip(range(_COMPILED_STEPS + _TIMED_STEPS), sources.batches(0, trainer.config), strict=False):
        if number == _COMPILED_STEPS:
            began = time.perf_counter()
        parts = trainer.step(batch)
        if number == _COMPILED_STEPS - 1:
            jax.block_until_ready(parts)
    jax.block_until_ready(parts)
    each = (time.perf_counter() - began) / _TIMED_STEPS
    trainer.state = before
    return max(int(minutes * 60 / each), 1)


def _initialise(trainer: Trainer, state_file: Path, faces: Faces, start: Start, sources: _Sources) -> None:
    """Set the trainer's state from its own file, from earlier states, or from weights; else leave it random."""
    if state_file.exists():
        trainer.state = load_state(state_file, trainer.state)
        click.echo(f"resumed at step {int(trainer.state.step):,}")
    elif start.states:
        trainer.begin_with(*initial.mean_of_states(trainer, start.states))
        click.echo(f"begins with the weights of {', '.join(str(path) for path in start.states)}")
    elif start.weights is not None:
        trainer.begin_with(*initial.of_weights(trainer, start.weights, faces, sources.for_identity()))
        click.echo(f"begins with the weights of {start.weights}")


def _metadata(trainer: Trainer) -> dict[str, Any]:
    return {"version": VERSION, "training": trainer.config._asdict()}


def _save(trainer: Trainer, out: Path) -> None:
    """Write the state, and the averaged weights alone, which are small enough to be sent."""
    save_state(out / "state.safetensors", trainer.state, _metadata(trainer))
    save_average(out / "average.safetensors", trainer.state, _metadata(trainer))


def _export(
    trainer: Trainer, faces: Faces, sources: _Sources, out: Path, step: int, folder: Path | None
) -> dict[str, float]:
    """Write the averaged weights in the inference form; return their scores."""
    with runtime.on_host():
        net = trainer.averaged(sources.statistics(step))
        save_net(out / "best.safetensors", fuse_batch_norm(net), _metadata(trainer))
    return quick_scores(out / "best.safetensors", faces, folder)


_FILE: Final = click.Path(path_type=Path, exists=True)


@click.command()
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; it can be resumed.")
@config_option
@click.option(
    "--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Set a field of TrainConfig or AttributeConfig."
)
@dataset_option
@click.option("--crops", type=click.Path(path_type=Path), help="Folder of the aligned crops; default OUT/crops.")
@click.option("--init", "states", type=_FILE, multiple=True, help="State of a run to begin with; of several, the mean.")
@click.option("--begin", "weights", type=_FILE, help="Weights in the inference form to begin with, as committed.")
@click.option("--teacher", "teachers", type=_FILE, multiple=True, help="Weights that predict soft labels. Repeatable.")
@click.option("--composites", "composite_files", type=_FILE, multiple=True, help="From make_composites. Repeatable.")
@click.option(
    "--identity-teacher",
    "identity",
    type=_FILE,
    help="Recogniser as ONNX, asked about composites made on the device; in place of --composites.",
)
@click.option("--on-device", is_flag=True, help="Make the pictures on the device, as --identity-teacher does.")
@click.option("--until", type=int, help="Stop after this step; the run can be resumed. 0 exports the start.")
@click.option("--minutes", type=float, help="Do as many steps as take this long, in place of those of the run.")
@click.option("--no-export", is_flag=True, help="Write states and averages alone; export by --init and --until 0.")
def main(
    folder: Path,
    out: Path,
    config_file: Path | None,
    assignments: Sequence[str],
    datasets: Sequence[tuple[str, str, str, str]],
    crops: Path | None,
    states: Sequence[Path],
    weights: Path | None,
    teachers: Sequence[Path],
    composite_files: Sequence[Path],
    identity: Path | None,
    on_device: bool,
    until: int | None,
    minutes: float | None,
    no_export: bool,
) -> None:
    """Train the attribute network on labelled faces and a teacher's embeddings."""
    memory.keep()
    on_device = on_device or identity is not None
    if on_device and composite_files:
        raise click.UsageError("--composites are given, and pictures made on the device; choose one of them")
    runtime.configure(out / "compiled")
    try:
        asked = OnnxTeacher(identity) if identity else None
        run = override(read_run_config(config_file) if config_file else RunConfig(), assignments)
        crops = crops or out / "crops"
        prepare_crops(sources_of(run, datasets, folder), crops)
    except (ConfigError, DatasetError, WeightsError) as error:
        raise click.ClickException(str(error)) from error
    teacher = folder / TEACHER_EMBEDDINGS
    faces = stored.load(crops, teacher if teacher.exists() else None)
    composed = composites.load(composite_files) if composite_files else None
    start = Start(states, weights, teachers, composed, on_device, asked)
    train(faces, out, run, start, folder, until, not no_export, minutes)


if __name__ == "__main__":
    main()
