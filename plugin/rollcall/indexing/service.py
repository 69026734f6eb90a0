"""The indexing service of a plugin: index, update, describe and erase, one at a time, and a watcher beside them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from rollcall import events
from rollcall.errors import BusyError, NotFoundError, RollcallError
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.profile import Profile
from rollcall.indexing.run import LeaveAlone, Meanwhile, PictureAnalyzer, PictureListener
from rollcall.indexing.watcher import Watcher
from rollcall.indexing.work_queue import WorkQueue
from rollcall.privacy import deletion, erasure
from rollcall.privacy.erasure import ErasureReport, ErasureRequest
from rollcall.records import RunSummary
from rollcall.sentences import Sentence
from rollcall.settings import Settings
from rollcall.storage.database import Database
from rollcall.storage.library import roots
from rollcall.xmp.report import SidecarReport
from rollcall.xmp.sync import Sidecars

log = logging.getLogger(__name__)

State = Literal["idle", "indexing", "watching"]
#: How long calls wait by default for other work of the same plugin, in seconds.
WAIT_SECONDS: Final = 10.0


class IndexingService:
    """Does all work that writes analyses, one piece at a time. May be used from any thread."""

    def __init__(
        self,
        database: Database,
        analyzer: PictureAnalyzer,
        settings: Settings,
        publish: events.Listener = events.ignore,
        profile: Profile | None = None,
    ) -> None:
        self.database, self.analyzer, self.settings, self.publish = database, analyzer, settings, publish
        self.queue = WorkQueue(database.url)
        self.error: str | None = None
        self.indexer = Indexer(database, analyzer, settings, publish, profile, self.describe_pending)
        # Photos with faces that wait to be described, each with the number of its newest request.
        self._pending: dict[int, int] = {}
        self._requests = 0
        self._described = threading.Condition()
        self._stop = threading.Event()
        self._watching: threading.Thread | None = None

    # ---- State

    @property
    def state(self) -> State:
        """What the service does: "watching" as long as it watches, whether it indexes at present or not."""
        if self._watching is not None and self._watching.is_alive():
            return "watching"
        return "idle" if self.queue.running is None else "indexing"

    def show_pictures(self, listener: PictureListener) -> None:
        """Call `listener` with each picture that a run has decoded, once its photo is stored, on the writing thread."""
        self.indexer.tools.picture_listener = listener

    # ---- Work

    def index(
        self,
        folders: Sequence[Path],
        *,
        force: bool = False,
        lift_erasure: bool = False,
        stop: threading.Event | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> RunSummary:
        """Analyse new and changed photos of folders; see `Indexer.run`.

        With `lift_erasure` the tombstones of the folders and files are removed first.

        Raises
        ------
        BusyError
            If other work of this plugin does not end within `timeout` seconds, or another process indexes.
        LibraryError, StoreError, ModelError
            As `Indexer.run`.
        """
        stop = stop or self._stop
        with self.queue.turn("index", timeout, stop):
            if lift_erasure:
                self.indexer.lift_erasure(folders)
            try:
                return self.indexer.run(folders, force=force, stop=stop)
            finally:
                self.describe_pending()

    def add_folder(self, folder: Path) -> None:
        """Make a folder a root of the library unless one holds it or it holds one; see `Scanner.add`."""
        self.indexer.scanner.add(folder)

    def remove_folder(self, folder: Path, wait: float) -> int:
        """Remove a root from the library; return how many photos that were.

        Raises
        ------
        NotFoundError
            If it is no root.
        BusyError
            If other work, of this plugin or of another process, does not end within `wait` seconds.
        """
        with self.queue.turn("remove", wait), self.database.indexing(wait), self.database.write() as session:
            place = next((one for one in roots(session) if one.root == folder), None)
            if place is None:
                raise NotFoundError("path", folder, Sentence("it is none of the library's folders"))
            return deletion.remove_root(session, place)

    def describe(self, photo_ids: Collection[int], timeout: float) -> bool:
        """Analyse faces of photos whose boxes are new; return whether that is done.

        While other work runs, they are analysed between two of its batches. What is not done within `timeout` seconds
        is done later. Errors become warnings.
        """
        until = time.monotonic() + timeout
        with self._described:
            self._requests += 1
            self._pending |= dict.fromkeys(photo_ids, self._requests)
        while True:
            try:
                with self.queue.turn("describe", 0):
                    self.describe_pending()
            except BusyError:
                with self._described:
                    left = until - time.monotonic()
                    if left > 0 and self._pending.keys() & set(photo_ids):
                        self._described.wait(min(left, 0.1))
            with self._described:
                if not self._pending.keys() & set(photo_ids):
                    return True
            if time.monotonic() >= until:
                return False

    def describe_pending(self) -> None:
        """Analyse the faces that wait; the caller has the turn."""
        with self._described:
            waiting = dict(self._pending)
        if not waiting:
            return
        try:
            self.indexer.describe(waiting.keys())
        except RollcallError as error:
            self.publish(events.Warned(f"{error}; new faces are estimated when their photos are indexed again"))
        finally:
            with self._described:
                for photo_id, request in waiting.items():
                    # A face that was drawn meanwhile has a newer request, and waits on.
                    if self._pending.get(photo_id) == request:
                        del self._pending[photo_id]
                self._described.notify_all()

    def erase(self, request: ErasureRequest, wait: float) -> ErasureReport:
        """Erase what is requested; see `privacy.erasure.erase`.

        Raises
        ------
        BusyError
            If other work, of this plugin or of another process, does not end within `wait` seconds.
        NotFoundError, StoreError
            As `privacy.erasure.erase`.
        """
        until = time.monotonic() + wait
        with self.queue.turn("erase", wait):
            left = max(until - time.monotonic(), 0.0)
            return erasure.erase(self.database, self.settings, request, wait=left, publish=self.publish)

    def with_sidecars(
        self, work: Callable[[Sidecars], tuple[SidecarReport, set[int]]], timeout: float
    ) -> SidecarReport:
        """Read or write sidecars; `work` returns what it did, and the photos with faces that are new.

        Raises
        ------
        BusyError
            If other work of this plugin does not end within `timeout` seconds, or another process indexes.
        StoreError
            If the database fails.
        """
        with self.queue.turn("sidecars", timeout, self._stop), self.database.indexing():
            report, undescribed = work(self.indexer.sidecars)
            if undescribed:
                self.indexer.describe(undescribed)
            return report

    def warm_up(self, timeout: float = WAIT_SECONDS) -> None:
        """Load the networks now.

        Raises
        ------
        BusyError
            If other work does not end within `timeout` seconds.
        ModelError
            If the weights are missing or do not fit.
        """
        warm = getattr(self.analyzer, "warm_up", None)
        if warm is not None:
            with self.queue.turn("warm up", timeout):
                warm()

    # ---- Watching

    def watch(self, folders: Sequence[Path]) -> None:
        """Keep the database in step with folders on a thread of its own, until `stop`.

        Does nothing if a thread watches already. An error that ends watching is stored in `error`.
        """
        if self._watching is not None and self._watching.is_alive():
            return
        self._stop.clear()
        self.error = None
        self._watching = threading.Thread(
            target=self._watch_on_thread, args=(list(folders),), name="rollcall-watch", daemon=True
        )
        self._watching.start()

    def _watch_on_thread(self, folders: Sequence[Path]) -> None:
        try:
            self.watch_until(folders, self._stop)
        except Exception as error:  # the host's process goes on; it reads `error`
            log.exception("watching ended")
            self.error = str(error)
            self.publish(events.Warned(f"watching ended: {error}"))

    def watch_until(self, folders: Sequence[Path], stop: threading.Event) -> None:
        """Keep the database in step with folders, on the calling thread, until `stop` is set.

        Raises
        ------
        ModelError
            If the networks cannot be loaded.
        """
        if self._warmed_up(stop):
            Watcher(_Turns(self, stop), folders, self.settings, self.publish).run(stop)

    def _warmed_up(self, stop: threading.Event) -> bool:
        """Load the networks on a thread, so that `stop` need not wait for them; return False if it was set."""
        warm = getattr(self.analyzer, "warm_up", None)
        if warm is None:
            return True
        failures: list[Exception] = []

        def load() -> None:
            try:
                warm()
            except Exception as error:
                failures.append(error)

        loading = threading.Thread(target=load, name="rollcall-warm-up", daemon=True)
        loading.start()
        while loading.is_alive() and not stop.is_set():
            loading.join(0.1)
        if failures:
            raise failures[0]
        return not stop.is_set()

    def stop(self) -> None:
        """End all work after the photos in flight, and wait for it."""
        self._stop.set()
        if self._watching is not None:
            self._watching.join()
            self._watching = None
        with self.queue.turn("stop", math.inf):
            pass
        self._stop.clear()


class _Turns:
    """The indexer for the watcher: each scan and update waits for its turn, without a limit."""

    def __init__(self, service: IndexingService, stop: threading.Event) -> None:
        self.service = service
        self.stop = stop

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave_alone: LeaveAlone | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> RunSummary:
        return self._in_turn(
            "index",
            lambda: self.service.indexer.run(
                roots, force=force, stop=stop, leave_alone=leave_alone, meanwhile=meanwhile
            ),
        )

    def update(
        self, paths: Iterable[Path], *, stop: threading.Event | None = None, meanwhile: Meanwhile | None = None
    ) -> RunSummary:
        return self._in_turn("update", lambda: self.service.indexer.update(paths, stop=stop, meanwhile=meanwhile))

    def follow(self, stop: threading.Event | None = None) -> None:
        with suppress(BusyError), self.service.queue.turn("update", 0):
            self.service.indexer.follow(stop)

    def _in_turn(self, name: str, work: Callable[[], RunSummary]) -> RunSummary:
        """Do work in its turn; an error is stored in the service's `error` until the next success."""
        service = self.service
        try:
            with service.queue.turn(name, math.inf, self.stop):
                summary = work()
                service.describe_pending()
        except RollcallError as error:
            service.error = str(error)
            raise
        service.error = None
        return summary
