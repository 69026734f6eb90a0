"""Fixtures: a plugin whose faces are drawn people, and a family of photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blobs import draw
from people_blobs import ANNA, BEN, CARL, PeopleAnalyzer
from rollcall.host import Plugin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "photos"
    found.mkdir()
    return found


@pytest.fixture
def make_plugin(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    opened: list[Plugin] = []

    def make(name: str = "rollcall", version: str = "blobs-1") -> Plugin:
        plugin = Plugin({"database.url": str(tmp_path / f"{name}.db")}, analyzer=PeopleAnalyzer(version))
        plugin.start()
        opened.append(plugin)
        return plugin

    yield make
    for plugin in opened:
        plugin.stop()


@pytest.fixture
def family(folder: Path, make_plugin: Callable[..., Plugin]) -> Plugin:
    """Six photos of Anna, 4 to 9 years old in 2014 to 2019; five of Ben; both on two of them; a stranger once."""
    for number in range(6):
        faces = [(4 + number, ANNA)] + ([(30 + number, BEN)] if number < 2 else [])
        draw(folder / f"IMG_{2014 + number}0601_120000.png", *faces, seed=number)
    for number in range(3):
        draw(folder / f"IMG_{2015 + number}0801_120000.png", (33 + number, BEN), seed=20 + number)
    draw(folder / "IMG_20160901_120000.png", (50, CARL), seed=30)
    plugin = make_plugin()
    plugin.index(folder)
    return plugin
