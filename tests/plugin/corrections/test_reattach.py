"""Corrections hold when files, networks and databases change."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.host import Plugin
from rollcall.records import Box

PHOTOS = 30
#: Ages and blues: all different, so that every drawn person has an embedding of its own.
PEOPLE = [(age, blue) for age in range(1, 90, 2) for blue in (0, 60, 200, 255)]


@dataclass
class Library:
    """A folder of drawn photos that a person corrected; `names` follows each photo through its names."""

    folder: Path
    database: Path
    analyzer: BlobAnalyzer = field(default_factory=BlobAnalyzer)
    names: dict[int, str] = field(default_factory=dict)

    def open(self) -> Plugin:
        plugin = Plugin({"database.url": f"sqlite:///{self.database}"}, analyzer=self.analyzer)
        plugin.start()
        return plugin

    def index(self, force: bool = False) -> None:
        plugin = self.open()
        plugin.index([self.folder], force=force)
        plugin.stop()

    def path(self, number: int) -> Path:
        return self.folder / self.names[number]

    def rename(self, changes: dict[int, str]) -> None:
        """Give photos other names, all at once, so that they may exchange them."""
        for number in changes:
            self.path(number).rename(self.folder / f"{number}.part")
        for number, name in changes.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / f"{number}.part").rename(self.folder / name)
            self.names[number] = name

    def save_again(self, number: int, edit: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels) -> None:
        """Write a photo's file again: another content, and the same picture unless `edit` changes it."""
        with Image.open(self.path(number)) as image:
            pixels = edit(np.asarray(image).copy())
        pixels[-1, -1] ^= 1
        with self.path(number).open("wb") as file:
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)

    def effective(self) -> dict[int, Any]:
        """Return the faces of each photo with their corrections, its corrected tags, and whether it is reviewed."""
        plugin = self.open()
        ids = [hit.photo_id for hit in plugin.search("faces:>=0", min_probability=0)]
        by_name = {
            photo.path.relative_to(os.path.realpath(self.folder)).as_posix(): photo for photo in plugin.photos(ids)
        }
        plugin.stop()
        return {number: _effective(by_name[name]) for number, name in self.names.items()}


def _effective(photo: Any) -> Any:
    faces = sorted(
        (
            round(face.box.x, 3),
            round(face.box.y, 3),
            face.age_interval if face.age_source == "user" else None,
            (face.gender, face.p_female) if face.gender_source == "user" else None,
        )
        for face in photo.faces
    )
    return faces, sorted((tag.name, tag.state) for tag in photo.tags if tag.source == "user"), photo.reviewed


@pytest.fixture
def corrected(tmp_path: Path) -> Library:
    """A library of photos with corrections of every kind, three batches of which were undone."""
    library = Library(tmp_path / "photos", tmp_path / "rollcall.db")
    for number in range(PHOTOS):
        library.names[number] = f"{number:02}.png"
        people = [PEOPLE[(3 * number + one) % len(PEOPLE)] for one in range(number % 4)]
        draw(library.path(number), *people, seed=number)
    library.index()
    plugin = library.open()
    ids = {hit.path.name: hit.photo_id for hit in plugin.search("faces:>=0", min_probability=0)}
    photos = {number: plugin.photo(ids[name]) for number, name in library.names.items()}
    for number, photo in photos.items():
        plugin.correct(*_corrections(number, photo))
    for number in (5, 6, 7):
        plugin.correct(corrections.age(photos[number].faces[0].face_id, 99))
    for _ in range(3):
        plugin.undo()
    plugin.stop()
    return library


