"""Tell heads of animals from people's faces: `python -m rollcall_model.training.fit_animals`.

Every fourth picture is left out of the fit that is reported; what is stored is fitted to all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
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
from rollcall_model.types import EMBEDDING, Detections, no_detections

#: Boxes of such a probability are looked at.
_LIKELY: Final = 0.35
#: The first keypoints of an animal are its eyes and nose; a box that holds so many of them is its head.
_FACE_POINTS: Final = 3
_HELD: Final = 2
#: Pictures of crowds have faces that differ little in what they teach.
_MOST_FACES: Final = 25
_FOLDS: Final = 4
_LEASTS: Final = (-4.0, -3.5, -3.0, -2.5, -2.0)
#: The default threshold of the product.
_SHOWN: Final = 0.65
#: Below such a logit another box in a picture of animals is taken for a part of one.
_SURE: Final = -1.0

Image = UInt8[np.ndarray, "h w 3"]


class Heads(NamedTuple):
    """Heads that the detector found."""

    embeddings: Float32[np.ndarray, "n 128"]
    found: Detections
    held_out: Bool[np.ndarray, " n"]

    def chosen(self, rows: Bool[np.ndarray, " n"]) -> Heads:
        """Return some of them."""
        return Heads(self.embeddings[rows], Detections(*(one[rows] for one in self.found)), self.held_out[rows])


def joined(parts: Sequence[Heads]) -> Heads:
    """Return all heads together."""
    embeddings, found, held_out = zip(*parts, strict=True)
    boxes = Detections(*map(np.concatenate, zip(*found, strict=True)))
    return Heads(np.concatenate(embeddings), boxes, np.concatenate(held_out))


class _Finder:
    """Finds faces and their embeddings."""

    def __init__(self, weights: Path) -> None:
        self.detector = SinglePassDetector(DetectorConfig(threshold=_LIKELY))
        self.network = AttributeModel(weights, heads=("embedding",))
        self._parts: list[Heads] = []
        self._beside: list[Heads] = []

    def add(self, number: int, image: Image, chosen: Any, beside: bool = False) -> None:
        """Add the faces of a picture for which `chosen`, given the detections, is true; keep the others `beside`."""
        found = self.detector.detect([image])[0]
        if not len(found.scores):
            return
        is_chosen = np.asarray(chosen(found))
        rows = np.arange(len(is_chosen)) if beside else np.flatnonzero(is_chosen)
        if len(rows):
            crops = np.stack([align.crop(image, found.landmarks[row], self.network.size) for row in rows])
            held_out = np.full(len(rows), number % _FOLDS == 0)
            heads = Heads(self.network(crops).embedding, Detections(*(one[rows] for one in found)), held_out)
            self._parts.append(heads.chosen(is_chosen[rows]))
            self._beside.append(heads.chosen(~is_chosen[rows]))

    def take(self) -> tuple[Heads, Heads]:
        """Return what was chosen, and what was kept beside it, and begin anew."""
        none = Heads(np.zeros((0, EMBEDDING), np.float32), no_detections(), np.zeros(0, bool))
        parts, beside, self._parts, self._beside = self._parts, self._beside, [], []
        return joined([none, *parts]), joined([none, *beside])


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


def fitted(heads: Heads, others: Heads, people: Heads, least: float) -> animals.AnimalPlane:
    """Return the plane between heads and people; of other boxes in pictures of animals those count that it leaves out.

    These hold parts of animals, and people, who must not be learnt as animals: a first plane tells them apart.
    """
    first = animals.fit((heads.embeddings, heads.found), (people.embeddings, people.found), least)
    sure = others.chosen(first.logits(others.embeddings, others.found) < _SURE)
    known = joined([heads, sure])
    return animals.fit((known.embeddings, known.found), (people.embeddings, people.found), least)


def report(heads: Heads, others: Heads, people: dict[str, Heads]) -> None:
    """Print what a plane leaves out, as the product finds it, of the pictures that it was not fitted to."""
    known, beside, faces = (one.chosen(~one.held_out) for one in (heads, others, joined(list(people.values()))))
    plane = fitted(known, beside, faces, 0.0)
    logits = {}
    for name, one in {"heads of animals": heads, "other boxes beside animals": others, **people}.items():
        tested = one.chosen(one.held_out & (one.found.scores >= _SHOWN))
        logits[name] = plane.logits(tested.embeddings, tested.found)
    click.echo("held out: " + ", ".join(f"{len(one)} {name}" for name, one in logits.items()))
    for least in _LEASTS:
        shares = ", ".join(f"{(one < least).mean():.2%}" for one in logits.values())
        click.echo(f"left out below {least}: {shares}")


def _labelled(finder: _Finder, sources: Iterable[pictures.Source], excluded: UInt64[np.ndarray, " h"]) -> Heads:
    """Return the faces of labelled pictures that the detector finds."""
    for number, source in enumerate(sources):
        if len(source.faces.boxes) <= _MOST_FACES and usable(source.path.read_bytes(), excluded):
            labelled = pictures.as_labelled(source)
            finder.add(number, labelled.image, lambda found, true=labelled: detection.match(found, true)[0])
    return finder.take()[0]


@click.command()
@click.option("--weights", required=True, type=click.Path(exists=True, path_type=Path), help="The attribute network.")
@click.option("--animals", "pets", required=True, nargs=2, type=click.Path(exists=True, path_type=Path))
@click.option("--voc", required=True, multiple=True, nargs=2, type=click.Path(exists=True, path_type=Path))
@click.option("--faces", multiple=True, type=click.Path(exists=True, path_type=Path), help="Pictures of one face each.")
@click.option("--points", multiple=True, type=click.Path(exists=True, path_type=Path), help="Faces with .pts files.")
@click.option("--every", default=8, show_default=True, help="Of the pictures of --faces only each so many-th.")
@click.option("--exclude", type=click.Path(exists=True, path_type=Path), help="Difference hashes, hexadecimal.")
@click.option("--least", default=-3.5, show_default=True, help="The logit below which a face is left out.")
@click.option("--write", is_flag=True, help="Store the plane in the weights.")
def main(
    weights: Path,
    pets: tuple[Path, Path],
    voc: tuple[tuple[Path, Path], ...],
    faces: tuple[Path, ...],
    points: tuple[Path, ...],
    every: int,
    exclude: Path | None,
    least: float,
    write: bool,
) -> None:
    """Fit the plane between the heads of animals (pictures and keypoints) and the faces of people."""
    runtime.configure()
    excluded = read_hashes(exclude) if exclude else np.zeros(0, np.uint64)
    finder = _Finder(weights)
    for number, (path, known) in enumerate(read_keypoints(*pets)):
        if (image := _read(path, excluded)) is not None:
            finder.add(number, image, lambda found, known=known: has_head(found.boxes, known), beside=True)
    heads, beside = finder.take()
    people = {
        "faces in photos": _labelled(finder, chain.from_iterable(pictures.read_voc(*pair) for pair in voc), excluded),
        "large faces": _labelled(finder, chain.from_iterable(map(pictures.read_points, points)), excluded),
    }
    for folder in faces:
        for number, path in enumerate(sorted(folder.iterdir())[::every]):
            if (image := _read(path, excluded)) is not None:
                # The first is the likeliest.
                finder.add(number, image, lambda found: np.arange(len(found.scores)) == 0)
    people["portraits"] = finder.take()[0]
    report(heads, beside, people)
    plane = fitted(heads, beside, joined(list(people.values())), least)
    if write:
        checkpoint.update_metadata(weights, animals=plane._asdict())


if __name__ == "__main__":
    main()
