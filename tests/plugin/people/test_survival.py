"""Whatever happens to files, networks and the database, no word about people is lost or moves to somebody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from people_blobs import ANNA, PeopleAnalyzer, faces_of, rows, who
from rollcall.host import Plugin

Told = dict[str, tuple[object, ...]]


def say_everything(plugin: Plugin) -> None:
    """Say one of each: names, confirmed and rejected faces, a split, a merge, dates, relations."""
    first, second = (one.person_id for one in plugin.people())
    plugin.name_person(first, "Anna", "Annie")
    plugin.name_person(second, "Ben")
    plugin.confirm_faces(first, faces_of(plugin, 5, 6))
    plugin.reject_faces(first, faces_of(plugin, 7, 7))
    carl = plugin.name_face(faces_of(plugin, 50, 50)[0], "Carl")
    other = plugin.split_faces(faces_of(plugin, 35, 35), "Dan")
    plugin.merge_people(second, other.person_id)
    plugin.set_birth_date(first, "2010-02")
    plugin.set_me(second)
    plugin.relate(first, "child_of", second)
    plugin.hide_people(carl.person_id)


def told(plugin: Plugin) -> Told:
    """Return all that was said, by faces' ages and people's uids, without any numbers of this database."""
    people = rows(
        plugin,
        "SELECT q.uid, v.names, q.hidden, q.is_me, q.birth_date FROM v1_people v JOIN people q ON q.id = v.person_id"
        " WHERE v.state = 'named' ORDER BY 1",
    )
    faces = rows(
        plugin,
        "SELECT ROUND(p.age), q.uid FROM face_people w JOIN predictions p USING (face_id) JOIN people q ON q.id ="
        " w.person_id JOIN faces f ON f.id = w.face_id WHERE w.state = 'confirmed' AND f.present ORDER BY 1, 2",
    )
    rejected = rows(
        plugin,
        "SELECT ROUND(p.age), q.uid FROM person_rejections w JOIN predictions p USING (face_id)"
        " JOIN people q ON q.id = w.person_id ORDER BY 1, 2",
    )
    related = rows(
        plugin,
        "SELECT a.uid, r.relation, b.uid FROM person_relations r JOIN people a ON a.id = r.person_id"
        " JOIN people b ON b.id = r.other_id ORDER BY 1",
    )
    return {"people": tuple(people), "faces": tuple(faces), "rejected": tuple(rejected), "related": tuple(related)}


@pytest.fixture
def said(family: Plugin) -> Plugin:
    say_everything(family)
    assert {who(family, face)[0] for face in faces_of(family, 4, 9)} == {"Anna", None}
    assert len(told(family)["faces"]) >= 6
    return family


def test_an_analysis_of_everything_by_new_networks_changes_nothing(said: Plugin, folder: Path) -> None:
    before = told(said)
    said.index(folder, force=True)
    assert told(said) == before
    assert isinstance(said.analyzer, PeopleAnalyzer)
    said.analyzer.model_version = "blobs-2"
    said.index(folder)
    said.group_people()
    assert told(said) == before


def test_files_that_are_renamed_and_saved_again_keep_their_people(said: Plugin, folder: Path) -> None:
    before = told(said)
    for number, file in enumerate(sorted(folder.glob("*.png"))):
        target = folder / "new" / f"{file.stem[:12]}_{number}.webp"
        target.parent.mkdir(exist_ok=True)
        with Image.open(file) as picture:
            picture.save(target, lossless=True)
        file.unlink()
    said.index(folder)
    assert told(said) == before


def test_a_database_that_is_rebuilt_hears_all_of_it_before_or_after_it_is_indexed(
    said: Plugin, folder: Path, make_plugin: Callable[..., Plugin]
) -> None:
    before, lines = told(said), said.export_corrections()
    after = make_plugin("after")
    after.index(folder)
    assert after.import_corrections(lines).waiting == 0
    assert told(after) == before
    first = make_plugin("first")
    # Lines of faces wait for their photos, those of people need none.
    assert first.import_corrections(lines).waiting == sum(line["content_hash"] is not None for line in lines)
    assert [one.name for one in first.people(named=True, hidden=None)]
    first.index(folder)
    assert told(first) == before
    assert first.import_corrections(lines).added == 0
    # What is proposed is found again, too: the group of each name.
    for plugin in (after, first):
        plugin.group_people()
        assert {who(plugin, face)[0] for face in (*faces_of(plugin, 4, 6), *faces_of(plugin, 8, 9))} == {"Anna"}


def test_files_that_are_back_as_they_were_before_they_were_saved_in_another_format_have_their_people(
    said: Plugin, folder: Path
) -> None:
    before = told(said)
    first = {file: file.read_bytes() for file in folder.glob("*.png")}
    for file in first:
        with Image.open(file) as picture:
            picture.save(file.with_suffix(".webp"), lossless=True)
        file.unlink()
    said.index(folder)
    for file, content in first.items():
        file.write_bytes(content)
        file.with_suffix(".webp").unlink()
    said.index(folder)
    assert told(said) == before


def test_who_stood_in_a_group_that_was_named_makes_way_in_a_new_database_too(
    family: Plugin, folder: Path, make_plugin: Callable[..., Plugin]
) -> None:
    family.name_person(family.people()[0].person_id, "Anna")
    again = make_plugin("again")
    again.import_corrections(family.export_corrections())
    again.index(folder)
    anna, ben = faces_of(again, 5, 5)[0], faces_of(again, 31, 31)[0]
    assert who(again, anna) == ("Anna", "proposed", "user")
    again.name_face(ben, "Anna")
    assert [who(again, face)[0] for face in (anna, ben)] == [None, "Anna"]


def test_a_new_group_is_nobody_who_went_into_another_one(family: Plugin, folder: Path) -> None:
    anna, ben = (one.person_id for one in family.people())
    gone = family.person(ben).uid
    family.merge_people(anna, ben)
    family.reject_faces(anna, faces_of(family, 30, 35))
    family.group_people()
    assert len(family.people()) == 2
    assert gone not in {one.uid for one in family.people()}


def test_all_of_it_can_be_undone_and_redone_word_by_word(said: Plugin) -> None:
    states = [told(said)]
    batches = len({line["batch"] for line in said.export_corrections()})
    for _ in range(batches):
        said.undo()
        states.append(told(said))
    assert states[-1] == {"people": (), "faces": (), "rejected": (), "related": ()}
    for state in reversed(states[:-1]):
        said.redo()
        assert told(said) == state


def test_a_photo_whose_face_is_confirmed_keeps_it_where_the_detector_finds_it_no_more(
    said: Plugin, folder: Path
) -> None:
    face = faces_of(said, 5, 5)[0]
    analyzer = said.analyzer
    assert isinstance(analyzer, PeopleAnalyzer)
    found = analyzer._faces
    analyzer._faces = lambda picture: tuple(  # type: ignore[method-assign]
        one for one in found(picture) if not (one.age == 5 and one.p_female == ANNA / 255)
    )
    said.index(folder, force=True)
    assert who(said, face) == ("Anna", "confirmed", "user")
