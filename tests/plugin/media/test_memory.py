"""Decoding takes no more memory than was estimated from the header, and estimates are a few bytes a pixel."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import encoded, need
from rollcall.errors import NotEnoughMemoryError
from rollcall.media import decode, formats
from rollcall.media.job import Job
from rollcall.media.memory_budget import MemoryBudget, free_bytes

SIDE = 3200
MB = 1 << 20


def png(bits: int, colour: int, samples: int, side: int = SIDE) -> bytes:
    """Return a black PNG, made without its pixels ever being held."""
    row = bytes(1 + side * samples * bits // 8)
    pack = zlib.compressobj(1)
    stream = b"".join([*(pack.compress(row) for _ in range(side)), pack.flush()])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def webp(side: int = SIDE) -> bytes:
    """Return a lossless WebP of one colour, in some thirty bytes (RFC 9649): five codes of one symbol each."""
    bits, length = 0x2F, 8

    def put(value: int, count: int) -> None:
        nonlocal bits, length
        bits |= value << length
        length += count

    put(side - 1, 14)
    put(side - 1, 14)
    put(0, 1 + 3)  # no transparency, version 0
    put(0, 1 + 1 + 1)  # no transform, no cache of colours, one set of codes
    for symbol in (10, 200, 30, 255, 0):
        put(0b101 if symbol > 1 else 0b001, 3)  # simple, one symbol, of eight bits or of one
        put(symbol, 8 if symbol > 1 else 1)
    data = bits.to_bytes((length + 7) // 8 + 1, "little")
    data += bytes(len(data) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def drawn(mode: str = "RGB") -> Image.Image:
    return Image.radial_gradient("L").resize((SIDE, SIDE)).convert(mode)


FILES: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(8, 2, 3),
    "png of 16 bits": lambda: png(16, 0, 1),
    "png of 16 bits and colours": lambda: png(16, 2, 3),
    "png with transparency": lambda: png(8, 6, 4),
    "png of a palette": lambda: encoded(drawn("P"), "PNG", compress_level=1),
    "webp": webp,
    "webp with transparency": lambda: encoded(drawn("RGBA"), "WEBP", lossless=True, quality=0, method=0),
    "jpg": lambda: encoded(drawn(), "JPEG", subsampling=0),
    "jpg, progressive": lambda: encoded(drawn(), "JPEG", progressive=True, subsampling=0),
    "jpg of four inks": lambda: encoded(drawn("CMYK"), "JPEG"),
    "tif": lambda: encoded(drawn(), "TIFF", compression="tiff_lzw"),
    "tif of floating point": lambda: encoded(drawn("F"), "TIFF", compression="tiff_lzw"),
    "gif": lambda: encoded(drawn("P"), "GIF"),
    "bmp": lambda: encoded(drawn(), "BMP"),
    "avif": lambda: encoded(drawn(), "AVIF", speed=10),
    "heic": lambda: encoded(drawn(), "HEIF"),
    "jxl": lambda: encoded(drawn(), "JXL", effort=1),
    "jp2": lambda: encoded(drawn(), "JPEG2000", tile_size=(1024, 1024), irreversible=True),
}
PROGRAM = """
import json, re, resource, sys
from pathlib import Path
from rollcall.media import decode, worker
from rollcall.settings import DecodeSettings

def peak(process):
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path(f"/proc/{process}/status").read_text())[1]) * 1024

