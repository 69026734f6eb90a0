"""A strict server that stands for Immich, written from its published description."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar

from strict_server import BadRequest, Reply, StrictServer, body, checked, no_body

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ID = "00000000-0000-4000-8000-000000000000"
DATE = re.compile(r"\d{4}-\d\d-\d\d")
TEXT = re.compile(r"(?s).+")
#: Queries by address.
QUERIES = {
    "/api/people": frozenset({"withHidden", "page", "size", "closestAssetId", "closestPersonId"}),
    "/api/faces": frozenset({"id"}),
    "/api/search/person": frozenset({"name", "withHidden"}),
}
#: What a search by metadata may be asked for.
TERMS = {
    **{name: [UUID] for name in ("albumIds", "personIds", "tagIds")},
    **dict.fromkeys(("isEncoded", "isFavorite", "isMotion", "isNotInAlbum", "isOffline", "withDeleted"), bool),
    **dict.fromkeys(("withExif", "withPeople", "withStacked"), bool),
    **dict.fromkeys(("checksum", "originalFileName", "originalPath", "description"), TEXT),
    "id": UUID,
    "order": re.compile("asc|desc"),
    "page": int,
    "size": int,
    "type": re.compile("IMAGE|VIDEO|AUDIO|OTHER"),
    "visibility": re.compile("archive|timeline|hidden|locked"),
}


class FakeImmich(StrictServer):
    """Immich's tags, people, faces and search for assets."""

    KEY = "immich-key"

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.assets: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, Any]] = {}
        self.tagged: set[tuple[str, str]] = set()
        self.people: dict[str, dict[str, Any]] = {}
        self.new: set[str] = set()  # people who had no face yet
        self.faces: dict[str, dict[str, Any]] = {}
        handlers: list[tuple[str, str, Callable[..., Reply]]] = [
            ("POST", "/api/search/metadata", self._search),
            ("GET", "/api/tags", self._all_tags),
            ("PUT", "/api/tags", self._upsert_tags),
            ("DELETE", "/api/tags/([^/]+)", self._delete_tag),
            ("PUT", "/api/tags/([^/]+)/assets", self._tag_assets),
            ("DELETE", "/api/tags/([^/]+)/assets", self._untag_assets),
            ("GET", "/api/search/person", self._search_person),
            ("GET", "/api/people", self._all_people),
            ("POST", "/api/people", self._create_person),
            ("GET", "/api/people/([^/]+)", self._get_person),
            ("PUT", "/api/people/([^/]+)", self._update_person),
            ("DELETE", "/api/people/([^/]+)", self._delete_person),
            ("GET", "/api/people/([^/]+)/statistics", self._statistics),
            ("GET", "/api/faces", self._faces),
            ("POST", "/api/faces", self._create_face),
            ("PUT", "/api/faces/([^/]+)", self._reassign),
            ("DELETE", "/api/faces/([^/]+)", self._delete_face),
        ]
        for method, pattern, handler in handlers:
            queries = QUERIES.get(pattern, frozenset()) if method == "GET" else frozenset()
            self.route(method, pattern, self.guarded(handler, queries))

    def allowed(self) -> bool:
        return self.headers.get("x-api-key") == self.KEY

    def check_parts(self, parts: tuple[str, ...]) -> None:
        for part in parts:
            if not UUID.fullmatch(part):
                raise BadRequest(f"{part} is no UUID")

    def state(self) -> Any:
        return copy.deepcopy(
            {
                "tags": sorted(tag["value"] for tag in self.tags.values()),
                "tagged": sorted((self.tags[tag]["value"], asset) for tag, asset in self.tagged),
                "people": sorted((one["name"], str(one["birthDate"])) for one in self.people.values()),
                "faces": sorted(
                    (one["asset"], one["box"], str(self.people.get(one["person"], {}).get("name")))
                    for one in self.faces.values()
                ),
            }
        )

    # Set up

    def new_id(self) -> str:
        self.numbers += 1
        return f"00000000-0000-4000-8000-{self.numbers:012x}"

    def add_asset(self, path: str, checksum: str = "", name: str | None = None) -> str:
        key = self.new_id()
        name = name or path.rpartition("/")[2]
        self.assets[key] = {
            "id": key,
            "originalPath": path,
            "checksum": checksum,
            "originalFileName": name,
            "visibility": "timeline",
            "isTrashed": False,
        }
        return key

    def remove_asset(self, key: str) -> None:
        """Remove an asset, with its tags and faces."""
        del self.assets[key]
        self.tagged = {pair for pair in self.tagged if pair[1] != key}
        self.faces = {one: face for one, face in self.faces.items() if face["asset"] != key}

    def merge(self, person: str, into: str) -> None:
        """Merge a person into another one, as its page does."""
        for face in self.faces.values():
            face["person"] = into if face["person"] == person else face["person"]
        del self.people[person]

    def add_tag(self, value: str, *assets: str) -> str:
        known = {tag["value"]: key for key, tag in self.tags.items()}
        key = ""
        parts = value.split("/")
        for count in range(1, len(parts) + 1):
            level = "/".join(parts[:count])
            if level not in known:
                known[level] = self.new_id()
                parent = known.get(level.rpartition("/")[0])
                self.tags[known[level]] = {"id": known[level], "value": level, "name": parts[count - 1]}
                if parent:
                    self.tags[known[level]]["parentId"] = parent
            key = known[level]
        self.tagged |= {(key, asset) for asset in assets}
        return key

    def add_person(self, name: str = "", birth_date: str | None = None) -> str:
        key = self.new_id()
        self.people[key] = {"id": key, "name": name, "birthDate": birth_date}
        return key

    def add_face(self, asset: str, box: tuple[int, int, int, int], person: str | None) -> str:
        key = self.new_id()
        self.faces[key] = {"id": key, "asset": asset, "box": box, "person": person, "size": (200, 120)}
        return key

    # Requests

    def _search(self, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {}, TERMS)
        assert not value.keys() - {"size", "page", "tagIds", "visibility", "withDeleted"}, "not implemented here"
        tags = value.get("tagIds")
        if tags is not None and not set(tags) <= self.tags.keys():
            return Reply(400, {"message": "Not found or no tag.read access"})
        found = [
            one
            for key, one in self.assets.items()
            if one["visibility"] == value.get("visibility", "timeline")
            and (value.get("withDeleted") or not one["isTrashed"])
            and all((tag, key) in self.tagged for tag in tags or ())
        ]
        size, page = value.get("size", 250), value.get("page", 1)
        if not 1 <= size <= 1000 or page < 1:
            raise BadRequest("size or page")
        part = found[(page - 1) * size : page * size]
        more = str(page + 1) if len(found) > page * size else None
        return Reply(200, {"assets": {"items": part, "nextPage": more, "count": len(part)}, "albums": {}})

    def _all_tags(self, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        return Reply(200, list(self.tags.values()))

    def _upsert_tags(self, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {"tags": [str]})
        return Reply(200, [self.tags[self.add_tag(one)] for one in value["tags"]])

    def _delete_tag(self, key: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        if key not in self.tags:
            return Reply(400, {"message": "Not found or no tag.delete access"})
        value = self.tags[key]["value"]
        below = {one for one, tag in self.tags.items() if tag["value"].startswith(f"{value}/")} | {key}
        self.tags = {one: tag for one, tag in self.tags.items() if one not in below}
        self.tagged = {pair for pair in self.tagged if pair[0] not in below}
        return Reply(204)

    def _tag_assets(self, key: str, query: Any, content: bytes | None) -> Reply:
        ids = checked(body(content), {"ids": [UUID]})["ids"]
        if key not in self.tags:
            return Reply(400, {"message": "Not found or no tag.asset access"})
        answers = []
        for one in ids:
            if one not in self.assets:
                answers.append({"id": one, "success": False, "error": "no_permission"})
            elif (key, one) in self.tagged:
                answers.append({"id": one, "success": False, "error": "duplicate"})
            else:
                self.tagged.add((key, one))
                answers.append({"id": one, "success": True})
        return Reply(200, answers)

    def _untag_assets(self, key: str, query: Any, content: bytes | None) -> Reply:
        ids = checked(body(content), {"ids": [UUID]})["ids"]
        if key not in self.tags:
            return Reply(400, {"message": "Not found or no tag.asset access"})
        answers = []
        for one in ids:
            answers.append({"id": one, "success": (key, one) in self.tagged})
            self.tagged.discard((key, one))
        return Reply(200, answers)

    def _all_people(self, query: dict[str, str], content: bytes | None) -> Reply:
        wrong = [one for one in ("closestAssetId", "closestPersonId") if not UUID.fullmatch(query.get(one, ID))]
        if wrong or not all(query.get(one, "1").isdecimal() for one in ("size", "page")):
            raise BadRequest(f"query {query}")
        size, page = int(query.get("size", 500)), int(query.get("page", 1))
        if query.get("withHidden") not in (None, "true", "false") or not 1 <= size <= 1000 or page < 1:
            raise BadRequest(f"query {query}")
        # People that were made by a request are not listed before they have a face.
        self.new -= {face["person"] for face in self.faces.values()}
        people = [one for key, one in self.people.items() if key not in self.new]
        part = people[(page - 1) * size : page * size]
        more = len(people) > page * size
        return Reply(200, {"people": part, "total": len(people), "hidden": 0, "hasNextPage": more})

    def _search_person(self, query: dict[str, str], content: bytes | None) -> Reply:
        if not query.get("name") or query.get("withHidden") not in (None, "true", "false"):
            raise BadRequest(f"query {query}")
        name = query["name"].lower()
        return Reply(200, [one for one in self.people.values() if one["name"].lower().startswith(name)])

    _PERSON: ClassVar[dict[str, Any]] = {
        "name": str,
        "birthDate": (DATE, None),
        "isHidden": bool,
        "isFavorite": bool,
        "color": (re.compile("#?([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})"), None),
    }

    def _checked_person(self, content: bytes | None, **more: Any) -> dict[str, Any]:
        value = checked(body(content), {}, {**self._PERSON, **more})
        if value.get("birthDate") is not None:
            try:
                date.fromisoformat(value["birthDate"])
            except ValueError as error:
                raise BadRequest(f"birthDate {value['birthDate']}") from error
        return value

    def _create_person(self, query: Any, content: bytes | None) -> Reply:
        value = self._checked_person(content)
        key = self.add_person(value.get("name", ""), value.get("birthDate"))
        self.new.add(key)
        return Reply(201, self.people[key])

    def _known_person(self, key: str) -> dict[str, Any] | None:
        return self.people.get(key)

    def _get_person(self, key: str, query: Any, content: bytes | None) -> Reply:
        found = self._known_person(key)
        return Reply(200, found) if found else Reply(400, {"message": "Not found or no person.read access"})

    def _update_person(self, key: str, query: Any, content: bytes | None) -> Reply:
        value = self._checked_person(content, featureFaceAssetId=UUID)
        if key not in self.people:
            return Reply(400, {"message": "Not found or no person.update access"})
        self.people[key].update(value)
        return Reply(200, self.people[key])

    def _delete_person(self, key: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        if self.people.pop(key, None) is None:
            return Reply(400, {"message": "Not found or no person.delete access"})
        for face in self.faces.values():
            face["person"] = None if face["person"] == key else face["person"]
        return Reply(204)

    def _statistics(self, key: str, query: Any, content: bytes | None) -> Reply:
        assets = {face["asset"] for face in self.faces.values() if face["person"] == key}
        return Reply(200, {"assets": len(assets)})

    def _faces(self, query: dict[str, str], content: bytes | None) -> Reply:
        if not UUID.fullmatch(query.get("id", "")):
            raise BadRequest(f"query {query}")
        if query["id"] not in self.assets:
            return Reply(400, {"message": "Not found or no asset.read access"})
        shown = []
        for face in self.faces.values():
            if face["asset"] == query["id"]:
                x, y, w, h = face["box"]
                shown.append(
                    {
                        "id": face["id"],
                        "imageWidth": face["size"][0],
                        "imageHeight": face["size"][1],
                        "boundingBoxX1": x,
                        "boundingBoxY1": y,
                        "boundingBoxX2": x + w,
                        "boundingBoxY2": y + h,
                        "person": self.people.get(face["person"]),
                    }
                )
        return Reply(200, shown)

    def _create_face(self, query: Any, content: bytes | None) -> Reply:
        numbers = dict.fromkeys(("imageWidth", "imageHeight", "x", "y", "width", "height"), int)
        value = checked(body(content), {"assetId": UUID, "personId": UUID, **numbers})
        if value["assetId"] not in self.assets or value["personId"] not in self.people:
            return Reply(400, {"message": "Not found or no access"})
        inside = (
            value["x"] >= 0 and value["x"] + value["width"] <= value["imageWidth"]
            and value["y"] >= 0 and value["y"] + value["height"] <= value["imageHeight"]
            and value["width"] > 0 and value["height"] > 0
        )  # fmt: skip
        if not inside:
            raise BadRequest("a box outside of the picture")
        key = self.add_face(
            value["assetId"], (value["x"], value["y"], value["width"], value["height"]), value["personId"]
        )
        self.faces[key]["size"] = (value["imageWidth"], value["imageHeight"])
        return Reply(201)

    def _reassign(self, person: str, query: Any, content: bytes | None) -> Reply:
        value = checked(body(content), {"id": UUID})
        if person not in self.people or value["id"] not in self.faces:
            return Reply(400, {"message": "Not found or no access"})
        self.faces[value["id"]]["person"] = person
        return Reply(200, self.people[person])

    def _delete_face(self, key: str, query: Any, content: bytes | None) -> Reply:
        checked(body(content), {"force": bool})
        if self.faces.pop(key, None) is None:
            return Reply(400, {"message": "Not found or no face.delete access"})
        return Reply(204)
