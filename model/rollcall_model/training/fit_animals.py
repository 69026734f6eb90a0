"""Tell heads of animals from people's faces: `python -m rollcall_model.training.fit_animals`.

Every fourth picture is left out of the fit that is reported; what is stored is fitted to all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt64

from rollcall_model import checkpoint, runtime
from rollcall_model.attributes import align, animals
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets.exclusion import read_hashes, usable
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.detection.single_pass_detector import SinglePassDetector
from rollcall_model.evaluation import detection
from rollcall_model.training.detector import pictures
from rollcall_model.types import EMBEDDING

#: Boxes of such a probability are looked at.
_LIKELY: Final = 0.4
#: The first keypoints of an animal are its eyes and nose; a box that holds so many of them is its head.
_FACE_POINTS: Final = 3
_HELD: Final = 2
#: Pictures of crowds have faces that differ little in what they teach.
_MOST_FACES: Final = 25
_FOLDS: Final = 4
_LEASTS: Final = (-3.0, -2.5, -2.0, -1.5, -1.0)

Image = UInt8[np.ndarray, "h w 3"]


class Heads(NamedTuple):
    """Heads that the detector found."""

    embeddings: Float32[np.ndarray, "n 128"]
    held_out: Bool[np.ndarray, " n"]


class _Finder:
    """Finds faces and their embeddings."""

    def __init__(self, weights: Path) -> None:
        self.detector = SinglePassDetector(DetectorConfig(threshold=_LIKELY))
        self.network = AttributeModel(weights, heads=("embedding",))
        self._found: list[Float32[np.ndarray, "n 128"]] = [np.zeros((0, EMBEDDING), np.float32)]
        self._held_out: list[Bool[np.ndarray, " n"]] = [np.zeros(0, bool)]

    def add(self, number: int, image: Image, chosen: Any) -> None:
        """Add the faces of a picture for which `chosen`, given the detections, is true."""
        found = self.detector.detect([image])[0]
        if not len(found.scores):
            return
        rows = np.flatnonzero(chosen(found))
        if len(rows):
            crops = np.stack([align.crop(image, found.landmarks[row], self.network.size) for row in rows])
            self._found.append(self.network(crops).embedding)
            self._held_out.append(np.full(len(rows), number % _FOLDS == 0))

    def take(self) -> Heads:
        """Return what was added, and begin anew."""
        heads = Heads(np.concatenate(self._found), np.concatenate(self._held_out))
        self._found, self._held_out = self._found[:1], self._held_out[:1]
        return heads


def read_keypoints(images: Path, table: Path) -> Iterator[tuple[Path, Float32[np.ndarray, "n k 3"]]]:
    """Yield the pictures of the Animal Pose set, each with x, y and whether it is known, of the points of n animals."""
    content = json.loads(table.read_text(encoding="utf-8"))
    points: dict[str, list[Any]] = {}
    for one in content["annotations"]:
        points.setdefault(str(one["image_id"]), []).append(one["keypoints"])
    for number, name in content["images"].items():
        known = points.get(str(number)) or np.zeros((0, _FACE_POINTS, 3))
        yield images / name, np.array(known, np.float32)


def has_head(boxes: Float32[np.ndarray, "n 4"], points: Float32[np.ndarray, "m k 3"]) -> Bool[np.ndarray, " n"]:
    """Return which boxes hold two of the eyes and the nose of one animal."""
    face = points[None, :, :_FACE_POINTS]
    inside = (face[..., :2] >= boxes[:, None, None, :2]) & (face[..., :2] <= boxes[:, None, None, 2:])
    held = inside.all(axis=-1) & (face[..., 2] > 0)
    return np.asarray((held.sum(axis=-1) >= _HELD).any(axis=-1))


def _read(path: Path, excluded: UInt64[np.ndarray, " h"]) -> Image | None:
    encoded = path.read_bytes()
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if usable(encoded, excluded) else None
    return None if image is None else np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def report(heads: Heads, wild: Heads, portraits: Heads) -> None:
    """Print what a plane leaves out of the pictures that it was not fitted to."""
    people = np.concatenate([one.embeddings[~one.held_out] for one in (wild, portraits)])
    plane = animals.fit(heads.embeddings[~heads.held_out], people, 0.0)
    logits = [plane.logits(one.embeddings[one.held_out]) for one in (heads, wild, portraits)]
    click.echo(
        f"held out: {len(logits[0])} heads of animals, {len(logits[1])} faces in photos, {len(logits[2])} others"
    )
    for least in _LEASTS:
        shares = ", ".join(f"{(one < least).mean():.2%}" for one in logits)
        click.echo(f"left out below {least}: {shares}")


@click.command()
@click.option("--weights", required=True, type=click.Path(exists=True, path_type=Path), help="The attribute network.")
@click.option("--animals", "pets", required=True, nargs=2, type=click.Path(exists=True, path_type=Path))
@click.option("--voc", required=True, multiple=True, nargs=2, type=click.Path(exists=True, path_type=Path))
@click.option("--faces", multiple=True, type=click.Path(exists=True, path_type=Path), help="Pictures of one face each.")
@click.option("--every", default=8, show_default=True, help="Of the pictures of --faces only each so many-th.")
@click.option("--exclude", type=click.Path(exists=True, path_type=Path), help="Difference hashes, hexadecimal.")
@click.option("--least", default=-2.5, show_default=True, help="The logit below which a face is left out.")
@click.option("--write", is_flag=True, help="Store the plane in the weights.")
def main(
    weights: Path,
    pets: tuple[Path, Path],
    voc: tuple[tuple[Path, Path], ...],
    faces: tuple[Path, ...],
    every: int,
    exclude: Path | None,
    least: float,
    write: bool,
) -> None:
    """Fit the plane between the heads of animals (pictures and keypoints) and the faces of people."""
    runtime.configure()
    excluded = read_hashes(exclude) if exclude else np.zeros(0, np.uint64)
    finder = _Finder(weights)
    for number, (path, points) in enumerate(read_keypoints(*pets)):
        if (image := _read(path, excluded)) is not None:
            finder.add(number, image, lambda found, points=points: has_head(found.boxes, points))
    heads = finder.take()
    for pair in voc:
        for number, source in enumerate(pictures.read_voc(*pair)):
            if len(source.faces.boxes) <= _MOST_FACES and usable(source.path.read_bytes(), excluded):
                labelled = pictures.as_labelled(source)
                finder.add(number, labelled.image, lambda found, true=labelled: detection.match(found, true)[0])
    wild = finder.take()
    for folder in faces:
        for number, path in enumerate(sorted(folder.iterdir())[::every]):
            if (image := _read(path, excluded)) is not None:
                # The first is the likeliest.
                finder.add(number, image, lambda found: np.arange(len(found.scores)) == 0)
    portraits = finder.take()
    report(heads, wild, portraits)
    plane = animals.fit(heads.embeddings, np.concatenate([wild.embeddings, portraits.embeddings]), least)
    if write:
        checkpoint.update_metadata(weights, animals=plane._asdict())


if __name__ == "__main__":
    main()
