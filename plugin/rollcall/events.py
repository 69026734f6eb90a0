"""Events of a run and of corrections, for listeners: a progress bar, a host, a log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class Discovered(Event):
    """A scan has found `total` pictures so far that this run will analyse."""

    total: int
    finished: bool


@dataclass(frozen=True, slots=True)
class PhotoIndexed(Event):
    """A picture was analysed and its rows are committed."""

    photo_id: int
    path: Path
    faces: int


@dataclass(frozen=True, slots=True)
class PhotoFailed(Event):
    """A picture cannot be used; `reason` is one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PhotosSkipped(Event):
    """`count` pictures are unchanged since they were last analysed."""

    count: int


@dataclass(frozen=True, slots=True)
class PhotoMoved(Event):
    """A picture was recognised by its content under another path; its rows and numbers stay."""

    photo_id: int
    old: Path
    new: Path


@dataclass(frozen=True, slots=True)
class PhotosMissing(Event):
    """`count` pictures are no longer where they were; their rows stay and are marked as missing."""

    count: int


@dataclass(frozen=True, slots=True)
class TagsChanged(Event):
    """The tags of a photo changed."""

    photo_id: int


@dataclass(frozen=True, slots=True)
class ReviewNeeded(Event):
    """A photo has a suggested tag that waits for review."""

    photo_id: int


@dataclass(frozen=True, slots=True)
class Corrected(Event):
    """A correction of a photo or one of its faces was recorded, undone or redone."""

    photo_id: int
    face_id: int | None


@dataclass(frozen=True, slots=True)
class PeopleChanged(Event):
    """People, their names, or whose faces are whose changed: read them again."""


@dataclass(frozen=True, slots=True)
class AlbumsChanged(Event):
    """Albums, or the photos that were chosen for them, changed: read them again."""


@dataclass(frozen=True, slots=True)
class Forgotten(Event):
    """Photos and faces were erased, on request or because of a file `.rollcall-ignore`."""

    photos: int
    faces: int


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """A message that a person should see; nothing stops because of it."""

    message: str


Listener = Callable[[Event], None]
#: Ends a subscription.
Unsubscribe = Callable[[], None]


def ignore(event: Event) -> None:
    """Do nothing with an event."""


class EventBus:
    """Publishes events to any number of listeners. May be used from any thread.

    A listener that raises is logged; it neither ends the run that published the event, nor keeps the other listeners
    from getting it.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Unsubscribe:
        """Call `listener` with every event from now on; return a function that ends it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                listeners = list(self._listeners)
                if listener in listeners:
                    listeners.remove(listener)
                self._listeners = tuple(listeners)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Call every listener with an event, on the calling thread."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed with %r; the others go on", event)
