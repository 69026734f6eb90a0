"""Immich: hierarchical tags, people with birth dates, faces with boxes.

Requests as its published API describes them (OpenAPI, versions 2 and 3): `/api/tags`, `/api/people`, `/api/faces`,
`/api/search/metadata`. Boxes are pixels of the upright picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from rollcall.bridges.base import Found, Item, RefusedItem, Remembered, best_cover
from rollcall.bridges.connection import Connection
from rollcall.bridges.content import Content, as_json
from rollcall.bridges.immich_server import ImmichServer
from rollcall.bridges.places import FileIndex, PathMap, tag_levels
from rollcall.errors import BridgeError
from rollcall.records import Box


class Immich(ImmichServer):
    """A bridge to an Immich server; the key needs the permissions to read assets and to edit tags, people and faces."""

    name = "immich"
    kinds = ("tag", "photo tag", "person", "face")
    batches: ClassVar[Mapping[str, int]] = {"photo tag": 500}
    changeable = frozenset({"person", "face"})

    def __init__(self, connection: Connection, paths: PathMap) -> None:
        super().__init__(connection)
        self._paths = paths
        self._index: FileIndex[str] | None = None
        self._names: dict[str, str] = {}  # of people, by uid
        self._freed: set[str] = set()  # faces that a run began to take from their person
        self._carried: set[tuple[str, str]] = set()  # tags and people that are on a photo which the server has

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
        for photo in content.photos:
            if self._index.find(photo) is not None:
                self._carried.update(("tag", level) for tag in photo.tags for level in tag_levels(tag.name))
                self._carried.update(("person", face.person) for face in photo.faces)

    def group(self, item: Item) -> str:
        return str(item.value["tag"]) if item.kind == "photo tag" else item.key

    def find(self, item: Item) -> Found | None:
        if item.kind in ("tag", "person"):
            named = self._find_tag(item) if item.kind == "tag" else self._find_person(item)
            if named is None and item.name not in self._carried:
                raise RefusedItem("the server has none of its photos")
            return named
        asset = self._asset(item)
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
            made = self.connection.call("POST", "/api/people", _person(first.value))
            if self._people is not None:
                self._people.append(made)
            return [{"id": made["id"]}]
        if first.kind == "face":
            return [self._make_face(first)]
        tag = str(self.required(self.remote("tag", str(first.value["tag"])), "the tag")["id"])
        assets = [self._asset(item) for item in items]
        found = self._tolerate("PUT", f"/api/tags/{tag}/assets", {"ids": list(dict.fromkeys(assets))})
        if found is None:
            raise RefusedItem("the tag was removed on the server, and is not made again")
        errors = {one["id"]: "" if one["success"] else one.get("error", "unknown") for one in found}
        return [
            {"asset": asset, "tag": tag}
            if errors.get(asset) in ("", "duplicate")
            else RefusedItem(f"the server does not take the tag ({errors.get(asset, 'no answer')})")
            for asset in assets
        ]

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        if item.kind == "person":
            return self._change_person(item, remembered)
        person = self._person_of(item)
        if remembered.before is None and remembered.value.get("box") != item.value["box"]:
            # Boxes cannot be moved there.
            self._take_back_face(remembered)
            return self._make_face(item)
        found = self._face_there(remembered)
        expected = {remembered.remote["person"], (remembered.before or {}).get("person", remembered.remote["person"])}
        if found is None or _person_id(found) not in expected:
            raise RefusedItem("the face was removed, or given to somebody else, on the server, which stays so")
        self._needed("PUT", f"/api/faces/{person}", {"id": remembered.remote["face"]}, "the face")
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

    def place(self, item: Item) -> Mapping[str, Any]:
        if item.photo is None:
            return {}
        if self._index is not None:
            self._index.add_name(item.photo.file.name)
        return {"asset": self._asset(item)}

    def _asset(self, item: Item) -> str:
        known = (item.place or {}).get("asset")
        if known is not None:
            return str(known)
        found = self._index.find(item.photo) if self._index is not None and item.photo is not None else None
        if found is None:
            raise RefusedItem("the server has no such photo")
        return found

    # ---- Tags

    def _find_tag(self, item: Item) -> Found | None:
        found = self._all_tags().get(item.key)
        return None if found is None else Found({"id": found})

    def _untag(self, rows: Sequence[Remembered]) -> None:
        by_tag: dict[str, list[str]] = {}
        for row in rows:
            by_tag.setdefault(str(row.remote["tag"]), []).append(str(row.remote["asset"]))
        names = {row.name for row in rows}
        # Of two photos here that are one there, the other may still have the tag.
        others = {
            (str(row.remote["tag"]), str(row.remote["asset"]))
            for name, row in self._remembered.items()
            if row.kind == "photo tag" and row.state == "done" and name not in names
        }
        self._tagged.clear()
        for tag, assets in by_tag.items():
            ids = [one for one in dict.fromkeys(assets) if (tag, one) not in others]
            if ids:
                self._tolerate("DELETE", f"/api/tags/{tag}/assets", {"ids": ids})

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

    def _find_person(self, item: Item) -> Found | None:
        name = str(item.value["name"]).casefold()
        same = [one for one in self._all_people() if one["name"].casefold() == name]
        row = self._remembered.get(item.name)
        if not same and row is not None and row.state == "sending":
            # People without faces are not listed, but one may have been made before a kill.
            found = self._tolerate("GET", "/api/search/person", name=item.value["name"], withHidden=True) or ()
            same = [one for one in found if one["name"].casefold() == name]
        if not same:
            return None
        if len(same) > 1:
            raise RefusedItem(f"the server has {len(same)} people of this name; merge them there")
        if item.value.get("birth_date") and not same[0].get("birthDate"):
            return Found({"id": same[0]["id"]}, {"birthDate": None})
        return Found({"id": same[0]["id"]})

    def _person_of(self, item: Item) -> str:
        """Return the id of the person whose face an item is, also where others merged that person into another one.

        Raises
        ------
        RefusedItem
            If there is none.
        """
        uid = str(item.value["person"])
        person = str(self.required(self.remote("person", uid), "the person")["id"])
        if person not in self._present:
            self._present[person] = self._tolerate("GET", f"/api/people/{person}") is not None
        if self._present[person]:
            return person
        name = self._names.get(uid, "").casefold()
        same = [str(one["id"]) for one in self._all_people() if one["name"].casefold() == name and one["id"] != person]
        if len(same) != 1:
            raise RefusedItem("the person was removed on the server, and is not made again")
        return same[0]

    def _change_person(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        """Send what differs, and nothing of what others entered there since."""
        person, sent = str(remembered.remote["id"]), remembered.value
        there = self._tolerate("GET", f"/api/people/{person}")
        if there is None:
            raise RefusedItem("the person was removed on the server, and is not made again")
        body: dict[str, Any] = {}
        if remembered.before is None and there["name"] != item.value["name"]:
            if there["name"] != sent.get("name"):
                raise RefusedItem("the person has another name on the server, which stays")
            body["name"] = item.value["name"]
        day, ours = _day(there.get("birthDate")), item.value.get("birth_date")
        if day != ours and day in (None, sent.get("birth_date")):
            body["birthDate"] = ours
        if body:
            self._needed("PUT", f"/api/people/{person}", body, "the person")
        return remembered.remote

    def _take_back_person(self, row: Remembered) -> None:
        person = str(row.remote["id"])
        found = self._tolerate("GET", f"/api/people/{person}")
        if found is None:
            return
        if row.before is not None:
            if _day(found.get("birthDate")) == row.value.get("birth_date"):
                self._tolerate("PUT", f"/api/people/{person}", dict(row.before))
            return
        if found["name"] != row.value.get("name"):
            raise RefusedItem("the person was renamed on the server, and stays")
        if (self._tolerate("GET", f"/api/people/{person}/statistics") or {"assets": 0})["assets"]:
            raise RefusedItem("others named faces of this person by now, so the person stays")
        self._tolerate("DELETE", f"/api/people/{person}")

    # ---- Faces

    def _find_face(self, item: Item, asset: str) -> Found | None:
        faces = self._faces_of(asset)
        box = Box(*item.value["box"])
        index = best_cover(box, [_box(face) for face in faces])
        if index is None:
            return None
        face, known = faces[index], self.remote("person", str(item.value["person"]))
        target = None if known is None else self._person_of(item)
        remote = {"face": face["id"], "asset": asset, "person": target}
        person = face.get("person")
        if person is not None and person["id"] == target:
            return Found(remote)
        ours = self._names.get(str(item.value["person"]), "").casefold()
        if person is not None and person["name"] and (target is not None or person["name"].casefold() != ours):
            raise RefusedItem("the face has another name on the server, which stays")
        return Found(remote, {"person": None if person is None else person["id"]})

    def _make_face(self, item: Item) -> Mapping[str, Any]:
        asset = self._asset(item)
        assert item.photo is not None
        width, height = item.photo.width, item.photo.height
        if not width or not height:
            raise RefusedItem("the photo was not analysed yet")
        person = self._person_of(item)
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
        answer = self._needed("POST", "/api/faces", body, "the photo, or the person,")
        self._faces.clear()
        if answer and answer.get("id"):
            return {"face": answer["id"], "asset": asset, "person": person}
        # The answers of version 2 do not name the face.
        made = [face for face in self._faces_of(asset) if face["id"] not in before]
        ours = [face for face in made if face.get("person") and face["person"]["id"] == person]
        if not ours:
            raise BridgeError(
                self.connection.url,
                "a face that was made is not there; check what the server's log says, and run again",
            )
        return {"face": ours[0]["id"], "asset": asset, "person": person}

    def _face_there(self, row: Remembered) -> dict[str, Any] | None:
        faces = self._tolerate("GET", "/api/faces", id=row.remote["asset"]) or ()
        return next((one for one in faces if one["id"] == row.remote["face"]), None)

    def _take_back_face(self, row: Remembered) -> None:
        found = self._face_there(row)
        if found is None or _person_id(found) is None or _person_id(found) != row.remote["person"]:
            return  # a person there decided otherwise
        made = self._remembered.get(("person", str(row.value["person"])))
        if made is not None and made.state == "done" and made.before is None:
            # Who renamed a person there has looked at its faces.
            ours = made.remote["id"], made.value["name"]
            if found["person"]["id"] == ours[0] and found["person"]["name"] != ours[1]:
                raise RefusedItem("the person of the face was renamed on the server, and keeps it")
        face = str(row.remote["face"])
        self._faces.clear()
        if row.before is None:
            self._tolerate("DELETE", f"/api/faces/{face}", {"force": True})
            return
        old = row.before["person"]
        if old is not None and self._tolerate("GET", f"/api/people/{old}") is not None:
            self._tolerate("PUT", f"/api/faces/{old}", {"id": face})
            return
        # There is no request that takes a face from its person; deleting a person frees its faces. By the name, one
        # that a kill left behind is found again.
        name = f"Rollcall {face}"
        people = self._all_people()
        if face in self._freed:  # its answer was lost; people without faces are not listed
            people = people + (self._tolerate("GET", "/api/search/person", name=name, withHidden=True) or [])
        self._freed.add(face)
        unnamed = next((one["id"] for one in people if one["name"] == name), None)
        if unnamed is None:
            unnamed = self.connection.call("POST", "/api/people", {"name": name, "isHidden": True})["id"]
        self._tolerate("PUT", f"/api/faces/{unnamed}", {"id": face})
        self._tolerate("DELETE", f"/api/people/{unnamed}")
        self._people = None


def _person(value: Mapping[str, Any]) -> dict[str, Any]:
    body = {"name": value["name"]}
    if value.get("birth_date"):
        body["birthDate"] = value["birth_date"]
    return body


def _person_id(face: Mapping[str, Any]) -> str | None:
    person = face.get("person")
    return None if person is None else str(person["id"])


def _day(value: Any) -> str | None:
    """Return a date without the time that some versions add."""
    return str(value)[:10] if value else None


def _box(face: Mapping[str, Any]) -> Box:
    width, height = max(face["imageWidth"], 1), max(face["imageHeight"], 1)
    x, y = face["boundingBoxX1"], face["boundingBoxY1"]
    return Box(x / width, y / height, (face["boundingBoxX2"] - x) / width, (face["boundingBoxY2"] - y) / height)
