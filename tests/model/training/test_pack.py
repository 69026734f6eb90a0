"""Packed crops: what is unpacked is what was packed, in parts of a size; a part that is cut is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import Sample
from rollcall_model.datasets.sources import DatasetError
from rollcall_model.training import pack


@pytest.fixture
def faces() -> Faces:
    """Smooth pictures, which WebP keeps well."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 210, (6, 5, 5, 3), np.uint8)
    crops = np.stack([cv2.resize(x, (stored.STORED, stored.STORED), interpolation=cv2.INTER_CUBIC) for x in small])
    samples = [
        Sample("a", f"{i}.png", "train", (i, i + 2) if i % 2 else None, bool(i % 3), f"p{i}", "group") for i in range(6)
    ]
    return Faces(crops, np.arange(6) % 2 == 0, samples, np.zeros((6, 2, 128), np.float32))


def test_what_is_unpacked_is_what_was_packed(faces: Faces, tmp_path: Path) -> None:
    rows = np.array([0, 1, 2, 4, 5])
    assert pack.pack(faces, rows, tmp_path / "pack", at_most=5000, quality=95) > 1
    assert pack.unpack(tmp_path / "pack", tmp_path / "crops") == 5
    found = stored.load(tmp_path / "crops")
    assert found.samples == [faces.samples[row] for row in rows]
    assert found.detected.tolist() == faces.detected[rows].tolist()
    assert np.abs(found.crops.astype(int) - faces.crops[rows]).mean() < 3
    parts = list((tmp_path / "pack").glob("*.bin"))
    assert all(part.stat().st_size <= 5000 for part in parts)


def test_a_part_that_was_cut_is_named(faces: Faces, tmp_path: Path) -> None:
    pack.pack(faces, np.arange(6), tmp_path, at_most=10**6)
    part = tmp_path / "faces-00.bin"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"faces-00\.bin: has [\d,]+ bytes instead of [\d,]+; copy the part again"):
        pack.unpack(tmp_path, tmp_path / "crops")


def test_the_command_packs_and_unpacks_the_faces_of_a_split(faces: Faces, tmp_path: Path) -> None:
    pack.pack(faces, np.arange(6), tmp_path / "first", at_most=10**6)
    run = CliRunner().invoke
    for options in (
        ["--packed", str(tmp_path / "first"), "--out", str(tmp_path / "crops")],
        ["--crops", str(tmp_path / "crops"), "--split", "train", "--out", str(tmp_path / "second")],
    ):
        result = run(pack.main, options)
        assert result.exit_code == 0, result.output
    assert "6 faces in 1 parts" in result.output
    assert run(pack.main, ["--out", str(tmp_path)]).exit_code == 2
    empty = run(pack.main, ["--packed", str(tmp_path / "crops"), "--out", str(tmp_path / "none")])
    assert empty.exit_code == 1 and "holds no parts of packed faces" in empty.output
