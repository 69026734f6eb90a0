"""Every route, with whatever a client may send: never a 500, always the security headers, as the document declares."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from blobs import draw
from filmed import blobs, film
from web.openapi import Document
from web.waiting import DIRECT

HEADERS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "",
}
#: What the forms of a page do, by the name of their button, and the fields that each of them reads.
ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "/photo/{photo_id}/say": {
        "undo": (),
        "age": ("what", "face", "low", "high"),
        "gender": ("face", "label"),
        "move": ("face", "box"),
        "draw": ("box",),
        "tag": ("tag",),
        "take_back_age": ("face",),
    },
    "/tag": {"accept": ("what", "name", "above", "photo_id"), "reject": ("name",), "undo": ()},
    "/review": {"yes": ("what", "face", "group"), "skip": ("face",), "undo": ()},
    "/selection": {
        "tag": ("photos", "tag"),
        "album": ("photos", "album"),
        "leave": ("photos", "from_album"),
        "age_group": ("label",),
        "name": ("name",),
        "folder": ("photos",),
        "ignore": ("photos",),
    },
    "/album/{album_id}": {"rename": ("what", "name"), "share": (), "unshare": (), "remove": ()},
    "/sharing": {"code": ("what",), "end": ("device",), "end_all": ()},
    "/review/alike": {"yes": ("what", "faces", "group"), "no": ("group",)},
    "/people": {
        "name": ("what", "people", "name"),
        "hide": ("people",),
        "show": ("hidden",),
        "hide_once": (),
        "undo": (),
    },
    "/people/review": {"yes": ("what", "person", "faces"), "no": ("faces",), "skip": ("after",), "undo": ()},
    "/people/questions": {
        "yes": ("what", "person", "faces"),
        "no": ("faces",),
        "instead": ("instead",),
        "skip": (),
        "undo": (),
    },
    "/photo/{photo_id}/who": {"name": ("what", "face", "name"), "yes": ("face",), "no": ("face",)},
    "/person/{person_id}": {
        "names": ("what", "name"),
        "birth": ("birth",),
        "child_of": ("other",),
        "not_them": ("faces",),
        "age_group": ("faces", "label"),
        "me": (),
        "undo": (),
    },
}
#: What is valid for one route and not for the others that have a field of this name.
PARTICULAR: dict[str, dict[str, Any]] = {
    "/people/more": {"kind": "unnamed"},
    "/person/{person_id}": {"order": "newest", "label": "adult"},
    "/selection": {"label": "adult"},
    "/person/{person_id}/faces": {"order": "newest"},
}
#: Routes that change who is who: what one of them does, another may find done, or nobody there.
CHANGING_PEOPLE = ("/api/people", "/people", "/person", "/photo/{photo_id}/who")
#: The same of albums, one of which removes the album, and of paired devices; no home network is served here.
CHANGING_ALBUMS = ("/api/albums", "/album/", "/selection", "/sharing")
SURROGATE = "%ED%A0%80"  # U+D800, percent-encoded as if it were a character
#: Sent as the text of a path, a query or a form; numbers too large for a row, for 64 bits and for a float among them.
TEXTS = (
    *("0", "-1", "9999", str(2**63 - 1), str(2**63), str(2**64), "1" + "0" * 400, "1.5"),
    *("NaN", "inf", "x", "x" * 5000, "\x00", "٣", "\ufffd\U0001f600", "'; DROP TABLE photos --", "similar:face:1"),
)
#: Sent as JSON, one value of a body at a time.
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 9999, 2**63 - 1, 2**63, 2**64, 10**400, 1.5, float("nan"), float("inf")),
    *("x", "x" * 5000, "\ud800", "\x00", [], [None], {"\ud800": 1}),
)
#: Whole bodies that are no request: cut off, not UTF-8, nested too deeply, with a number that Python does not read.
BODIES = (b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b"[" * 50_000, b'{"said": ' + b"9" * 5000 + b"}", b'"\\ud800"')


class Operation(NamedTuple):
    """One method of one route, and the names of what it takes."""

    method: str
    path: str  # as the document writes it
    fields: tuple[str, ...]  # of the query, the form or the JSON body

    @property
    def documented(self) -> bool:
        return self.path.startswith(("/api/", "/pictures/")) and self.path != "/api/openapi.json"

    @property
    def takes_json(self) -> bool:
        return self.method in ("POST", "PUT") and self.path.startswith("/api/") and bool(self.fields)


def operations(app: FastAPI) -> Iterator[Operation]:
    """Yield what an application answers; routes of included routers lie inside them."""

    def leaves(routes: Any) -> Iterator[Any]:
        for route in routes:
            inner: APIRouter | None = getattr(route, "original_router", None)
            if inner is None:
                yield route
            else:
                yield from leaves(inner.routes)

    for route in leaves(app.routes):
        if not hasattr(route, "methods"):
            # Static files; one that is there and what is not.
            yield from (Operation("GET", f"{route.path}/{name}", ()) for name in ("app.js", "{name}"))
            continue
        path = re.sub(r":path}", "}", route.path)
        in_path = set(re.findall(r"{(\w+)}", path))
        hints = typing.get_type_hints(route.endpoint) if hasattr(route, "dependant") else {}
        fields: list[str] = []
        for name in inspect.signature(route.endpoint).parameters if hints else ():
            if isinstance(hints[name], type) and issubclass(hints[name], BaseModel):
                fields += [field.alias or key for key, field in hints[name].model_fields.items()]
            elif name not in in_path and name not in ("request", "tasks"):
                fields.append(name)
        yield from (Operation(method, path, tuple(fields)) for method in sorted(route.methods))


def actions(operation: Operation) -> dict[str, tuple[str, ...]]:
    """Return what a form does, with the fields that each reads; one without a name for what has no such buttons."""
    return ACTIONS[operation.path] if "what" in operation.fields else {"": operation.fields}


class Driver:
    """Sends requests to every route of a server, and checks what every answer must have."""

    def __init__(self, served: Any) -> None:
        self.served = served
        self.operations = list(operations(served.app))
        self.document = Document(served.client.get("/api/openapi.json").json())
        face = served.faces("family.png")[0]
        # A folder of its own: one of the routes removes it from the library.
        second = served.library.parent / "second"
        draw(second / "other.png", (30, 0), seed=9)
        served.plugin.index([second])
        anna = served.plugin.name_face(face, "Anna").person_id
        ben = served.plugin.name_face(served.faces("family.png")[1], "Ben").person_id
        album = served.plugin.save_album("Kids", "children").album_id
        served.plugin.pair_guest("a phone")
        #: Valid values of everything that a route takes, by name.
        self.valid: dict[str, Any] = {
            "photo_id": served.photo("family.png"),
            "video_id": served.photo("clip.mov"),
            "video_time": 0.5,
            "face_id": face,
            "face": face,
            "faces": face,
            "kind": "thumb",
            "size": "180",
            "name": "People/Children",
            "said": [{"kind": "age", "face_id": face, "low": 30}],
            "by": "test",
            "q": "children",
            "limit": 5,
            "offset": 0,
            "min_probability": 0.5,
            "sure": 0.5,
            "order": "date",
            "after": served.photo("child.png"),
            "before": 2**40,
            "group": "children",
            "above": 0.5,
            "what": None,  # see `ACTIONS`
            "low": 5,
            "high": 9,
            "label": "female",
            "tag": "Holiday",
            "box": "0.1,0.1,0.2,0.2",
            "paths": [],
            "erase_faces": [],
            "erase_photos": [],
            "embeddings": False,
            "ages": False,
            "genders": False,
            "everything": False,
            "dry_run": True,
            "lines": [],
            "to": 0,
            "origin": "test",
            "unknown": False,
            "path": str(second),
            "photos": served.photo("maybe.png"),
            "numbers": f"{served.photo('family.png')},9999",
            "near": served.photo("child.png"),
            "newer": served.photo("child.png"),
            "until": "2019-06",
            "at": 0,
            "person_id": anna,
            "person": anna,
            "people": anna,
            "other": ben,
            "instead": ben,
            "others": [ben],
            "face_ids": [face],
            "names": ["Anna", "Nan"],
            "named": True,
            "hidden": False,
            "state": "confirmed",
            "date": "2010-05",
            "birth": "2010",
            "me": True,
            "relation": "child_of",
            "holds": True,
            "album_id": album,
            "album": album,
            "from_album": album,
            "query": "children",
            "photo_ids": [served.photo("child.png")],
            "language": "en",
            "shared": True,
            "inside": True,
            "device": served.plugin.guests()[0].guest_id,
            "known": f"{served.plugin.guests()[0].guest_id}-1",
        }

    def values(self, operation: Operation) -> dict[str, Any]:
        """Return valid values; of a new field the test wants to know one."""
        particular = PARTICULAR.get(operation.path, {})
        valid = {name: particular.get(name, self.valid[name]) for name in operation.fields}
        if operation.takes_json and "people" in valid:
            valid["people"] = [valid["people"]]
        return valid

    def send(
        self, operation: Operation, values: dict[str, Any], in_path: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send one request and check its answer."""
        filled = {name: quote(str(value), safe="/") for name, value in self.valid.items()} | (in_path or {})
        url = operation.path.format_map(filled)
        if operation.takes_json and "content" not in more:
            more["content"] = json.dumps(values)
            more["headers"] = {"Content-Type": "application/json"}
        elif operation.method == "POST" and "content" not in more:
            more["content"] = "&".join(f"{name}={encoded(value)}" for name, value in values.items())
            more["headers"] = {"Content-Type": "application/x-www-form-urlencoded"}
        elif values and "content" not in more:
            url += "?" + "&".join(f"{name}={encoded(value)}" for name, value in values.items())
        with self.served.client.stream(operation.method, url, **more) as answer:
            if operation.path != "/api/progress" or answer.status_code != 200:
                answer.read()
        self.check(operation, answer)
        return answer

    def check(self, operation: Operation, answer: httpx.Response) -> None:
        shown = f"{answer.request.method} {str(answer.request.url)[:300]} {answer.request.content[:300]!r}"
        assert answer.status_code < 500, shown
        check_headers(answer)
        if operation.documented and operation.path != "/api/progress":
            errors = self.document.errors(operation.method, operation.path, answer)
            assert errors == [], f"{shown}: {answer.text[:500]}"


