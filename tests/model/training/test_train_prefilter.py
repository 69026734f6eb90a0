"""Training of the prefilter: labels from the cascade, and a network that learns them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.detection import octaves
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.detection.prefilter import PrefilterConfig
from rollcall_model.training import canvases, train_prefilter


@pytest.fixture(scope="module")
def thorough(compiled: Path) -> CascadeDetector:
    runtime.configure(compiled)
    return CascadeDetector(DetectorConfig(thorough=True))


@pytest.fixture(scope="module")
def people() -> list[np.ndarray]:
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    from rollcall.commands.demo_library import portraits

    return [np.asarray(picture.convert("RGB")) for picture in portraits()]


def test_the_labelled_cells_are_where_the_cascade_finds_faces(
    thorough: CascadeDetector, people: list[np.ndarray]
) -> None:
    picture = cv2.resize(people[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ((best, *_),) = [found.boxes for found in thorough.detect([picture])]
    (labelled,) = canvases.label(thorough, [picture])
    count = 0
    for octave, face in labelled:
        ratio = picture.shape[1] / octave.width
        rows, columns, _ = np.nonzero(face == 1)
        count += len(rows)
        centres = (np.stack([columns, rows], 1) + 0.5) * octaves.CELL * ratio
        assert (np.abs(centres - (best[:2] + best[2:]) / 2) < (best[2:] - best[:2])).all()
    assert count


def test_training_learns_where_faces_are(thorough: CascadeDetector, people: list[np.ndarray]) -> None:
    heads = [people[0][20:220, 120:320], people[1][100:400, 120:400]]
    backgrounds = [np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8), people[2]]
    made = canvases.make_canvases(np.random.default_rng(1), 16, heads, backgrounds, [thorough])
    assert (made.face > 0).any((1, 2, 3)).sum() >= 4
    config = train_prefilter.FitConfig(steps=150, batch=4, learning_rate=2e-2)
    net = train_prefilter.fit(made, PrefilterConfig(widths=(8, 16), depth=1), config)
    highest, logits = train_prefilter.score(net, made)
    assert np.median(highest) > np.quantile(logits, 0.95)
