"""The detector of the single-pass network: pictures of any size in, faces out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from rollcall_model import runtime
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import canvases, orientation, refiner, single_pass, turning, windows
from rollcall_model.detection.batching import Batching
from rollcall_model.detection.canvases import Part, Shape
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.detection.refining import Refining
from rollcall_model.detection.single_pass_runner import Runner
from rollcall_model.detection.windows import Window
from rollcall_model.nn import layers
from rollcall_model.types import Detections, no_detections

#: Side of a face, in pixels of the picture as the network sees it, from which on it is found well.
SUFFICIENT: Final = 20
#: A picture is enlarged at most by this factor, for smaller faces.
_ENLARGED: Final = 1.6
#: Boxes with a higher IoU are one face.
SAME_FACE: Final = 0.45
#: Boxes with such an IoU with the best one of a face are averaged.
_AVERAGED: Final = 0.55
#: Share of the smallest face's side that a box must have at least: predicted sides scatter.
_TOLERANCE: Final = 0.75
#: A picture with a face of such a probability is upright; others may lie on their side, if their shorter one has so
#: many pixels.
_SURE: Final = 0.96
_LEAST_TURNED: Final = 40
#: Turned, a face must have such a probability: each view of a landscape or a pet is one more chance to err.
_TURNED_SURE: Final = 0.89
#: A box that ends so many pixels from a part's border may be cut off by it.
_BORDER: Final = 3
#: Pictures with a shorter side have no faces.
_LEAST_SIDE: Final = 8
#: On a CPU, a picture with a longer side is looked at in half its size first; a frame of a video, of which there are
#: many, from a smaller side on. In pixels of the picture in which the smallest face has `SUFFICIENT` of them, so that
#: faces of all sizes are searched for in the same way; pictures of fewer pixels than a frame's are quick to see whole.
_DIRECT: Final = 640
_DIRECT_FRAME: Final = 320
#: Where the network's score for a face smaller than this, in pixels, reaches this, it is looked at in full size; in the
#: whole picture if windows would cover so much of it.
_LIKELY: Final = 0.1
_SMALL: Final = 48
_MOST: Final = 0.8
#: A small face in the small picture with a higher IoU with one seen at full size is the same.
_SAME_SMALL_FACE: Final = 0.2


#: On a GPU, how many images a thread takes through all steps at once, and how many threads do.
_AT_ONCE: Final = 16
_LEADS: Final = 4


class _Overview(NamedTuple):
    """A picture, and what is seen of it at first, in pixels of the reduced picture; scores are the network's.

    The reduced picture itself is made only where all of it is looked at.
    """

    shape: Shape  # of the picture
    near: UInt8[np.ndarray, "h w 3"]  # the picture in a size under twice that of the reduced one
    reduced: Shape
    seen: Detections
    in_two: bool  # whether it was seen in half the size of the reduced picture


class SinglePassDetector:
    """Finds faces in batches of images. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        net: single_pass.SinglePass | None = None,
        second: refiner.Refiner | None = None,
    ) -> None:
        self.config = config or DetectorConfig()
        if net is None:
            net, self.calibration = single_pass.load()
        else:
            self.calibration = single_pass.Calibration()
        self._threads = runtime.threads("rollcall-reduce")
        # While one waits for the GPU or for pixels, others do what is done by one thread.
        self._leads = None if layers.on_cpu() else ThreadPoolExecutor(_LEADS, thread_name_prefix="rollcall-lead")
        self._batching = Batching(self._threads)
        least = min(self.calibration.score(self.threshold), _LIKELY)
        self._runner = Runner(net, self._batching, self._threads, least)
        self._quick = layers.on_cpu() and not self.config.thorough
        self._refining = Refining(self._batching, second)

    @property
    def threshold(self) -> float:
        """The probability from which on a face is returned."""
        return self.config.threshold if self.config.threshold is not None else self.calibration.threshold

    @property
    def _least_side(self) -> float:
        """The side of the smallest face in what the network sees: less where nothing is enlarged further."""
        return min(SUFFICIENT, self.config.min_face * _ENLARGED)

    def warm_up(self) -> None:
        """Compile the programs of the usual shapes of photos (or load them from the cache on disk)."""
        side = self.config.resolution
        sizes = [self._reduced_size(*shape) for shape in ((side * 3 // 4, side), (side, side * 3 // 4))]
        usual = {canvases.shape_for(*size) for size in sizes}
        halves = {canvases.shape_for(*_half(*size)) for size in sizes if self._in_two(*size)}
        searching = self._runner.warm_ups(sorted(usual | halves), with_windows=bool(halves))
        runtime.prepare([*searching, *self._refining.warm_ups()])

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces of each RGB image, the highest-scoring first, in pixels of that image.

        Images may be of any size; one smaller than 8 pixels, or empty, has no faces. With `upright` they are frames of
        videos: none is looked at turned, and small ones are searched quickly, too.
        """
        if self._leads is None or len(images) <= _AT_ONCE:
            return self.refine(images, self.find(images, upright=upright))
        parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
        return [one for found in self._leads.map(partial(self.detect, upright=upright), parts) for one in found]

    def find(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], *, upright: bool = False) -> list[Detections]:
        """Return the faces with the single pass's own landmarks, which are less exact."""
        pieces = [
            (index, part)
            for index, image in enumerate(images)
            if min(image.shape[:2], default=0) >= _LEAST_SIDE
            for part in canvases.parts(image.shape[0], image.shape[1], self.config.resolution)
        ]
        cut = [
            images[index][part.top : part.top + part.height, part.left : part.left + part.width]
            for index, part in pieces
        ]
        results: list[list[Detections]] = [[] for _ in images]
        for (index, part), found in zip(pieces, self._search(cut, upright), strict=True):
            results[index].append(_moved(found, part, images[index].shape[0], images[index].shape[1]))
        return [_joined(found) for found in results]

    def _search(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], are_upright: bool) -> list[Detections]:
        """Return the faces of images, each reduced as a whole; those of pictures that lie on their side, too."""
        direct = _DIRECT_FRAME if are_upright else _DIRECT
        first = self._overviews(images, direct)
        quarters = [0] * len(first) if are_upright else self._quarters(first)
        overviews = list(first)
        turned = [index for index, quarter in enumerate(quarters) if quarter]
        again = self._overviews([turning.turned(images[index], quarters[index]) for index in turned], direct)
        for index, overview in zip(turned, again, strict=True):
            overviews[index] = overview
        result = [
            _scaled(self._suppressed(seen, parts), overview.reduced, overview.shape)
            for overview, (seen, parts) in zip(overviews, self._closer(overviews), strict=True)
        ]
        for index in turned:
            back = turning.turned_back(result[index], quarters[index], *images[index].shape[:2])
            upright = _scaled(self._faces(first[index].seen), first[index].reduced, first[index].shape)
            result[index] = _joined([back, upright])
        return result

    def _overviews(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], direct: int = _DIRECT) -> list[_Overview]:
        """Return what is seen in images at first: on a CPU in half their size, if a side is longer than `direct`."""
        reduced = [self._reduced_size(*image.shape[:2]) for image in images]
        in_two = [self._in_two(*shape, direct) for shape in reduced]
        sizes = [_half(*shape) if two else shape for shape, two in zip(reduced, in_two, strict=True)]
        near = list(self._threads.map(_nearly, images, reduced))
        found = self._runner.whole(list(self._threads.map(_resized, near, sizes)))
        return [
            _Overview(image.shape[:2], pixels, shape, _scaled(seen, size, shape), two)
            for image, pixels, shape, size, seen, two in zip(images, near, reduced, sizes, found, in_two, strict=True)
        ]

    def _quarters(self, overviews: Sequence[_Overview]) -> list[int]:
        """Return by how many quarters each picture is to be turned counter-clockwise.

        Pictures with a sure face are upright. Of others the places most like a face are seen closer: the first as it
        is, and if that is no sure face, all of them turned. That is a tenth of a search, and nothing without places.
        """
        views: dict[int, list[UInt8[np.ndarray, "s s 3"]]] = {}
        # What no turned view has to exceed is not asked for: of a crowd's faces in half their size few are sure.
        upright = [self._faces(overview.seen, _TURNED_SURE).scores.max(initial=_TURNED_SURE) for overview in overviews]
        for index, (overview, best) in enumerate(zip(overviews, upright, strict=True)):
            if best < _SURE and min(overview.shape) >= _LEAST_TURNED:
                places = _scaled(overview.seen, overview.reduced, overview.near.shape[:2]).boxes
                hints = orientation.hints(overview.seen, _TOLERANCE * self._least_side)
                if len(hints):
                    views[index] = orientation.views(overview.near, places[hints])
        result = [0] * len(overviews)
        # Most pictures are upright, and most of those show it at the first place, seen as it is.
        first = self.calibration.probability(self._runner.best([mine[0] for mine in views.values()]))
        doubtful = {index: one for index, one in zip(views, first, strict=True) if one < _SURE}
        others = self._runner.best([view for index in doubtful for view in views[index][1:]])
        parts = np.split(others, np.cumsum([len(views[index]) - 1 for index in doubtful])[:-1])
        for (index, as_it_is), part in zip(doubtful.items(), parts, strict=False):
            scores = np.concatenate([[as_it_is], self.calibration.probability(part)])
            result[index] = orientation.most_probable(scores, upright[index])
        return result

    def _closer(self, overviews: Sequence[_Overview]) -> list[tuple[Detections, list[Detections]]]:
        """Return what counts of each picture's first look, and what is seen at full size, in parts.

        That is where small faces are likely; where they are likely everywhere, as in a crowd, it is the whole picture.
        Small faces of the first look do not count there: not to see one in full size says more.
        """
        result: list[tuple[Detections, list[Detections]]] = []
        pictures = [(overview.near, overview.reduced) for overview in overviews]
        everywhere: list[int] = []
        chosen: list[tuple[int, Window]] = []
        for index, overview in enumerate(overviews):
            seen, centres = overview.seen, (overview.seen.boxes[:, :2] + overview.seen.boxes[:, 2:]) / 2
            small = _sides(seen.boxes) < _SMALL
            likely = (seen.scores >= _LIKELY) & small & overview.in_two
            wanted = windows.cover(centres[likely], _MOST * overview.reduced[0] * overview.reduced[1])
            if wanted is None:
                everywhere.append(index)
                answered = np.ones(len(centres), bool)
            else:
                chosen += [(index, window) for window in wanted]
                answered = np.zeros(len(centres), bool)
                for window in wanted:
                    answered |= window.answers_for(centres)
            result.append((Detections(*(column[~(small & answered)] for column in seen)), []))
        for (index, _), found in zip(chosen, self._runner.inside(pictures, chosen), strict=True):
            result[index][1].append(found)
        whole = list(self._threads.map(lambda index: _resized(*pictures[index]), everywhere))
        for index, found in zip(everywhere, self._runner.whole(whole), strict=True):
            result[index][1].append(found)
        return result

    def _in_two(self, height: int, width: int, direct: int = _DIRECT) -> bool:
        """Return whether a reduced picture is looked at in half its size first."""
        smaller = min(SUFFICIENT / self.config.min_face, 1.0)
        return self._quick and max(height, width) > max(direct * smaller, _DIRECT_FRAME)

    def _reduced_size(self, height: int, width: int) -> Shape:
        ratio = min(self.config.resolution / max(height, width), 1.0)
        ratio *= min(SUFFICIENT / self.config.min_face, _ENLARGED)
        return max(round(height * ratio), 1), max(round(width * ratio), 1)

    def _suppressed(self, found: Detections, closer: Sequence[Detections]) -> Detections:
        """Return each face once, of what was seen at first and of what was seen at full size (`closer`)."""
        first = self._faces(found)
        if not closer:
            return first
        again = self._faces(Detections(*(np.concatenate(columns) for columns in zip(*closer, strict=True))))
        if len(again.scores) and len(first.scores):
            # At the border of a window: boxes in the small picture are less exact, no reason to see two faces in one.
            doubled = bx.iou(first.boxes, again.boxes).max(axis=1) > _SAME_SMALL_FACE
            first = Detections(*(column[~(doubled & (_sides(first.boxes) < _SMALL))] for column in first))
        return _joined([again, first])

    def _faces(self, found: Detections, least: float = 0.0) -> Detections:
        """Return one face for each group of boxes, of those that are large enough and sure enough.

        They must reach the threshold, and the probability `least`: others then are not even compared.
        """
        least = max(least, self.threshold)
        above = np.flatnonzero(found.scores >= self.calibration.score(least))
        above = above[_sides(found.boxes[above]) >= _TOLERANCE * self._least_side]
        if not len(above):
            return no_detections()
        kept = above[bx.nms(found.boxes[above], found.scores[above], SAME_FACE)]
        boxes, landmarks = bx.averaged(kept, found.boxes, found.scores, found.landmarks, _AVERAGED)
        relative = _sides(boxes) / np.float32(self._least_side)
        faces = Detections(boxes, self.calibration.probability(found.scores[kept], relative), landmarks)
        return Detections(*(column[faces.scores >= least] for column in faces))

    def refine(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], found: list[Detections]) -> list[Detections]:
        """Return the faces with the refiner's landmarks."""
        return self._refining(images, found)


