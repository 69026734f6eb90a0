"""A strict server that stands for Nextcloud, written from its published description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strict_server import BadRequest, Reply, StrictServer, body, checked, no_body


class FakeNextcloud(StrictServer):
    """Nextcloud's files and system tags over WebDAV."""

    content_type = "application/xml"

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.files: dict[str, str] = {}  # path to number
        self.tags: dict[str, str] = {}  # number to name
        self.relations: set[tuple[str, str]] = set()
        self.unseen: set[str] = set()  # names of tags that the user does not see
        self.restricted: set[str] = set()  # numbers of tags that the user may not assign
        handlers: list[tuple[str, str, Callable[..., Reply]]] = [
            ("PROPFIND", "/remote.php/dav/systemtags/", self._all_tags),
            ("POST", "/remote.php/dav/systemtags/", self._create_tag),
            ("DELETE", "/remote.php/dav/systemtags/([0-9]+)", self._delete_tag),
            ("PROPFIND", "/remote.php/dav/systemtags-relations/files/([0-9]+)/", self._tags_of),
            ("PUT", "/remote.php/dav/systemtags-relations/files/([0-9]+)/([0-9]+)", self._assign),
            ("DELETE", "/remote.php/dav/systemtags-relations/files/([0-9]+)/([0-9]+)", self._unassign),
            ("PROPFIND", "/remote.php/dav/files/jo(/.*)", self._folder),
            ("REPORT", "/remote.php/dav/files/jo/", self._filter),
        ]
        for method, pattern, handler in handlers:
            self.route(method, pattern, self.guarded(handler))

    def allowed(self) -> bool:
        return self.headers.get("authorization") == "Basic am86bmV4dGNsb3VkLWtleQ=="  # jo:nextcloud-key

    def state(self) -> Any:
        paths = {number: path for path, number in self.files.items()}
        return {
            "tags": sorted(self.tags.values()),
            "relations": sorted((paths[file], self.tags[tag]) for file, tag in self.relations),
        }

    def add_file(self, path: str) -> str:
        self.numbers += 1
        self.files[path] = str(self.numbers)
        return self.files[path]

    def add_tag(self, name: str, *files: str) -> str:
        self.numbers += 1
        self.tags[str(self.numbers)] = name
        self.relations |= {(file, str(self.numbers)) for file in files}
        return str(self.numbers)

    def _asked(self, content: bytes | None, root: str) -> list[str]:
        from xml.etree import ElementTree

        if self.headers.get("depth") not in ("0", "1"):
            raise BadRequest("no depth")
        tree = ElementTree.fromstring(content or b"")
        if tree.tag != root:
            raise BadRequest(f"{tree.tag} is not {root}")
        prop = tree.find("{DAV:}prop")
        if prop is None or not len(prop):
            raise BadRequest("no properties")
        known = {"{http://owncloud.org/ns}" + one for one in ("id", "display-name", "fileid")}
        if {one.tag for one in prop} - known:
            raise BadRequest("unknown properties")
        return [str(one.tag) for one in prop]

    @staticmethod
    def _multistatus(rows: list[tuple[str, dict[str, str]]], asked: list[str]) -> Reply:
        from xml.sax.saxutils import escape

        parts = []
        for href, properties in rows:
            have = "".join(
                f"<oc:{one.rpartition('}')[2]}>{escape(properties[one])}</oc:{one.rpartition('}')[2]}>"
                for one in asked
                if one in properties
            )
            lacks = "".join(f"<oc:{one.rpartition('}')[2]}/>" for one in asked if one not in properties)
            parts.append(
                f"<d:response><d:href>{escape(href)}</d:href>"
                f"<d:propstat><d:prop>{have}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
                f"<d:propstat><d:prop>{lacks}</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
                "</d:response>"
            )
        text = f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">{"".join(parts)}'
        return Reply(207, body=f"{text}</d:multistatus>".encode())

    def _shown_tags(self, numbers: list[str], asked: list[str], address: str) -> Reply:
        oc = "{http://owncloud.org/ns}"
        rows = [(f"{address}{one}", {f"{oc}id": one, f"{oc}display-name": self.tags[one]}) for one in numbers]
        return self._multistatus([(address, {}), *rows], asked)

    def _all_tags(self, query: Any, content: bytes | None) -> Reply:
        asked = self._asked(content, "{DAV:}propfind")
        return self._shown_tags(list(self.tags), asked, "/remote.php/dav/systemtags/")

    def _create_tag(self, query: Any, content: bytes | None) -> Reply:
        kinds = {"name": str, "userVisible": bool, "userAssignable": bool}
        value = checked(body(content), kinds, {"groups": str})
        if self.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise BadRequest("a tag that is not given as JSON")
        if not 0 < len(value["name"].encode()) <= 64:
            raise BadRequest("a name that is empty, or would be cut off")
        if value["name"].casefold() in {one.casefold() for one in (*self.tags.values(), *self.unseen)}:
            return Reply(409, {"message": "Tag already exists"})
        number = self.add_tag(value["name"])
        return Reply(201, headers={"Content-Location": f"/remote.php/dav/systemtags/{number}"})

    def _delete_tag(self, tag: str, query: Any, content: bytes | None) -> Reply:
        if self.tags.pop(tag, None) is None:
            return Reply(404)
        self.relations = {pair for pair in self.relations if pair[1] != tag}
        return Reply(204)

    def _tags_of(self, file: str, query: Any, content: bytes | None) -> Reply:
        asked = self._asked(content, "{DAV:}propfind")
        if file not in self.files.values():
            return Reply(404)
        numbers = sorted(tag for one, tag in self.relations if one == file)
        return self._shown_tags(numbers, asked, f"/remote.php/dav/systemtags-relations/files/{file}/")

    def _assign(self, file: str, tag: str, query: Any, content: bytes | None) -> Reply:
        no_body(content)
        if tag in self.restricted:
            return Reply(403)
        if file not in self.files.values() or tag not in self.tags:
            return Reply(404 if tag in self.tags else 412)
        if (file, tag) in self.relations:
            return Reply(409)
        self.relations.add((file, tag))
        return Reply(201)

    def _unassign(self, file: str, tag: str, query: Any, content: bytes | None) -> Reply:
        if (file, tag) not in self.relations:
            return Reply(404)
        self.relations.remove((file, tag))
        return Reply(204)

    def _folder(self, folder: str, query: Any, content: bytes | None) -> Reply:
        from urllib.parse import quote, unquote

        asked = self._asked(content, "{DAV:}propfind")
        folder = unquote(folder).rstrip("/")
        inside = {path: number for path, number in self.files.items() if path.rpartition("/")[0] == folder}
        if not inside:
            return Reply(404)
        oc = "{http://owncloud.org/ns}"
        rows = [(f"/remote.php/dav/files/jo{quote(path)}", {f"{oc}fileid": one}) for path, one in inside.items()]
        return self._multistatus([(f"/remote.php/dav/files/jo{quote(folder)}/", {}), *rows], asked)

    def _filter(self, query: Any, content: bytes | None) -> Reply:
        from xml.etree import ElementTree

        oc = "{http://owncloud.org/ns}"
        asked = self._asked(content, f"{oc}filter-files")
        tag = ElementTree.fromstring(content or b"").findtext(f"{oc}filter-rules/{oc}systemtag")
        if tag not in self.tags:
            return Reply(412)
        paths = {number: path for path, number in self.files.items()}
        rows = [
            (f"/remote.php/dav/files/jo{paths[one]}", {f"{oc}fileid": one})
            for one, other in self.relations
            if other == tag
        ]
        return self._multistatus(rows, asked)
