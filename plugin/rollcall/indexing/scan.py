"""Scan folders: compare the files in them with the database, and make new and changed ones pending."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from sqlalchemy.orm import Session

from rollcall import events
from rollcall.errors import LibraryError, RemoteError
from rollcall.indexing import discovery, remote_discovery
from rollcall.indexing.classify import SeenPhotos, add_unknown, classify, mark_missing
from rollcall.indexing.failures import current_keys
from rollcall.indexing.run import LeaveAlone, Run, Tools
from rollcall.media import live_photos, paths
from rollcall.privacy.exclusions import opted_out_above
from rollcall.records import FileStat
from rollcall.remote.paths import is_remote
from rollcall.sentences import Sentence
from rollcall.settings import OPT_OUT_MARKER
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import CHUNK, Place, add_root, locate, resolved, roots
from rollcall.xmp import store as host_metadata


class Scanner:
    """Compares folders and files with the database."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.database, self.settings, self.publish = tools.database, tools.settings, tools.publish
        self.exclusions = tools.exclusions
        self.lasting = current_keys(tools.settings)
        # Paths of files that are photos under another path, by root: one of them follows when that is gone.
        self._other_names: dict[Path, set[str]] = {}

    # ---- Places of folders

    def places(self, roots: Sequence[Path], run: Run) -> list[Place]:
        """Return the places of folders and files in the library; those that cannot be used become warnings.

        Raises
        ------
        LibraryError
            If none of them can be used.
        """
        result: list[Place] = []
        problems: list[LibraryError] = []
        # The outer ones first: one that is added after a folder in it takes that in, and its place is no more.
        for root in sorted(roots, key=lambda one: len(resolved(one).parts)):
            try:
                place = self._place(root, watched=run.leave_alone is not None)
            except LibraryError as error:
                problems.append(error)
            else:
                if place not in result:
                    result.append(place)
        if problems and not result:
            raise problems[0]
        for problem in problems:
            run.warn(problem.args[0], self.publish)
        # A folder inside another of the same run would be scanned twice.
        return [one for one in result if not any(one != outer and _contains(outer, one) for outer in result)]

    def _place(self, root: Path, watched: bool) -> Place:
        """Return the place of a folder, which becomes a root if none contains it, or of a file in a root.

        A watched folder becomes a root even while it is empty, so that its first photo is found.

        Raises
        ------
        LibraryError
            If it is not there, is empty, or was erased.
        """
        folder = resolved(root)
        with self.database.read() as session:
            known = locate(session, folder)
        remote = is_remote(folder)
        if known is not None and (remote or paths.is_folder(folder)) and self._is_excluded(known.root, folder):
            # A hidden or ignored folder that is named belongs to the library all the same: as a root of its own.
            known = None
        erased = self.exclusions.erased_paths().folder_above(paths.to_text(str(folder)))
        if erased is not None:
            name = paths.from_text(erased)
            raise LibraryError(
                root,
                Sentence("the folder %(name)s was forgotten; add that one by its name to have it again", name=name),
            )
        if paths.is_file(folder):
            if known is None:
                raise LibraryError(
                    root, Sentence("this is a file outside of all folders of the library; add its folder")
                )
            return known
        if remote:
            folder = self._remote_folder(folder, known)
        elif not discovery.is_available(folder):
            raise self._unavailable(root, folder, known, watched)
        with self.database.write() as session:
            return add_root(session, folder, self._is_excluded)

    def _remote_folder(self, named: Path, known: Place | None) -> Path:
        """Return the remote folder that is to be listed: the one that is named, or that of a file of a root.

        Raises
        ------
        RemoteError
            If it is not there, is empty, cannot be listed, or is a file outside of all roots.
        """
        try:
            remote_discovery.check(named)
            return named
        except RemoteError as error:
            if known is None or not known.prefix or not isinstance(error.__cause__, NotADirectoryError):
                raise
            return named.parent

    def add(self, folder: Path) -> None:
        """Make a folder a root, unless a root holds it; one that holds roots takes them in when it is scanned.

        Raises
        ------
        LibraryError
            If it is not there, or was erased.
        """
        folder = resolved(folder)
        erased = self.exclusions.erased_paths().folder_above(paths.to_text(str(folder)))
        if erased is not None or is_remote(folder) or discovery.why_unreadable(folder) is not None:
            self._place(folder, watched=False)  # raises with the reason, but of a remote folder that is there
            return
        with self.database.write() as session:
            # A run may be at work on a root inside of it, whose photos must stay where they are meanwhile.
            if locate(session, folder) is None and not any(one.root.is_relative_to(folder) for one in roots(session)):
                add_root(session, folder, self._is_excluded)

    def _is_excluded(self, root: Path, folder: Path) -> bool:
        """Return whether scans of a root leave a folder in it out because it is hidden or ignored."""
        below = PurePosixPath(folder.relative_to(root).as_posix())
        return discovery.is_excluded_by_name(below, self.settings.library)

    def _unavailable(self, root: Path, folder: Path, known: Place | None, watched: bool) -> LibraryError:
        """Return the error of a folder that is missing or empty; add it as a root if it is watched and empty."""
        reason = discovery.why_unreadable(folder) or Sentence("the folder is empty")
        hint = Sentence("check the path")
        if known:
            hint = Sentence("nothing was marked as missing; plug the disk in or mount the share, and run again")
        elif watched and paths.is_folder(folder):
            with self.database.write() as session:
                add_root(session, folder, self._is_excluded)
            hint = Sentence("its photos are looked at when they arrive")
        return LibraryError(root, Sentence("%(problem)s; %(hint)s", problem=reason, hint=hint))

    # ---- Whole folders

    def scan(self, place: Place, run: Run) -> None:
        """Compare a whole folder with the database; mark missing photos, and erase those that opted out.

        Raises
        ------
        StoppedError
            If the run was asked to stop.
        """
        seen = SeenPhotos()
        unreadable: list[str] = []
        opted_out: list[str] = []
        sidecars: list[FileStat] = []
        in_cloud: list[str] = []
        found = self._files(place, run, unreadable, opted_out, sidecars.append, in_cloud.append)
        files = self.exclusions.not_erased(place, found, self.exclusions.erased_paths())
        while part := list(islice(files, CHUNK)):
            run.check()
            if run.leave_alone is not None:
                left = {file for file in part if run.leave_alone(_path(place, file), file.mtime_ns)}
                unreadable += [file.relative_path for file in left]
                part = [file for file in part if file not in left]
            with self.tools.profile("scan"), self.database.write() as session:
                unchanged, pending = classify(
                    session, place, part, self.tools.model_version, run.force, seen, self.lasting
                )
                _record_returned(session, seen)
            self._other_names.setdefault(place.root, set()).update(seen.other_names)
            run.summary.photos += len(part)
            run.summary.skipped += unchanged
            self.publish(events.PhotosSkipped(unchanged))
            self.publish(events.Discovered(pending, finished=False))
        # A listing that did not fail was whole.
        if not is_remote(place.root) and not discovery.is_available(place.root):
            message = f"{place.root}: the folder went away during the scan; nothing was marked as missing"
            run.warn(message, self.publish)
            return
        self._erase_opted_out(place, opted_out, run)
        unreadable += in_cloud
        with self.tools.profile("scan"), self.database.write() as session:
            gone = self._mark_missing(session, place, seen, unreadable)
        self._report_missing(gone, run)
        self._warn_of_cloud(place, in_cloud, run)
        run.sidecars += self._changed_sidecars(place, sidecars, unreadable)

    def _warn_of_cloud(self, place: Place, in_cloud: Sequence[str], run: Run) -> None:
        """Say how many pictures were left alone because reading them would download them."""
        count = sum(not path.lower().endswith(discovery.SIDECAR_SUFFIX) for path in in_cloud)
        if count:
            number = "1 photo is" if count == 1 else f"{count:,} photos are"
            run.warn(
                f"{place.folder}: {number} only in the cloud and left alone; what is downloaded is indexed",
                self.publish,
            )

    def _changed_sidecars(self, place: Place, seen: Sequence[FileStat], unreadable: Sequence[str]) -> Iterator[Path]:
        """Yield the sidecars that a scan found new, changed or gone."""
        if not self.settings.xmp.read:
            return
        with self.database.read() as session:
            known = host_metadata.known_sidecars(session, place)
        for file in seen:
            if known.pop(file.relative_path, None) != file.identity:
                yield _path(place, file)
        if not unreadable:
            yield from (place.root / paths.from_text(below) for below in known)

    def _files(
        self,
        place: Place,
        run: Run,
        unreadable: list[str],
        opted_out: list[str],
        on_sidecar: discovery.OnSidecar,
        on_cloud: discovery.OnCloud,
    ) -> Iterator[FileStat]:
        """Yield the pictures of a place; add folders that cannot be read, and that opted out, to the two lists."""

        def on_unreadable(path: str, reason: str) -> None:
            unreadable.append(path)
            shown = place.root / paths.from_text(path)
            run.warn(
                f"{shown}: the folder cannot be read ({reason}); what lies below it was left as it is", self.publish
            )

        if is_remote(place.root):
            return remote_discovery.discover(
                place.root,
                self.settings.library,
                on_unreadable,
                below=place.prefix,
                on_opted_out=opted_out.append,
                on_sidecar=on_sidecar,
                videos=self.settings.videos,
            )
        below = PurePosixPath(paths.from_text(place.prefix))
        above = opted_out_above(place)
        if above is not None:
            opted_out.append(above)
            return iter(())
        if not place.prefix or discovery.is_included(place.root, below, self.settings.library):
            return discovery.discover(
                place.root,
                self.settings.library,
                on_unreadable,
                below=below,
                on_opted_out=opted_out.append,
                on_sidecar=on_sidecar,
                on_cloud=on_cloud,
                videos=self.settings.videos,
            )
        run.warn(f"{place.folder}: the folder is left out of the library, by its name or a file in it", self.publish)
        return iter(())

    # ---- While a run goes on

    def add_new(self, root: Place, changed: Iterable[Path], run: Run, leave_alone: LeaveAlone | None = None) -> None:
        """Add pending photos for files and for what is in folders of a root, where it is new; compare nothing else.

        What has changed or is gone is left to the next scan: the photos of this run are in work.
        """
        found = (file for path in changed for file in self._files_at(root, path))
        files = self.exclusions.not_erased(root, found, self.exclusions.erased_paths())
        while part := list(islice(files, CHUNK)):
            if run.stopping:
                return
            if leave_alone is not None:
                part = [file for file in part if not leave_alone(_path(root, file), file.mtime_ns)]
            with self.tools.profile("scan"), self.database.write() as session:
                run.summary.photos += add_unknown(session, root, part)

    def _files_at(self, root: Place, path: Path) -> Iterator[FileStat]:
        """Yield the file at a path, or the files of the folder there; none of remote ones, which are listed whole."""
        if is_remote(path):
            return
        below, settings = PurePosixPath(path.relative_to(root.root).as_posix()), self.settings.library
        if path.is_dir():
            if below == PurePosixPath() or discovery.is_included(root.root, below, settings):
                yield from discovery.discover(root.root, settings, below=below)
        elif not discovery.is_in_cloud(root.root, path):
            file = discovery.file_stat(root.root, path, settings)
            if file is not None:
                yield file

    # ---- Single files

    def check_paths(self, root: Place, changed: Sequence[Path], run: Run) -> None:
        """Compare some files and folders below one root with the database.

        Raises
        ------
        StoppedError
            If the run was asked to stop.
        """
        if not discovery.is_available(root.root):
            run.warn(f"{root.root}: the folder is gone or empty; nothing was marked as missing", self.publish)
            return
        files = []
        # The moving part of a live photo may have come before its still.
        moving = (part for path in changed for part in live_photos.moving_parts_beside(path) if part not in changed)
        for path in (*changed, *moving):
            run.check()
            if path.suffix.lower() == discovery.SIDECAR_SUFFIX and not path.is_dir():
                run.sidecars.append(path)
                continue
            file = self._check_path(root, path, run)
            if file is not None:
                files.append(file)
            elif not path.is_dir():
                # It may have been the one name that is a photo.
                files += self._with_other_names(root)
        files = list(self.exclusions.not_erased(root, files, self.exclusions.erased_paths()))
        with self.database.write() as session:
            seen = SeenPhotos()
            unchanged, _ = classify(session, root, files, self.tools.model_version, run.force, seen, self.lasting)
            _record_returned(session, seen)
        self._other_names.setdefault(root.root, set()).update(seen.other_names)
        run.summary.photos += len(files)
        run.summary.skipped += unchanged

    def _check_path(self, root: Place, path: Path, run: Run) -> FileStat | None:
        """Return the file at a path; scan a folder, mark what is gone as missing, erase what opted out."""
        below = path.relative_to(root.root)
        place = root._replace(prefix="" if below == Path() else paths.to_text(below.as_posix()))
        relative = PurePosixPath(below.as_posix())
        inside = place.prefix == "" or discovery.is_included(root.root, relative, self.settings.library)
        if path.is_dir() and inside:
            self.scan(place, dataclasses.replace(run, force=False, leave_alone=None))
            return None
        above = opted_out_above(place)
        if above is not None:
            self._erase_opted_out(place, [above], run)
            return None
        if discovery.is_in_cloud(root.root, path):
            return None
        file = discovery.file_stat(root.root, path, self.settings.library, self.settings.videos)
        if file is None:
            with self.database.write() as session:
                gone = self._mark_missing(session, place, SeenPhotos(), ())
            self._report_missing(gone, run)
        return file

    def _with_other_names(self, root: Place) -> list[FileStat]:
        """Return the files of a root that were photos under another path when they were seen."""
        names, chosen = self._other_names.pop(root.root, set()), (self.settings.library, self.settings.videos)
        found = (discovery.file_stat(root.root, root.root / paths.from_text(one), *chosen) for one in names)
        return [file for file in found if file is not None]

    # ---- Missing photos, and those that opted out

    def _erase_opted_out(self, place: Place, folders: Sequence[str], run: Run) -> None:
        for folder, count in self.exclusions.erase_opted_out(place, folders):
            run.summary.forgotten += count
            run.warn(f"{folder}: it holds a file {OPT_OUT_MARKER}, so what was stored of it was removed", self.publish)
            self.publish(events.Forgotten(count, 0))

    @staticmethod
    def _mark_missing(session: Session, place: Place, seen: SeenPhotos, unreadable: Iterable[str]) -> Sequence[int]:
        for photo_id in (gone := mark_missing(session, place, seen, unreadable)):
            change_feed.record(session, ChangeKind.PHOTO_MISSING, photo_id)
        return gone

    def _report_missing(self, gone: Sequence[int], run: Run) -> None:
        """Count missing photos, and publish how many."""
        run.newly_missing.update(gone)
        run.summary.missing += len(gone)
        if gone:
            self.publish(events.PhotosMissing(len(gone)))


def _record_returned(session: Session, seen: SeenPhotos) -> None:
    """Record in the change feed that missing photos are back."""
    for photo_id in seen.returned:
        change_feed.record(session, ChangeKind.PHOTO_INDEXED, photo_id)
    seen.returned.clear()


def _contains(outer: Place, inner: Place) -> bool:
    return outer.root_id == inner.root_id and (not outer.prefix or inner.prefix.startswith(outer.prefix + "/"))


def _path(place: Place, file: FileStat) -> Path:
    return place.root / paths.from_text(file.relative_path)
