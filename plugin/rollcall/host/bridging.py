"""The methods of a plugin that bring other programs' servers into step, and read their exports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from filelock import FileLock, Timeout

from rollcall.bridges import content, registry
from rollcall.bridges.connection import Transport
from rollcall.bridges.memory import Memory
from rollcall.bridges.sync import BridgeReport, Progress, Sync
from rollcall.errors import BusyError, SettingsError
from rollcall.host.base import PluginBase

#: For how many seconds to wait for another bridge that runs.
_WAIT: Final = 1.0


class BridgingMixin(PluginBase):
    """Bridges to other photo managers."""

    def bridge(
        self,
        name: str,
        *,
        dry_run: bool = False,
        undo: bool = False,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
        transport: Transport | None = None,
    ) -> BridgeReport:
        """Send applied tags, and confirmed names with their faces, to another photo manager's server.

        Only what was not sent before is sent. What a person changes there stays as it is. A run that was interrupted is
        completed by the next.

        Parameters
        ----------
        name
            immich, photoprism or nextcloud; the settings `bridges.*` have its address and key.
        dry_run
            Change nothing; only report what would be done.
        undo
            Take back everything that was ever sent to this server.
        stop
            Ends the run after the request in flight when set.
        progress
            Called with how many items were dealt with, and how many there are.
        transport
            Sends the requests, in place of an `httpx.Client`.

        Raises
        ------
        SettingsError
            If there is no bridge of this name, or its address or key is not set.
        BridgeError
            If the server cannot be reached or refuses. What was done until then is remembered.
        BusyError
            If another run of a bridge goes on.
        """
        if name not in registry.BRIDGES:
            raise SettingsError(f"there is no bridge {name!r}; choose one of {', '.join(registry.BRIDGES)}")
        bridge = registry.open_bridge(name, self.settings, stop, transport)
        memory = Memory(self.database, name, bridge.connection.url)
        with self._bridging():
            wanted = content.read(self.database)
            run = Sync(bridge, memory, wanted, dry_run=dry_run, stop=stop, progress=progress)
            return run.undo() if undo else run.push()

    @contextmanager
    def _bridging(self) -> Iterator[None]:
        """Hold the lock that lets one run of a bridge at a time work with this database."""
        file = self.database.file
        if file is None:
            yield
            return
        try:
            with FileLock(f"{file}.bridge.lock").acquire(timeout=_WAIT):
                yield
        except Timeout as error:
            raise BusyError(
                self.database.url, "another run of a bridge goes on; wait for it, or stop it first", "bridge"
            ) from error
