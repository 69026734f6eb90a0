"""Our detector compared with two others: photos a second and faces found, on the same photographs in one run.

The others are the MTCNN of facenet-pytorch 2.6 (PyTorch) and of mtcnn 1.0 (TensorFlow), both with the same
published networks. A peer that is not installed is skipped with a note; `uv run --extra benchmarks` installs
the first. Photographs are decoded and reduced to the resolution before the timing. All have the same processors;
they take turns, so that other load on the machine affects all equally, and the first turn of each is not counted.

Faces are compared with facenet-pytorch's: a face is found when a box matches it by at least one half
(intersection over union); a box that matches no face of the peer is one too many, or one that the peer missed.

    python benchmarks/detection.py [--photos FOLDER] [--processors N] [--rounds 5] [--out FOLDER]

Without a folder, photographs of groups, of 12 megapixels, are composed from the packaged portraits.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import measuring
import numpy as np
from numpy.typing import NDArray

from rollcall.detector_settings import DetectorSettings

Photo = NDArray[np.uint8]
#: Resolution in pixels and smallest face.
SETTINGS: Final = ((1280, 40), (1280, 20), (640, 20))
OURS, FACENET, MTCNN = "rollcall", "facenet-pytorch", "mtcnn"
#: IoU from which on two boxes are of one face.
MIN_IOU: Final = 0.5


class Lane(NamedTuple):
    """One detector with one setting."""

    name: str
    run: Callable[[Sequence[Photo]], list[NDArray[np.float32]]]  # photographs to boxes (n, 4) each


def ours(resolution: int, min_face: int) -> Lane:
    """Return our detector, with photographs in batches as large as the indexer's."""
    from rollcall_model.detection.cascade import CascadeDetector
    from rollcall_model.detection.config import DetectorConfig

    detector = CascadeDetector(DetectorConfig(resolution, min_face))
    detector.warm_up()

    def run(photos: Sequence[Photo]) -> list[NDArray[np.float32]]:
        starts = range(0, len(photos), BATCH)
        return [faces.boxes for start in starts for faces in detector.detect(photos[start : start + BATCH])]

    return Lane(OURS, run)


#: Photographs in a batch, as in the indexer (`detector.batch`).
BATCH: Final = DetectorSettings().batch


def facenet(min_face: int, threads: int) -> Lane:
    """Return the MTCNN of facenet-pytorch, which processes photographs of different sizes one by one."""
    import facenet_pytorch
    import torch

    torch.set_num_threads(threads)
    peer = facenet_pytorch.MTCNN(min_face_size=min_face, keep_all=True, device="cpu")

    def run(photos: Sequence[Photo]) -> list[NDArray[np.float32]]:
        with torch.no_grad():
            found = [peer.detect(photo, landmarks=True)[0] for photo in photos]
        return [np.zeros((0, 4), np.float32) if boxes is None else np.asarray(boxes, np.float32) for boxes in found]

    return Lane(FACENET, run)


def mtcnn(min_face: int) -> Lane:
    """Return that of mtcnn, which runs on TensorFlow."""
    import mtcnn as package

    peer = package.MTCNN(device="CPU:0")

    def run(photos: Sequence[Photo]) -> list[NDArray[np.float32]]:
        result = []
        for photo in photos:
            boxes = [face["box"] for face in peer.detect_faces(photo, min_face_size=min_face) or []]
            corners = np.asarray(boxes, np.float32).reshape(-1, 4)
            corners[:, 2:] += corners[:, :2]
            result.append(corners)
        return result

    return Lane(MTCNN, run)


def lanes(resolution: int, min_face: int, threads: int) -> tuple[list[Lane], list[str]]:
    """Return the detectors that are installed, and a note for each that is not."""
    makers: dict[str, Callable[[], Lane]] = {
        OURS: lambda: ours(resolution, min_face),
        FACENET: lambda: facenet(min_face, threads),
        MTCNN: lambda: mtcnn(min_face),
    }
    found, missing = [], []
    for name, make in makers.items():
        try:
            found.append(make())
        except ImportError as error:
            missing.append(f"{name} is skipped: {error}")
    return found, missing


def reduced(photo: Photo, resolution: int) -> Photo:
    """Return the photograph with its longest side at most `resolution`."""
    scale = resolution / max(photo.shape[:2])
    if scale >= 1:
        return photo
    size = (max(round(photo.shape[1] * scale), 1), max(round(photo.shape[0] * scale), 1))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def read(folder: Path) -> list[Photo]:
    """Return every photograph under the folder that can be decoded, upright."""
    from rollcall import errors
    from rollcall.media import decode

    photos = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in decode.SUFFIXES):
        try:
            photos.append(decode.decode(path).pixels)
        except errors.RollcallError as error:
            print(f"skipped: {error}")
    return photos


