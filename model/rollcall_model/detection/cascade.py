"""The published cascade: image pyramid, three networks, non-maximum suppression.

Three programs serve images of any size: tiles of the packed pyramids (or patches of them) through P-Net, and buckets of
crops through R-Net and O-Net. Coordinates follow the published implementation, which counts the last pixel of a box in;
results are in the frame of `Detections`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from rollcall_model import runtime
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import mtcnn, mtcnn_weights, pyramid
from rollcall_model.detection.batching import Batching, Network
from rollcall_model.detection.candidates import (
    Candidates,
    ScoredFaces,
    decided,
    nms_per_image,
    no_candidates,
    runs,
    split_by_iou,
    uncovered,
)
from rollcall_model.detection.config import (
    ONET_BUCKETS,
    ONET_SIDE,
    RNET_BUCKETS,
    RNET_SIDE,
    SUFFICIENT_FACE,
    DetectorConfig,
)
from rollcall_model.detection.proposals import ProposalStage
from rollcall_model.nn import pooling
from rollcall_model.types import Detections, no_detections

#: IoU of the suppression after R-Net; after O-Net the intersection is divided by the smaller area.
_RNET_IOU, _ONET_OVERLAP = 0.7, 0.7


class CascadeDetector:
    """Finds faces in batches of images. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the published weights are not installed, or the prefilter's are missing.
    """

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config or DetectorConfig()
        self._threads = ThreadPoolExecutor(runtime.processors(), thread_name_prefix="rollcall-crop")
        self._batching = Batching(self._threads)
        self.proposals = ProposalStage(self.config, self._batching, self._threads)
        self._rnet = self._batching.compile(
            mtcnn_weights.load(mtcnn.RNet), RNET_BUCKETS[0], mtcnn.of_pixels(mtcnn.RNet.__call__)
        )
        self._onet = self._batching.compile(
            mtcnn_weights.load(mtcnn.ONet), ONET_BUCKETS[0], mtcnn.of_pixels(mtcnn.ONet.__call__)
        )

    @property
    def quick(self) -> bool:
        """Whether the prefilter shortens the search."""
        return self.proposals.prefilter is not None

    def warm_up(self) -> None:
        """Compile every program (or load it from the cache on disk), so that the first image is fast."""
        self.proposals.warm_up()
        for network, side, buckets in (
            (self._rnet, RNET_SIDE, RNET_BUCKETS),
            (self._onet, ONET_SIDE, ONET_BUCKETS),
        ):
            for bucket in buckets:
                self._batching.warm_up(network, bucket * self._batching.devices, side, side)

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces of each RGB image, the highest-scoring first, in pixels of that image.

        Images may be of any size; one smaller than 12 pixels, or empty, has no faces. None is searched turned, whatever
        `upright` is.
        """
        prepared = list(self._threads.map(self.reduce, images))
        reduced, min_faces = [small for small, _ in prepared], [min_face for _, min_face in prepared]
        sums = list(self._threads.map(pooling.integral, reduced))
        candidates = self.refine(sums, self.proposals.propose(reduced, sums, min_faces))
        faces = self.score_faces(sums, candidates)
        return [
            self._result(faces, index, image, small)
            for index, (image, small) in enumerate(zip(images, reduced, strict=True))
        ]

    def reduce(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
        """Return an image as it is searched, and the smallest face in its pixels."""
        min_face = self.config.min_face * max(max(image.shape[:2], default=0) / self.config.resolution, 1)
        # Where faces are large a quick search drops more pixels than the resolution requires: halving is cheap.
        while self.quick and min_face >= 2 * SUFFICIENT_FACE and min(image.shape[:2]) >= 4 * pyramid.WINDOW:
            image, min_face = pooling.halve(image), min_face / 2
        ratio = self.config.min_face / min_face
        if ratio >= 1:
            return image, min_face
        size = (max(round(image.shape[1] * ratio), 1), max(round(image.shape[0] * ratio), 1))
        # Down to one half, bilinear interpolation reads every pixel, in an eighth of the time.
        interpolation = cv2.INTER_LINEAR if ratio >= 0.5 else cv2.INTER_AREA
        return cv2.resize(image, size, interpolation=interpolation).astype(np.uint8, copy=False), self.config.min_face

    def refine(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], candidates: Candidates) -> Candidates:
        """Return R-Net's candidates, with squared boxes, of P-Net's; `sums` are the images' integral images."""
        if self.quick:
            highest, others = split_by_iou(candidates, self.config.quick.similar_iou)
            scored = self.score_candidates(sums, highest)
            undecided = np.flatnonzero(~decided(others, scored, self.config.quick))
            scored = scored.concat(self.score_candidates(sums, others.take(undecided)))
        else:
            scored = self.score_candidates(sums, candidates)
        above = scored.take(np.flatnonzero(scored.scores > self.config.thresholds[1]))
        above = above.take(nms_per_image(above, _RNET_IOU))
        return above._replace(boxes=above.regressed(extra=1))

    def score_candidates(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], candidates: Candidates) -> Candidates:
        """Return the candidates with R-Net's scores and offsets."""
        candidates, outputs = self._run_crops(self._rnet, sums, candidates, RNET_SIDE, RNET_BUCKETS)
        return candidates._replace(scores=outputs[0], offsets=outputs[1]) if outputs else no_candidates()

    def score_faces(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], candidates: Candidates) -> ScoredFaces:
        """Return O-Net's faces, before suppression."""
        if not self.quick:
            return self.score_crops(sums, candidates)
        same_face = self.config.quick.same_face_iou
        highest, others = split_by_iou(candidates, same_face)
        faces = self.score_crops(sums, highest)
        return faces.concat(self.score_crops(sums, others.take(uncovered(others, faces, same_face))))

    def score_crops(self, sums: Sequence[Int32[np.ndarray, "h1 w1 3"]], candidates: Candidates) -> ScoredFaces:
        """Run O-Net over the candidates' crops; return those above its threshold."""
        candidates, outputs = self._run_crops(self._onet, sums, candidates, ONET_SIDE, ONET_BUCKETS)
        if not outputs:
            return ScoredFaces(no_candidates(), *no_detections())
        probability, offsets, points = outputs
        corners = candidates.boxes[:, None, :2]
        size = candidates.boxes[:, None, 2:] - corners + 1
        landmarks = np.stack([points[:, :5], points[:, 5:]], axis=2) * size + corners - 1
        # From here on pixels are areas with their centres at one half.
        landmarks += 0.5
        boxes = bx.regress(candidates.boxes, offsets, extra=1)
        above = np.flatnonzero(probability > self.config.thresholds[2])
        columns = (boxes, probability, landmarks)
        return ScoredFaces(candidates.take(above), *(column[above].astype(np.float32) for column in columns))

    def _run_crops(
        self,
        network: Network,
        sums: Sequence[Int32[np.ndarray, "h1 w1 3"]],
        candidates: Candidates,
        side: int,
        buckets: tuple[int, int],
    ) -> tuple[Candidates, tuple[Float32[np.ndarray, n * d], ...]]:
        """Run a network over the candidates' crops, resized; return the candidates and its outputs.

        Candidates that lie wholly outside their images are dropped; if none are left the outputs are empty.
        """
        whole = np.trunc(candidates.boxes).astype(np.int64)
        limits = np.array([(s.shape[1] - 1, s.shape[0] - 1) for s in sums], np.int64).reshape(-1, 2)[candidates.image]
        low = np.maximum(whole[:, :2], 1) - 1
        high = np.minimum(whole[:, 2:], limits)
        inside = np.flatnonzero((high > low).all(axis=1))
        candidates, low, high = candidates.take(inside), low[inside], high[inside]

        def cut(part: Int[np.ndarray, " k"], out: Float32[np.ndarray, "k s s 3"]) -> None:
            pooling.crops(sums[candidates.image[part[0]]], low[part], high[part], out)

        return candidates, self._batching.run(network, runs(candidates.image), len(inside), cut, side, buckets)

    @staticmethod
    def _result(
        faces: ScoredFaces, index: int, image: UInt8[np.ndarray, "h w 3"], reduced: UInt8[np.ndarray, "h w 3"]
    ) -> Detections:
        """Return the faces of one image after suppression, in pixels of the image as it was passed."""
        mine = np.flatnonzero(faces.crops.image == index)
        mine = mine[bx.nms(faces.boxes[mine], faces.scores[mine], _ONET_OVERLAP, "min")]
        result = Detections(faces.boxes[mine], faces.scores[mine], faces.landmarks[mine])
        if reduced is image or not len(mine):
            return result
        ratio = np.array([image.shape[1] / reduced.shape[1], image.shape[0] / reduced.shape[0]], np.float32)
        return Detections(result.boxes * np.tile(ratio, 2), result.scores, result.landmarks * ratio)
