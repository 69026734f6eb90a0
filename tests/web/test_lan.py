"""Devices of the home network look at what is shared once they are paired, and can do nothing else."""

from __future__ import annotations

import base64
import io
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
from PIL import Image

from blobs import BlobAnalyzer, draw
from filmed import blobs, film
from rollcall.commands import serve as commands_serve
from rollcall.commands.serve import serve
from rollcall.errors import ConflictError, RollcallError
from rollcall.host import Plugin
from rollcall.settings import load
from rollcall.web import home_network, icons, security
from rollcall.web.app import create
from rollcall.web.pairing import LIFETIME, MOST_WRONG, Pairing
from web.conftest import running
from web.waiting import DIRECT

#: A second address of this machine, which stands for the one in the home network.
HOME = "127.0.0.2"


@dataclass
class Shared:
    """A server with an address in the home network, and what a device does there."""

    plugin: Plugin
    origin: str
    owner: httpx.Client
    app: Any
    photos: dict[str, int]

    def code(self, everything: bool = False) -> str:
        return str(self.app.state.pairing.make(everything).digits)

    def device(self) -> httpx.Client:
        return httpx.Client(base_url=self.origin, headers={"Origin": self.origin, "Accept": "text/html"}, **DIRECT)

    def paired(self, everything: bool = False) -> tuple[httpx.Client, str]:
        """Return a device that is paired, and the path its pages lie below."""
        device = self.device()
        answer = device.post("/pair", data={"code": self.code(everything), "name": "Grandma's phone"})
        assert answer.status_code == 303
        return device, answer.headers["location"].rstrip("/")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("lan")
    for number, name in enumerate(("child", "two", "secret")):
        draw(folder / "photos" / "private" / f"{name}.png", (5, 255), seed=number)
    values = {"database.url": f"sqlite:///{folder / 'lan.db'}", "cache.folder": str(folder / "cache")}
    plugin = Plugin(values, analyzer=BlobAnalyzer())
    plugin.start()
    frames = [blobs((10 + number, 5, 0), seed=number) for number in range(8)]
    told = {"location": "+48.1374+011.5755/", "artist": "Anna"}
    options = {"form": "yuv420p", "options": {"deadline": "realtime"}}
    film(folder / "photos" / "private" / "clip.mkv", frames, codec="libvpx-vp9", tags=told, **options)
    film(folder / "photos" / "private" / "hidden.mkv", frames[1:], codec="libvpx-vp9", tags=told, **options)
    film(folder / "photos" / "private" / "telling.mov", frames[2:], tags=told)
    plugin.index([folder / "photos"])
    photos = {hit.path.stem: hit.photo_id for hit in plugin.search("")}
    plugin.share_album(plugin.save_album("Shared", photos=[photos["child"], photos["two"]]).album_id)
    plugin.save_album("Own", photos=[photos["secret"]])
    plugin.share_album(plugin.save_album("Films", photos=[photos["clip"], photos["telling"]]).album_id)
    first = socket.create_server(("127.0.0.1", 0))
    port = first.getsockname()[1]
    token = security.new_token()
    app = create(plugin, token, port)
    app.state.network.open(home_network.listen(HOME, port))
    with running(app, first):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, **DIRECT) as owner:
            yield Shared(plugin, f"http://{HOME}:{port}", owner, app, photos)
    plugin.stop()


def test_a_code_lets_one_device_see_what_is_shared(shared: Shared) -> None:
    code = shared.code()
    device = shared.device()
    assert f'value="{code}"' in device.get(f"/?code={code}").text
    answer = device.post("/pair", data={"code": f"{code[:4]} {code[4:]}", "name": " A\n<b>phone</b> "})
    base = answer.headers["location"].rstrip("/")
    assert shared.plugin.guests()[0].name == "A <b>phone</b>"
    albums = device.get(f"{base}/albums").text
    assert "Shared" in albums and "Own" not in albums
    page = device.get(f"{base}/album/1").text
    assert f"{base}/photo/{shared.photos['child']}?album=1" in page
    assert not re.search('hx-post|method="post"|photos/private|Select', page)
    assert (
        device.get(f"{base}/pictures/photo/{shared.photos['child']}/thumb.webp").headers["content-type"] == "image/webp"
    )
    shown = device.get(f"{base}/photo/{shared.photos['child']}?album=1").text
    assert "child.png" in shown and "private" not in shown and "female" not in shown
    assert device.get(f"{base}/album/1/zip").headers["content-type"] == "application/zip"
    again = shared.device().post("/pair", data={"code": code})
    assert again.status_code == 403 and "does not hold" in again.text


