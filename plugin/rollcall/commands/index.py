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

from rollcall import events
from rollcall.commands.common import Context, common, console, plural, stop_on_signals
from rollcall.commands.progress import ProgressListener
from rollcall.errors import LibraryError
from rollcall.host import Plugin
from rollcall.indexing.profile import Profile
from rollcall.indexing.throttle import lower_process_priority
from rollcall.inference.analyzer import keep_memory
from rollcall.media import paths
from rollcall.records import RunSummary
from rollcall.remote.paths import is_remote, named

F = TypeVar("F", bound=Callable[..., Any])

FOLDERS = click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="FOLDER...")


def powered(command: F) -> F:
    """Add the options that limit how much of the computer a run takes, and apply them."""

    @click.option("--workers", type=click.IntRange(min=0), help="Use so many processors; 0: all.")
    @click.option(
        "--executor",
        type=click.Choice(["auto", "threads", "processes", "ray"]),
        help="What analyses photos: threads, processes, or a Ray cluster; auto: what is quickest here.",
    )
    @click.option("--address", metavar="HOST:PORT", help="The Ray cluster; default: one on this computer.")
    @click.option(
        "--nice", type=click.IntRange(0, 19), help="Let other programs go first; 19: take only what is left over."
    )
    @functools.wraps(command)
    def wrapped(
        context: Context,
        *args: Any,
        workers: int | None,
        executor: str | None,
        address: str | None,
        nice: int | None,
        **kwargs: Any,
    ) -> Any:
        options = {"workers": workers, "executor": executor, "ray_address": address, "nice": nice}
        given = {name: value for name, value in options.items() if value is not None}
        power = context.settings.power.model_copy(update=given)
        lower_process_priority(power.nice)
        # Photos are decoded on threads of their own, with which OpenCV's threads would compete.
        cv2.setNumThreads(1)
        return command(Context(context.settings.model_copy(update={"power": power})), *args, **kwargs)

    return wrapped  # type: ignore[return-value]


@click.command()
@FOLDERS
@click.option("--force", is_flag=True, help="Analyse every photo again, unchanged ones too.")
@click.option("--retry", is_flag=True, help="Try every photo that failed again, whatever the reason.")
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
    retry: bool,
    watching: bool,
    as_json: bool,
    profiled: bool,
    quiet: bool,
) -> None:
    """Find the faces in folders of photos and keep them in the database.

    FOLDER may be the address of a remote folder, such as s3://bucket/photos (see docs/remote.md).
    Without FOLDER all folders indexed before are scanned again; a single file inside one of them may be named too.
    Unchanged photos are skipped; nothing is ever deleted: photos whose files are gone are marked as missing, and what a
    person entered stays. Only what lies in a folder with a file .rollcall-ignore is removed. What was forgotten is
    indexed again when it is named.
    """
    keep_memory()
    with ProgressListener(quiet or as_json) as progress, stop_on_signals() as stop, context.opened(progress) as plugin:
        roots = _roots(plugin, folders)
        if retry:
            plugin.retry()
        summary = plugin.index(roots, force=force, again=bool(folders), stop=stop)
        stopped = stop.is_set()
        profile = plugin.profile
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(summary), ensure_ascii=False))
    elif not quiet:
        print_summary(summary, stopped)
    if profiled:
        _print_profile(profile, summary)
    if stopped:
        raise KeyboardInterrupt
    if watching:
        _watch(context, folders, quiet)


@click.command()
@FOLDERS
@click.option("--quiet", is_flag=True, help="Show warnings only.")
@common
@powered
def watch(context: Context, folders: tuple[Path, ...], quiet: bool) -> None:
    """Keep the database in step with folders of photos until stopped.

    Without FOLDER all folders indexed before are watched.
    """
    _watch(context, folders, quiet)


def _roots(plugin: Plugin, folders: tuple[Path, ...]) -> list[Path]:
    roots = list(map(named, folders)) or plugin.folders()
    if not roots:
        raise click.UsageError("no folder was indexed yet; name one: rollcall index FOLDER")
    return roots


def _watch(context: Context, folders: tuple[Path, ...], quiet: bool) -> None:
    keep_memory()
    with stop_on_signals(exit_code=0) as stop, context.opened(functools.partial(_print_event, quiet=quiet)) as plugin:
        roots = _roots(plugin, folders)
        for root in roots:
            if not (is_remote(root) or paths.is_folder(root)):
                raise LibraryError(root, "the folder is not there; check the path")
        if not quiet:
            console.print("Warming up ...")
            console.print(f"Watching {', '.join(map(str, roots))}; Ctrl-C ends it.", markup=False)
        plugin.watch(roots, stop)


def _print_event(event: events.Event, quiet: bool) -> None:
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
            console.print(f"{plural(count, 'photo')} gone; their faces and tags stay", markup=False)


def print_summary(summary: RunSummary, stopped: bool) -> None:
    """Print what a run did, in one line."""
    photos, videos = summary.indexed - summary.videos, summary.videos
    kinds = [plural(photos, "photo")] if photos or not videos else []
    kinds += [plural(videos, "video")] if videos else []
    parts = [f"{' and '.join(kinds)} indexed", f"{plural(summary.faces, 'face')} found"]
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


def _print_profile(profile: Profile, summary: RunSummary) -> None:
    from rich.table import Table

    table = Table("work", "seconds", "share of the run")
    for name, seconds in sorted(profile.seconds.items(), key=lambda item: -item[1]):
        threads = " (beside the rest)" if name in profile.parallel else ""
        table.add_row(name + threads, f"{seconds:.2f}", f"{seconds / max(summary.seconds, 1e-9):.0%}")
    table.add_row("the whole run", f"{summary.seconds:.2f}", "100%")
    console.print(table)
