"""Corrections hold in photographs that are saved again, cropped and mirrored, with the shipped networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from rollcall import corrections
from rollcall.commands.demo_library import portraits
from rollcall.host import Plugin

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


def test_corrections_hold_in_photos_saved_again_cropped_mirrored_and_imported(tmp_path: Path) -> None:
    hopper, collins, cat = portraits()
    both = Image.new("RGB", (hopper.width + collins.width, max(hopper.height, collins.height)), "gray")
    both.paste(hopper, (0, 0))
    both.paste(collins, (hopper.width, 0))
    folder = tmp_path / "photos"
    folder.mkdir()
    made = {"again": collins, "moved": hopper, "cropped": collins.resize((600, 600)), "mirrored": both, "cat": cat}
    for name, image in made.items():
        image.save(folder / f"{name}.jpg", quality=92)
    plugin = Plugin({"database.url": f"sqlite:///{tmp_path / 'a.db'}"})
    plugin.start()
    plugin.index([folder])
    photos = {hit.path.stem: plugin.photo(hit.photo_id) for hit in plugin.search("faces:>=0")}
    for age, name in ((11, "again"), (22, "moved"), (33, "cropped")):
        plugin.correct(corrections.age(photos[name].faces[0].face_id, age))
    left, right = sorted(photos["mirrored"].faces, key=lambda face: face.box.x)
    plugin.correct(corrections.age(left.face_id, 44), corrections.not_a_face(right.face_id))
    plugin.correct(corrections.tag(photos["cat"].photo_id, "People/Children", False))

    (folder / "again.jpg").unlink()
    collins.save(folder / "again.jpg", quality=60)
    (folder / "moved.jpg").unlink()
    hopper.save(folder / "elsewhere.jpg", quality=70)
    collins.resize((600, 600)).crop((60, 0, 520, 400)).save(folder / "cropped.jpg", quality=90)
    ImageOps.mirror(both).save(folder / "mirrored.jpg", quality=90)
    cat.save(folder / "a cat.jpg", quality=70)
    (folder / "cat.jpg").unlink()
    plugin.index([folder])
    _check(plugin)
    lines = plugin.export_corrections()
    plugin.stop()
    plugin = Plugin({"database.url": f"sqlite:///{tmp_path / 'b.db'}"})
    plugin.start()
    plugin.import_corrections(lines)
    plugin.index([folder])
    _check(plugin)
    assert plugin.waiting_corrections() == []
    plugin.stop()


def _check(plugin: Plugin) -> None:
    photos = {hit.path.stem: plugin.photo(hit.photo_id) for hit in plugin.search("faces:>=0")}
    for age, name in ((11, "again"), (22, "elsewhere"), (33, "cropped")):
        assert [face.age for face in photos[name].faces if face.age_source == "user"] == [age], name
    # The detector also takes a badge, further down, for a face.
    (face,) = (face for face in photos["mirrored"].faces if face.box.y < 0.3)
    assert (face.age, face.box.x > 0.5) == (44, True)
    assert ("People/Children", "rejected") in {(tag.name, tag.state) for tag in photos["a cat"].tags}
