"""YuNet as the teacher: its boxes for pictures without labels, its weights as a start.

The ONNX file of the published network (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"; Apache-2.0) is
read by onnxruntime; it is needed for training only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from rollcall_model.checkpoint import StateDict
from rollcall_model.detection import boxes as bx
from rollcall_model.detection.single_pass import MULTIPLE, STRIDES, anchors

#: Boxes of one picture at two scales with a higher IoU are one face.
_SAME_FACE: Final = 0.4


class Teacher:
    """The published network.

    Parameters
    ----------
    path
        Its ONNX file, with outputs `cls_8` ... `kps_32` and any picture size.
    threads
        Threads of a picture.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(str(path))
        self.weights: dict[str, np.ndarray] = {
            one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer
        }
        self._nodes = list(model.graph.node)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def detect(
        self, image: UInt8[np.ndarray, "h w 3"], scales: tuple[float, ...] = (1.0,), threshold: float = 0.3
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, "n 5 2"], Float32[np.ndarray, " n"]]:
        """Return boxes, landmarks (pixels of `image`, BGR) and scores of its faces, found at several scales."""
        found = [self._detect(image, scale, threshold) for scale in scales]
        boxes, points, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = bx.nms(boxes, scores, _SAME_FACE)
        return boxes[kept], points[kept], scores[kept]

    def _detect(
        self, image: UInt8[np.ndarray, "h w 3"], scale: float, threshold: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        height, width = (max(round(side * scale), 1) for side in image.shape[:2])
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(image, (width, height), interpolation=interpolation)
        padded = np.zeros((-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE, 3), np.float32)
        padded[:height, :width] = resized
        names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
        parts = self._session.run(names, {"input": padded.transpose(2, 0, 1)[None]})
        face, objectness, box, points = (
            np.concatenate([part[0] for part in parts[3 * kind : 3 * kind + 3]]) for kind in range(4)
        )
        scores = np.sqrt(np.clip(face * objectness, 0, 1))[:, 0]
        above = scores >= threshold
        place = anchors(*padded.shape[:2])[above]
        middle = place[:, :2] + box[above, :2] * place[:, 2:]
        half = np.exp(box[above, 2:]) * place[:, 2:] / 2
        landmarks = points[above].reshape(-1, 5, 2) * place[:, None, 2:] + place[:, None, :2]
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        kept = bx.nms(boxes.astype(np.float32), scores[above], _SAME_FACE)
        back = 1 / scale
        # The network counts a pixel's centre as a whole number.
        return (
            ((boxes[kept] + 0.5) * back).astype(np.float32),
            ((landmarks[kept] + 0.5) * back).astype(np.float32),
            scores[above][kept].astype(np.float32),
        )

    def state_dict(self) -> StateDict:
        """Return its weights by the names of `SinglePass`, which has its design."""
        convolutions = [node.input for node in self._nodes if node.op_type == "Conv"]
        # It takes blue, green, red; 0..255.
        first = self.weights[convolutions[0][1]].transpose(2, 3, 1, 0)[:, :, ::-1] * np.float32(255)
        pairs = [(convolutions[n], convolutions[n + 1]) for n in range(1, len(convolutions), 2)]
        places = [*_STEM, *_BACKBONE, *_NECK_AND_HEADS]
        result: StateDict = {"first": first, "first_bias": self.weights[convolutions[0][2]]}
        for name, pair in zip(places, pairs, strict=False):
            result |= self._unit(name, [pair])
        outputs = pairs[len(places) :]
        for level in range(len(STRIDES)):
            # Class, box, objectness, landmarks: three levels each; ours has objectness before the box.
            kinds = [outputs[len(STRIDES) * kind + level] for kind in (0, 2, 1, 3)]
            result |= self._unit(f"outputs.{level}", kinds)
        return result

    def _unit(self, name: str, pairs: list[Any]) -> StateDict:
        pointwise, depthwise = ([pair[kind] for pair in pairs] for kind in (0, 1))
        w = self.weights
        return {
            f"{name}.pointwise.kernel": np.concatenate([w[one[1]][:, :, 0, 0].T for one in pointwise], axis=1),
            f"{name}.pointwise.bias": np.concatenate([w[one[2]] for one in pointwise]),
            f"{name}.kernel": np.concatenate([w[one[1]][:, 0].transpose(1, 2, 0) for one in depthwise], axis=2),
            f"{name}.bias": np.concatenate([w[one[2]] for one in depthwise]),
        }


_STEM: Final = ("second", *(f"stem_units.{unit}" for unit in range(4)))
_BACKBONE: Final = tuple(f"stages.{stage}.{unit}" for stage in range(3) for unit in range(2))
#: The neck from the coarsest stride to the finest; the heads the other way round.
_NECK_AND_HEADS: Final = ("laterals.2", "laterals.1", "laterals.0", "heads.0", "heads.1", "heads.2")