def check_headers(answer: httpx.Response) -> None:
    """Check the headers that every answer must have."""
    for name, value in HEADERS.items():
        assert value in answer.headers[name], (str(answer.request.url), name)


def encoded(value: Any) -> str:
    """Return a value as a part of a URL or a form; what is percent-encoded already stays."""
    return value if value == SURROGATE else quote(str(value), safe="")


@pytest.fixture(scope="module")
def driver(serve_shared: Callable[..., Any]) -> Driver:
    def library(folder: Path) -> None:
        draw(folder / "child.png", (5, 0))
        draw(folder / "family.png", (40, 255), (42, 0), (12, 255), seed=1)
        draw(folder / "maybe.png", (12, 30), seed=2)
        draw(folder / "nobody.png", seed=3)
        film(folder / "clip.mov", [blobs((20, 5, 0))] * 8)
        (folder / "broken.jpg").write_bytes(b"\xff\xd8 this is none")

    return Driver(serve_shared(library))


def test_every_route_serves_what_is_valid(driver: Driver) -> None:
    seen = {operation.path for operation in driver.operations}
    assert {"/", "/embed", "/photo/{photo_id}/say", "/review/alike", "/api/search", "/static/app.js"} <= seen
    correct = Operation("POST", "/api/corrections", ("said",))
    driver.send(correct, {"said": driver.valid["said"]})
    for operation in driver.operations:
        if operation.path == "/static/{name}":
            continue
        valid = driver.values(operation)
        for values in [valid | {"what": action} for action in actions(operation)] if "what" in valid else [valid]:
            if values.get("what") == "undo":
                # Something to undo, from this page: what others did is not undone here.
                driver.send(Operation("POST", "/photo/{photo_id}/say", ("what", "tag")), {"what": "tag", "tag": "Undo"})
            answer = driver.send(operation, values)
            expected = (200, 202, 204, 303, 307)
            if operation.path.startswith((*CHANGING_PEOPLE, *CHANGING_ALBUMS)):
                expected += (404, 409)
            assert answer.status_code in expected, (operation, values, answer.text)


