"""Sidecar files: their names, and replacing them as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rollcall.errors import PictureError
from rollcall.media import paths, reading
from rollcall.media.formats import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from rollcall.xmp import content, packets
from rollcall.xmp.packets import BadPacketError

SUFFIX: Final = ".xmp"
#: What a sidecar is written to before it is renamed; one that a kill left behind is written over the next time.
_PART: Final = ".rollcall-part"
#: How many bytes a name may have on most file systems.
_LONGEST_NAME: Final = 255
NewName = Literal["auto", "photo.jpg.xmp", "photo.xmp"]


class ChangedError(Exception):
    """The sidecar was changed by another program since it was read: it has to be read again."""


class SidecarStat(NamedTuple):
    """A sidecar's size and times; while these stay the same, its content does too."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, info: os.stat_result) -> SidecarStat:
        """Return it from an `os.stat` result."""
        return cls(info.st_size, info.st_mtime_ns, 0 if os.name == "nt" else info.st_ctime_ns, info.st_ino)


def is_sidecar(path: Path) -> bool:
    """Return whether a path has the name of a sidecar."""
    return path.suffix.lower() == SUFFIX and bool(path.stem)


def stat_of(path: Path) -> SidecarStat | None:
    """Return size and times of a sidecar; None if it is not there or is not an ordinary file."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return SidecarStat.of(info) if stat.S_ISREG(info.st_mode) else None


def read(path: Path, max_seconds: float) -> tuple[bytes, SidecarStat]:
    """Return the bytes of a sidecar with its size and times from before it was read.

    Raises
    ------
    BadPacketError
        If it is larger than a packet may be.
    UnreadableError, TooLargeError
        If it cannot be read.
    """
    found = stat_of(path)
    if found is not None and found.size > packets.LONGEST:
        raise BadPacketError(f"it has {found.size >> 20} MiB, more than {packets.LONGEST >> 20}")
    data = reading.read(path, max_seconds)
    return data, found or SidecarStat(len(data), 0, 0, 0)


# ---- Names


def existing(photo: Path) -> Path | None:
    """Return the sidecar that stands beside a photo: `a.jpg.xmp`, else `a.xmp` if it belongs to this photo."""
    for name in _spelled(photo.name):
        if paths.is_file(found := photo.with_name(name)):
            return found
    for name in _spelled(photo.stem):
        if paths.is_file(found := photo.with_name(name)) and belongs(found, photo):
            return found
    return None


def new(photo: Path, setting: NewName) -> Path:
    """Return the path of a sidecar that is to be made.

    "auto" is the full name, and for raw files the short one, which is the only one that Lightroom reads. A short name
    that another picture has a claim to is not used.
    """
    short = setting == "photo.xmp" or (setting == "auto" and photo.suffix.lower() in RAW_SUFFIXES)
    if short and not _others(photo) and photo.suffix.lower() not in VIDEO_SUFFIXES:
        return photo.with_name(photo.stem + SUFFIX)
    return photo.with_name(photo.name + SUFFIX)


def photos_of(sidecar: Path) -> list[Path]:
    """Return the pictures that a sidecar may belong to, by its name and those of the files beside it."""
    base = sidecar.with_name(sidecar.stem)
    if base.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES and paths.is_file(base):
        return [base]
    return [one for one in _of_stem(sidecar) if belongs(sidecar, one)]


def belongs(sidecar: Path, photo: Path) -> bool:
    """Return whether a sidecar with a short name, `a.xmp`, belongs to a photo and not to another one of this stem.

    Raw files go first, as in Lightroom. Of several others it belongs to the one whose extension it names
    (`photoshop:SidecarForExtension`); if it names none, it is nobody's.
    """
    others = _others(photo)
    if not others:
        return True
    named = _extension_in(sidecar)
    if named:
        return named == photo.suffix.lower().lstrip(".")
    raw = [one for one in (photo, *others) if one.suffix.lower() in RAW_SUFFIXES]
    return raw == [photo]


def _others(photo: Path) -> list[Path]:
    """Return the other pictures of the same stem."""
    return [one for one in _of_stem(photo) if one.name != photo.name]


def _of_stem(path: Path) -> list[Path]:
    names = dict.fromkeys(path.stem + spelled for suffix in sorted(SUFFIXES) for spelled in (suffix, suffix.upper()))
    found: dict[tuple[int, int], Path] = {}
    for name in (path.name, *names):
        one = path.with_name(name)
        # On file systems without cases the same file has both names.
        with contextlib.suppress(OSError, ValueError):
            info = one.stat()
            if one.suffix.lower() in SUFFIXES and stat.S_ISREG(info.st_mode):
                found.setdefault((info.st_dev, info.st_ino) if info.st_ino else (0, hash(name)), one)
    return list(found.values())


def _spelled(name: str) -> tuple[str, str]:
    return name + SUFFIX, name + SUFFIX.upper()


def _extension_in(sidecar: Path) -> str:
    try:
        data, _ = read(sidecar, 5.0)
        return content.read(packets.parse(data)).sidecar_for
    except (BadPacketError, PictureError):
        return ""


# ---- Writing


def replace(path: Path, data: bytes, expected: SidecarStat | None, photo: Path, *, keep_times: bool) -> SidecarStat:
    """Write a sidecar as a whole: to a new file in its folder, flushed, and renamed. Return its size and times.

    Permissions stay as they are; a new sidecar gets those of the photo, without the right to be executed.

    Parameters
    ----------
    expected
        The sidecar as it was read; None: it was not there.
    keep_times
        Keep the time of change of a sidecar that was there.

    Raises
    ------
    ChangedError
        If the sidecar is not as expected any more; it is then left as it is.
    OSError
        If it cannot be written; it is then left as it is.
    """
    if not is_sidecar(path):
        raise ValueError(f"{path} is no sidecar")
    # A link stays one: the file that it leads to is replaced.
    target = Path(os.path.realpath(path))
    part = _part_of(target)
    try:
        _write(part, data, target if expected is not None else photo)
        if stat_of(target) != expected:
            raise ChangedError
        if expected is not None:
            if keep_times:
                os.utime(part, ns=(expected.mtime_ns, expected.mtime_ns))
            part.replace(target)
        else:
            _put_in_place(part, target)
        _flush_folder(target.parent)
        return SidecarStat.of(target.stat())
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def remove(path: Path, expected: SidecarStat) -> None:
    """Delete a sidecar that Rollcall made and in which nothing is left.

    Raises
    ------
    ChangedError
        If it is not as expected any more.
    OSError
        If it cannot be deleted.
    """
    if not is_sidecar(path):
        raise ValueError(f"{path} is no sidecar")
    if stat_of(path) != expected:
        raise ChangedError
    path.unlink()


def _part_of(target: Path) -> Path:
    """Return the file that a sidecar is written to first; of a name that leaves no room for more, one with a digest."""
    name = os.fsencode(target.name)
    if len(name) + len(_PART) < _LONGEST_NAME:
        return target.with_name(f".{target.name}{_PART}")
    return target.with_name(f".{hashlib.blake2b(name, digest_size=16).hexdigest()}{_PART}")


def _write(part: Path, data: bytes, like: Path) -> None:
    """Write and flush a new file with the permissions of another one."""
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(part, flags, 0o600), "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    try:
        info = like.stat()
    except FileNotFoundError as error:
        raise ChangedError from error
    # Shares may refuse owners and permissions: the file's content matters more.
    with contextlib.suppress(OSError):
        part.chmod(stat.S_IMODE(info.st_mode) & 0o666)
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(part, info.st_uid, info.st_gid)


def _put_in_place(part: Path, target: Path) -> None:
    """Give a new file its name, unless another program has made one of this name meanwhile."""
    try:
        os.link(part, target)
        # At once: it changes the time of the file's last change.
        part.unlink()
    except FileExistsError as error:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target)) from error
        raise ChangedError from error
    except OSError as error:
        # File systems without hard links, and systems that restrict them.
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EINVAL):
            raise
        if target.exists():
            raise ChangedError from error
        part.replace(target)


def _flush_folder(folder: Path) -> None:
    """Flush the entries of a folder, so that a new name outlives a loss of power; where the system can."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
