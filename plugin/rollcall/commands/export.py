"""`rollcall export-model`: the attribute network for other programs and phones."""

from __future__ import annotations

from pathlib import Path

import click

from rollcall.commands.common import Context, common
from rollcall.inference import analyzer


@click.command("export-model")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@common
def export_command(context: Context, file: Path) -> None:
    """Write the attribute network, with its calibration, as ONNX, and compare the outputs.

    Its input is aligned crops, uint8 (n, 96, 96, 3) RGB; see the model card. Needs the extra: rollcall[onnx].
    """
    difference = analyzer.export_model(file)
    click.echo(f"{file}: written; the outputs of ONNX Runtime differ by at most {difference:.1e}")
