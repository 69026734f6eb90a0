"""Files to upright pixels: every format, every orientation, every way in which a file can be bad."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawn import (
    FORMATS,
    Pixels,
    difference,
    encoded,
    exif_bytes,
    need,
    open_to_all,
    ordinary_user,
    quarters,
    stored,
    without_box,
)
from rollcall.errors import NotAPictureError, PictureError, TooLargeError, UnreadableError
from rollcall.media import decode, jxl
from rollcall.records import CaptureTime

ORIENTATION, TAKEN, TAKEN_OFFSET = 0x0112, 0x9003, 0x9011
WHEN = {TAKEN: "2021:06:05 12:00:30", TAKEN_OFFSET: "+02:00"}
EVERY_FORMAT = [*FORMATS, "JXL of JPEG"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def to_file(data: bytes, name: str = "picture.jpg") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file


# ---- Orientation, size, time


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", EVERY_FORMAT)
def test_every_orientation_gives_the_same_upright_picture(
    format_name: str, orientation: int, write: Callable[..., Path]
) -> None:
    need(format_name)
    if format_name == "JXL":
        pytest.skip("this encoder cannot write an orientation; the two tests below have files that have one")
    suffix, tolerance = FORMATS[format_name.split(maxsplit=1)[0]]
    header = exif_bytes({ORIENTATION: orientation}, WHEN)
    path = write(encoded(stored(quarters(), orientation), format_name, exif=header), f"picture{suffix}")
    picture = decode.decode(path)
    assert difference(picture.pixels, quarters()) <= tolerance
    assert (picture.width, picture.height) == (160, 96)
    assert picture.taken == CaptureTime(datetime(2021, 6, 5, 12, 0, 30), 120)
    if format_name != "HEIF":  # there the container says how to turn it, and the header's word is overwritten
        assert picture.orientation == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_xl_whose_decoder_turns_it_is_not_turned_again(orientation: int, write: Callable[..., Path]) -> None:
    """Without what is needed to make the JPEG again, the decoder gives pixels, and turns them."""
    need("JXL")
    packed = encoded(stored(quarters(), orientation), "JXL of JPEG", exif=exif_bytes({ORIENTATION: orientation}))
    path = write(without_box(packed, b"jbrd"), "picture.jxl")
    picture = decode.decode(path)
    assert difference(picture.pixels, quarters()) <= 3
    assert (picture.width, picture.height) == (160, 96)


def test_the_header_of_a_jpeg_xl_has_no_say_in_its_orientation(write: Callable[..., Path]) -> None:
    need("JXL")
    path = write(encoded(quarters(), "JXL", exif=exif_bytes({ORIENTATION: 6}, WHEN)), "picture.jxl")
    picture = decode.decode(path)
    assert difference(picture.pixels, quarters()) <= 3
    assert picture.taken == CaptureTime(datetime(2021, 6, 5, 12, 0, 30), 120)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("target", [None, 40])
def test_a_lying_tiff_is_turned_once_however_it_is_packed(
    compression: str, target: int | None, write: Callable[..., Path]
) -> None:
    data = encoded(stored(quarters(), 6), "TIFF", tiffinfo={ORIENTATION: 6}, compression=compression)
    picture = decode.decode(write(data, "scan.tiff"), target=target)
    expected = quarters() if target is None else quarters(40, 24)
    assert difference(picture.pixels, expected) == 0
    assert (picture.width, picture.height, picture.orientation) == (160, 96, 6)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
@given(st.integers(1, 900), st.integers(1, 300), st.integers(1, 8), st.none() | st.integers(1, 1000))
@settings(max_examples=25, deadline=None)
def test_a_reduced_picture_keeps_its_target_and_tells_its_full_size(
    tmp_path_factory: pytest.TempPathFactory,
    format_name: str,
    width: int,
    height: int,
    orientation: int,
    target: int | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "reduced.jpg"
    pixels = np.full((height, width, 3), 90, np.uint8)
    path.write_bytes(encoded(stored(pixels, orientation), format_name, exif=exif_bytes({ORIENTATION: orientation})))
    picture = decode.decode(path, target=target)
    assert (picture.width, picture.height) == (width, height)
    longest = max(picture.pixels.shape[:2])
    assert longest >= min(target or 10**9, max(width, height))
    assert longest <= max(width, height)
    shrunk = longest / max(width, height)
    for full, reduced in ((width, picture.pixels.shape[1]), (height, picture.pixels.shape[0])):
        assert abs(full * shrunk - reduced) <= 1
    assert np.abs(picture.pixels.astype(int) - 90).max() <= 2


def test_a_large_jpeg_is_reduced_as_far_as_the_target_allows(write: Callable[..., Path]) -> None:
    path = write(encoded(quarters(3200, 1600), "JPEG"))
    shapes = {
        target: decode.decode(path, target=target).pixels.shape[1] for target in (300, 400, 401, 1280, 1601, None)
    }
    assert shapes == {300: 400, 400: 400, 401: 800, 1280: 1600, 1601: 3200, None: 3200}


@pytest.mark.parametrize("target", [100, 200, 400, None])
def test_a_jpeg_has_its_colours_in_every_size(target: int | None, write: Callable[..., Path]) -> None:
    picture = decode.decode(write(encoded(quarters(800, 400), "JPEG")), target=target)
    assert picture.pixels.shape == (*((target or 800) // step for step in (2, 1)), 3)
    assert difference(picture.pixels, quarters(target or 800, (target or 800) // 2)) <= 3


@pytest.mark.parametrize("target", [100, None])
def test_a_grey_jpeg_has_three_equal_channels_in_every_size(target: int | None, write: Callable[..., Path]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((400, 800), 90, np.uint8)).save(buffer, "JPEG")
    pixels = decode.decode(write(buffer.getvalue()), target=target).pixels
    assert pixels.shape == ((target or 800) // 2, target or 800, 3)
    assert np.abs(pixels.astype(int) - 90).max() <= 2


def test_a_picture_says_where_it_is_from_and_what_the_file_holds(write: Callable[..., Path]) -> None:
    data = encoded(quarters(), "PNG")
    path = write(data, "a.png")
    picture = decode.decode(path)
    expected = hashlib.blake2b(data, digest_size=16).hexdigest()
    assert (picture.path, picture.content_hash, decode.content_hash(path)) == (path, expected, expected)
    assert picture.taken is None


def test_a_damaged_header_costs_the_orientation_and_not_the_picture(write: Callable[..., Path]) -> None:
    header = bytearray(exif_bytes({ORIENTATION: 6}, WHEN))
    header[6:14] = b"\xff" * 8
    picture = decode.decode(write(encoded(quarters(), "JPEG", exif=bytes(header))))
    assert difference(picture.pixels, quarters()) <= 3
    assert (picture.orientation, picture.taken) == (1, None)


# ---- Kinds of pixels

RAMP = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (32, 1))


def grey(levels: Pixels) -> Pixels:
    return np.repeat(levels[..., None], 3, axis=2)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "JPEG2000", "BMP", "PPM"])
def test_a_grey_picture_has_three_equal_channels(format_name: str, write: Callable[..., Path]) -> None:
    picture = decode.decode(write(encoded(RAMP, format_name)))
    assert difference(picture.pixels, grey(RAMP)) <= 1
    assert (picture.pixels[..., 0] == picture.pixels[..., 2]).all()


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_down_to_eight(format_name: str, write: Callable[..., Path]) -> None:
    data = encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), format_name)
    assert np.array_equal(decode.decode(write(data)).pixels, grey(RAMP))


def test_sixteen_bits_of_colour_are_scaled_down_to_eight(write: Callable[..., Path]) -> None:
    done, data = cv2.imencode(".png", quarters()[..., ::-1].astype(np.uint16) * 257)
    assert done
    assert np.array_equal(decode.decode(write(data.tobytes(), "deep.png")).pixels, quarters())


def test_floating_point_from_zero_to_one_is_scaled_up_to_eight_bits(write: Callable[..., Path]) -> None:
    values = (RAMP / 255).astype(np.float32)
    values[0, 0] = np.nan
    expected = grey(RAMP)
    expected[0, 0] = 0
    assert np.array_equal(decode.decode(write(encoded(Image.fromarray(values), "TIFF"))).pixels, expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode: str, write: Callable[..., Path]) -> None:
    image = Image.fromarray(np.zeros((8, 16, 4), np.uint8), "RGBA")
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    pixels = decode.decode(write(encoded(image.convert(mode), "PNG"))).pixels
    assert (pixels[:, :8] == 255).all()
    assert (pixels[:, 8:] == 0).all()


def test_the_transparent_colour_of_a_palette_is_white(write: Callable[..., Path]) -> None:
    image = Image.fromarray(np.tile(np.array([0, 1], np.uint8), (4, 4)), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    pixels = decode.decode(write(encoded(image, "PNG", transparency=0))).pixels
    assert pixels[0, :2].tolist() == [[255, 255, 255], [200, 100, 50]]


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_palette_is_looked_up(format_name: str, write: Callable[..., Path]) -> None:
    data = encoded(Image.fromarray(quarters()).quantize(4), format_name)
    assert difference(decode.decode(write(data)).pixels, quarters()) <= 1


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_is_black_and_white(format_name: str, write: Callable[..., Path]) -> None:
    bits = np.indices((8, 16)).sum(axis=0) % 2 * np.uint8(255)
    data = encoded(Image.fromarray(bits.astype(np.uint8)).convert("1", dither=Image.Dither.NONE), format_name)
    assert np.array_equal(decode.decode(write(data)).pixels, grey(bits.astype(np.uint8)))


@pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
@pytest.mark.parametrize("target", [None, 80])
def test_inks_become_colours(format_name: str, target: int | None, write: Callable[..., Path]) -> None:
    data = encoded(Image.fromarray(quarters()).convert("CMYK"), format_name)
    picture = decode.decode(write(data), target=target)
    assert difference(picture.pixels, quarters() if target is None else quarters(80, 48)) <= 4
    assert (picture.width, picture.height) == (160, 96)


def test_a_progressive_jpeg_is_a_jpeg(write: Callable[..., Path]) -> None:
    path = write(encoded(quarters(), "JPEG", progressive=True))
    assert difference(decode.decode(path).pixels, quarters()) <= 3
    assert difference(decode.decode(path, target=80).pixels, quarters(80, 48)) <= 3


@pytest.mark.parametrize("format_name", ["GIF", "MPO", "TIFF", "PNG", "WEBP"])
def test_of_many_pictures_in_a_file_the_first_is_shown(format_name: str, write: Callable[..., Path]) -> None:
    first = Image.fromarray(quarters())
    others = [Image.fromarray(255 - quarters()), Image.fromarray(quarters()[::-1])]
    picture = decode.decode(write(encoded(first, format_name, save_all=True, append_images=others)))
    assert difference(picture.pixels, quarters()) <= 3
    assert (picture.width, picture.height) == (160, 96)


@pytest.mark.parametrize("width", [1, 2, 7, 11])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF"])
def test_the_smallest_pictures_are_pictures(format_name: str, width: int, write: Callable[..., Path]) -> None:
    picture = decode.decode(write(encoded(np.full((1, width), 128, np.uint8), format_name)), target=1280)
    assert picture.pixels.shape == (1, width, 3)
    assert (np.abs(picture.pixels.astype(int) - 128) <= 2).all()


def test_pixels_lie_in_one_piece_and_may_be_written_to(write: Callable[..., Path]) -> None:
    """What comes after draws on them and hands them to OpenCV."""
    for orientation in (1, 3, 6):
        picture = decode.decode(write(encoded(quarters(), "JPEG", exif=exif_bytes({ORIENTATION: orientation}))))
        assert picture.pixels.flags.c_contiguous
        assert picture.pixels.dtype == np.uint8


# ---- Names that do not fit, and files that are no pictures


@pytest.mark.parametrize("name", ["a.jpg", "a.heic", "a.tif", "a.jxl", "a.gif", "a"])
@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP"])
def test_the_bytes_say_what_a_file_is_and_not_its_name(format_name: str, name: str, write: Callable[..., Path]) -> None:
    assert difference(decode.decode(write(encoded(quarters(), format_name), name)).pixels, quarters()) <= 3


@pytest.mark.parametrize(
    "data",
    [
        b"no picture at all\n" * 40,
        b"\0" * 4096,
        b"<!DOCTYPE html><html></html>",
        b"GIF",
        b"\xff\xd8",
        bytes(range(256)),
    ],
    ids=["text", "zeros", "html", "half a name", "a jpeg's first bytes", "all bytes"],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.heic", "a.jxl"])
def test_a_file_that_is_no_picture_is_refused(data: bytes, name: str, write: Callable[..., Path]) -> None:
    path = write(data, name)
    with pytest.raises(NotAPictureError) as caught:
        decode.decode(path)
    assert str(path) in str(caught.value)
    assert caught.value.reason


def test_an_empty_file_is_said_to_be_empty(write: Callable[..., Path]) -> None:
    with pytest.raises(NotAPictureError, match="the file is empty"):
        decode.decode(write(b""))


def test_a_program_that_draws_is_no_picture(write: Callable[..., Path]) -> None:
    """PostScript would be run to see what it draws; a name that ends in .jpg is no reason to."""
    with pytest.raises(NotAPictureError, match="not a picture"):
        decode.decode(write(encoded(quarters(), "EPS")))


def test_formats_whose_extra_is_missing_say_what_to_install(write: Callable[..., Path]) -> None:
    """In a process of its own, where the extras are as good as not installed."""
    heic = write(b"\0\0\0\x18ftypheic" + bytes(100), "a.heic")
    paths = [heic, write(jxl_header(64, 48), "a.jxl"), write(b"II*\0" + bytes(100), "a.nef")]
    program = (
        "import sys; sys.modules.update(pillow_heif=None, pillow_jxl=None, rawpy=None)\n"
        "from pathlib import Path\n"
        "from rollcall.media.decode import decode\n"
        "from rollcall.errors import UnsupportedFormatError\n"
        "for path in sys.argv[1:]:\n"
        "    try: decode(Path(path))\n"
        "    except UnsupportedFormatError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    hints = [line.split("; ")[1] for line in done.stdout.splitlines()]
    assert hints == [f"install it with `pip install 'rollcall[{extra}]'`" for extra in ("heic", "jxl", "raw")]


# ---- Truncated files


@given(st.floats(0, 1, exclude_max=True), st.sampled_from(["JPEG", "progressive", "CMYK", "PNG"]))
@settings(max_examples=60, deadline=None)
def test_a_picture_that_was_cut_off_shows_what_is_there_with_a_warning(
    tmp_path_factory: pytest.TempPathFactory, kept: float, kind: str
) -> None:
    image = Image.fromarray(noise())
    data = {
        "JPEG": lambda: encoded(image, "JPEG"),
        "progressive": lambda: encoded(image, "JPEG", progressive=True),
        "CMYK": lambda: encoded(image.convert("CMYK"), "JPEG"),
        # Its end holds checksums only: without them the picture is still whole.
        "PNG": lambda: encoded(image, "PNG")[:-64],
    }[kind]()
    path = tmp_path_factory.getbasetemp() / "cut.jpg"
    path.write_bytes(data[: int(len(data) * kept)])
    try:
        picture = decode.decode(path)
    except NotAPictureError:
        assert kept < 0.5, "half of a picture can be shown"
        return
    assert picture.pixels.shape == (48, 64, 3)
    whole = Image.open(io.BytesIO(data if kind != "PNG" else encoded(image, "PNG"))).convert("RGB")
    if not picture.warnings:
        assert kept > 0.9
        assert difference(picture.pixels, np.asarray(whole)) <= 3
    elif kind != "progressive":
        # The first rows are there.
        assert difference(picture.pixels[:8], np.asarray(whole)[:8]) <= 3 or kept < 0.3


def noise() -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)


def with_thumbnail(jpeg: bytes) -> bytes:
    """Return a JPEG with another, whole one in its header."""
    thumbnail = encoded(quarters(32, 16), "JPEG")
    segment = b"Exif\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


def test_the_end_of_a_thumbnail_is_not_taken_for_that_of_the_picture(write: Callable[..., Path]) -> None:
    whole = with_thumbnail(encoded(noise(), "JPEG"))
    assert decode.decode(write(whole)).pixels.shape == (48, 64, 3)
    picture = decode.decode(write(whole[: len(whole) * 3 // 4]))
    assert picture.pixels.shape == (48, 64, 3)
    assert picture.warnings == ("the file ends early; the rest of the picture is blank",)


def test_what_a_phone_appends_to_a_jpeg_does_no_harm(write: Callable[..., Path]) -> None:
    data = encoded(quarters(), "JPEG") + b"\0\0\0\x18ftypmp42" + bytes(5000)
    assert difference(decode.decode(write(data)).pixels, quarters()) <= 3


# ---- Files that are too large


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + pixels + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(quarters(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def jxl_header(width: int, height: int) -> bytes:
    """Return the first bytes of a JPEG XL codestream: a size of 30 bits for each side."""
    bits = 0 | 3 << 1 | (height - 1) << 3 | 0 << 33 | 3 << 36 | (width - 1) << 38
    return b"\xff\x0a" + bits.to_bytes(9, "little") + bytes(50)


def gif_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.fromarray(quarters()).quantize(4), "GIF"))
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    data[6:10] = size
    frame = data.index(b",", 13)
    data[frame + 5 : frame + 9] = size
    return bytes(data)


BOMBS: dict[str, Callable[[int, int], bytes]] = {
    "png": png_header,
    "jpg": jpeg_header,
    "jxl": jxl_header,
    "gif": gif_header,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_claims_to_be_huge_is_refused_by_its_header(kind: str, write: Callable[..., Path]) -> None:
    resource = pytest.importorskip("resource", reason="there is no measure of memory here")
    path = write(BOMBS[kind](60_000, 60_000), f"bomb.{kind}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLargeError, match=r"3600 megapixels, more than the limit of 300; .*decode\.max_megapixels"):
        decode.decode(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000 * (1024 if sys.platform == "darwin" else 1)


def test_the_limit_is_the_one_that_is_given(write: Callable[..., Path]) -> None:
    path = write(encoded(np.zeros((1000, 1000), np.uint8), "PNG"))
    assert decode.decode(path, max_megapixels=1.0).width == 1000
    with pytest.raises(TooLargeError, match="1 megapixels, more than the limit of 0.999"):
        decode.decode(path, max_megapixels=0.999)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # all hole: it takes no room
    with pytest.raises(TooLargeError, match=r"3\.0 GiB"):
        decode.decode(path)
    with pytest.raises(TooLargeError):
        decode.content_hash(path)


@given(st.integers(1, 1 << 30), st.integers(1, 1 << 30), st.integers(1, 40), st.booleans())
def test_the_size_of_a_jpeg_xl_is_read_however_it_is_split(width: int, height: int, part: int, boxed: bool) -> None:
    data = jxl_header(width, height)
    if boxed:
        parts = [data[start : start + part] for start in range(0, len(data), part)]
        boxes = [
            (12 + len(one)).to_bytes(4, "big") + b"jxlp" + n.to_bytes(4, "big") + one for n, one in enumerate(parts)
        ]
        data = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl " + b"".join(boxes)
    assert jxl.size(data) == (width, height)


@pytest.mark.parametrize(
    "size",
    [
        (8, 8),
        (256, 256),
        (264, 256),
        (400, 400),
        (480, 400),
        (400, 300),
        (600, 400),
        (640, 360),
        (500, 400),
        (800, 400),
        (801, 401),
        (17, 700),
    ],
)
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jpeg_xl_is_that_which_the_encoder_wrote(size: tuple[int, int], container: bool) -> None:
    need("JXL")
    data = encoded(Image.new("L", size), "JXL", use_container=container, effort=1, num_threads=1)
    assert jxl.size(data) == size


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"]))
def test_the_size_of_any_bytes_is_a_size(data: bytes, magic: bytes) -> None:
    width, height = jxl.size(magic + data)
    assert width >= 0
    assert height >= 0


# ---- Files that cannot be read


@pytest.mark.parametrize("read", [decode.decode, decode.content_hash])
def test_what_cannot_be_read_says_so(read: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "x.jpg"
    folder.mkdir()
    nowhere = tmp_path / "link.jpg"
    nowhere.symlink_to(tmp_path / "vanished.jpg")
    for path in (
        folder,
        nowhere,
        tmp_path / "vanished.jpg",
        folder / "y.jpg",
        tmp_path / ("n" * 300 + ".jpg"),
        Path("\0.jpg"),
    ):
        with pytest.raises(UnreadableError) as caught:
            read(path)
        assert caught.value.path == path
        assert caught.value.hint


def test_a_file_that_may_not_be_read_says_so() -> None:
    with open_to_all() as folder:
        path = folder / "secret.jpg"
        path.write_bytes(encoded(quarters(), "JPEG"))
        path.chmod(0)
        with ordinary_user(), pytest.raises(UnreadableError, match="Permission denied"):
            decode.decode(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    caught: list[BaseException] = []

    def read() -> None:
        try:
            decode.decode(path)
        except PictureError as error:
            caught.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(60)
    assert [type(error) for error in caught] == [UnreadableError]


# ---- Damage of every kind


@cache
def sound(format_name: str) -> bytes:
    """Return a small, whole file of a format."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    image = Image.fromarray(np.stack([ramp, ramp[::-1] * 2, 255 - ramp], axis=-1))
    header = exif_bytes({ORIENTATION: 6}, WHEN)
    kind, _, variant = format_name.partition(" ")
    match variant:
        case "CMYK":
            return encoded(image.convert("CMYK"), kind)
        case "palette":
            return encoded(image.quantize(16), kind, transparency=0)
        case "16-bit":
            return encoded(Image.fromarray(ramp.astype(np.uint16) * 250), kind)
        case "animated":
            frames = [image.rotate(angle).quantize(16) for angle in (0, 90)]
            return encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        case "progressive":
            return encoded(image, kind, progressive=True, exif=header)
        case "lzw" | "jpeg":
            return encoded(image, kind, compression=f"tiff_{variant}")
        case "of JPEG":
            return encoded(image, format_name, exif=header)
        case _:
            takes_header = kind in FORMATS
            return encoded(image, kind, **({"exif": header} if takes_header else {}))


