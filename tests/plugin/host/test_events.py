"""Events for hosts: by callback, and by a view with a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import corrections, events
from rollcall.errors import NotFoundError
from rollcall.host import Plugin
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.views import V1_EVENTS

Poll = Callable[[], list[tuple]]


@pytest.fixture
def events_seen() -> list[events.Event]:
    return []


@pytest.fixture
def plugin(tmp_path: Path, events_seen: list[events.Event]) -> Iterator[Plugin]:
    made = Plugin(
        {"database.url": f"sqlite:///{tmp_path / 'r.db'}", "tags.precision": 0.99},
        events_seen.append,
        analyzer=BlobAnalyzer(),
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def poll(plugin: Plugin) -> Poll:
    """Return the events since the last call, as a host with a cursor sees them."""
    cursor = 0

    def since() -> list[tuple]:
        nonlocal cursor
        with plugin.database.read() as session:
            rows = session.execute(
                text("SELECT event_id, kind, photo_id, face_id FROM v1_events WHERE event_id > :cursor ORDER BY 1"),
                {"cursor": cursor},
            ).all()
        cursor = max([cursor, *(row[0] for row in rows)])
        return [tuple(row)[1:] for row in rows]

    return since


def test_the_events_of_a_photo_are_in_order(plugin: Plugin, poll: Poll, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    draw(library / "b.png", (50, 0), seed=1)
    plugin.index([library])
    found = poll()
    for photo_id in (1, 2):
        assert [one for one in found if one[1] == photo_id] == [
            ("tags_changed", photo_id, None),
            ("photo_indexed", photo_id, None),
        ]
    assert found[4:] == [("people_changed", None, None)]
    plugin.index([library])
    assert poll() == []
    (library / "a.png").rename(library / "moved.png")
    plugin.index([library])
    assert [kind for kind, photo, _ in poll() if photo == 1] == ["photo_missing", "photo_moved"]
    away = (library / "moved.png").rename(library.parent / "away.png")
    plugin.index([library])
    assert poll() == [("photo_missing", 1, None)]
    away.rename(library / "moved.png")
    plugin.index([library])
    assert poll() == [("photo_indexed", 1, None)]
    (library / "b.png").write_bytes(b"")
    plugin.index([library])
    assert poll() == [("photo_failed", 2, None)]
    plugin.correct(corrections.age(1, 40))
    assert poll() == [("corrected", 1, 1), ("tags_changed", 1, None)]
    plugin.undo()
    assert poll() == [("corrected", 1, 1), ("tags_changed", 1, None)]
    plugin.forget("photo:1")
    assert poll() == [("photo_forgotten", 1, None)]


def test_tag_changes_by_people_and_hosts_are_events(plugin: Plugin, poll: Poll, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    plugin.index([library])
    poll()
    plugin.correct(corrections.tag(1, "People/Children", accepted=False))
    assert ("tags_changed", 1, None) in poll()
    plugin.add_tag(1, "Holiday")
    assert poll() == [("tags_changed", 1, None)]
    plugin.remove_tag(1, "Holiday")
    assert poll() == [("tags_changed", 1, None)]


def test_listeners_get_events_of_committed_changes_only(
    plugin: Plugin, events_seen: list[events.Event], library: Path
) -> None:
    draw(library / "a.png", (5, 255))
    plugin.index([library])
    assert events.TagsChanged(1) in events_seen and any(isinstance(event, events.PhotoIndexed) for event in events_seen)
    events_seen.clear()
    plugin.correct(corrections.age(1, 40))
    assert events_seen == [events.Corrected(1, 1), events.TagsChanged(1)]
    events_seen.clear()
    with pytest.raises(NotFoundError):
        plugin.correct(corrections.age(1, 41), corrections.age(99, 41))
    assert events_seen == []


def test_a_listener_may_read_from_the_plugin(plugin: Plugin, library: Path) -> None:
    draw(library / "a.png", (5, 255))
    seen: list[int] = []
    plugin.subscribe(
        lambda event: (
            seen.append(len(plugin.photo(event.photo_id).tags)) if isinstance(event, events.TagsChanged) else None
        )
    )
    plugin.index([library])
    assert len(seen) == 1 and seen[0] >= 1


def test_a_suggested_tag_publishes_review_needed(
    plugin: Plugin, poll: Poll, events_seen: list[events.Event], library: Path
) -> None:
    draw(library / "a.png", (12, 255))  # as likely twelve as thirteen, which is no child
    plugin.index([library])
    with plugin.database.read() as session:
        suggested = session.execute(text("SELECT COUNT(*) FROM v1_tags WHERE state = 'suggested'")).scalar()
    assert suggested
    assert ("review_needed", 1, None) in poll()
    assert events.ReviewNeeded(1) in events_seen


def test_every_kind_is_documented() -> None:
    (column,) = (column for column in V1_EVENTS.columns if column.name == "kind")
    assert all(kind in column.help for kind in ChangeKind)
