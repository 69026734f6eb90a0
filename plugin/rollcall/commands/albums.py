"""`rollcall albums`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.commands.corrections import ORIGIN
from rollcall.search.folding import fold

if TYPE_CHECKING:
    from rollcall.host import Plugin
    from rollcall.search.albums import Album

_ALBUM = "NUMBER|NAME"


@click.group("albums")
def albums_group() -> None:
    """Albums: saved searches, photos chosen by hand, or both.

    Albums are given by number, or by a name that one album has. All that is done here but export can be undone by
    `rollcall corrections undo`.
    """


@albums_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an album.")
@common
def list_command(context: Context, as_json: bool) -> None:
    """List all albums, with how many photos they have."""
    with context.opened(read_only=True) as plugin:
        found = plugin.albums()
        for album in found:
            _print(plugin, album, as_json)
    if not found:
        console.print("There are no albums yet: make one with `rollcall albums save`.")


@albums_group.command("save")
@click.argument("name")
@click.argument("query", required=False)
@click.option("--photo", "photos", type=click.IntRange(min=0), multiple=True, help="A photo's number; may be repeated.")
@click.option(
    "--at-least",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Leave out photos that the query means with a lower probability.",
)
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def save_command(
    context: Context, name: str, query: str | None, photos: tuple[int, ...], at_least: float, by: str
) -> None:
    """Make an album of a search such as "Anna at 5", of single photos, or of both."""
    with context.opened() as plugin:
        album = plugin.save_album(name, query, photos=photos, min_probability=at_least, by=by, origin=ORIGIN)
        _print(plugin, album)


@albums_group.command("add")
@click.argument("album", metavar=_ALBUM)
@click.argument("photos", nargs=-1, required=True, type=click.IntRange(min=0), metavar="PHOTO...")
@click.option("--not", "outside", is_flag=True, help="Take them out, though its query means them.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def add_command(context: Context, album: str, photos: tuple[int, ...], outside: bool, by: str) -> None:
    """Put photos into an album, by their numbers."""
    with context.opened() as plugin:
        _print(plugin, plugin.add_to_album(_album(plugin, album), *photos, inside=not outside, by=by, origin=ORIGIN))


@albums_group.command("rename")
@click.argument("album", metavar=_ALBUM)
@click.argument("name")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def rename_command(context: Context, album: str, name: str, by: str) -> None:
    """Call an album otherwise."""
    with context.opened() as plugin:
        _print(plugin, plugin.rename_album(_album(plugin, album), name, by=by, origin=ORIGIN))


@albums_group.command("share")
@click.argument("album", metavar=_ALBUM)
@click.option("--not", "alone", is_flag=True, help="Share it no longer.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def share_command(context: Context, album: str, alone: bool, by: str) -> None:
    """Let guests of `rollcall serve --lan` see an album."""
    with context.opened() as plugin:
        _print(plugin, plugin.share_album(_album(plugin, album), not alone, by=by, origin=ORIGIN))


@albums_group.command("remove")
@click.argument("album", metavar=_ALBUM)
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def remove_command(context: Context, album: str, by: str) -> None:
    """Remove an album; its photos stay."""
    with context.opened() as plugin:
        plugin.remove_album(_album(plugin, album), by=by, origin=ORIGIN)
    console.print("removed; `rollcall corrections undo` brings it back")


@albums_group.command("export")
@click.argument("album", metavar=_ALBUM)
@click.argument("file", type=click.Path(path_type=Path))
@common
def export_command(context: Context, album: str, file: Path) -> None:
    """Write the originals of an album into a ZIP file."""
    with context.opened(read_only=True) as plugin:
        count = plugin.export_album(_album(plugin, album), file)
    console.print(f"{file}: {plural(count, 'photo')}")


def _album(plugin: Plugin, text: str) -> int:
    """Return the number of an album given by number or name."""
    known = plugin.albums()
    found = [one.album_id for one in known if fold(one.name) == fold(text)]
    if not found and text.isascii() and text.isdigit():
        return plugin.album(int(text)).album_id
    if not found:
        raise click.UsageError(f"no album is called {text!r}; `rollcall albums list` shows them")
    if len(found) > 1:
        numbers = ", ".join(map(str, found))
        raise click.UsageError(f"{len(found)} albums are called {text!r}; give one of the numbers {numbers}")
    return found[0]


def _print(plugin: Plugin, album: Album, as_json: bool = False) -> None:
    photos = plugin.album_count(album.album_id)
    if as_json:
        click.echo(json.dumps({**asdict(album), "photos": photos}, ensure_ascii=False))
        return
    query = "" if album.query is None else f', "{album.query}"'
    chosen = f", {album.added} by hand" if album.added and album.query else ""
    click.echo(f"{album.album_id}  {album.name}: {plural(photos, 'photo')}{query}{chosen}{', shared' * album.shared}")
