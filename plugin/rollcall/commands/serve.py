"""`rollcall serve`."""

from __future__ import annotations

import html
import os
import shutil
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from rollcall.commands.common import Context, common, console
from rollcall.commands.interrupts import end_now
from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.remote.paths import named
from rollcall.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rollcall.web.login import Access

#: How long after Ctrl-C the process may take to end by itself, in seconds: a request is answered, a batch of photos is
#: not analysed in this time anyway. What the system takes to give the memory back, up to 0.4 s under load, is added.
_GRACE_SECONDS: Final = 0.25
#: What decoding may take while the page is open, by default, in megabytes.
_MEMORY_MEGABYTES: Final = 512


@click.command("serve")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes any that is free.  [default: serve.port]")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@click.option("--lan", is_flag=True, help="Let devices of the home network that you pair look at shared albums.")
@click.option("--lan-address", metavar="ADDRESS", help="This machine's address for --lan.  [default: found out]")
@click.option("--watch", is_flag=True, help="Keep the database in step with FOLDER, or all known folders, meanwhile.")
@common
def serve_command(
    context: Context,
    folders: tuple[Path, ...],
    port: int | None,
    opened: bool,
    lan: bool,
    lan_address: str | None,
    watch: bool,
) -> None:
    """Open the review page and the HTTP API, on this machine alone unless serve.login is set or --lan is given.

    The address that is printed holds a token made for this start; without it nothing is answered.
    FOLDER is indexed once the page is open.
    """
    if lan_address and not lan:
        raise click.UsageError("--lan-address is for --lan: give both")
    from rollcall.web.home_network import own_address

    home = (lan_address or own_address()) if lan else ""
    serve(context.settings, list(map(named, folders)), port=port, opened=opened, watch=watch, lan=home)


def serve(
    settings: Settings,
    folders: list[Path],
    *,
    port: int | None = None,
    opened: bool = False,
    watch: bool = False,
    lan: str = "",
) -> None:
    """Serve until Ctrl-C; with `lan` also at that address of the home network, for devices that are paired.

    Raises
    ------
    RollcallError
        If the port is taken, or the database cannot be used.
    """
    from rollcall.media import allocator
    from rollcall.web import login, security
    from rollcall.web.app import create, end
    from rollcall.web.home_network import is_of_home

    access = login.access_of(settings.serve)
    if lan and not is_of_home(lan):
        raise RollcallError(f"{lan} is no address of a home network, such as 192.168.1.20; give that by --lan-address")
    if lan and access is not None:
        raise RollcallError("--lan is for the page without a login; set serve.login to start, or leave --lan out")
    listening = _listening(settings.serve.listen, settings.serve.port if port is None else port)
    port = int(listening.getsockname()[1])
    at_home = _listening(lan, port) if lan else None
    token = security.new_token()
    allocator.return_freed_memory()
    plugin = Plugin(settings=_sparing(settings))
    plugin.start()
    app = create(plugin, token, port)
    if watch:
        plugin.start(watch=folders or plugin.folders())
    elif folders:
        app.state.activity.start(folders)
    address = f"http://127.0.0.1:{port}/?token={token}"

    try:
        with ExitStack() as stack:
            if at_home is not None:
                app.state.network.open(at_home)
            file = stack.enter_context(doorway(address)) if opened else None
            _run(app, listening, lambda: _announce(address, file, access, app), file)
    finally:
        end(app)
        plugin.stop()


def _listening(address: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    RollcallError
        If the port is taken, or the address is not one of this machine.
    """
    from rollcall.web.home_network import listen

    try:
        return listen(address, port)
    except OSError as error:
        raise RollcallError(
            f"port {port} of {address} cannot be used ({error.strerror}); choose another with --port, or 0 for any that"
            " is free"
        ) from error


def _announce(address: str, opened: Path | None, access: Access | None, app: FastAPI) -> None:
    """Print where the page is, and where it is for those who log in; open it by a file that leads there."""
    click.echo(address)
    console.print("Open this address in a browser on this machine. Ctrl-C ends it.")
    if access is not None:
        console.print(f"With a login also: {access.origin}")
    if app.state.network.address:
        _invite(app)
    sys.stdout.flush()
    if opened is not None:
        webbrowser.open(opened.as_uri())


def _invite(app: FastAPI) -> None:
    """Print where a device of the home network is paired, with a code for one."""
    from rollcall.web.pairing import LIFETIME

    code, origin = app.state.pairing.make(), app.state.network.origin
    console.print(f"For a device in your home network: {origin} with the code {code.shown}")
    console.print(
        f"It opens the shared albums to one device, within {LIFETIME // 60} minutes; more codes are on the page, under"
        " Albums. Nothing is encrypted: use it in a network that you trust."
    )
    try:
        import segno
    except ImportError:
        console.print("For a QR code install the extra lan: pip install 'rollcall[lan]'")
        return
    segno.make(f"{origin}/?code={code.digits}", error="m").terminal(out=sys.stderr, compact=True)


def _sparing(settings: Settings) -> Settings:
    """Return settings with which decoding takes less memory by default: a page stays open beside other programs."""
    if settings.decode.memory_megabytes:
        return settings
    decode = settings.decode.model_copy(update={"memory_megabytes": _MEMORY_MEGABYTES})
    return settings.model_copy(update={"decode": decode})


def _run(app: FastAPI, listening: socket.socket, started: Callable[[], None], opened: Path | None) -> None:
    """Answer requests until Ctrl-C, which ends the process within a second whatever is under way.

    `started` is called when the first request would be answered; `opened` is a doorway that is removed at the end.
    """
    import uvicorn

    from rollcall.web.app import end
    from rollcall.web.home_network import configuration

    class Server(uvicorn.Server):
        ends = False

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if self.ends:  # the second one: the server would be torn down where it stands, with a traceback
                _give_up(opened)
            # At once: a second one may come while the first is still seen to here.
            self.ends = True
            # On a thread: the signal may have come while the main thread holds a lock that `end` takes.
            threading.Thread(target=end, args=(app,), daemon=True).start()
            timer = threading.Timer(_GRACE_SECONDS, _give_up, (opened,))
            timer.daemon = True
            timer.start()
            super().handle_exit(sig, frame)

    Server(configuration(app)).run(sockets=[listening])


def _give_up(opened: Path | None) -> None:
    """End the process and wait for nothing; a file with the token does not stay behind."""
    if opened is not None:
        shutil.rmtree(opened.parent, ignore_errors=True)
    # Safe at any moment: what is not committed is still pending.
    end_now()


@contextmanager
def doorway(address: str) -> Iterator[Path]:
    """Give a file of this user alone that leads a browser to an address, and remove it at the end.

    A browser is started with what it opens on its command line, which every user of the machine can read.
    """
    folder = Path(tempfile.mkdtemp(prefix="rollcall-"))  # mkdtemp makes it for the user alone
    file = folder / "open.html"
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as page:
            page.write(
                f'<!doctype html><meta charset="utf-8"><title>Rollcall</title>'
                f'<meta http-equiv="refresh" content="0;url={html.escape(address)}">'
            )
        yield file
    finally:
        shutil.rmtree(folder, ignore_errors=True)
