"""`rollcall search`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.errors import PictureError, StoreError
from rollcall.media import annotate
from rollcall.search import MIN_PROBABILITY, Explanation, Hit, explain, to_json
from rollcall.search.grammar import LANGUAGES

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
@click.option(
    "--language",
    type=click.Choice(["en", *LANGUAGES]),
    default=None,
    help="The language of the query; default: the locale's, if it is one of these. English is always understood.",
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
    language: str | None,
    explained: bool,
) -> None:
    """Find photos: rollcall search "photos of children".

    The likeliest photos come first. The language is described in docs/search.md.
    """
    text = " ".join(words)
    language = language or _language_of_locale()
    if explained:
        _print_explanation(_explained(context, text, language))
        return
    if limit is None and not (as_json or paths):
        limit = LISTED
    with context.opened(read_only=True) as plugin:
        hits = plugin.search(text, limit=limit, offset=offset, min_probability=min_probability, language=language)
        for notice in plugin.notices(text, language=language):
            console.print(f"Note: {notice}", style="yellow", markup=False)
        total = len(hits)
        if limit is not None and len(hits) == limit and not (as_json or paths):
            total = plugin.count(text, min_probability=min_probability, language=language)
        waiting = 0 if hits else plugin.status().photos.get("pending", 0)
    if waiting:
        console.print(f"Note: {plural(waiting, 'photo')} not looked at yet; `rollcall index` does", style="yellow")
    if sheet is not None:
        _write_sheet(hits[:LISTED], sheet)
    if as_json:
        for hit in hits:
            click.echo(to_json(hit))
    elif paths:
        for hit in hits:
            click.echo(os.fsencode(hit.path) + b"\0", nl=False)
    else:
        for hit in hits:
            click.echo(f"{hit.probability:6.1%}  {hit.path}")
        console.print(f"{plural(total, 'photo')} found" + (f", {len(hits)} shown" if total > len(hits) else ""))


def _language_of_locale() -> str | None:
    """Return the language of the locale; None where queries in it are not understood, and for English.

    English needs no preference: whoever types German on an English system means German.
    """
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = next((name for name in names if name), "")[:2].lower()
    return language if language in LANGUAGES else None


def _explained(context: Context, text: str, language: str | None) -> Explanation:
    """Return how a query is understood, with the names of a library where there is one."""
    with suppress(StoreError), context.opened(read_only=True) as plugin:
        return explain(text, language, plugin.database)
    return explain(text, language)


def _print_explanation(explanation: Explanation) -> None:
    click.echo(f"{explanation.tree}\n")
    for note in explanation.notes:
        click.echo(f"Note: {note}")
    click.echo(f"{explanation.sql}\n")
    for name, value in explanation.parameters.items():
        click.echo(f":{name} = {value!r}")


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