def draw_photos(count: int) -> list[Photo]:
    """Return groups of the packaged portraits in many sizes, on backgrounds of the same pictures: 4000x3000."""
    from rollcall.commands.demo_library import portraits

    people = [np.asarray(picture.convert("RGB"), np.uint8) for picture in portraits()]
    rng, photos = np.random.default_rng(11), []
    for _ in range(count):
        height, width = (3000, 4000) if rng.random() < 0.7 else (4000, 3000)
        background = cv2.GaussianBlur(people[rng.integers(len(people))], (0, 0), 9)
        photo = np.asarray(cv2.resize(background, (width, height)), np.float32)
        grain = cv2.resize(rng.normal(0, 24, (height // 8, width // 8, 3)).astype(np.float32), (width, height))
        photo = np.clip(photo + grain, 0, 255).astype(np.uint8)
        for _ in range(int(rng.integers(1, 7))):
            person = people[rng.integers(len(people))]
            scale = float(rng.uniform(300, 2400)) / person.shape[0]
            person = np.asarray(cv2.resize(person, None, fx=scale, fy=scale), np.uint8)[:height, :width]
            top, left = rng.integers(height - person.shape[0] + 1), rng.integers(width - person.shape[1] + 1)
            photo[top : top + person.shape[0], left : left + person.shape[1]] = person
        photos.append(photo)
    return photos


def measure(
    turns: Sequence[Lane], photos: Sequence[Photo], rounds: int, clock: Callable[[], float]
) -> dict[str, tuple[float, ...]]:
    """Return photographs a second of every lane in each round."""
    speeds: dict[str, list[float]] = {lane.name: [] for lane in turns}
    for _ in range(rounds):
        for lane in turns:
            began = clock()
            lane.run(photos)
            speeds[lane.name].append(len(photos) / (clock() - began))
    return {name: tuple(values) for name, values in speeds.items()}


def compared(found: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> tuple[int, int]:
    """Return how many of the expected faces were found, and how many boxes are on none of them."""
    from rollcall_model.detection.boxes import iou

    hits = extra = 0
    for boxes, faces in zip(found, expected, strict=True):
        matches = iou(boxes, faces) >= MIN_IOU
        hits += int(matches.any(axis=0).sum())
        extra += int((~matches.any(axis=1)).sum())
    return hits, extra


def described(found: dict[str, list[NDArray[np.float32]]], name: str) -> str:
    """Return how many faces a detector found, and how many of facenet-pytorch's where that ran."""
    note = f"{sum(len(boxes) for boxes in found[name])} faces"
    if name == FACENET or FACENET not in found:
        return note
    hits, extra = compared(found[name], found[FACENET])
    expected = sum(len(boxes) for boxes in found[FACENET])
    return f"{note}; {hits} of the {expected} of {FACENET}, {extra} others"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos", type=Path, help="Folder of photographs; default: composed from the packaged portraits."
    )
    parser.add_argument("--count", type=int, default=32, help="How many to compose.")
    parser.add_argument("--processors", type=int, help="How many to use; default: all of this process.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="Count processor time instead of wall time: for a machine with other load.",
    )
    parser.add_argument(
        "--settings", nargs="*", default=[f"{r}/{m}" for r, m in SETTINGS], help="resolution/smallest face"
    )
    parser.add_argument("--out", type=Path, help="Folder for a JSON file and a plot for each setting.")
    options = parser.parse_args()
    if options.processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.processors])
    from rollcall_model import runtime

    runtime.configure()
    cv2.setNumThreads(1)
    photos = read(options.photos) if options.photos else draw_photos(options.count)
    data = f"{len(photos)} photographs " + ("of a folder" if options.photos else "composed from the packaged portraits")
    clock = time.process_time if options.processor_time else time.perf_counter
    unit = "photos a second" + (" of one processor" if options.processor_time else "")
    for setting in options.settings:
        resolution, min_face = (int(part) for part in setting.split("/"))
        turns, missing = lanes(resolution, min_face, runtime.processors())
        small = [reduced(photo, resolution) for photo in photos]
        found = {lane.name: lane.run(small) for lane in turns}
        where = measuring.machine()
        lines = [
            measuring.Line(name, values, unit, described(found, name))
            for name, values in measure(turns, small, options.rounds, clock).items()
        ]
        title = f"Detection at {resolution} pixels, faces from {min_face} pixels"
        name = f"detection-{resolution}-{min_face}"
        measuring.report(title, data, lines, options.out, name, where, peer=FACENET)
        for sentence in missing:
            print(f"  {sentence}")


if __name__ == "__main__":
    main()
