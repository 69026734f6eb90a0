"""`rollcall serve`."""

from __future__ import annotations

import socket
import sys
import webbrowser
from pathlib import Path

import click

from rollcall.commands.common import Context, common, console
from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.settings import Settings


@click.command("serve")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes any that is free.  [default: serve.port]")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@click.option("--watch", is_flag=True, help="Keep the database in step with FOLDER, or all known folders, meanwhile.")
@common
def serve_command(context: Context, folders: tuple[Path, ...], port: int | None, opened: bool, watch: bool) -> None:
    """Open the review page and the HTTP API, on this machine alone unless serve.login is set.

    The address that is printed holds a token made for this start; without it nothing is answered.
    FOLDER is indexed once the page is open.
    """
    serve(context.settings, list(folders), port=port, opened=opened, watch=watch)


def serve(
    settings: Settings, folders: list[Path], *, port: int | None = None, opened: bool = False, watch: bool = False
) -> None:
    """Serve until Ctrl-C.

    Raises
    ------
    RollcallError
        If the port is taken, or the database cannot be used.
    """
    import uvicorn

    from rollcall.web import login, security
    from rollcall.web.app import create

    access = login.access_of(settings.serve)
    wanted = settings.serve.port if port is None else port
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.serve.listen, wanted))
    except OSError as error:
        raise RollcallError(
            f"port {wanted} cannot be used ({error.strerror}); choose another with --port, or 0 for any that is free"
        ) from error
    port = int(listening.getsockname()[1])
    token = security.new_token()
    plugin = Plugin(settings=settings)
    plugin.start()
    app = create(plugin, token, port)
    if watch:
        plugin.start(watch=folders or plugin.folders())
    elif folders:
        app.state.activity.start(folders)
    address = f"http://127.0.0.1:{port}/?token={token}"
    click.echo(address)
    console.print("Open this address in a browser on this machine. Ctrl-C ends it.")
    if access is not None:
        console.print(f"With a login also: {access.origin}")
    sys.stdout.flush()
    if opened:
        webbrowser.open(address)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        # The address of whoever connects has to be the proxy's own, not what a header says.
        proxy_headers=False,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        plugin.stop()
