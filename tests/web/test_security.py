"""Who is answered, and with what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from blobs import draw
from web.waiting import DIRECT


def bare(served: object) -> httpx.Client:
    """Return a client without the token."""
    return httpx.Client(base_url=served.url, **DIRECT)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/", "/api/status", "/pictures/photo/1/thumb.webp", "/static/app.js", "/nothing"])
def test_without_the_token_nothing_is_answered(shared, path: str) -> None:
    with bare(shared) as client:
        assert client.get(path).status_code == 403
        assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 403
        assert client.get(path, params={"token": "wrong"}).status_code == 403


def test_who_comes_to_an_earlier_start_is_told_what_to_do_and_no_address(shared) -> None:
    with bare(shared) as client:
        for path in ("/", "/?token=of-before", "/0123456789abcdef00/people"):
            answer = client.get(shared.origin + path, headers={"Accept": "text/html"})
            assert answer.status_code == 403 and "<title>Not possible" in answer.text
            assert "an earlier start" in answer.text and "It stands in the window" in answer.text
            assert "of-before" not in answer.text and shared.url.removeprefix(shared.origin) not in answer.text
            assert client.get(f"{shared.origin}/static/app.css").status_code == 200
        # A part that a page of before asks for leaves that page as it is.
        part = client.get("/", headers={"Accept": "text/html", "HX-Request": "true"})
        assert part.status_code == 403 and part.headers["hx-retarget"] == "#toasts"
        assert client.get("/").headers["content-type"].startswith("text/plain")


def test_a_hosts_frame_of_an_earlier_start_says_so_in_the_frame(serve: Callable) -> None:
    shared = serve(**{"serve.embed_from": "http://127.0.0.1:9000"})
    with bare(shared) as client:
        answer = client.get(f"{shared.origin}/0123456789abcdef00/embed/people", headers={"Accept": "text/html"})
        assert answer.status_code == 403 and "an earlier start" in answer.text
        assert "frame-ancestors http://127.0.0.1:9000" in answer.headers["content-security-policy"]


def test_the_printed_address_gives_a_cookie_that_scripts_cannot_read_and_leaves_the_token_behind(shared) -> None:
    with bare(shared) as client:
        answer = client.get("/", params={"token": shared.token, "q": "kids"})
        assert answer.status_code == 303
        assert (client.base_url.join(answer.headers["location"])) == f"{shared.url}/?q=kids"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert client.get(f"{shared.url}/").status_code == 200


def test_the_cookie_is_sent_to_the_path_of_this_start_alone_which_others_cannot_know(shared) -> None:
    with bare(shared) as client:
        client.get("/", params={"token": shared.token})
        (cookie,) = client.cookies.jar
        assert shared.url.endswith(cookie.path) and len(cookie.path) > 16
        # What reaches every server of this machine is nothing: neither the cookie, nor an answer to it.
        assert "cookie" not in client.build_request("GET", shared.origin).headers
        stolen = {"Cookie": f"{cookie.name}={cookie.value}"}
        assert httpx.get(f"{shared.origin}/api/status", headers=stolen, **DIRECT).status_code == 403


def test_an_address_that_another_page_opens_works_though_strict_cookies_do_not_follow_redirects(shared) -> None:
    with bare(shared) as client:
        answer = client.get("/", params={"token": shared.token}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200 and shared.token not in answer.text
        assert 'http-equiv="refresh"' in answer.text and shared.url.removeprefix(shared.origin) in answer.text


@pytest.mark.parametrize("host", ["photos.example", "127.0.0.1", "127.0.0.1:1", "localhost.example:{port}", ""])
def test_other_names_of_this_machine_are_not_answered(shared, host: str) -> None:
    answer = shared.client.get("/api/status", headers={"Host": host.format(port=shared.port)})
    assert answer.status_code == 403


def test_other_pages_are_not_answered(shared) -> None:
    for origin in ("http://photos.example", f"http://127.0.0.1:{shared.port + 1}", "null"):
        assert shared.client.get("/api/status", headers={"Origin": origin}).status_code == 403
        assert shared.client.post("/api/undo", headers={"Origin": origin}).status_code == 403


def test_changes_by_cookie_have_to_come_from_the_page_itself(shared) -> None:
    with bare(shared) as client:
        client.get("/", params={"token": shared.token})
        assert client.post("/api/index").status_code == 403
        assert client.post("/api/index", headers={"Origin": shared.origin}).status_code == 200
        assert client.post("/api/index", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fsettings.py",
        "/pictures/photo/..%2f..%2fetc%2fpasswd/thumb.webp",
        "/pictures/photo/1/..%2fthumb.webp",
        "/pictures/face/1%00.webp",
        "/photo/../../etc/passwd",
    ],
)
def test_no_path_leads_out(shared, path: str) -> None:
    request = httpx.Request("GET", shared.url + path, headers=shared.client.headers)
    answer = shared.client.send(request)
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text and "import" not in answer.text


def test_a_link_in_the_library_that_leads_out_is_not_followed(serve: Callable, tmp_path: Path) -> None:
    secret = draw(tmp_path / "elsewhere" / "secret.png", (5, 0))

    def library(folder: Path) -> None:
        draw(folder / "a.png", (50, 0))

    shared = serve(library)
    (shared.library / "a.png").unlink()
    (shared.library / "a.png").symlink_to(secret)
    answer = shared.client.get(f"/pictures/photo/{shared.photo('a.png')}/thumb.webp")
    assert answer.status_code == 404
    assert "leads out" in answer.json()["detail"]


def test_every_answer_forbids_what_the_page_does_not_need(shared) -> None:
    for path in ("/", "/api/status", "/pictures/photo/999/thumb.webp"):
        headers = shared.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_only_the_embedded_page_may_be_framed_and_only_by_hosts_that_are_named(serve: Callable) -> None:
    shared = serve(**{"serve.embed_from": "http://127.0.0.1:9000"})
    assert "frame-ancestors http://127.0.0.1:9000" in shared.client.get("/embed").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in shared.client.get("/").headers["content-security-policy"]


HOSTILE = (
    "<script>alert(1)</script>.png",
    "\"onerror='alert(1)'.png",
    "evil\u202egnp.png",
    "two\nlines.png",
    "{{ 7 * 7 }}.png",
)


def test_hostile_names_are_shown_as_text(serve: Callable) -> None:
    def library(folder: Path) -> None:
        for number, name in enumerate(HOSTILE):
            draw(folder / name.replace("/", "∕"), (5, 0), seed=number)

    shared = serve(library)
    text = shared.client.get("/").text
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text and "\\u202e" in text
    assert "49.png" not in text
    for (photo_id,) in shared.rows("SELECT photo_id FROM v1_photos"):
        shown = shared.client.get(f"/photo/{photo_id}").text
        assert "<script>alert" not in shown and '"onerror' not in shown
        assert "\u202e" not in shown
