"""PhotoPrism: labels with their uncertainty, markers with names.

Requests as its published API describes them (`/api/v1`): photos, labels, markers. Boxes are fractions of the upright
picture. The interface can hide a marker but not delete it; one that is taken back is hidden, and used again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from rollcall.bridges.base import Bridge, Found, Item, RefusedItem, Remembered, best_cover
from rollcall.bridges.connection import Connection
from rollcall.bridges.content import Content, PhotoContent, as_json
from rollcall.bridges.places import FileIndex, PathMap, ServerFile
from rollcall.errors import BridgeError
from rollcall.records import Box

_PAGE: Final = 1000
#: Its description requires a least quality of photos; with 0 those that wait for a review there are listed as well.
_ANY_QUALITY: Final = {"quality": 0}
#: Names of markers with more characters are refused there.
_LONGEST_NAME: Final = 160


class Place(NamedTuple):
    """A photo and its file on the server."""

    photo: str
    file: str


class PhotoPrism(Bridge):
    """A bridge to a PhotoPrism server; the key is an access token or an app password."""

    name = "photoprism"
    kinds = ("label", "photo label", "marker")
    changeable = frozenset({"photo label", "marker"})
    batches: ClassVar[Mapping[str, int]] = {}

    def __init__(self, connection: Connection, paths: PathMap) -> None:
        super().__init__(connection)
        self._paths = paths
        self._index: FileIndex[Place] | None = None
        self._labels: dict[str, dict[str, Any]] | None = None  # by slug
        self._photo: dict[str, dict[str, Any]] = {}  # the last one that was read

    def wanted(self, content: Content) -> Iterable[Item]:
        names = {_label(tag.name) for photo in content.photos for tag in photo.tags}
        for slug, label in sorted({slug_of(name): name for name in sorted(names)}.items()):
            yield Item("label", slug, {"name": label})
        for photo in content.photos:
            uncertainties: dict[str, tuple[int, str]] = {}
            for tag in photo.tags:
                label = _label(tag.name)
                one = (round(100 * (1 - tag.probability)), label)
                slug = slug_of(label)
                uncertainties[slug] = min(one, uncertainties.get(slug, one))
            for slug, (uncertainty, label) in uncertainties.items():
                value = {"photo": photo.photo_id, "name": label, "uncertainty": min(uncertainty, 99)}
                yield Item("photo label", f"{photo.photo_id}:{slug}", value, photo, (("label", slug),))
            for face in photo.faces:
                name = content.people[face.person].name
                value = {"photo": photo.photo_id, "name": name, "box": as_json(face.box)}
                yield Item("marker", str(face.face_id), value, photo)

    def prepare(self, content: Content) -> None:
        if self._index is None:
            self._index = FileIndex(self._files(), self._paths, relative=True)

    def refresh(self) -> None:
        self._labels = None
        self._photo.clear()

    def find(self, item: Item) -> Found | None:
        if item.kind == "label":
            label = self._all_labels().get(item.key)
            return None if label is None else Found({"uid": label["UID"]})
        place = self._place(item.photo)
        details = self._details(place.photo)
        if item.kind == "photo label":
            slug = slug_of(str(item.value["name"]))
            label = next((one for one in details["Labels"] or () if one["Label"]["Slug"] == slug), None)
            # With an uncertainty of 100 it is one that a person there has removed: that stays.
            return None if label is None else Found({"photo": place.photo, "label": label["LabelID"]})
        return self._find_marker(item, place, details)

    def make(self, items: Sequence[Item]) -> list[Mapping[str, Any] | RefusedItem]:
        (item,) = items
        if item.kind == "label":
            return [{}]  # the first photo that gets it makes it
        place = self._place(item.photo)
        self._photo.clear()
        if item.kind == "photo label":
            body = {"Name": item.value["name"], "Uncertainty": item.value["uncertainty"], "Priority": 0}
            made = self.connection.call("POST", f"/api/v1/photos/{place.photo}/label", body)
            slug = slug_of(str(item.value["name"]))
            label = next((one for one in made["Labels"] or () if one["Label"]["Slug"] == slug), None)
            if label is None:
                return [RefusedItem("the server does not take a label of this name")]
            return [{"photo": place.photo, "label": label["LabelID"]}]
        return [self._make_marker(item, place)]

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        self._photo.clear()
        if item.kind == "photo label":
            photo, label = remembered.remote["photo"], remembered.remote["label"]
            body = {"Uncertainty": item.value["uncertainty"]}
            self._tolerate("PUT", f"/api/v1/photos/{photo}/label/{label}", body)
            return remembered.remote
        _check_name(item)
        if remembered.before is None and remembered.value.get("box") != item.value["box"]:
            # Markers cannot be moved there.
            self._hide(str(remembered.remote["marker"]))
            return self._make_marker(item, self._place(item.photo))
        self._name(str(remembered.remote["marker"]), str(item.value["name"]))
        return remembered.remote

    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        (row,) = rows
        self._photo.clear()
        if row.kind == "label":
            self._delete_label(row.key)
        elif row.kind == "photo label":
            self._tolerate("DELETE", f"/api/v1/photos/{row.remote['photo']}/label/{row.remote['label']}")
        else:
            return [self._take_back_marker(row)]
        return [None]

    # ---- Photos

    def _files(self) -> Iterator[ServerFile[Place]]:
        offset = 0
        while True:
            # `merged` gives each photo once, with all of its files.
            query = {"count": _PAGE, "offset": offset, "merged": True, "order": "added", **_ANY_QUALITY}
            photos = self.connection.get("/api/v1/photos", **query)
            for photo in photos:
                for file in photo["Files"] or ():
                    if file.get("Root", "/") == "/" and not file.get("Missing"):
                        yield ServerFile(
                            file["Name"], (file.get("Hash") or "").lower(), Place(photo["UID"], file["UID"])
                        )
            if len(photos) < _PAGE:
                return
            offset += _PAGE

    def _place(self, photo: PhotoContent | None) -> Place:
        found = self._index.find(photo) if self._index is not None and photo is not None else None
        if found is None:
            raise RefusedItem("the server has no such photo")
        return found

    def _details(self, photo: str) -> dict[str, Any]:
        if photo not in self._photo:
            self._photo = {photo: self.connection.get(f"/api/v1/photos/{photo}")}
        return self._photo[photo]

    # ---- Labels

    def _all_labels(self) -> dict[str, dict[str, Any]]:
        if self._labels is None:
            labels: list[dict[str, Any]] = []
            while True:
                page = self.connection.get("/api/v1/labels", count=_PAGE, offset=len(labels), all=True)
                labels += page
                if len(page) < _PAGE:
                    break
            self._labels = {label["Slug"]: label for label in labels}
        return self._labels

    def _delete_label(self, slug: str) -> None:
        self._labels = None
        label = self._all_labels().get(slug)
        if label is None:
            return
        if next(self._photos_with(slug), None) is not None:
            raise RefusedItem("others use the label by now, so it stays")
        self.connection.call("POST", "/api/v1/batch/labels/delete", {"labels": [label["UID"]]})

    def _photos_with(self, slug: str) -> Iterator[Any]:
        yield from self.connection.get("/api/v1/photos", count=1, offset=0, merged=True, label=slug, **_ANY_QUALITY)

    # ---- Markers

    def _find_marker(self, item: Item, place: Place, details: Mapping[str, Any]) -> Found | None:
        _check_name(item)
        file = next((one for one in details["Files"] or () if one["UID"] == place.file), None)
        markers = [one for one in (file or {}).get("Markers") or () if one["Type"] == "face"]
        trace = self.trace(item).get("marker")
        markers = [one for one in markers if one["UID"] != trace or not one["Invalid"]]
        index = best_cover(Box(*item.value["box"]), [Box(one["X"], one["Y"], one["W"], one["H"]) for one in markers])
        if index is None:
            return None
        marker = markers[index]
        if marker["Invalid"]:
            raise RefusedItem("a person there removed this face, which stays so")
        if marker["Name"].casefold() == str(item.value["name"]).casefold():
            return Found({"marker": marker["UID"]})
        if marker["Name"]:
            raise RefusedItem("the face has another name on the server, which stays")
        return Found({"marker": marker["UID"]}, {"name": ""})

    def _make_marker(self, item: Item, place: Place) -> Mapping[str, Any]:
        trace = self.trace(item).get("marker")
        if trace is not None:
            self._tolerate("PUT", f"/api/v1/markers/{trace}", {"Invalid": False})
            self._name(str(trace), str(item.value["name"]))
            return {"marker": trace}
        box = Box(*item.value["box"])
        x, y = min(max(box.x, 0.0), 1.0), min(max(box.y, 0.0), 1.0)
        body = {
            "FileUID": place.file,
            "Type": "face",
            "Src": "manual",
            "X": x,
            "Y": y,
            "W": round(min(box.width, 1 - x), 5),
            "H": round(min(box.height, 1 - y), 5),
            "SubjSrc": "manual",
            "Name": item.value["name"],
        }
        return {"marker": self.connection.call("POST", "/api/v1/markers", body)["UID"]}

    def _name(self, marker: str, name: str) -> None:
        self.connection.call("PUT", f"/api/v1/markers/{marker}", {"Name": name, "SubjSrc": "manual"})

    def _hide(self, marker: str) -> bool:
        """Hide a marker; return whether it was there."""
        if self._tolerate("DELETE", f"/api/v1/markers/{marker}/subject") is None:
            return False
        return self._tolerate("PUT", f"/api/v1/markers/{marker}", {"Invalid": True}) is not None

    def _take_back_marker(self, row: Remembered) -> Mapping[str, Any] | None:
        marker = str(row.remote["marker"])
        if row.before is not None:
            self._tolerate("DELETE", f"/api/v1/markers/{marker}/subject")
            return None
        return row.remote if self._hide(marker) else None

    def _tolerate(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request about something that may be gone; None then."""
        try:
            return self.connection.call(method, path, body)
        except BridgeError as error:
            if error.status_there == 404:
                return None
            raise


def _check_name(item: Item) -> None:
    """Refuse a marker whose name the server does not take."""
    if len(str(item.value["name"])) > _LONGEST_NAME:
        raise RefusedItem(f"the server takes names of up to {_LONGEST_NAME} characters")


def _label(tag: str) -> str:
    """Return the label of a tag: its lowest level, as labels have none."""
    return tag.rpartition("/")[2]


def slug_of(name: str) -> str:
    """Return the name by which the server tells labels apart: lower case ASCII, words joined by '-'."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or name.lower()
