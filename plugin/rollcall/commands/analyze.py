"""`rollcall analyze`: faces of pictures, without a database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.indexing.discovery import discover
from rollcall.inference.files import FileAnalysis, as_dict
from rollcall.media import paths
from rollcall.media.annotate import draw_faces, label_of, save
from rollcall.settings import LibrarySettings


@click.command("analyze")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--jsonl", is_flag=True, help="Print one JSON object a picture.")
@click.option("--embeddings", is_flag=True, help="With the 128 numbers of the identity embedding of each face.")
@click.option("--one-face", is_flag=True, help="Every picture is a portrait that shows exactly one face.")
@click.option(
    "--annotate",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write pictures with the faces drawn in.",
)
@common
def analyze_command(
    context: Context,
    images: tuple[str, ...],
    jsonl: bool,
    embeddings: bool,
    one_face: bool,
    annotate: Path | None,
) -> None:
    """Print the faces of pictures: IMAGE may be a file, a folder, or - for paths on standard input.

    Ends with exit code 1 if none of them could be read.
    """
    written: set[str] = set()
    bad = total = 0
    results = context.plugin().analyze(_paths(images, context.settings.library), one_face=one_face)
    for result in results:
        total += 1
        bad += result.error is not None
        if jsonl:
            click.echo(json.dumps(as_dict(result, embeddings), ensure_ascii=False))
        else:
            _print(result)
        if annotate is not None and result.picture is not None:
            labels = [label_of(face) for face in result.faces]
            save(draw_faces(result.picture.pixels, labels), annotate / _free_name(result.path, written))
    if bad:
        console.print(f"{plural(bad, 'picture')} of {total:,} could not be read", style="yellow")
        if bad == total:
            click.get_current_context().exit(1)


def _paths(images: tuple[str, ...], settings: LibrarySettings) -> Iterator[Path]:
    for image in images:
        if image == "-":
            for line in sys.stdin.buffer:
                text = line.rstrip(b"\r\n")
                if text:
                    yield Path(text.decode("utf-8", "surrogateescape"))
        elif paths.is_folder(Path(image)):
            folder = Path(image)
            for one in discover(folder, settings):
                yield folder / paths.from_text(one.relative_path)
        else:
            yield Path(image)


def _free_name(path: Path, written: set[str]) -> str:
    name, number = f"{path.stem}.jpg", 1
    while name in written:
        number += 1
        name = f"{path.stem}-{number}.jpg"
    written.add(name)
    return name


def _print(result: FileAnalysis) -> None:
    if result.error is not None:
        click.echo(f"{result.path}: {result.error}")
        return
    click.echo(f"{result.path}: {plural(len(result.faces), 'face')}")
    for face in result.faces:
        label = label_of(face).text
        x, y, width, height = face.box
        click.echo(
            f"  {label:32} at {x:.0%}, {y:.0%}, {width:.0%} x {height:.0%} of the picture, score {face.score:.2f}"
        )
