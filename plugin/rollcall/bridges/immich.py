"""Immich: hierarchical tags, people with birth dates, faces with boxes.

Requests as its published API describes them (OpenAPI, version 2): `/api/tags`, `/api/people`, `/api/faces`,
`/api/search/metadata`. Boxes are pixels of the upright picture.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from rollcall.bridges.base import Bridge, Found, Item, RefusedItem, Remembered, best_cover
from rollcall.bridges.connection import Connection
from rollcall.bridges.content import Content, PhotoContent, as_json
from rollcall.bridges.places import FileIndex, PathMap, ServerFile, tag_levels
from rollcall.errors import BridgeError
from rollcall.records import Box

_PAGE: Final = 1000


class Immich(Bridge):
    """A bridge to an Immich server; the key needs the permissions to read assets and to edit tags, people and faces."""

    name = "immich"
    kinds = ("tag", "photo tag", "person", "face")
    batches: ClassVar[Mapping[str, int]] = {"photo tag": 500}
    changeable = frozenset({"person", "face"})

    def __init__(self, connection: Connection, paths: PathMap) -> None:
        super().__init__(connection)
        self._paths = paths
        self._index: FileIndex[str] | None = None
        self._tags: dict[str, str] | None = None  # value to id
        self._tagged: dict[str, set[str]] = {}  # a tag's id to the assets that have it
        self._people: list[dict[str, Any]] | None = None
        self._faces: dict[str, list[dict[str, Any]]] = {}  # of one asset, the last
        self._names: dict[str, str] = {}  # of people, by uid

    def wanted(self, content: Content) -> Iterable[Item]:
        for level in sorted(
            {level for photo in content.photos for tag in photo.tags for level in tag_levels(tag.name)}
        ):
            yield Item("tag", level, {})
        for person in content.shown_people():
            self._names[person.uid] = person.name
            yield Item("person", person.uid, {"name": person.name, "birth_date": person.whole_birth_date})
        for photo in content.photos:
            for tag in photo.tags:
                value = {"photo": photo.photo_id, "tag": tag.name}
                yield Item("photo tag", f"{photo.photo_id}:{tag.name}", value, photo, (("tag", tag.name),))
            for face in photo.faces:
                value = {"photo": photo.photo_id, "person": face.person, "box": as_json(face.box)}
                yield Item("face", str(face.face_id), value, photo, (("person", face.person),))

    def prepare(self, content: Content) -> None:
        if self._index is None:
            self._index = FileIndex(self._assets(), self._paths)

    def refresh(self) -> None:
        self._tags = self._people = None
        self._tagged.clear()
        self._faces.clear()

    def group(self, item: Item) -> str:
        return str(item.value["tag"]) if item.kind == "photo tag" else item.key

    def find(self, item: Item) -> Found | None:
        if item.kind == "tag":
            found = self._all_tags().get(item.key)
            return None if found is None else Found({"id": found})
        if item.kind == "person":
            return self._find_person(item.value)
        asset = self._asset(item.photo)
        if item.kind == "face":
            return self._find_face(item, asset)
        tag = self.remote("tag", str(item.value["tag"]))
        if tag is not None and asset in self._assets_with(str(tag["id"])):
            return Found({"asset": asset, "tag": tag["id"]})
        return None

    def make(self, items: Sequence[Item]) -> list[Mapping[str, Any] | RefusedItem]:
        first = items[0]
        if first.kind == "tag":
            (made,) = self.connection.call("PUT", "/api/tags", {"tags": [first.key]})
            self._all_tags()[first.key] = made["id"]
            return [{"id": made["id"]}]
        if first.kind == "person":
            return [{"id": self.connection.call("POST", "/api/people", _person(first.value))["id"]}]
        if first.kind == "face":
            return [self._make_face(first)]
        tag = str(self.required(self.remote("tag", str(first.value["tag"])), "the tag")["id"])
        assets = [self._asset(item.photo) for item in items]
        answers = {one["id"]: one for one in self.connection.call("PUT", f"/api/tags/{tag}/assets", {"ids": assets})}
        return [
            {"asset": asset, "tag": tag}
            if answers[asset]["success"] or answers[asset].get("error") == "duplicate"
            else RefusedItem(f"the server does not take the tag ({answers[asset].get('error')})")
            for asset in assets
        ]

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        if item.kind == "person":
            body = _person(item.value)
            if remembered.before is not None:  # a person of the server's: only what it lacks
                body.pop("name")
            self.connection.call("PUT", f"/api/people/{remembered.remote['id']}", body)
            return remembered.remote
        person = str(self.required(self.remote("person", str(item.value["person"])), "the person")["id"])
        if remembered.before is None and remembered.value.get("box") != item.value["box"]:
            # Boxes cannot be moved there.
            self._delete_face(str(remembered.remote["face"]))
            return self._make_face(item)
        self.connection.call("PUT", f"/api/faces/{person}", {"id": remembered.remote["face"]})
        return {**remembered.remote, "person": person}

    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        first = rows[0]
        if first.kind == "photo tag":
            self._untag(rows)
        for row in rows:
            if row.kind == "tag":
                self._delete_tag(row)
            elif row.kind == "person":
                self._take_back_person(row)
            elif row.kind == "face":
                self._take_back_face(row)
        return [None] * len(rows)

    # ---- Assets

    def _assets(self) -> Iterator[ServerFile[str]]:
        for asset in self._search({}):
            try:
                sha1 = base64.b64decode(asset.get("checksum") or "", validate=True).hex()
            except (binascii.Error, ValueError):
                sha1 = ""
            yield ServerFile(asset["originalPath"], sha1, asset["id"])
            if asset.get("originalFileName"):
                # Uploaded files are stored under another name; the content tells them apart.
                yield ServerFile(f"{asset['id']}/{asset['originalFileName']}", sha1, asset["id"])

    def _search(self, terms: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        page: int | None = 1
        while page is not None:
            body = {**terms, "size": _PAGE, "page": page}
            # A search is a POST there; it changes nothing, and may be sent again.
            found = self.connection.ask("/api/search/metadata", body)["assets"]
            yield from found["items"]
            page = int(found["nextPage"]) if found.get("nextPage") else None

    def _asset(self, photo: PhotoContent | None) -> str:
        found = self._index.find(photo) if self._index is not None and photo is not None else None
        if found is None:
            raise RefusedItem("the server has no such photo")
        return found

    # ---- Tags

    def _all_tags(self) -> dict[str, str]:
        if self._tags is None:
            self._tags = {tag["value"]: tag["id"] for tag in self.connection.get("/api/tags")}
        return self._tags

    def _assets_with(self, tag: str) -> set[str]:
        if tag not in self._tagged:
            self._tagged = {tag: {asset["id"] for asset in self._search({"tagIds": [tag]})}}
        return self._tagged[tag]

    def _untag(self, rows: Sequence[Remembered]) -> None:
        by_tag: dict[str, list[str]] = {}
        for row in rows:
            by_tag.setdefault(str(row.remote["tag"]), []).append(str(row.remote["asset"]))
        for tag, assets in by_tag.items():
            self._tolerate("DELETE", f"/api/tags/{tag}/assets", {"ids": assets})

    def _delete_tag(self, row: Remembered) -> None:
        tag = str(row.remote["id"])
        self._tags = None
        if tag not in self._all_tags().values():
            return
        below = f"{row.key}/"
        self._tagged.clear()
        if any(value.startswith(below) for value in self._all_tags()) or self._assets_with(tag):
            raise RefusedItem("others use the tag by now, so it stays")
        self._tolerate("DELETE", f"/api/tags/{tag}")

    # ---- People

    def _all_people(self) -> list[dict[str, Any]]:
        if self._people is None:
            people: list[dict[str, Any]] = []
            page = 1
            while True:
                found = self.connection.get("/api/people", withHidden=True, page=page, size=_PAGE)
                people += found["people"]
                if not found.get("hasNextPage"):
                    break
                page += 1
            self._people = people
        return self._people

    def _find_person(self, value: Mapping[str, Any]) -> Found | None:
        same = [one for one in self._all_people() if one["name"].casefold() == str(value["name"]).casefold()]
        if not same:
            return None
        if len(same) > 1:
            raise RefusedItem(f"the server has {len(same)} people of this name; merge them there")
        birth_date = value.get("birth_date")
        if birth_date and not same[0].get("birthDate"):
            return Found({"id": same[0]["id"]}, {"birthDate": None})
        return Found({"id": same[0]["id"]})

    def _take_back_person(self, row: Remembered) -> None:
        person = str(row.remote["id"])
        found = self._tolerate("GET", f"/api/people/{person}")
        if found is None:
            return
        if row.before is not None:
            if found.get("birthDate") == row.value.get("birth_date"):
                self._tolerate("PUT", f"/api/people/{person}", dict(row.before))
            return
        if (self._tolerate("GET", f"/api/people/{person}/statistics") or {"assets": 0})["assets"]:
            raise RefusedItem("others named faces of this person by now, so the person stays")
        self._tolerate("DELETE", f"/api/people/{person}")

    # ---- Faces

    def _faces_of(self, asset: str) -> list[dict[str, Any]]:
        if asset not in self._faces:
            self._faces = {asset: self.connection.get("/api/faces", id=asset)}
        return self._faces[asset]

    def _find_face(self, item: Item, asset: str) -> Found | None:
        faces = self._faces_of(asset)
        box = Box(*item.value["box"])
        index = best_cover(box, [_box(face) for face in faces])
        if index is None:
            return None
        face, target = faces[index], self.remote("person", str(item.value["person"]))
        remote = {"face": face["id"], "asset": asset, "person": None if target is None else target["id"]}
        person = face.get("person")
        if person is not None and target is not None and person["id"] == target["id"]:
            return Found(remote)
        ours = self._names.get(str(item.value["person"]), "").casefold()
        if person is not None and person["name"] and (target is not None or person["name"].casefold() != ours):
            raise RefusedItem("the face has another name on the server, which stays")
        return Found(remote, {"person": None if person is None else person["id"]})

    def _make_face(self, item: Item) -> Mapping[str, Any]:
        asset = self._asset(item.photo)
        assert item.photo is not None
        width, height = item.photo.width, item.photo.height
        if not width or not height:
            raise RefusedItem("the photo was not analysed yet")
        person = str(self.required(self.remote("person", str(item.value["person"])), "the person")["id"])
        box = Box(*item.value["box"])
        x, y = min(round(box.x * width), width - 1), min(round(box.y * height), height - 1)
        x, y = max(x, 0), max(y, 0)
        area = {
            "x": x,
            "y": y,
            "width": min(max(round(box.width * width), 1), width - x),
            "height": min(max(round(box.height * height), 1), height - y),
        }
        before = {face["id"] for face in self._faces_of(asset)}
        body = {"assetId": asset, "personId": person, "imageWidth": width, "imageHeight": height, **area}
        self.connection.call("POST", "/api/faces", body)
        # Its answer does not name the face.
        self._faces.clear()
        made = [face for face in self._faces_of(asset) if face["id"] not in before]
        ours = [face for face in made if face.get("person") and face["person"]["id"] == person]
        if not ours:
            raise BridgeError(
                self.connection.url,
                "a face that was made is not there; check what the server's log says, and run again",
            )
        return {"face": ours[0]["id"], "asset": asset, "person": person}

    def _delete_face(self, face: str) -> None:
        self._tolerate("DELETE", f"/api/faces/{face}", {"force": True})
        self._faces.clear()

    def _take_back_face(self, row: Remembered) -> None:
        face = str(row.remote["face"])
        faces = self._tolerate("GET", f"/api/faces?id={row.remote['asset']}") or []
        found = next((one for one in faces if one["id"] == face), None)
        if found is None or not found.get("person") or found["person"]["id"] != row.remote["person"]:
            return  # a person there decided otherwise
        if row.before is None:
            self._delete_face(face)
            return
        old = row.before["person"]
        if old is not None and self._tolerate("GET", f"/api/people/{old}") is not None:
            self._tolerate("PUT", f"/api/faces/{old}", {"id": face})
            return
        # There is no request that takes a face from its person; deleting a person frees its faces.
        unnamed = self.connection.call("POST", "/api/people", {})["id"]
        self._tolerate("PUT", f"/api/faces/{unnamed}", {"id": face})
        self._tolerate("DELETE", f"/api/people/{unnamed}")

    def _tolerate(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request about something that may be gone; None then."""
        try:
            return self.connection.call(method, path, body)
        except BridgeError as error:
            # It answers 400 for what is not there, or not this user's.
            if error.status_there in (400, 404):
                return None
            raise


def _person(value: Mapping[str, Any]) -> dict[str, Any]:
    body = {"name": value["name"]}
    if value.get("birth_date"):
        body["birthDate"] = value["birth_date"]
    return body


def _box(face: Mapping[str, Any]) -> Box:
    width, height = max(face["imageWidth"], 1), max(face["imageHeight"], 1)
    x, y = face["boundingBoxX1"], face["boundingBoxY1"]
    return Box(x / width, y / height, (face["boundingBoxX2"] - x) / width, (face["boundingBoxY2"] - y) / height)
