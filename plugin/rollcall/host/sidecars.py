"""The methods of a plugin that read and write XMP sidecars."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from rollcall.errors import LibraryError, SettingsError
from rollcall.host.base import PluginBase
from rollcall.indexing.service import WAIT_SECONDS
from rollcall.remote.paths import named
from rollcall.storage.library import Place, locate
from rollcall.xmp.report import SidecarReport, SidecarStatus
from rollcall.xmp.sync import Sidecars
from rollcall.xmp.wanted import Scope


class SidecarMixin(PluginBase):
    """XMP sidecars of a plugin. The photos themselves are never written."""

    def write_sidecars(
        self,
        folders: Sequence[Path] = (),
        *,
        dry_run: bool = False,
        stop: threading.Event | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> SidecarReport:
        """Bring the sidecars of photos in line with what Rollcall knows; what others wrote in them stays.

        Parameters
        ----------
        folders
            Folders or photos of the library: everything of them is written, whatever the settings are. Without any, all
            photos are written for which `xmp.write_photos`, `xmp.write_folders` or `xmp.write_tags` turns it on.
        dry_run
            Change nothing; only report.
        stop
            Ends the work soon when set.
        timeout
            For how many seconds to wait for other work of this plugin.

        Raises
        ------
        SettingsError
            If no folder is named and no setting turns writing on.
        LibraryError
            If a folder is not in the library, or its disk is full.
        BusyError
            If other work does not end within `timeout` seconds, or another process indexes.
        """
        if not folders and not self.settings.xmp.writes:
            raise SettingsError(
                "no sidecar is written, as no setting turns it on; name a folder, or set xmp.write_photos,"
                " xmp.write_folders or xmp.write_tags"
            )
        places = self._places(folders)
        scope: Scope | None = "all" if folders else None

        def work(sidecars: Sidecars) -> tuple[SidecarReport, set[int]]:
            return sidecars.write(places, scope, dry_run=dry_run, stop=stop), set()

        return self.service.with_sidecars(work, timeout)

    def read_sidecars(
        self,
        folders: Sequence[Path] = (),
        *,
        stop: threading.Event | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> SidecarReport:
        """Read what other programs wrote into photos and sidecars, and bring tags, faces and names in line.

        Indexing does this for new and changed files; this is for a library that was indexed before.

        Parameters
        ----------
        folders
            Folders or photos of the library; without any, all photos.
        stop
            Ends the work soon when set.
        timeout
            For how many seconds to wait for other work of this plugin.

        Raises
        ------
        LibraryError
            If a folder is not in the library.
        BusyError
            If other work does not end within `timeout` seconds, or another process indexes.
        """
        places = self._places(folders)
        return self.service.with_sidecars(lambda sidecars: sidecars.read(places, stop=stop), timeout)

    def remove_from_sidecars(
        self,
        folders: Sequence[Path] = (),
        *,
        dry_run: bool = False,
        stop: threading.Event | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> SidecarReport:
        """Take everything that Rollcall wrote out of sidecars, and delete those that it made and nobody else used.

        Parameters
        ----------
        folders
            Folders or photos of the library; without any, all photos.
        dry_run
            Change nothing; only report.
        stop
            Ends the work soon when set.
        timeout
            For how many seconds to wait for other work of this plugin.

        Raises
        ------
        LibraryError
            If a folder is not in the library, or its disk is full.
        BusyError
            If other work does not end within `timeout` seconds, or another process indexes.
        """
        places = self._places(folders)

        def work(sidecars: Sidecars) -> tuple[SidecarReport, set[int]]:
            return sidecars.write(places, "none", dry_run=dry_run, stop=stop), set()

        return self.service.with_sidecars(work, timeout)

    def sidecar_status(self, folders: Sequence[Path] = ()) -> SidecarStatus:
        """Return how many photos have metadata of other programs and entries of Rollcall, and what went wrong.

        Parameters
        ----------
        folders
            Folders or photos of the library; without any, all photos.

        Raises
        ------
        LibraryError
            If a folder is not in the library.
        """
        return self.service.indexer.sidecars.status(self._places(folders))

    def _places(self, folders: Sequence[Path]) -> list[Place]:
        result = []
        with self.database.read() as session:
            for folder in map(named, folders):
                place = locate(session, folder)
                if place is None:
                    raise LibraryError(folder, "the folder is not in the library; index it first")
                result.append(place)
        return result
