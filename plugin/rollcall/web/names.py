"""What groups, genders, relations and the like are called on the page, whose names in the code are English words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rollcall.search.grammar.tokens import unquoted
from rollcall.sentences import Sentence
from rollcall.web.translation import gettext, ngettext, pgettext

#: A person or a tag as filters and links write them, such as person:"Anna" or tag:"People/Children".
_QUOTED: Final = re.compile(r'\b(?:person|tag):("[^"]*(?:""[^"]*)*")')
#: The languages of searches, as their files name them: notes on how a query was read say which it was in.
SEARCH_LANGUAGES: Final = (
    *(Sentence("Dutch"), Sentence("French"), Sentence("German")),
    *(Sentence("Italian"), Sentence("Portuguese"), Sentence("Spanish")),
)


def group(name: str) -> str:
    """Return what a group of people by age and gender is called; of an unknown one its own name."""
    return {
        "children": gettext("children"),
        "babies": gettext("babies"),
        "toddlers": gettext("toddlers"),
        "teenagers": gettext("teenagers"),
        "young_adults": gettext("young adults"),
        "adults": gettext("adults"),
        "seniors": gettext("seniors"),
        "women": gettext("women"),
        "men": gettext("men"),
        "girls": gettext("girls"),
        "boys": gettext("boys"),
    }.get(name, name)


def is_one(group_name: str) -> str:
    """Return the question whether somebody is of an age group; of an unknown one with its own name."""
    return {
        "children": gettext("Is this a child?"),
        "babies": gettext("Is this a baby?"),
        "toddlers": gettext("Is this a toddler?"),
        "teenagers": gettext("Is this a teenager?"),
        "adults": gettext("Is this an adult?"),
        "seniors": gettext("Is this somebody of 60 or older?"),
    }.get(group_name, gettext("Is this one of: %(group)s?", group=group(group_name)))


def tags_with_levels(tags: Iterable[str]) -> list[str]:
    """Return the names of tags and of all levels above them, each once: a search for one finds all below it."""
    found: set[str] = set()
    for tag in tags:
        parts = tag.split("/")
        found.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    # A level stands just above what is below it, whatever signs other names have.
    return sorted(found, key=lambda name: name.split("/"))


def counted(total: int, videos: int) -> str:
    """Return how many photos and videos there are, of so many of both."""
    of_videos = ngettext("%(num)s video", "%(num)s videos", videos)
    if total and videos == total:
        return of_videos
    photos = ngettext("%(num)s photo", "%(num)s photos", total - videos)
    return gettext("%(photos)s and %(videos)s", photos=photos, videos=of_videos) if videos else photos


def suggested_name(query: str) -> str:
    """Return what an album of a search may be called: its words, without the signs of the query language."""
    return _QUOTED.sub(lambda found: unquoted(found[1]).rpartition("/")[2], query).strip()


def answer(name: str) -> str:
    """Return what an answer of one key is called."""
    return {
        "baby": gettext("baby"),
        "child": gettext("child"),
        "teenager": gettext("teenager"),
        "adult": gettext("adult"),
        "senior": gettext("60 or older"),
    }[name]


def gender(label: str) -> str:
    """Return what a gender is called; words of a person's own stay as they are."""
    if label == "female":
        return pgettext("gender", "female")
    return pgettext("gender", "male") if label == "male" else label


def coverage(name: str) -> str:
    """Return what a number of photos is called in the statistics."""
    return {
        "indexed": gettext("looked at"),
        "with people": gettext("with people"),
        "with a capture time": gettext("with a capture time"),
        "reviewed": pgettext("photos", "reviewed"),
        "with a tag": gettext("with a tag"),
        "with a suggested tag": gettext("with a suggested tag"),
        "pending": gettext("waiting"),
        "failed": gettext("failed"),
        "missing": gettext("missing"),
    }.get(name, name)


def relation(name: str) -> str:
    """Return what somebody is to another person, whose name follows."""
    return {
        "child_of": gettext("a child of"),
        "parent_of": gettext("a parent of"),
        "partner_of": gettext("the partner of"),
    }[name]
