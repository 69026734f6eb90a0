"""Compiled programs in files: the same results without tracing, and never a program of something else."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollcall_model import stored
from rollcall_model.attributes.network import AttributeConfig
from rollcall_model.nn import layers

#: Prints whether the function was traced, and what it returns; the folder and the weight are arguments.
_PROGRAM = """
import sys
from pathlib import Path
import jax, numpy as np
from rollcall_model import runtime

runtime.configure(Path(sys.argv[1]), 2)
traced = []
weight = np.float32(sys.argv[2])
def function(x):
    traced.append(x.shape)
    return x * weight, x.sum()
options = dict([sys.argv[3].split("=")]) if sys.argv[3:] else None
program = runtime.Programs(jax.jit(function), (float(weight),), options)
double, total = program(np.arange(3, dtype=np.float32))
print(bool(traced), double.tolist(), float(total))
"""


#: Prints what a function returns; of the arguments the second says whether its program is kept in a file of its own.
_ALSO_CACHED = """
import sys
from pathlib import Path
import jax, numpy as np
from rollcall_model import runtime

runtime.configure(Path(sys.argv[1]), 1)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
program = runtime.Programs(jax.jit(lambda x: (x + 1).sum(0)), (1,) if sys.argv[2] == "kept" else None)
print(np.asarray(program(np.ones((2, 3), np.float32))).tolist())
"""


def run(folder: Path, weight: int = 2, *options: str) -> str:
    """Return what a new process prints; `options` are of the compiler, as name=value."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(weight), *options],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_another_process_loads_a_program_without_tracing_and_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert first == "True [0.0, 2.0, 4.0] 3.0"
    assert run(tmp_path) == first.replace("True", "False")
    assert run(tmp_path, 3) == "True [0.0, 3.0, 6.0] 3.0"
    assert run(tmp_path, 2, "xla_cpu_prefer_vector_width=512") == first, "compiled otherwise it is another program"
    for file in (tmp_path / "programs").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert run(tmp_path) == first
    assert run(tmp_path) == first.replace("True", "False")


def test_a_program_that_the_cache_of_jax_has_too_can_be_loaded_from_its_file(tmp_path: Path) -> None:
    for kept in ("no", "kept", "kept"):
        command = [sys.executable, "-c", _ALSO_CACHED, str(tmp_path), kept]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == "[4.0, 4.0, 4.0]", done.stderr


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ((1, 2), ((1, 2),)),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.zeros((2, 1)), np.zeros((1, 2))),
        (layers.depthwise, layers.pointwise),
        (functools.partial(layers.max_pool, size=2), functools.partial(layers.max_pool, size=3)),
        (AttributeConfig(), AttributeConfig(size=64)),
        (AttributeConfig, AttributeConfig()),
    ],
)
def test_what_differs_has_another_name(one: Any, other: Any) -> None:
    assert stored.name_of(one) == stored.name_of(one)
    assert stored.name_of(one) != stored.name_of(other)


def test_what_is_not_told_by_its_content_has_no_name() -> None:
    here = 1
    for unknown in (lambda: here, object(), run, {1: 2}):
        with pytest.raises(stored.UnnamedError):
            stored.name_of(unknown)


def test_a_change_of_the_source_or_of_the_processor_gives_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [stored.name_of(1)]
    for what in ("source", "_processor"):
        monkeypatch.setattr(stored, what, lambda: "another")
        names.append(stored.name_of(1))
    assert len(set(names)) == 3


def test_files_that_were_not_used_for_long_are_removed_when_a_new_one_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    run(tmp_path)
    (used,) = folder.iterdir()
    unused, recent = folder / "unused", folder / "recent"
    unused.write_bytes(b"")
    recent.write_bytes(b"")
    long_ago = time.time() - 61 * 24 * 3600
    for file in (used, unused):
        os.utime(file, (long_ago, long_ago))
    assert run(tmp_path).startswith("False")  # nothing is written, so nothing is removed
    assert unused.exists()
    run(tmp_path, 3)
    assert used.exists()
    assert recent.exists()
    assert not unused.exists()


def test_a_file_that_cannot_be_removed_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    (folder / "a folder").mkdir(parents=True)
    (folder / "a folder" / "with a file").write_bytes(b"")
    os.utime(folder / "a folder", (0, 0))
    assert run(tmp_path).startswith("True")
    assert run(tmp_path).startswith("False")
    assert (folder / "a folder").exists()
