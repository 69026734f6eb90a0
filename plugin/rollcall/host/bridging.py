"""The methods of a plugin that bring other programs' servers into step, and read their exports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import Timeout

from rollcall.bridges import content, registry
from rollcall.bridges.connection import Transport
from rollcall.bridges.imports import importing
from rollcall.bridges.imports.attach import ImportReport
from rollcall.bridges.lychee.running import LycheeService
from rollcall.bridges.lychee.store import store_file
from rollcall.bridges.memory import Memory
from rollcall.bridges.sync import BridgeReport, Progress, Sync
from rollcall.corrections import archive
from rollcall.errors import BusyError, ConflictError, SettingsError
from rollcall.host.base import PluginBase
from rollcall.settings import Settings
from rollcall.storage.private import lock_beside

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
        ConflictError
            If sidecars are written, which Immich reads as well: the same would be there twice.
        """
        if name not in registry.BRIDGES:
            raise SettingsError(f"there is no bridge {name!r}; choose one of {', '.join(registry.BRIDGES)}")
        if name == "immich" and not undo and _writes_sidecars(self.settings):
            raise ConflictError(
                "Immich reads the sidecars that are written (xmp.write_photos, xmp.write_folders, xmp.write_tags), so"
                " the same would be there twice; switch one of the two off"
            )
        bridge = registry.open_bridge(name, self.settings, stop, transport)
        memory = Memory(self.database, name, bridge.connection.url)
        with self._bridging():
            wanted = content.read(self.database)
            run = Sync(bridge, memory, wanted, dry_run=dry_run, stop=stop, progress=progress)
            return run.undo() if undo else run.push()

    def import_names(
        self,
        name: str,
        source: Path,
        *,
        dry_run: bool = False,
        undo: bool = False,
        stop: threading.Event | None = None,
        wait: float = 1.0,
    ) -> ImportReport:
        """Give faces the names that another program has for them; its files are only read.

        A face that a region covers is that face, named; one that the detector missed is added. A name without a box is
        proposed for the only face of its photo, and else kept as a tag. What a person decided here stays.

        Parameters
        ----------
        name
            digikam, takeout or osxphotos.
        source
            digiKam's database `digikam4.db`, or the folder of an export in which indexed photos lie.
        dry_run
            Write nothing; only report.
        undo
            Take back what all imports from this source recorded. What people decided since then stays.
        stop
            Ends the import after the photos in work when set; the next one goes on.
        wait
            For how many seconds to wait for the estimates of faces that are added.

        Raises
        ------
        SettingsError
            If there is no reader of this name.
        BridgeError
            If the source cannot be read.
        BusyError
            If another run of a bridge goes on.
        """
        if name not in importing.READERS:
            raise SettingsError(f"names cannot be imported from {name!r}; choose {', '.join(importing.READERS)}")
        with self._bridging():
            reader = importing.READERS[name](source)
            run = importing.Importing(self.database, reader, source, self.settings.tags, dry_run=dry_run, stop=stop)
            report = run.undo() if undo else run.run()
        if not dry_run:
            archive.append(self.database)
            if run.photo_ids:
                self.service.describe(run.photo_ids, wait)
        return report

    def lychee_service(self, transport: Transport | None = None) -> LycheeService:
        """Return the face service for Lychee, made from the settings `bridges.lychee_*`; `transport` as in `bridge`.

        Its embeddings lie in a file of their own beside the database.

        Raises
        ------
        SettingsError
            If a setting is missing.
        BridgeError
            If the service's file cannot be opened.
        """
        file = self.database.beside or self.settings.cache_folder / "rollcall.db"
        return LycheeService(self.settings, self.analyzer, store_file(file), transport)

    @contextmanager
    def _bridging(self) -> Iterator[None]:
        """Hold the lock that lets one run of a bridge at a time work with this database."""
        busy = BusyError(self.database.url, "another run of a bridge goes on; wait for it, or stop it first", "bridge")
        if not self.database.is_sqlite:
            with self.database.alone("bridge", _WAIT) as lock:
                if lock is None:
                    raise busy
                yield
            return
        file = self.database.file
        if file is None:
            yield
            return
        try:
            with lock_beside(file, "bridge", timeout=_WAIT):
                yield
        except Timeout as error:
            raise busy from error


def _writes_sidecars(settings: Settings) -> bool:
    return bool(getattr(getattr(settings, "xmp", None), "writes", False))
