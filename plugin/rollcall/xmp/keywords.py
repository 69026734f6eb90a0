"""Keywords as tags: the three lists of keywords, the tags that they amount to, and what changed between two readings.

A tag such as People/Children stands in a list of keywords by its last level only (Children), in Lightroom's as
People|Children, in digiKam's as People/Children. Programs know one, two or all three of the lists. Some have forms of
their own (`other_keywords`), which are read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

from rollcall.errors import InvalidCorrectionError
from rollcall.tags.rules import normalized_name, with_slashes
from rollcall.xmp.content import LISTS, Content
from rollcall.xmp.other_keywords import SLASH

#: The lists that are looked into for tags: beside the three, the forms that are never written, as one.
_READ: Final = (*LISTS, "others")


def same(text: str) -> str:
    """Return a keyword in the form in which two are compared: programs and file systems compose accents differently."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _compared(keyword: str) -> str:
    """Return a keyword in the form in which it is compared with a tag: levels are divided by '/' in all lists."""
    return same(with_slashes(keyword))


def entry(tag: str, name: str) -> str:
    """Return how a tag stands in one of the lists, by its name in `LISTS`, or "others"."""
    if name in ("tags_list", "others"):
        return tag
    levels = [level.replace(SLASH, "/") for level in tag.split("/")]
    return levels[-1] if name == "subject" else "|".join(levels)


def tags_of(content: Content) -> dict[str, None]:
    """Return the tags that the keywords of a packet amount to, in their order.

    A plain keyword that is a level of a hierarchical one is no tag of its own.
    """
    found: dict[str, None] = {}
    others = [keyword.split("/") for keyword in content.others or ()]
    for keyword in content.hierarchical or ():
        found |= _named([level.replace("/", SLASH) for level in keyword.split("|")])
    for keyword in content.tags_list or ():
        found |= _named(keyword.split("/"))
    for path in others:
        if len(path) > 1:
            found |= _named(path)
    levels = {same(level.replace(SLASH, "/")) for tag in found for level in tag.split("/")}
    for keyword in content.subject or ():
        if same(keyword) not in levels:
            found |= _named(keyword.split("/"))
    for path in others:
        if len(path) == 1 and same(path[0].replace(SLASH, "/")) not in levels:
            found |= _named(path)
    return found


def _named(levels: Iterable[str]) -> dict[str, None]:
    """Return a tag from its levels; nothing where it cannot be one."""
    try:
        return {normalized_name(same("/".join(levels))): None}
    except InvalidCorrectionError:
        return {}


class Difference(NamedTuple):
    """How the tags of a packet changed since it was last taken into account."""

    added: list[str]
    removed: list[str]  # by a person, in another program
    replaced: list[str]  # the keyword is still there, but is now a level of another tag
    regained: list[str]  # stood in a list that other programs had left as it was, and now in another one as well


def difference(before: Content | None, now: Content) -> Difference:
    """Return how the tags changed between two readings; without one before, all of them are new."""
    present = tags_of(now)
    if before is None:
        return Difference(list(present), [], [], [])
    known = tags_of(before)
    removed = [tag for tag in known if _is_removed(tag, before, now)]
    gone = set(removed)
    return Difference(
        [tag for tag in present if tag not in known],
        removed,
        [tag for tag in known if tag not in present and tag not in gone],
        [tag for tag in present if tag in known and tag not in gone and _gains(tag, before, now)],
    )


def _is_removed(tag: str, before: Content, now: Content) -> bool:
    """Return whether a tag was taken out of a list by a program that knows this list.

    Programs leave the lists that they do not know as they are: a tag is removed that is missing in one of them. A
    hierarchical list that is gone as a whole was dropped by a program, unless the plain keyword is missing as well.
    """
    for name in _READ:
        if not holds(before, name, tag):
            continue
        if (name == "subject" or now.items_of(name) is not None) and not holds(now, name, tag):
            return True
    # A tag that stood in hierarchical lists only, which are all gone.
    return not any(holds(now, name, tag) for name in _READ)


def _gains(tag: str, before: Content, now: Content) -> bool:
    return any(holds(now, name, tag) and not holds(before, name, tag) for name in _READ)


def holds(content: Content, name: str, tag: str) -> bool:
    """Return whether one of the lists of a packet has a tag."""
    wanted = {_compared(entry(tag, name)), _compared(tag)} if name == "subject" else {_compared(entry(tag, name))}
    return any(_compared(keyword) in wanted for keyword in content.items_of(name) or ())
