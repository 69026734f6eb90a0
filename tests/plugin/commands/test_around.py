"""Commands in this process, on a drawn library without networks: what they print, keep and refuse."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import cli, corrections
from rollcall.commands import serve
from rollcall.errors import ConflictError, StoreError
from rollcall.host import Plugin
from rollcall.host.correcting import CorrectingMixin
from rollcall.settings import load

Run = Callable[..., Result]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    draw(tmp_path / "photos" / "child.png", (5, 0))
    draw(tmp_path / "photos" / "pair.png", (40, 255), (12, 0), seed=1)
    return tmp_path / "around.db"


@pytest.fixture
def plugin(library: Path) -> Iterator[Plugin]:
    made = Plugin({"database.url": str(library)}, analyzer=BlobAnalyzer())
    made.start()
    made.index([library.parent / "photos"])
    yield made
    made.stop()


@pytest.fixture
def run(library: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> Run:
    # The networks are not what these tests are about.
    monkeypatch.setattr(CorrectingMixin, "_describe", lambda self, result, wait: result)

    def command(*words: str, **more: Any) -> Result:
        return CliRunner().invoke(cli.cli, [*words, "-d", str(library)], **more)

    return command


def test_a_search_that_finds_nothing_says_that_photos_wait(run: Run, plugin: Plugin) -> None:
    assert "not looked at" not in run("search", "at least 9 people").output
    with plugin.database.write() as session:
        session.execute(text("UPDATE photos SET state = 'pending' WHERE id = 1"))
    assert "1 photo not looked at yet" in run("search", "at least 9 people").output


def test_pictures_of_which_none_can_be_read_end_with_an_exit_code(run: Run, tmp_path: Path) -> None:
    done = run("analyze", str(tmp_path / "none.jpg"))
    assert done.exit_code == 1 and "1 picture of 1 could not be read" in done.output


def test_the_number_of_a_drawn_face_is_on_standard_output(run: Run, plugin: Plugin) -> None:
    done = run("correct", "photo:1", "--box", "0.6,0.1,0.1,0.1")
    assert done.exit_code == 0, done.output
    assert done.stdout == "face:4\n"
    told = json.loads(run("correct", "photo:1", "--box", "0.8,0.1,0.1,0.1", "--json").stdout)
    assert told == {"batch": told["batch"], "count": 1, "photo_ids": [1], "new_faces": [5]}


def test_a_tag_is_taken_back(run: Run, plugin: Plugin) -> None:
    assert run("correct", "photo:1", "--tag", "Holiday").exit_code == 0
    assert any(tag.name == "Holiday" for tag in plugin.photo(1).tags)
    assert run("correct", "photo:1", "--take-back-tag", "Holiday").exit_code == 0
    assert not any(tag.name == "Holiday" for tag in plugin.photo(1).tags)


def test_an_age_that_is_no_whole_number_is_refused(run: Run, plugin: Plugin) -> None:
    refused = run("correct", "face:1", "--age", "5.5")
    assert refused.exit_code != 0 and "completed years; give 5" in (refused.stderr + str(refused.exception))
    assert plugin.corrections() == []
    assert run("correct", "face:1", "--age", "5.0").exit_code == 0


def test_undo_takes_back_what_the_same_person_did_in_the_same_place(run: Run, plugin: Plugin) -> None:
    run("correct", "face:1", "--age", "30")
    run("correct", "face:1", "--age", "31", "--by", "anna")
    plugin.correct(corrections.age(1, 50), origin="page 1")
    plugin.correct(corrections.age(2, 60), origin="page 2")
    assert run("corrections", "undo").exit_code == 0
    undone = {entry.value["low"]: entry.undone for entry in plugin.corrections() if entry.kind == "age"}
    assert undone == {30: True, 31: False, 50: False, 60: False}
    plugin.undo(origin="page 1")
    plugin.undo(by="anna")
    undone = {entry.value["low"]: entry.undone for entry in plugin.corrections() if entry.kind == "age"}
    assert undone == {30: True, 31: True, 50: True, 60: False}
    refused = run("corrections", "undo")
    assert refused.exit_code != 0 and "--any" in (refused.stderr + str(refused.exception))
    assert run("corrections", "undo", "--any").exit_code == 0
    with pytest.raises(ConflictError):
        plugin.undo()


def test_the_log_names_what_an_undo_undid_and_shows_a_restore_as_one_line(run: Run, plugin: Plugin) -> None:
    plugin.correct(corrections.move(1, plugin.face(1).box))
    for age in (20, 30, 40):
        plugin.correct(corrections.age(1, age))
    plugin.undo()
    lines = run("corrections", "list").stdout.splitlines()
    assert "undo of line 4" in lines[0]
    assert all(len(number) <= 6 for number in lines[-1].partition("[")[2].partition("]")[0].split(", "))
    plugin.restore(1)
    lines = run("corrections", "list").stdout.splitlines()
    assert "undo of lines 2, 3" in lines[0] and len(lines) == 6
    assert plugin.corrections(limit=1)[0].of_line in (2, 3)


def test_lines_about_people_and_albums_are_not_shown_as_waiting_for_a_photo(run: Run, plugin: Plugin) -> None:
    plugin.name_face(1, "Anna")
    plugin.save_album("Kids", "children")
    lines = run("corrections", "list").stdout.splitlines()
    about = {line.split()[3] for line in lines}
    assert {"albums", "people", "face:1"} <= about and "waiting" not in about
    plugin.undo()
    assert "waiting" not in run("corrections", "list").stdout


def test_a_check_of_a_disk_that_is_away_does_not_say_that_all_is_well(run: Run, plugin: Plugin) -> None:
    assert "All is well." in run("check").stdout
    photos = Path(plugin.photo(1).path).parent
    photos.rename(photos.with_name("unplugged"))
    told = run("check")
    assert "All else is well; plug the disk in" in told.stdout and told.exit_code == 0


def test_the_status_has_tags_and_the_settings_keep_square_brackets(run: Run, plugin: Plugin) -> None:
    plugin.correct(corrections.tag(1, "Holiday", True))
    assert "Holiday: 1 photo, 0 suggested" in run("status").stdout
    tags = json.loads(run("status", "--json").stdout)["tags"]
    assert {"name": "Holiday", "applied": 1, "suggested": 0, "rejected": 0} in tags
    shown = run("settings", "--set", "tags.prefix=[bold]x", env={"COLUMNS": "300"})
    assert "[bold]x" in shown.stdout, shown.output


def test_ages_that_are_forgotten_are_counted(run: Run, plugin: Plugin) -> None:
    told = json.loads(run("forget", "--ages", "--dry-run", "--json").stdout)
    assert (told["ages"], told["genders"], told["faces"]) == (3, 0, 0)
    assert "3 ages" in run("forget", "--ages", "--yes").stdout


def test_a_review_without_a_terminal_says_what_to_do(library: Path, plugin: Plugin) -> None:
    for number in range(3):
        draw(library.parent / "photos" / f"{number}.png", (12, 90), seed=7 + number)
    plugin.index([library.parent / "photos"])
    done = subprocess.run(
        [sys.executable, "-m", "rollcall", "review", "-d", str(library)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, start_new_session=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "rollcall review --list" in done.stderr


def test_the_address_is_printed_when_it_is_answered(
    library: Path, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[bool] = []

    def announce(address: str, *_: object) -> None:
        port = int(address.partition("127.0.0.1:")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=60):
            answered.append(True)
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "_announce", announce)
    with pytest.raises(KeyboardInterrupt):
        serve.serve(load(None, {"database.url": str(library)}), [], port=0)
    assert answered == [True]
    ahead = [thread for thread in threading.enumerate() if thread.name == "rollcall-ahead"]
    for thread in ahead:
        thread.join(60)
    assert not any(thread.is_alive() for thread in ahead)


@pytest.mark.parametrize(
    "words",
    [
        "status", "check", "search women", "people list", "people show 1", "people questions", "albums list",
        "guests list", "corrections list", "corrections list --waiting", "corrections export {file}",
        "xmp status", "adapt --list", "tag --dry-run", "backup {file}",
    ],
)  # fmt: skip
def test_a_command_that_only_reads_makes_no_database(tmp_path: Path, words: str) -> None:
    given = words.format(file=tmp_path / "out").split()
    done = CliRunner().invoke(cli.cli, [*given, "-d", str(tmp_path / "none.db")])
    assert isinstance(done.exception, StoreError) and "there is no database yet" in str(done.exception)
    assert not list(tmp_path.iterdir())
