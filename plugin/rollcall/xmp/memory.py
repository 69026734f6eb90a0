"""What Rollcall wrote to a sidecar last: by this its own entries are told apart from those of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rollcall.records import Box
from rollcall.xmp.content import LISTS
from rollcall.xmp.regions import Region

#: Numbers in packets have six digits behind the point.
_EQUAL = 2e-5


def same_place(a: Box, b: Box) -> bool:
    """Return whether two boxes are equal but for rounding."""
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) <= _EQUAL


@dataclass
class WrittenRegion:
    """A region of ours: the face that it is, where in the stored picture, and the name; or a name given to a region."""

    face_id: int
    box: Box
    name: str
    note: str = ""
    only_name: bool = False  # the region is another program's, and the name is ours

    def is_same(self, region: Region) -> bool:
        """Return whether a region is this one, unchanged."""
        return region.name == self.name and same_place(region.box, self.box)


@dataclass
class Memory:
    """What was written last to the sidecar of one photo."""

    created: bool = False  # the file was made by Rollcall
    lists: dict[str, list[str]] = field(default_factory=dict)  # keywords of ours, by the name of the list
    #: Keywords that were copied from the photo itself, so that the sidecar's list does not hide them.
    copied: dict[str, list[str]] = field(default_factory=dict)
    regions: list[WrittenRegion] = field(default_factory=list)
    copied_faces: list[Region] = field(default_factory=list)
    #: Regions of ours that a person took away elsewhere: they are not written again.
    declined: list[Region] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in the sidecar is Rollcall's."""
        return not any(self.lists.values()) and not self.regions

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {
            "created": self.created,
            "lists": {name: list(self.lists[name]) for name in LISTS if self.lists.get(name)},
            "copied": {name: list(self.copied[name]) for name in LISTS if name in self.copied},
            "regions": [
                {
                    "face": one.face_id,
                    "box": list(one.box),
                    "name": one.name,
                    "note": one.note,
                    "only_name": one.only_name,
                }
                for one in self.regions
            ],
            "copied_faces": _stored(self.copied_faces),
            "declined": _stored(self.declined),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        """Return what `to_json` was given; an empty memory where there is none."""
        stored = stored or {}
        return cls(
            bool(stored.get("created")),
            {name: list(one) for name, one in stored.get("lists", {}).items()},
            {name: list(one) for name, one in stored.get("copied", {}).items()},
            [
                WrittenRegion(one["face"], Box(*one["box"]), one["name"], one["note"], one["only_name"])
                for one in stored.get("regions", ())
            ],
            _regions(stored.get("copied_faces", ())),
            _regions(stored.get("declined", ())),
        )

    def is_ours(self, region: Region) -> bool:
        """Return whether a region of the sidecar is one that Rollcall wrote or copied, unchanged."""
        return any(one.is_same(region) and not one.only_name for one in self.regions) or self.is_copied(region)

    def made(self, region: Region) -> WrittenRegion | None:
        """Return the region of ours that stands at the same place, whatever name another program gave it since."""
        return next((one for one in self.regions if not one.only_name and same_place(one.box, region.box)), None)

    def is_copied(self, region: Region) -> bool:
        """Return whether a region of the sidecar was copied from the photo itself."""
        return any(one.name == region.name and same_place(one.box, region.box) for one in self.copied_faces)

    def without_our_name(self, region: Region) -> Region:
        """Return another program's region without the name that Rollcall gave it."""
        named = any(one.only_name and one.is_same(region) for one in self.regions)
        return region._replace(name="") if named else region


def _stored(faces: Iterable[Region]) -> list[dict[str, Any]]:
    return [{"box": list(box), "name": name} for box, name in faces]


def _regions(stored: Iterable[Mapping[str, Any]]) -> list[Region]:
    return [Region(Box(*one["box"]), one["name"]) for one in stored]
