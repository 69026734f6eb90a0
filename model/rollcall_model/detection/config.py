"""What the detector is to find, and how its search is shortened."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class QuickSearch(NamedTuple):
    """Thresholds of the quick search; IoU is intersection over union.

    R-Net first scores the highest-scoring of P-Net's similar boxes. Another box is skipped where a similar one has a
    score of at least `accept`, or where all of them have scores below `reject`. O-Net first scores the highest-scoring
    of R-Net's boxes of each face, and the others only where that one is no face: a third of the crops.
    """

    similar_iou: float = 0.3  # P-Net's boxes with a higher IoU show much the same
    accept: float = 0.99
    reject: float = 0.02
    same_face_iou: float = 0.5  # R-Net's boxes with a higher IoU show one face
    #: Logit from which on the prefilter keeps a cell; None: the one it was trained for.
    prefilter_threshold: float | None = None


class DetectorConfig(NamedTuple):
    """Settings of a detector."""

    resolution: int = 1280  # longest side in pixels; larger images are reduced to it
    min_face: int = 20  # smallest face, in pixels of the reduced image
    factor: float = 0.709  # ratio of neighbouring pyramid levels
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)  # of P-Net's, R-Net's and O-Net's scores
    #: Whether pictures are searched at full size everywhere, or only where half the size (of the cascade: a prefilter)
    #: shows faces likely. The latter on a CPU only: a GPU would lose more by waiting than it saves.
    thorough: bool = False
    quick: QuickSearch = QuickSearch()
    #: The single pass with its refiner, or the published cascade of three networks.
    network: Literal["single-pass", "mtcnn-2016"] = "single-pass"
    #: Score from which on the single-pass network returns a face; None: the one measured with its weights.
    threshold: float | None = None


#: Height and width of a tile of the packed canvas, in pixels.
TILE_SHAPE: Final = (256, 194)
#: Rows that P-Net processes at a time on a CPU, so that intermediate arrays stay in a processor's cache. Tiles of eight
#: times the area, processed whole, took 1.8 times as long for each pixel.
ROWS: Final = 64
#: An image whose smallest face has twice as many pixels is halved before the search.
SUFFICIENT_FACE: Final = 30
#: Patches of windows in a bucket for each device, and in a portion on a CPU.
PATCH_BUCKETS: Final = (64, 256)
PATCH_PORTION: Final = 32
#: Crops in a bucket for each device: small and large. On a CPU a large one is processed in portions of the small size,
#: for the sake of the cache.
RNET_BUCKETS: Final = (16, 64)
ONET_BUCKETS: Final = (4, 16)
#: Most photos have one face or two.
REFINER_BUCKETS: Final = (2, 16)
#: On a GPU faces come from a batch of photos.
REFINER_BUCKETS_GPU: Final = (8, 32, 128)
#: Sides of R-Net's and O-Net's crops, in pixels.
RNET_SIDE: Final = 24
ONET_SIDE: Final = 48
