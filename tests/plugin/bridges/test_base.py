"""The parts that bridges are made of: boxes of one face, paths, requests, comparing, a bridge as short as can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollcall import Plugin
from rollcall.bridges.base import Bridge, Found, Item, Remembered, best_cover, covers
from rollcall.bridges.connection import Connection, UnclearError
from rollcall.bridges.content import Content, PhotoContent, read
from rollcall.bridges.memory import Memory
from rollcall.bridges.places import FileIndex, PathMap, ServerFile, tag_levels
from rollcall.bridges.sync import Sync
from rollcall.errors import BridgeError, BusyError, SettingsError
from rollcall.records import Box


def test_boxes_of_different_extent_around_one_face_are_the_same_face() -> None:
    head, face, beside = Box(0.1, 0.1, 0.2, 0.3), Box(0.14, 0.18, 0.11, 0.14), Box(0.28, 0.1, 0.2, 0.3)
    assert covers(head, face) and covers(face, head)
    assert not covers(head, beside) and not covers(face, beside)
    assert not covers(Box(0, 0, 1, 1), Box(0.49, 0.49, 0.02, 0.02)), "a region of the whole picture is no face"
    assert best_cover(face, [beside, head, face]) == 2
    assert best_cover(face, [beside]) is None


def test_the_longest_folder_that_fits_names_the_path_on_the_server() -> None:
    paths = PathMap(["/photos=/library", "/photos/old/=/attic/"])
    assert paths.there(Path("/photos/a.jpg")) == ["/library/a.jpg"]
    assert paths.there(Path("/photos/old/a.jpg")) == ["/attic/a.jpg"]
    assert paths.there(Path("/photosynthesis/a.jpg")) == []
    with pytest.raises(SettingsError, match="FOLDER HERE=FOLDER THERE"):
        PathMap(["/photos"])


def test_several_servers_may_call_a_folder_differently() -> None:
    paths = PathMap(["/photos=/usr/src/app/external", "/photos=/Photos", "/photos/old=/attic"])
    assert paths.there(Path("/photos/a.jpg")) == ["/usr/src/app/external/a.jpg", "/Photos/a.jpg"]
    assert paths.there(Path("/photos/old/a.jpg")) == ["/attic/a.jpg"]


def test_a_file_is_read_for_its_content_only_if_the_server_has_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    index = FileIndex([ServerFile("elsewhere/A.JPG", "42c7be6f7ef3bd0e7ecbdd2f68bcdd4cb2dc4c29", 1)], PathMap([]))
    photo = PhotoContent(1, tmp_path, "a.jpg", 1, 1, (), ())
    assert index.find(photo) is None
    assert index.find(photo._replace(photo_id=2, path="gone/a.jpg")) is None
    import hashlib

    sha1 = hashlib.sha1(b"a picture").hexdigest()
    assert FileIndex([ServerFile("elsewhere/A.JPG", sha1, 1)], PathMap([])).find(photo) == 1
    assert FileIndex([ServerFile("elsewhere/b.jpg", sha1, 1)], PathMap([])).find(photo) is None


def test_a_tag_has_levels() -> None:
    assert tag_levels("a/b/c") == ["a", "a/b", "a/b/c"]


class Answers:
    """A transport that gives answers in their order."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.headers: list[Mapping[str, str]] = []

    def request(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None) -> httpx.Response:
        self.headers.append(headers)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def connection(transport: Answers, **options: Any) -> tuple[Connection, list[float]]:
    waited: list[float] = []
    return Connection("http://there", transport=transport, sleep=waited.append, **options), waited


def test_a_request_waits_for_as_long_as_the_server_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    there, waited = connection(
        Answers(httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200, json=[1]))
    )
    assert there.get("/x") == [1]
    assert waited == [7.0]
    # A date in the past asks for no more than the usual, one far ahead for the longest wait.
    for date, least, most in (("Wed, 21 Oct 2015 07:28:00 GMT", 0.4, 0.6), ("Fri, 31 Dec 2999 23:59:59 GMT", 60, 60)):
        there, waited = connection(
            Answers(httpx.Response(503, headers={"Retry-After": date}), httpx.Response(200, json=[1]))
        )
        assert there.get("/x") == [1]
        assert least <= waited[0] <= most


