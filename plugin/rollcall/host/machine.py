"""What Rollcall runs on: system, memory, limits, packages, decoders. For reports of errors."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from PIL import Image

from rollcall.errors import PictureError
from rollcall.media import decode

_PACKAGES: Final = (
    *("rollcall", "jax", "jaxlib", "flax", "numpy", "opencv-python-headless", "pillow", "pillow-heif"),
    *("pillow-jxl-plugin", "rawpy", "sqlalchemy", "watchdog", "fastapi", "uvicorn", "click", "mtcnn"),
)
#: Format of Pillow's to suffix: what is written and read back.
_FORMATS: Final = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "GIF": ".gif",
    "BMP": ".bmp",
    "JPEG2000": ".jp2",
    "AVIF": ".avif",
    "HEIF": ".heic",
    "JXL": ".jxl",
}
_NOT_INSTALLED: Final = "not installed"


def system() -> dict[str, Any]:
    """Return the operating system, processors, memory and limits."""
    memory = psutil.virtual_memory()
    found: dict[str, Any] = {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "processors": os.cpu_count(),
        "processors of this process": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "memory": memory.total,
        "memory available": memory.available,
        "memory limit of the control group": control_group_limit(),
        "file system encoding": sys.getfilesystemencoding(),
    }
    if sys.platform != "win32":
        import resource

        found["open files"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return found


def control_group_limit() -> int | None:
    """Return how much memory, in bytes, Linux' control groups allow; None where they do not limit it."""
    limits = []
    for file in _limit_files():
        try:
            text = file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        # Version 1 writes a number near 2^63 where there is no limit.
        if text.isdigit() and int(text) < 2**60:
            limits.append(int(text))
    return min(limits, default=None)


def _limit_files() -> Iterator[Path]:
    base = Path("/sys/fs/cgroup")
    yield base / "memory.max"
    yield base / "memory" / "memory.limit_in_bytes"
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            own = base / path.lstrip("/")
            yield from (folder / "memory.max" for folder in (own, *own.parents) if folder.is_relative_to(base))


def packages() -> dict[str, str]:
    """Return the versions of the packages that matter."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = _NOT_INSTALLED
    return found


def decoders() -> dict[str, str]:
    """Return for each format whether a small picture comes back as it was written."""
    _register()
    found = {}
    with tempfile.TemporaryDirectory(prefix="rollcall-doctor-") as folder:
        for name, suffix in _FORMATS.items():
            found[suffix] = _round_trip(name, Path(folder, f"picture{suffix}"))
    try:
        found["raw files"] = f"rawpy {metadata.version('rawpy')}"
    except metadata.PackageNotFoundError:
        found["raw files"] = _NOT_INSTALLED
    return found


def _register() -> None:
    """Let Pillow write what the extras can write."""
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    try:
        import pillow_jxl  # noqa: F401  registers itself
    except ImportError:
        pass
    Image.init()


def _round_trip(name: str, path: Path) -> str:
    if name not in Image.SAVE:
        return _NOT_INSTALLED
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32] = (250, 20, 20)
    try:
        Image.fromarray(pixels).save(path, name)
        difference = np.abs(decode.decode(path).pixels.astype(int) - pixels).mean()
    except (PictureError, OSError, ValueError, RuntimeError) as error:
        return f"fails ({error})"
    return "works" if difference < 15 else f"wrong colours (off by {difference:.0f} of 255)"


def folder(path: Path) -> dict[str, Any]:
    """Return size and free space of a folder, and whether it can be written."""
    existing = next((one for one in (path, *path.parents) if one.exists()), path)
    writable = os.access(existing, os.W_OK)
    found: dict[str, Any] = {"path": str(path), "exists": path.exists(), "writable": writable}
    try:
        found["free bytes"] = shutil.disk_usage(existing).free
        found["bytes"] = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.exists() else 0
    except OSError as error:
        found["trouble"] = error.strerror or str(error)
    return found


def watches() -> dict[str, Any]:
    """Return inotify's limits, and how much of them all processes that can be seen use."""
    limits = {}
    for name in ("max_user_watches", "max_user_instances", "max_queued_events"):
        try:
            limits[name] = int(Path("/proc/sys/fs/inotify", name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    if not limits:
        return {"inotify": "this system has none"}
    instances = used = 0
    for process in Path("/proc").glob("[0-9]*/fdinfo"):
        try:
            for info in process.iterdir():
                lines = info.read_text(encoding="ascii", errors="replace").splitlines()
                count = sum(line.startswith("inotify ") for line in lines)
                instances += bool(count)
                used += count
        except OSError:  # of another user, or gone
            continue
    return {**limits, "watches in use": used, "instances in use": instances}
