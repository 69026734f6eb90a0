"""Answers of the plugin that are kept for as long as nothing is committed: lists and numbers of the whole library.

A page that is opened again, and the next part of results while one scrolls, need no second look at 100,000 photos.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from rollcall.host import Plugin
from rollcall.search import Hit

if TYPE_CHECKING:
    from rollcall.web.results import Results

Value = TypeVar("Value")
#: Of the database, and the day: "last year" means another one after midnight.
State = tuple[int, date]
#: Answers that are kept at most: those that were asked for last.
MOST: Final = 64
#: Photos of results that are looked up in one go: a little more work than one part of them.
BLOCK: Final = 3000
#: Such stretches that are kept.
MOST_BLOCKS: Final = 8
#: For how long a list that is shown goes on as it was, in seconds.
_OLDEST: Final = 600.0
#: With more photos than this a page that needs a look at all of them begins without what it finds.
LARGE: Final = 20_000


class Block(NamedTuple):
    """A stretch of results."""

    hits: list[Hit]
    state: State | None  # when it was looked up
    made: float  # on the clock that only grows


class Remembered:
    """The answers of one library. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._state: State | None = None
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._large = False
        self._blocks: OrderedDict[tuple[Results, int], Block] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, find: Callable[[], Value]) -> Value:
        """Return what `find` returns, or returned in this state of the database. Nobody may change it."""
        state = self._now()
        with self._lock:
            self._forget_unless(state)
            if name in self._found:
                self._found.move_to_end(name)
                kept: Value = self._found[name]
                return kept
        value = find()
        with self._lock:
            # A commit meanwhile, which it may or may not have seen, makes it useless for others.
            if state is not None and state == self._state == self._now():
                self._found[name] = value
                if len(self._found) > MOST:
                    self._found.popitem(last=False)
        return value

    def known(self, name: Hashable) -> Any:
        """Return what is kept under a name; None if nothing is."""
        state = self._now()
        with self._lock:
            self._forget_unless(state)
            return self._found.get(name)

    def is_large(self) -> bool:
        """Return whether a look at the whole library takes longer than a page may let anybody wait."""
        # What was large stays so, as far as a page is concerned.
        self._large = self._large or bool(self.plugin.search("", limit=1, offset=LARGE, order="date", faces=False))
        return self._large

    def _now(self) -> State | None:
        state = self.plugin.state()
        return None if state is None else (state, date.today())

    def _forget_unless(self, state: State | None) -> None:
        if state is None or state != self._state:
            self._found.clear()
            self._state = state

    def hits(self, results: Results, offset: int, limit: int, *, further: bool) -> Sequence[Hit]:
        """Return photos of results from a place on; what lies further down is looked up many at a time.

        With `further` a list that is shown goes on, which may be as old as its first part: nothing comes twice then.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        """
        # Of an album all are found before the first is known.
        if offset == 0 and not results.album:
            with self._lock:
                for key in [key for key in self._blocks if key[0] == results._replace(at=0)]:
                    del self._blocks[key]
            return self._search(results, 0, limit)
        first = offset // BLOCK * BLOCK
        key, now, state = (results._replace(at=0), first), time.monotonic(), self._now()
        with self._lock:
            block = self._blocks.get(key)
        goes_on = block is not None and further and now - block.made < _OLDEST
        if block is None or not (goes_on or (state is not None and block.state == state)):
            # One more part than a block, so that each part lies in one.
            block = Block(self._search(results, first, BLOCK + limit), state, now)
            with self._lock:
                self._blocks[key] = block
                if len(self._blocks) > MOST_BLOCKS:
                    self._blocks.popitem(last=False)
        return block.hits[offset - first : offset - first + limit]

    def _search(self, results: Results, offset: int, limit: int) -> list[Hit]:
        if results.album:
            return self.plugin.album_photos(results.album, limit=limit, offset=offset)
        return self.plugin.search(
            results.q,
            limit=limit,
            offset=offset,
            min_probability=results.sure,
            order=results.order,
            faces=False,
            language=results.language,
        )
