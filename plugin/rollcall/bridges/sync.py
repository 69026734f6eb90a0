"""Bring a server to what the library wants there: compare with what was sent, send the difference, take it back.

Before a request that adds something, a row says that it is being sent, and what stood there; after it, that it is done.
A run that ends in between, however it ends, therefore leaves nothing that the next run does not know of.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from rollcall.bridges import content as contents
from rollcall.bridges.base import Bridge, Item, RefusedItem, Remembered
from rollcall.bridges.connection import UnclearError
from rollcall.bridges.content import Content
from rollcall.bridges.memory import Memory
from rollcall.bridges.plan import Plan, compare
from rollcall.errors import BridgeError

T = TypeVar("T")
#: Called with how many items were dealt with, and how many there are.
Progress = Callable[[int, int], None]

#: How often a request of unknown effect is looked into and sent again.
_TRIES: Final = 5


@dataclass
class BridgeReport:
    """What a run of a bridge did, or with `dry_run` would do; numbers by kind of items."""

    made: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    taken_back: Counter[str] = field(default_factory=Counter)
    already_there: Counter[str] = field(default_factory=Counter)  # the server had them
    # Items that were left out, and why: the server has no such photo, or a person decided otherwise there.
    left_out: list[tuple[str, str, str]] = field(default_factory=list)  # kind, key, reason
    sent: int = 0  # requests that change something
    stopped: bool = False  # before the end; the next run goes on

    @property
    def reasons(self) -> Counter[str]:
        """How many items were left out for each reason."""
        return Counter(reason for _, _, reason in self.left_out)


class Sync:
    """One run of a bridge.

    Parameters
    ----------
    bridge
        What sends the requests.
    memory
        What was sent before.
    content
        What the library has.
    dry_run
        Change nothing, on the server or in the memory.
    stop
        Ends the run after the request in flight when set.
    progress
        See `Progress`.
    """

    def __init__(
        self,
        bridge: Bridge,
        memory: Memory,
        content: Content,
        *,
        dry_run: bool = False,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.bridge, self.memory, self.content, self.dry_run = bridge, memory, content, dry_run
        self.report = BridgeReport()
        self._stop = stop or threading.Event()
        self._progress = progress or (lambda done, total: None)
        self._rows = memory.load()
        self._done = self._total = 0
        bridge.attach(self._rows)

    def push(self) -> BridgeReport:
        """Send what is new or changed, and take back what is no longer wanted.

        Raises
        ------
        BridgeError
            If the server cannot be reached or refuses; what was done until then is remembered.
        """
        plan = compare(self.bridge.wanted(self.content), self._rows)
        self._total = plan.total
        with self.bridge.connection.understood():
            self._push(plan)
        return self._ended()

    def _push(self, plan: Plan) -> None:
        if plan.new or plan.changed or plan.moved:
            self.bridge.prepare(self.content)
        moved = self._moved(plan)
        self._total += len(moved)  # they are taken back, and made
        for kind in self.bridge.kinds:
            self._move([item for item in moved if item.kind == kind], plan.new)
            self._change([item for item in plan.changed if item.kind == kind], plan.new)
            for part in self._parts([item for item in plan.new if item.kind == kind]):
                self._make(part)
        self._take_back(plan.gone)

    def undo(self) -> BridgeReport:
        """Take everything back that was sent, so that the server is as it was.

        Raises
        ------
        BridgeError
            As `push`.
        """
        rows = [row for row in self._rows.values() if row.state != "withdrawn"]
        self._total = len(rows)
        with self.bridge.connection.understood():
            self._take_back(rows)
        return self._ended()

    def _ended(self) -> BridgeReport:
        self.report.sent = self.bridge.connection.sent
        self.report.stopped = self._stop.is_set()
        return self.report

    def _step(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)

    def _leave_out(self, kind: str, key: str, reason: str) -> None:
        self.report.left_out.append((kind, key, reason))

    # ---- Make

    def _parts(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Yield the items in parts that one request can make, until the run is stopped."""
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(self.bridge.group(item), []).append(item)
        for members in groups.values():
            size = self.bridge.batches.get(members[0].kind, 1)
            for start in range(0, len(members), size):
                if self._stop.is_set():
                    return
                yield members[start : start + size]

    def _make(self, items: Sequence[Item]) -> None:
        self._until_clear(lambda: self._make_once(items))
        self._step(len(items))

    def _until_clear(self, work: Callable[[], T]) -> T:
        """Do some work that looks at the server before it sends; again, where the effect of a request is not known.

        Raises
        ------
        BridgeError
            If the server goes on to fail.
        """
        for attempt in range(_TRIES):
            try:
                return work()
            except UnclearError as error:
                trouble = str(error)
            if self._stop.is_set():
                break
            # What it did is read from it before anything is sent again, so that nothing is there twice.
            self.bridge.connection.pause(attempt)
            self.bridge.refresh()
        raise BridgeError(
            self.bridge.connection.url,
            f"it does not answer as it should ({trouble}); run the command again later, it goes on where it stopped",
        )

    def _make_once(self, items: Sequence[Item]) -> None:
        todo: list[tuple[Item, Remembered]] = []
        for item in items:
            known = self._rows.get(item.name)
            if known is not None and known.state in ("done", "theirs"):
                continue  # of this part, before an answer was lost
            try:
                todo += self._resolve(item, known)
            except RefusedItem as refused:
                self._leave_out(item.kind, item.key, refused.reason)
        if not todo or self.dry_run:
            self.report.made.update(item.kind for item, _ in todo)
            return
        self._store([row for _, row in todo])
        try:
            remotes = self.bridge.make([item for item, _ in todo])
        except RefusedItem as refused:
            self._drop([row for _, row in todo])
            for item, _ in todo:
                self._leave_out(item.kind, item.key, refused.reason)
            return
        done = []
        for (item, row), remote in zip(todo, remotes, strict=True):
            if isinstance(remote, RefusedItem):
                self._leave_out(item.kind, item.key, remote.reason)
                self._drop([row])
                continue
            row.state, row.remote = "done", remote
            self.report.made[item.kind] += 1
            done.append(row)
        self._store(done)

    def _resolve(self, item: Item, known: Remembered | None) -> list[tuple[Item, Remembered]]:
        """Return the item if it has to be made; deal with one that the server has in some form.

        Raises
        ------
        RefusedItem
            If it must not be made, or what it needs is not there.
        """
        # It says which photos the server does not have, before what they need is found missing for that reason.
        found = self.bridge.find(item)
        if not self.dry_run:
            for kind, key in item.needs:
                self.bridge.required(self.bridge.remote(kind, key), f"the {kind} that it needs")
        resumed = known is not None and known.state == "sending"
        if found is None:
            # Where it is being sent to: there it is looked for after a kill, also if the photo was moved meanwhile.
            trace = {**({} if known is None else known.remote), **self.bridge.place(item)}
            return [(item, Remembered(item.kind, item.key, item.value, remote=trace, path=item.path))]
        if found.before is None:
            # A run before this one sent it and ended before it could note that.
            before = known.before if known is not None else None
            row = Remembered(
                item.kind,
                item.key,
                item.value,
                "done" if resumed else "theirs",
                found.remote,
                before if resumed else None,
                item.path,
            )
            (self.report.made if resumed else self.report.already_there)[item.kind] += 1
            self._store([row])
            return []
        row = Remembered(item.kind, item.key, item.value, "sending", found.remote, found.before, item.path)
        if known is not None and resumed and known.before is not None:
            row.before = known.before
        self.report.changed[item.kind] += 1
        if not self.dry_run:
            self._store([row])
            row = replace(row, remote=self._changed(item, row), state="done")
            self._store([row])
        return []

    # ---- Move

    def _moved(self, plan: Plan) -> list[Item]:
        """Return the items whose photos have other places on the server; those that have the same may be changed."""
        moved = []
        for one in plan.moved:
            if self._stop.is_set():
                break
            item, row = one, self._rows[one.name]
            try:
                place = self._until_clear(lambda item=item: self.bridge.place(item))  # type: ignore[misc]
            except RefusedItem as refused:
                if row.path:
                    self._leave_out(item.kind, item.key, f"its photo was moved here, and {refused.reason}; it stays")
                place = {}
                if row.state != "sending":
                    item = item._replace(place=row.remote)
            if row.state == "sending" or any(row.remote.get(name, at) != at for name, at in place.items()):
                moved.append(item)
                continue
            if place:
                row = replace(row, path=item.path)
                self._store([row])
            if dict(row.value) != dict(item.value):
                plan.changed.append(item)
            else:
                self._step(1)
        return moved

    def _move(self, items: Sequence[Item], new: list[Item]) -> None:
        """Take items back where their photos were; all of them first, as photos may have changed places."""
        self._take_back([self._rows[item.name] for item in items])
        for item in items:
            row = self._rows.get(item.name)
            if self.dry_run:
                self._rows.pop(item.name, None)
            elif row is not None and row.state != "withdrawn":
                continue  # the run was stopped before
            new.append(item)

    # ---- Change

    def _change(self, items: Sequence[Item], new: list[Item]) -> None:
        """Give items their new values; those that cannot be changed in their place are added to `new`."""
        for item in items:
            if self._stop.is_set():
                return
            row = self._rows[item.name]
            if row.state == "theirs" or item.kind not in self.bridge.changeable:
                if row.state != "theirs":
                    self._take_back([row])
                self._drop([row])
                new.append(item)
                continue
            self.report.changed[item.kind] += 1
            if not self.dry_run:
                try:
                    # The row keeps the old value until this is done: the request may be sent twice, and does no harm.
                    row = replace(row, remote=self._changed(item, row), value=item.value)
                except RefusedItem as refused:
                    self._leave_out(item.kind, item.key, refused.reason)
                    continue
                self._store([row])
            self._step(1)

    def _changed(self, item: Item, row: Remembered) -> Mapping[str, Any]:
        return self._until_clear(lambda: self.bridge.change(item, row))

    # ---- Take back

    def _take_back(self, rows: Sequence[Remembered]) -> None:
        rows = list(self._certain(rows))
        for kind in reversed(self.bridge.kinds):
            # From last to first: a tag below another one goes first.
            of_kind = [row for row in reversed(rows) if row.kind == kind]
            self._drop([row for row in of_kind if row.state == "theirs"])
            of_kind = [row for row in of_kind if row.state != "theirs"]
            if self.dry_run:
                self.report.taken_back[kind] += len(of_kind)
                continue
            size = self.bridge.batches.get(kind, 1)
            for start in range(0, len(of_kind), size):
                if self._stop.is_set():
                    return
                self._take_back_part(kind, of_kind[start : start + size])

    def _take_back_part(self, kind: str, rows: Sequence[Remembered]) -> None:
        try:
            traces = self._until_clear(lambda: self.bridge.take_back(rows))
        except RefusedItem as refused:
            for row in rows:
                self._leave_out(kind, row.key, refused.reason)
            self._drop(rows)
            return
        self.report.taken_back[kind] += len(rows)
        self._drop([row for row, trace in zip(rows, traces, strict=True) if trace is None])
        self._store(
            [
                replace(row, state="withdrawn", remote=trace)
                for row, trace in zip(rows, traces, strict=True)
                if trace is not None
            ]
        )
        self._step(len(rows))

    def _certain(self, rows: Sequence[Remembered]) -> Iterator[Remembered]:
        """Yield the rows of what the server has: of those that were being sent, what arrived is found out."""
        if any(row.state == "sending" for row in rows):
            self.bridge.prepare(self.content)
        for row in rows:
            if row.state != "sending":
                yield row
                continue
            number = row.value.get("photo")
            photo = contents.photo(self.memory.database, number) if isinstance(number, int) else None
            try:
                found = self.bridge.find(Item(row.kind, row.key, row.value, photo, place=row.remote))
            except RefusedItem:
                found = None
            if found is not None and found.before is None:
                yield replace(row, state="done", remote=found.remote)
            else:
                self._drop([row])

    # ---- Memory

    def _store(self, rows: Sequence[Remembered]) -> None:
        if self.dry_run:
            return
        self.memory.store(rows)
        self._rows.update((row.name, row) for row in rows)

    def _drop(self, rows: Sequence[Remembered]) -> None:
        if self.dry_run or not rows:
            return
        self.memory.drop(rows)
        for row in rows:
            self._rows.pop(row.name, None)
