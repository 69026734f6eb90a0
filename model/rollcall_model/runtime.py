"""JAX's set-up: devices and the compilation cache on disk. Call `configure` before the first computation."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.metadata
import importlib.util
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from rollcall_model import memory, stored

P = ParamSpec("P")
T = TypeVar("T")
#: By this variable XLA sizes its pool of threads when it starts.
_POOL_SIZE: Final = "NPROC"
#: How XLA is to compile, for a CPU, programs that are mostly multiply-adds over large fields: in vectors as wide as the
#: processor has (of AVX-512 it uses half by itself), and with maxima that need not hand on what is no number. The
#: single pass took 12 to 14 % less time, with the same outputs to the last bit (AMD EPYC); small networks of products
#: took more with the wider vectors.
OF_FIELDS: Final = {"xla_cpu_prefer_vector_width": 512, "xla_cpu_enable_fast_min_max": True}
#: The same for small networks of products.
OF_PRODUCTS: Final = {"xla_cpu_enable_fast_min_max": True}
#: An array of NumPy's that begins at a multiple of so many bytes is read where it lies. Any other is copied first, one
#: of more bytes than the second figure on a thread of XLA's, and then the program runs on that thread, too: all photos
#: wait for this one, and what called it does nothing meanwhile.
_ALIGNED: Final = 64
_COPIED_AT_ONCE: Final = 100 << 10
#: What XLA does by itself; said, it gives a program another key in JAX's cache than whoever put the same one there.
_NOT_CACHED: Final = {"xla_embed_ir_in_executable": False}


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def multiplies_bfloat16() -> bool:
    """Return whether the processors multiply bfloat16 at twice the speed of float32; False where that is not known."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any("avx512_bf16" in line.split() for line in text.splitlines() if line.startswith("flags"))


def configure(cache_folder: Path | None = None, cpu_devices: int | None = None) -> None:
    """Create one JAX device for each processor, and keep compiled programs in folders of `cache_folder`.

    One thread for each image is faster than all threads on one image, so batches are sharded over devices. Has no
    effect on the devices when JAX has already started. With one device each call runs on the thread that makes it.
    """
    if cache_folder is not None:
        cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _files.folder = cache_folder / "programs"
        jax.config.update("jax_compilation_cache_dir", str(cache_folder / "jax"))
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # A GPU that shows the desktop, or that several processes share, is not taken for nearly all of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        jax.config.update("jax_num_cpu_devices", cpu_devices or processors())
    except RuntimeError:
        # The backend has started; mesh() uses the devices there are.
        return
    if cpu_devices == 1 and _has_only_processors():
        _start_without_threads()


def _has_only_processors() -> bool:
    """Return whether JAX will start without a GPU, for which its threads do other work."""
    config: Any = jax.config
    if config.jax_platforms == "cpu":
        return True
    # Where JAX itself looks for what knows other devices.
    return importlib.util.find_spec("jax_plugins") is None and not importlib.metadata.entry_points(group="jax_plugins")


