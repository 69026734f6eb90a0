"""The page's small pictures: made once, few at a time, for those who wait, and fetched again only when they changed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import full_disk
from blobs import draw
from rollcall.media import decode
from rollcall.web import picture_jobs, pictures
from rollcall.web.picture_jobs import PictureJobs


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the files that the page decodes, as it does."""
    found: list[Path] = []
    real = decode.decode

    def recorded(path: Path, **values: Any) -> Any:
        found.append(path)
        time.sleep(0.2)  # long enough for all requests to come
        return real(path, **values)

    monkeypatch.setattr(pictures.decode, "decode", recorded)
    return found


def one_photo(folder: Path) -> None:
    draw(folder / "crowd.png", (30, 0), (31, 255), (32, 0), (33, 255), seed=2)


def test_a_picture_that_many_ask_for_is_decoded_once(serve: Callable, decoded: list[Path]) -> None:
    served = serve(one_photo)
    address = f"/pictures/photo/{served.photo('crowd.png')}/screen.webp"
    del decoded[:]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: served.client.get(address).content, range(12)))
    assert len(decoded) == 1
    assert len(set(answers)) == 1 and answers[0][8:12] == b"WEBP"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no measure of memory here")
def test_an_enlarged_photo_is_packed_with_nothing_held_beside_its_pixels() -> None:
    program = """
import re, numpy as np
from pathlib import Path
from rollcall.records import Picture
from rollcall.web import pictures

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

pixels = np.zeros((5000, 6000, 3), np.uint8)
pixels[...] = (200, 100, 50)
before = peak()
data = pictures._jpeg(Picture(Path("a"), pixels, 6000, 5000, 1, "", None))
print(peak() - before)
import cv2
print(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[9, 9].tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    taken, colour = done.stdout.splitlines()
    assert int(taken) < 60 << 20  # Pillow's WebP takes 300 MB
    assert np.abs(np.array(json.loads(colour)) - (50, 100, 200)).max() <= 2


def test_an_enlarged_photo_is_a_jpeg_of_its_pixels(serve: Callable) -> None:
    served = serve(one_photo)
    number = served.photo("crowd.png")
    answer = served.client.get(f"/pictures/photo/{number}/large.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as found, Image.open(served.library / "crowd.png") as photo:
        assert (found.format, found.size) == ("JPEG", photo.size)
        differ = np.asarray(found.convert("RGB"), int) - np.asarray(photo.convert("RGB"), int)
    assert np.abs(differ).mean() < 4
    assert f"/pictures/photo/{number}/large.jpg" in served.client.get(f"/photo/{number}").text


def test_a_picture_that_was_made_since_it_was_asked_for_is_not_decoded_again(
    serve: Callable, decoded: list[Path]
) -> None:
    served = serve(one_photo)
    source = pictures.Pictures(served.plugin)
    wanted = [source.photo(served.photo("crowd.png"), "screen"), source.face(served.faces("crowd.png")[0])]
    del decoded[:]
    for one in wanted:
        assert one.make(threading.Event()) == one.make(threading.Event()) == one.stored()
    assert len(decoded) == 2


def test_all_faces_of_a_photo_are_cut_out_of_one_decoding(serve: Callable, decoded: list[Path]) -> None:
    served = serve(one_photo)
    faces = served.faces("crowd.png")
    del decoded[:]
    for face in faces:
        assert served.client.get(f"/pictures/face/{face}.webp").status_code == 200
    assert len(decoded) == 1


def test_what_an_index_run_decoded_needs_no_decoding_for_its_thumbnail(serve: Callable, decoded: list[Path]) -> None:
    served = serve()  # the run of the fixture precedes the page
    draw(served.library / "new.png", (30, 0), seed=77)
    served.plugin.index([served.library])
    del decoded[:]
    assert served.client.get(f"/pictures/photo/{served.photo('new.png')}/thumb.webp").status_code == 200
    assert decoded == []


def test_few_pictures_are_made_at_a_time_and_the_newest_request_goes_first() -> None:
    jobs = PictureJobs(threads=1)
    order: list[int] = []
    first = threading.Event()

    def make(number: int) -> bytes:
        order.append(number)
        first.wait(60)
        return b"%d" % number

    async def ask() -> list[bytes | None]:
        async def here() -> bool:
            return False

        waiting = [asyncio.create_task(jobs.result(n, lambda _, n=n: make(n), here)) for n in range(3)]
        while not order:
            await asyncio.sleep(0.01)
        first.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == [b"0", b"1", b"2"]
    assert order in ([2, 1, 0], [0, 2, 1], [1, 2, 0])  # the first may begin before the others come
    jobs.close()


def test_what_nobody_waits_for_any_more_is_given_up_and_asked_for_again_it_begins_anew() -> None:
    jobs = PictureJobs(threads=1)
    begun, ended = threading.Event(), threading.Event()

    def never(abandoned: threading.Event) -> bytes:
        begun.set()
        assert abandoned.wait(60)
        ended.set()
        raise picture_jobs.worker.Interrupted

    async def ask() -> tuple[bytes | None, bytes | None]:
        async def gone() -> bool:
            return begun.is_set()

        first = await jobs.result("photo", never, gone)
        return first, await jobs.result("photo", lambda _: b"picture", gone)

    assert asyncio.run(ask()) == (None, b"picture")
    assert ended.is_set()
    jobs.close()


def test_a_decoding_in_another_process_is_ended_when_it_is_abandoned(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    # Of a format that is decoded in another process, and large enough to take a while.
    pixels = np.random.default_rng(0).integers(0, 255, (3000, 3000, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.jp2", quality_layers=[1])
    abandoned = threading.Event()

    def before(_needed: int) -> None:
        abandoned.set()
        decode.interrupt(abandoned)

    with pytest.raises(picture_jobs.worker.Interrupted):
        decode.decode(tmp_path / "large.jp2", before=before, abandoned=abandoned)
    assert decode.decode(tmp_path / "large.jp2", target=100).width == 3000


def test_a_full_disk_keeps_no_picture_from_being_shown_and_nothing_half_written_stays(
    serve: Any, tmp_path: Path
) -> None:
    with full_disk.small_disk(tmp_path / "disk") as disk:
        served = serve(**{"cache.folder": str(disk)})
        photo, (face,) = served.photo("child.png"), served.faces("child.png")
        with full_disk.full(disk):
            for address in (f"photo/{photo}/screen", f"face/{face}"):
                answer = served.client.get(f"/pictures/{address}.webp")
                assert (answer.status_code, answer.content[8:12]) == (200, b"WEBP")
            assert not list(disk.rglob("*.part"))


def test_a_picture_is_not_sent_again_to_a_browser_that_has_it(shared: Any) -> None:
    text = shared.client.get("/").text
    for address in re.findall(r'src="(/pictures/[^"]+)"', text)[:3]:
        first = shared.client.get(address)
        assert "?v=" in address and "immutable" in first.headers["cache-control"]
        again = shared.client.get(address.partition("?")[0], headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_file_of_the_page_is_asked_for_again_and_not_sent_again(shared: Any) -> None:
    first = shared.client.get("/static/app.js")
    assert "no-cache" in first.headers["cache-control"]
    again = shared.client.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    # Pages name it by its version, and browsers do not ask again.
    versioned = re.findall(r'(?:src|href)="[^"]*(/static/[^"]+[?]v=[^"]+)"', shared.client.get("/").text)
    assert len(versioned) > 10
    assert all("immutable" in shared.client.get(one).headers["cache-control"] for one in versioned)
    for page in ("/", "/static/nothing.js", "/static/nothing.js?v=1"):
        assert shared.client.get(page).headers["cache-control"] == "no-store"


def test_the_address_of_a_picture_changes_with_its_content(served: Any) -> None:
    photo = served.photo("child.png")
    pattern = rf"/pictures/photo/{photo}/thumb.webp\?v=\w+"
    (before,) = re.findall(pattern, served.client.get("/").text)
    draw(served.library / "child.png", (8, 0), seed=9)
    served.plugin.index([served.library])
    (after,) = re.findall(pattern, served.client.get("/").text)
    assert before != after


def test_faces_on_all_pages_are_kept_by_browsers_as_what_they_show_and_as_nothing_else(served: Any) -> None:
    photo, (face,) = served.photo("child.png"), served.faces("child.png")
    person = served.plugin.name_face(face, "Anna").person_id
    paths = (f"/photo/{photo}", "/people", f"/person/{person}", f"/review/alike/{face}?group=children")

    def addresses() -> set[str]:
        pages = [served.client.get(path).text for path in paths]
        assert all("/pictures/face/" in page for page in pages)
        assert not re.findall(r'/pictures/face/\d+\.webp"', "".join(pages))
        return set(re.findall(rf"/pictures/face/{face}\.webp\?v=\w+", "".join(pages)))

    def kept(address: str) -> bool:
        return "immutable" in served.client.get(address).headers["cache-control"]

    (before,) = addresses()
    assert kept(before)
    served.client.post(f"/photo/{photo}/say", data={"what": "move", "face": face, "box": "0.1,0.1,0.3,0.3"})
    (after,) = addresses()
    assert after != before and kept(after)
    # What is undone shows the former box again, under its former address.
    assert not kept(before)


def test_a_photo_that_was_changed_since_its_analysis_lends_its_copy_nothing_and_shows_no_faces_of_the_one_before(
    serve: Callable,
) -> None:
    def twins(folder: Path) -> None:
        shutil.copy(draw(folder / "one.png", (30, 0), (31, 255), seed=2), folder / "twin.png")
        draw(folder / "touched.png", (40, 0), seed=4)

    served = serve(twins)
    one, twin, touched = (served.photo(f"{name}.png") for name in ("one", "twin", "touched"))
    draw(served.library / "one.png", (60, 255), (61, 0), (62, 0), seed=8)
    os.utime(served.library / "touched.png", (9, 9))
    found = dict(re.findall(r"/photo/(\d+)/thumb.webp\?v=(\w+)", served.client.get("/").text))
    changed, other = (
        served.client.get(f"/pictures/photo/{number}/screen.webp?v={found[str(number)]}") for number in (one, twin)
    )
    assert changed.content != other.content
    assert "immutable" not in changed.headers["cache-control"] and "immutable" in other.headers["cache-control"]
    same = served.client.get(f"/pictures/photo/{touched}/screen.webp?v={found[str(touched)]}")
    assert "immutable" in same.headers["cache-control"]
    refused = served.client.get(f"/pictures/face/{served.faces('one.png')[0]}.webp")
    assert refused.status_code == 404 and "replaced" in refused.json()["detail"]
    assert served.client.get(f"/pictures/face/{served.faces('twin.png')[0]}.webp").status_code == 200


def test_a_picture_that_cannot_be_shown_says_why(serve: Callable, tmp_path: Path) -> None:
    served = serve()
    address = f"/pictures/photo/{served.photo('child.png')}/screen.webp"
    (served.library / "child.png").rename(tmp_path / "elsewhere.png")
    assert "deleted or moved" in served.client.get(address).json()["detail"]
    assert "deleted or moved" in served.client.get(f"/photo/{served.photo('child.png')}").text
    (served.library / "child.png").symlink_to(tmp_path / "elsewhere.png")
    assert "leads out of the library" in served.client.get(address).json()["detail"]
    (served.library / "year").rename(tmp_path / "stick")
    inside = served.client.get(f"/pictures/photo/{served.photo('woman.png')}/screen.webp").json()["detail"]
    assert inside.startswith("the folder year is not there at present: plug in its disk")
    served.library.rename(tmp_path / "unplugged")
    assert "the folder photos is not there at present" in served.client.get(address).json()["detail"]


def test_database_and_thumbnails_are_for_their_owner_alone(served: Any) -> None:
    served.client.get(f"/pictures/photo/{served.photo('child.png')}/thumb.webp")
    files = [*served.file.parent.glob("*"), *served.plugin.settings.thumbnail_folder.rglob("*.webp")]
    folders = [served.file.parent, served.plugin.settings.thumbnail_folder]
    folders += [one for one in served.plugin.settings.thumbnail_folder.rglob("*") if one.is_dir()]
    assert f"{served.file}.lock" in map(str, files)
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in folders} == {0o700}


def test_a_remote_photo_is_fetched_once_and_one_that_was_replaced_is_not_shown_with_the_faces_of_the_one_before(
    serve: Callable, tmp_path: Path
) -> None:
    system = pytest.importorskip("fsspec").filesystem("memory")
    served = serve(lambda folder: draw(folder / "here.png", (20, 0)))
    for name, ages in (("there.png", (30, 31)), ("replaced.png", (50, 51))):
        content = draw(tmp_path / name, *((age, 0) for age in ages), seed=ages[0]).read_bytes()
        system.pipe_file(f"/shown/photos/{name}", content)
    served.plugin.index("memory://shown/photos")
    before = [
        [f"/pictures/photo/{served.photo(name)}/screen.webp"]
        + [f"/pictures/face/{face}.webp" for face in served.faces(name)]
        for name in ("there.png", "replaced.png")
    ]
    assert [len(addresses) for addresses in before] == [3, 3]
    # The faces are made of the copy that the whole photo was fetched into.
    assert served.client.get(before[0][0]).content[8:12] == b"WEBP"
    system.rm_file("/shown/photos/there.png")
    for address in before[0]:
        assert served.client.get(address).content[8:12] == b"WEBP"
    system.pipe_file("/shown/photos/replaced.png", (tmp_path / "there.png").read_bytes())
    for address in before[1]:
        assert served.client.get(address).status_code >= 400
    (copy,) = (served.plugin.settings.thumbnail_folder / "originals").iterdir()
    served.plugin.forget("memory://shown/photos")
    assert not copy.exists()
    system.rm("/shown", recursive=True)