def test_no_path_makes_a_route_fail(driver: Driver) -> None:
    for operation in driver.operations:
        for name in re.findall(r"{(\w+)}", operation.path):
            for text in (*TEXTS, SURROGATE):
                answer = driver.send(operation, driver.values(operation), {name: encoded(text)})
                if text == SURROGATE:
                    assert answer.status_code == 422
                if name in ("photo_id", "face_id") and text in ("-1", str(2**63), "NaN", "x"):
                    assert answer.status_code == 422, operation


def test_no_field_of_a_query_or_form_makes_a_route_fail(driver: Driver) -> None:
    for operation in driver.operations:
        if operation.takes_json:
            continue
        for action, fields in actions(operation).items():
            valid = driver.values(operation) | ({"what": action} if action else {})
            for name in fields:
                driver.send(operation, {other: value for other, value in valid.items() if other != name})
                for text in (*TEXTS, SURROGATE):
                    answer = driver.send(operation, {**valid, name: text})
                    if text == SURROGATE and operation.method == "GET":
                        assert answer.status_code == 422


def test_no_field_of_a_body_makes_a_route_fail(driver: Driver) -> None:
    face, photo = driver.valid["face"], driver.valid["photo_id"]
    given = (
        {"kind": "age", "face_id": face, "low": 5, "high": 9, "group": None},
        {"kind": "gender", "face_id": face, "label": "female"},
        {"kind": "tag", "photo_id": photo, "name": "Holiday", "accepted": True},
        {"kind": "box", "photo_id": photo, "box": {"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}},
        {"kind": "take_back", "of": "tag", "photo_id": photo, "name": "Holiday"},
        {"kind": "ignore", "face_id": 9999},
    )
    bodies = [{"said": [{**one, name: value}]} for one in given for name in one for value in VALUES]
    box = given[3]["box"]
    assert isinstance(box, dict)
    bodies += [{"said": [{**given[3], "box": {**box, name: value}}]} for name in box for value in VALUES]
    post = Operation("POST", "/api/corrections", ("said", "by"))
    for body in bodies:
        driver.send(post, body)
    for operation in driver.operations:
        if operation.takes_json:
            valid = driver.values(operation)
            for name in (*operation.fields, "further"):
                for value in VALUES:
                    driver.send(operation, {**valid, name: value})
            for content in BODIES:
                for media in ("application/json", "text/plain"):
                    driver.send(operation, {}, content=content, headers={"Content-Type": media})


def test_a_form_in_whatever_encoding_makes_no_route_fail(driver: Driver) -> None:
    photo = driver.valid["photo_id"]
    for charset in ("utf-7", "unicode_escape", "raw_unicode_escape", "undefined", "idna", "rot13", "none-such"):
        for text in ("+2AA-", "\\ud800", "x"):
            body = "".join(
                f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in (("what", "tag"), ("tag", text))
            )
            answer = driver.served.client.post(
                f"/photo/{photo}/say",
                content=f"{body}--b--\r\n",
                headers={"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"},
            )
            assert answer.status_code in (200, 400, 422)
            check_headers(answer)


def test_methods_and_paths_that_there_are_not_are_refused_with_all_headers(driver: Driver) -> None:
    client = driver.served.client
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/%00", 404),
        ("GET", "/static/" + "x" * 300, 404),
        ("DELETE", "/api/status", 405),
        ("PATCH", "/review", 405),
        ("OPTIONS", "/", 405),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status, path
        check_headers(answer)


def test_every_documented_route_declares_how_it_refuses_strangers(driver: Driver) -> None:
    schemes = driver.document.document["components"]["securitySchemes"]
    assert {(one["type"], one.get("scheme"), one.get("in")) for one in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "cookie"),
    }
    with httpx.Client(base_url=driver.served.url, **DIRECT) as stranger:
        for operation in filter(lambda one: one.documented, driver.operations):
            # Each of the two is enough.
            assert driver.document.operation(operation.method, operation.path)["security"] == [
                {name: []} for name in schemes
            ]
            answer = stranger.request(operation.method, operation.path.format_map(driver.valid))
            assert answer.status_code == 403
            driver.check(operation, answer)


@pytest.mark.parametrize("path", ["/api/status", "/indexing"])
def test_what_nobody_expected_is_a_500_with_a_sentence_all_headers_and_a_traceback_in_the_log(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("the secret of this test")

    for method in ("status", "folders"):
        monkeypatch.setattr(driver.served.plugin, method, fail)
    answer = driver.served.client.get(path)
    assert answer.status_code == 500 and "report it" in answer.text and "secret" not in answer.text
    check_headers(answer)
    assert "ZeroDivisionError: the secret of this test" in caplog.text
    if path.startswith("/api/"):
        assert driver.document.errors("GET", path, answer) == []
    else:
        assert answer.headers["content-type"].startswith("text/html")
