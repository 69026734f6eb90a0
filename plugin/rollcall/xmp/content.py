"""What a packet says about a picture, as plain values that the database holds as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from rollcall.media import times
from rollcall.records import Box
from rollcall.xmp import namespaces as ns
from rollcall.xmp import other_keywords, rdf, regions
from rollcall.xmp.geometry import Size
from rollcall.xmp.packets import Packet
from rollcall.xmp.regions import Region, Regions

#: More keywords than this, or longer ones, are not read.
_MOST: Final = 2000
_LONGEST: Final = 500
#: The three lists of keywords, and the properties that hold them.
LISTS: Final = {"subject": ns.SUBJECT, "hierarchical": ns.HIERARCHICAL, "tags_list": ns.TAGS_LIST}

#: The forms of regions.
FORMS: Final = ("mwg", "mp", "acdsee", "iptc")


class Content(NamedTuple):
    """What is read of a packet. A list of keywords is None where its property is not there."""

    subject: tuple[str, ...] | None = None
    hierarchical: tuple[str, ...] | None = None
    tags_list: tuple[str, ...] | None = None
    regions: Regions = Regions()
    taken: str = ""  # the time of capture, as it is written
    sidecar_for: str = ""  # the extension of the file that a sidecar belongs to, in lower case
    others: tuple[str, ...] | None = None  # paths of keywords in forms that are never written, see `other_keywords`

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found that matters here."""
        keywords = self.others or any(self.items_of(name) for name in LISTS)
        return not keywords and not self.regions.present and not self.taken

    def items_of(self, name: str) -> tuple[str, ...] | None:
        """Return one of the lists by its name in `LISTS`, or "others"."""
        found: tuple[str, ...] | None = getattr(self, name)
        return found

    def filled_from(self, other: Self) -> Self:
        """Return it with what it lacks from another packet of the same file."""
        return self._replace(
            subject=other.subject if self.subject is None else self.subject,
            hierarchical=other.hierarchical if self.hierarchical is None else self.hierarchical,
            tags_list=other.tags_list if self.tags_list is None else self.tags_list,
            regions=self.regions if self.regions.present else other.regions,
            taken=self.taken or other.taken,
            sidecar_for=self.sidecar_for or other.sidecar_for,
            others=other.others if self.others is None else self.others,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        stored: dict[str, Any] = {name: list(one) for name in LISTS if (one := self.items_of(name)) is not None}
        if self.others is not None:
            stored["others"] = list(self.others)
        for form in FORMS:
            faces = getattr(self.regions, form)
            if faces is not None:
                stored[form] = [{"box": list(box), "name": name} for box, name in faces]
        if self.regions.applied is not None:
            stored["applied"] = list(self.regions.applied)
        if self.taken:
            stored["taken"] = self.taken
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        """Return what `to_json` was given."""
        stored = stored or {}
        lists = {name: tuple(stored[name]) for name in LISTS if name in stored}
        forms = {
            form: tuple(Region(Box(*one["box"]), one["name"]) for one in stored[form])
            for form in FORMS
            if form in stored
        }
        applied = Size(*stored["applied"]) if "applied" in stored else None
        return cls(
            lists.get("subject"),
            lists.get("hierarchical"),
            lists.get("tags_list"),
            Regions(forms.get("mwg"), forms.get("mp"), forms.get("acdsee"), applied, forms.get("iptc")),
            stored.get("taken", ""),
            others=tuple(stored["others"]) if "others" in stored else None,
        )


def read(packet: Packet) -> Content:
    """Return what a packet says."""
    properties = rdf.properties(packet)
    lists = {name: _texts(properties.get(full)) for name, full in LISTS.items()}
    if lists["tags_list"] is not None:
        lists["tags_list"] = tuple(map(other_keywords.unescaped, lists["tags_list"]))
    extension = properties[ns.SIDECAR_FOR].text.lower() if ns.SIDECAR_FOR in properties else ""
    return Content(
        **lists,
        regions=regions.read(properties),
        taken=_taken(properties),
        sidecar_for=extension,
        others=other_keywords.read(properties),
    )


def _taken(properties: Mapping[str, rdf.Value]) -> str:
    """Return the time of capture as it is written, the most telling of several."""
    for name in ns.TIMES:
        if name in properties and times.moment(properties[name].text) is not None:
            return properties[name].text[:_LONGEST]
    return ""


def _texts(value: rdf.Value | None) -> tuple[str, ...] | None:
    """Return the texts of a list; a single text is a list of one, as some programs write it."""
    if value is None:
        return None
    texts = [item.text for item in value.items] if value.is_list else [value.text]
    return tuple(text for text in texts[:_MOST] if text and len(text) <= _LONGEST)
