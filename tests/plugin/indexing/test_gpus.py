"""Processes that share GPUs: how many there may be, and what each is told. The tool that asks GPUs is a script here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rollcall.indexing.executors import choosing, gpus, worker
from rollcall.indexing.executors.processes import ProcessExecutor
from rollcall.indexing.executors.threads import ThreadExecutor
from rollcall.indexing.profile import Profile
from rollcall.inference.analyzer import Analyzer
from rollcall.media import memory_budget
from rollcall.settings import load

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell's script stands for the tool")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the script that is found as nvidia-smi."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "nvidia-smi"


def answers(tool: Path, text: str, code: int = 0) -> None:
    tool.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    tool.chmod(0o755)


def test_processes_go_around_the_gpus_as_far_as_their_free_memory_goes(tool: Path) -> None:
    answers(tool, "GPU-a, 8100\nGPU-b, 4000")
    assert gpus.places() == ["GPU-a", "GPU-b", "GPU-a", "GPU-b", "GPU-a", "GPU-a"]


@pytest.mark.parametrize(("text", "code"), [("GPU-a, [N/A]", 0), ("no devices were found", 0), ("GPU-a, 80000", 9)])
def test_gpus_whose_memory_is_not_told_are_not_shared(tool: Path, text: str, code: int) -> None:
    assert gpus.places() == []
    answers(tool, text, code)
    assert gpus.places() == []


@pytest.mark.parametrize(
    ("memory", "executor", "kind"),
    [
        (40_000, "auto", ThreadExecutor),
        (40_000, "processes", ProcessExecutor),
        (40_000, "threads", ThreadExecutor),
    ],
)
def test_processes_share_a_gpu_where_they_are_asked_for(
    tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, executor: str, kind: type
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(memory_budget, "free_bytes", lambda: 64 << 30)
    answers(tool, f"GPU-a, {memory}")
    values = {"power.executor": executor, "power.workers": 4, "cache.folder": str(tmp_path / "cache")}
    settings = load(None, values)
    made = choosing.executor_for(choosing.Work(Analyzer(settings), settings, Profile(), 10_000))
    assert type(made) is kind
    if isinstance(made, ProcessExecutor):
        assert made.count == 4 and set(made.gpus) == {"GPU-a"}
        assert made.setup.warm is not None and made.setup.warm.stem.endswith("-gpu")


def test_a_process_with_a_gpu_sees_that_one_and_does_not_take_all_of_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, str]] = []
    monkeypatch.setattr(worker.pipes, "started", lambda module, environment: told.append(environment))
    settings = load(None, {})
    work = choosing.Work(Analyzer(settings), settings, Profile(), 1)
    setup = choosing.setup_of(work, 1)
    worker.Worker(setup, "GPU-a")
    worker.Worker(setup)
    assert told[0]["CUDA_VISIBLE_DEVICES"] == "GPU-a" and told[0]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert "JAX_PLATFORMS" not in told[0] and told[1]["JAX_PLATFORMS"] == "cpu"
