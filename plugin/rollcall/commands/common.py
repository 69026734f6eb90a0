"""Shared by all commands: settings, the plugin, output."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from rollcall import events
from rollcall.commands import logs
from rollcall.commands.interrupts import EXIT_CODE, interrupts
from rollcall.commands.terminal import harmless
from rollcall.settings import Settings, load

if TYPE_CHECKING:
    from rollcall.host import Plugin

F = TypeVar("F", bound=Callable[..., Any])


class ForPeople(Console):
    """Prints progress, warnings and summaries on standard error."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich` does, texts without control characters."""
        super().print(*(harmless(one) if isinstance(one, str) else one for one in objects), **options)


#: For people: progress, warnings, summaries. What a program may read goes to standard output.
console = ForPeople(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Context:
    """The values of the common options."""

    settings: Settings

    def plugin(self, listener: events.Listener | None = None) -> Plugin:
        """Return a plugin that is not started, as a host would create it."""
        from rollcall.host import Plugin

        return Plugin(listener=logs.listener(listener), settings=self.settings)

    @contextmanager
    def opened(self, listener: events.Listener | None = None, *, read_only: bool = False) -> Iterator[Plugin]:
        """Give a started plugin, and stop it at the end."""
        plugin = self.plugin(listener)
        plugin.start(read_only=read_only)
        try:
            yield plugin
        finally:
            plugin.stop()


def common(command: F) -> F:
    """Add the options every command has; the command is called with a `Context` first."""

    @click.option("-d", "--database", metavar="FILE|URL", help="The database; default: in the platform's data folder.")
    @click.option("-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="A settings file (TOML).")
    @click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set one setting; may be repeated.")
    @functools.wraps(command)
    def wrapped(*args: Any, database: str | None, config: Path | None, pairs: tuple[str, ...], **kwargs: Any) -> Any:
        interrupts.began()
        overrides: dict[str, Any] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise click.UsageError(f"--set {pair}: give it as NAME=VALUE; `rollcall settings` lists the names")
            overrides[name.strip()] = value
        if database:
            overrides["database.url"] = database
        return command(Context(load(config, overrides)), *args, **kwargs)

    return wrapped  # type: ignore[return-value]


@contextmanager
def stop_on_signals(exit_code: int = EXIT_CODE) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets, to end a run cleanly; a second one ends the process at once.

    A run that has not ended soon after the event is ended too, with `exit_code` (see `commands.interrupts`).
    """
    stop = threading.Event()

    def on_first() -> None:
        stop.set()
        console.print("Stopping; press Ctrl-C again to stop at once.", style="yellow")

    with interrupts.listening(on_first, exit_code):
        yield stop


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 photo, 2 photos."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