def _scaled(found: Detections, shape: Shape, other: Shape) -> Detections:
    """Return the faces of a picture of this shape where they are in it in another size."""
    across, down = other[1] / shape[1], other[0] / shape[0]
    ratio = np.array([across, down, across, down], np.float32)
    return Detections(found.boxes * ratio, found.scores, found.landmarks * ratio[:2])


def _half(height: int, width: int) -> Shape:
    return (height + 1) // 2, (width + 1) // 2


def _nearly(image: UInt8[np.ndarray, "h w 3"], shape: Shape) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image halved as long as it has at least twice the size of `shape`."""
    while image.shape[0] >= 2 * shape[0] and image.shape[1] >= 2 * shape[1]:
        image = _resized_once(image, _half(*image.shape[:2]))
    return image


def _resized(image: UInt8[np.ndarray, "h w 3"], shape: Shape) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image in another size.

    Down to one half, bilinear interpolation reads every pixel, so that halving first is as good as averaging, in a
    seventh of the time.
    """
    image = _nearly(image, shape)
    return image if image.shape[:2] == shape else _resized_once(image, shape)


def _resized_once(image: UInt8[np.ndarray, "h w 3"], shape: Shape) -> UInt8[np.ndarray, "h2 w2 3"]:
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _sides(boxes: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, " n"]:
    """Return the sides of the squares with the same areas, in pixels."""
    return np.asarray(np.sqrt(bx.area(boxes)), np.float32)


def _moved(found: Detections, part: Part, height: int, width: int) -> Detections:
    """Return the faces of a part in pixels of its image; those cut off by its inner borders are whole in another."""
    low = np.array([part.left, part.top], np.float32)
    size, limits = np.array([part.width, part.height]), np.array([width, height])
    inner_low, inner_high = low > 0, low + size < limits
    cut_low = (found.boxes[:, :2] < _BORDER) & inner_low
    cut_high = (found.boxes[:, 2:] > size - _BORDER) & inner_high
    kept = ~(cut_low | cut_high).any(axis=1)
    if not low.any() and kept.all():
        return found  # nearly every picture is one part
    return Detections(found.boxes[kept] + np.tile(low, 2), found.scores[kept], found.landmarks[kept] + low)


def _joined(found: Sequence[Detections]) -> Detections:
    """Return the faces of all parts of an image, each once."""
    if len(found) == 1:
        return found[0]
    if not found:
        return no_detections()
    boxes, scores, landmarks = (np.concatenate(columns) for columns in zip(*found, strict=True))
    kept = bx.nms(boxes, scores, SAME_FACE)
    return Detections(boxes[kept], scores[kept], landmarks[kept])
