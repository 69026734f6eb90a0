"""The pixels of small faces come from the reduced picture or the whole one; model versions name such settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rollcall.commands.demo_library import portraits
from rollcall.inference.analyzer import Analyzer
from rollcall.media import decode
from rollcall.records import Face, Picture
from rollcall.settings import load
from rollcall_model.types import Detections

pytest.importorskip("skimage")
TARGET = 640
Faces = Callable[[Picture, str], tuple[Face, ...]]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 1280 pixels with one face of about 60, stored lying on its side."""
    person = portraits()[1].convert("RGB").resize((320, 320), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (1280, 960), (90, 110, 120))
    picture.paste(person, (500, 300))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path_factory.mktemp("small") / "far.jpg"
    picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
    return path


@pytest.fixture
def faces(compiled: Path) -> Faces:
    def run(picture: Picture, small_faces: str) -> tuple[Face, ...]:
        wanted = {"attributes.small_faces": small_faces, "detector.resolution": TARGET, "cache.folder": str(compiled)}
        return Analyzer(load(None, wanted)).analyze([picture])[0]

    return run


def test_small_faces_are_sharper_when_the_photo_is_decoded_whole_for_them(photo: Path, faces: Faces) -> None:
    reduced = decode.decode(photo, target=TARGET)
    assert reduced.pixels.shape == (480, 640, 3)
    whole = decode.decode(photo)
    (fast,), (sharp,) = faces(reduced, "fast"), faces(reduced, "sharp")
    assert sharp.box == fast.box and sharp.landmarks == fast.landmarks
    assert sharp.sharpness > 1.5 * fast.sharpness
    assert sharp.age_distribution is not None and fast.age_distribution is not None
    # Its embedding is nearer to that of the whole picture, in which the landmarks differ by a pixel or two.
    (best,) = faces(whole, "fast")
    assert best.embedding is not None and sharp.embedding is not None and fast.embedding is not None
    assert np.dot(sharp.embedding, best.embedding) > np.dot(fast.embedding, best.embedding)


def test_small_faces_of_a_deleted_photo_use_the_reduced_pixels(photo: Path, tmp_path: Path, faces: Faces) -> None:
    moved = tmp_path / "gone.jpg"
    moved.write_bytes(photo.read_bytes())
    reduced = decode.decode(moved, target=TARGET)
    moved.unlink()
    (fast,), (sharp,) = faces(reduced, "fast"), faces(reduced, "sharp")
    assert sharp.sharpness == fast.sharpness


@pytest.mark.parametrize(
    ("name", "values", "network"),
    [
        ("attributes.small_faces", ("fast", "sharp"), "single-pass"),
        ("detector.threshold", ("0.5", "0.7"), "single-pass"),
        ("detector.search", ("quick", "thorough"), "mtcnn-2016"),
        ("detector.search", ("quick", "thorough"), "single-pass"),
        ("detector.network", ("single-pass", "mtcnn-2016"), "single-pass"),
    ],
)
def test_settings_that_change_results_change_the_model_version(
    name: str, values: tuple[str, str], network: str
) -> None:
    versions = {Analyzer(load(None, {"detector.network": network, name: value})).model_version for value in values}
    assert len(versions) == 2


def test_settings_of_another_network_change_nothing() -> None:
    versions = {Analyzer(load(None, {"detector.pyramid_factor": value})).model_version for value in ("0.6", "0.8")}
    assert len(versions) == 1


def test_a_thorough_search_finds_what_a_quick_one_finds(photo: Path, compiled: Path) -> None:
    picture = decode.decode(photo, target=TARGET)
    found = []
    for search in ("quick", "thorough"):
        wanted = {"detector.search": search, "detector.resolution": TARGET, "cache.folder": str(compiled)}
        wanted["detector.network"] = "mtcnn-2016"
        found.append(Analyzer(load(None, wanted)).analyze([picture])[0])
    ((quick,), (thorough,)) = found
    assert quick.box == pytest.approx(thorough.box, abs=0.01)
    assert quick.score == pytest.approx(thorough.score, abs=0.01)


def test_the_faces_of_a_photo_are_judged_together_and_those_of_another_apart(photo: Path, compiled: Path) -> None:
    analyzer = Analyzer(load(None, {"detector.resolution": TARGET, "cache.folder": str(compiled)}))
    picture = decode.decode(photo, target=TARGET)
    (alone,) = analyzer.analyze([picture])[0]
    points = np.array(alone.landmarks, np.float32) * np.array(picture.pixels.shape[1::-1], np.float32)
    (crop,) = analyzer._crops(picture, points[None])
    height, width = picture.pixels.shape[:2]
    frame = np.array([[alone.box.x, alone.box.y, alone.box.x + alone.box.width, alone.box.y + alone.box.height]])
    one = Detections((frame * ([width, height] * 2)).astype(np.float32), np.float32([alone.score]), points[None])
    found = [Detections(*(np.repeat(column, count, axis=0) for column in one)) for count in (6, 1)]
    *many, beside = analyzer._predict(analyzer._networks[1], [crop] * 7, found)
    below_13 = [float(one.age[:13].sum()) for one in (*many, beside) if one.age is not None]
    assert alone.age_distribution is not None
    np.testing.assert_allclose(below_13[6], alone.age_distribution[:13].sum(), rtol=0.02)
    # Nobody beside them is a child, so each is one less probably than by itself.
    assert len(below_13) == 7 and max(below_13[:6]) < 0.7 * below_13[6]


def test_what_is_taken_for_an_animal_is_left_out_unless_nothing_tells(photo: Path, compiled: Path) -> None:
    pictures = [decode.decode(photo)]

    def found(one_face: bool = False, **switches: str) -> int:
        given = {f"attributes.{name}": value for name, value in switches.items()}
        analyzer = Analyzer(load(None, {**given, "cache.folder": str(compiled)}))
        network = analyzer._networks[1]
        assert network is not None and network.animals is not None
        # Everybody is one.
        network.animals = network.animals._replace(least=float("inf"))
        return len(analyzer.analyze(pictures, one_face=one_face)[0])

    assert found() == 0
    assert found(embeddings="off") == 1
    assert found(one_face=True) == 1
