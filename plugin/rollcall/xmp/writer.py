"""Write the sidecar of one photo: read again, bring in line, merge, replace, remember.

What is about to be written is stored before (an intent), so that after a kill at any moment the entries of ours are
known as such, whether the file was replaced or not.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy.orm import Session

from rollcall.errors import PictureError, is_full
from rollcall.media import paths
from rollcall.records import PhotoState
from rollcall.remote.paths import is_remote
from rollcall.settings import Settings
from rollcall.storage.database import Database
from rollcall.storage.library import now
from rollcall.storage.tables import HostMetadataRow, PhotoRow, SidecarRow
from rollcall.xmp import applying, content, files, merging, packets, wanted
from rollcall.xmp import store as rows
from rollcall.xmp.content import Content
from rollcall.xmp.files import ChangedError, SidecarStat
from rollcall.xmp.memory import Memory
from rollcall.xmp.packets import BadPacketError, Packet
from rollcall.xmp.wanted import Scope

#: How often a sidecar is read again that other programs change while it is being written.
_ATTEMPTS: Final = 5
#: What is said of a file that cannot be written for a reason of its own.
_OF_FILE: Final = {
    errno.ENAMETOOLONG: "the photo's name leaves no room for that of a sidecar; give it a shorter one",
    errno.EISDIR: "a folder has the name of the sidecar; give it another one",
}
#: Why no file of a folder can be written.
_OF_FOLDER: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE})
State = Literal["written", "deleted", "unchanged", "nothing", "problem"]


class Result(NamedTuple):
    """What became of one sidecar."""

    state: State
    path: Path | None = None  # of the sidecar
    reason: str = ""  # of a problem
    of_file: bool = False  # the problem is one of this file: others of its folder may be written
    full: bool = False  # the disk is full: no other sidecar of this folder can be written either


class _Plan(NamedTuple):
    """A sidecar as it is and as it is to be."""

    photo: Path
    path: Path
    stat: SidecarStat | None  # None: it is to be made
    before: bytes
    after: bytes  # empty: it is to be deleted
    memory: Memory
    content: Content
    news: bool  # there is something to remember although the file stays as it is


class _Given(NamedTuple):
    """A sidecar that was read."""

    stat: SidecarStat
    data: bytes
    packet: Packet


def write(
    database: Database, photo_id: int, settings: Settings, scope: Scope | None, *, dry_run: bool = False
) -> Result:
    """Bring the sidecar of one photo in line with what Rollcall knows.

    Parameters
    ----------
    scope
        What is written of it; None: as the settings have it, "none": everything of Rollcall's is taken back.
    dry_run
        Change nothing, neither file nor database.
    """
    for _ in range(_ATTEMPTS):
        with database.dry_run() if dry_run else database.write() as session:
            plan = _plan(session, photo_id, settings, scope)
            if isinstance(plan, Result):
                return plan
            changes = plan.before != plan.after
            if dry_run:
                return Result("unchanged" if not changes else "written" if plan.after else "deleted", plan.path)
            if changes:
                _store_intent(session, photo_id, plan)
        try:
            stat = _put(plan, settings) if changes else plan.stat
        except ChangedError:
            continue
        except OSError as error:
            return _not_written(plan.path, error)
        if changes or plan.news:
            with database.write() as session:
                _remember(session, photo_id, plan, stat)
        return Result("unchanged" if not changes else "written" if plan.after else "deleted", plan.path)
    return Result("problem", plan.path, "another program changes it all the time", of_file=True)


def _not_written(path: Path, error: OSError) -> Result:
    if is_full(error):
        return Result("problem", path, "the disk is full", full=True)
    reason = _OF_FILE.get(error.errno or 0) or error.strerror or str(error)
    return Result("problem", path, reason, of_file=error.errno not in _OF_FOLDER)


# ---- What is to be written


def _plan(session: Session, photo_id: int, settings: Settings, scope: Scope | None) -> _Plan | Result:
    """Read the sidecar, take into account what others changed in it, and merge what is wanted into it."""
    photo = session.get(PhotoRow, photo_id)
    found = wanted.photo_path(session, photo_id)
    if photo is None or found is None or photo.state != PhotoState.INDEXED:
        return Result("nothing")
    path, relative = found
    if is_remote(path):
        return Result("nothing")  # nothing is ever written there
    here = files.existing(path)
    try:
        given = None if here is None else _read(here, settings)
    except BadPacketError as error:
        return Result("problem", here, f"{error}; it was left as it is", of_file=True)
    except PictureError as error:
        return Result("problem", here, error.reason, of_file=True)
    if given is None and not paths.is_file(path):
        return Result("nothing")  # its folder is not there at present
    _take_into_account(session, photo_id, here, given, settings)
    memory = rows.memory_of(session, photo_id)
    what = wanted.of_photo(session, photo, settings, scope or wanted.scope(path, relative, settings.xmp))
    if (here is None and what.is_empty) or (memory.is_empty and what.is_empty):
        return Result("nothing", here)
    target = here or files.new(path, settings.xmp.new_name)
    packet = packets.new() if given is None else given.packet
    before = b"" if given is None else packets.serialize(packet)
    embedded = rows.content_of(session, photo_id, "embedded")
    after_memory = merging.merge(packet, memory, what, embedded)
    after_memory.created = memory.created or given is None
    is_bare = after_memory.created and after_memory.is_empty and packets.is_bare(packet)
    after = b"" if is_bare else packets.serialize(packet)
    row = session.get(SidecarRow, photo_id)
    known = row is not None and row.problem is None and row.written == after_memory.to_json()
    stat = None if given is None else given.stat
    return _Plan(path, target, stat, before, after, after_memory, content.read(packet), not known)


def _read(path: Path, settings: Settings) -> _Given:
    data, stat = files.read(path, settings.decode.max_seconds)
    return _Given(stat, data, packets.parse(data))


def _take_into_account(
    session: Session, photo_id: int, here: Path | None, given: _Given | None, settings: Settings
) -> None:
    """Bring the database in line with the sidecar if it is not as it was read or written last."""
    row = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if here is None or given is None:
        if row is not None:
            applying.forget_sidecar(session, photo_id, settings.tags)
        return
    resolve_intent(session, photo_id, here, given.stat, given.data)
    row = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if not rows.is_known(row, here, given.stat):
        rows.store_sidecar(session, photo_id, here, given.stat, content.read(given.packet))
        session.flush()
    row = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if row is not None and row.due:
        applying.apply(session, photo_id, settings.tags)


# ---- Intents


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest() if data else ""


def _store_intent(session: Session, photo_id: int, plan: _Plan) -> None:
    row = rows.sidecar_row(session, photo_id)
    memory = Memory.from_json(row.written).to_json()
    row.written = memory | {"intent": {"digest": _digest(plan.after), "memory": plan.memory.to_json()}}


def resolve_intent(session: Session, photo_id: int, path: Path, stat: SidecarStat, data: bytes) -> None:
    """Find out whether a write that was interrupted has replaced the sidecar, which is `data` now."""
    row = session.get(SidecarRow, photo_id)
    intent: dict[str, Any] | None = None if row is None else row.written.get("intent")
    if row is None or intent is None:
        return
    before, meant = Memory.from_json(row.written), Memory.from_json(intent["memory"])
    known = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if _digest(data) == intent["digest"]:
        row.written = meant.to_json()
        rows.store_sidecar(session, photo_id, path, stat, content.read(packets.parse(data)), applied=True)
    elif rows.is_known(known, path, stat):
        row.written = before.to_json()
    else:
        # Another program changed it, before or after: an entry that was meant is ours if it is there.
        row.written = _joined(before, meant).to_json()
    session.flush()


def _joined(before: Memory, meant: Memory) -> Memory:
    for name, keywords in before.lists.items():
        meant.lists[name] = list(dict.fromkeys((*meant.lists.get(name, ()), *keywords)))
    meant.regions += [one for one in before.regions if one not in meant.regions]
    meant.declined = before.declined
    return meant


# ---- Files, and what is remembered of them


def _put(plan: _Plan, settings: Settings) -> SidecarStat | None:
    if plan.after:
        return files.replace(plan.path, plan.after, plan.stat, plan.photo, keep_times=settings.xmp.keep_times)
    if plan.stat is not None:
        files.remove(plan.path, plan.stat)
    return None


def _remember(session: Session, photo_id: int, plan: _Plan, stat: SidecarStat | None) -> None:
    if session.get(PhotoRow, photo_id) is None:
        return  # it was erased meanwhile
    row = rows.sidecar_row(session, photo_id)
    row.problem, row.retry_at = None, None
    row.written = plan.memory.to_json()
    if plan.before != plan.after:
        row.written_at = now()
    if stat is not None:
        rows.store_sidecar(session, photo_id, plan.path, stat, plan.content, applied=True)
    else:
        row.written = Memory(declined=plan.memory.declined).to_json()
        known = session.get(HostMetadataRow, (photo_id, "sidecar"))
        if known is not None:
            session.delete(known)
