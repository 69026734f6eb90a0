"""What the person did on the page, so that undo takes back their last step and can name it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from rollcall.ages import OLDEST
from rollcall.corrections.kinds import OLDEST as OLDEST_GIVEN
from rollcall.corrections.kinds import Correction
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import ANSWERS
from rollcall.errors import ConflictError
from rollcall.host import Plugin
from rollcall.web.messages import Toast

#: The name under which the page records corrections.
PERSON: Final = "user"
_GROUPS: Final = {years: name for name, years in ANSWERS.items()}


class Earlier:
    """The batches of corrections that the person made before the server was started. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        newest = plugin.corrections(limit=1)
        self._newest = newest[0].id if newest else 0
        self._batches: set[str] | None = None
        self._lock = threading.Lock()

    def batches(self) -> set[str]:
        """Return them; the log is read once."""
        with self._lock:
            if self._batches is None:
                lines = self.plugin.corrections(before=self._newest + 1) if self._newest else []
                self._batches = {line.batch for line in lines if line.made_by == PERSON}
            return self._batches


class History:
    """What was done in one tab of the page.

    Parameters
    ----------
    tab
        The origin of the tab's corrections, so that each tab undoes its own.
    """

    def __init__(self, plugin: Plugin, tab: str, earlier: Earlier) -> None:
        self.plugin, self.tab, self._earlier = plugin, tab, earlier

    def correct(self, *given: Correction) -> CorrectionResult:
        """Record corrections as one batch that `undo` takes back together."""
        return self.plugin.correct(*given, by=PERSON, origin=self.tab)

    def undo(self) -> CorrectionResult:
        """Take back what was done in this tab last, or else what the person did before the server was started.

        What another tab, a host or another program recorded stays.

        Raises
        ------
        ConflictError
            If nothing is left to undo.
        """
        try:
            return self.plugin.undo(origin=self.tab)
        except ConflictError:
            return self.plugin.undo(batches=self._earlier.batches())

    def redo(self) -> CorrectionResult:
        """Do again what was undone last.

        Raises
        ------
        ConflictError
            If there is nothing to redo.
        """
        return self.plugin.redo()


def undone(result: CorrectionResult, photo_id: int | None = None) -> Toast:
    """Return the message on what was undone, with a way back; `photo_id` is the photo that is shown."""
    return Toast(f"Undone: {_what(result.entries)}", "redo", _elsewhere(result, photo_id))


def redone(result: CorrectionResult, photo_id: int | None = None) -> Toast:
    """Return the message on what was done again."""
    return Toast(f"Done again: {_what(result.entries)}", "undo", _elsewhere(result, photo_id))


def _elsewhere(result: CorrectionResult, photo_id: int | None) -> int | None:
    """Return the photo that a message is about, if it is one, and not the one that is shown."""
    return next(iter(result.photo_ids)) if len(result.photo_ids) == 1 and photo_id not in result.photo_ids else None


def _what(entries: Sequence[LogEntry]) -> str:
    if not entries:
        return "nothing"
    first = describe(entries[0])
    name = (entries[0].path or "").rpartition("/")[2]
    if len({entry.path for entry in entries}) == 1 and name:
        first = f"{first}, {name}"
    return first if len(entries) == 1 else f"{first}, and {len(entries) - 1} more"


def describe(entry: LogEntry) -> str:
    """Return a line of the log in a few words."""
    value = entry.value
    match entry.kind:
        case "age":
            return _age(value.get("low"), value.get("high"))
        case "gender":
            label = value.get("label")
            return f"gender {label}" if label else "no gender" if "label" in value else "gender as estimated"
        case "not_a_face":
            return "not a face"
        case "ignore":
            return "face ignored"
        case "box":
            return "face drawn" if value.get("drawn") else "face moved"
        case "tag":
            states = {"applied": "tag", "rejected": "no tag"}
            return f"{states.get(str(value.get('state')), 'tag as before')} \u201c{value.get('tag')}\u201d"
        case "album_name":
            return f"album \u201c{value.get('name')}\u201d"
        case "album_query":
            return "the search of an album"
        case "album_shared":
            return "album shared" if value.get("shared") else "album no longer shared"
        case "album_removed":
            return "album removed"
        case "album_photo":
            return "photo added to an album" if value.get("inside") else "photo taken out of an album"
    return entry.kind.replace("_", " ")


def _age(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return "age as estimated"
    if (low, high) in _GROUPS:
        return {"senior": "60 or older"}.get(_GROUPS[low, high], _GROUPS[low, high])
    if low == high:
        return f"age {low}"
    return f"age {low} or more" if high >= min(OLDEST, OLDEST_GIVEN) else f"age {low} to {high}"