KINDS = [
    *EVERY_FORMAT,
    "JPEG CMYK",
    "JPEG progressive",
    "PNG palette",
    "PNG 16-bit",
    "TIFF lzw",
    "TIFF jpeg",
    "GIF animated",
    "BMP",
    "PPM",
    "JPEG2000",
]


@pytest.mark.parametrize("kind", KINDS)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6),
    st.floats(0.1, 3),
    st.sampled_from([None, 16]),
)
@settings(max_examples=30, deadline=None)
def test_damage_of_any_kind_gives_pixels_or_a_picture_error(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    damage: list[tuple[float, bytes]],
    kept: float,
    target: int | None,
) -> None:
    need(kind)
    data = bytearray(sound(kind))
    for place, replacement in damage:
        # Headers lie in front, and matter most.
        start = int(len(data) * place**2)
        data[start : start + len(replacement)] = replacement
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(data[: int(len(data) * kept)])
    try:
        picture = decode.decode(path, target=target, max_megapixels=4)
    except PictureError as error:
        assert error.path == path
        return
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert picture.pixels.shape[2] == 3
    assert picture.width * picture.height <= 4e6


def test_decoding_on_threads_leaves_the_warnings_of_the_host_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(quarters(), "PNG"))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(decode.decode, [path] * 200))) == 200
    assert list(warnings.filters) == before


