"""Sidecars are written where a person turned it on, follow what changes, and never touch an original."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import full_disk
from blobs import draw
from drawn import open_to_all, ordinary_user
from rollcall import corrections
from rollcall.errors import LibraryError, SettingsError
from rollcall.indexing.watcher import Watcher
from sidecars import bag, packet, read


def facts(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return hash and times of the photos."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_ctime_ns)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".png", ".jpg")
    }


def test_nothing_is_written_by_default(make_library: Callable[..., Any]) -> None:
    library = make_library()
    draw(library.folder / "a.png", (5, 0))
    library.index()
    assert os.listdir(library.folder) == ["a.png"]
    assert not library.plugin.sidecar_status().writing
    with pytest.raises(SettingsError, match=r"xmp\.write_photos"):
        library.plugin.write_sidecars()


def test_a_named_folder_is_written_whatever_the_settings_are(make_library: Callable[..., Any]) -> None:
    library = make_library()
    draw(library.folder / "in" / "a.png", (5, 0))
    draw(library.folder / "out" / "b.png", (5, 0), seed=1)
    library.index()
    assert library.plugin.write_sidecars([library.folder / "in"], dry_run=True).written == 1
    assert os.listdir(library.folder / "in") == ["a.png"]
    assert library.plugin.write_sidecars([library.folder / "in"]).written == 1
    assert (library.folder / "in" / "a.png.xmp").exists()
    assert os.listdir(library.folder / "out") == ["b.png"]
    with pytest.raises(LibraryError):
        library.plugin.write_sidecars([library.folder.parent / "elsewhere"])


def test_a_folder_and_a_tag_can_be_turned_on(make_library: Callable[..., Any]) -> None:
    library = make_library(write_folders=["family"], write_tags=["People/Sen*"])
    draw(library.folder / "family" / "x" / "a.png", (5, 0), (30, 0))
    draw(library.folder / "work" / "b.png", (5, 0), (70, 0))
    draw(library.folder / "work" / "c.png", (5, 0), seed=1)
    library.index()
    assert set(read(library.folder / "family" / "x" / "a.png.xmp").tags_list or ()) == {
        "People/Children",
        "People/Adults",
    }
    assert read(library.folder / "work" / "b.png.xmp").tags_list == ("People/Seniors",)
    assert not read(library.folder / "work" / "b.png.xmp").regions.present
    assert not (library.folder / "work" / "c.png.xmp").exists()


def test_no_original_is_opened_for_writing_nor_changed(library: Any) -> None:
    opened: list[str] = []
    watching = [True]

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and watching[0]:
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC)
            if writes and str(path).endswith((".png", ".jpg")):
                opened.append(f"{path} {mode}")

    for number in range(3):
        draw(library.folder / f"{number}.png", (5, 0), (30 + number, 0), seed=number)
    before = facts(library.folder)
    sys.addaudithook(audit)
    library.index()
    library.plugin.correct(corrections.tag(library.photo_id("1.png"), "Beach", True))
    library.plugin.write_sidecars()
    library.plugin.read_sidecars()
    library.plugin.remove_from_sidecars()
    watching[0] = False
    assert opened == []
    assert facts(library.folder) == before
    assert sorted(os.listdir(library.folder)) == sorted(before)


def test_a_correction_reaches_the_sidecar_at_the_next_run(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0), (30, 0))
    library.index()
    photo = library.photo_id()
    library.plugin.correct(corrections.tag(photo, "People/Children", False), corrections.tag(photo, "Beach", True))
    library.index()
    assert read(library.folder / "a.png.xmp").tags_list == ("People/Adults", "Beach")
    library.plugin.undo()
    library.index()
    assert set(read(library.folder / "a.png.xmp").tags_list or ()) == {"People/Adults", "People/Children"}


def test_a_dismissed_face_and_a_hidden_name_are_not_written(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0), (30, 0))
    library.index()
    first, second = (row[0] for row in library.rows("SELECT face_id FROM v1_faces ORDER BY x"))
    uid = corrections.new_uid()
    library.plugin.correct(corrections.person(second, uid), corrections.person_name(uid, ["Anna"]))
    library.plugin.correct(corrections.not_a_face(first))
    library.index()
    assert [name for _, name in read(library.folder / "a.png.xmp").regions.faces] == ["Anna"]
    library.plugin.correct(corrections.person_name(uid, ["Bea"]))
    library.index()
    assert [name for _, name in read(library.folder / "a.png.xmp").regions.faces] == ["Bea"]
    library.plugin.correct(corrections.person_hidden(uid))
    library.plugin.write_sidecars()
    assert [name for _, name in read(library.folder / "a.png.xmp").regions.faces] == [""]


@pytest.mark.parametrize(
    ("values", "tags", "names", "note"),
    [
        ({"tags": "confirmed"}, None, ["", ""], False),
        ({"regions": "off"}, ("People/Adults", "People/Children"), [], False),
        ({"regions": "named"}, ("People/Adults", "People/Children"), [], False),
        ({"estimates": True}, ("People/Adults", "People/Children"), ["", ""], True),
    ],
)
def test_settings_decide_what_is_written(
    make_library: Callable[..., Any], values: dict[str, object], tags: object, names: list[str], note: bool
) -> None:
    library = make_library(write_photos=True, **values)
    draw(library.folder / "a.png", (5, 0), (30, 255))
    library.index()
    found = read(library.folder / "a.png.xmp")
    assert found.tags_list == tags
    assert [name for _, name in found.regions.faces] == names
    text = (library.folder / "a.png.xmp").read_text()
    assert ("about 5 years, male (estimated)" in text) == note
    assert ("female" in text) == note


def test_what_others_wrote_stays_and_taking_back_leaves_their_file(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    draw(library.folder / "b.png", (30, 0))
    theirs = library.folder / "a.png.xmp"
    theirs.write_bytes(packet("<!-- mine -->" + bag("dc:subject", "Beach") + "<xmp:Rating>5</xmp:Rating>"))
    library.index()
    assert read(theirs).subject == ("Beach", "Children")
    assert b"<!-- mine -->" in theirs.read_bytes()
    report = library.plugin.remove_from_sidecars()
    assert (report.written, report.deleted) == (1, 1)
    assert read(theirs).subject == ("Beach",)
    assert b"<xmp:Rating>5</xmp:Rating>" in theirs.read_bytes()
    assert sorted(os.listdir(library.folder)) == ["a.png", "a.png.xmp", "b.png"]


def test_a_second_run_writes_nothing(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    sidecar = library.folder / "a.png.xmp"

    def state() -> tuple[Any, ...]:
        # All but the time of the last access, which reading changes.
        found = sidecar.stat()
        return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    before = state()
    library.index()
    report = library.plugin.write_sidecars()
    assert (report.written, report.unchanged) == (0, 1)
    assert state() == before


def test_turning_it_on_writes_photos_that_were_indexed_before(make_library: Callable[..., Any]) -> None:
    library = make_library()
    draw(library.folder / "a.png", (5, 0))
    library.index()
    library.plugin.stop()
    make_library(write_photos=True).index()
    assert (library.folder / "a.png.xmp").exists()


def test_a_damaged_sidecar_is_left_as_it_is_and_told_once(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar = library.folder / "a.png.xmp"
    sidecar.write_bytes(b"<x:xmpmeta")
    library.index()
    library.index()
    assert sidecar.read_bytes() == b"<x:xmpmeta"
    assert len([one for one in library.warnings if "cannot be read" in one]) == 1
    assert library.plugin.sidecar_status().problems
    sidecar.write_bytes(packet(bag("dc:subject", "Beach")))
    library.index()
    library.plugin.write_sidecars()
    assert read(sidecar).subject == ("Beach", "Children")
    assert not library.plugin.sidecar_status().problems


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_read_only_folder_is_told_once_and_written_when_it_can_be(
    make_library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = make_library(write_photos=True)
    with open_to_all() as folder:
        for number in range(3):
            draw(folder / f"{number}.png", (5, 0), seed=number)
        library.plugin.settings  # noqa: B018  its database stays where root writes
        folder.chmod(0o555)
        monkeypatch.setattr("rollcall.xmp.sync._RETRY_MINUTES", 0)
        if os.geteuid() == 0:
            refuse_in(monkeypatch, folder)
        library.plugin.index(folder)
        library.plugin.index(folder)
        assert len([one for one in library.warnings if "sidecars cannot be written" in one]) == 1
        assert not list(folder.glob("*.xmp"))
        monkeypatch.undo()
        folder.chmod(0o755)
        library.plugin.write_sidecars()
        assert len(list(folder.glob("*.xmp"))) == 3
        assert not library.plugin.sidecar_status().problems


def test_a_full_disk_ends_the_command_with_one_sentence_and_the_next_one_goes_on(
    tmp_path: Path, make_library: Callable[..., Any]
) -> None:
    library = make_library()
    with full_disk.small_disk(tmp_path / "disk") as disk:
        for number in range(3):
            draw(disk / f"{number}.png", (5, 0), seed=number)
        library.plugin.index(disk)
        with full_disk.full(disk):
            with pytest.raises(LibraryError, match=r"disk: sidecars cannot be written, as the disk is full; make room"):
                library.plugin.write_sidecars([disk])
            assert not list(disk.glob("*.xmp*")) and not list(disk.glob(".*"))
        assert library.plugin.write_sidecars([disk]).written == 3


def test_a_photo_whose_sidecar_cannot_be_there_stops_neither_the_run_nor_its_folder(
    make_library: Callable[..., Any],
) -> None:
    library = make_library(write_photos=True)
    # No name has more than 255 bytes; beside one of 250 the sidecar's own fits, and that of what is written first not.
    for number, length in enumerate((255, 254, 250, 5)):
        draw(library.folder / "short.png", (5, 0), seed=number).rename(library.folder / f"{number:0{length - 4}}.png")
    draw(library.folder / "b.png", (5, 0), seed=9)
    (library.folder / "b.png.xmp").mkdir()
    library.index()
    assert library.plugin.status().photos == {"indexed": 5}
    written = sorted(len(path.name) for path in library.folder.glob("*.xmp") if path.is_file())
    assert written == [9, 254]
    problems = library.plugin.sidecar_status().problems.values()
    assert [sum(word in one for one in problems) for word in ("shorter one", "a folder has the name")] == [2, 1]
    library.index()
    assert library.plugin.write_sidecars([library.folder]).unchanged == 2


def refuse_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let root be refused as others are: nothing is written in a folder."""
    from rollcall.xmp import files

    write = files._write

    def refused(part: Path, data: bytes, like: Path) -> None:
        if part.is_relative_to(folder):
            with ordinary_user():
                write(part, data, like)
        else:
            write(part, data, like)

    monkeypatch.setattr(files, "_write", refused)


