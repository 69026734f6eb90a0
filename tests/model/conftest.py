"""A small network with random weights, and synthetic faces with labels, for tests that need no trained one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from rollcall_model import checkpoint, stored
from rollcall_model.attributes.fusion import fuse_batch_norm
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.datasets.faces import STORED
from rollcall_model.datasets.samples import Sample
from rollcall_model.nn.state import load_state_dict, state_dict

SMALL = AttributeConfig(widths=(8, 12, 16), depths=(1, 1, 1), features=24, expansion=2)


#: Folders and files whose programs run for less time than it takes to compile them.
QUICKLY_COMPILED = {"attributes", "evaluation", "training", "test_mtcnn.py"}


@pytest.fixture(autouse=True)
def quick_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile without most optimizations where that takes most of the time."""
    if QUICKLY_COMPILED.isdisjoint((request.path.parent.name, request.path.name)):
        yield
        return
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def programs_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what tells of each program that is compiled, or loaded since another test or process compiled it."""
    made: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: made.append(name) if "backend_compile" in name else None
    )
    load = stored.load

    def loading(folder: Path, name: str) -> Callable[..., Any] | None:
        program = load(folder, name)
        if program is not None:
            made.append(name)
        return program

    monkeypatch.setattr(stored, "load", loading)
    return made


@pytest.fixture(scope="session")
def small_net() -> AttributeNet:
    """The training form, with statistics and biases as after training."""
    net = AttributeNet(SMALL, nnx.Rngs(3))
    rng = np.random.default_rng(0)
    for kind in (nnx.Param, nnx.BatchStat):
        arrays = {}
        for name, array in state_dict(net, kind).items():
            noise = rng.normal(size=array.shape).astype(np.float32)
            arrays[name] = np.exp(0.3 * noise) if name.endswith("var") else array + 0.1 * noise
        load_state_dict(net, arrays, kind)
    return net


@pytest.fixture
def small_weights(tmp_path: Path, small_net: AttributeNet) -> Path:
    """Its exported weights, with a calibration that changes every output it can."""
    path = tmp_path / "small.safetensors"
    calibration = {
        "age_temperature": 0.6,
        "age_temperature_growth": 0.3,
        "age_tilt": [-0.7, 0.4],
        "gender_temperature": 0.5,
        "gender_shift": 0.3,
    }
    metadata = {"version": "small-1", "config": SMALL._asdict(), "calibration": calibration}
    checkpoint.save(path, state_dict(fuse_batch_norm(small_net)), metadata)
    return path


@pytest.fixture(scope="session")
def synthetic_faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Crops of patterns, as `faces.prepare` stores them, and a folder of data sets with pairs."""
    crops_folder, data_folder = tmp_path_factory.mktemp("crops"), tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    samples = [
        Sample(
            "utkface",
            f"{i}.webp",
            "train" if i % 8 == 0 else "val",
            (i, i),
            bool(i % 2),
            group=("a", "b")[i % 2],
        )
        for i in range(96)
    ]
    samples.append(Sample("fairface", "range.webp", "val", (20, 29), True))
    samples += [
        Sample("lfw", f"p{person}_{shot}.webp", "val", identity=f"p{person}")
        for person in range(8)
        for shot in range(3)
    ]
    crops = rng.integers(0, 256, (len(samples), 16, 16, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    crops = crops[:, :STORED, :STORED]
    for row, sample in enumerate(samples):
        if sample.identity:  # one person's pictures are nearly identical
            first = next(i for i, s in enumerate(samples) if s.identity == sample.identity)
            crops[row] = np.clip(crops[first].astype(int) + rng.integers(-3, 4, crops[first].shape), 0, 255)
    np.save(crops_folder / "crops.npy", crops)
    (crops_folder / "samples.jsonl").write_text("".join(json.dumps([*s, True]) + "\n" for s in samples))
    with (data_folder / "lfw-dev-pairs.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["fold", "a", "b", "same"])
        for person in range(8):
            table.writerow([person % 2, f"p{person}_0.webp", f"p{person}_1.webp", 1])
            table.writerow([person % 2, f"p{person}_0.webp", f"p{(person + 3) % 8}_1.webp", 0])
    return crops_folder, data_folder
