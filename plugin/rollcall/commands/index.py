"""`rollcall index` and `rollcall watch`."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import cv2

from rollcall.commands.common import Context, common, console, plural, stop_on_signals
from rollcall.commands.progress import ProgressListener
from rollcall.errors import LibraryError
from rollcall.faces import Analyzer, keep_memory
from rollcall.indexer import Indexer
from rollcall.pace import be_nice
from rollcall.profile import Profile
from rollcall.records import RunSummary
from rollcall.store import photos

F = TypeVar("F", bound=Callable[..., Any])

FOLDERS = click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="FOLDER...")


def powered(command: F) -> F:
    """Add the options that say how much of the computer a run takes, and keep to them."""

    @click.option("--workers", type=click.IntRange(min=0), help="Use so many processors; 0: all.")
    @click.option(
        "--nice", type=click.IntRange(0, 19), help="Let other programs go first; 19: take only what is left over."
    )
    @functools.wraps(command)
    def wrapped(context: Context, *args: Any, workers: int | None, nice: int | None, **kwargs: Any) -> Any:
        said = {name: value for name, value in (("workers", workers), ("nice", nice)) if value is not None}
        power = context.settings.power.model_copy(update=said)
        be_nice(power.nice)
        # Every photo has a thread of its own; OpenCV's would only take turns with them.
        cv2.setNumThreads(1)
        return command(Context(context.settings.model_copy(update={"power": power})), *args, **kwargs)

    return wrapped  # type: ignore[return-value]


@click.command()
@FOLDERS
@click.option("--force", is_flag=True, help="Analyse every photo anew, unchanged ones too.")
@click.option("--watch", "watching", is_flag=True, help="Go on watching the folders afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as one JSON object.")
@click.option("--profile", "profiled", is_flag=True, help="Print where the time went.")
@click.option("--quiet", is_flag=True, help="Show warnings only.")
@common
@powered
def index(
    context: Context,
    folders: tuple[Path, ...],
    force: bool,
    watching: bool,
    as_json: bool,
    profiled: bool,
    quiet: bool,
) -> None:
    """Find the faces in folders of photos and keep them in the database.

    Without FOLDER all folders indexed before are looked through again; a single file inside one of them may be named
    too. Unchanged photos are skipped; nothing is ever deleted: what vanished is marked as missing, what a person
    entered stays. Only what lies in a folder with a file .rollcall-ignore is removed. What was forgotten is looked
    at again when it is named.
    """
    database = context.database()
    roots = _roots(context, folders)
    profile = Profile()
    keep_memory()
    with ProgressListener(quiet or as_json) as progress, stop_on_signals() as stop:
        analyzer = Analyzer(context.settings)
        indexer = Indexer(database, analyzer, context.settings, progress, profile)
        indexer.remember(folders)
        summary = indexer.run(roots, force=force, stop=stop)
        stopped = stop.is_set()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(summary), ensure_ascii=False))
    elif not quiet:
        _tell(summary, stopped)
    if profiled:
        _tell_profile(profile, summary)
    if stopped:
        raise KeyboardInterrupt
    if watching:
        _watch(context, roots, quiet)


@click.command()
@FOLDERS
@click.option("--quiet", is_flag=True, help="Show warnings only.")
@common
@powered
def watch(context: Context, folders: tuple[Path, ...], quiet: bool) -> None:
    """Keep the database in step with folders of photos until stopped.

    Without FOLDER all folders indexed before are watched.
    """
    _watch(context, _roots(context, folders), quiet)


def _roots(context: Context, folders: tuple[Path, ...]) -> list[Path]:
    if folders:
        return list(folders)
    with context.database().read() as session:
        known = [place.root for place in photos.places(session)]
    if not known:
        raise click.UsageError("no folder was indexed yet; name one: rollcall index FOLDER")
    return known


def _watch(context: Context, roots: list[Path], quiet: bool) -> None:
    from rollcall import events
    from rollcall.watcher import Watcher

    for root in roots:
        if not root.is_dir():
            raise LibraryError(root, "the folder is not there; check the path")

    def tell(event: events.Event) -> None:
        match event:
            case events.Warned(message):
                console.print(f"Warning: {message}", style="yellow", markup=False)
            case events.PhotoIndexed(path=path, faces=faces) if not quiet:
                console.print(f"{path}: {plural(faces, 'face')}", markup=False)
            case events.PhotoFailed(path, reason):
                console.print(f"Skipped: {path}: {reason}", style="yellow", markup=False)
            case events.PhotoMoved(old=old, new=new) if not quiet:
                console.print(f"{old} -> {new}: moved", markup=False)
            case events.PhotosMissing(count) if not quiet:
                console.print(f"{plural(count, 'photo')} gone; what is known of them is kept", markup=False)

    keep_memory()
    analyzer = Analyzer(context.settings)
    indexer = Indexer(context.database(), analyzer, context.settings, tell)
    with stop_on_signals() as stop:
        if not quiet:
            console.print("Warming up ...")
        analyzer.warm_up()
        if not quiet:
            console.print(f"Watching {', '.join(map(str, roots))}; Ctrl-C ends it.", markup=False)
        Watcher(indexer, roots, context.settings, tell).run(stop)


def _tell(summary: RunSummary, stopped: bool) -> None:
    parts = [f"{plural(summary.indexed, 'photo')} indexed", f"{plural(summary.faces, 'face')} found"]
    for count, what in (
        (summary.skipped, "unchanged"),
        (summary.moved, "moved"),
        (summary.missing, "missing"),
        (summary.forgotten, "forgotten"),
        (summary.failed, "failed"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    end = "stopped before the end; run it again to go on" if stopped else f"{summary.seconds:.1f} s"
    click.echo(f"{', '.join(parts)} ({end})")


def _tell_profile(profile: Profile, summary: RunSummary) -> None:
    from rich.table import Table

    table = Table("work", "seconds", "share of the run")
    for name, seconds in sorted(profile.seconds.items(), key=lambda item: -item[1]):
        threads = " (beside the rest)" if name in profile.parallel else ""
        table.add_row(name + threads, f"{seconds:.2f}", f"{seconds / max(summary.seconds, 1e-9):.0%}")
    table.add_row("the whole run", f"{summary.seconds:.2f}", "100%")
    console.print(table)
