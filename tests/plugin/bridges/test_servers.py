"""What holds for every bridge to a server: nothing refused, nothing twice, everything taken back, whatever fails."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from bridged import SERVERS
from rollcall import Plugin, corrections
from rollcall.errors import BridgeError
from rollcall.storage.tables import BridgeItemRow, PhotoRow
from strict_server import Killed, StrictServer


@pytest.fixture(params=sorted(SERVERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(name: str) -> StrictServer:
    return SERVERS[name]()


def final_state(library: Plugin, name: str) -> Any:
    """What an undisturbed run leaves on a server that has nothing; what was sent before is forgotten."""
    forget(library)
    server = SERVERS[name]()
    library.bridge(name, transport=server)
    forget(library)
    assert not server.refused
    return server.state()


def forget(library: Plugin) -> None:
    with library.database.write() as session:
        session.execute(delete(BridgeItemRow))


def test_no_request_is_refused_and_all_photos_are_found(library: Plugin, name: str, server: StrictServer) -> None:
    before = server.state()
    report = library.bridge(name, transport=server)
    assert not server.refused
    assert not report.left_out
    assert server.state() != before


def test_a_second_run_sends_nothing(library: Plugin, name: str, server: StrictServer) -> None:
    library.bridge(name, transport=server)
    server.requests.clear()
    report = library.bridge(name, transport=server)
    assert not server.requests
    assert not report.made and not report.changed and not report.taken_back


def test_taking_back_leaves_the_server_as_it_was(library: Plugin, name: str, server: StrictServer) -> None:
    before = server.state()
    library.bridge(name, transport=server)
    library.bridge(name, undo=True, transport=server)
    assert server.state() == before
    assert not server.refused
    server.requests.clear()
    library.bridge(name, undo=True, transport=server)
    assert not server.requests, "nothing is remembered that has still to be taken back"


def test_what_was_taken_back_can_be_sent_again(library: Plugin, name: str, server: StrictServer) -> None:
    library.bridge(name, transport=server)
    there = server.state()
    library.bridge(name, undo=True, transport=server)
    library.bridge(name, transport=server)
    assert server.state() == there
    assert not server.refused


def test_a_dry_run_changes_nothing_and_counts_what_a_run_makes(
    library: Plugin, name: str, server: StrictServer
) -> None:
    before = server.state()
    dry = library.bridge(name, dry_run=True, transport=server)
    assert server.state() == before and not server.changes
    real = library.bridge(name, transport=server)
    assert dry.made == real.made
    dry = library.bridge(name, undo=True, dry_run=True, transport=server)
    back = library.bridge(name, undo=True, transport=server)
    assert +dry.taken_back == +back.taken_back


@pytest.mark.parametrize("trouble", ["500", "429", "half", "lost", "refuse to connect"])
def test_a_passing_trouble_of_any_request_changes_nothing(
    library: Plugin, name: str, server: StrictServer, trouble: str
) -> None:
    expected = final_state(library, name)
    seen: set[tuple[str, str]] = set()

    def once_each(number: int, method: str, path: str) -> str | None:
        if (method, path) in seen:
            return None
        seen.add((method, path))
        return trouble

    server.trouble = once_each
    library.bridge(name, transport=server)
    assert server.state() == expected
    library.bridge(name, undo=True, transport=server)
    assert server.state() == SERVERS[name]().state()
    assert not server.refused


@pytest.mark.parametrize("moment", ["kill before", "kill after"])
def test_a_run_that_is_killed_at_any_request_is_completed_by_the_next(library: Plugin, name: str, moment: str) -> None:
    expected = final_state(library, name)
    empty = SERVERS[name]().state()
    whole = SERVERS[name]()
    library.bridge(name, transport=whole)
    forget(library)
    kinds: Counter[tuple[str, str]] = Counter()
    for victim in range(1, len(whole.requests) + 1):
        # Of requests of one kind, to one address but for the number, two are enough.
        if not _changes(whole, victim) or kinds[_kind(whole, victim)] >= 2:
            continue
        kinds[_kind(whole, victim)] += 1
        server = SERVERS[name]()
        server.trouble = lambda number, method, path, victim=victim: moment if number == victim else None  # type: ignore[misc]
        with pytest.raises(Killed):
            library.bridge(name, transport=server)
        if victim % 2:
            library.bridge(name, transport=server)
            assert server.state() == expected, whole.requests[victim - 1]
        library.bridge(name, undo=True, transport=server)
        assert server.state() == empty, whole.requests[victim - 1]
        assert not server.refused
        forget(library)


def _kind(server: StrictServer, number: int) -> tuple[str, str]:
    method, path = server.requests[number - 1]
    return method, re.sub(r"[^/]*\d[^/]*", "N", path)


def _changes(server: StrictServer, number: int) -> bool:
    method, path = server.requests[number - 1]
    return method in ("POST", "PUT", "DELETE") and "search" not in path


@pytest.mark.parametrize("moment", ["kill before", "kill after"])
def test_taking_back_that_is_killed_is_completed_by_the_next(library: Plugin, name: str, moment: str) -> None:
    server = SERVERS[name]()
    empty = server.state()
    for victim in (1, 4, 11):
        library.bridge(name, transport=server)
        start = len(server.requests)
        server.trouble = lambda number, *_, at=start + victim: moment if number == at else None  # type: ignore[misc]
        try:
            library.bridge(name, undo=True, transport=server)
        except Killed:
            library.bridge(name, undo=True, transport=server)
        assert server.state() == empty
        server.trouble = lambda *_: None
    assert not server.refused


def test_a_server_that_stays_away_is_one_sentence_and_the_next_run_goes_on(
    library: Plugin, name: str, server: StrictServer
) -> None:
    server.trouble = lambda number, *_: "503" if number > 6 else None
    with pytest.raises(BridgeError, match="run the command again later"):
        library.bridge(name, transport=server)
    server.trouble = lambda *_: None
    library.bridge(name, transport=server)
    assert server.state() == final_state(library, name)


def test_a_wrong_key_ends_the_run_at_once(library: Plugin, name: str, server: StrictServer) -> None:
    server.allowed = lambda: False  # type: ignore[method-assign]
    with pytest.raises(BridgeError, match="is not accepted") as caught:
        library.bridge(name, transport=server)
    assert caught.value.status_there == 401
    assert len(server.requests) == 1


def test_a_tag_that_is_gone_here_is_taken_back_there(library: Plugin, name: str, server: StrictServer) -> None:
    library.bridge(name, transport=server)
    library.correct(corrections.tag(1, "Trips/Sea", accepted=False))
    library.bridge(name, transport=server)
    assert server.state() == final_state(library, name)
    assert not server.refused


def test_what_is_forgotten_here_is_taken_back_there(library: Plugin, name: str, server: StrictServer) -> None:
    library.bridge(name, transport=server)
    library.forget(photos=[1])
    library.forget(faces=[4])
    library.bridge(name, transport=server)
    assert server.state() == final_state(library, name)
    assert not server.refused
    library.bridge(name, transport=server)
    library.forget(everything=True)
    with library.database.read() as session:
        assert session.scalars(select(BridgeItemRow)).first() is None


def test_a_photo_whose_disk_is_away_stays_as_it_is_there(library: Plugin, name: str, server: StrictServer) -> None:
    library.bridge(name, transport=server)
    there = server.state()
    with library.database.write() as session:
        session.execute(update(PhotoRow).values(state="missing"))
    server.requests.clear()
    library.bridge(name, transport=server)
    assert server.state() == there and not server.requests


def test_photos_that_the_server_lacks_are_left_out_and_counted(library: Plugin, name: str, tmp_path: Path) -> None:
    server = SERVERS[name](without="a.png")
    report = library.bridge(name, transport=server)
    assert set(report.reasons) == {"the server has no such photo"}
    assert not server.refused


def test_a_stop_ends_the_run_between_two_requests(library: Plugin, name: str, server: StrictServer) -> None:
    import threading

    stop = threading.Event()

    def trouble(number: int, method: str, path: str) -> None:
        if len(server.changes) >= 2:
            stop.set()

    server.trouble = trouble  # type: ignore[assignment]
    report = library.bridge(name, transport=server, stop=stop)
    assert report.stopped
    library.bridge(name, transport=server)
    assert server.state() == final_state(library, name)


@pytest.mark.parametrize("name", ["immich", "nextcloud"])
def test_a_tag_or_a_person_whose_photos_the_server_does_not_have_is_not_made_there(library: Plugin, name: str) -> None:
    server = SERVERS[name](without="trip/c.png")  # the only photo of Zoë
    library.correct(corrections.tag(3, "Trips/Alone", accepted=True))
    for dry_run in (True, False):
        report = library.bridge(name, dry_run=dry_run, transport=server)
        assert report.reasons["the server has none of its photos"] >= 2
        assert report.reasons["the server has no such photo"] >= 2
    assert "Alone" not in str(server.state()) and "Zoë" not in str(server.state())
    assert "Trips/Sea" in str(server.state()) and not server.refused
    library.bridge(name, undo=True, transport=server)
    assert server.state() == SERVERS[name](without="trip/c.png").state()
