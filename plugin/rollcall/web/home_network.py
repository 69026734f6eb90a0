"""The second address, in the home network: opened at the start or by the page, and closed again by the page.

It has a server of its own on a thread, for the same application, so that it comes and goes while the page stays open.
What a request that arrives there may do is decided in `lan`.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any

from rollcall.errors import ConflictError, RollcallError
from rollcall.sentences import Sentence

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

#: How long closing waits for answers under way, in seconds; the server itself cuts them off after one.
_END_SECONDS = 5.0


class HomeNetwork:
    """The address in the home network. May be used from any thread.

    Parameters
    ----------
    app
        What answers there.
    port
        The one of the page, which the address gets, too: devices stay paired while it is the same.
    allowed
        Whether it may be opened: not for a page with a login of its own.
    """

    def __init__(self, app: ASGIApp, port: int, allowed: bool = True) -> None:
        self.app, self.port, self.allowed = app, port, allowed
        self.address = ""  # where devices are let in now; "" for nowhere
        self._served: set[str] = set()
        self._given = ""  # the address of a socket that somebody chose
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def origin(self) -> str:
        """What devices open; "" while nobody is let in."""
        return f"http://{host_of(self.address, self.port)}" if self.address else ""

    def serves(self, address: str) -> bool:
        """Return whether requests at an address are those of devices, be they let in at present or not."""
        return address in self._served

    def open(self, listening: socket.socket | None = None) -> None:
        """Let devices in, at a socket that listens, or else where one did before, or at this machine's address.

        Raises
        ------
        ConflictError
            If the page has a login, the machine is in no home network, or the port is taken there.
        """
        if not self.allowed:
            raise ConflictError(Sentence("this page has a login; who shall see photos gets in by that (serve.login)"))
        with self._lock:
            if self.address:
                if listening is not None:
                    listening.close()
                return
            if listening is not None:
                self._given = str(listening.getsockname()[0])
            listening = listening or _listening_at_home(self.port, self._given)
            # From here on what arrives there is a guest's, and never the owner's.
            self.address = str(listening.getsockname()[0])
            self._served.add(self.address)
            import uvicorn

            self._server = uvicorn.Server(configuration(self.app, lifespan="off"))
            self._thread = threading.Thread(
                target=self._server.run, args=([listening],), name="rollcall-lan", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Let nobody in any more: what is under way is cut off. Devices stay paired."""
        with self._lock:
            self.stop()
            if self._thread is not None:
                self._thread.join(_END_SECONDS)
            self._server = self._thread = None

    def stop(self) -> None:
        """Begin to close, without waiting."""
        self.address = ""
        if self._server is not None:
            self._server.should_exit = True


def configuration(app: ASGIApp, **values: Any) -> uvicorn.Config:
    """Return how the application is served at either address."""
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        # The address of whoever connects has to be the proxy's own, not what a header says.
        proxy_headers=False,
        **values,
    )


def listen(address: str, port: int) -> socket.socket:
    """Return a socket that listens: from now on a browser that is quicker than the server waits for it.

    Raises
    ------
    OSError
        If the port is taken, or the address is not one of this machine.
    """
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    made.listen(128)
    return made


def _listening_at_home(port: int, given: str = "") -> socket.socket:
    try:
        address = given or own_address()
    except RollcallError:
        raise ConflictError(
            Sentence("this machine is in no network; connect it to the home network, and try again")
        ) from None
    if not is_of_home(address):
        raise ConflictError(
            Sentence(
                "%(address)s, the address of this machine, is no address of a home network: the internet could reach"
                " it; connect it to the home network, and try again",
                address=address,
            )
        )
    try:
        return listen(address, port)
    except OSError as error:
        raise ConflictError(
            Sentence(
                "port %(port)s of %(address)s cannot be used (%(reason)s); end the program that has it, or start"
                " Rollcall with another port",
                port=port,
                address=address,
                reason=error.strerror or "",
            )
        ) from error


def own_address() -> str:
    """Return the address of this machine in its network.

    Raises
    ------
    RollcallError
        If it is in none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only tells which address it would send from. The network is for examples.
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise RollcallError(
                "this machine is in no network; connect it, or give its address by --lan-address"
            ) from error
        return str(probe.getsockname()[0])


def host_of(address: str, port: int) -> str:
    """Return an address and a port as browsers write them."""
    written = f"[{address}]" if ":" in address else address
    return written if port == 80 else f"{written}:{port}"


def is_of_home(address: str) -> bool:
    """Return whether an address is one of a home network, that the internet cannot reach."""
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
