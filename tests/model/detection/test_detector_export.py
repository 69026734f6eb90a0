"""The detector as an ONNX file: the outputs of ONNX Runtime are those of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rollcall_model import checkpoint
from rollcall_model.detection import export, single_pass
from rollcall_model.nn.onnx_graph import ExportError
from rollcall_model.weights import SINGLE_PASS

pytest.importorskip("onnx", reason="export is an extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="export is an extra")
SHAPE = (64, 96)


def test_the_file_gives_the_outputs_of_the_network(tmp_path: Path) -> None:
    path = export.export_detector(tmp_path / "detector.onnx", SHAPE)
    assert export.largest_difference(path, SHAPE) < 0.01


def test_the_comparison_notices_other_weights(tmp_path: Path) -> None:
    path = export.export_detector(tmp_path / "detector.onnx", SHAPE)
    arrays, metadata = checkpoint.load(SINGLE_PASS)
    other = tmp_path / "other.safetensors"
    checkpoint.save(other, {name: array * 1.01 for name, array in arrays.items()}, metadata)
    assert export.largest_difference(path, SHAPE, other) > 0.01


def test_any_number_of_pictures_goes_through_the_file(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(export.export_detector(tmp_path / "detector.onnx", SHAPE)))
    count = len(single_pass.anchors(*SHAPE))
    for pictures in (1, 3):
        scores, boxes, landmarks = session.run(None, {"pixels": np.zeros((pictures, *SHAPE, 3), np.uint8)})
        assert (scores.shape, boxes.shape) == ((pictures, count), (pictures, count, 4))
        assert landmarks.shape == (pictures, count, 5, 2)


def test_sides_that_the_network_cannot_halve_five_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        export.export_detector(tmp_path / "detector.onnx", (100, 64))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="cannot be written"):
        export.export_detector(tmp_path / "file" / "detector.onnx", SHAPE)
