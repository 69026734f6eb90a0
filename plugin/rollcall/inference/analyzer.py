"""Pictures to faces: detection, alignment, prediction. The only module that imports the networks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, wraps
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rollcall.errors import LifecycleError, ModelError, PictureError
from rollcall.inference import detectors, devices, portraits
from rollcall.inference.adaptation import Adaptation, Head
from rollcall.inference.prediction import Prediction
from rollcall.media import decode
from rollcall.model_version import ModelVersion
from rollcall.records import Box, Face, Picture
from rollcall.settings import Settings

if TYPE_CHECKING:
    from rollcall_model.attributes.model import AttributeModel
    from rollcall_model.detection.detector import Detector
    from rollcall_model.types import Detections


P = ParamSpec("P")
T = TypeVar("T")
#: Switch to head of the attribute network.
_HEADS: Final = {"age": "age", "gender": "gender", "embeddings": "embedding"}
#: The margin around a box that a person gave in which the detector searches, in sides of the box.
NEAR: Final = 0.5
#: A detection with at least this IoU with the box is its face.
NEAR_IOU: Final = 0.3
#: A box of a shorter side than this, in pixels, is enlarged to it first.
NEAR_SIDE: Final = 120.0

#: The process in which the networks' runtime was started; None: it was not.
_runtime_pid: int | None = None


def _refuse_after_fork() -> None:
    """Raise where the networks' runtime would hang: in a child of the process in which it was started.

    Raises
    ------
    LifecycleError
        If this process was forked after the networks were loaded.
    """
    global _runtime_pid  # noqa: PLW0603  the runtime is one for the whole process
    if _runtime_pid not in (None, os.getpid()):
        raise LifecycleError(
            "this process was forked after the networks were loaded, and they cannot run in it; start it with the"
            " method 'spawn' (multiprocessing.get_context('spawn'))"
        )
    _runtime_pid = os.getpid()


def _one_at_a_time(method: Callable[Concatenate[Analyzer, P], T]) -> Callable[Concatenate[Analyzer, P], T]:
    """Serialize the calls of a method by the analyzer's lock, unless it takes several at once."""

    @wraps(method)
    def wrapped(self: Analyzer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        # Before the lock: a fork may have copied it while it was held.
        _refuse_after_fork()
        with self._lock:
            self._networks  # noqa: B018  loaded once, whoever comes first
            if not self.concurrent:
                return method(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    return wrapped


class Analyzer:
    """Finds the faces of pictures and predicts their attributes. May be used from any thread.

    The networks are loaded at the first use, and compiled (or fetched from the cache folder) for each new size of
    batch.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type[Analyzer], tuple[Settings]]:
        # In another process the networks are loaded from their files.
        return Analyzer, (self.settings,)

    @property
    def concurrent(self) -> bool:
        """Whether calls from several threads run at once, each on one processor; else each has all processors."""
        return self.settings.detector.network == "single-pass"

    @cached_property
    def model_version(self) -> ModelVersion:
        """The versions of both networks and their settings: when it changes, photos are analysed again.

        Raises
        ------
        ModelError
            If the weights are missing.
        """
        from rollcall_model import checkpoint, versions

        try:
            weights = versions.attributes()
        except checkpoint.WeightsError as error:
            raise ModelError(str(error)) from error
        detector, attributes = self.settings.detector, self.settings.attributes
        found_by, options = detectors.version_of(detector)
        options += "/sharp" if attributes.small_faces == "sharp" else ""
        # Also where ages are switched off, which is no reason to analyse photos again.
        options += f"/{versions.AGE_MIX}"
        return ModelVersion(found_by, weights.name, weights.digest, options, attributes.switched_off)

    @cached_property
    def _networks(self) -> tuple[Detector, AttributeModel | None]:
        from rollcall_model import memory

        _refuse_after_fork()
        with memory.without_collecting():
            from rollcall_model import checkpoint, runtime
            from rollcall_model.attributes.model import AttributeModel

            devices_used = 1 if self.concurrent else self.settings.workers
            runtime.configure(devices.usable(self.settings.cache_folder / "compiled"), devices_used)
            off = self.settings.attributes.switched_off
            heads = [head for switch, head in _HEADS.items() if switch not in off]
            try:
                detector = detectors.build(self.settings.detector)
                return detector, AttributeModel(heads=heads, quick=True) if heads else None
            except checkpoint.WeightsError as error:
                raise ModelError(str(error)) from error

    def warm_up(self) -> None:
        """Load the networks and compile every program they need, so that the first picture is quick.

        Raises
        ------
        ModelError
            If weights are missing or do not fit.
        """
        from rollcall_model import runtime

        runtime.prepare([network.warm_up for network in self._networks if network is not None])

    @_one_at_a_time
    def analyze(self, pictures: Sequence[Picture], *, one_face: bool = False) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, the highest-scoring first, in fractions of the upright picture.

        Heads of animals are left out where embeddings are computed, which tell most from people.
        With `one_face` every picture is taken to be a portrait of one person: of several faces the one nearest
        the centre is returned, and where none was found a central face is assumed (`detected` is False).

        Raises
        ------
        ModelError
            If weights are missing or do not fit.
        """
        detector, attributes = self._networks
        # Players turn a video as its file says, so that its frames are the right way up.
        upright = bool(pictures) and all(picture.video is not None for picture in pictures)
        found = detector.detect([picture.pixels for picture in pictures], upright=upright)
        detected = [len(faces.scores) > 0 for faces in found]
        if one_face:
            found = portraits.one_each(pictures, found)
        crops = [
            crop
            for picture, faces in zip(pictures, found, strict=True)
            for crop in self._crops(picture, faces.landmarks)
        ]
        predictions = self._predict(attributes, crops, found, one_face=one_face)
        remaining = iter(predictions)
        return [
            tuple(
                prediction.face(picture, faces, row, seen)
                for row, prediction in enumerate(islice(remaining, len(faces.scores)))
                if one_face or not prediction.is_animal
            )
            for picture, faces, seen in zip(pictures, found, detected, strict=True)
        ]

    @_one_at_a_time
    def describe(self, picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        """Return one face for each box that a person gave, with the networks' predictions.

        `boxes` are fractions of the upright picture. The detector searches each box and its surroundings, enlarged,
        for the landmarks; where it finds no face, they are taken to be at their mean position in a box.

        Raises
        ------
        ModelError
            If weights are missing or do not fit.
        """
        from rollcall_model.attributes import align
        from rollcall_model.types import Detections

        detector, attributes = self._networks
        height, width = picture.pixels.shape[:2]
        near, corners, scales = [], [], []
        for box in boxes:
            side = max(box.width * width, box.height * height, 1.0)
            margin = NEAR * side
            x0, y0 = max(int(box.x * width - margin), 0), max(int(box.y * height - margin), 0)
            x1 = min(int(np.ceil((box.x + box.width) * width + margin)), width)
            y1 = min(int(np.ceil((box.y + box.height) * height + margin)), height)
            region = picture.pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
            # A person also draws faces that are too small for the detector's setting.
            scale = min(max(NEAR_SIDE / side, 1.0), 8.0)
            near.append(np.asarray(cv2.resize(region, None, fx=scale, fy=scale), np.uint8))
            corners.append(np.array([x0, y0], np.float32))
            scales.append(scale)
        places = []
        for box, corner, scale, found in zip(boxes, corners, scales, detector.detect(near), strict=True):
            frame = np.array([box.x * width, box.y * height, box.width * width, box.height * height], np.float32)
            boxes_found = found.boxes / scale + np.tile(corner, 2)
            ious = [Box(*frame.tolist()).iou(Box(x0, y0, x1 - x0, y1 - y0)) for x0, y0, x1, y1 in boxes_found.tolist()]
            best = int(np.argmax(ious)) if ious else 0
            seen = bool(ious) and ious[best] >= NEAR_IOU
            points = (
                found.landmarks[best] / scale + corner if seen else frame[:2] + align.typical_landmarks() * frame[2:]
            )
            right, bottom = frame[0] + frame[2], frame[1] + frame[3]
            places.append(
                Detections(
                    np.array([[frame[0], frame[1], right, bottom]], np.float32),
                    np.array([found.scores[best] if seen else 0.0], np.float32),
                    np.asarray(points[None], np.float32),
                )
            )
        crops = self._crops(picture, np.array([place.landmarks[0] for place in places]))
        predictions = self._predict(attributes, crops)
        return [one.face(picture, place, 0, False) for place, one in zip(places, predictions, strict=True)]

    def _crops(self, picture: Picture, landmarks: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
        """Return the aligned crops of n faces of one picture, from landmarks (n, 5, 2) in its reduced pixels."""
        from rollcall_model.attributes import align

        pixels = picture.pixels
        if (
            self.settings.attributes.small_faces == "sharp"
            and picture.video is None
            and picture.width > pixels.shape[1]
            and any(align.magnification(one, self._size) > 1 for one in landmarks)
        ):
            pixels = self._whole(picture)
            ratio = np.array(pixels.shape[1::-1]) / picture.pixels.shape[1::-1]
            landmarks = landmarks * ratio.astype(np.float32)
        return align.crops(pixels, landmarks, self._size)

    def _whole(self, picture: Picture) -> NDArray[np.uint8]:
        """Return all pixels of a picture that was reduced, or the reduced ones if its file is no longer the same."""
        try:
            whole = decode.decode(picture.path, limits=self.settings.decode)
        except PictureError:
            return picture.pixels  # the file was readable a moment ago; fewer pixels are better than no face
        return whole.pixels if whole.content_hash == picture.content_hash else picture.pixels

    @property
    def _size(self) -> int:
        """The side of a crop in pixels; also without a network, since the sharpness is measured on the crop."""
        from rollcall_model.attributes.network import AttributeConfig

        attributes = self._networks[1]
        return AttributeConfig().size if attributes is None else attributes.size

    def _predict(
        self,
        attributes: AttributeModel | None,
        crops: list[NDArray[np.uint8]],
        found: Sequence[Detections] = (),
        *,
        one_face: bool = False,
    ) -> list[Prediction]:
        """Return the predictions for crops; `attributes` is None, and not loaded, when all heads are switched off.

        `found`: the faces of each picture in turn that the crops are of, judged together; others are judged alone.
        With `one_face` the outputs are means over the crop and its mirror image.
        """
        from rollcall_model.attributes import age_mix, align

        wanted = self.settings.attributes
        predictions = [Prediction(align.sharpness(crop)) for crop in crops]
        if not crops or attributes is None:
            return predictions
        outputs = attributes(np.stack(crops))
        if one_face:
            outputs = portraits.mean_of(outputs, attributes(np.stack(crops)[:, :, ::-1]))
        are_animals = attributes.are_animals(outputs.embedding, found)
        if wanted.age == "on":
            ends = np.cumsum([0, *(len(faces.scores) for faces in found)])
            for start, end in pairwise(ends):
                outputs.age[start:end] = age_mix.with_mix_of_photo(outputs.age[start:end])
        for row, prediction in enumerate(predictions):
            prediction.age = outputs.age[row] if wanted.age == "on" else None
            prediction.p_female = float(outputs.p_female[row]) if wanted.gender == "on" else None
            prediction.embedding = outputs.embedding[row] if wanted.embeddings == "on" else None
            prediction.is_animal = bool(are_animals[row])
        return predictions


def keep_memory() -> None:
    """Keep the allocator of this process from returning freed memory to the system, for programs that only index."""
    from rollcall_model import memory

    memory.keep()


def fit_adaptation(
    examples: Mapping[str, NDArray[Any]], settings: Settings
) -> tuple[dict[str, Any], dict[str, Any], Adaptation]:
    """Fit an adaptation of each head, and evaluate it on held-out faces.

    `examples` are arrays by name, see `adaptation_store.as_arrays`. Returns the fields of `learning.HeadReport` of age
    and of gender, and the adaptation, with None for a head that it does not help.
    """
    from rollcall_model import runtime
    from rollcall_model.attributes import adapt

    runtime.configure(devices.usable(settings.cache_folder / "compiled"), settings.workers)
    heads, reports = [], []
    for one in adapt.adapt(adapt.Examples(**examples)):
        fitted = one.fitted
        heads.append(None if fitted is None else Head(fitted.temperature, fitted.tilt, fitted.feature_weights))
        names = ("faces", "loss_before", "loss_after", "error_before", "error_after")
        reports.append({**{name: getattr(one, name) for name in names}, "helps": fitted is not None})
    return reports[0], reports[1], Adaptation(*heads)


def export_model(file: Path) -> float:
    """Write the attribute network as ONNX and return the largest difference of its outputs in ONNX Runtime.

    Raises
    ------
    ModelError
        If the extra is not installed, the file cannot be written, or the two differ.
    """
    from rollcall_model import checkpoint
    from rollcall_model.attributes import export

    try:
        export.export_model(file)
        return float(export.largest_difference(file))
    except (export.ExportError, checkpoint.WeightsError) as error:
        raise ModelError(str(error)) from error