def test_a_device_is_answered_in_its_own_language(shared: Shared) -> None:
    device, base = shared.paired()
    german = {"Accept-Language": "de", "Accept": "text/html"}
    form = shared.device().get("/", headers=german).text
    assert '<html lang="de">' in form and "Geteilte Fotos ansehen" in form
    assert "Dieser Code gilt nicht" in shared.device().post("/pair", data={"code": "1"}, headers=german).text
    page = device.get(f"{base}/album/1", headers=german).text
    assert '<html lang="de"' in page and "Alle Alben" in page and "/language" not in page
    assert "Gäste können das nicht öffnen." in device.get(f"{base}/people", headers=german).text


def test_what_is_not_shared_and_what_changes_is_refused(shared: Shared) -> None:
    device, base = shared.paired()
    secret = shared.photos["secret"]
    for path in (
        *(
            "/album/2",
            "/album/2/zip",
            f"/photo/{secret}",
            f"/pictures/photo/{secret}/screen.webp",
            "/pictures/face/1.webp",
        ),
        *("/people", "/indexing", "/sharing", "/count", "/api/status", "/api/albums", "/api/openapi.json", "/choose"),
        *("/selection/zip?numbers=1", "/chips", "/undo", "/album/1/../2", "/album/%32/zip", "//album/2"),
    ):
        answer = device.get(base + path)
        assert answer.status_code in (403, 404), path
        assert "private" not in answer.text
    assert device.get(base).headers["location"].endswith("/albums"), "the library is not theirs"
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/undo", "/album/1", "/api/corrections", "/sharing", "/albums", "/selection", "/photo/1/folder"):
            assert device.request(method, base + path, data={"what": "remove"}).status_code == 403
    assert len(shared.plugin.albums()) == 3


def test_a_forbidden_page_says_so_and_leads_back_to_the_albums(shared: Shared) -> None:
    device, base = shared.paired()
    led = {"Referer": f"{shared.origin}{base}/album/1"}  # the cookie is not sent with what lies outside of its path
    for answer in (device.get(f"{base}/people"), device.get("/people", headers=led)):
        assert answer.status_code == 403
        assert "Guests cannot open this." in answer.text and f'href="{base}/albums"' in answer.text
    for headers in ({}, {"Referer": f"{shared.origin}//evil.example/x"}):
        answer = device.get("/people", headers=headers)
        assert answer.status_code == 403 and 'href="/pair"' in answer.text and "evil" not in answer.text
    script = {"Accept": "*/*"}
    assert device.get(f"{base}/people", headers=script).text == "Guests cannot open this."


def test_a_device_of_ones_own_sees_all_photos_and_changes_nothing(shared: Shared) -> None:
    device, base = shared.paired(everything=True)
    found = device.get(f"{base}/?q=photos+of+children").text
    assert found.count('class="tile"') == 5 and "Save as album" not in found
    assert device.get(f"{base}/photo/{shared.photos['secret']}").status_code == 200
    assert device.post(f"{base}/albums", data={"q": "x", "name": "y"}).status_code == 403
    assert device.get(f"{base}/people").status_code == 403


def test_reasons_of_errors_name_no_files_to_guests(shared: Shared) -> None:
    device, base = shared.paired(everything=True)
    answer = device.get(f"{base}/pictures/photo/99/thumb.webp", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "This is not there at present."})
    page = device.get(f"{base}/photo/99")
    assert page.status_code == 404 and "there is no photo" not in page.text
    assert "<h1>" in page.text and "This is not there at present." in page.text and f'href="{base}/albums"' in page.text