def test_a_sidecar_that_another_program_changes_meanwhile_is_read_again(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollcall.xmp import files

    draw(library.folder / "a.png", (5, 0))
    sidecar = library.folder / "a.png.xmp"
    replace, left = files.replace, [2]

    def interrupted(path: Path, *arguments: object, **options: object) -> object:
        if left[0]:
            left[0] -= 1
            path.write_bytes(packet(bag("dc:subject", "Beach", *(f"x{left[0]}" for _ in range(1)))))
        return replace(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "replace", interrupted)
    library.index()
    assert read(sidecar).subject == ("Beach", "x0", "Children")
    assert library.tags()["Beach"] == ("host", "applied")


def test_a_kill_between_file_and_database_leaves_entries_known_as_ours(
    make_library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollcall.xmp import writer

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    library = make_library(write_photos=True)
    draw(library.folder / "a.png", (5, 0))
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_remember", killed)
        with pytest.raises(Killed):
            library.index()
    assert read(library.folder / "a.png.xmp").subject == ("Children",)
    library.index()
    assert library.tags() == {"People/Children": ("auto", "applied")}
    library.plugin.remove_from_sidecars()
    assert os.listdir(library.folder) == ["a.png"]


def test_after_such_a_kill_and_a_change_by_another_program_they_are_too(
    make_library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollcall.xmp import writer

    library = make_library(write_photos=True)
    draw(library.folder / "a.png", (5, 0))
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_remember", lambda *_: None)
        library.index()
    sidecar = library.folder / "a.png.xmp"
    sidecar.write_bytes(
        sidecar.read_bytes().replace(b"<rdf:li>Children</rdf:li>", b"<rdf:li>Children</rdf:li><rdf:li>Sea</rdf:li>")
    )
    library.index()
    assert library.tags() == {"People/Children": ("auto", "applied"), "Sea": ("host", "applied")}
    library.plugin.remove_from_sidecars()
    assert read(sidecar).subject == ("Sea",)


def test_a_sidecar_that_moves_after_its_photo_keeps_its_authors(make_library: Callable[..., Any]) -> None:
    library = make_library(write_photos=True)
    draw(library.folder / "a.png", (5, 0))
    library.index()
    library.plugin.stop()
    library = make_library()
    (library.folder / "a.png").rename(library.folder / "b.png")
    library.index()  # the sidecar is not there yet
    assert library.tags("b.png") == {"People/Children": ("auto", "applied")}
    (library.folder / "a.png.xmp").rename(library.folder / "b.png.xmp")
    library.index()
    assert library.tags("b.png") == {"People/Children": ("auto", "applied")}
    assert library.faces() == [(None, None, "auto")]
    library.plugin.remove_from_sidecars()
    assert read(library.folder / "b.png.xmp").is_empty


def test_the_watcher_writes_corrections_without_an_event_of_the_file_system(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    library.plugin.correct(corrections.tag(library.photo_id(), "Beach", True))
    assert library.plugin.service.indexer.sidecars.is_due()
    library.plugin.service.indexer.follow()
    assert read(library.folder / "a.png.xmp").subject == ("Children", "Beach")
    library.plugin.service.indexer.follow()
    assert not library.plugin.service.indexer.sidecars.is_due()


def test_a_watched_sidecar_is_read(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    sidecar = library.folder / "a.png.xmp"
    sidecar.write_bytes(sidecar.read_bytes().replace(b"<rdf:li>Children</rdf:li>", b"<rdf:li>Sea</rdf:li>"))
    library.plugin.service.indexer.update([sidecar])
    assert library.tags() == {"People/Children": ("user", "rejected"), "Sea": ("host", "applied")}
    watcher = Watcher(library.plugin.service.indexer, [library.folder], library.plugin.settings)
    assert watcher.concerns(sidecar, folder=False)
    assert not watcher.concerns(library.folder / ".a.png.xmp.rollcall-part", folder=False)


def test_keywords_with_bars_stay_in_a_sidecar_as_they_were(make_library: Callable[..., Any]) -> None:
    library = make_library()
    draw(library.folder / "a.png", (30, 0))
    path = library.folder / "a.png.xmp"
    path.write_bytes(packet(bag("dc:subject", "Places|Rome") + bag("lr:hierarchicalSubject", "Places|Rome|Forum")))
    library.index()
    assert {"Places/Rome", "Places/Rome/Forum"} <= library.applied()
    library.plugin.correct(corrections.tag(library.photo_id(), "Trips|2019", True))
    library.plugin.write_sidecars([library.folder])
    found = read(path)
    assert "Places|Rome" in found.subject and "2019" in found.subject
    assert {"Places|Rome|Forum", "Trips|2019"} <= set(found.hierarchical)
    library.index()
    assert {"Places/Rome", "Places/Rome/Forum", "Trips/2019"} <= library.applied()
    assert not any("|" in tag for tag in library.tags())
