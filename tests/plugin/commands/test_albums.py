"""Albums and paired devices on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from blobs import BlobAnalyzer, draw
from rollcall.cli import cli
from rollcall.host import Plugin

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    draw(tmp_path / "photos" / "child.png", (5, 0))
    draw(tmp_path / "photos" / "adult.png", (45, 255), seed=1)
    found = tmp_path / "a.db"
    with Plugin({"database.url": str(found)}, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(tmp_path / "photos")
    return found


@pytest.fixture
def run(file: Path) -> Run:
    return lambda *words: CliRunner().invoke(cli, [*map(str, words), "-d", str(file)])


def test_an_album_is_saved_listed_changed_exported_and_removed(run: Run, tmp_path: Path) -> None:
    assert run("albums", "save", "Kids", "children").output == '1  Kids: 1 photo, "children"\n'
    (both,) = [json.loads(line) for line in run("albums", "list", "--json").output.splitlines()]
    assert (both["name"], both["photos"], both["shared"]) == ("Kids", 1, False)
    assert run("albums", "add", "kids", "1", "2").output.startswith("1  Kids: 2 photos")
    assert run("albums", "rename", "1", "All").exit_code == 0
    assert run("albums", "share", "All").output.endswith(", shared\n")
    assert run("albums", "export", "All", tmp_path / "all.zip").exit_code == 0
    with ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == ["adult.png", "child.png"]
    assert run("albums", "remove", "All").exit_code == 0
    assert run("albums", "list").stdout == ""
    assert run("corrections", "undo").exit_code == 0
    assert run("albums", "list").output.startswith("1  All: 2 photos")


def test_an_album_that_is_not_known_or_not_the_only_one_is_named(run: Run) -> None:
    assert (
        "no album is called"
        in run(
            "albums",
            "remove",
            "None",
        ).output
    )
    for _ in range(2):
        run("albums", "save", "Same", "children")
    assert "give one of the numbers 1, 2" in run("albums", "share", "same").output


def test_lists_that_are_empty_say_so_where_no_program_reads(run: Run) -> None:
    for words, said in (
        (("albums", "list"), "There are no albums yet"),
        (("people", "list"), "Nobody yet"),
        (("people", "list", "--named"), "Nobody has a name yet"),
        (("people", "list", "--unnamed"), "There is no group without a name"),
        (("people", "list", "--hidden"), "Nobody is hidden"),
        (("people", "questions"), "There is nothing to ask"),
        (("guests", "list"), "No device"),
    ):
        found = run(*words)
        assert (found.exit_code, found.stdout) == (0, "") and said in found.stderr, words


def test_paired_devices_are_listed_and_ended(run: Run, file: Path) -> None:
    with Plugin({"database.url": str(file)}, analyzer=BlobAnalyzer()) as plugin:
        token, path = plugin.pair_guest("Grandma's phone")
        plugin.pair_guest("tablet", everything=True)
        assert plugin.guest_of_token(token, path) is not None
        assert plugin.guest_of_token(token, "/g/other") is None
        listed = run("guests", "list").output.splitlines()
        assert [line.split(", since")[0] for line in listed] == [
            "2  tablet: all photos",
            "1  Grandma's phone: shared albums",
        ]
        assert run("guests", "end", "1").exit_code == 0
        assert plugin.guest_of_token(token, path) is None
        assert run("guests", "end", "1").exit_code == 1
        assert run("guests", "end").exit_code == 2
        assert run("guests", "end", "--all").exit_code == 0
        assert run("guests", "list").stdout == ""