def test_a_request_that_adds_something_is_not_repeated_blindly() -> None:
    for trouble in (httpx.Response(500), httpx.ReadTimeout("slow"), httpx.Response(200, content=b'{"id": ')):
        there, _ = connection(Answers(trouble))
        with pytest.raises(UnclearError):
            there.call("POST", "/x", {})
    there, _ = connection(Answers(httpx.Response(429), httpx.Response(201, json={"id": 1})))
    assert there.call("POST", "/x", {}) == {"id": 1}


def test_requests_are_paced() -> None:
    there, waited = connection(Answers(*(httpx.Response(200, json=1) for _ in range(3))), per_second=0.001)
    for _ in range(3):
        there.get("/x")
    assert len(waited) == 2 and all(one > 100 for one in waited)


@pytest.mark.parametrize(
    ("status", "advice"),
    [(403, "is not accepted"), (301, "leads elsewhere"), (404, "has nothing at /x"), (422, "refuses /x")],
)
def test_an_answer_that_ends_a_run_says_what_to_do(status: int, advice: str) -> None:
    there, _ = connection(Answers(httpx.Response(status, json={"message": "no\nway"})))
    with pytest.raises(BridgeError, match=advice) as caught:
        there.get("/x")
    assert "no way" in str(caught.value) and "\n" not in str(caught.value)


def test_a_page_for_people_is_told_as_one() -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Sign\n in</title></head>" + b"<p>x</p>" * 100
    for status, words in (
        (200, "a page for people: 'Sign in'; check the address"),
        (404, "status 404, a page for people"),
    ):
        there, _ = connection(Answers(*[httpx.Response(status, content=page)] * 6))
        with pytest.raises(BridgeError, match=words) as caught:
            there.get("/x")
        assert "<" not in str(caught.value)
    there, _ = connection(Answers(httpx.Response(302, headers={"Location": "https://login/?token=abc"})))
    with pytest.raises(BridgeError, match=r"to https://login/\)"):
        there.get("/x")


@pytest.mark.parametrize("name", ["immich", "photoprism", "nextcloud"])
@pytest.mark.parametrize("answer", [b"null", b'"x"', b"[null]", b'{"assets": {"items": [{}]}}', b"[" * 9999])
def test_answers_of_another_form_end_with_a_sentence(library: Plugin, name: str, answer: bytes) -> None:
    class Other:
        def request(self, method: str, url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=answer)

    with pytest.raises(BridgeError, match=r"another form than is known|does not answer as it should") as caught:
        library.bridge(name, transport=Other())
    assert "version" in str(caught.value) or "WebDAV" in str(caught.value)


@pytest.mark.parametrize("key", ["secret\nkey", "schl\u00fcssel", "secret\x00"])
def test_a_key_that_can_be_none_is_refused_and_not_printed(key: str) -> None:
    with pytest.raises(BridgeError, match="copy it again") as caught:
        Connection("http://there", {"x-api-key": key})
    assert key[:6] not in str(caught.value)


def test_the_line_end_that_was_copied_with_a_key_is_not_sent() -> None:
    answers = Answers(httpx.Response(200, json=1))
    Connection("http://there", {"x-api-key": " key\r\n"}, transport=answers).get("/x")
    assert answers.headers[0]["x-api-key"] == "key"


@pytest.mark.parametrize(
    "url", ["immich:2283", "http://", "http://[::1", "ftp://x", "http://x y/", "http://host:99999"]
)
def test_an_address_of_no_server_is_refused_at_once(url: str) -> None:
    with pytest.raises(BridgeError, match="no address of a server"):
        Connection(url)


