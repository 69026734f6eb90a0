"""What an Immich server has, as its published API gives it: assets, tags, people, faces, each read once a run."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rollcall.bridges.base import Bridge, RefusedItem
from rollcall.bridges.connection import Connection
from rollcall.bridges.places import ServerFile
from rollcall.errors import BridgeError

_PAGE: Final = 1000
#: Statuses of its answers about what is not there, or is not this user's.
_GONE: Final = frozenset({400, 404})
#: A search looks at one of them only; without a word, at the first.
_VISIBILITIES: Final[tuple[dict[str, str], ...]] = ({}, {"visibility": "archive"})


class ImmichServer(Bridge):
    """Reads and keeps what the server has; `refresh` forgets it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._tags: dict[str, str] | None = None  # value to id
        self._tagged: dict[str, set[str]] = {}  # a tag's id to the assets that have it, the last
        self._people: list[dict[str, Any]] | None = None
        self._present: dict[str, bool] = {}  # whether the server still has a person, by its id
        self._faces: dict[str, list[dict[str, Any]]] = {}  # of one asset, the last

    def refresh(self) -> None:
        self._tags = self._people = None
        self._tagged.clear()
        self._present.clear()
        self._faces.clear()

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
        for visibility in _VISIBILITIES:
            page: int | None = 1
            while page is not None:
                body = {**terms, **visibility, "size": _PAGE, "page": page}
                # A search is a POST there; it changes nothing, and may be sent again.
                found = self.connection.ask("/api/search/metadata", body)["assets"]
                yield from found["items"]
                page = int(found["nextPage"]) if found.get("nextPage") else None

    def _all_tags(self) -> dict[str, str]:
        if self._tags is None:
            self._tags = {tag["value"]: tag["id"] for tag in self.connection.get("/api/tags")}
        return self._tags

    def _assets_with(self, tag: str) -> set[str]:
        if tag not in self._tagged:
            # With those in the bin: their tags come back with them.
            terms = {"tagIds": [tag], "withDeleted": True}
            try:
                self._tagged = {tag: {asset["id"] for asset in self._search(terms)}}
            except BridgeError as error:
                if error.status_there not in _GONE:
                    raise
                self._tagged = {tag: set()}
        return self._tagged[tag]

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

    def _faces_of(self, asset: str) -> list[dict[str, Any]]:
        if asset not in self._faces:
            self._faces = {asset: self._needed("GET", "/api/faces", None, "the photo", id=asset)}
        return self._faces[asset]

    def _tolerate(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request about something that may be gone; None then."""
        try:
            return self.connection.call(method, path, body, query=query)
        except BridgeError as error:
            if error.status_there in _GONE:
                return None
            raise

    def _needed(self, method: str, path: str, body: Any, what: str, **query: Any) -> Any:
        """Send a request about something that was there before.

        Raises
        ------
        RefusedItem
            If it is gone.
        """
        try:
            return self.connection.call(method, path, body, query=query)
        except BridgeError as error:
            if error.status_there in _GONE:
                raise RefusedItem(f"{what} is gone on the server, or it does not take this ({error.reason})") from error
            raise
