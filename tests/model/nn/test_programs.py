"""Compiled programs are kept on disk, and used again without being traced."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from rollcall_model.nn.programs import Program


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The cache folder of JAX for one test; yields the one of the programs."""
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)


def traced_each_time(traces: list[str]) -> Callable[[jax.Array], jax.Array]:
    """Return a new function that doubles, and notes when it is traced."""

    def double(x: jax.Array) -> jax.Array:
        traces.append("traced")
        return x * 2

    return double


def test_a_kept_program_is_not_traced_again(folder: Path) -> None:
    traces: list[str] = []
    ones = np.ones(3, np.float32)
    for _ in range(2):
        program = Program(jax.jit(traced_each_time(traces)), "double", "these weights")
        assert np.asarray(program(ones)).tolist() == [2, 2, 2]
    assert traces == ["traced"]
    assert len(list(folder.iterdir())) == 1


def test_other_weights_make_another_program(folder: Path) -> None:
    traces: list[str] = []
    for weights in ("these weights", "those weights"):
        Program(jax.jit(traced_each_time(traces)), "double", weights)(np.ones(3, np.float32))
    assert len(traces) == 2


def test_a_damaged_file_is_compiled_again(folder: Path) -> None:
    traces: list[str] = []
    for _ in range(2):
        program = Program(jax.jit(traced_each_time(traces)), "double", "these weights")
        assert np.asarray(program(np.ones(3, np.float32))).tolist() == [2, 2, 2]
        (file,) = folder.iterdir()
        file.write_bytes(file.read_bytes()[:-1])
    assert len(traces) == 2
