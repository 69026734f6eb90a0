"""On what file system a path lies: on network mounts events are missing, and locks and shared memory too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: File systems that other machines write to.
_REMOTE: Final = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "ceph",
    "fuse.",
    "glusterfs",
    "ncpfs",
    "davfs",
    "vboxsf",
    "drvfs",
)
#: File systems that count the blocks of a file. Others, many of FUSE among them, say 0 of every file.
_COUNTING: Final = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "tmpfs", "overlay"}
)
_MOUNTS: Final = Path("/proc/mounts")
#: With numbers of mounts and devices; see proc_pid_mountinfo(5).
_MOUNT_INFO: Final = Path("/proc/self/mountinfo")


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the name of the file system of an absolute path, such as "ext4"; "" where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = Path(), ""
    for fields in (line.split(" ") for line in lines):
        if len(fields) < 3:
            continue
        point = _point(fields[1])
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, fields[2]
    return kind


def below(folder: Path, mounts: Path = _MOUNT_INFO) -> frozenset[tuple[Path, str]]:
    """Return where below a folder other file systems are mounted, with what tells each from another mounted there.

    Empty where the system does not tell. Nothing is asked of the file systems: a server may be away.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = ((_point(fields[4]), " ".join(fields[:3])) for line in lines if len(fields := line.split(" ")) > 4)
    return frozenset(one for one in found if one[0] != folder and one[0].is_relative_to(folder))


def _point(field: str) -> Path:
    return Path(field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))


def is_remote(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether a folder lies on a network mount, where changes made by others cause no events."""
    return file_system(path, mounts).startswith(_REMOTE)


def counts_blocks(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether a folder's file system is known to count the blocks that a file takes."""
    return file_system(path, mounts) in _COUNTING


def can_lock(folder: Path) -> bool:
    """Return whether files in a folder can be locked: on network mounts the server decides."""
    if os.name != "posix":
        return True
    import fcntl

    probe = folder / f".rollcall-lock-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