needed = []
before = peak("self")
picture = decode.decode(Path(sys.argv[1]), target=1280, before=needed.append)
children = [peak(one._process.pid) for one in worker.SHARED._idle]
print(json.dumps([needed[0], peak("self") - before, *children, list(picture.pixels.shape)]))
"""
#: What a process takes that has decoded a small picture.
EMPTY = 110 * MB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no measure of memory here")
@pytest.mark.parametrize("name", FILES)
def test_no_more_memory_is_taken_than_was_estimated(name: str, tmp_path: Path) -> None:
    need({"heic": "HEIF", "jxl": "JXL", "avif": "AVIF"}.get(name, "PNG"))
    path = tmp_path / f"a.{name.split(maxsplit=1)[0].strip(',')}"
    path.write_bytes(FILES[name]())
    done = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
    needed, own, *children, shape = json.loads(done.stdout)
    assert max(own, *(child - EMPTY for child in children), 0) <= needed
    limit = {"avif": 17, "heic": 12}.get(name, 9) if "transparency" not in name else 14
    assert needed <= limit * SIDE * SIDE + 80 * MB
    assert 1280 <= max(shape) < 2560


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no measure of memory here")
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_large_picture_is_made_smaller_before_it_comes_here(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(png(8, 2, 3, 8000) if kind == "png" else webp(8000))
    program = PROGRAM.replace("target=1280", "target=5000, most=5600")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    _, own, child, shape = json.loads(done.stdout)
    assert 5000 <= max(shape) <= 5600
    assert own < 5600 * 5600 * 3 + 30 * MB
    # In strips, the whole is not even there.
    assert kind != "png" or child < EMPTY + 5600 * 5600 * 3 + 40 * MB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no measure of memory here")
def test_the_bytes_of_a_large_file_are_held_once_and_its_pixels_in_portions(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("RGB", (6400, 6400), (10, 200, 30)).save(path)
    size, made = path.stat().st_size, 3200 * 3200 * 3
    program = PROGRAM.replace("target=1280", "target=3200")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    needed, own, child, shape = json.loads(done.stdout)
    assert shape == [3200, 3200, 3]
    # Here the file is held, and then what was made of it.
    assert own < size + 60 * MB
    assert child < EMPTY + size + made + 40 * MB
    assert needed < size + 3 * made + 100 * MB


def test_the_estimate_of_the_largest_picture_is_below_two_gigabytes() -> None:
    for data, kind in ((webp(16383), "webp"), (png(16, 0, 1, 16383), "png")):
        planned = decode._plan(Job(formats.sniff(data, f".{kind}") or formats.Format.PNG, data, 1280))
        assert planned.needed < 2000 * MB
        assert not planned.in_process


# ---- The budget


def test_what_does_not_fit_waits_until_it_does() -> None:
    budget = MemoryBudget(lambda: 10**12)
    order: list[str] = []

    def take(name: str, megabytes: int) -> None:
        with budget.reserve(megabytes * MB, Path(name), 100):
            order.append(name)

    with budget.reserve(60 * MB, Path("first"), 100):
        threads = []
        # The second does not fit, and the third does not overtake it.
        for name, size in (("second", 50), ("third", 10)):
            threads.append(threading.Thread(target=take, args=(name, size)))
            threads[-1].start()
            while len(budget._waiting) < len(threads):
                time.sleep(0.01)
        assert order == []
        assert budget.reserved == 60 * MB
    for thread in threads:
        thread.join(60)
    assert order == ["second", "third"]
    assert budget.reserved == 0


def test_two_that_fit_are_decoded_at_once() -> None:
    budget = MemoryBudget(lambda: 10**12)
    with budget.reserve(60 * MB, Path("a"), 100), budget.reserve(40 * MB, Path("b"), 100):
        assert budget.reserved == 100 * MB


def test_more_than_the_budget_goes_alone() -> None:
    budget = MemoryBudget(lambda: 10**12)
    with budget.reserve(500 * MB, Path("a"), 100):
        assert budget.reserved == 500 * MB


def test_more_than_the_machine_has_is_refused_in_a_sentence() -> None:
    budget = MemoryBudget(lambda: 1000 * MB)
    with (
        pytest.raises(NotEnoughMemoryError, match=r"^a\.tif: decoding it takes about 2\.9 GiB of memory, and 1\.0 GiB"),
        budget.reserve(3000 * MB, Path("a.tif"), 100),
    ):
        pass
    assert budget.reserved == 0


def test_a_failure_gives_the_memory_back() -> None:
    budget = MemoryBudget(lambda: 10**12)
    with pytest.raises(ZeroDivisionError), budget.reserve(60 * MB, Path("a"), 100):
        raise ZeroDivisionError
    assert budget.reserved == 0


def test_by_default_half_of_what_is_free_is_handed_out() -> None:
    budget = MemoryBudget(lambda: 1000 * MB)
    taken = threading.Event()

    def take() -> None:
        with budget.reserve(200 * MB, Path("b")):
            taken.set()

    with budget.reserve(400 * MB, Path("a")):
        thread = threading.Thread(target=take)
        thread.start()
        assert not taken.wait(0.2)
    assert taken.wait(60)
    thread.join(60)


def test_the_free_memory_of_this_machine_is_some() -> None:
    assert free_bytes() > 100 * MB


def test_reading_in_strips_makes_the_same_picture_as_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    from rollcall.media import conversion

    noise = np.random.default_rng(1).integers(0, 256, (101, 67, 4), np.uint8)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "CMYK", "I;16", "F", "1"):
        image = Image.fromarray(noise, "RGBA")
        image = image.convert("L").convert(mode) if mode in ("I;16", "F") else image.convert("RGB").convert(mode)
        for target in (None, 50, 20, 7):
            whole = conversion.from_image(image, target)
            with monkeypatch.context() as patch:
                patch.setattr(conversion, "BLOCK", 500)
                assert np.array_equal(conversion.from_image(image, target), whole)
    array = conversion.from_array(noise, 20)
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "BLOCK", 500)
        assert np.array_equal(conversion.from_array(noise, 20), array)
