"""Each page is laid out as it was when somebody looked at it last.

A page is compared with a small picture in `appearance/`: grey, a fifth of its size, so that a line of text is a bar and
a letter is nothing. Fonts differ from machine to machine and would move everything below a line that breaks elsewhere,
so the page is shown in one font that a package brings along. After a change that is meant, and looked at:
`ROLLCALL_APPEARANCE=write pytest -n0 tests/web/test_appearance.py`.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

KEPT = Path(__file__).with_name("appearance")
#: The pages by the names of their pictures.
PAGES = {
    "library": "/",
    "results": "/?q=kids",
    "not-understood": "/?q=two+dogs",
    "photo": "/photo/{photo}",
    "face": "/photo/{photo}?face={face}",
    "review": "/review",
    "similar": "/review/alike/{face}?group=children",
    "people": "/people",
    "tags": "/tags",
    "tag": "/tag?name=People/Children&above=0.3",
    "statistics": "/insight",
    "albums": "/albums",
    "album": "/album/{album}",
    "sharing": "/sharing",
    "not-there": "/nothing",
}
SIZES = {"wide": (1200, 800), "phone": (390, 800)}
SCALE = 5
#: How much a picture may differ on the average, of 255, and how much in any square of `SQUARE` points a side.
MEAN, WORST, SQUARE = 4.0, 40.0, 12
FONT = """(data) => document.fonts.add(new FontFace("Kept", Uint8Array.from(atob(data), (one) => one.charCodeAt(0))))"""
STYLE = "* { font-family: Kept !important; caret-color: transparent !important; transition: none !important; } #scrubber, .toasts { display: none; }"  # noqa: E501


def font() -> str:
    """Return the font that the pages are compared in."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        pytest.skip("matplotlib, whose font the pages are compared in, is not installed")
    file = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return base64.b64encode(file.read_bytes()).decode()


@pytest.fixture(scope="module")
def page(chromium: Any, shared: Any) -> Iterator[Any]:
    """Return a page that may be given a font, which its own policy forbids."""
    context = chromium.new_context(bypass_csp=True, reduced_motion="reduce", color_scheme="light")
    made = context.new_page()
    made.goto(f"{shared.url}/?token={shared.token}")
    yield made
    context.close()


def seen(page: Any, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a page as it is shown, grey from 0 to 255, a fifth of its size."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    with Image.open(io.BytesIO(page.screenshot())) as image:
        small = image.convert("L").resize((size[0] // SCALE, size[1] // SCALE), Image.Resampling.BOX)
    return np.asarray(small, np.float64)


def difference(now: Any, before: Any) -> tuple[float, float]:
    """Return the mean difference of two pictures, and that of the square that differs most."""
    if now.shape != before.shape:
        return 255.0, 255.0
    apart = now - before
    height, width = (side // SQUARE * SQUARE for side in apart.shape)
    squares = apart[:height, :width].reshape(height // SQUARE, SQUARE, width // SQUARE, SQUARE).mean((1, 3))
    return float(np.abs(apart).mean()), float(np.abs(squares).max())


def test_each_page_looks_as_it_did(page: Any, shared: Any) -> None:
    (face, *_), photo, data = shared.faces("family.png"), shared.photo("family.png"), font()
    album = shared.plugin.save_album("Summer", "kids", photos=[photo]).album_id
    writing, wrong = os.environ.get("ROLLCALL_APPEARANCE") == "write", []
    for name, path in PAGES.items():
        page.set_viewport_size({"width": 1200, "height": 800})
        page.goto(shared.url + path.format(photo=photo, face=face, album=album))
        page.evaluate(FONT, data)
        page.add_style_tag(content=STYLE)
        page.wait_for_load_state("networkidle")
        for kind, size in SIZES.items():
            now, file = seen(page, size), KEPT / f"{name}-{kind}.png"
            if writing:
                KEPT.mkdir(exist_ok=True)
                Image.fromarray(np.round(now).astype(np.uint8)).quantize(24).save(file, optimize=True)
                continue
            with Image.open(file) as image:
                before = np.asarray(image.convert("L"), np.float64)
            mean, worst = difference(now, before)
            if mean > MEAN or worst > WORST:
                wrong.append(f"{file.name}: {mean:.1f} on the average, {worst:.0f} in one square")
    assert not wrong, "\n".join(wrong)
    assert writing or sorted(path.stem for path in KEPT.glob("*.png")) == sorted(
        f"{name}-{kind}" for name in PAGES for kind in SIZES
    )


@pytest.mark.parametrize(
    "change",
    [
        "document.querySelector('h1').remove()",
        "document.querySelector('main').style.marginLeft = '40px'",
        "document.querySelector('.bar').style.flexDirection = 'column'",
        "document.querySelector('button.primary').style.width = '300px'",
        "document.body.style.fontSize = '19px'",
    ],
)
def test_a_change_that_people_would_notice_is_noticed(page: Any, shared: Any, change: str) -> None:
    page.set_viewport_size({"width": 1200, "height": 800})
    page.goto(f"{shared.url}/indexing")
    page.wait_for_load_state("networkidle")
    before = seen(page, SIZES["wide"])
    assert difference(seen(page, SIZES["wide"]), before) == (0.0, 0.0)
    page.evaluate(change)
    mean, worst = difference(seen(page, SIZES["wide"]), before)
    assert mean > MEAN or worst > WORST


def test_pictures_of_pages_are_small() -> None:
    assert all(path.stat().st_size < 20_000 for path in KEPT.glob("*.png"))
