"""The detectors to choose from, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from rollcall_model.detection.config import DetectorConfig
from rollcall_model.types import Detections


class Detector(Protocol):
    """Finds faces in batches of images. Use from one thread at a time."""

    def warm_up(self) -> None:
        """Compile the usual programs (or load them from the cache on disk), so that the first image is fast."""

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces of each RGB image, the highest-scoring first, in pixels of that image.

        With `upright` the images are known to be the right way up: they are not searched turned.
        """


def build(config: DetectorConfig) -> Detector:
    """Return the detector of `config.network`.

    Raises
    ------
    WeightsError
        If its weights are missing or do not fit.
    """
    if config.network == "mtcnn-2016":
        from rollcall_model.detection.cascade import CascadeDetector

        return CascadeDetector(config)
    from rollcall_model.detection.single_pass_detector import SinglePassDetector

    return SinglePassDetector(config)
