"""Large HEIC and AVIF pictures in tiles are decoded a row of tiles at a time, which makes the same pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, need
from rollcall.media import boxes, conversion, decoders, estimates, heif_tiles
from rollcall.media.formats import Format
from rollcall.media.heif_tiles import _box as box
from rollcall.media.job import Decoded, Job, Refused

SIDE, COLUMNS, ROWS, WIDTH, HEIGHT = 64, 5, 3, 300, 180
Properties = tuple[tuple[bytes, bytes], ...]
BRANDS = {Format.HEIF: b"heic", Format.AVIF: b"avif"}
#: As the transparency of item 1, and as its depth.
TRANSPARENCY, DEPTH = b"urn:mpeg:hevc:2015:auxid:1\0", b"urn:mpeg:hevc:2015:auxid:2\0"


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif_tiles, "_LEAST_PIXELS", 1)
    # Strips of which the bounds lie within tiles.
    monkeypatch.setattr(conversion, "BLOCK", WIDTH * 21)


def colours() -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((COLUMNS * SIDE, ROWS * SIDE), Image.Resampling.BICUBIC))


def tile(pixels: np.ndarray, kind: Format, bits: int) -> bytes:
    """Return a tile as a file of its own."""
    if bits == 8:
        return encoded(Image.fromarray(pixels), kind.name)
    import pillow_heif

    file = io.BytesIO()
    deep = pixels.astype(np.uint16) * 257
    pillow_heif.from_bytes(mode="RGB;16", size=(SIDE, SIDE), data=deep.tobytes()).save(file)
    return file.getvalue()


def grid(kind: Format = Format.HEIF, bits: int = 8, more: Properties = (), beside: bytes = b"") -> bytes:
    """Return a file of tiles; `more` are properties of the whole, `beside` is what another picture says to be."""
    need(kind.name)
    pixels = colours()
    files = [
        tile(pixels[y * SIDE : y * SIDE + SIDE, x * SIDE : x * SIDE + SIDE], kind, bits)
        for y in range(ROWS)
        for x in range(COLUMNS)
    ]
    found = [boxes.main_item(one) for one in files]
    packed = [one[item.offset :][: item.length] for one, item in zip(files, found, strict=True) if item is not None]
    parts = {one.kind: one for one in boxes.walk(files[0], boxes.first(files[0], b"meta").start + 4)}  # type: ignore[union-attr]
    of_tiles = boxes._all_properties(files[0], parts[b"iprp"])[boxes._primary(files[0], parts[b"pitm"])]
    shared = tuple(one for one in of_tiles if one[0] in (b"pixi", b"colr"))
    of_whole: Properties = ((b"ispe", struct.pack(">III", 0, WIDTH, HEIGHT)), *shared, *more)
    known = [*of_tiles, *of_whole, (b"auxC", bytes(4) + (beside or DEPTH))]
    count, main = len(files), len(files) + 1
    kinds = [*[next(item.kind for item in found if item is not None)] * count, b"grid"]
    essential = (b"hvcC", b"av1C", b"irot", b"imir")

    def associated(item: int, first: int, last: int) -> bytes:
        numbers = bytes(n + 1 | 0x80 * (known[n][0] in essential) for n in range(first, last))
        return struct.pack(">HB", item, last - first) + numbers

    behind = len(of_tiles)
    ipma = b"".join(associated(one + 1, 0, behind) for one in range(count))
    ipma += associated(main, behind, len(known) - 1)
    iref = box(b"dimg", struct.pack(f">HH{count}H", main, count, *range(1, main)))
    if beside:
        # The first tile plays its part.
        ipma = associated(1, 0, behind)[:2] + bytes([behind + 1]) + associated(1, 0, behind)[3:]
        ipma += bytes([len(known)])
        ipma += b"".join(associated(one + 1, 0, behind) for one in range(1, count))
        ipma += associated(main, behind, len(known) - 1)
        iref += box(b"auxl", struct.pack(">HHH", 1, 1, main))
    size = bytes([0, 0, ROWS - 1, COLUMNS - 1]) + struct.pack(">HH", WIDTH, HEIGHT)
    items = b"".join(
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", one, 0), name, b"\0") for one, name in enumerate(kinds, start=1)
    )
    ftyp = box(b"ftyp", BRANDS[kind], bytes(4), b"mif1", BRANDS[kind], b"miaf")

    def meta(start: int) -> bytes:
        places = b""
        for number, part in enumerate(packed, start=1):
            places += struct.pack(">HHHHII", number, 0, 0, 1, start, len(part))
            start += len(part)
        places += struct.pack(">HHHHII", main, 1, 0, 1, 0, len(size))
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", main)),
            box(b"iinf", bytes(4), struct.pack(">H", main), items),
            box(b"iref", bytes(4), iref),
            box(
                b"iprp",
                box(b"ipco", *(box(*one) for one in known)),
                box(b"ipma", bytes(4), struct.pack(">I", main), ipma),
            ),
            box(b"idat", size),
            box(b"iloc", b"\1\0\0\0", struct.pack(">HH", 0x4400, main), places),
        )

    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + box(b"mdat", *packed)


def whole(job: Job) -> Decoded:
    others = [one for one in decoders._STRICT[job.kind] if one is not heif_tiles.decode]
    return others[-1](job) if job.kind is Format.HEIF else others[1](job)


@pytest.mark.parametrize("target", [None, 75])
@pytest.mark.parametrize(("kind", "bits"), [(Format.HEIF, 8), (Format.HEIF, 10), (Format.AVIF, 8)])
def test_the_pixels_are_those_of_the_whole(kind: Format, bits: int, target: int | None) -> None:
    job = Job(kind, grid(kind, bits), target)
    found, expected = heif_tiles.decode(job), whole(job)
    assert (found.width, found.height) == (expected.width, expected.height) == (WIDTH, HEIGHT)
    assert found.pixels.shape == expected.pixels.shape
    # At the edges of tiles colours that several pixels share are not interpolated with those of the next.
    difference = np.abs(found.pixels.astype(int) - expected.pixels)
    assert difference.max() <= (0 if kind is Format.HEIF else 8)
    assert difference.mean() < 0.2


@pytest.mark.parametrize("kind", [Format.HEIF, Format.AVIF])
@pytest.mark.parametrize(
    "turns", [((b"irot", b"\1"),), ((b"imir", b"\1"),), ((b"irot", b"\3"), (b"imir", b"\0"))], ids=["1", "m", "3m"]
)
def test_they_are_turned_as_the_container_demands(kind: Format, turns: Properties) -> None:
    job = Job(kind, grid(kind, more=turns))
    found, expected = heif_tiles.decode(job), whole(job)
    assert (found.width, found.height) == (expected.width, expected.height)
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 8


def test_a_picture_is_made_smaller_on_the_way() -> None:
    assert 140 <= max(heif_tiles.decode(Job(Format.HEIF, grid(), 150, most=170)).pixels.shape) <= 170


def test_rows_of_tiles_count_towards_the_memory() -> None:
    data = grid()
    found = heif_tiles.find(data, 75)
    assert found is not None and found.needed > COLUMNS * SIDE * SIDE * 3
    needed = estimates.of_library(Format.HEIF, estimates.size(Format.HEIF, data), data, 75)
    assert needed == found.needed + estimates.of_strips(estimates.Size(WIDTH, HEIGHT), data, 75, None)


def test_a_map_of_depth_is_no_transparency() -> None:
    assert heif_tiles.find(grid(beside=DEPTH), None) is not None
    assert heif_tiles.find(grid(beside=TRANSPARENCY), None) is None


def test_what_is_cropped_or_cut_off_or_no_grid_is_decoded_whole() -> None:
    data = grid()
    cropped = grid(more=((b"clap", struct.pack(">8I", 100, 1, 100, 1, 0, 1, 0, 1)),))
    for other in (cropped, data[:-10], encoded(Image.fromarray(colours()), "HEIF"), b""):
        with pytest.raises(Refused):
            heif_tiles.decode(Job(Format.HEIF, other))


def test_a_damaged_tile_leaves_the_picture_to_the_other_decoders() -> None:
    data = grid()
    found = boxes.grid(data)
    assert found is not None
    one = found.tiles[7]
    damaged = data[: one.offset] + bytes(one.length) + data[one.offset + one.length :]
    with pytest.raises(Refused):
        heif_tiles.decode(Job(Format.HEIF, damaged))
