"""A strict server that stands for PhotoPrism, written from its published description."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, ClassVar

from strict_server import BadRequest, Reply, StrictServer, body, checked, no_body

#: Queries by address.
QUERIES = {
    "/api/v1/photos": frozenset({"count", "offset", "order", "merged", "public", "quality", "q", "s", "path", "video"}),
    "/api/v1/labels": frozenset({"count", "offset", "all", "q"}),
}
#: Sources and types have at most eight characters.
SOURCE = re.compile(".{0,8}")


class FakePhotoPrism(StrictServer):
    """PhotoPrism's photos, labels and markers."""

    KEY = "photoprism-key"

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.described = False
        self.photos: dict[str, dict[str, Any]] = {}
        self.labels: dict[str, dict[str, Any]] = {}  # by slug
        self.photo_labels: dict[tuple[str, str], dict[str, Any]] = {}
        self.markers: dict[str, dict[str, Any]] = {}
        uid = "([a-z0-9]+)"
        handlers: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "/api/v1/photos", self._list_photos),
            ("GET", f"/api/v1/photos/{uid}", self._get_photo),
            ("POST", f"/api/v1/photos/{uid}/label", self._add_label),
            ("PUT", f"/api/v1/photos/{uid}/label/([0-9]+)", self._change_label),
            ("DELETE", f"/api/v1/photos/{uid}/label/([0-9]+)", self._remove_label),
            ("GET", "/api/v1/labels", self._list_labels),
            ("POST", "/api/v1/batch/labels/delete", self._delete_labels),
            ("POST", "/api/v1/markers", self._create_marker),
            ("PUT", f"/api/v1/markers/{uid}", self._update_marker),
            ("DELETE", f"/api/v1/markers/{uid}/subject", self._clear_subject),
        ]
        for method, pattern, handler in handlers:
            queries = QUERIES.get(pattern, frozenset()) if method == "GET" else frozenset()
            self.route(method, pattern, self.guarded(handler, queries))

    def allowed(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {self.KEY}"

    def state(self) -> Any:
        names = {label["ID"]: slug for slug, label in self.labels.items()}
        shown = [one for one in self.markers.values() if not one["Invalid"]]
        return copy.deepcopy(
            {
                "labels": sorted(self.labels),
                "photo labels": sorted(
                    (self.photos[photo]["Files"][0]["Name"], names[int(label)], one["Uncertainty"])
                    for (photo, label), one in self.photo_labels.items()
                ),
                # What is shown: a marker cannot be deleted, only hidden.
                "markers": sorted(
                    (one["FileUID"], one["Name"], one["X"], one["Y"], one["W"], one["H"]) for one in shown
                ),
            }
        )

    def new_uid(self, first: str) -> str:
        self.numbers += 1
        return f"{first}s{self.numbers:014d}"

    def add_photo(self, name: str, sha1: str = "") -> str:
        uid = self.new_uid("p")
        file = {"UID": self.new_uid("f"), "Name": name, "Root": "/", "Hash": sha1, "Missing": False, "Primary": True}
        self.photos[uid] = {"UID": uid, "Files": [file]}
        return uid

    def file_of(self, photo: str) -> str:
        return str(self.photos[photo]["Files"][0]["UID"])

    def add_label(self, photo: str, name: str, uncertainty: int, source: str = "manual") -> None:
        plain = name.lower().translate(str.maketrans("äöü", "aou", "'")).replace("&", " and ")
        slug = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
        if slug not in self.labels:
            self.numbers += 1
            self.labels[slug] = {"ID": self.numbers, "UID": self.new_uid("l"), "Slug": slug, "Name": name}
        key = photo, str(self.labels[slug]["ID"])
        row = self.photo_labels.setdefault(key, {"Uncertainty": uncertainty, "LabelSrc": source})
        row["Uncertainty"] = min(row["Uncertainty"], uncertainty)

    def add_marker(self, photo: str, box: tuple[float, float, float, float], name: str = "") -> str:
        uid = self.new_uid("m")
        places = dict(zip("XYWH", box, strict=True))
        self.markers[uid] = {
            "UID": uid,
            "FileUID": self.file_of(photo),
            "Type": "face",
            "Src": "image",
            "Name": name,
            "SubjSrc": "",
            "Invalid": False,
            "Review": False,
            **places,
        }
        return uid

    def _details(self, uid: str) -> dict[str, Any]:
        photo = copy.deepcopy(self.photos[uid])
        for file in photo["Files"]:
            file["Markers"] = [one for one in self.markers.values() if one["FileUID"] == file["UID"]]
        by_id = {str(label["ID"]): label for label in self.labels.values()}
        photo["Labels"] = [
            {"PhotoID": 1, "LabelID": int(label), **row, "Label": by_id[label]}
            for (one, label), row in self.photo_labels.items()
            if one == uid
        ]
        if self.described:
            # Its description writes some fields otherwise than its answers.
            photo["labels"] = [
                {"labelID": one["LabelID"], "label": one["Label"], "uncertainty": one["Uncertainty"]}
                for one in photo.pop("Labels")
            ]
            photo["files"] = photo.pop("Files")
        return photo

    def remove_photo(self, uid: str) -> None:
        """Remove a photo, with its labels and markers."""
        file = self.file_of(uid)
        del self.photos[uid]
        self.photo_labels = {key: row for key, row in self.photo_labels.items() if key[0] != uid}
        self.markers = {key: one for key, one in self.markers.items() if one["FileUID"] != file}

    def _list_photos(self, query: dict[str, str], content: bytes | None) -> Reply:
        no_body(content)
        if {"count", "quality"} - query.keys() or query["quality"] not in set("01234567"):
            raise BadRequest(f"query {query}")
        if query.get("order", "added") not in {"favorites", "name", "title", "added", "edited"}:
            raise BadRequest(f"query {query}")
        photos = list(self.photos)
        if "q" in query:
            asked = re.fullmatch(r'label:(?:([a-z0-9-]+)|"([^"]+)")', query["q"])
            if asked is None:
                raise BadRequest(f"query {query}")
            number = str(self.labels.get(asked[1] or asked[2], {}).get("ID"))
            photos = [one for one in photos if (one, number) in self.photo_labels]
        # Offset and count are of files; a photo is in each part that has one of its files.
        files = [(one, file) for one in photos for file in self.photos[one]["Files"]]
        start = int(query.get("offset", 0))
        part = files[start : start + int(query["count"])]
        merged = {one: {"UID": one, "Files": [file for two, file in part if two == one]} for one, _ in part}
        return Reply(200, list(merged.values()))

    def _get_photo(self, uid: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        return Reply(200, self._details(uid)) if uid in self.photos else Reply(404, {"error": "Entity not found"})

    def _add_label(self, uid: str, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {"Name": str}, {"Uncertainty": int, "Priority": int})
        if uid not in self.photos:
            return Reply(404, {"error": "Entity not found"})
        if not 0 <= value.get("Uncertainty", 0) <= 100:
            raise BadRequest("uncertainty")
        if not re.search(r"\w", value["Name"]):
            return Reply(400, {"error": "Invalid name"})
        self.add_label(uid, value["Name"], value.get("Uncertainty", 0))
        return Reply(200, self._details(uid))

    def _change_label(self, uid: str, label: str, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {"Uncertainty": int})
        if not 0 <= value["Uncertainty"] <= 100:
            raise BadRequest("uncertainty")
        if (uid, label) not in self.photo_labels:
            return Reply(404, {"error": "Record not found"})
        self.photo_labels[uid, label].update(value)
        return Reply(200, self._details(uid))

    def _remove_label(self, uid: str, label: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        row = self.photo_labels.get((uid, label))
        if row is None:
            return Reply(404, {"error": "Record not found"})
        if row["LabelSrc"] == "manual":
            del self.photo_labels[uid, label]
        else:
            row["Uncertainty"] = 100
        return Reply(200, self._details(uid))

    def _list_labels(self, query: dict[str, str], content: bytes | None) -> Reply:
        if "count" not in query or query.keys() - {"count", "offset", "all"}:
            raise BadRequest(f"query {query}")
        start = int(query.get("offset", 0))
        return Reply(200, list(self.labels.values())[start : start + int(query["count"])])

    def _delete_labels(self, query: Any, content: bytes | None) -> Reply:
        uids = checked(body(content), {"labels": [str]})["labels"]
        if not uids:
            raise BadRequest("no labels")
        gone = {str(label["ID"]) for label in self.labels.values() if label["UID"] in uids}
        self.labels = {slug: label for slug, label in self.labels.items() if label["UID"] not in uids}
        self.photo_labels = {key: row for key, row in self.photo_labels.items() if key[1] not in gone}
        return Reply(200, {"code": 200, "message": "Labels deleted"})

    _MARKER: ClassVar[dict[str, Any]] = {
        "Type": "face",
        "Src": SOURCE,
        "X": float,
        "Y": float,
        "W": float,
        "H": float,
        "SubjSrc": SOURCE,
        "Name": str,
    }

    def _create_marker(self, query: Any, content: bytes | None) -> Reply:
        kinds = {**self._MARKER, "Type": SOURCE}
        uid = re.compile("f[a-z0-9]{15}")
        value = checked(body(content), {"FileUID": uid, **dict.fromkeys("XYWH", float)}, kinds | {"Invalid": bool})
        photo = next((one for one in self.photos if self.file_of(one) == value["FileUID"]), None)
        if photo is None:
            return Reply(404, {"error": "Entity not found"})
        box = value["X"], value["Y"], value["W"], value["H"]
        if not all(0 <= one <= 1 for one in box) or box[2] <= 0 or box[3] <= 0:
            raise BadRequest("invalid area")
        if len(value.get("Name", "")) > 160:
            raise BadRequest("the name is too long")
        made = self.add_marker(photo, box, value.get("Name", ""))
        self.markers[made].update(Src="manual", SubjSrc=value.get("SubjSrc", ""))
        return Reply(201, self.markers[made], headers={"Location": f"/api/v1/markers/{made}"})

    def _update_marker(self, uid: str, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {}, {"Name": str, "SubjSrc": re.compile("manual"), "Invalid": bool})
        if uid not in self.markers:
            return Reply(404, {"error": "Entity not found"})
        if "Name" in value and "SubjSrc" not in value:
            raise BadRequest("a name without its source is not taken")
        if len(value.get("Name", "")) > 160:
            raise BadRequest("the name is too long")
        old, new = self.markers[uid]["Name"], value.get("Name", "")
        if old and new and old != new:
            # The marker's person gets another name, on all photos.
            for marker in self.markers.values():
                marker["Name"] = new if marker["Name"] == old else marker["Name"]
        self.markers[uid].update(value)
        return Reply(200, self.markers[uid])

    def _clear_subject(self, uid: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        if uid not in self.markers:
            return Reply(404, {"error": "Entity not found"})
        self.markers[uid].update(Name="", SubjSrc="manual")
        return Reply(200, self.markers[uid])
