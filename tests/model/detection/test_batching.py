"""Networks in buckets: one processor computes the portions of a bucket that have pictures, and no others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rollcall_model import runtime
from rollcall_model.detection import batching
from rollcall_model.detection.batching import Batching
from rollcall_model.nn.modules import Linear


class Means(nnx.Module):
    """Two numbers of each picture."""

    def __init__(self) -> None:
        self.linear = Linear(3, 2, nnx.Rngs(0))

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = self.linear(x.mean((1, 2)))
        return y[:, 0], jnp.stack([y[:, 1]] * 3, 1)


@pytest.fixture(autouse=True)
def cached(compiled: Path) -> None:
    runtime.configure(compiled)


def test_portions_without_pictures_are_left_out() -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (8, 4, 4, 3)).astype(np.float32)
    whole = Means()(jnp.asarray(pixels))
    network = batching._Counted(Means(), 2, Means.__call__)
    for count, computed in ((1, 2), (3, 4), (8, 8), (30, 8), (None, 8)):
        for found, expected in zip(network(pixels, count), whole, strict=True):
            assert found.shape == (computed, *expected.shape[1:])
            assert np.allclose(found, expected[:computed], rtol=1e-5)


def test_pictures_of_several_buckets_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batching, "one_processor", True)
    with ThreadPoolExecutor(2) as threads:
        runner = Batching(threads)
        runner.devices = 1
        network = runner.compile(Means(), 2, Means.__call__, counted=True)
        assert isinstance(network, batching._Counted)

        def cut(rows: np.ndarray, out: np.ndarray) -> None:
            out[:] = rows[:, None, None, None]

        first, _ = runner.run(network, [np.arange(21)], 21, cut, 4, (8,))
    pixels = np.broadcast_to(np.arange(21, dtype=np.float32)[:, None, None, None], (21, 4, 4, 3))
    assert np.allclose(first, Means()(jnp.asarray(pixels))[0], rtol=1e-5)
