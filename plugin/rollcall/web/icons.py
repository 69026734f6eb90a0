"""The icon as PNG, which phones ask for where they take no SVG: drawn from the SVG when it is first asked for."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from PIL import Image, ImageDraw

router = APIRouter()
Size = Literal["180", "192", "512"]
_SVG: Final = Path(__file__).parent / "static" / "icon.svg"
_PAPER: Final = "#fbfaf7"
#: How much of the side the drawing takes: launchers cut icons to circles, and what lies within 80 % of them stays.
_SHARE: Final = 0.68
_FINER: Final = 4  # drawn so many times larger, and reduced
_STEPS: Final = 400
Point = tuple[float, float]


@router.get("/static/icon-{size}.png", response_class=Response)
def icon(size: Size) -> Response:
    """Return the icon as PNG, opaque, of a side in pixels."""
    return Response(drawn(int(size)), media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


@cache
def drawn(side: int) -> bytes:
    """Return the icon as PNG on the page's colour, `side` pixels wide and high."""
    svg = _SVG.read_text()
    (units, width) = (float(_attribute(svg, name).split()[-1]) for name in ("viewBox", "stroke-width"))
    large = side * _FINER
    scale = _SHARE * large / units
    image = Image.new("RGB", (large, large), _PAPER)
    draw, reach = ImageDraw.Draw(image), width * scale / 2
    # A line with round ends is a disc at each of its points.
    for x, y in _points(svg):
        left, top = ((one - units / 2) * scale + large / 2 for one in (x, y))
        draw.ellipse((left - reach, top - reach, left + reach, top + reach), fill=_attribute(svg, "stroke"))
    buffer = io.BytesIO()
    image.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _attribute(svg: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]+)"', svg)
    assert found is not None, name
    return found[1]


def _points(svg: str) -> Iterator[Point]:
    """Yield points of the icon's lines: a circle, and a path of cubic Bézier curves relative to where each begins."""
    x, y, radius = (float(_attribute(svg, name)) for name in ("cx", "cy", "r"))
    for step in range(_STEPS):
        angle = 2 * math.pi * step / _STEPS
        yield x + radius * math.cos(angle), y + radius * math.sin(angle)
    commands: list[Any] = re.findall(r"([Mcs])([^A-Za-z]*)", _attribute(svg, "d"))
    at = before = (0.0, 0.0)
    for letter, text in commands:
        values = [float(one) for one in re.findall(r"-?[\d.]+", text)]
        points = list(zip(values[::2], values[1::2], strict=True))
        if letter == "M":
            at = before = points[0]
            continue
        controls = [(at[0] + dx, at[1] + dy) for dx, dy in points]
        if letter == "s":
            # The first control point mirrors the last one of the curve before.
            controls.insert(0, (2 * at[0] - before[0], 2 * at[1] - before[1]))
        yield from _curve(at, *controls)
        before, at = controls[-2:]


def _curve(*controls: Point) -> Iterator[Point]:
    for step in range(_STEPS + 1):
        t = step / _STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        yield (
            sum(weight * x for weight, (x, _) in zip(weights, controls, strict=True)),
            sum(weight * y for weight, (_, y) in zip(weights, controls, strict=True)),
        )
