"""The login of those who come through a reverse proxy; off unless it is set up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from blobs import BlobAnalyzer, draw
from rollcall import Plugin
from rollcall.errors import SettingsError
from rollcall.settings import ServeSettings, load
from rollcall.web import login
from rollcall.web.app import create

TOKEN = "0123456789-abcdefghijkl"
PUBLIC = "https://photos.example.org"
HTML = {"Accept": "text/html"}
Client = Callable[..., TestClient]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Return a client of a server with some settings; it comes from 172.20.0.5 and asks for the public name."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    started: list[Plugin] = []

    def make(base: str = PUBLIC, peer: str = "172.20.0.5", **settings: Any) -> TestClient:
        values = {f"serve.{name}": value for name, value in settings.items()}
        plugin = Plugin({**values, "database.url": str(tmp_path / "rollcall.db")}, analyzer=BlobAnalyzer())
        plugin.start()
        started.append(plugin)
        if len(started) == 1:
            plugin.index(draw(tmp_path / "photos" / "a.png", (5, 0)).parent)
        app = create(plugin, "token-of-this-start", 8724)
        return TestClient(app, base_url=base, client=(peer, 40000), follow_redirects=False)

    yield make
    for plugin in started:
        plugin.stop()


def by_token(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {"login": "token", "public_url": PUBLIC, "token_file": str(tmp_path / "token"), **more}


PROXY: dict[str, Any] = {"login": "proxy", "public_url": PUBLIC, "proxies": "172.20.0.0/16"}


def test_without_a_login_no_other_name_is_answered(client: Client) -> None:
    with client() as one:
        assert one.get("/", headers={"Remote-User": "jo"}).status_code == 403
        assert one.get("/", headers={"Authorization": "Bearer token-of-this-start"}).status_code == 403


def test_health_is_answered_without_a_login_and_says_nothing_else(client: Client, tmp_path: Path) -> None:
    for settings in ({}, PROXY, by_token(tmp_path)):
        with client(base="http://127.0.0.1:8724", **settings) as one:
            answer = one.get("/healthz")
            assert (answer.status_code, answer.text) == (200, "ok")
            assert one.post("/healthz").status_code in (403, 405)


def test_this_machine_still_needs_the_token_of_the_start(client: Client, tmp_path: Path) -> None:
    with client(base="http://127.0.0.1:8724", peer="127.0.0.1", **by_token(tmp_path)) as one:
        assert one.get("/api/status").status_code == 403
        assert one.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 403
        assert one.get("/api/status", headers={"Authorization": "Bearer token-of-this-start"}).status_code == 200


def test_the_token_opens_the_page_and_stays_out_of_address_and_cookie(client: Client, tmp_path: Path) -> None:
    with client(**by_token(tmp_path)) as one:
        answer = one.get("/", headers=HTML)
        assert answer.status_code == 401 and 'action="/login"' in answer.text
        assert "script-src" not in answer.headers["content-security-policy"]
        answer = one.post("/login", data={"token": TOKEN}, headers={"Origin": PUBLIC})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "secure"))
        assert TOKEN not in cookie and "token-of-this-start" not in cookie
        answer = one.get("/", headers=HTML)
        assert answer.status_code == 200 and "token-of-this-start" not in answer.text
        assert "max-age" in answer.headers["strict-transport-security"]
        assert one.get("/api/status").json()["faces"] == 1


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN + "x", "token-of-this-start"])
def test_a_wrong_token_opens_nothing(
    client: Client, tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "_WAIT", 0.0)
    with client(**by_token(tmp_path)) as one:
        answer = one.post("/login", data={"token": given}, headers={"Origin": PUBLIC, **HTML})
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert one.get("/api/status", headers={"Authorization": f"Bearer {given}"}).status_code == 401
        assert one.get("/api/status", headers={"Cookie": f"rollcall-login={given}"}).status_code == 401
        assert one.get("/", params={"token": given}, headers=HTML).status_code == 401


def test_programs_send_the_token_as_bearer(client: Client, tmp_path: Path) -> None:
    with client(**by_token(tmp_path)) as one:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert one.get("/api/status", headers=headers).status_code == 200
        assert one.post("/api/undo", headers=headers).status_code == 409, "nothing to undo"


def test_who_comes_through_the_proxy_opens_no_folder_on_this_machine(client: Client, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with client(peer="127.0.0.1", **by_token(tmp_path)) as one:
        answer = one.post("/photo/1/folder", headers=headers)
        assert answer.status_code == 409 and "open the page there" in answer.text
        assert "Show in folder" not in one.get("/photo/1", headers=headers).text


def test_a_long_form_is_not_read(client: Client, tmp_path: Path) -> None:
    with client(**by_token(tmp_path)) as one:
        assert one.post("/login", data={"token": "x" * 10_000}).status_code == 413


def test_changes_have_to_come_from_the_page_itself(client: Client, tmp_path: Path) -> None:
    with client(**by_token(tmp_path)) as one:
        one.post("/login", data={"token": TOKEN}, headers={"Origin": PUBLIC})
        assert one.post("/api/undo").status_code == 403
        assert one.post("/api/undo", headers={"Origin": "https://elsewhere.example"}).status_code == 403
        assert one.get("/api/status", headers={"Origin": "https://elsewhere.example"}).status_code == 403
        assert one.post("/api/undo", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert one.post("/api/undo", headers={"Origin": PUBLIC}).status_code == 409
        assert one.post("/api/undo", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 409
    with client(**PROXY) as one:
        user = {"Remote-User": "jo"}
        assert one.post("/api/undo", headers=user).status_code == 403
        assert one.post("/api/undo", headers={**user, "Origin": PUBLIC}).status_code == 409


def test_the_proxy_names_the_user(client: Client) -> None:
    with client(**PROXY) as one:
        assert one.get("/").status_code == 401
        assert one.get("/", headers={"Remote-User": " "}).status_code == 401
        assert one.get("/", headers={"Remote-User": "jo"}).status_code == 200
        doubled = [("Remote-User", "jo"), ("Remote-User", "admin")]
        assert one.get("/", headers=doubled).status_code == 401, "one of them is not the proxy's"


@pytest.mark.parametrize("peer", ["172.21.0.5", "10.0.0.1", "::1", "testclient"])
def test_the_header_is_believed_of_the_proxy_alone(client: Client, peer: str) -> None:
    with client(peer=peer, **PROXY) as one:
        headers = {"Remote-User": "jo", "X-Forwarded-For": "172.20.0.5"}
        assert one.get("/", headers=headers).status_code == 403


def test_a_proxy_by_an_ipv4_address_in_ipv6_is_the_same_proxy(client: Client) -> None:
    with client(peer="::ffff:172.20.0.5", **PROXY) as one:
        assert one.get("/", headers={"Remote-User": "jo"}).status_code == 200


def test_only_users_that_are_named_may_come(client: Client) -> None:
    with client(**PROXY, users="jo,ann", user_header="X-Auth-User") as one:
        assert one.get("/", headers={"X-Auth-User": "ann"}).status_code == 200
        assert one.get("/", headers={"X-Auth-User": "bob"}).status_code == 403
        assert one.get("/", headers={"Remote-User": "ann"}).status_code == 401


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"listen": "0.0.0.0"}, "serve.login"),
        ({"public_url": PUBLIC}, "serve.login"),
        ({"login": "token"}, "serve.public_url"),
        ({"login": "token", "public_url": PUBLIC}, "serve.token_file"),
        ({"login": "token", "public_url": PUBLIC, "token_file": "/missing"}, "serve.token_file"),
        ({"login": "token", "public_url": PUBLIC, "token_file": "SHORT"}, "serve.token_file"),
        ({"login": "proxy", "public_url": "photos.example.org"}, "serve.public_url"),
        ({"login": "proxy", "public_url": f"{PUBLIC}/rollcall"}, "serve.public_url"),
        ({"login": "proxy", "public_url": PUBLIC, "proxies": ("nonsense",)}, "serve.proxies"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(tmp_path: Path, settings: dict[str, Any], name: str) -> None:
    (tmp_path / "short").write_text("secret")
    if settings.get("token_file") == "SHORT":
        settings = {**settings, "token_file": str(tmp_path / "short")}
    with pytest.raises(SettingsError, match=name):
        login.access_of(ServeSettings(**settings))


def test_lists_in_settings_are_split_at_commas() -> None:
    loaded = load(None, {"serve.users": "jo, ann", "bridges.paths": "/a=/b,/c=/d", "serve.listen": "a,b"})
    assert loaded.serve.users == ("jo", "ann")
    assert loaded.bridges.paths == ("/a=/b", "/c=/d")
    assert loaded.serve.listen == "a,b"
