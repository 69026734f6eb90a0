"""Large TIFF, BMP and PPM files are decoded in portions, which makes the same pixels as decoding the whole."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from rollcall.media import (
    bmp,
    conversion,
    decoders,
    estimates,
    exif,
    libtiff,
    pillow_formats,
    plain_rows,
    pnm,
    tiff,
    tiff_strips,
)
from rollcall.media.formats import Format
from rollcall.media.job import Job, Refused
from rollcall.media.orientation import upright

HEIGHT, WIDTH = 203, 157
RNG = np.random.default_rng(3)
COLOURS = np.repeat(np.repeat(RNG.integers(0, 256, (30, 20, 3), np.uint8), 7, 0), 8, 1)[:HEIGHT, :WIDTH]
TARGETS = (None, 101, 50, 20)
#: Of tags: the mode, how it is packed, and other tags.
KINDS = {
    "plain": ("RGB", "raw", {278: 10}),
    "one strip": ("RGB", "raw", {278: 1000}),
    "grey": ("L", "raw", {278: 7}),
    "deflate": ("RGB", "tiff_adobe_deflate", {278: 10, 317: 2}),
    "lzw": ("RGB", "tiff_lzw", {278: 13}),
    "packbits": ("RGB", "packbits", {278: 9}),
    "jpeg": ("RGB", "jpeg", {278: 16}),
    "jpeg with coarse colours": ("YCbCr", "jpeg", {278: 16}),
    "palette": ("P", "tiff_lzw", {278: 10}),
    "transparent": ("RGBA", "tiff_lzw", {278: 10}),
    "inks": ("CMYK", "tiff_lzw", {278: 10}),
    "colours of CIE": ("LAB", "tiff_lzw", {278: 10}),
    "zstandard": ("RGB", "zstd", {278: 10}),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small pictures taken for large ones."""
    for module in (tiff, tiff_strips):
        monkeypatch.setattr(module, "_LEAST_PIXELS", 1)
    for module in (conversion, tiff_strips):
        monkeypatch.setattr(module, "BLOCK", 5000)
    monkeypatch.setattr(plain_rows, "LARGE", 1)
    monkeypatch.setattr(tiff, "_PORTION", 5000)
    monkeypatch.setattr(tiff_strips, "_MOST_PIXELS", 20_000)


def written(mode: str, kind: str, **options: object) -> bytes:
    return written_from(Image.fromarray(COLOURS).convert(mode), kind, **options)


def of_mode(mode: str) -> tuple[int | None, ...]:
    """Return targets; few for colours that Pillow takes long to convert."""
    return TARGETS[-1:] if mode == "LAB" else TARGETS


