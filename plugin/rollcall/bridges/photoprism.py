"""PhotoPrism: labels with their uncertainty, markers with names.

Requests as its published API describes them (`/api/v1`): photos, labels, markers. Boxes are fractions of the upright
picture. The interface can hide a marker but not delete it; one that is taken back is hidden, and used again.
Its description and its answers write the same fields with a capital letter here and without one there: both are read.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from rollcall.bridges.base import Bridge, Found, Item, RefusedItem, Remembered, best_cover
from rollcall.bridges.connection import Connection
from rollcall.bridges.content import Content, as_json
from rollcall.bridges.places import FileIndex, PathMap, ServerFile
from rollcall.errors import BridgeError
from rollcall.records import Box

_PAGE: Final = 1000
#: Its description requires a least quality of photos; with 0 those that wait for a review there are listed as well.
_ANY_QUALITY: Final = {"quality": 0}
#: Names of markers with more characters are refused there.
_LONGEST_NAME: Final = 160
_UNWANTED: Final = re.compile(r"""["$%\\*`;<>{}\x00-\x1f\x7f]""")


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
        self._labels: list[dict[str, Any]] | None = None
        self._photo: dict[str, dict[str, Any]] = {}  # the last one that was read
        self._uids: dict[str, str] = {}  # of labels that were taken from photos, by slug

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
                # What it takes from names; with it, both sides would not compare equal.
                name = " ".join(_UNWANTED.sub("", content.people[face.person].name).split())
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
            label = next((one for one in self._all_labels() if _is(one, item.key)), None)
            return None if label is None else Found({"uid": label["uid"]})
        place = self._place(item)
        details = self._details(place.photo)
        if item.kind == "photo label":
            label = _photo_label(details, slug_of(str(item.value["name"])))
            # With an uncertainty of 100 it is one that a person there has removed: that stays.
            return None if label is None else Found(_remote(place.photo, label))
        return self._find_marker(item, place)

    def make(self, items: Sequence[Item]) -> list[Mapping[str, Any] | RefusedItem]:
        (item,) = items
        if item.kind == "label":
            return [{}]  # the first photo that gets it makes it
        place = self._place(item)
        if item.kind == "photo label":
            before = {one["labelid"] for one in self._details(place.photo)["labels"] or ()}
            self._photo.clear()
            body = {"Name": item.value["name"], "Uncertainty": item.value["uncertainty"], "Priority": 0}
            made = self._needed("POST", f"/api/v1/photos/{place.photo}/label", body, "the photo")
            slug = slug_of(str(item.value["name"]))
            new = [one for one in made["labels"] or () if one["labelid"] not in before]
            label = _photo_label(made, slug) or (new[0] if len(new) == 1 else None)
            if label is None:
                return [RefusedItem("the server does not take a label of this name")]
            return [_remote(place.photo, label)]
        return [self._make_marker(item, place)]

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        self._photo.clear()
        if item.kind == "photo label":
            photo, label = remembered.remote["photo"], remembered.remote["label"]
            body = {"Uncertainty": item.value["uncertainty"]}
            self._tolerate("PUT", f"/api/v1/photos/{photo}/label/{label}", body)
            return remembered.remote
        _check_name(item)
        uid, old, new = str(remembered.remote["marker"]), str(remembered.value["name"]), str(item.value["name"])
        place = self._place(item)
        marker = self._marker_of(remembered)
        if marker is None or marker["invalid"]:
            raise RefusedItem("a person there removed this face, which stays so")
        name = marker["name"].casefold()
        if name not in ("", old.casefold(), new.casefold()):
            raise RefusedItem("the face has another name on the server, which stays")
        if remembered.before is None and remembered.value.get("box") != item.value["box"]:
            # Markers cannot be moved there.
            self._hide(uid)
            return self._make_marker(item, place)
        if name and name != new.casefold():
            # A name given to a marker that has a person renames the person, on all photos.
            self._needed("DELETE", f"/api/v1/markers/{uid}/subject", None, "the marker")
        if name != new.casefold():
            self._name(uid, new)
        return remembered.remote

    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        (row,) = rows
        self._photo.clear()
        if row.kind == "label":
            self._delete_label(row.key)
        elif row.kind == "photo label":
            self._tolerate("DELETE", f"/api/v1/photos/{row.remote['photo']}/label/{row.remote['label']}")
            if row.remote.get("uid"):
                self._uids[row.key.partition(":")[2]] = str(row.remote["uid"])
        else:
            return [self._take_back_marker(row)]
        return [None]

    # ---- Photos

    def _files(self) -> Iterator[ServerFile[Place]]:
        for offset in itertools.count(0, _PAGE):
            # `merged` gives each photo once, with all of its files; counts are of files, so a page may have few photos.
            query = {"count": _PAGE, "offset": offset, "merged": True, "order": "added", **_ANY_QUALITY}
            photos = self._get("/api/v1/photos", **query)
            for photo in photos:
                for file in photo["files"] or ():
                    if file.get("root", "/") == "/" and not file.get("missing"):
                        place = Place(photo["uid"], file["uid"])
                        yield ServerFile(file["name"], (file.get("hash") or "").lower(), place)
            if not photos:
                return

    def place(self, item: Item) -> Mapping[str, Any]:
        if item.photo is None:
            return {}
        if self._index is not None:
            self._index.add_name(item.photo.file.name)
        return self._place(item)._asdict()

    def _place(self, item: Item) -> Place:
        known = item.place or {}
        if "photo" in known and ("file" in known or item.kind == "photo label"):
            return Place(str(known["photo"]), str(known.get("file", "")))
        found = self._index.find(item.photo) if self._index is not None and item.photo is not None else None
        if found is None:
            raise RefusedItem("the server has no such photo")
        return found

    def _details(self, photo: str) -> dict[str, Any]:
        if photo not in self._photo:
            self._photo = {photo: self._needed("GET", f"/api/v1/photos/{photo}", None, "the photo")}
        return self._photo[photo]

    def _markers(self, place: Place) -> list[dict[str, Any]]:
        """Return the faces of a file, also those that were removed there."""
        file = next((one for one in self._details(place.photo)["files"] or () if one["uid"] == place.file), None)
        return [one for one in (file or {}).get("markers") or () if one["type"] == "face"]

    # ---- Labels

    def _all_labels(self) -> list[dict[str, Any]]:
        if self._labels is None:
            labels: list[dict[str, Any]] = []
            while True:
                page = self._get("/api/v1/labels", count=_PAGE, offset=len(labels), all=True)
                labels += page
                if len(page) < _PAGE:
                    break
            self._labels = labels
        return self._labels

    def _delete_label(self, slug: str) -> None:
        self._labels = None
        label = next((one for one in self._all_labels() if _is(one, slug)), None)
        # A label that no photo has is not listed.
        uid = self._uids.get(slug) if label is None else label["uid"]
        if uid is None:
            return
        if self._is_used(slug, slug if label is None else str(label["slug"])):
            raise RefusedItem("others use the label by now, so it stays")
        self.connection.call("POST", "/api/v1/batch/labels/delete", {"labels": [uid]})

    def _is_used(self, slug: str, search: str) -> bool:
        quoted = search if re.fullmatch("[a-z0-9-]+", search) else f'"{search}"'
        # Labels that were removed from a photo, and narrower ones, are found as well.
        query = {"count": _PAGE, "offset": 0, "merged": True, "q": f"label:{quoted}", **_ANY_QUALITY}
        for photo in self._get("/api/v1/photos", **query):
            label = _photo_label(self._tolerate("GET", f"/api/v1/photos/{photo['uid']}") or {"labels": ()}, slug)
            if label is not None and label["uncertainty"] < 100:
                return True
        return False

    # ---- Markers

    def _find_marker(self, item: Item, place: Place) -> Found | None:
        _check_name(item)
        hidden = self._hidden(item, place)
        markers = [one for one in self._markers(place) if not one["invalid"] or not self._was_ours(one["uid"])]
        index = best_cover(Box(*item.value["box"]), [Box(one["x"], one["y"], one["w"], one["h"]) for one in markers])
        if index is None:
            return None
        marker = markers[index]
        if marker["invalid"]:
            raise RefusedItem("a person there removed this face, which stays so")
        if marker["name"].casefold() == str(item.value["name"]).casefold():
            return Found({"marker": marker["uid"], **place._asdict(), "hidden": hidden})
        if marker["name"]:
            raise RefusedItem("the face has another name on the server, which stays")
        return Found({"marker": marker["uid"], **place._asdict()}, {"name": ""})

    def _make_marker(self, item: Item, place: Place) -> Mapping[str, Any]:
        self._photo.clear()
        hidden = self._hidden(item, place)
        trace = hidden.pop(place.file, None)
        if trace is not None and self._tolerate("PUT", f"/api/v1/markers/{trace}", {"Invalid": False}) is not None:
            self._name(str(trace), str(item.value["name"]))
            return {"marker": trace, **place._asdict(), "hidden": hidden}
        box = Box(*item.value["box"])
        x, y = min(max(box.x, 0.0), 1.0), min(max(box.y, 0.0), 1.0)
        width, height = (
            round(min(far, 1.0) - near, 5) for far, near in ((box.x + box.width, x), (box.y + box.height, y))
        )
        if width <= 0 or height <= 0:
            raise RefusedItem("its box lies outside of the picture")
        body = {
            "FileUID": place.file,
            "Type": "face",
            "Src": "manual",
            "X": x,
            "Y": y,
            "W": width,
            "H": height,
            "SubjSrc": "manual",
            "Name": item.value["name"],
        }
        made = self._needed("POST", "/api/v1/markers", body, "the photo")
        return {"marker": made["uid"], **place._asdict(), "hidden": hidden}

    def _hidden(self, item: Item, place: Place) -> dict[str, str]:
        """Return the markers of an item that were taken back, by their files: a photo that moved has several."""
        trace = self.trace(item)
        if "hidden" in trace:
            return dict(trace["hidden"])
        return {str(trace.get("file", place.file)): str(trace["marker"])} if "marker" in trace else {}

    def _was_ours(self, uid: str) -> bool:
        """Return whether Rollcall hid a marker, for whichever face: photos may have changed places."""
        traces = (row.remote for row in self._remembered.values() if row.kind == "marker" and row.before is None)
        return any(uid in one.get("hidden", {"": one.get("marker")}).values() for one in traces)

    def _name(self, marker: str, name: str) -> None:
        self._needed("PUT", f"/api/v1/markers/{marker}", {"Name": name, "SubjSrc": "manual"}, "the marker")

    def _hide(self, marker: str) -> bool:
        """Hide a marker; return whether it was there."""
        if self._tolerate("DELETE", f"/api/v1/markers/{marker}/subject") is None:
            return False
        return self._tolerate("PUT", f"/api/v1/markers/{marker}", {"Invalid": True}) is not None

    def _take_back_marker(self, row: Remembered) -> Mapping[str, Any] | None:
        uid = str(row.remote["marker"])
        marker = self._marker_of(row)
        if marker is None:
            return None
        if marker["name"].casefold() not in ("", str(row.value["name"]).casefold()):
            raise RefusedItem("the face was given another name on the server, so it stays")
        if row.before is not None:
            if marker["name"]:
                self._tolerate("DELETE", f"/api/v1/markers/{uid}/subject")
            return None
        trace = row.remote
        if "file" in trace:
            trace = {"hidden": {**trace.get("hidden", {}), str(trace["file"]): uid}}
        if marker["invalid"]:
            return trace  # a person there removed it, or a run before this one that was killed
        return trace if self._hide(uid) else None

    def _marker_of(self, row: Remembered) -> dict[str, Any] | None:
        """Return a marker as the server has it; None if it is gone."""
        uid, photo = row.remote["marker"], row.remote.get("photo")
        details = None if photo is None else self._tolerate("GET", f"/api/v1/photos/{photo}")
        if photo is not None and details is None:
            return None
        files = [one for one in (details or {}).get("files") or () if "markers" in one]
        if not files:  # sent by an older version, or the server does not tell
            return {"uid": uid, "name": row.value["name"], "invalid": False}
        return next((one for file in files for one in file["markers"] or () if one["uid"] == uid), None)

    # ---- Requests

    def _get(self, path: str, **query: Any) -> Any:
        return _lower(self.connection.get(path, **query))

    def _tolerate(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request about something that may be gone; None then."""
        try:
            return _lower(self.connection.call(method, path, body))
        except BridgeError as error:
            if error.status_there == 404:
                return None
            raise

    def _needed(self, method: str, path: str, body: Any, what: str) -> Any:
        """Send a request about something that was there before.

        Raises
        ------
        RefusedItem
            If it is gone, or the server does not take this one, such as a label of signs alone.
        """
        try:
            found = self._tolerate(method, path, body)
        except BridgeError as error:
            if error.status_there != 400:
                raise
            raise RefusedItem(f"the server does not take it ({error.reason})") from error
        if found is None:
            raise RefusedItem(f"{what} is gone on the server")
        return found


def _lower(value: Any) -> Any:
    """Return an answer with all names of fields in lower case."""
    if isinstance(value, dict):
        return {str(name).lower(): _lower(one) for name, one in value.items()}
    return [_lower(one) for one in value] if isinstance(value, list) else value


def _is(label: Mapping[str, Any], slug: str) -> bool:
    """Return whether a label is the one of a slug here; a person there may have given it another name."""
    return slug in (label.get("slug"), label.get("customslug")) or slug_of(str(label.get("name") or "")) == slug


def _photo_label(photo: Mapping[str, Any], slug: str) -> dict[str, Any] | None:
    return next((one for one in photo["labels"] or () if one.get("label") and _is(one["label"], slug)), None)


def _remote(photo: str, label: Mapping[str, Any]) -> dict[str, Any]:
    return {"photo": photo, "label": label["labelid"], "uid": label["label"].get("uid")}


def _check_name(item: Item) -> None:
    """Refuse a marker whose name the server does not take."""
    if not item.value["name"]:
        raise RefusedItem("nothing is left of the name without the characters that the server does not take")
    if len(str(item.value["name"])) > _LONGEST_NAME:
        raise RefusedItem(f"the server takes names of up to {_LONGEST_NAME} characters")


def _label(tag: str) -> str:
    """Return the label of a tag: its lowest level, as labels have none."""
    return tag.rpartition("/")[2]


def slug_of(name: str) -> str:
    """Return the name by which the server tells labels apart: lower case ASCII, words joined by '-'."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or name.lower()
