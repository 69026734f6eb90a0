"""Portraits: exactly one face a picture, cut out as on photographs and seen twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rollcall.commands.demo_library import portraits as demo_portraits
from rollcall.inference import portraits
from rollcall.inference.analyzer import Analyzer
from rollcall.media import decode
from rollcall.records import Picture
from rollcall.settings import load
from rollcall_model.types import EMBEDDING, Attributes, Detections, no_detections

pytest.importorskip("skimage")
PICTURE = Picture(Path("a.png"), np.zeros((100, 100, 3), np.uint8), 100, 100)


def detections(*boxes: tuple[float, float, float, float]) -> Detections:
    """Return faces with these boxes; all landmarks of each lie at its left upper corner."""
    corners = np.array(boxes, np.float32)[:, None, :2]
    return Detections(np.array(boxes, np.float32), np.full(len(boxes), 0.9, np.float32), np.repeat(corners, 5, axis=1))


def seen(years: int, p_female: float) -> Attributes:
    """Return the predictions of one crop that are certain of an age."""
    age = np.zeros((1, 101), np.float32)
    age[0, years] = 1
    embedding = np.eye(1, EMBEDDING, years, dtype=np.float32)
    return Attributes(age, np.array([p_female], np.float32), embedding)


@pytest.fixture
def portrait(tmp_path: Path) -> Picture:
    """A picture that a face fills."""
    path = tmp_path / "portrait.png"
    demo_portraits()[1].convert("RGB").resize((200, 200), Image.Resampling.LANCZOS).save(path)
    return decode.decode(path)


@pytest.fixture
def analyzer(compiled: Path) -> Analyzer:
    return Analyzer(load(None, {"cache.folder": str(compiled)}))


def test_of_several_faces_the_one_in_the_middle_is_taken_and_without_any_one_is_assumed() -> None:
    (face,) = portraits.one_each([PICTURE], [detections((0, 0, 20, 20), (40, 40, 70, 70))])
    assert face.boxes.tolist() == [[40, 40, 70, 70]]
    (assumed,) = portraits.one_each([PICTURE], [no_detections()])
    assert assumed.scores.tolist() == [0]
    assert 0 < assumed.boxes[0, 0] < 50 < assumed.boxes[0, 2] < 100


def test_a_picture_without_pixels_has_no_face() -> None:
    empty = Picture(Path("a.png"), np.zeros((0, 5, 3), np.uint8), 5, 0)
    (none,) = portraits.one_each([empty], [no_detections()])
    assert not len(none.scores)


def test_two_looks_are_averaged_by_probabilities_of_ages_and_logits_of_genders() -> None:
    both = portraits.mean_of(seen(10, 0.9), seen(20, 0.5))
    assert both.age[0, 10] == both.age[0, 20] == 0.5
    # Odds of 9 and 1: their geometric mean is 3.
    assert both.p_female[0] == pytest.approx(0.75)
    assert both.embedding[0, 10] == both.embedding[0, 20] == pytest.approx(0.5**0.5)
    assert np.isfinite(portraits.mean_of(seen(1, 0.0), seen(1, 1.0)).p_female).all()


def test_a_portrait_and_its_mirror_image_get_the_same_age_and_gender(portrait: Picture, analyzer: Analyzer) -> None:
    crop = portrait.pixels[:96, :96]
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    (one,), (other,) = (analyzer._predict(analyzer._networks[1], [each], one_face=True) for each in (crop, mirrored))
    assert one.age is not None and other.age is not None
    np.testing.assert_allclose(one.age, other.age, atol=1e-4)
    assert one.p_female == pytest.approx(other.p_female, abs=1e-3)
    (once,), (again,) = (analyzer._predict(analyzer._networks[1], [each]) for each in (crop, mirrored))
    assert once.age is not None and again.age is not None
    assert np.abs(once.age - again.age).max() > 1e-3


def test_a_portrait_is_cut_out_as_among_photographs_and_seen_in_a_mirror_too(
    portrait: Picture, analyzer: Analyzer
) -> None:
    ((alone,),) = analyzer.analyze([portrait], one_face=True)
    ((among,),) = analyzer.analyze([portrait])
    assert alone.landmarks == among.landmarks
    points = np.array(alone.landmarks, np.float32) * np.array(portrait.pixels.shape[1::-1], np.float32)
    crops = np.stack(analyzer._crops(portrait, points[None]))
    network = analyzer._networks[1]
    assert network is not None and among.embedding is not None
    both = network(crops[:, :, ::-1]).embedding[0] + among.embedding
    np.testing.assert_allclose(alone.embedding, both / np.linalg.norm(both), atol=1e-3)


def test_only_what_is_switched_on_is_predicted_of_portraits(portrait: Picture, compiled: Path) -> None:
    wanted = {"attributes.age": "off", "attributes.embeddings": "off", "cache.folder": str(compiled)}
    ((face,),) = Analyzer(load(None, wanted)).analyze([portrait], one_face=True)
    assert face.age_distribution is None and face.embedding is None
    assert face.p_female is not None and 0 < face.p_female < 1