def test_a_damaged_header_is_not_spoken_of_on_the_terminal(write: Callable[..., Path]) -> None:
    """In a process of its own, where nobody has set the warnings up."""
    data = bytearray(encoded(quarters(), "JPEG", exif=exif_bytes({ORIENTATION: 6}, WHEN)))
    pointer = data.index(b"\x87\x69")
    data[pointer + 8 : pointer + 12] = b"\x00\x00\x7f\xff"
    path = write(bytes(data))
    program = "import sys, pathlib, rollcall.media.decode as d; print(d.decode(pathlib.Path(sys.argv[1])).orientation)"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("6", "")
    with pytest.warns(UserWarning, match="EXIF"):  # without the filter it would be
        Image.open(io.BytesIO(bytes(data))).getexif().get_ifd(0x8769)


def grey_tiff(values: np.ndarray, bits: int, sample_format: int) -> bytes:
    """Return an uncompressed grey TIFF of one strip."""
    height, width = values.shape
    data = values.tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags[339] = sample_format
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + directory + bytes(4)


@pytest.mark.parametrize(
    ("values", "bits", "sample_format"),
    [
        (np.linspace(0, 2**32 - 1, 256).astype("<u4"), 32, 1),
        (np.linspace(0, 32767, 256).astype("<i2"), 16, 2),
        (np.linspace(0, 65535, 256).astype("<u2"), 16, 1),
    ],
    ids=["32 bits without a sign", "16 bits with a sign", "16 bits"],
)
def test_grey_of_many_bits_reaches_from_black_to_white(
    tmp_path: Path, values: np.ndarray, bits: int, sample_format: int
) -> None:
    path = tmp_path / "deep.tif"
    path.write_bytes(grey_tiff(np.repeat(values.reshape(1, -1), 40, 0), bits, sample_format))
    shown = decode.decode(path).pixels[0, :, 0].astype(int)
    assert shown[0] == 0 and shown[-1] == 255 and (np.diff(shown) >= 0).all()
    assert abs(shown[128] - 128) <= 1
