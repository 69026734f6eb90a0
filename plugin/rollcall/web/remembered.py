"""Answers of the plugin that are kept for as long as nothing is committed: lists and numbers of the whole library.

A page that is opened again, and the next part of results while one scrolls, need no second look at 100,000 photos. What
a commit made useless is found again while nobody waits (`web/warming.py`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context, copy_context
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.search.ranking import Ranked

if TYPE_CHECKING:
    from rollcall.web.results import Results

Value = TypeVar("Value")
#: Of the database, and the day: "last year" means another one after midnight.
State = tuple[int, date]
#: Answers that are kept at most: those that were asked for last.
MOST: Final = 64
#: How many results are looked up in one go while one scrolls: 600 take half as long again as 300.
STRETCH: Final = 600
#: Such stretches that are kept.
MOST_BLOCKS: Final = 24
#: For how long a list that is shown goes on as it was, in seconds.
_OLDEST: Final = 600.0
#: With more photos than this a page that needs a look at all of them begins without what it finds.
LARGE: Final = 20_000
#: Answers that are found again after a commit: so many, if they were asked for in the last so many seconds.
MOST_RENEWED: Final = 16
RENEWED_FOR: Final = 600.0


class Block(NamedTuple):
    """A stretch of results."""

    hits: list[Ranked]
    state: State | None  # when it was looked up
    made: float  # on the clock that only grows


class _Asked(NamedTuple):
    """What was asked for, and how it is found again: in the language of who asked."""

    find: Callable[[], Any]
    context: Context
    at: float  # on the clock that only grows


class Remembered:
    """The answers of one library. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._state: State | None = None
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()
        self._large = False
        self._blocks: OrderedDict[tuple[Results, int], Block] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, find: Callable[[], Value]) -> Value:
        """Return what `find` returns, or returned in this state of the database. Nobody may change it."""
        state = self._now()
        self._will_ask(name, find)
        with self._lock:
            self._forget_unless(state)
            if name in self._found:
                self._found.move_to_end(name)
                kept: Value = self._found[name]
                return kept
        return self._find(name, find, state)

    def _will_ask(self, name: Hashable, find: Callable[[], object]) -> None:
        """Note what is to be found again while nobody waits."""
        with self._lock:
            self._asked[name] = _Asked(find, copy_context(), time.monotonic())
            self._asked.move_to_end(name)
            if len(self._asked) > MOST:
                self._asked.popitem(last=False)

    def known(self, name: Hashable) -> Any:
        """Return what is kept under a name; None if nothing is."""
        state = self._now()
        with self._lock:
            self._forget_unless(state)
            return self._found.get(name)

    def renew(self, go_on: Callable[[], bool]) -> None:
        """Find again what was asked for lately and is kept no more, the last first, for as long as `go_on` says."""
        state, now = self._now(), time.monotonic()
        with self._lock:
            self._forget_unless(state)
            names = [name for name, asked in self._asked.items() if now - asked.at < RENEWED_FOR]
        for name in names[: -MOST_RENEWED - 1 : -1]:
            with self._lock:
                asked = None if name in self._found else self._asked.get(name)
            if asked is None:
                continue
            if not go_on():
                return
            try:
                asked.context.copy().run(self._find, name, asked.find, self._now())
            except RollcallError:  # an album that was removed, a name that nobody has any more
                with self._lock:
                    self._asked.pop(name, None)

    def is_large(self) -> bool:
        """Return whether a look at the whole library takes longer than a page may let anybody wait."""
        # What was large stays so, as far as a page is concerned.
        self._large = self._large or bool(self.plugin.search("", limit=1, offset=LARGE, order="date", faces=False))
        return self._large

    def _find(self, name: Hashable, find: Callable[[], Value], state: State | None) -> Value:
        value = find()
        with self._lock:
            # A commit meanwhile, which it may or may not have seen, makes it useless for others.
            if state is not None and state == self._state == self._now():
                self._found[name] = value
                if len(self._found) > MOST:
                    self._found.popitem(last=False)
        return value

    def _now(self) -> State | None:
        state = self.plugin.state()
        return None if state is None else (state, date.today())

    def _forget_unless(self, state: State | None) -> None:
        if state is None or state != self._state:
            self._found.clear()
            self._state = state

    # ---- Results

    def hits(self, results: Results, offset: int, limit: int, *, further: bool) -> Sequence[Ranked]:
        """Return photos of results from a place on; what lies further down is looked up many at a time.

        With `further` a list that is shown goes on, which may be as old as its first part: nothing comes twice then.

        Raises
        ------
        InvalidQueryError
            If the query cannot be understood.
        """
        results, state = results._replace(at=0), self._now()
        if offset == 0:
            with self._lock:
                for key in [key for key, block in self._blocks.items() if key[0] == results and block.state != state]:
                    del self._blocks[key]
                    self._found.pop(("ahead", results), None)
            found = self.get(("hits", results, limit), lambda: self._search(results, 0, limit))
            if len(found) == limit:
                # Whoever looks at the first photos may scroll.
                self._will_ask(("ahead", results), lambda: self._block(results, 1, limit, further=True))
            return found
        block = self._block(results, offset, limit, further=further)
        first = offset // STRETCH * STRETCH
        if len(block.hits) > STRETCH and (results, first + STRETCH) not in self._blocks:
            # Whoever scrolls goes on.
            with self._lock:
                self._found.pop(("ahead", results), None)
            self._will_ask(("ahead", results), lambda: self._block(results, first + STRETCH, limit, further=True))
        return block.hits[offset - first : offset - first + limit]

    def _block(self, results: Results, offset: int, limit: int, *, further: bool) -> Block:
        """Return the stretch of results that a place lies in, with one more part, so that each part lies in one."""
        first, now, state = offset // STRETCH * STRETCH, time.monotonic(), self._now()
        key = (results, first)

        def holds(block: Block | None) -> bool:
            if block is None:
                return False
            return (further and now - block.made < _OLDEST) or (state is not None and block.state == state)

        with self._lock:
            block, before = self._blocks.get(key), self._blocks.get((results, first - STRETCH))
        if block is None or not holds(block):
            # From the last one of the stretch before it on: what lies above need not be found again.
            behind = before.hits[STRETCH - 1] if before and holds(before) and len(before.hits) >= STRETCH else None
            block = Block(self._search(results, first, STRETCH + limit, behind), state, now)
            with self._lock:
                self._blocks[key] = block
                if len(self._blocks) > MOST_BLOCKS:
                    self._blocks.popitem(last=False)
        return block

    def _search(self, results: Results, offset: int, limit: int, behind: Ranked | None = None) -> list[Ranked]:
        if results.album:
            sure = self.plugin.album(results.album).min_probability
            return self.plugin.ranked(
                "",
                album=results.album,
                limit=limit,
                offset=offset,
                min_probability=sure,
                order="date",
                behind=behind,
            )
        return self.plugin.ranked(
            results.q,
            limit=limit,
            offset=offset,
            min_probability=results.sure,
            order=results.order,
            language=results.language,
            behind=behind,
        )
