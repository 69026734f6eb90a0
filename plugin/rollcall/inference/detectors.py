"""Detectors by the settings, and the part of a model version that names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rollcall.detector_settings import DetectorSettings
from rollcall.errors import ModelError

if TYPE_CHECKING:
    from rollcall_model.detection.detector import Detector


def version_of(settings: DetectorSettings) -> tuple[str, str]:
    """Return the name of the detector, and its settings that change results, as text."""
    from rollcall_model import versions

    options = f"{settings.resolution}/{settings.min_face}"
    if settings.network == "single-pass":
        options += f"/{settings.threshold:g}"
        return versions.DETECTOR, options + ("/thorough" if settings.search == "thorough" else "")
    options += f"/{settings.pyramid_factor:g}"
    options += f"/{settings.threshold_pnet:g}/{settings.threshold_rnet:g}/{settings.threshold_onet:g}"
    return versions.CASCADE, options + ("/thorough" if settings.search == "thorough" else "")


def build(settings: DetectorSettings) -> Detector:
    """Return the detector of the settings.

    Raises
    ------
    ModelError
        If its weights are missing or do not fit.
    """
    from rollcall_model import checkpoint
    from rollcall_model.detection import detector
    from rollcall_model.detection.config import DetectorConfig

    thresholds = (settings.threshold_pnet, settings.threshold_rnet, settings.threshold_onet)
    try:
        return detector.build(
            DetectorConfig(
                settings.resolution,
                settings.min_face,
                settings.pyramid_factor,
                thresholds,
                thorough=settings.search == "thorough",
                network=settings.network,
                threshold=settings.threshold,
            )
        )
    except checkpoint.WeightsError as error:
        raise ModelError(str(error)) from error


def export_detector(file: Path) -> float:
    """Write the single-pass network as ONNX and return the largest difference in ONNX Runtime, in pixels.

    Raises
    ------
    ModelError
        If the extra is not installed, the file cannot be written, or the weights are missing.
    """
    from rollcall_model import checkpoint
    from rollcall_model.detection import export
    from rollcall_model.nn.onnx_graph import ExportError

    try:
        return export.largest_difference(export.export_detector(file))
    except (ExportError, checkpoint.WeightsError) as error:
        raise ModelError(str(error)) from error
