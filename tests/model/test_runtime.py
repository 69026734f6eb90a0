"""Compiled programs outlive what they were made of."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
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

assert not devices.forget_traces()  # there is nothing yet
weights = np.random.default_rng(1).normal(size=({_WEIGHTS} // 4 // 64, 64)).astype(np.float32)
program = runtime.Programs(jax.jit(lambda x: (x @ jax.numpy.asarray(weights).T).sum()))
ones, two = np.ones(64, np.float32), np.full((2, 64), 2, np.float32)
first = float(program(ones)), float(program(two))
before, count = own(), len(made)
assert count >= 2
assert devices.forget_traces() and not devices.forget_traces()
given_back = before - own()
assert (float(program(ones)), float(program(two))) == first
assert len(made) == count, "a program was made anew"
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