def written_from(image: Image.Image, kind: str = "TIFF", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiled(pixels: np.ndarray, side: int, order: str = "<") -> bytes:
    """Return a TIFF of tiles that are not packed, of 8 or 16 bits a sample, in the order of bytes that is given."""
    height, width, channels = pixels.shape
    pixels = pixels.astype(pixels.dtype.newbyteorder(order))
    across, down = -(-width // side), -(-height // side)
    filled = np.pad(pixels, ((0, down * side - height), (0, across * side - width), (0, 0)))
    parts = [
        filled[y * side : (y + 1) * side, x * side : (x + 1) * side].tobytes()
        for y in range(down)
        for x in range(across)
    ]
    starts = [8 + sum(map(len, parts[:number])) for number in range(len(parts))]
    tags = {256: [width], 257: [height], 258: [pixels.itemsize * 8] * channels, 259: [1], 262: [2], 277: [channels]}
    tags |= {322: [side], 323: [side], 324: starts, 325: [len(part) for part in parts]}
    place, values, entries = 8 + sum(map(len, parts)), b"", b""
    for tag, numbers in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        offset = data if len(data) == 4 else struct.pack(f"{order}I", place + len(values))
        values += data if len(data) > 4 else b""
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + offset
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place + len(values))
    return head + b"".join(parts) + values + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("name", KINDS)
def test_a_tiff_in_portions_is_the_one_that_pillow_decodes_whole(name: str) -> None:
    mode, compression, tags = KINDS[name]
    data = written(mode, "TIFF", compression=compression, tiffinfo=tags)
    for target in of_mode(mode):
        job = Job(Format.TIFF, data, target)
        whole = pillow_formats.decode(job, ("TIFF",))
        found = tiff_strips.decode(job)
        assert (found.width, found.height) == (WIDTH, HEIGHT)
        assert np.array_equal(found.pixels, whole.pixels), target


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have strips taken for as good as the whole, so that libtiff unpacks their rows."""
    if not libtiff.is_there():
        pytest.skip("libtiff is no library of its own here")
    monkeypatch.setattr(tiff_strips, "_MOST_PIXELS", 100)
    monkeypatch.setattr(tiff, "_MOST_OF_A_PART", 100)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("rows_of_strip", [48, 1000])
@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"plain", "one strip", "grey"}))
def test_a_tiff_row_by_row_is_the_one_that_pillow_decodes_whole(name: str, rows_of_strip: int) -> None:
    mode, compression, tags = KINDS[name]
    tags = {**tags, 278: rows_of_strip}
    data = written(mode, "TIFF", compression=compression, tiffinfo=tags, strip_size=1 << 20)
    for target in of_mode(mode):
        job = Job(Format.TIFF, data, target)
        layout = tiff_strips.find(data, target)
        assert layout is not None and layout.in_rows
        found = tiff_strips.decode(job)
        assert (found.width, found.height) == (WIDTH, HEIGHT)
        assert np.array_equal(found.pixels, pillow_formats.decode(job, ("TIFF",)).pixels), target
        needed, plain = estimates.of_plain(Format.TIFF, estimates.Size(0, 0), data, target, 300)
        assert needed == estimates.of_strips(estimates.Size(WIDTH, HEIGHT), data, target, None)
        assert not plain


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", ["u2", "f4", "u4"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_many_bits_row_by_row_are_those_of_the_whole(
    kind: str, planes: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    white = 1 if kind == "f4" else np.iinfo(kind).max
    deep = (COLOURS / 255 * white).astype(kind)
    if kind == "f4" and (planes, order) == ("contig", "<"):
        # A predictor of floating point, which tifffile does not write by itself.
        options = [cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_PREDICTOR, 3, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 60]
        data = cv2.imencode(".tif", deep, options)[1].tobytes()
    else:
        file = io.BytesIO()
        stored = deep if planes == "contig" else np.ascontiguousarray(deep.transpose(2, 0, 1))
        packed = {"compression": "zlib", "predictor": kind != "f4", "rowsperstrip": 60, "metadata": None}
        tifffile.imwrite(file, stored, photometric="rgb", planarconfig=planes, byteorder=order, **packed)
        data = file.getvalue()
    for target in TARGETS:
        job = Job(Format.TIFF, data, target)
        found = tiff.find(data)
        assert found is not None and tiff.in_rows(found)
        pixels = tiff.decode(job).pixels
        with monkeypatch.context() as patch:
            patch.setattr(tiff, "_LEAST_PIXELS", 10**9)
            assert np.array_equal(pixels, tiff.decode(job).pixels), target


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("deep", [False, True])
def test_rows_up_to_the_damage_and_those_of_other_strips_are_shown(deep: bool) -> None:
    if deep:
        grey = COLOURS[..., 0].astype(np.uint16) * 257
        data = bytearray(written_from(Image.fromarray(grey), compression="tiff_lzw", tiffinfo={278: 70}))
    else:
        data = bytearray(written("RGB", "TIFF", compression="tiff_lzw", tiffinfo={278: 70}, strip_size=1 << 20))
    job = Job(Format.TIFF, bytes(data))
    sound = decoders.decode(job, lenient=False).pixels
    directory = exif.read(job.data)
    assert directory is not None
    _, second, _ = directory.main.numbers(273)
    data[second + 300 : second + 400] = b"\xff" * 100
    job = job._replace(data=bytes(data))
    # The whole is not tried: it would take much memory, to no end.
    with pytest.raises(Refused):
        decoders.decode(job, lenient=False)
    found = decoders.decode(job, lenient=True)
    assert found.warnings == (pillow_formats.DAMAGED,)
    assert np.array_equal(found.pixels[:70], sound[:70]) and np.array_equal(found.pixels[140:], sound[140:])
    assert not found.pixels[139].any()


def test_portions_beside_damaged_ones_are_shown() -> None:
    data = bytearray(written("RGB", "TIFF", compression="tiff_lzw", tiffinfo={278: 10}))
    job = Job(Format.TIFF, bytes(data))
    sound = tiff_strips.decode(job).pixels
    layout = tiff_strips.find(job.data, None)
    assert layout is not None
    part = layout.parts[5]
    data[part.start + 20 : part.start + part.length] = b"\xff" * (part.length - 20)
    found = decoders.decode(job._replace(data=bytes(data)), lenient=True)
    assert found.warnings == (pillow_formats.DAMAGED,)
    same = (found.pixels == sound).all(axis=(1, 2))
    assert same[:30].all() and same[90:].all() and not same[59]


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiles_are_joined(order: str) -> None:
    for target in TARGETS:
        job = Job(Format.TIFF, tiled(COLOURS, 32, order), target)
        assert np.array_equal(tiff_strips.decode(job).pixels, pillow_formats.decode(job, ("TIFF",)).pixels)


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 10}, {"tile": (32, 48)}])
def test_planes_of_a_tiff_are_joined(options: dict[str, Any]) -> None:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1))
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", metadata=None, **options)
    for target in TARGETS:
        job = Job(Format.TIFF, file.getvalue(), target)
        assert np.array_equal(tiff_strips.decode(job).pixels, pillow_formats.decode(job, ("TIFF",)).pixels)


def test_a_turned_tiff_is_decoded_as_it_is_stored() -> None:
    job = Job(Format.TIFF, written("RGB", "TIFF", compression="tiff_lzw", tiffinfo={274: 6, 278: 10}))
    found, whole = tiff_strips.decode(job), pillow_formats.decode(job, ("TIFF",), turned=True)
    assert not found.turned and (found.width, found.height) == (WIDTH, HEIGHT)
    assert np.array_equal(upright(found.pixels, 6), whole.pixels)


def test_a_tiff_is_made_smaller_than_most() -> None:
    job = Job(Format.TIFF, written("RGB", "TIFF", compression="tiff_lzw", tiffinfo={278: 10}), 120, most=140)
    assert 120 <= max(tiff_strips.decode(job).pixels.shape) <= 140
    deep = job._replace(data=tiled(COLOURS.astype(np.uint16), 32))
    assert 120 <= max(tiff.decode(deep).pixels.shape) <= 140


def test_what_portions_would_show_otherwise_is_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    one_strip = written("RGB", "TIFF", compression="tiff_lzw", tiffinfo={278: 1000})
    deep = tiled(COLOURS.astype(np.uint16), 32)
    monkeypatch.setattr(libtiff, "is_there", lambda: False)
    for data in (one_strip, deep, b"II*\0"):
        with pytest.raises(Refused):
            tiff_strips.decode(Job(Format.TIFF, data, 50))


def test_a_tiff_whose_end_is_missing_is_left_to_decoders_of_damaged_ones() -> None:
    data = tiled(COLOURS, 32)
    start = int.from_bytes(data[4:8], "little")
    place = data.index(struct.pack("<HHI", 324, 4, 35), start) + 8  # where the offsets of the tiles are
    offsets = int.from_bytes(data[place : place + 4], "little")
    damaged = data[: offsets + 4 * 20] + struct.pack("<I", 1 << 30) + data[offsets + 4 * 21 :]
    with pytest.raises(Refused):
        tiff_strips.decode(Job(Format.TIFF, damaged, 50))


@pytest.mark.parametrize("layout", ["tiles", "tiles of the other order", "strips", "one strip"])
def test_many_bits_in_portions_are_those_of_the_whole(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = COLOURS.astype(np.uint16) * 255 + 3
    if layout.startswith("tiles"):
        data = tiled(deep, 32, ">" if "other" in layout else "<")
    else:
        buffer = io.BytesIO()
        rows = 1000 if layout == "one strip" else 10
        Image.fromarray(deep[..., 0]).save(buffer, "TIFF", tiffinfo={278: rows})
        data = buffer.getvalue()
    for target in TARGETS:
        job = Job(Format.TIFF, data, target)
        found = tiff.find(data)
        assert found is not None
        assert tiff.in_portions(found)
        assert len(found.parts.offsets) > 1
        portions = tiff.decode(job)
        with monkeypatch.context() as patch:
            patch.setattr(tiff, "_LEAST_PIXELS", 10**9)
            whole = tiff.decode(job)
        assert np.array_equal(portions.pixels, whole.pixels), target


@pytest.mark.parametrize(("kind", "mode"), [("BMP", "RGB"), ("BMP", "RGBA"), ("PPM", "RGB")])
def test_rows_that_are_not_packed_are_taken_from_the_file(kind: str, mode: str) -> None:
    data = written(mode, kind)
    for target in TARGETS:
        job = Job(Format[kind], data, target)
        found = (bmp if kind == "BMP" else pnm).by_rows(job)
        assert (found.width, found.height) == (WIDTH, HEIGHT)
        assert np.array_equal(found.pixels, pillow_formats.decode(job, (kind,)).pixels), target
    needed, in_process = estimates.of_plain(Format[kind], estimates.Size(0, 0), data, 50, 300)
    assert needed == estimates.of_strips(estimates.Size(WIDTH, HEIGHT), data, 50, None)
    assert not in_process


@pytest.mark.parametrize("kind", ["BMP", "PPM"])
def test_rows_that_are_missing_are_refused(kind: str) -> None:
    with pytest.raises(Refused):
        (bmp if kind == "BMP" else pnm).by_rows(Job(Format[kind], written("RGB", kind)[:-200], 50))
