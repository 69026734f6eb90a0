"""What a browser shows whole is shown whole; of what is cut off, what is there is shown, with a warning."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damaged import CUT, WHOLE, shown_whole
from drawn import FORMATS, difference, encoded, need, quarters
from rollcall.errors import NotAPictureError
from rollcall.media import decode

FILES = shown_whole()
#: How far from what was drawn colours of few bits and lossy encoders may be (mean, of 255).
TOLERANCE = 6.0

DRAW = """async (url) => {
    const image = new Image(); image.src = url;
    const loaded = await new Promise(done => { image.onload = () => done(true); image.onerror = () => done(false) });
    if (!loaded) return null;
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    return [canvas.width, canvas.height, Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data)];
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    where = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if where is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def written(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / f"a.{name.split(maxsplit=1)[0].lower()}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", FILES)
def test_damage_that_hides_nothing_costs_nothing(name: str, tmp_path: Path) -> None:
    if name.startswith("AVIF"):
        need("AVIF")
    picture = decode.decode(written(tmp_path, name, FILES[name]))
    assert difference(picture.pixels, WHOLE) <= (16 if name.startswith("GIF") else TOLERANCE)
    if not name.startswith("JPEG progressive"):  # there nobody knows what is missing
        assert picture.warnings == ()


@pytest.mark.parametrize("name", FILES)
def test_what_chromium_shows_whole_is_shown_whole(name: str, tmp_path: Path, page: Any) -> None:
    kind = name.split(maxsplit=1)[0].lower()
    found = page.evaluate(DRAW, f"data:image/{kind};base64,{base64.b64encode(FILES[name]).decode()}")
    if found is None:
        return  # more lenient than a browser is not forbidden
    shown = np.array(found[2], np.uint8).reshape(found[1], found[0], 4)[..., :3]
    ours = decode.decode(written(tmp_path, name, FILES[name])).pixels
    assert difference(ours, WHOLE) <= difference(shown, WHOLE) + 1


@pytest.mark.parametrize("name", CUT)
def test_of_a_picture_that_was_cut_off_the_first_rows_are_shown(name: str, tmp_path: Path) -> None:
    picture = decode.decode(written(tmp_path, "PNG", CUT[name]()))
    assert (picture.width, picture.height) == (160, 96)
    assert len(picture.warnings) == 1
    assert "\n" not in picture.warnings[0]
    rows = slice(96 - 24, 96) if name == "BMP" else slice(0, 24)  # it is stored from below
    assert difference(picture.pixels[rows], WHOLE[rows]) <= 30


@pytest.mark.parametrize("format_name", ["HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.6, 0.95])
def test_of_a_heic_or_avif_that_was_cut_off_the_first_rows_are_shown(
    format_name: str, share: float, tmp_path: Path
) -> None:
    need(format_name)
    noise = np.random.default_rng(0).integers(0, 40, (256, 320, 3), np.uint8)
    pixels = quarters(320, 256) // 2 + noise
    data = encoded(pixels, format_name)
    picture = decode.decode(written(tmp_path, format_name, data[: int(len(data) * share)]))
    assert picture.warnings == ("the file ends early; parts of the picture are missing",)
    assert difference(picture.pixels[:64], pixels[:64]) <= 12


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "TIFF"])
def test_a_picture_of_which_nothing_is_there_is_none(name: str, tmp_path: Path) -> None:
    whole = encoded(WHOLE, name)
    with pytest.raises(NotAPictureError, match="damaged and cannot be shown|truncated before the picture begins"):
        decode.decode(written(tmp_path, name, whole[:60]))


@pytest.mark.parametrize("suffix", [".nef", ".cr2", ".dng", ".arw", ".raf", ".heic", ".jxl"])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_the_name_of_another_format_is_shown(format_name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(WHOLE, format_name))
    picture = decode.decode(path)
    assert difference(picture.pixels, WHOLE) <= FORMATS[format_name][1]
    assert picture.warnings == ()


@pytest.mark.parametrize(
    "options",
    [
        {"bigtiff": True},
        {"bigtiff": True, "byteorder": ">"},
        {"tile": (32, 48)},
        {"bigtiff": True, "compression": "zlib"},
    ],
)
def test_tiffs_of_every_layout_are_shown(options: dict[str, Any], tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, WHOLE, photometric="rgb", **options)
    picture = decode.decode(path)
    assert difference(picture.pixels, WHOLE) == 0
    assert picture.warnings == ()
