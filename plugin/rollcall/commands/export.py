"""`rollcall export-model`: the networks for other programs and phones."""

from __future__ import annotations

from pathlib import Path

import click

from rollcall.commands.common import Context, common
from rollcall.inference import analyzer, detectors


@click.command("export-model")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--network",
    type=click.Choice(["attributes", "detector"]),
    default="attributes",
    show_default=True,
    help="Which network to write.",
)
@common
def export_command(context: Context, file: Path, network: str) -> None:
    """Write the attribute network, with its calibration, or the detector as ONNX, and compare the outputs.

    The attribute network's input is aligned crops, uint8 (n, 96, 96, 3) RGB, the detector's pictures of 640 x 640
    pixels, smaller ones at the top left; see the model card. Needs the extra: rollcall[onnx].
    """
    difference = detectors.export_detector(file) if network == "detector" else analyzer.export_model(file)
    click.echo(f"{file}: written; the outputs of ONNX Runtime differ by at most {difference:.1e}")
