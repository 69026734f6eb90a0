"""Compiled programs outlive what they were made of."""

from __future__ import annotations

import functools
import gc
import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from rollcall_model import runtime

#: Weights of so many bytes are a constant of the function.
_WEIGHTS = 16 << 20
#: In a process of its own: other tests' programs would be made anew.
_PROGRAM = f"""
import jax, numpy as np
from rollcall.inference import devices
from rollcall.media import allocator
from rollcall_model import runtime

made = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: made.append(name) if "backend_compile" in name else None
)
def own():
    allocator.trim()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("Anonymous"))

assert not devices.forget_traces() and not devices.programs_made()  # there is nothing yet
weights = np.random.default_rng(1).normal(size=({_WEIGHTS} // 4 // 64, 64)).astype(np.float32)
program = runtime.Programs(jax.jit(lambda x: (x @ jax.numpy.asarray(weights).T).sum()))
ones, two = np.ones(64, np.float32), np.full((2, 64), 2, np.float32)
first = float(program(ones)), float(program(two))
before, count = own(), len(made)
assert count >= 2 and devices.programs_made() == 2
assert devices.forget_traces() and not devices.forget_traces()
given_back = before - own()
assert (float(program(ones)), float(program(two))) == first
assert len(made) == count and devices.programs_made() == 2, "a program was made anew"
print(given_back)
"""


def test_traces_are_forgotten_and_programs_are_not() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library than glibc")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > _WEIGHTS  # both traces had the weights as constants


class Counted(runtime.Programs):
    """Programs that count how often one is made, and leave others time to ask for the same one."""

    def __init__(self, jitted: Any) -> None:
        super().__init__(jitted)
        self.collecting: list[bool] = []
        self._second = threading.Event()

    def lower(self, *arrays: Any) -> Any:
        self.collecting.append(gc.isenabled())
        if len(self.collecting) > 1:
            self._second.set()
        self._second.wait(0.2)
        return super().lower(*arrays)


def test_a_program_is_made_once_whichever_threads_ask_for_it_without_collecting_garbage_meanwhile() -> None:
    program = Counted(jax.jit(lambda x: x + 1))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(program, [np.full(3, number, np.float32) for number in range(4)]))
    assert [float(one[0]) for one in found] == [1, 2, 3, 4]
    assert program.collecting == [False]
    assert gc.isenabled()


def test_what_networks_are_made_of_is_never_gone_through_in_programs_that_only_index() -> None:
    code = (
        "import gc; from rollcall_model import memory\n"
        "for keep in (False, True):\n"
        "    if keep: memory.keep()\n"
        "    with memory.without_collecting(): made = [[] for _ in range(1000)]\n"
        "    print(gc.get_freeze_count() > 1000, gc.isenabled())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "True", "True"]


#: Prints how many threads XLA has for a program and whether a call waits for it, of so many devices.
_THREADS = """
import os, sys
from pathlib import Path
import jax, numpy as np
from rollcall_model import runtime

runtime.configure(None, int(sys.argv[1]))
program = runtime.Programs(jax.jit(lambda x: x @ x))
jax.block_until_ready(program(np.ones((64, 64), np.float32)))
names = [(one / "comm").read_text() for one in Path("/proc/self/task").iterdir()]
print(sum("XLAEigen" in name for name in names), jax.config._read("jax_cpu_enable_async_dispatch"), os.environ["NPROC"])
"""


def test_programs_of_one_processor_run_on_the_thread_that_calls_them() -> None:
    if sys.platform != "linux":
        pytest.skip("threads are counted in /proc")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "NPROC": "3"}
    run = functools.partial(subprocess.run, check=True, capture_output=True, text=True, env=environment)
    assert run([sys.executable, "-c", _THREADS, "2"]).stdout.split() == ["3", "True", "3"]
    assert run([sys.executable, "-c", _THREADS, "1"]).stdout.split() == ["1", "False", "3"]


#: Prints what the thread that calls a program, and all threads of XLA's, took of a processor, in milliseconds, for
#: arrays that begin at each of four places.
_ELSEWHERE = """
import os, threading, time
from pathlib import Path
import jax, numpy as np
from rollcall_model import runtime

runtime.configure(None, 1)
program = runtime.Programs(jax.jit(lambda x: (x @ x @ x @ x).sum()))
space = runtime.zeros((400 * 400 + 16,), np.float32)
print(space.ctypes.data % 64)
arrays = [space[start : start + 400 * 400].reshape(400, 400) for start in (0, 4, 8, 12)]
program(arrays[0]).block_until_ready()

def others():
    mine = str(threading.get_native_id())
    tasks = [one for one in Path("/proc/self/task").iterdir() if one.name != mine]
    return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks) / 1e6

before, began = others(), time.thread_time()
for _ in range(5):
    for array in arrays:
        program(array).block_until_ready()
print((time.thread_time() - began) * 1000, others() - before)
"""


def test_programs_of_one_processor_run_on_the_thread_that_calls_them_wherever_their_arrays_begin() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("what threads do is read in /proc")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE], check=True, capture_output=True, text=True, env=environment
    )
    start, here, elsewhere = map(float, done.stdout.split())
    assert start == 0 and elsewhere < 0.1 * here


def test_arrays_that_are_not_read_where_they_lie_give_the_same() -> None:
    numbers = np.random.default_rng(0).integers(0, 255, (301, 400), np.uint8)
    program = runtime.Programs(jax.jit(lambda x: x.astype(np.int32).sum(1)))
    for array in (numbers[:300], numbers[1:], np.ascontiguousarray(numbers[1:].T).T):
        assert (np.asarray(program(array)) == array.astype(np.int32).sum(1)).all()


def test_what_is_done_at_once_is_done_by_the_thread_that_asks_and_errors_come_with_the_result() -> None:
    with runtime.AtOnce() as executor:
        assert executor.submit(threading.get_ident).result() == threading.get_ident()
        assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 // 0).result()


def test_a_compiler_that_does_not_know_an_option_decides_by_itself() -> None:
    program = runtime.Programs(jax.jit(lambda x: x + 1), options={"xla_cpu_of_another_version": True})
    assert program(np.ones(3, np.float32)).tolist() == [2, 2, 2]
    with pytest.raises(jax.errors.JaxRuntimeError, match="not a valid int32"):
        runtime.Programs(jax.jit(lambda x: x), options={"xla_cpu_prefer_vector_width": "wide"})(np.ones(3))  # type: ignore[dict-item]
