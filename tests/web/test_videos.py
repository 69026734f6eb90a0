"""Videos on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from filmed import blobs, film
from rollcall import corrections

pytest.importorskip("av")


def fill(library: Path) -> None:
    """Draw a photo and a video: a child on its left side, then a woman on its right one."""
    draw(library / "photo.png", (5, 0))
    frames = [blobs((10 + n // 4, 5, 0), seed=n // 4) for n in range(16)]
    frames += [blobs((150 + n // 4, 40, 255), seed=n // 4) for n in range(16)]
    film(library / "clip.mov", frames)
    # One that browsers play; its squares are not red enough for the analyzer.
    film(library / "plays.webm", frames, codec="libvpx-vp9", form="yuv420p", options={"deadline": "realtime"})


@pytest.fixture(scope="module")
def shared(serve_shared: Callable[..., Any]) -> Any:
    return serve_shared(fill)


def test_a_browser_gets_the_parts_of_the_file_that_it_asks_for(shared: Any) -> None:
    whole = (shared.library / "clip.mov").read_bytes()
    address = f"/pictures/video/{shared.photo('clip.mov')}"
    answer = shared.client.get(address)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "video/quicktime", whole)
    assert "media-src 'self'" in answer.headers["content-security-policy"]
    part = shared.client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert shared.client.get(address, headers={"Range": f"bytes={len(whole) + 9}-"}).status_code == 416
    again = shared.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_nobody_without_the_token_and_no_photo_is_played(shared: Any) -> None:
    address = f"/pictures/video/{shared.photo('clip.mov')}"
    assert shared.client.get(address, headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert shared.client.get(f"/pictures/video/{shared.photo('photo.png')}").status_code == 404
    assert shared.client.get("/pictures/video/99999").status_code == 404


def test_the_api_tells_when_a_face_is_seen(shared: Any) -> None:
    found = shared.client.get(f"/api/photos/{shared.photo('clip.mov')}").json()
    first, second = (face["video_time"] for face in found["faces"])
    assert 0 <= first < 4 <= second <= found["duration"] <= 9 and found["poster_time"] in (first, second)
    still = shared.client.get(f"/api/photos/{shared.photo('photo.png')}").json()
    assert (still["duration"], still["faces"][0]["video_time"]) == (None, None)


def test_pictures_of_a_video_and_its_faces_are_their_frames(shared: Any) -> None:
    import io

    import numpy as np
    from PIL import Image

    def mean(address: str) -> Any:
        answer = shared.client.get(address)
        assert answer.status_code == 200
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(float)

    photo_id = shared.photo("clip.mov")
    early, late = (mean(f"/pictures/photo/{photo_id}/screen.webp?at={at}") for at in (1, 6))
    red = [frame[..., 0] - frame[..., 2] > 60 for frame in (early, late)]
    assert red[0][:, :100].any() and not red[0][:, 120:].any() and red[1][:, :20].sum() == 0
    for face_id in shared.faces("clip.mov"):
        middle = mean(f"/pictures/face/{face_id}.webp")[90:130, 90:130]
        assert middle[..., 0].mean() > 200
    assert mean(f"/pictures/photo/{photo_id}/thumb.webp").shape[0] == 120


def test_the_page_shows_the_faces_of_one_frame_and_opens_the_others(shared: Any, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{shared.url}/?token={shared.token}")
    badge = page.locator(f"#photo-{shared.photo('clip.mov')} .duration")
    # Drawn by the style sheet: the link is named by its label, which says the length, too.
    assert re.fullmatch(r"0:0[78]", badge.get_attribute("data-length"))
    assert "▶" in badge.evaluate("one => getComputedStyle(one, '::before').content")
    first, second = shared.faces("clip.mov")
    for open_face, other in ((first, second), (second, first)):
        page.goto(f"{shared.url}/photo/{shared.photo('clip.mov')}?face={open_face}")
        assert page.locator(f".face[data-face='{open_face}']").is_visible()
        assert not page.locator(f".face[data-face='{other}']").is_visible()
    page.close()


def test_the_button_says_from_when_it_plays(shared: Any) -> None:
    """Also without an open face: the frame that is shown is seldom the first."""
    for name in ("clip.mov", "plays.webm"):
        found = shared.client.get(f"/api/photos/{shared.photo(name)}").json()
        shown = {f"?face={face['face_id']}": face["video_time"] for face in found["faces"]}
        for query, seconds in ({"": found["poster_time"]} | shown).items():
            page = shared.client.get(f"/photo/{found['photo_id']}{query}").text
            button = re.search(r'<button[^>]* id="play".*?</button>', page)
            assert button is not None and f'data-at="{seconds:.3f}"' in button[0]
            assert button[0].endswith(f">Play from 0:0{int(seconds)}</button>" if seconds >= 1 else ">Play</button>")


def test_the_player_begins_at_the_frame_and_a_face_is_drawn_where_it_is_paused(shared: Any, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{shared.url}/?token={shared.token}")
    photo_id = shared.photo("plays.webm")
    page.goto(f"{shared.url}/photo/{photo_id}")
    page.locator("#play").click()
    video = page.locator("#video")
    video.wait_for()
    page.wait_for_function("() => document.getElementById('video').readyState >= 2")
    page.evaluate("() => { const one = document.getElementById('video'); one.pause(); one.currentTime = 5; }")
    page.wait_for_function("() => !document.getElementById('video').seeking")
    page.locator("#draw").click()
    assert video.count() == 0
    assert abs(float(page.locator("#drawn-time").input_value()) - 5) < 0.3
    frame = page.locator("#frame").bounding_box()
    page.mouse.move(frame["x"] + 0.7 * frame["width"], frame["y"] + 0.3 * frame["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.9 * frame["width"], frame["y"] + 0.7 * frame["height"])
    page.mouse.up()
    page.locator(".face.open").wait_for()
    ((seconds,),) = shared.rows("SELECT video_time FROM v1_faces WHERE photo_id = ? AND source = 'user'", photo_id)
    assert abs(seconds - 5) < 0.3
    page.close()


def test_a_video_that_the_browser_cannot_play_says_so(shared: Any, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{shared.url}/?token={shared.token}")
    page.goto(f"{shared.url}/photo/{shared.photo('clip.mov')}")
    page.locator("#play").click()
    page.get_by_text("This browser cannot play the video").wait_for()
    assert page.locator("#picture").is_visible()
    page.close()


@pytest.mark.parametrize(
    ("language", "all_of_them", "videos"),
    [
        ("en", "1 photo and 2 videos", "2 videos"),
        ("de", "1 Foto und 2 Videos", "2 Videos"),
        ("fr", "1 photo et 2 vidéos", "2 vidéos"),
        ("es", "1 foto y 2 vídeos", "2 vídeos"),
    ],
)
def test_videos_are_not_counted_as_photos(shared: Any, language: str, all_of_them: str, videos: str) -> None:
    headers = {"Accept-Language": language}

    def said(address: str) -> str:
        return re.sub(r"\s+", " ", shared.client.get(address, headers=headers).text)

    album = shared.plugin.save_album("Summer", photos=[shared.photo("clip.mov"), shared.photo("photo.png")])
    assert f">{all_of_them}<" in said("/") and said("/count").strip() == all_of_them
    assert f">{videos}<" in said("/?q=type:video") and said("/count?q=type:video").strip() == videos
    assert said("/count?q=type:photo").strip() == all_of_them.split(" ", 2)[0] + " " + all_of_them.split(" ")[1]
    both = all_of_them.replace("2", "1").removesuffix("s")
    assert f">{both}<" in said(f"/album/{album.album_id}") and f">{both}<" in said("/albums")
    shared.plugin.remove_album(album.album_id)


@pytest.mark.parametrize(
    ("language", "tagged", "untagged", "added", "taken"),
    [
        (
            "en",
            "Tagged “Sea”: 1 photo and 1 video",
            "Not tagged “Sea” any more: 1 video",
            "Added to “Beach”: 1 photo and 1 video",
            "Taken out of “Beach”: 1 video",
        ),
        (
            "de",
            "Mit dem Schlagwort „Sea“ versehen: 1 Foto und 1 Video",
            "Nicht mehr mit dem Schlagwort „Sea“: 1 Video",
            "Zu „Beach“ hinzugefügt: 1 Foto und 1 Video",
            "Aus „Beach“ genommen: 1 Video",
        ),
    ],
)
def test_what_is_done_with_selected_videos_is_not_said_of_photos(
    shared: Any, language: str, tagged: str, untagged: str, added: str, taken: str
) -> None:
    video, photo = shared.photo("clip.mov"), shared.photo("photo.png")

    def done(photos: list[int], **form: object) -> str:
        headers = {"Accept-Language": language, "HX-Request": "true"}
        return shared.client.post("/selection", data={"photos": photos, **form}, headers=headers).text

    assert tagged in done([video, photo], what="tag", tag="Sea")
    assert untagged in done([video], what="no_tag", tag="Sea")
    assert added in done([video, photo], what="album", album="Beach")
    (album,) = (one.album_id for one in shared.plugin.albums() if one.name == "Beach")
    assert taken in done([video], what="leave", from_album=album)
    assert "video" not in done([photo], what="tag", tag="Sea")
    shared.plugin.remove_album(album)


def test_the_videos_of_a_person_are_not_counted_as_photos(shared: Any) -> None:
    video, photo = shared.photo("clip.mov"), shared.photo("photo.png")
    faces = [next(face.face_id for face in one.faces) for one in shared.plugin.photos([video, photo])]
    person = shared.plugin.split_faces(faces, "Vera").person_id
    assert "1 photo and 1 video" in shared.client.get(f"/person/{person}").text
    shared.plugin.undo()


def test_cards_of_people_and_a_tag_count_videos_apart(serve: Callable[..., Any]) -> None:
    served = serve(fill)
    plugin = served.plugin
    child = [served.faces("photo.png")[0], served.faces("clip.mov")[0]]
    woman = served.faces("clip.mov")[1]
    for face, name in ((child[0], "Ada"), (child[1], "Ada"), (woman, "Eve")):
        plugin.name_face(face, name)
    with_the_tag = (served.photo("photo.png"), served.photo("clip.mov"))
    plugin.correct(*(corrections.tag(one, "Trips/Oslo", True) for one in with_the_tag))

    def plain(path: str) -> str:
        return re.sub(r"<[^>]+>|\s+", " ", served.client.get(path).text.replace("<wbr>", ""))

    cards = plain("/people")
    assert re.search(r"Ada +1 photo and 1 video", cards) and re.search(r"Eve +1 video", cards)
    ada = served.rows("SELECT person_id FROM v1_people WHERE name = 'Ada'")[0][0]
    assert re.search(r"With whom.* Eve +1 video", plain(f"/person/{ada}"))
    assert "With the tag: 1 photo and 1 video." in plain("/tag?name=Trips/Oslo")
    assert re.search(r"Trips +Trips/Oslo +2", plain("/tags"))
    assert re.search(
        r"<option translate=\"no\" value=\"tag:(&#34;|\")Trips(&#34;|\")", served.client.get("/chips").text
    )
