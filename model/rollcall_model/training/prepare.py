"""Detect and align the faces of data sets, once: `python -m rollcall_model.training.prepare --data SETS --out CROPS`.

Training does the same at its first step; this command can also exclude the pictures of a test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from rollcall_model import runtime
from rollcall_model.datasets import exclusion
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.readers import FORMATS
from rollcall_model.datasets.sources import DatasetError, DatasetSource, Pictures, read_samples
from rollcall_model.training.config import ConfigError, RunConfig, read_run_config


def prepare_crops(sources: Sequence[DatasetSource], crops: Path, excluded: Path | None = None) -> None:
    """Detect and align the faces of the data sets, unless that was done before.

    `excluded` is a file of difference hashes: pictures that match one of them, or cannot be decoded, are left out.

    Raises
    ------
    DatasetError
        If a data set cannot be read.
    """
    if (crops / "samples.jsonl").exists():
        return
    from rollcall_model.detection.single_pass_detector import SinglePassDetector

    samples = read_samples(sources)
    with Pictures(sources) as pictures:
        if excluded is not None:
            count = len(samples)
            samples = list(exclusion.usable_samples(samples, pictures, exclusion.read_hashes(excluded)))
            click.echo(f"{count - len(samples):,} of {count:,} pictures are excluded")
        click.echo("detecting and aligning the faces, once")
        stored.prepare(
            samples,
            pictures,
            SinglePassDetector().detect,
            crops,
            lambda done, total: click.echo(f"  {done:,} of {total:,}"),
        )


def sources_of(run: RunConfig, datasets: Sequence[tuple[str, str, str, str]], folder: Path) -> list[DatasetSource]:
    """Return the data sets given on the command line, or else of the run configuration, relative to `folder`."""
    sources = tuple(DatasetSource(*values) for values in datasets) or run.datasets
    return [source.within(folder) for source in sources]


_FILE: Final = click.Path(path_type=Path, exists=True)
#: The options that name data sets, for this command and for training.
data_option = click.option(
    "--data", "folder", type=_FILE, required=True, help="Folder that the data sets' paths are relative to."
)
config_option = click.option("--config", "config_file", type=_FILE, help="Run configuration, a TOML file.")
dataset_option = click.option(
    "--dataset",
    "datasets",
    type=(str, click.Choice(sorted(FORMATS)), str, str),
    multiple=True,
    metavar="NAME FORMAT LABELS IMAGES",
    help=f"Use this set instead of those of the run configuration; formats: {', '.join(FORMATS)}. Repeatable.",
)


@click.command()
@data_option
@config_option
@dataset_option
@click.option("--exclude", type=_FILE, help="File of difference hashes of pictures to leave out, hexadecimal.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the aligned crops.")
def main(
    folder: Path,
    config_file: Path | None,
    datasets: Sequence[tuple[str, str, str, str]],
    exclude: Path | None,
    out: Path,
) -> None:
    """Detect and align the faces of data sets."""
    runtime.configure(out / "compiled")
    try:
        run = read_run_config(config_file) if config_file else RunConfig()
        prepare_crops(sources_of(run, datasets, folder), out, exclude)
    except (ConfigError, DatasetError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