def _corrections(number: int, photo: Any) -> Iterator[corrections.Correction]:
    kinds: list[Callable[[int], corrections.Correction]] = [
        lambda face: corrections.age(face, 7),
        lambda face: corrections.age(face, 5, 9),
        lambda face: corrections.age_group(face, "seniors"),
        lambda face: corrections.gender(face, "female"),
        lambda face: corrections.gender(face, "non-binary"),
        lambda face: corrections.gender(face, None),
        corrections.not_a_face,
        corrections.ignore,
        lambda face: corrections.move(face, Box(0.3, 0.02, 0.12, 0.13)),
    ]
    for place, face in enumerate(photo.faces):
        kind = kinds[(number // 4 + 3 * place) % len(kinds)]
        yield kind(face.face_id)
        if number % 8 == 3 and place == 0:
            yield corrections.age(face.face_id, 64)
    if number % 5 == 0:
        yield corrections.draw(photo.photo_id, Box(0.8, 0.7, 0.1, 0.2))
    if number % 3 == 0:
        yield corrections.tag(photo.photo_id, "People/Children", False)
    if number % 7 == 0:
        yield corrections.tag(photo.photo_id, "Ferien/Straße", True)


def test_corrections_hold_after_a_full_reanalysis(corrected: Library) -> None:
    before = corrected.effective()
    corrected.index(force=True)
    assert corrected.effective() == before


def test_corrections_hold_under_another_model_version(corrected: Library) -> None:
    before = corrected.effective()
    corrected.analyzer = BlobAnalyzer("blobs-2")
    corrected.index()
    assert corrected.analyzer.seen >= PHOTOS
    assert corrected.effective() == before


def test_corrections_hold_when_the_networks_no_longer_find_a_face(corrected: Library) -> None:
    before = corrected.effective()
    corrected.analyzer = BlindAnalyzer("blobs-2")
    corrected.index()
    after = corrected.effective()
    for number, (faces, tags, _) in before.items():
        with_corrections = [face for face in faces if face[2:] != (None, None)]
        assert [face for face in after[number][0] if face in with_corrections] == with_corrections
        assert after[number][1] == tags


def test_corrections_hold_in_renamed_files(corrected: Library) -> None:
    before = corrected.effective()
    corrected.rename({number: f"new/{number}.png" for number in range(0, PHOTOS, 2)})
    corrected.index()
    assert corrected.effective() == before


@pytest.mark.parametrize("force", [False, True])
def test_corrections_hold_when_files_exchange_their_names(corrected: Library, force: bool) -> None:
    before = corrected.effective()
    names = [corrected.names[number] for number in range(PHOTOS)]
    corrected.rename(dict(enumerate([*names[1:20], "40.png", *names[20:-1], names[0]])))
    corrected.index(force)
    assert corrected.effective() == before


def test_corrections_hold_in_files_that_were_saved_again_twice(corrected: Library) -> None:
    before = corrected.effective()
    for _ in range(2):
        for number in range(0, PHOTOS, 3):
            corrected.save_again(number)
        corrected.index()
    assert corrected.effective() == before


def test_corrections_hold_in_files_that_were_renamed_and_saved_again(corrected: Library) -> None:
    before = corrected.effective()
    corrected.rename({number: f"new/{number}.png" for number in range(0, PHOTOS, 2)})
    for number in range(PHOTOS):
        corrected.save_again(number)
    corrected.index()
    assert corrected.effective() == before


def test_corrections_hold_if_a_run_ends_before_it_has_recovered_them(
    corrected: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = corrected.effective()
    corrected.rename({number: f"new/{number}.png" for number in range(0, PHOTOS, 2)})
    for number in range(PHOTOS):
        corrected.save_again(number)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rollcall.indexing.indexer.recover_corrections", killed)
        with pytest.raises(KeyboardInterrupt):
            corrected.index()
    corrected.index()
    assert corrected.effective() == before


def test_corrections_hold_in_mirrored_photos(corrected: Library) -> None:
    """Faces are matched by their embeddings: two that swap places keep their own corrections."""
    before = corrected.effective()
    for number in range(PHOTOS):
        corrected.save_again(number, lambda pixels: pixels[:, ::-1])
    corrected.index()
    after = corrected.effective()
    for number, (faces, tags, _) in before.items():
        assert after[number][1] == tags
        # A box that was drawn or moved by hand stays where it is.
        if number % 5 and not any(y < 0.1 for _, y, *_ in faces):
            assert sorted(map(str, (face[2:] for face in after[number][0]))) == sorted(
                map(str, (face[2:] for face in faces))
            )
            assert [round(1 - 0.15 - face[0], 3) for face in after[number][0]][::-1] == [face[0] for face in faces]


@pytest.mark.parametrize("when", ["before indexing", "after indexing"])
def test_corrections_hold_after_an_import_into_a_new_database(corrected: Library, when: str) -> None:
    before = corrected.effective()
    _rebuild(corrected, when)
    assert corrected.effective() == before


@pytest.mark.parametrize("when", ["before indexing", "after indexing"])
def test_corrections_hold_after_all_of_these_changes_together(corrected: Library, when: str) -> None:
    before = corrected.effective()
    corrected.index(force=True)
    corrected.analyzer = BlobAnalyzer("blobs-2")
    corrected.index()
    numbers = random.Random(1).sample(range(PHOTOS), PHOTOS // 2)
    corrected.rename({number: f"new/{number}.png" for number in numbers})
    for number in [*numbers[:2], *(number for number in range(PHOTOS) if number not in numbers)][:4]:
        corrected.save_again(number)
    corrected.index()
    assert corrected.effective() == before
    # And once more while there is no database.
    corrected.rename({number: f"newer/{number}.png" for number in numbers[10:]})
    corrected.save_again(numbers[0])
    corrected.save_again(numbers[10])
    corrected.analyzer = BlobAnalyzer("blobs-3")
    _rebuild(corrected, when)
    assert corrected.effective() == before


def test_a_log_survives_two_exports_and_imports(corrected: Library) -> None:
    before = corrected.effective()
    for when in ("before indexing", "after indexing"):
        _rebuild(corrected, when)
    assert corrected.effective() == before


def test_copies_of_a_file_keep_their_own_corrections(tmp_path: Path) -> None:
    library = Library(tmp_path / "photos", tmp_path / "rollcall.db", names={n: f"{n}.png" for n in range(4)})
    for number in range(4):
        draw(library.path(number), (30, 0), (40, 255))
    library.index()
    plugin = library.open()
    photos = sorted(plugin.photos([1, 2, 3, 4]), key=lambda photo: photo.path)
    plugin.correct(corrections.age(photos[1].faces[0].face_id, 3))
    plugin.correct(corrections.tag(photos[2].photo_id, "x", True), corrections.not_a_face(photos[2].faces[1].face_id))
    plugin.correct(corrections.tag(photos[3].photo_id, "x", False))
    plugin.stop()
    before = library.effective()
    for when in ("before indexing", "after indexing"):
        _rebuild(library, when)
        assert library.effective() == before
    library.rename({1: "one.png", 3: "three.png"})
    library.index()
    after = library.effective()
    # Which of two equal files is which cannot be known, but every correction holds once.
    assert sorted(map(str, after.values())) == sorted(map(str, before.values()))


def _rebuild(library: Library, when: str) -> None:
    plugin = library.open()
    lines = json.loads(json.dumps(plugin.export_corrections()))
    plugin.stop()
    for file in library.database.parent.glob("rollcall.db*"):
        file.unlink()
    if when == "after indexing":
        library.index()
    plugin = library.open()
    imported = plugin.import_corrections(lines)
    assert (imported.added, imported.known) == (len(lines), 0)
    assert plugin.import_corrections(lines).known == len(lines)
    plugin.stop()
    if when == "before indexing":
        library.index()
    plugin = library.open()
    assert plugin.waiting_corrections() == []
    plugin.stop()


class BlindAnalyzer(BlobAnalyzer):
    """Detects no faces."""

    def analyze(self, pictures: Any) -> Any:
        self.seen += len(pictures)
        return [() for _ in pictures]