def _start_without_threads() -> None:
    """Start JAX so that a program runs on the thread that calls it.

    Otherwise a call is handed to a thread of XLA's, which shares it with others. Where each processor has a photo of
    its own, all photos wait while they are woken, and while they look for more before they sleep: 58 switches of
    threads a photo, and 4 without.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    before = os.environ.get(_POOL_SIZE)
    os.environ[_POOL_SIZE] = "1"
    try:
        jax.devices()
    finally:
        if before is None:
            del os.environ[_POOL_SIZE]
        else:
            os.environ[_POOL_SIZE] = before


def one_processor() -> bool:
    """Return whether each call runs on one processor, as where every processor has photos of its own."""
    return jax.default_backend() == "cpu" and len(jax.devices()) == 1


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array of zeros that a program on a processor reads where it lies, see `Programs`."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory_ = np.zeros(size + _ALIGNED, np.uint8)
    start = -memory_.ctypes.data % _ALIGNED
    return memory_[start : start + size].view(dtype).reshape(shape)


def _aligned(array: Any) -> Any:
    """Return an array, or a copy where XLA would make one on another thread."""
    if not isinstance(array, np.ndarray) or array.nbytes <= _COPIED_AT_ONCE:
        return array
    if (array.ctypes.data % _ALIGNED == 0 and array.flags.c_contiguous) or not one_processor():
        return array
    result = zeros(array.shape, array.dtype)
    result[...] = array
    return result


class AtOnce(Executor):
    """Does work on the thread that asks for it: for one processor, where to hand it to a thread is work on top."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it and return what came of it."""
        done: Future[T] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done

    def map(
        self, work: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Do it with each of the arguments and return what came of them; there is nothing to wait for."""
        return iter([work(*arguments) for arguments in zip(*iterables, strict=False)])


def threads(name: str) -> Executor:
    """Return threads for what is not done by the devices; none beside one processor, which is busy."""
    if one_processor():
        return AtOnce()
    return ThreadPoolExecutor(processors(), thread_name_prefix=name)


@contextlib.contextmanager
def on_host() -> Iterator[None]:
    """Do what is not compiled as a whole on a processor; a GPU would compile a program for each operation and shape."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


def mesh() -> Mesh:
    """Return all devices as a one-dimensional mesh with the axis "batch"."""
    return Mesh(np.asarray(jax.devices()), ("batch",))


#: From which share of a large bucket on it costs less than small ones: of processors the time of what fills it up, of a
#: GPU the calls. There a call for one picture of 1280 x 960 pixels takes about as long as one for four (H200).
FILLED: Final = 0.75
FILLED_GPU: Final = 0.25


def buckets(count: int, sizes: Sequence[int], filled: float = FILLED) -> list[int]:
    """Return the start of each bucket for `count` items, and the end of the last; each bucket has one of the `sizes`.

    A large bucket is used when more than the share `filled` of it is.
    """
    result = [0]
    while result[-1] < count:
        remaining = count - result[-1]
        result.append(result[-1] + max((size for size in sizes if remaining > size * filled), default=min(sizes)))
    return result


class Programs:
    """A function of arrays, and its compiled programs: one for each shape of its arguments.

    On one processor a call runs on the thread that makes it, wherever its arrays lie; those of `zeros` are not copied.

    `jax.jit` keeps beside its programs what they were made of, and with that the network's weights once more. Here the
    programs are kept by themselves, so that `forget_traces` can drop all the rest. May be used from any thread.

    Parameters
    ----------
    jitted
        The function, as `jax.jit` returns it, of positional arrays.
    made_of
        All values that the function has beside its arguments, such as weights, for `stored.name_of`: its programs are
        kept in files. None: JAX's own cache on disk keeps them.
    options
        How a CPU's compiler is set beside what it does by itself, see `OF_FIELDS`. A GPU's has none of these.
    """

    def __init__(
        self, jitted: Any, made_of: Sequence[Any] | None = None, options: Mapping[str, int | bool] | None = None
    ) -> None:
        self._jitted, self._made_of, self._options = jitted, made_of, dict(options or {})
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._locks: dict[tuple[Any, ...], threading.Lock] = {}

    def __call__(self, *arrays: Any) -> Any:
        """Return what the function returns; compile the program first, or load it from the cache on disk."""
        key = tuple((array.shape, array.dtype) for array in arrays)
        program = self._programs.get(key) or self._made(key, arrays)
        return program(*map(_aligned, arrays))

    def _made(self, key: tuple[Any, ...], arrays: tuple[Any, ...]) -> Callable[..., Any]:
        """Compile a program once, whichever threads ask for it."""
        if jax.default_backend() != "cpu":
            return self._made_beside_others(key, arrays)
        with _making, memory.without_collecting():
            if key not in self._programs:
                self._programs[key] = self._stored(key, arrays) or self._compiled(arrays)
                _traces.programs += 1
            return self._programs[key]

    def _stored(self, key: tuple[Any, ...], arrays: tuple[Any, ...]) -> Callable[..., Any] | None:
        """Return a program out of its file, which is made if need be; None where files are of no use."""
        if self._made_of is None or _files.folder is None:
            return None
        try:
            name = stored.name_of(*self._made_of, key, sorted(self._options.items()))
        except stored.UnnamedError:
            return None
        program = stored.load(_files.folder, name)
        if program is None:
            # A program that comes out of JAX's cache cannot be written again: nothing is put there, and nothing found.
            config: Any = jax.config
            least = config.jax_persistent_cache_min_compile_time_secs
            config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
            try:
                program = self._compiled(arrays, _NOT_CACHED)
            finally:
                config.update("jax_persistent_cache_min_compile_time_secs", least)
            stored.save(_files.folder, name, program)
        return program

    def _compiled(self, arrays: tuple[Any, ...], options: Mapping[str, bool] | None = None) -> Callable[..., Any]:
        _traces.kept = True
        # The names of programs in files tell how many devices there are.
        always = {**({"xla_cpu_multi_thread_eigen": False} if one_processor() else {}), **(options or {})}
        lowered = self.lower(*arrays)
        program: Callable[..., Any]
        try:
            program = lowered.compile(compiler_options={**self._options, **always} or None)
        except jax.errors.JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
            # Another version of XLA, which is to decide by itself.
            program = lowered.compile(compiler_options=always or None)
        return program

    def _made_beside_others(self, key: tuple[Any, ...], arrays: tuple[Any, ...]) -> Callable[..., Any]:
        """Compile a program while other threads compile theirs: for a GPU that takes seconds of one processor each."""
        with _making:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._programs:
                with _making, memory.without_collecting():
                    lowered = self.lower(*arrays)
                    _traces.kept = True
                self._programs[key] = lowered.compile()
                with _making:
                    _traces.programs += 1
            return self._programs[key]

    def lower(self, *arrays: Any) -> Any:
        """Return the function lowered for such arrays, see `jax.jit`."""
        return self._jitted.lower(*arrays)


def prepare(works: Sequence[Callable[[], object]]) -> None:
    """Do pieces of work that compile programs: one after another, or for a GPU on a thread each."""
    if jax.default_backend() == "cpu":
        for work in works:
            work()
        return
    with ThreadPoolExecutor(max(len(works), 1), thread_name_prefix="rollcall-compile") as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()


class _Files:
    """Where programs are kept."""

    folder: Path | None = None


_files = _Files()


class _Traces:
    """Whether programs were compiled since traces were forgotten, and how many were compiled or loaded at all."""

    kept = False
    programs = 0


_traces = _Traces()
#: Held while a program is made, and while traces are forgotten.
_making = threading.Lock()


def programs_made() -> int:
    """Return how many programs this process has compiled or loaded: while that is the same, none left memory behind."""
    return _traces.programs


def forget_traces() -> bool:
    """Drop all that JAX keeps of functions but their `Programs`; return False if none was made since the last time.

    For processes that do nothing else: a function of `jax.jit` that is called again is traced and compiled anew.
    """
    with _making:
        if not _traces.kept:
            return False
        _traces.kept = False
        jax.clear_caches()
    # Traces and what they are of refer to each other.
    gc.collect()
    return True
