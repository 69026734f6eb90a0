"""What every command shares: settings, the database, output."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from rollcall import settings as settings_module
from rollcall.settings import Settings

if TYPE_CHECKING:
    from rollcall.store.database import Database

F = TypeVar("F", bound=Callable[..., Any])

#: For people: progress, warnings, summaries. What a program may want to read goes to standard output.
console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Context:
    """What the common options amount to."""

    settings: Settings

    def database(self, read_only: bool = False) -> Database:
        """Open the database; made or migrated unless `read_only`."""
        from rollcall.store.database import open_database

        return open_database(self.settings.database_url, read_only=read_only, backups=self.settings.database.backups)


def common(command: F) -> F:
    """Add the options every command has; the command is called with a `Context` first."""

    @click.option("-d", "--database", metavar="FILE|URL", help="The database; default: in the platform's data folder.")
    @click.option("-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="A settings file (TOML).")
    @click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set one setting; may be repeated.")
    @functools.wraps(command)
    def wrapped(*args: Any, database: str | None, config: Path | None, pairs: tuple[str, ...], **kwargs: Any) -> Any:
        overrides: dict[str, Any] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise click.UsageError(f"--set {pair}: give it as NAME=VALUE; `rollcall settings` lists the names")
            overrides[name.strip()] = value
        if database:
            overrides["database.url"] = database
        return command(Context(settings_module.load(config, overrides)), *args, **kwargs)

    return wrapped  # type: ignore[return-value]


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event that ends a run cleanly; a second one interrupts at once."""
    stop = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("Stopping after the photos in flight; press Ctrl-C again to stop at once.", style="yellow")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 photo, 2 photos."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
