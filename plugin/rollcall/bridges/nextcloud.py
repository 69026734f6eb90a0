"""Nextcloud: system tags over WebDAV, for tags and for the names of people.

Requests as its developer manual describes them: `/remote.php/dav/systemtags`, `systemtags-relations` and `files`.
System tags have no levels; a tag keeps its full name, and a person's is put below the folder of the automatic tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from rollcall.bridges.base import Bridge, Found, Item, RefusedItem, Remembered
from rollcall.bridges.connection import Answer, Connection
from rollcall.bridges.content import Content, PhotoContent
from rollcall.bridges.places import PathMap
from rollcall.errors import BridgeError

_DAV: Final = "{DAV:}"
_OC: Final = "{http://owncloud.org/ns}"
_SPACES: Final = 'xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"'
_GONE: Final = frozenset({404})
#: The server cuts longer names off, at any byte, so that two names may become one, or none that can be stored.
_LONGEST_NAME: Final = 64  # bytes
#: Statuses of answers about a tag and a file: not allowed, no such file, no such tag.
_REFUSED: Final = frozenset({403, 404, 412})


class Nextcloud(Bridge):
    """A bridge to a Nextcloud server.

    Parameters
    ----------
    connection
        Its headers hold the user's name and app password.
    paths
        Where the library's folders are among the user's files.
    user
        The user's name, which is part of addresses.
    prefix
        The tag below which people's names are tags; empty: none.
    """

    name = "nextcloud"
    kinds = ("tag", "file tag")
    batches: ClassVar[Mapping[str, int]] = {}

    def __init__(self, connection: Connection, paths: PathMap, user: str, prefix: str = "") -> None:
        super().__init__(connection)
        self._paths, self._user, self._prefix = paths, user, prefix
        self._tags: dict[str, str] | None = None  # display name to id
        self._folders: dict[str, dict[str, str]] = {}  # a folder's path to its files' names and ids
        self._of_file: dict[str, set[str]] = {}  # the tags of one file, the last
        self._carriers: dict[str, list[PhotoContent]] = {}  # photos of a tag, by its name
        self._missing: set[int] = set()  # photos that the server does not have

    def wanted(self, content: Content) -> Iterable[Item]:
        tags = {photo.photo_id: self._names(content, photo) for photo in content.photos}
        self._carriers.clear()
        for photo in content.photos:
            for name in tags[photo.photo_id]:
                self._carriers.setdefault(name, []).append(photo)
        for name in sorted(self._carriers):
            yield Item("tag", name, {})
        for photo in content.photos:
            for name in tags[photo.photo_id]:
                value = {"photo": photo.photo_id, "tag": name}
                yield Item("file tag", f"{photo.photo_id}:{name}", value, photo, (("tag", name),))

    def refresh(self) -> None:
        self._tags = None
        self._folders.clear()
        self._missing.clear()
        self._of_file.clear()

    def find(self, item: Item) -> Found | None:
        if item.kind == "tag":
            tags = self._all_tags()
            # Names that differ in capital letters alone are one tag there.
            same = (number for name, number in tags.items() if name.casefold() == item.key.casefold())
            found = tags.get(item.key, next(same, None))
            if found is not None:
                return Found({"id": found})
            if len(item.key.encode()) > _LONGEST_NAME:
                raise RefusedItem(f"the server takes names of tags of up to {_LONGEST_NAME} bytes")
            if not any(self._search(photo) for photo in self._carriers.get(item.key, ())):
                raise RefusedItem("the server has none of its photos")
            return None
        file = self._file(item)
        tag = self.remote("tag", str(item.value["tag"]))
        if tag is not None and tag["id"] in self._tags_of(file):
            return Found({"file": file, "tag": tag["id"]})
        return None

    def make(self, items: Sequence[Item]) -> list[Mapping[str, Any] | RefusedItem]:
        (item,) = items
        if item.kind == "tag":
            return [self._make_tag(item.key)]
        file = self._file(item)
        tag = str(self.required(self.remote("tag", str(item.value["tag"])), "the tag")["id"])
        # 409: it has the tag already.
        answer = self.connection.raw("PUT", _relation(file, tag), allowed=_REFUSED | {409})
        self._of_file.clear()
        if answer.status == 403:
            return [RefusedItem("the server does not let this user give the tag to the photo")]
        if answer.status in _REFUSED:
            return [RefusedItem("the tag, or the photo, was removed on the server")]
        return [{"file": file, "tag": tag}]

    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        (row,) = rows
        self._of_file.clear()
        if row.kind == "file tag":
            address = _relation(str(row.remote["file"]), str(row.remote["tag"]))
            if self.connection.raw("DELETE", address, allowed=_REFUSED).status == 403:
                raise RefusedItem("the server does not let this user take the tag from the photo, so it stays")
            return [None]
        tag = str(row.remote["id"])
        if self._is_used(tag):
            raise RefusedItem("others use the tag by now, so it stays")
        self._tags = None
        try:
            self.connection.raw("DELETE", f"/remote.php/dav/systemtags/{tag}", allowed=_GONE)
        except BridgeError as error:
            if error.status_there != 403:
                raise
            raise RefusedItem("the server lets only administrators delete tags, so it stays, without files") from error
        return [None]

    def _names(self, content: Content, photo: PhotoContent) -> list[str]:
        people = {content.people[face.person].name for face in photo.faces}
        above = f"{self._prefix}/" if self._prefix else ""
        return sorted({tag.name for tag in photo.tags} | {f"{above}{name}" for name in people})

    # ---- Files

    def place(self, item: Item) -> Mapping[str, Any]:
        return {} if item.photo is None else {"file": self._file(item)}

    def _file(self, item: Item) -> str:
        known = (item.place or {}).get("file")
        if known is not None:
            return str(known)
        paths = [] if item.photo is None else self._paths.there(item.photo.file)
        if not paths:
            raise RefusedItem("the setting bridges.paths does not say where its folder is on the server")
        found = None if item.photo is None else self._search(item.photo)
        if found is None:
            raise RefusedItem("the server has no such photo")
        return found

    def _search(self, photo: PhotoContent) -> str | None:
        """Return the number of a photo's file there; None if the server does not have it."""
        if photo.photo_id in self._missing:
            return None
        for path in self._paths.there(photo.file):
            where = PurePosixPath("/") / path.lstrip("/")
            found = self._files_in(str(where.parent)).get(where.name)
            if found is not None:
                return found
        self._missing.add(photo.photo_id)
        return None

    def _files_in(self, folder: str) -> dict[str, str]:
        if folder not in self._folders:
            address = f"/remote.php/dav/files/{quote(self._user)}{quote(folder)}"
            body = f"<d:propfind {_SPACES}><d:prop><oc:fileid/></d:prop></d:propfind>"
            found = {}
            for href, properties in self._ask("PROPFIND", address, body):
                number = properties.get(f"{_OC}fileid")
                if number:
                    found[unquote(href.rstrip("/").rpartition("/")[2])] = number
            # The last one, and those that are not there, as they are another server's.
            self._folders = {one: files for one, files in self._folders.items() if not files} | {folder: found}
        return self._folders[folder]

    # ---- Tags

    def _all_tags(self) -> dict[str, str]:
        if self._tags is None:
            body = f"<d:propfind {_SPACES}><d:prop><oc:id/><oc:display-name/></d:prop></d:propfind>"
            self._tags = {
                properties[f"{_OC}display-name"]: properties[f"{_OC}id"]
                for _, properties in self._ask("PROPFIND", "/remote.php/dav/systemtags/", body)
                if properties.get(f"{_OC}id") and properties.get(f"{_OC}display-name")
            }
        return self._tags

    def _make_tag(self, name: str) -> Mapping[str, Any] | RefusedItem:
        body = {"name": name, "userVisible": True, "userAssignable": True}
        headers = {"Content-Type": "application/json"}
        try:
            answer = self.connection.raw("POST", "/remote.php/dav/systemtags/", json.dumps(body).encode(), headers)
        except BridgeError as error:
            if error.status_there == 409:
                return RefusedItem("the server has a tag of this name that this user does not see")
            if error.status_there in (400, 403):
                return RefusedItem(f"the server does not let this user make this tag (status {error.status_there})")
            raise
        self._tags = None
        number = urlsplit(answer.headers.get("content-location", "")).path.rpartition("/")[2]
        number = number or self._all_tags().get(name, "")
        return {"id": number} if number else RefusedItem("the server does not take a tag of this name")

    def _tags_of(self, file: str) -> set[str]:
        if file not in self._of_file:
            body = f"<d:propfind {_SPACES}><d:prop><oc:id/></d:prop></d:propfind>"
            address = f"/remote.php/dav/systemtags-relations/files/{file}/"
            found = {one.get(f"{_OC}id") for _, one in self._ask("PROPFIND", address, body)}
            self._of_file = {file: {one for one in found if one}}
        return self._of_file[file]

    def _is_used(self, tag: str) -> bool:
        body = (
            f"<oc:filter-files {_SPACES}><d:prop><oc:fileid/></d:prop>"
            f"<oc:filter-rules><oc:systemtag>{int(tag)}</oc:systemtag></oc:filter-rules></oc:filter-files>"
        )
        address = f"/remote.php/dav/files/{quote(self._user)}/"
        # 412: there is no such tag any more.
        return any(True for _ in self._ask("REPORT", address, body, frozenset({404, 412})))

    def _ask(
        self, method: str, address: str, body: str, allowed: frozenset[int] = _GONE
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the addresses of an answer with the properties that the server has of them."""
        headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": "1"}
        answer = self.connection.raw(method, address, body.encode(), headers, allowed, _parsed)
        if answer.status in allowed:
            return
        tree = _parsed(answer)
        for response in tree.iter(f"{_DAV}response"):
            properties = {
                one.tag: one.text or ""
                for state in response.iter(f"{_DAV}propstat")
                if " 200 " in (state.findtext(f"{_DAV}status") or " 200 ")
                for prop in state.iter(f"{_DAV}prop")
                for one in prop
            }
            yield response.findtext(f"{_DAV}href") or "", properties


def _relation(file: str, tag: str) -> str:
    return f"/remote.php/dav/systemtags-relations/files/{file}/{tag}"


def _parsed(answer: Answer) -> ElementTree.Element:
    """Return an answer's XML.

    Raises
    ------
    ValueError
        If it is none, or only half of it; or it holds entities, which may be endless.
    """
    if b"<!DOCTYPE" in answer.body or b"<!ENTITY" in answer.body:
        raise ValueError("its answer holds XML entities, which are not read")
    try:
        return ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        raise ValueError(f"its answer is no WebDAV: {error}") from error
