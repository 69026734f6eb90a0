"""Photos that are moved here after they were sent: what Rollcall put to their old place goes to the new one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from bridged import SERVERS
from fake_immich import FakeImmich
from fake_nextcloud import FakeNextcloud
from fake_photoprism import FakePhotoPrism
from rollcall import Plugin
from rollcall.storage.tables import BridgeItemRow, PhotoRow
from strict_server import Killed, StrictServer

NEW = "moved/d.png"


@pytest.fixture(params=sorted(SERVERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def add(server: StrictServer, path: str) -> None:
    if isinstance(server, FakeImmich):
        server.add_asset(f"/library/{path}")
    elif isinstance(server, FakePhotoPrism):
        server.add_photo(path)
    elif isinstance(server, FakeNextcloud):
        server.add_file(f"/library/{path}")


def with_both(name: str) -> StrictServer:
    """Return a server that has the file under its old name, too, as it does until it is cleaned up there."""
    server = SERVERS[name]()
    add(server, NEW)
    return server


def move(library: Plugin, **paths: str) -> None:
    """Store that photos have other paths: `p1="new"`."""
    with library.database.write() as session:
        for number in paths:
            session.execute(update(PhotoRow).where(PhotoRow.id == int(number[1:])).values(path=f"between/{number}"))
        for number, path in paths.items():
            session.execute(update(PhotoRow).where(PhotoRow.id == int(number[1:])).values(path=path))


def forget(library: Plugin) -> None:
    with library.database.write() as session:
        session.execute(delete(BridgeItemRow))


def sent_anew(library: Plugin, name: str) -> Any:
    """What a server has that is sent everything for the first time; what was sent before is forgotten."""
    forget(library)
    server = with_both(name)
    library.bridge(name, transport=server)
    forget(library)
    return server.state()


@pytest.mark.parametrize("moved", [{"p1": NEW}, {"p1": "trip/b.png", "p2": "a.png"}], ids=["new name", "names swapped"])
def test_what_was_sent_goes_to_the_new_place(library: Plugin, name: str, moved: dict[str, str]) -> None:
    server = with_both(name)
    empty = server.state()
    library.bridge(name, transport=server)
    move(library, **moved)
    dry = library.bridge(name, dry_run=True, transport=server)
    report = library.bridge(name, transport=server)
    assert +report.taken_back and +dry.taken_back == +report.taken_back
    there, requests = server.state(), len(server.requests)
    library.bridge(name, transport=server)
    assert len(server.requests) == requests, "a second run asks for nothing"
    library.bridge(name, undo=True, transport=server)
    assert server.state() == empty and not server.refused
    assert there == sent_anew(library, name)


def test_a_photo_that_comes_back_to_its_old_name_has_everything_there_again(library: Plugin, name: str) -> None:
    server = with_both(name)
    library.bridge(name, transport=server)
    there = server.state()
    for path in (NEW, "a.png", NEW, "a.png"):
        move(library, p1=path)
        assert not library.bridge(name, transport=server).left_out
    assert server.state() == there


def test_what_was_sent_stays_until_the_server_has_the_photo_at_its_new_place(library: Plugin, name: str) -> None:
    server = SERVERS[name]()
    library.bridge(name, transport=server)
    there = server.state()
    move(library, p1=NEW)
    report = library.bridge(name, transport=server)
    assert server.state() == there
    assert report.reasons and all("its photo was moved here" in reason for reason in report.reasons)
    add(server, NEW)
    report = library.bridge(name, transport=server)
    assert not report.left_out and server.state() != there


def test_a_photo_that_was_renamed_there_as_well_is_left_alone(library: Plugin, name: str) -> None:
    server: Any = SERVERS[name]()
    library.bridge(name, transport=server)
    if name == "immich":
        next(iter(server.assets.values()))["originalPath"] = f"/library/{NEW}"
    elif name == "photoprism":
        next(iter(server.photos.values()))["Files"][0]["Name"] = NEW
    else:
        server.files[f"/library/{NEW}"] = server.files.pop("/library/a.png")
    move(library, p1=NEW)
    changes = len(server.changes)
    report = library.bridge(name, transport=server)
    assert len(server.changes) == changes and not report.left_out
    requests = len(server.requests)
    library.bridge(name, transport=server)
    assert len(server.requests) == requests


def test_items_that_an_earlier_version_sent_are_looked_up_once(library: Plugin, name: str) -> None:
    server = with_both(name)
    library.bridge(name, transport=server)
    with library.database.write() as session:
        for row in session.scalars(select(BridgeItemRow)):
            row.value = {key: one for key, one in row.value.items() if not key.startswith("@")}
    move(library, p1=NEW)
    library.bridge(name, transport=server)
    requests, there = len(server.requests), server.state()
    library.bridge(name, transport=server)
    assert len(server.requests) == requests
    assert there == sent_anew(library, name)


@pytest.mark.parametrize("moment", ["kill before", "kill after"])
def test_a_run_that_is_killed_while_it_moves_is_completed_or_undone(library: Plugin, name: str, moment: str) -> None:
    move(library, p1=NEW)
    expected = sent_anew(library, name)
    empty = with_both(name).state()
    victim, killed = 0, True
    while killed:
        move(library, p1="a.png")
        forget(library)
        server = with_both(name)
        library.bridge(name, transport=server)
        move(library, p1=NEW)
        changes = len(server.changes) + victim
        server.trouble = lambda *_, at=changes, one=server: moment if len(one.changes) > at else None  # type: ignore[misc]
        try:
            library.bridge(name, transport=server)
            killed = False
        except Killed:
            pass
        server.trouble = lambda *_: None
        if victim % 2 or not killed:
            library.bridge(name, transport=server)
            assert server.state() == expected, victim
        library.bridge(name, undo=True, transport=server)
        assert server.state() == empty, victim
        victim += 1
    assert victim > 2


def test_what_arrived_before_a_kill_is_found_where_the_photo_was_then(library: Plugin, name: str) -> None:
    for victim in range(0, 12, 3):
        forget(library)
        move(library, p1="a.png")
        server = with_both(name)
        empty = server.state()
        server.trouble = lambda *_, at=victim, one=server: "kill after" if len(one.changes) > at else None  # type: ignore[misc]
        with suppress(Killed):
            library.bridge(name, transport=server)
        server.trouble = lambda *_: None
        move(library, p1=NEW)
        if victim % 2:
            library.bridge(name, transport=server)
            there = server.state()
        library.bridge(name, undo=True, transport=server)
        assert server.state() == empty, victim
        assert not victim % 2 or there == sent_anew(library, name)
