from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rollcall_model import checkpoint
from rollcall_model.attributes import export
from rollcall_model.attributes.calibration import Calibration, read_calibration
from rollcall_model.attributes.network import AttributeConfig

SIZE = AttributeConfig().size
onnx = pytest.importorskip("onnx", reason="export is an extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="export is an extra")


@pytest.mark.parametrize("pixels", ["uint8", "float32"])
def test_the_file_gives_the_outputs_of_the_network(tmp_path: Path, small_weights: Path, pixels: str) -> None:
    path = export.export_model(tmp_path / "net.onnx", small_weights, pixels)  # type: ignore[arg-type]
    assert export.largest_difference(path, small_weights) < 1e-4


def test_the_installed_weights_are_exported_within_a_thousandth(tmp_path: Path) -> None:
    path = export.export_model(tmp_path / "net.onnx")
    assert export.largest_difference(path) < 1e-3


def test_the_comparison_notices_another_calibration(tmp_path: Path, small_weights: Path) -> None:
    arrays, metadata = checkpoint.load(small_weights)
    other = tmp_path / "other.safetensors"
    checkpoint.save(other, arrays, {**metadata, "calibration": {}})
    path = export.export_model(tmp_path / "net.onnx", small_weights)
    assert export.largest_difference(path, other) > 1e-3


def test_any_number_of_faces_goes_through_the_file(tmp_path: Path, small_weights: Path) -> None:
    session = onnxruntime.InferenceSession(str(export.export_model(tmp_path / "net.onnx", small_weights)))
    for count in (1, 3):
        crops = np.full((count, SIZE, SIZE, 3), 90, np.uint8)
        age, p_female, embedding = session.run(["age", "p_female", "embedding"], {"crops": crops})
        assert age.shape == (count, 101)
        assert p_female.shape == (count,)
        assert embedding.shape == (count, 128)
        np.testing.assert_allclose(age.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)


def test_the_file_carries_what_a_host_needs_to_cut_the_crop_and_the_terms(tmp_path: Path, small_weights: Path) -> None:
    model = onnx.load(str(export.export_model(tmp_path / "net.onnx", small_weights)))
    metadata = {line.key: line.value for line in model.metadata_props}
    assert metadata["version"] == "small-1"
    assert np.asarray(json.loads(metadata["landmarks"])).shape == (5, 2)
    assert "research" in metadata["terms"]
    assert json.loads(metadata["calibration"])["gender_shift"] == 0.3


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(export.ExportError, match="pip install onnx"):
        export.export_model(tmp_path / "net.onnx")


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path, small_weights: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(export.ExportError, match=r"net\.onnx: cannot be written"):
        export.export_model(tmp_path / "file" / "net.onnx", small_weights)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "small.safetensors"]


def test_calibration_is_read_from_the_metadata_and_unknown_entries_are_ignored(
    small_weights: Path,
) -> None:
    metadata = checkpoint.metadata(small_weights)
    metadata["calibration"]["scores"] = {"coverage": 0.8}
    found = read_calibration(metadata)
    assert found == Calibration(0.6, 0.3, (-0.7, 0.4), 0.5, 0.3)
    assert read_calibration({}) == Calibration()
