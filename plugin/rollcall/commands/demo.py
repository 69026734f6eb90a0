"""`rollcall demo`: index, search and annotate pictures that come with installed packages."""

from __future__ import annotations

from pathlib import Path

import click

from rollcall.commands.common import Context, common, stop_on_signals
from rollcall.commands.demo_library import build
from rollcall.commands.index import print_summary
from rollcall.commands.progress import ProgressListener
from rollcall.media import annotate

QUERIES = (
    "women",
    "a woman and a man",
    "seniors",
    "photos of children",
    "group photos",
    "no people",
    "taken:1999",
)


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("rollcall-demo"),
    show_default=True,
    help="Where the library, its database and the annotated pictures are put.",
)
@click.option("--serve", "served", is_flag=True, help="Open the review page on it afterwards.")
@common
def demo(context: Context, folder: Path, served: bool) -> None:
    """Build a small library of public-domain portraits, index it, search it, and show what was found."""
    library = build(folder / "library")
    click.echo(f"A library of public-domain pictures: {library}")
    file = folder / "rollcall.db"
    located = context.settings.database.model_copy(update={"url": f"sqlite:///{file.resolve()}"})
    context = Context(context.settings.model_copy(update={"database": located}))
    shown = folder / "annotated"
    with ProgressListener() as progress, stop_on_signals() as stop, context.opened(progress) as plugin:
        summary = plugin.index(library, stop=stop)
        if stop.is_set():
            raise KeyboardInterrupt
        print_summary(summary, False)
        for text in QUERIES:
            click.echo(f'\nrollcall search "{text}"')
            hits = plugin.search(text, limit=5)
            for hit in hits:
                click.echo(f"{hit.probability:6.1%}  {hit.path.relative_to(library.resolve())}")
            if not hits:
                click.echo("        nothing")
        for result in plugin.analyze([hit.path for hit in plugin.search("faces:>=1")]):
            if result.picture is not None:
                image = annotate.draw_faces(result.picture.pixels, [annotate.label_of(face) for face in result.faces])
                annotate.save(image, shown / result.path.name)
    click.echo(f"\nAnnotated pictures: {shown}")
    click.echo(f"The database:       {file}")
    click.echo(f'Go on with:         rollcall search "women over 50" --database {file}')
    click.echo("Your own photos:    rollcall index FOLDER")
    if served:
        from rollcall.commands.serve import serve

        serve(context.settings, [], opened=True)
