"""The directions of the embedding that poor faces have in common: `python -m rollcall_model.evaluation.nuisance`.

Strangers whose faces are small, blurred, turned or hardly faces are similar to the network, in a few directions. These
are the ones in which such faces of photographs of strangers spread more than usual faces of training people do. The
application takes them out before it compares faces (nuisance attribute projection, Solomonoff et al. 2005), and reads
them from the file that is written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np
from jaxtyping import Float

from rollcall_model import weights as shipped
from rollcall_model.attributes import align
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets import faces as stored
from rollcall_model.detection.single_pass_detector import SinglePassDetector

log = logging.getLogger(__name__)

#: Directions that are taken out. Of 1 to 8 that were tried, with 4 hardly any stranger is taken for somebody, and usual
#: people are grouped as well as without; with more, worse.
COUNT: Final = 4
#: Photographs that are read at a time.
_BATCH: Final = 16


class Poor(NamedTuple):
    """Below which a face is poor: as the application has it for faces that found no group."""

    score: float = 0.9
    sharpness: float = 25.0
    side: float = 28.0  # pixels


def directions(
    poor: Float[np.ndarray, "n d"], usual: Float[np.ndarray, "m d"], count: int = COUNT
) -> Float[np.ndarray, "k d"]:
    """Return the directions, orthonormal, in which poor embeddings exceed usual ones the most, the first the most.

    Embeddings are not centred: what all poor faces have in common counts as much as in what they differ.
    """
    excess = poor.T @ poor / len(poor) - usual.T @ usual / len(usual)
    _, vectors = np.linalg.eigh(excess.astype(np.float64))
    return np.asarray(vectors[:, ::-1][:, :count].T)


def poor_faces(
    files: Sequence[Path], model: AttributeModel, below: Poor | None = None
) -> Iterator[Float[np.ndarray, "n d"]]:
    """Yield the embeddings of the poor faces of photographs, some photographs at a time."""
    below = below or Poor()
    detector = SinglePassDetector()
    for start in range(0, len(files), _BATCH):
        pictures = [stored.decode(file.read_bytes()) for file in files[start : start + _BATCH]]
        for picture, found in zip(pictures, detector.detect(pictures), strict=True):
            if not len(found.scores):
                continue
            crops = np.stack(align.crops(picture, found.landmarks, model.size))
            side = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1)
            sharpness = np.array([align.sharpness(crop) for crop in crops])
            poor = (found.scores < below.score) | (sharpness < below.sharpness) | (side < below.side)
            if poor.any():
                yield model(crops[poor]).embedding
        log.info("%d of %d photographs", start + len(pictures), len(files))


def usual_faces(crops: Path, model: AttributeModel) -> Float[np.ndarray, "n d"]:
    """Return the embeddings of LFW's training people, of crops that `training.prepare` stored."""
    faces = stored.load(crops)
    return model(stored.central_crops(faces, faces.where("lfw", "train"), model.size)).embedding


_FILE: Final = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--photos", required=True, type=_FILE, help="A folder of JPEG photographs of many strangers.")
@click.option("--crops", required=True, type=_FILE, help="What `rollcall_model.training.prepare` wrote.")
@click.option("--weights", default=shipped.PATH, type=_FILE, help="Weights of the attribute network.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file of directions.")
def main(photos: Path, crops: Path, weights: Path, out: Path) -> None:
    """Find the directions that poor faces have in common."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = AttributeModel(weights)
    files = sorted(photos.glob("*.jpg"))
    poor = [*poor_faces(files, model)]
    if not poor:
        raise click.ClickException(f"{photos}: no JPEG photograph in this folder shows a poor face; name another one")
    found = directions(np.concatenate(poor), usual_faces(crops, model))
    text = ",\n    ".join(json.dumps(np.round(one, 4).tolist()) for one in found)
    out.write_text(f'{{\n  "weights": "{model.version}",\n  "directions": [\n    {text}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