def test_other_hosts_and_pages_are_refused_on_both_addresses(shared: Shared) -> None:
    device, base = shared.paired()
    for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1:1"}, {"Origin": "http://evil.example"}):
        assert device.get(f"{base}/albums", headers=headers).status_code == 403
        assert device.post("/pair", headers=headers, data={"code": shared.code()}).status_code == 403
    port = shared.origin.rpartition(":")[2]
    owner = dict(shared.owner.headers)
    assert httpx.get(f"{shared.origin}/api/status", headers=owner, **DIRECT).status_code == 403
    local = {**owner, "Host": f"127.0.0.1:{port}"}
    assert httpx.get(f"{shared.origin}/api/status", headers=local, **DIRECT).status_code == 403
    assert httpx.get(f"http://127.0.0.1:{port}{base}/albums", cookies=device.cookies, **DIRECT).status_code == 403


def test_the_cookie_is_bound_to_the_devices_own_path(shared: Shared) -> None:
    device, base = shared.paired()
    other = shared.paired()[1]
    (cookie,) = [one for one in device.cookies.jar if one.name == "rollcall-guest"]
    assert cookie.path == base and cookie.has_nonstandard_attr("HttpOnly")
    forged = httpx.get(f"{shared.origin}{other}/albums", cookies={"rollcall-guest": cookie.value or ""}, **DIRECT)
    assert forged.status_code == 403


def test_sessions_are_listed_and_ended_by_the_owner(shared: Shared) -> None:
    device, base = shared.paired()
    guest = shared.plugin.guests()[0]
    listed = shared.owner.get("/sharing").text
    assert "Grandma&#39;s phone" in listed
    assert shared.owner.post("/sharing", data={"what": "end", "device": guest.guest_id}).status_code == 200
    ended = device.get(f"{base}/albums")
    assert ended.status_code == 403 and "not let in any more" in ended.text and 'action="/pair"' in ended.text
    # What a page asks for leaves that page as it is.
    part = device.get(f"{base}/albums", headers={"HX-Request": "true"})
    assert part.headers["hx-retarget"] == "#toasts" and "not let in any more" in part.text
    assert shared.owner.post("/sharing", data={"what": "end", "device": guest.guest_id}).status_code == 404
    shared.paired()
    assert shared.plugin.end_guest() >= 1
    assert shared.plugin.guests() == []


def test_the_owner_gets_a_code_with_a_picture_of_it(shared: Shared) -> None:
    text = shared.owner.post("/sharing", data={"what": "code"}).text
    assert re.search(r'class="pairing" role="status">\d{4} \d{4}<', text)
    assert "<svg" in text and "style=" not in text
    assert "nothing is encrypted" in text


def test_the_owner_lets_the_home_network_in_and_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"database.url": f"sqlite:///{tmp_path / 'a.db'}", "cache.folder": str(tmp_path / "cache")}
    with Plugin(values, analyzer=BlobAnalyzer()) as plugin:
        first = socket.create_server(("127.0.0.1", 0))
        port, token = first.getsockname()[1], security.new_token()
        app, origin = create(plugin, token, port), f"http://{HOME}:{port}"
        headers = {"Authorization": f"Bearer {token}"}
        with (
            running(app, first),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, **DIRECT) as owner,
            httpx.Client(base_url=origin, headers={"Origin": origin}, **DIRECT) as device,
        ):
            assert "nothing is encrypted" in owner.get("/sharing").text, "it is said before"
            assert owner.post("/sharing", data={"what": "code"}).status_code == 409
            with pytest.raises(httpx.ConnectError):
                device.get("/")
            monkeypatch.setattr(home_network, "own_address", lambda: "8.8.8.8")
            assert "no address of a home network" in owner.post("/sharing", data={"what": "open"}).text
            monkeypatch.setattr(home_network, "own_address", lambda: HOME)
            with socket.create_server((HOME, port)):
                assert f"port {port} of" in owner.post("/sharing", data={"what": "open"}).text
            for _ in range(2):
                assert owner.post("/sharing", data={"what": "open"}).status_code == 200
                assert device.get("/").status_code == 200
                answer = device.post("/pair", data={"code": app.state.pairing.make().digits, "name": "Phone"})
                albums = answer.headers["location"] + "albums"
                assert device.get(albums).status_code == 200
                # Nobody else comes in at that address, also with the name of the page.
                assert httpx.get(f"{origin}/api/status", headers=headers, **DIRECT).status_code == 403
                assert owner.post("/sharing", data={"what": "close"}).status_code == 200
                with pytest.raises(httpx.TransportError):
                    device.get(albums)
            assert len(plugin.guests()) == 2, "they stay paired"


