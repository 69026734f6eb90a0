"""Compiled programs in files, which are loaded without tracing what they were made of.

JAX's own cache on disk saves compiling; to look a program up there it is traced and lowered first, which took half of
the processor time of a process that starts (2.6 of 5.3 s). Here a program has the name of all that it depends on: the
source of this package, the values that its function has of its own, the versions of the libraries, and the processors.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

_CHECKSUM: Final = 32
#: Files that no program was loaded from for so many seconds are removed: each version has programs of its own.
_UNUSED: Final = 60 * 24 * 3600
#: A file's time says when it was used last, to within so many seconds.
_EXACT: Final = 24 * 3600


class UnnamedError(Exception):
    """It cannot be told what a value is from its content, so that a program made of it has no name."""


def name_of(*made_of: Any) -> str:
    """Return the name of a program, a hash of all that it depends on.

    Raises
    ------
    UnnamedError
        If one of `made_of` is none of the values that `_add` knows, or the source is not at hand.
    """
    digest = hashlib.blake2b(digest_size=20)
    for value in (_surroundings(), *made_of):
        _add(digest, value)
    return digest.hexdigest()


def load(folder: Path, name: str) -> Callable[..., Any] | None:
    """Return a program; None where there is none, or its file is damaged."""
    try:
        content = (folder / name).read_bytes()
    except OSError:
        return None
    _mark_used(folder / name)
    import jax
    from jax.experimental import serialize_executable

    if hashlib.blake2b(content[_CHECKSUM:], digest_size=_CHECKSUM).digest() != content[:_CHECKSUM]:
        return None
    try:
        program_itself, inputs, outputs, numbers = pickle.loads(content[_CHECKSUM:])
        devices = [device for device in jax.devices() if device.id in numbers]
        program: Callable[..., Any] = serialize_executable.deserialize_and_load(
            program_itself, inputs, outputs, execution_devices=devices
        )
    except Exception:  # whatever a library makes of a file, the program can be compiled
        return None
    return program


def save(folder: Path, name: str, program: Any) -> None:
    """Write a program that was compiled in this process; where that is not possible, do nothing.

    Files that were not used for long are removed: they are of former versions.
    """
    import jax
    from jax.experimental import serialize_executable

    try:
        numbers = {device.id for one in jax.tree.leaves(program.input_shardings) for device in one.device_set}
        content = pickle.dumps((*serialize_executable.serialize(program), numbers), pickle.HIGHEST_PROTOCOL)
    except Exception:  # it is an experiment of JAX's, and a program that is not stored is compiled again
        return
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is loaded from there is run
        # Whoever reads at the same time sees all of the file or none.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            try:
                file.write(hashlib.blake2b(content, digest_size=_CHECKSUM).digest() + content)
                file.close()
                Path(file.name).replace(folder / name)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
    _remove_unused(folder)


def _mark_used(file: Path) -> None:
    """Note that a program was loaded from a file, by its time of modification; at most once a day."""
    with suppress(OSError):  # whoever may only read the folder leaves its times to others
        if abs(time.time() - file.stat().st_mtime) > _EXACT:
            os.utime(file)


def _remove_unused(folder: Path) -> None:
    """Remove the files that were not used for long, and what a process that was killed left half written."""
    try:
        files = list(folder.iterdir())
    except OSError:
        return
    for file in files:
        # Another process may remove it first, or have it open; a program that is missed is compiled again.
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > _UNUSED:
                file.unlink()


@functools.cache
def source() -> str:
    """Return a hash of this package's source, for which JAX is not needed."""
    digest = hashlib.blake2b(digest_size=20)
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _processor() -> str:
    """Return what tells apart processors that do not run each other's programs."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.processor()}\n{platform.node()}"


def _surroundings() -> tuple[Any, ...]:
    """Return what every program depends on."""
    import jax

    if not Path(__file__).is_file():
        raise UnnamedError("the source is not at hand")
    devices = jax.devices()
    config: Any = jax.config
    return (
        source(),
        _processor(),
        platform.machine(),
        sys.version,
        jax.__version__,
        devices[0].client.platform_version,
        [device.device_kind for device in devices],
        # By the last one XLA divides work among threads when it compiles.
        *(os.environ.get(name, "") for name in ("XLA_FLAGS", "NPROC")),
        config.jax_enable_x64,
        config.jax_default_matmul_precision or "",
    )


def _add(digest: Any, value: Any) -> None:
    """Add a value to a digest: numbers, text, arrays, classes and functions of this package, lists of these."""
    if isinstance(value, str | bool | int | float | None):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, np.ndarray) or hasattr(value, "addressable_shards"):  # of JAX
        array = np.asarray(value)
        digest.update(f"array:{array.dtype}{array.shape};".encode() + array.tobytes())
    elif isinstance(value, np.dtype):
        digest.update(f"dtype:{value};".encode())
    elif isinstance(value, tuple | list):
        digest.update(f"{type(value).__qualname__}{len(value)}(".encode())
        for part in value:
            _add(digest, part)
    elif isinstance(value, functools.partial):
        _add(digest, ("partial", value.func, value.args, sorted(value.keywords.items())))
    elif _is_in_source(value):
        digest.update(f"{value.__module__}.{value.__qualname__};".encode())
    else:
        raise UnnamedError(f"{value!r} has no name")


def _is_in_source(value: Any) -> bool:
    """Return whether a value is a class or a function of this package that has no values of others around it."""
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "<")
    alone = isinstance(value, type) or getattr(value, "__closure__", ()) is None
    return alone and "<" not in name and module.split(".")[0] == __name__.split(".")[0]
