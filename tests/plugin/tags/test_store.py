"""Automatic tags and those of hosts and people, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.cli import cli
from rollcall.errors import InvalidCorrectionError, NotFoundError
from rollcall.host import Plugin

CHILDREN = "People/Children"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tags.db"


def opened(file: Path, **names: str) -> Plugin:
    plugin = Plugin(
        {"database.url": f"sqlite:///{file}", **{f"tags.{name}": value for name, value in names.items()}},
        analyzer=BlobAnalyzer(),
    )
    plugin.start()
    return plugin


@pytest.fixture
def plugin(file: Path, library: Path) -> Iterator[Plugin]:
    draw(library / "child.png", (5, 0))
    draw(library / "adult.png", (40, 0), seed=1)
    made = opened(file)
    made.index([library])
    yield made
    made.stop()


def tags(plugin: Plugin, name: str) -> dict[str, tuple[str, str]]:
    (found,) = [hit.photo_id for hit in plugin.search(f"path:{name}")]
    return {tag.name: (tag.source, tag.state) for tag in plugin.photo(found).tags}


def number(plugin: Plugin, name: str) -> int:
    (hit,) = plugin.search(f"path:{name}")
    return hit.photo_id


def test_a_rejected_tag_stays_rejected_under_another_name(plugin: Plugin, file: Path) -> None:
    plugin.correct(corrections.tag(number(plugin, "child"), CHILDREN, False))
    plugin.stop()
    run = CliRunner().invoke(cli, ["tag", "-d", str(file), "--set", "tags.children=Kinder", "--set", "tags.prefix="])
    assert run.exit_code == 0, run.output
    again = opened(file, children="Kinder", prefix="")
    again.correct(corrections.age(again.photo(number(again, "child")).faces[0].face_id, 6))
    assert tags(again, "child")["Kinder"] == ("user", "rejected")
    assert "child.png" not in {hit.path.name for hit in again.search("tag:Kinder")}
    again.stop()


def test_withdrawing_a_rejection_brings_the_automatic_tag_back(plugin: Plugin) -> None:
    photo = number(plugin, "child")
    plugin.correct(corrections.tag(photo, CHILDREN, False))
    assert tags(plugin, "child")[CHILDREN] == ("user", "rejected")
    plugin.correct(corrections.take_back("tag", photo_id=photo, name=CHILDREN))
    assert tags(plugin, "child")[CHILDREN] == ("auto", "applied")


def test_a_host_cannot_set_what_a_person_rejected(plugin: Plugin) -> None:
    photo = number(plugin, "adult")
    assert plugin.add_tag(photo, "Trip / Rome")
    assert tags(plugin, "adult")["Trip/Rome"] == ("host", "applied")
    plugin.correct(corrections.tag(photo, "Trip/Rome", False))
    assert not plugin.add_tag(photo, "Trip/Rome")
    assert tags(plugin, "adult")["Trip/Rome"] == ("user", "rejected")
    plugin.undo()
    assert tags(plugin, "adult")["Trip/Rome"] == ("host", "applied")
    assert plugin.remove_tag(photo, "Trip/Rome")
    assert "Trip/Rome" not in tags(plugin, "adult")


def test_a_host_removes_only_its_own_tags(plugin: Plugin) -> None:
    photo = number(plugin, "child")
    assert not plugin.remove_tag(photo, CHILDREN)
    assert tags(plugin, "child")[CHILDREN] == ("auto", "applied")
    with pytest.raises(NotFoundError, match="no photo 99"):
        plugin.add_tag(99, "x")
    with pytest.raises(InvalidCorrectionError, match="cannot be a tag"):
        plugin.add_tag(photo, " / ")


def test_a_dry_run_reports_changes_and_makes_none(plugin: Plugin, file: Path) -> None:
    plugin.stop()
    options = ["tag", "-d", str(file), "--set", "tags.children=Enfants"]
    tried = CliRunner().invoke(cli, [*options, "--dry-run"])
    assert "none -> applied: People/Enfants" in tried.output and "applied -> none: People/Children" in tried.output
    again = CliRunner().invoke(cli, [*options, "--dry-run"])
    assert again.output == tried.output
    done = CliRunner().invoke(cli, options)
    assert "none -> applied: People/Enfants" in done.output
    assert "People/Enfants" not in CliRunner().invoke(cli, [*options, "--dry-run"]).output


@pytest.mark.parametrize("name", ["Ferien/Straße", "家族/子供", "Семья", "a\u0301ccent", "x" * 300, "100%_sure"])
def test_tag_names_of_any_language_are_stored_and_found(plugin: Plugin, name: str) -> None:
    plugin.correct(corrections.tag(number(plugin, "child"), name, True))
    assert tags(plugin, "child")[name] == ("user", "applied")
    assert [hit.path.name for hit in plugin.search(f'tag:"{name}"')] == ["child.png"]
