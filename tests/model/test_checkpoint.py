"""Weights on disk: metadata that changes without the arrays, and refusals that name what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rollcall_model import checkpoint, versions, weights
from rollcall_model.evaluation.thresholds import Similarity

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(3, np.float16)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "some.safetensors"
    checkpoint.save(path, ARRAYS, {"version": "some-1", "config": {"size": 3}})
    return path


def test_arrays_and_metadata_come_back(path: Path) -> None:
    arrays, metadata = checkpoint.load(path)
    assert metadata == checkpoint.metadata(path) == {"version": "some-1", "config": {"size": 3}}
    assert set(arrays) == set(ARRAYS)
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


def test_metadata_is_replaced_by_entry_and_the_digest_stays(path: Path) -> None:
    before = checkpoint.digest(path)
    checkpoint.update_metadata(path, version="some-2", similarity={"midpoint": 0.5})
    arrays, metadata = checkpoint.load(path)
    assert metadata == {"version": "some-2", "config": {"size": 3}, "similarity": {"midpoint": 0.5}}
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert checkpoint.digest(path) == before


def test_the_digest_depends_on_every_array(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    checkpoint.save(other, {**ARRAYS, "a": np.full(3, 2, np.float16)}, checkpoint.metadata(path))
    assert checkpoint.digest(other) != checkpoint.digest(path)
    assert len(checkpoint.digest(path)) == 12


def test_metadata_under_the_older_name_is_read_and_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    save_file(ARRAYS, path, metadata={"facts": json.dumps({"version": "old-1"})})
    assert checkpoint.metadata(path) == {"version": "old-1"}
    checkpoint.update_metadata(path, calibration={})
    assert checkpoint.metadata(path) == {"version": "old-1", "calibration": {}}


@pytest.mark.parametrize("use", [checkpoint.load, checkpoint.metadata, checkpoint.digest])
def test_a_file_that_is_missing_or_cut_off_is_named(path: Path, tmp_path: Path, use) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-4])
    for broken in (cut, tmp_path / "none.safetensors"):
        with pytest.raises(checkpoint.WeightsError, match=broken.name):
            use(broken)


def test_each_array_that_does_not_fit_is_named() -> None:
    with pytest.raises(checkpoint.WeightsError, match=r"c is missing; a is unexpected; b is \(2, 3\) and should be"):
        checkpoint.check("w", {"b": (3, 2), "c": (1,)}, ARRAYS)


def test_the_installed_version_is_that_of_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    shutil.copyfile(weights.PATH, copy)
    checkpoint.update_metadata(copy, version="renamed")
    installed, renamed = versions.attributes(), versions.attributes(copy)
    assert installed.name == checkpoint.metadata(weights.PATH)["version"]
    assert (renamed.name, renamed.digest) == ("renamed", installed.digest)


def test_the_installed_weights_hold_what_was_measured_with_them() -> None:
    metadata = checkpoint.metadata(weights.PATH)
    assert set(metadata["similarity"]) == set(Similarity._fields)
    assert all(set(earlier) == set(Similarity._fields) for earlier in metadata["earlier_similarity"].values())
    assert metadata["tag_thresholds"]["thresholds"]["children"]["0.95"] > 0.5
