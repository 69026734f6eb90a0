"""Pictures to look at: faces drawn into a photo, and sheets of what was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rollcall.errors import UnreadableError, not_written
from rollcall.records import Box, Face

_COLOURS: Final = {
    "child": (255, 176, 32),
    "female": (236, 92, 160),
    "male": (64, 156, 255),
    "unknown": (120, 220, 120),
}
_INK: Final = (255, 255, 255)


class Label(NamedTuple):
    """A box with a line of text; points are drawn as dots. All in fractions of the picture."""

    box: Box
    text: str
    colour: tuple[int, int, int]
    points: tuple[tuple[float, float], ...] = ()


def label_of(face: Face) -> Label:
    """Return what is written at a face: age, interval and gender, with how sure they are."""
    parts = []
    if face.age is not None and face.age_interval is not None:
        low, high = face.age_interval
        parts.append(f"{face.age:.0f} ({low:.0f}-{high:.0f})")
    colour = _COLOURS["unknown"]
    if face.p_female is not None:
        female = face.p_female >= 0.5
        colour = _COLOURS["female" if female else "male"]
        parts.append(f"{'female' if female else 'male'} {max(face.p_female, 1 - face.p_female):.0%}")
    child = face.p_group("children")
    if child is not None and child >= 0.5:
        colour = _COLOURS["child"]
    return Label(face.box, "  ".join(parts) or f"{face.score:.2f}", colour, face.landmarks)


def draw_faces(pixels: NDArray[np.uint8], labels: Sequence[Label], longest: int = 1600) -> Image.Image:
    """Return a picture (h, w, 3, uint8 RGB), reduced to `longest` pixels, with labels drawn in."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 500))
    for label in labels:
        x0, y0 = label.box.x * image.width, label.box.y * image.height
        x1, y1 = x0 + label.box.width * image.width, y0 + label.box.height * image.height
        draw.rectangle((x0, y0, x1, y1), outline=label.colour, width=line)
        radius = max(1.5, (x1 - x0) / 60)
        for x, y in label.points:
            centre_x, centre_y = x * image.width, y * image.height
            draw.ellipse(
                (centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius),
                fill=label.colour,
            )
        _caption(draw, image.size, (x0, y0, x1, y1), label, line)
    return image


def _caption(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    label: Label,
    line: int,
) -> None:
    font = ImageFont.load_default(float(max(12, min(28, (box[2] - box[0]) / 8, max(size) / 45))))
    left, top, right, bottom = draw.textbbox((0, 0), label.text, font=font)
    width, height = right - left + 8, bottom - top + 6
    x = min(max(box[0] - line / 2, 0), max(size[0] - width, 0))
    # Above the box where there is room, else inside it.
    y = box[1] - height if box[1] >= height else box[1] + line
    draw.rectangle((x, y, x + width, y + height), fill=label.colour)
    dark = sum(label.colour) > 420
    draw.text((x + 4 - left, y + 3 - top), label.text, fill=(20, 20, 20) if dark else _INK, font=font)


class Tile(NamedTuple):
    """A picture of a contact sheet, with a line below it."""

    pixels: NDArray[np.uint8]
    labels: tuple[Label, ...]
    caption: str


def contact_sheet(tiles: Sequence[Tile], columns: int = 4, side: int = 320) -> Image.Image:
    """Return one picture of many, in rows of `columns`, each in a square of `side` pixels."""
    columns = max(1, min(columns, len(tiles)))
    rows = max(1, -(-len(tiles) // columns))
    below, gap = 26, 8
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + below + gap) + gap), (24, 26, 30))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15.0)
    for index, tile in enumerate(tiles):
        x = gap + index % columns * (side + gap)
        y = gap + index // columns * (side + below + gap)
        image = draw_faces(tile.pixels, tile.labels, side)
        sheet.paste(image, (x + (side - image.width) // 2, y + (side - image.height) // 2))
        text = tile.caption
        while text and draw.textlength(text, font=font) > side:
            text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
        draw.text((x + 2, y + side + 4), text, fill=(220, 222, 226), font=font)
    return sheet


def save(image: Image.Image, path: Path) -> None:
    """Write a picture; the suffix says the format.

    Raises
    ------
    UnreadableError
        If it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(image, path)
    except (OSError, ValueError) as error:
        advice = "name a file ending in .png or .jpg in a folder that may be written"
        raise UnreadableError(path, f"the picture {not_written(error, advice)}") from error


def _save(image: Image.Image, path: Path) -> None:
    Image.init()
    kind = Image.EXTENSION.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"unknown file extension: {path.suffix}")
    # Faces with their ages are for their owner alone.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:  # noqa: PTH123 (the mode)
        try:
            image.save(out, kind, quality=90)
            out.flush()
        except BaseException:
            # Half a picture would hold the room that is missing.
            with suppress(OSError):
                path.unlink()
            raise
