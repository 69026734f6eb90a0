"""Large PNGs are decoded in strips: the pixels are those of the whole, damage is found, and files wait for memory."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from rollcall.media import conversion, memory_budget, pillow_formats, png, png_chunks, png_strips, reading
from rollcall.media.formats import Format
from rollcall.media.job import Job, Refused, TooManyPixels

WIDTH, HEIGHT = 203, 301


@pytest.fixture(autouse=True)
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small pictures decoded as large ones are, in many strips."""
    monkeypatch.setattr(png_strips, "_LEAST_PIXELS", 1)
    monkeypatch.setattr(conversion, "BLOCK", 5_000)


def picture(mode: str) -> Image.Image:
    across, down = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    noise = np.random.default_rng(0).integers(0, 12, (HEIGHT, WIDTH, 4))
    drawn = noise + np.stack([across, down, across + down, across * down // 99], axis=2)
    image = Image.fromarray(drawn.astype(np.uint8))
    return image.convert("RGB").quantize(200) if mode == "P" else image.convert(mode)


def encoded(mode: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture(mode).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("target", [None, 100])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGBA", {}),
        ("L", {}),
        ("LA", {}),
        ("P", {}),
        ("P", {"transparency": bytes(range(200))}),
        ("RGB", {"transparency": (5, 5, 5)}),
        ("L", {"transparency": 30}),
    ],
)
def test_strips_give_the_pixels_of_the_whole(mode: str, options: dict[str, Any], target: int | None) -> None:
    data = encoded(mode, **options)
    header = png_chunks.header(data)
    assert header is not None and png_strips.pays(header, target)
    whole = pillow_formats.decode(Job(Format.PNG, png_chunks.essential(data), target), ("PNG",))
    found = png.decode(Job(Format.PNG, data, target))
    assert (found.width, found.height) == (WIDTH, HEIGHT)
    assert np.array_equal(found.pixels, whole.pixels)


@pytest.mark.parametrize("target", [None, 100])
@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_of_samples_of_16_bits_strips_give_what_the_whole_gives(colour: int, channels: int, target: int | None) -> None:
    samples = np.random.default_rng(1).integers(0, 1 << 16, (HEIGHT, WIDTH, channels), np.uint16).astype(">u2")
    if channels in (2, 4):
        samples[::2, :, -1] = 65535
    # All filters, by the bytes of the same place in the pixel before (W3C PNG, 9.2): what they make of noise is noise.
    rows = b"".join(bytes([number % 5]) + row.tobytes() for number, row in enumerate(samples))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    data = png_chunks.SIGNATURE + b"".join(png_chunks.written(*chunk) for chunk in chunks)
    found = png.decode(Job(Format.PNG, data, target))
    whole = pillow_formats.decode(Job(Format.PNG, data, target), ("PNG",))
    assert np.array_equal(found.pixels, whole.pixels)


def interlaced(samples: np.ndarray, colour: int, palette: bytes = b"") -> bytes:
    """Return samples (h, w, channels) as an interlaced PNG, whose rows have all filters in turn."""
    height, width, _ = samples.shape
    rows = []
    for left, across, top, down in png_chunks.ADAM7:
        passed = samples[top::down, left::across]
        # What all filters make of noise is noise.
        rows += [bytes([number % 5]) + row.tobytes() for number, row in enumerate(passed) if row.size]
    header = struct.pack(">IIBBBBB", width, height, samples.itemsize * 8, colour, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    if palette:
        chunks.insert(1, (b"PLTE", palette))
    return png_chunks.SIGNATURE + b"".join(png_chunks.written(*chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("colour", "channels", "kind"),
    [(0, 1, "u1"), (2, 3, "u1"), (3, 1, "u1"), (4, 2, "u1"), (6, 4, "u1"), (2, 3, ">u2"), (6, 4, ">u2")],
)
def test_strips_of_an_interlaced_picture_give_the_pixels_of_the_whole(colour: int, channels: int, kind: str) -> None:
    noise = np.random.default_rng(1)
    samples = noise.integers(0, np.iinfo(kind).max, (HEIGHT, WIDTH, channels)).astype(kind)
    palette = noise.integers(0, 256, 768, np.uint8).tobytes() if colour == 3 else b""
    data = interlaced(samples, colour, palette)
    for target in (None, 100):
        job = Job(Format.PNG, data, target)
        assert np.array_equal(png.decode(job).pixels, pillow_formats.decode(job, ("PNG",)).pixels)
    header = png_chunks.header(data)
    assert header is not None and png_strips.held(header) == (HEIGHT + 1) // 2 * WIDTH * 3
    with pytest.raises(Refused):
        png.decode(Job(Format.PNG, data[: len(data) * 3 // 4], 100))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 200), (200, 1), (5, 5), (8, 9)])
def test_passes_may_be_empty(width: int, height: int) -> None:
    samples = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    job = Job(Format.PNG, interlaced(samples, 2))
    assert np.array_equal(png.decode(job).pixels, pillow_formats.decode(job, ("PNG",)).pixels)


@pytest.mark.parametrize("most", [300, 250, 200, 160, 151, 120])
@pytest.mark.parametrize("mode", ["RGB", "LA", "P"])
def test_strips_are_reduced_to_any_size(mode: str, most: int) -> None:
    data = encoded(mode)
    found = png.decode(Job(Format.PNG, data, target=most * 8 // 9, most=most)).pixels
    assert most * 8 / 9 <= max(found.shape[:2]) <= most
    whole = png.decode(Job(Format.PNG, data)).pixels
    expected = cv2.resize(whole, found.shape[1::-1], interpolation=cv2.INTER_AREA)
    # No row of a strip lies elsewhere than in the whole, but for the rest of a step at the right and lower edge.
    assert np.abs(found.astype(int) - expected)[:-8, :-8].mean() < 3
    assert np.abs(found.mean(axis=(0, 1)) - whole.mean(axis=(0, 1))).max() < 1


def test_a_strip_is_all_that_pillow_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    heights: list[int] = []
    opened = pillow_formats.opened

    def noted(data: bytes, formats: Any) -> Image.Image:
        image = opened(data, formats)
        heights.append(image.height)
        return image

    monkeypatch.setattr(pillow_formats, "opened", noted)
    png.decode(Job(Format.PNG, encoded("RGB"), None))
    assert len(heights) > 5 and max(heights) <= HEIGHT // 5


def test_damaged_strips_are_refused() -> None:
    data = encoded("RGB")
    middle = len(data) // 2
    for damaged in (data[:middle], data[:middle] + b"\x55\xaa" * 40 + data[middle + 80 :]):
        with pytest.raises(Refused):
            png.decode(Job(Format.PNG, damaged, 100))


@pytest.mark.parametrize("passes", [1, 7])
def test_what_is_there_of_a_damaged_picture_is_decoded_in_strips(passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("RGB") if passes == 1 else interlaced(np.asarray(picture("RGB")), 2)
    sound = png.decode(Job(Format.PNG, data)).pixels
    monkeypatch.setattr(pillow_formats, "decode", lambda *_: pytest.fail("the whole is decoded"))
    found = png.refilled(Job(Format.PNG, data[: len(data) * 9 // 10]))
    assert len(found.warnings) == 1
    # Of an interlaced picture rows between others are missing.
    kept = slice(HEIGHT // 2) if passes == 1 else slice(0, None, 2)
    assert np.array_equal(found.pixels[kept], sound[kept])
    assert not np.array_equal(found.pixels, sound)


def test_the_limit_of_megapixels_holds_for_strips() -> None:
    with pytest.raises(TooManyPixels):
        png.decode(Job(Format.PNG, encoded("L"), 100, max_megapixels=0.01))


def test_other_kinds_are_decoded_whole() -> None:
    header = png_chunks.Header(WIDTH, HEIGHT, 8, 2, False)
    assert png_strips.pays(header, 100)
    assert not png_strips.pays(header._replace(bits=16, colour=0), 100)
    assert not png_strips.pays(header._replace(bits=4, colour=3), 100)


def test_a_large_file_waits_until_another_is_done_with(tmp_path: Path) -> None:
    size, megabytes = 20 << 20, 128  # of which a quarter is for files: one of them
    read = threading.Event()

    def second() -> None:
        with memory_budget.reserve_file(size, tmp_path, megabytes):
            read.set()

    with memory_budget.reserve_file(size, tmp_path, megabytes):
        thread = threading.Thread(target=second)
        thread.start()
        with memory_budget.reserve_file(1000, tmp_path, megabytes):  # small ones do not wait
            assert not read.wait(0.05)
    thread.join(60)
    assert read.is_set()
    assert memory_budget.FILES.reserved == 0


def test_a_file_of_several_portions_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PORTION", 1000)
    content = bytes(range(256)) * 20
    for length in (0, 1, 999, 1000, 1001, 5120):
        (tmp_path / "file").write_bytes(content[:length])
        assert reading.read(tmp_path / "file") == content[:length]
