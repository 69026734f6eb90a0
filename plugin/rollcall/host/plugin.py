"""The plugin: all of Rollcall behind one object."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rollcall.errors import ModelError
from rollcall.host.albums import AlbumsMixin
from rollcall.host.bridging import BridgingMixin
from rollcall.host.correcting import CorrectingMixin
from rollcall.host.guests import GuestsMixin
from rollcall.host.people_questions import PeopleQuestionsMixin
from rollcall.host.people_reading import PeopleReadingMixin
from rollcall.host.reading import ReadingMixin
from rollcall.host.searching import SearchingMixin
from rollcall.host.sidecars import SidecarMixin
from rollcall.indexing import check
from rollcall.indexing.check import CheckReport
from rollcall.indexing.classify import retry_failed
from rollcall.indexing.service import WAIT_SECONDS
from rollcall.inference import files
from rollcall.inference.files import FileAnalysis, FileAnalyzer
from rollcall.records import RunSummary
from rollcall.remote.paths import named


class Plugin(
    SearchingMixin,
    ReadingMixin,
    PeopleReadingMixin,
    CorrectingMixin,
    PeopleQuestionsMixin,
    AlbumsMixin,
    GuestsMixin,
    SidecarMixin,
    BridgingMixin,
):
    """Rollcall inside a host: index, search, correct, review, erase.

    All methods may be called from any thread. Work that writes analyses (index, erase, warm up) is done one piece at a
    time; a call that has to wait for other work takes a timeout in seconds, after which it raises `BusyError`. From
    asyncio, call methods by `asyncio.to_thread`. Several plugins may live in one process, also on one database. A child
    process needs a plugin of its own and must be started with 'spawn'; in a forked child the methods of its parent's
    plugin raise `LifecycleError`. As a context manager a plugin is started and stopped.

    Every method that uses the database also raises `LifecycleError` if the plugin is not started, and `StoreError`
    if the database cannot be read or written.
    """

    def index(
        self,
        folders: Path | str | Sequence[Path | str],
        *,
        force: bool = False,
        again: bool = False,
        stop: threading.Event | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> RunSummary:
        """Analyse new and changed photos of folders; return when done, or soon after `stop` is set.

        Parameters
        ----------
        folders
            One folder or several; also single files of the library, and addresses of remote folders, such as
            "s3://bucket/photos".
        force
            Analyse unchanged photos again, too.
        again
            Index folders and files that were erased by `forget` again.
        stop
            Ends the run after the photos in flight when set. Without it the method `stop` ends the run; with it,
            `stop` waits until the run has ended.
        timeout
            For how many seconds to wait for other work of this plugin. Another process that indexes into the
            database is not waited for.

        Raises
        ------
        BusyError
            If other work of this plugin does not end within `timeout` seconds, or another process indexes.
        LibraryError
            If none of the folders can be used.
        RemoteError
            If that is because of a server or the network; no photo is to blame.
        AddressError
            If an address is none of a remote folder, or holds a password.
        StoreError, ModelError
            If the database or the networks fail.
        """
        given = [folders] if isinstance(folders, Path | str) else folders
        return self.service.index(list(map(named, given)), force=force, lift_erasure=again, stop=stop, timeout=timeout)

    def add_folder(self, folder: Path | str) -> None:
        """Let a folder belong to the library from now on, though it is indexed later.

        Parameters
        ----------
        folder
            A folder that is there. One that holds folders of the library takes them in when it is indexed.

        Raises
        ------
        LibraryError
            If it was erased, or is not there.
        RemoteError, AddressError
            If it is a remote folder that cannot be listed, or an address that is none of one.
        """
        self.service.add_folder(named(folder))

    def remove_folder(self, folder: Path | str, *, wait: float = WAIT_SECONDS) -> int:
        """Remove one of the library's folders and what is known of its photos; return how many photos that were.

        The files stay, and so do the corrections, which apply again if the folder is added again. To erase for good
        call `forget`.

        Parameters
        ----------
        folder
            A folder as `folders` returns it.
        wait
            For how many seconds to wait for other work of this plugin and of other processes.

        Raises
        ------
        NotFoundError
            If it is none of the library's folders.
        BusyError
            If other work does not end within `wait` seconds.
        """
        return self.service.remove_folder(named(folder), wait)

    def watch(self, folders: Sequence[Path | str], stop: threading.Event) -> None:
        """Keep the database in step with folders on the calling thread, until `stop` is set.

        `start(watch=folders)` does the same on a thread of its own. What keeps a scan from being done, such as
        another process that indexes, becomes the event `Warned`, and the scan is tried again.

        Parameters
        ----------
        folders
            The folders to watch.
        stop
            Ends the watching when set.

        Raises
        ------
        ModelError
            If the networks cannot be loaded.
        """
        self.service.watch_until(list(map(named, folders)), stop)

    def warm_up(self, *, timeout: float = WAIT_SECONDS) -> None:
        """Load the networks now, so that the first analysis does not wait for them.

        Parameters
        ----------
        timeout
            For how many seconds to wait for other work of this plugin.

        Raises
        ------
        BusyError
            If other work does not end within `timeout` seconds.
        ModelError
            If the weights are missing or do not fit.
        """
        self.service.warm_up(timeout)

    def retry(self) -> int:
        """Make photos that failed pending again, for the next run; return how many there are."""
        with self.database.write() as session:
            return retry_failed(session)

    def check(self, *, every_file: bool = False, repair: bool = False) -> CheckReport:
        """Check that the database agrees with itself, with the files that searches read and with the photos' files.

        Parameters
        ----------
        every_file
            Compare every photo's file with what was analysed, not a sample.
        repair
            Mend what can be mended; photos of another content are analysed by the next run.

        Raises
        ------
        StoreError
            If the database cannot be read, or with `repair` not be written.
        """
        return check.check(self.database, self.settings, every_file=every_file, repair=repair)

    def backup(self, file: Path) -> None:
        """Copy the database, while it is in use, to a new file: SQLite's online backup.

        The copy holds what was committed at one moment, and is a database like any other.

        Parameters
        ----------
        file
            Where to write; the file must not exist, its folder must.

        Raises
        ------
        StoreError
            If the database is not an SQLite file, or `file` exists or cannot be written.
        """
        self.database.backup(file)

    def analyze(self, paths: Iterable[Path], *, one_face: bool = False) -> Iterator[FileAnalysis]:
        """Yield the faces of picture files, in the order of `paths`, without a database.

        The plugin need not be started. A picture that cannot be used is a result with an error. Boxes are fractions of
        the upright picture.

        Parameters
        ----------
        paths
            Picture files; some of them are decoded ahead of what is yielded.
        one_face
            Take every picture to be a portrait of one person: of several faces the one nearest the centre is
            returned, and where none is found a central box with `detected` False.

        Raises
        ------
        ModelError
            If the networks cannot be loaded, or the plugin's `analyzer` cannot analyse files.
        """
        analyzer = self.analyzer
        if not isinstance(analyzer, FileAnalyzer):
            raise ModelError("the analyzer of this plugin cannot analyse files without a database")
        return files.analyze(paths, analyzer, self.settings, one_face=one_face)
