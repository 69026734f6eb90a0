"""What a run of a bridge has to do: the difference between what is wanted and what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rollcall.bridges.base import Item, Name, Remembered


class Plan(NamedTuple):
    """The difference between what is wanted and what is remembered."""

    new: list[Item]
    changed: list[Item]
    gone: list[Remembered]
    moved: list[Item]  # their photos have other paths than when they were sent

    @property
    def total(self) -> int:
        """How many items it is about."""
        return len(self.new) + len(self.changed) + len(self.gone) + len(self.moved)


def compare(wanted: Iterable[Item], remembered: dict[Name, Remembered]) -> Plan:
    """Return what has to be done."""
    plan = Plan([], [], [], [])
    names = set()
    for item in wanted:
        names.add(item.name)
        row = remembered.get(item.name)
        if row is not None and row.state != "withdrawn" and _was_moved(item, row):
            plan.moved.append(item)
        elif row is None or row.state in ("sending", "withdrawn"):
            plan.new.append(item)
        elif dict(row.value) != dict(item.value):
            plan.changed.append(item)
    plan.gone.extend(row for name, row in remembered.items() if name not in names and row.state != "withdrawn")
    return plan


def _was_moved(item: Item, row: Remembered) -> bool:
    """Return whether the photo's place on the server has to be looked up anew.

    Of rows that an earlier version stored no path is known: their places are looked up once.
    """
    return item.path != row.path and (bool(row.path) or row.state != "sending")