def test_a_password_in_an_address_is_refused_and_not_printed() -> None:
    with pytest.raises(BridgeError, match="https://host/") as caught:
        Connection("https://jo:secret@host/")
    assert "secret" not in str(caught.value)


def test_keys_are_not_printed(tmp_path: Path) -> None:
    from rollcall import server_settings, settings
    from rollcall.host.diagnostics import changed

    loaded = settings.load(None, {"bridges.immich_key": "secret", "bridges.immich_url": "http://x"})
    assert changed(loaded) == {"bridges.immich_url": "http://x", "bridges.immich_key": "(set)"}
    keys = {info.name for info in settings.describe() if info.name.endswith("_key")}
    assert keys == server_settings.SECRETS


def test_what_is_missing_in_the_settings_is_named(plugin: Plugin) -> None:
    with Plugin({"database.url": str(plugin.database.file)}) as bare:
        with pytest.raises(SettingsError, match="ROLLCALL_BRIDGES__NEXTCLOUD_URL"):
            bare.bridge("nextcloud")
        with pytest.raises(SettingsError, match="choose one of immich, photoprism, nextcloud"):
            bare.bridge("flickr")


def test_two_runs_do_not_go_on_at_once(library: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    from rollcall.host import bridging

    monkeypatch.setattr(bridging, "_WAIT", 0.01)
    with FileLock(f"{library.database.file}.bridge.lock"), pytest.raises(BusyError, match="another run of a bridge"):
        library.bridge("immich")


class Notes(Bridge):
    """The example of docs/bridges.md: a server of notes, one a photo, with its tags as text."""

    name = "notes"
    kinds = ("note",)
    changeable = frozenset({"note"})

    def wanted(self, content: Content) -> Iterable[Item]:
        for photo in content.photos:
            text = ", ".join(tag.name for tag in photo.tags)
            yield Item("note", str(photo.photo_id), {"photo": photo.photo_id, "text": text}, photo)

    def find(self, item: Item) -> Found | None:
        for note in self.connection.get("/notes"):
            if note["photo"] == item.value["photo"]:
                return Found({"id": note["id"]})
        return None

    def make(self, items: Sequence[Item]) -> list[Any]:
        return [{"id": self.connection.call("POST", "/notes", dict(item.value))["id"]} for item in items]

    def change(self, item: Item, remembered: Remembered) -> Mapping[str, Any]:
        self.connection.call("PUT", f"/notes/{remembered.remote['id']}", dict(item.value))
        return remembered.remote

    def take_back(self, rows: Sequence[Remembered]) -> list[Mapping[str, Any] | None]:
        for row in rows:
            self.connection.call("DELETE", f"/notes/{row.remote['id']}")
        return [None] * len(rows)


def test_a_bridge_is_a_page_of_code(library: Plugin) -> None:
    notes: dict[int, dict[str, Any]] = {}

    class Server:
        def request(self, method: str, url: str, *, headers: Any, content: bytes | None) -> httpx.Response:
            import json

            value = json.loads(content) if content else {}
            number = int(url.rpartition("/")[2]) if url[-1].isdigit() else len(notes) + 1
            if method == "GET":
                return httpx.Response(200, json=[{"id": key, **one} for key, one in notes.items()])
            if method == "DELETE":
                del notes[number]
                return httpx.Response(204)
            notes[number] = value
            return httpx.Response(200, json={"id": number})

    bridge = Notes(Connection("http://notes", transport=Server()))
    memory = Memory(library.database, "notes", "http://notes")
    assert Sync(bridge, memory, read(library.database)).push().made == {"note": 3}
    assert {note["photo"] for note in notes.values()} == {1, 2, 3}
    assert Sync(bridge, memory, read(library.database)).push().made == {}
    library.add_tag(1, "New")
    assert Sync(bridge, memory, read(library.database)).push().changed == {"note": 1}
    assert any("New" in note["text"] for note in notes.values())
    Sync(bridge, memory, read(library.database)).undo()
    assert not notes
