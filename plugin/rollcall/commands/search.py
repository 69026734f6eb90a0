"""`rollcall search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.errors import PictureError
from rollcall.media import annotate
from rollcall.search import MIN_PROBABILITY, Hit, explain, to_json

#: How many photos are listed for a person, and put on a sheet, without --limit.
LISTED = 50


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="QUERY...")
@click.option("--limit", type=click.IntRange(min=1), help=f"At most so many; default {LISTED} on a terminal, else all.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave out the first so many.")
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    default=MIN_PROBABILITY,
    show_default=True,
    help="Leave out photos less likely to be meant.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a photo.")
@click.option("--paths", is_flag=True, help="Print paths alone, each ended by a zero byte, for xargs -0.")
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a contact sheet of what was found.",
)
@click.option("--explain", "explained", is_flag=True, help="Print how the query is understood, and its SQL.")
@common
def search(
    context: Context,
    words: tuple[str, ...],
    limit: int | None,
    offset: int,
    min_probability: float,
    as_json: bool,
    paths: bool,
    sheet: Path | None,
    explained: bool,
) -> None:
    """Find photos: rollcall search "photos of children".

    The likeliest photos come first. The language is described in docs/search.md.
    """
    text = " ".join(words)
    if explained:
        explanation = explain(text)
        click.echo(f"{explanation.tree}\n\n{explanation.sql}\n")
        for name, value in explanation.parameters.items():
            click.echo(f":{name} = {value!r}")
        return
    if limit is None and not (as_json or paths):
        limit = LISTED
    with context.opened(read_only=True) as plugin:
        hits = plugin.search(text, limit=limit, offset=offset, min_probability=min_probability)
        for notice in plugin.notices(text):
            console.print(f"Note: {notice}", style="yellow", markup=False)
        total = len(hits)
        if limit is not None and len(hits) == limit and not (as_json or paths):
            total = plugin.count(text, min_probability=min_probability)
    if sheet is not None:
        _write_sheet(hits[:LISTED], sheet)
    if as_json:
        for hit in hits:
            click.echo(to_json(hit))
    elif paths:
        for hit in hits:
            click.echo(str(hit.path).encode("utf-8", "surrogateescape") + b"\0", nl=False)
    else:
        for hit in hits:
            click.echo(f"{hit.probability:6.1%}  {hit.path}")
        console.print(f"{plural(total, 'photo')} found" + (f", {len(hits)} shown" if total > len(hits) else ""))


def _write_sheet(hits: Sequence[Hit], path: Path) -> None:
    from rollcall.media.decode import decode

    tiles = []
    for hit in hits:
        try:
            picture = decode(hit.path, target=640)
        except PictureError as error:
            console.print(f"Skipped: {error}", style="yellow", markup=False)
            continue
        labels = tuple(
            annotate.Label(face.box, "" if face.age is None else f"{face.age:.0f}", (255, 176, 32))
            for face in hit.faces
            if face.probability >= 0.5
        )
        tiles.append(annotate.Tile(picture.pixels, labels, f"{hit.probability:.0%}  {hit.path.name}"))
    annotate.save(annotate.contact_sheet(tiles), path)