def test_an_address_that_was_chosen_is_the_one_that_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_network, "own_address", lambda: "192.0.2.1")  # this machine has no such address
    with socket.create_server(("127.0.0.1", 0)) as kept:  # nobody else gets that port meanwhile
        port = kept.getsockname()[1]
        network = home_network.HomeNetwork(lambda *_: None, port)  # type: ignore[arg-type]
        network.open(home_network.listen(HOME, port))
        network.close()
        assert not network.address
        network.open()
        assert network.address == HOME
        network.close()


def test_a_page_with_a_login_opens_no_second_address(tmp_path: Path) -> None:
    network = home_network.HomeNetwork(lambda *_: None, 1, allowed=False)  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="login"):
        network.open()
    assert not network.origin


def test_a_device_installs_the_page_without_another_host(shared: Shared) -> None:
    device, base = shared.paired()
    manifest = device.get(f"{base}/manifest.webmanifest").json()
    assert manifest["start_url"] == f"{base}/albums"
    for one in manifest["icons"]:
        assert device.get(one["src"]).headers["content-type"].startswith(one["type"])
    assert {one["sizes"] for one in manifest["icons"] if one.get("purpose") == "maskable"} == {"192x192", "512x512"}


def test_phones_find_the_icon_as_png_also_without_a_session(shared: Shared) -> None:
    device, base = shared.paired()
    for page in (shared.device().get("/").text, device.get(f"{base}/albums").text):
        (address,) = re.findall('rel="apple-touch-icon" href="([^"]+)"', page)
        picture = Image.open(io.BytesIO(shared.device().get(address).content))
        # iOS shows what is transparent as black.
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (180, 180))
    assert shared.device().get("/static/icon-181.png").status_code == 404
    owners = re.findall('rel="apple-touch-icon" href="([^"]+)"', shared.owner.get("/").text)
    assert shared.owner.get(owners[0]).headers["content-type"] == "image/png"
    assert shared.owner.get("/static/icon-181.png").status_code == 422


def test_the_icon_as_png_looks_as_a_browser_draws_the_svg(chromium: Any) -> None:
    svg = base64.b64encode((Path(icons.__file__).parent / "static" / "icon.svg").read_bytes()).decode()
    page = chromium.new_page(viewport={"width": 200, "height": 200})
    page.set_content(
        "<body style='background: #fbfaf7'><img style='position: absolute; left: 16%; top: 16%; width: 68%'"
        f" src='data:image/svg+xml;base64,{svg}'>"
    )
    page.wait_for_function("() => document.images[0].complete")
    browser, ours = (
        np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
        for data in (page.screenshot(), icons.drawn(200))
    )
    page.close()
    # Edges alone differ, by how they are smoothed; a line moved by one pixel makes it 3.
    assert np.abs(browser - ours).mean() < 1
    # What launchers cut away holds nothing of it.
    rows, columns = np.mgrid[:200, :200] - 99.5
    assert (ours[np.hypot(rows, columns) > 80] > 245).all() and (ours < 200).any()


def test_codes_expire_and_are_void_after_a_few_wrong_ones() -> None:
    now = [0.0]
    pairing = Pairing(lambda: now[0])
    code = pairing.make()
    now[0] = LIFETIME + 1.0
    assert pairing.redeem(code.digits) is None
    code = pairing.make(everything=True)
    wrong = "00000000" if code.digits != "00000000" else "11111111"
    for _ in range(MOST_WRONG - 1):
        assert pairing.redeem(wrong) is None
    assert pairing.redeem(code.shown) == code
    code = pairing.make()
    for _ in range(MOST_WRONG):
        pairing.redeem(wrong)
    assert pairing.redeem(code.digits) is None


