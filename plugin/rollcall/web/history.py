"""What the person did on the page, so that undo takes back their last step and can name it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from rollcall.ages import OLDEST
from rollcall.corrections.kinds import OLDEST as OLDEST_GIVEN
from rollcall.corrections.kinds import Correction
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import ANSWERS
from rollcall.errors import ConflictError
from rollcall.host import Plugin
from rollcall.web import names
from rollcall.web.formats import number
from rollcall.web.messages import Toast
from rollcall.web.translation import gettext

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
            return self.plugin.undo(batches=self._earlier.batches(), undone_from=self.tab)

    def redo(self) -> CorrectionResult:
        """Do again what was undone in this tab last; what another tab undid stays undone.

        Raises
        ------
        ConflictError
            If there is nothing to redo.
        """
        return self.plugin.redo(origin=self.tab)

    def step(self, what: Literal["undo", "redo"], photo_id: int | None = None) -> Toast:
        """Undo or redo, and return the message on it; `photo_id` is the photo that is shown.

        Raises
        ------
        ConflictError
            If there is nothing to undo, or to redo.
        """
        return undone(self.undo(), photo_id) if what == "undo" else redone(self.redo(), photo_id)


def undone(result: CorrectionResult, photo_id: int | None = None) -> Toast:
    """Return the message on what was undone, with a way back; `photo_id` is the photo that is shown."""
    return Toast(gettext("Undone: %(what)s", what=_what(result.entries)), "redo", _elsewhere(result, photo_id))


def redone(result: CorrectionResult, photo_id: int | None = None) -> Toast:
    """Return the message on what was done again."""
    return Toast(gettext("Done again: %(what)s", what=_what(result.entries)), "undo", _elsewhere(result, photo_id))


def _elsewhere(result: CorrectionResult, photo_id: int | None) -> int | None:
    """Return the photo that a message is about, if it is one, and not the one that is shown."""
    return next(iter(result.photo_ids)) if len(result.photo_ids) == 1 and photo_id not in result.photo_ids else None


def _what(entries: Sequence[LogEntry]) -> str:
    if not entries:
        return gettext("nothing")
    # A name, or that two are one, says what was done; of the faces that follow from it there may be hundreds.
    entries = [one for one in entries if one.kind != "member"] or entries
    # A face that is shown again may have been said to be none and to be ignored.
    entries = list(
        {(one.photo_id, one.face_id, describe(one)) if one.face_id else one.id: one for one in entries}.values()
    )
    entries = sorted(entries, key=lambda one: one.kind not in ("person_name", "person_merge"))
    first = describe(entries[0])
    name = (entries[0].path or "").rpartition("/")[2]
    if len({entry.path for entry in entries}) == 1 and name:
        first = f"{first}, {name}"
    return (
        first
        if len(entries) == 1
        else gettext("%(first)s, and %(count)s more", first=first, count=number(len(entries) - 1))
    )


def describe(entry: LogEntry) -> str:
    """Return a line of the log in a few words."""
    value = entry.value
    match entry.kind:
        case "age":
            return _age(value.get("low"), value.get("high"))
        case "gender":
            return _gender(value)
        case "not_a_face" | "ignore":
            return _dismissed(entry.kind, value)
        case "box":
            return gettext("face drawn") if value.get("drawn") else gettext("face moved")
        case "tag":
            return _tag(str(value.get("state")), str(value.get("tag")))
        case "album_name":
            return gettext("album “%(name)s”", name=str(value.get("name")))
        case "album_query":
            return gettext("the search of an album")
        case "album_shared":
            return gettext("album shared") if value.get("shared") else gettext("album no longer shared")
        case "album_removed":
            return gettext("album removed")
        case "album_photo":
            inside = value.get("inside")
            return gettext("photo added to an album") if inside else gettext("photo taken out of an album")
    return _of_person(entry.kind, value)


def _dismissed(kind: str, value: Mapping[str, Any]) -> str:
    if not value:
        return gettext("face shown again")
    return gettext("not a face") if kind == "not_a_face" else gettext("face ignored")


def _of_person(kind: str, value: Mapping[str, Any]) -> str:
    match kind:
        case "person" | "member":
            return gettext("who a face is")
        case "not_person":
            return gettext("who a face is not") if value.get("holds") else gettext("who a face may be")
        case "person_name":
            names_given = value.get("names")
            return gettext("the name “%(name)s”", name=names_given[0]) if names_given else gettext("a name taken away")
        case "person_hidden":
            return gettext("somebody hidden") if value.get("hidden") else gettext("somebody shown again")
        case "person_birth":
            date = value.get("date")
            return gettext("the birth date %(date)s", date=date) if date else gettext("no birth date")
        case "person_me":
            return gettext("who you are")
        case "person_relation":
            return gettext("a relation")
        case "person_merge":
            return gettext("two made one person")
    # What is added of people.
    return gettext("something said of a person")


def _gender(value: Mapping[str, Any]) -> str:
    if label := value.get("label"):
        return gettext("gender %(label)s", label=names.gender(label))
    return gettext("no gender") if "label" in value else gettext("gender as estimated")


def _tag(state: str, name: str) -> str:
    if state == "applied":
        return gettext("tag “%(name)s”", name=name)
    return (
        gettext("no tag “%(name)s”", name=name)
        if state == "rejected"
        else gettext("tag “%(name)s” as before", name=name)
    )


def _age(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return gettext("age as estimated")
    if (low, high) in _GROUPS:
        return names.answer(_GROUPS[low, high])
    if low == high:
        return gettext("age %(age)s", age=low)
    if high >= min(OLDEST, OLDEST_GIVEN):
        return gettext("age %(age)s or more", age=low)
    return gettext("age %(low)s to %(high)s", low=low, high=high)
