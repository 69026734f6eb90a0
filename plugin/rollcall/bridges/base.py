"""What a bridge is: the items that a server shall have, and how one of them is found, made, changed and taken back.

A new bridge is one class: it names its kinds of items, yields the items that the library wants there, and has four
short methods that send requests. What was sent is remembered by `bridges.memory`; comparing, resuming, trying without
doing and taking back are done by `bridges.sync` for all of them.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from rollcall.bridges.connection import Connection
from rollcall.bridges.content import Content, PhotoContent
from rollcall.records import Box

#: What names an item: its kind and its key.
Name = tuple[str, str]


class Item(NamedTuple):
    """One thing that a server shall have, such as a tag, or a face of a photo."""

    kind: str  # one of the bridge's `kinds`
    key: str  # names it among its kind, for good: made of numbers and uids of this library
    value: Mapping[str, Any]  # what JSON can hold; when it changes, the server's is changed
    photo: PhotoContent | None = None  # the photo that it is about
    needs: tuple[Name, ...] = ()  # items that the server must have before
    # The server's identifiers of the photo where they are known, such as those it was sent to; None: look for it.
    place: Mapping[str, Any] | None = None

    @property
    def name(self) -> Name:
        """Kind and key."""
        return self.kind, self.key

    @property
    def path(self) -> str:
        """What tells whether the photo was moved since: a digest of its path, as erased paths must not stay.

        Empty without a photo, and where its place is not looked for.
        """
        if self.photo is None or self.place is not None:
            return ""
        return hashlib.blake2b(os.fsencode(self.photo.file), digest_size=12).hexdigest()


class Found(NamedTuple):
    """What the server has in the place of an item."""

    remote: Mapping[str, Any]  # the server's identifiers
    # What has to be put back when ours is taken back; None: nothing needs to change, the item is there.
    before: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Remembered:
    """An item that was sent, or is being sent, to a server."""

    kind: str
    key: str
    value: Mapping[str, Any]
    # sending: the server may have it or not; done; theirs: the server had it already; withdrawn: taken back, but the
    # server keeps a trace that is used again.
    state: str = "sending"
    remote: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None  # None: Rollcall made it
    path: str = ""  # of the photo when its place on the server was last looked up; empty: not known

    @property
    def name(self) -> Name:
        """Kind and key."""
        return self.kind, self.key


class RefusedItem(Exception):  # it ends one item, not the run
    """The server, or the person who uses it, does not want this item; `reason` is a sentence without a full stop."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Bridge(ABC):
    """A bridge to one server.

    Parameters
    ----------
    connection
        How requests are sent.
    """

    #: As on the command line.
    name: ClassVar[str]
    #: The kinds of items, each behind those that it needs; they are taken back from last to first.
    kinds: ClassVar[tuple[str, ...]]
    #: How many items `make` takes at once, for the kinds that it takes several of.
    batches: ClassVar[Mapping[str, int]] = {}
    #: Kinds for which `change` alters an item in its place; others are taken back and made again.
    changeable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._remembered: Mapping[Name, Remembered] = {}

    # ---- For `sync`

    def attach(self, remembered: Mapping[Name, Remembered]) -> None:
        """Take the live mapping of what the server has; `remote` reads it."""
        self._remembered = remembered

    @abstractmethod
    def wanted(self, content: Content) -> Iterable[Item]:
        """Yield the items that the server shall have, without any request."""

    def prepare(self, content: Content) -> None:  # noqa: B027  most bridges need it, not all
        """Read from the server what the other methods need, such as its photos; called before the first of them."""

    def refresh(self) -> None:  # noqa: B027  a bridge may remember nothing
        """Forget what was read of the server's state, as it may have changed."""

    def group(self, item: Item) -> str:
        """Return a name that items which are made by one request share."""
        return item.key

    def place(self, item: Item) -> Mapping[str, Any]:
        """Return the server's identifiers of an item's photo, under the names that `remote` has them; empty if none.

        Asked for a photo that was moved here: where they differ from those that it had, what was sent is taken back
        there and made here.

        Raises
        ------
        RefusedItem
            If the server has no such photo.
        """
        return {}

    @abstractmethod
    def find(self, item: Item) -> Found | None:
        """Return what the server has in an item's place; None if nothing.

        Raises
        ------
        RefusedItem
            If the item must not be made: the server has no such photo, or a person decided otherwise there.
        """

    @abstractmethod
    def make(self, items: Sequence[Item]) -> list[Mapping[str, Any] | RefusedItem]:
        """Make items of one kind and group on the server; return for each the server's identifiers, or a refusal.

        Raises
        ------
        RefusedItem
            If the server does not take them.
        """

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        """Give the server's item another value; return its identifiers. Sent again after an error: it must not add up.

        Raises
        ------
        RefusedItem
            If the server does not take it.
        """
        raise NotImplementedError(f"{self.name} changes no {item.kind}")

    @abstractmethod
    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        """Remove what Rollcall made, or put back what stood there; items that are gone are no error.

        Returns for each row None, or the identifiers of a trace that the server keeps and `make` is to use again.

        Raises
        ------
        RefusedItem
            If one has to stay, because others use it by now.
        """

    # ---- For bridges

    def remote(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return the server's identifiers of an item; None if the server does not have it yet."""
        row = self._remembered.get((kind, key))
        return row.remote if row is not None and row.state in ("done", "theirs") else None

    def trace(self, item: Item) -> Mapping[str, Any]:
        """Return the identifiers of what the server kept when an item was taken back; empty if nothing."""
        row = self._remembered.get(item.name)
        return row.remote if row is not None and row.before is None else {}

    @staticmethod
    def required(remote: Mapping[str, Any] | None, what: str) -> Mapping[str, Any]:
        """Return `remote`.

        Raises
        ------
        RefusedItem
            If it is None.
        """
        if remote is None:
            raise RefusedItem(f"{what} is not there")
        return remote


def covers(box: Box, other: Box) -> bool:
    """Return whether two boxes, as fractions of one picture, are of the same face: IoU, or one in the other's middle.

    Programs draw boxes of different extent: some from chin to brow, others around the whole head.
    """
    if box.iou(other) >= 0.3:
        return True
    small, large = sorted((box, other), key=lambda one: one.width * one.height)
    dx = abs((small.x + small.width / 2) - (large.x + large.width / 2))
    dy = abs((small.y + small.height / 2) - (large.y + large.height / 2))
    return (
        dx < large.width / 4 and dy < large.height / 4 and small.width * small.height * 6 > large.width * large.height
    )


def best_cover(box: Box, others: Sequence[Box]) -> int | None:
    """Return the index of the box that is of the same face as `box` with the highest IoU; None if none is."""
    candidates = [(box.iou(other), -index) for index, other in enumerate(others) if covers(box, other)]
    return -max(candidates)[1] if candidates else None
