"""Compiled programs kept on disk, so that a later process neither traces nor lowers them: most of a start was that.

JAX's own cache is asked with the lowered program, which takes longer to make than the compiled one takes to load. Here
a program is known by what it is made of: the sources of this package, the weights, the shapes, and the machine.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np
from flax import nnx
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from rollcall_model import runtime
from rollcall_model.nn import layers

_LOG: Final = logging.getLogger(__name__)
#: The folder in that of JAX's cache.
_FOLDER: Final = "programs"
_CHECK: Final = 16  # bytes of a file's checksum
#: A program that was not used for so long is removed when another one is written.
_UNUSED_SECONDS: Final = 60 * 24 * 3600.0
#: What XLA compiles for, besides the machine.
_ENVIRONMENT: Final = ("XLA_FLAGS", "NPROC", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION")


class Program:
    """A jitted function of arrays, compiled once for each shape of them. Use from one thread at a time.

    Parameters
    ----------
    function
        The jitted function. On a CPU its programs are kept in the folder that `runtime.configure` was given.
    name
        Of the files: letters, digits and hyphens.
    made_of
        All that the function depends on besides its arguments and this package's sources: see `digest_of`.
    """

    def __init__(self, function: Any, name: str, made_of: str) -> None:
        self._function, self._name, self._made_of = function, name, made_of
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Return the function's outputs."""
        shapes = tuple((one.shape, str(one.dtype)) for one in arguments)
        program = self._programs.get(shapes)
        return self._first(shapes, arguments) if program is None else program(*arguments)

    def _first(self, shapes: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
        """Return the outputs for arguments of new shapes: by the program that was kept, or by a new one."""
        folder, sources = runtime.cache_folder(), _sources()
        if folder is None or sources is None or not layers.on_cpu():
            self._programs[shapes] = self._function
            return self._function(*arguments)
        path = folder / _FOLDER / f"{self._name}-{_digest(repr((shapes, _machine(), sources, self._made_of)))}"
        found = _loaded(path, arguments)
        if found is not None:
            self._programs[shapes], outputs = found
            return outputs
        self._programs[shapes] = compiled = _compiled(self._function, arguments)
        _keep(path, compiled)
        return compiled(*arguments)


def digest_of(net: nnx.Module, *more: object) -> str:
    """Return the digest of a network's weights and architecture, and of whatever else a program depends on."""
    _, state = nnx.split(net)
    found = hashlib.blake2b(repr((type(net).__qualname__, getattr(net, "config", None), more)).encode(), digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = np.asarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@functools.cache
def _sources() -> str | None:
    """Return the digest of this package's sources; None where there are none to read, as in a frozen application."""
    found = hashlib.blake2b(digest_size=16)
    root = Path(__file__).parents[1]
    try:
        files = [
            root / "runtime.py",
            *(one for part in ("nn", "detection", "attributes") for one in root.glob(f"{part}/*.py")),
        ]
        for file in sorted(files):
            found.update(file.name.encode() + file.read_bytes())
    except OSError:
        return None
    return found.hexdigest() if len(files) > 1 else None


@functools.cache
def _machine() -> tuple[Any, ...]:
    """Return what a program is compiled for: other processors may lack its instructions."""
    features = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features = next((line for line in lines if line.lower().startswith(("flags", "features"))), features)
    devices = jax.devices()
    return (
        jax.__version__,
        version("jaxlib"),
        platform.python_version(),
        platform.machine(),
        features,
        runtime.processors(),
        [(one.platform, one.device_kind) for one in devices],
        [os.environ.get(name, "") for name in _ENVIRONMENT],
    )


def _loaded(path: Path, arguments: tuple[Any, ...]) -> tuple[Callable[..., Any], Any] | None:
    """Return the program of a file, and its outputs; None if there is no file, or none that can be used."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    check, data = data[:_CHECK], data[_CHECK:]
    if hashlib.blake2b(data, digest_size=_CHECK).digest() != check:
        return None
    try:
        program = serialize_executable.deserialize_and_load(*pickle.loads(data))
        # What is missing in a program shows when it runs.
        outputs = jax.block_until_ready(program(*arguments))
    except Exception as error:  # whatever the file is, the program can be compiled again
        _LOG.debug("%s: %s", path, error)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # see `_drop_unused`
    return program, outputs


def _compiled(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a new program, compiled without JAX's cache: what comes from it cannot be written again."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # which reads its settings once
    try:
        return function.lower(*arguments).compile()
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation_cache.reset_cache()


def _keep(path: Path, compiled: Any) -> None:
    """Write a program."""
    name = None
    try:
        data = pickle.dumps(serialize_executable.serialize(compiled), pickle.HIGHEST_PROTOCOL)
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_unused(path.parent)
        # Under another name first: another process may read it, or write the same.
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            name = file.name
            file.write(hashlib.blake2b(data, digest_size=_CHECK).digest() + data)
        Path(name).replace(path)
    except Exception as error:  # without it the next start takes longer
        _LOG.debug("%s: %s", path, error)
        if name is not None:
            Path(name).unlink(missing_ok=True)


def _drop_unused(folder: Path) -> None:
    """Remove programs that were last used long ago: of other versions, settings or machines."""
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > _UNUSED_SECONDS:
                file.unlink()