@pytest.mark.parametrize("address", ["8.8.8.8", "example.org", "0.0.0.0.0"])
def test_only_an_address_of_a_home_network_is_served(tmp_path: Path, address: str) -> None:
    settings = load(None, {"database.url": f"sqlite:///{tmp_path / 'x.db'}"})
    with pytest.raises(RollcallError, match="home network"):
        serve(settings, [], port=0, lan=address)
    assert home_network.is_of_home("192.168.1.20") and not home_network.is_of_home(address)


def test_the_terminal_shows_where_a_device_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(app: Any, listening: socket.socket, announce: Callable[[], None], file: Path | None) -> None:
        assert listening.getsockname()[0] == "127.0.0.1"
        announce()
        shown = capsys.readouterr().err
        code = re.search(rf"http://{re.escape(HOME)}:\d+ with the code (\d{{4}} \d{{4}})", shown)
        assert code and app.state.pairing.redeem(code[1]) is not None
        assert "Nothing is encrypted" in shown
        assert httpx.get(app.state.network.origin, **DIRECT).status_code == 200
        app.state.network.close()
        listening.close()

    monkeypatch.setattr(commands_serve, "_run", run)
    settings = load(None, {"database.url": f"sqlite:///{tmp_path / 'x.db'}", "cache.folder": str(tmp_path / "cache")})
    serve(settings, [], port=0, lan=HOME)


def test_what_a_guest_downloads_tells_no_place(shared: Shared) -> None:
    folder = shared.plugin.folders()[0]
    place = Image.Exif()
    place.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.5), 3: "E", 4: (11.0, 34.0, 30.0)})
    for name in ("place.jpg", "place.png"):
        draw(folder / "drawn.png", (5, 255), seed=len(name))
        with Image.open(folder / "drawn.png") as image:
            image.save(folder / name, exif=place.tobytes())
    (folder / "drawn.png").unlink()
    shared.plugin.index([folder])
    photos = {hit.path.name: hit.photo_id for hit in shared.plugin.search("")}
    shared.plugin.add_to_album(1, photos["place.jpg"], photos["place.png"])
    told = {}
    for everything in (False, True):
        device, base = shared.paired(everything)
        with ZipFile(io.BytesIO(device.get(f"{base}/album/1/zip").content)) as archive:
            for one in archive.namelist():
                if one.startswith("place"):
                    with Image.open(io.BytesIO(archive.read(one))) as image:
                        image.load()
                        told[one, everything] = bool(image.getexif().get_ifd(0x8825))
    # A device of one's own gets the originals.
    assert told == {
        ("place.jpg", False): False,
        ("place.png.jpg", False): False,
        ("place.jpg", True): True,
        ("place.png", True): True,
    }


