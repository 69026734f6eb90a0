"""The table of `benchmarks/index.py --stages` knows where the networks are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rollcall.inference.analyzer import Analyzer
from rollcall.records import Picture
from rollcall.settings import load

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "stages.py"


def test_the_networks_that_a_portrait_goes_through_are_timed(compiled: Path) -> None:
    pytest.importorskip("skimage")
    from rollcall.commands.demo_library import portraits

    spec = importlib.util.spec_from_file_location("stages", SCRIPT)
    assert spec is not None and spec.loader is not None
    stages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stages)
    analyzer = Analyzer(load(None, {"detector.resolution": 256, "cache.folder": str(compiled)}))
    pixels = np.asarray(portraits()[0].convert("RGB").resize((256, 256)), np.uint8)
    found = stages.of_analysis([Picture(Path("a.png"), pixels, 256, 256, 1, "")], analyzer, 1)
    calls = {one.name: one.calls for one in found}
    # A call has a place for each processor that JAX was given, which is said once a process, by whoever comes first.
    networks = ("network over pictures of 320 x 256", "refiner, first look", "refiner, second look", "attributes of ")
    assert calls["faces of a photo"] == 1
    assert all(callable(getattr(where, name, None)) for *_, where, name in (*stages._OF_A_PHOTO, *stages._ONCE))
    for network in networks:
        assert any(name.startswith(network) and count for name, count in calls.items()), calls