def test_what_a_guest_does_not_get_names_no_folder(shared: Shared) -> None:
    folder = shared.plugin.folders()[0]
    away = folder.rename(folder.with_name("away"))
    try:
        for everything in (False, True):
            device, base = shared.paired(everything)
            with ZipFile(io.BytesIO(device.get(f"{base}/album/1/zip").content)) as archive:
                (told,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")]
            assert "child.png: This is not there at present." in told and "photos is not there" not in told
    finally:
        away.rename(folder)


def test_a_guest_plays_shared_videos_of_which_the_copy_tells_nothing(shared: Shared) -> None:
    guest, base = shared.paired()
    address = f"{base}/pictures/video/{shared.photos['clip']}"
    whole = guest.get(address)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/webm")
    original = shared.owner.get(f"/pictures/video/{shared.photos['clip']}").content
    assert b"+48.1374" in original and b"Anna" in original
    assert b"+48.1374" not in whole.content and b"Anna" not in whole.content
    assert "clip" not in str(whole.headers)
    part = guest.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    # One that may tell anything is not given; nor is one that is not shared.
    refused = guest.get(f"{base}/pictures/video/{shared.photos['telling']}")
    assert refused.status_code == 415 and "private" not in refused.text
    assert guest.get(f"{base}/pictures/video/{shared.photos['hidden']}").status_code == 403
    assert guest.get(f"{base}/pictures/video/{shared.photos['child']}").status_code in (404, 415)
    own, base = shared.paired(everything=True)
    assert own.get(f"{base}/pictures/video/{shared.photos['clip']}").content == original


def test_a_guest_downloads_the_videos_that_it_plays(shared: Shared) -> None:
    guest, base = shared.paired()
    address = f"{base}/pictures/video/{shared.photos['clip']}"
    with ZipFile(io.BytesIO(guest.get(f"{base}/album/3/zip").content)) as archive:
        films = {name: archive.read(name) for name in archive.namelist()}
    assert films["clip.mkv.webm"] == guest.get(address).content
    # Of the other one the place cannot be taken out.
    refused = next(text.decode() for name, text in films.items() if name.endswith(".txt"))
    assert len(films) == 2 and "telling.mov" in refused and "clip" not in refused


def test_a_copy_that_takes_more_than_it_may_is_refused_and_copies_go_the_oldest_first(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, base = shared.paired()
    videos = shared.app.state.guest_videos
    address = f"{base}/pictures/video/{shared.photos['clip']}"
    assert guest.get(address).status_code == 200
    (copy,) = videos.folder.iterdir()
    assert copy.stat().st_mode & 0o77 == 0
    monkeypatch.setattr(videos, "limit", 10)
    assert guest.get(address).status_code == 200  # it is there
    copy.unlink()
    assert guest.get(address).status_code == 413 and not list(videos.folder.iterdir())


def test_a_video_plays_on_a_guests_page_or_says_why_it_does_not(shared: Shared, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{shared.origin}/pair?code={shared.code()}")
    page.get_by_role("button", name="Open").click()
    page.locator(".albums .name").get_by_text("Films").click()
    page.locator(f"#photo-{shared.photos['clip']} a").click()
    page.wait_for_url(f"**/photo/{shared.photos['clip']}*")
    page.wait_for_load_state()
    page.get_by_role("button", name="Play").tap()
    page.wait_for_function("() => document.getElementById('video')?.currentTime > 0")
    page.get_by_role("link", name="Back to the album").tap()
    page.locator(f"#photo-{shared.photos['telling']} a").click()
    page.wait_for_url(f"**/photo/{shared.photos['telling']}*")
    page.wait_for_load_state()
    page.get_by_role("button", name="Play").tap()
    page.get_by_text("so guests do not get it").wait_for()
    context.close()


def test_a_guest_is_told_that_the_server_is_gone_and_goes_on_when_it_is_back(shared: Shared, chromium: Any) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{shared.origin}/pair?code={shared.code(everything=True)}")
    page.locator("form button").click()
    page.locator(".tile img").first.wait_for()
    page.wait_for_load_state()
    thumbnail = page.locator(".tile img").first
    context.set_offline(True)
    page.locator("#q").fill("children")
    page.locator("#q").press("Enter")
    page.locator("#server").get_by_text("does not answer at present").wait_for()
    # A picture that comes into sight meanwhile.
    thumbnail.evaluate("one => new Promise(done => { one.onerror = done; one.src = one.src + '&again' })")
    context.set_offline(False)
    page.locator("#server").wait_for(state="hidden")
    page.wait_for_function("document.querySelector('.tile img').naturalWidth > 0")
    page.locator("#q").press("Enter")
    page.wait_for_url("**/?q=children*")
    # A session that the owner ends: what is shown stays, with the way to a new code.
    ready_tiles = page.locator(".tile").count()
    show = context.new_page()
    show.goto(page.locator(".tile a").first.evaluate("one => one.href"))
    show.locator("#slideshow").click()
    shared.plugin.end_guest()
    show.locator("dialog.viewer").press("ArrowRight")
    show.locator("#server").get_by_text("not let in any more").wait_for()
    page.locator("#q").fill("women")
    page.locator("#q").press("Enter")
    page.locator("#server").get_by_text("not let in any more").wait_for()
    assert page.locator(".tile").count() == ready_tiles > 0
    page.get_by_role("link", name="Type a code").click()
    page.get_by_label("Code").wait_for()
    context.close()
