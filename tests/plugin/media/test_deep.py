"""Pictures of more than 8 bits a sample: TIFF and Netpbm in every type, byte order, layout and packing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from drawn import difference, encoded, quarters
from rollcall.media import conversion, decode, decoders, jpeg2000, samples, tiff
from rollcall.media.formats import Format
from rollcall.media.job import Job, Refused

WHOLE = quarters()
#: From 0 to 1.
SHARES = WHOLE / 255


def of_type(kind: str) -> np.ndarray:
    """Return the picture in numbers of a type, from 0 to its white."""
    white = 1.0 if kind[-2] == "f" else float(np.iinfo(np.dtype(kind)).max)
    with np.errstate(all="ignore"):
        return (SHARES * white * (1 - 1e-9)).astype(kind)


def tiff_of(planes: list[bytes], bits: int, form: int, channels: int, order: str, **more: int) -> bytes:
    """Return an unpacked TIFF with a strip for each plane; `more` are further tags, named `t` and their number."""
    height, width = WHOLE.shape[:2]
    data = b"".join(planes)
    starts = [8 + sum(map(len, planes[:number])) for number in range(len(planes))]
    tags: dict[int, list[int]] = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 277: [channels]}
    tags |= {262: [2 if channels > 2 else 1], 273: starts, 278: [height], 279: [len(plane) for plane in planes]}
    tags |= {284: [1 if len(planes) == 1 else 2], 339: [form] * channels}
    tags |= {int(name[1:]): [value] for name, value in more.items()}
    place, values, entries = 8 + len(data), b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, values = struct.pack(f"{order}I", place + len(values)), values + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place + len(values))
    return head + data + values + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., np.ndarray]:
    def show(data: bytes, suffix: str = ".tif", **options: Any) -> np.ndarray:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        picture = decode.decode(path, **options)
        assert picture.warnings == () and (picture.width, picture.height) == (160, 96)
        return picture.pixels

    return show


@pytest.mark.parametrize("kind", ["u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
def test_samples_of_every_type_are_shown(kind: str, order: str, planar: bool, shown: Callable[..., np.ndarray]) -> None:
    values = of_type(f"{order}{kind}")
    planes = [values[..., n].tobytes() for n in range(3)] if planar else [values.tobytes()]
    form = {"u": 1, "i": 2, "f": 3}[kind[0]]
    data = tiff_of(planes, 8 * int(kind[1]), form, 3, order)
    closest = 2 if kind == "i1" else 1  # seven bits
    assert difference(shown(data), WHOLE) <= closest
    assert difference(shown(data, target=40), np.ascontiguousarray(WHOLE[2::4, 2::4])) <= closest


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("kind", ["f4", "u2", "u4"])
def test_packed_samples_are_shown(
    compression: int, predictor: int, kind: str, shown: Callable[..., np.ndarray]
) -> None:
    if predictor == 3 and kind != "f4":
        pytest.skip("a predictor of floating point alone")
    noise = np.random.default_rng(0).integers(0, 255, WHOLE.shape, np.uint8)
    values = {"f4": (noise / 255).astype("f4"), "u2": noise.astype("u2") * 257, "u4": noise.astype("u4") * 16843009}
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    done, data = cv2.imencode(".tif", values[kind][..., ::-1], options)
    assert done
    assert difference(shown(data.tobytes()), noise) <= 1


def test_tiles_begin_anew(shown: Callable[..., np.ndarray]) -> None:
    tifffile = pytest.importorskip("tifffile")
    import io

    file = io.BytesIO()
    tifffile.imwrite(file, of_type("<f4"), photometric="rgb", tile=(32, 48), bigtiff=True)
    assert difference(shown(file.getvalue()), WHOLE) <= 1


@pytest.mark.parametrize(("extra", "dark"), [(2, 128), (1, 128), (0, 0)])
def test_what_is_transparent_is_laid_on_white(extra: int, dark: int, shown: Callable[..., np.ndarray]) -> None:
    values = np.zeros((*WHOLE.shape[:2], 4), "<u2")
    values[..., 3] = 32768
    pixels = shown(tiff_of([values.tobytes()], 16, 1, 4, "<", t338=extra))
    assert abs(int(pixels[0, 0, 0]) - dark) <= 1


def test_white_can_be_zero(shown: Callable[..., np.ndarray]) -> None:
    values = of_type("<u2")[..., 0]
    pixels = shown(tiff_of([values.tobytes()], 16, 1, 1, "<", t262=0))
    assert difference(pixels[..., 0], 255 - WHOLE[..., 0]) <= 1


def test_light_above_white_is_cut_off(shown: Callable[..., np.ndarray]) -> None:
    values = SHARES.astype("<f4")
    values[:4, :4] = 7.5
    values[4, 4] = np.inf
    pixels = shown(tiff_of([values.tobytes()], 32, 3, 3, "<"))
    assert (pixels[:4, :4] == 255).all() and (pixels[4, 4] == 255).all()
    assert difference(pixels[48:], WHOLE[48:]) <= 1


def test_a_deep_tiff_that_ends_early_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    done, data = cv2.imencode(".tif", SHARES.astype("f4")[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    assert done and tiff.find(data.tobytes()) is not None
    found = tiff.find(data.tobytes())
    assert found is not None
    # Its directory is at its end: what is missing here is the middle.
    hollow = bytearray(data.tobytes())
    hollow[found.parts.offsets[-1] :][: found.parts.lengths[-1]] = b""
    path = tmp_path / "a.tif"
    path.write_bytes(bytes(hollow))
    assert decode.decode(path).pixels.shape == WHOLE.shape


def test_nothing_is_logged_of_a_file_without_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of([WHOLE.tobytes()], 8, 1, 3, "<", t277=65535))
    with pytest.raises(decode.PictureError):
        decode.decode(path)
    assert caplog.records == []


def pam(values: np.ndarray, highest: int, kind: str) -> bytes:
    height, width, channels = values.shape
    header = f"P7\n# a comment\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {highest}\nTUPLTYPE {kind}\n"
    return header.encode() + b"ENDHDR\n" + values.astype("u1" if highest < 256 else ">u2").tobytes()


@pytest.mark.parametrize("highest", [255, 65535, 100])
def test_pam_is_shown(highest: int, shown: Callable[..., np.ndarray]) -> None:
    values = np.rint(SHARES * highest)
    assert difference(shown(pam(values, highest, "RGB"), ".pam"), WHOLE) <= 2
    opaque = np.dstack([values, np.full(WHOLE.shape[:2], highest)])
    assert difference(shown(pam(opaque, highest, "RGB_ALPHA"), ".pam"), WHOLE) <= 2
    assert (shown(pam(opaque * (1, 1, 1, 0), highest, "RGB_ALPHA"), ".pam") == 255).all()
    grey = shown(pam(values[..., :1], highest, "GRAYSCALE"), ".pnm")
    assert difference(grey[..., 1], WHOLE[..., 0]) <= 2


@pytest.mark.parametrize(("order", "scale"), [("<", "-1.0"), (">", "1.0")])
def test_pfm_is_shown(order: str, scale: str, shown: Callable[..., np.ndarray]) -> None:
    lines = SHARES[::-1].astype(f"{order}f4")
    assert difference(shown(f"PF\n160 96\n{scale}\n".encode() + lines.tobytes(), ".pfm"), WHOLE) <= 1
    grey = shown(f"Pf\n160 96\n{scale}\n".encode() + lines[..., 0].tobytes(), ".pfm")
    assert difference(grey[..., 2], WHOLE[..., 0]) <= 1


def test_netpbm_that_ends_early_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.pam"
    path.write_bytes(pam(WHOLE, 255, "RGB")[:-20_000])
    picture = decode.decode(path)
    assert picture.warnings and difference(picture.pixels[:40], WHOLE[:40]) == 0


@pytest.mark.parametrize(("levels", "shape"), [(0, (64, 103, 3)), (1, (64, 103, 3)), (5, (80, 128, 3))])
def test_jpeg_2000_is_halved_no_more_than_it_was_encoded(
    levels: int, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    pixels = quarters(1024, 640)
    data = encoded(pixels, "JPEG2000", num_resolutions=levels + 1)
    assert jpeg2000.size(data) == (1024, 640)
    assert jpeg2000.halvings(data, 100) == min(levels, 3)
    path = tmp_path / "a.jp2"
    path.write_bytes(data)
    assert decode.decode(path, target=100).pixels.shape == shape


@pytest.mark.parametrize("target", [500, 250, 120, 60])
@pytest.mark.parametrize("options", [{}, {"offset": (3, 5), "tile_offset": (0, 0), "tile_size": (2048, 2048)}])
def test_jpeg_2000_of_any_size_is_made_smaller_and_is_not_taken_for_damaged(
    options: dict[str, Any], target: int, tmp_path: Path
) -> None:
    pixels = quarters(1003, 637)
    path = tmp_path / "a.jp2"
    path.write_bytes(encoded(pixels, "JPEG2000", **options))
    picture = decode.decode(path, target=target)
    assert not picture.warnings
    assert (picture.width, picture.height) == (1003, 637)
    height, width = picture.pixels.shape[:2]
    assert target <= width < 2 * target + 2
    shown = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    assert difference(picture.pixels, shown) <= 3


@pytest.mark.parametrize("no_jp2", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_the_whole_of_a_large_jpeg_2000_is_what_it_is_of_a_small_one(
    mode: str, no_jp2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg2000, "_LARGE", 1)
    monkeypatch.setattr(jpeg2000, "_LARGE_TILE", 1)
    job = Job(Format.JPEG2000, encoded(Image.fromarray(quarters(300, 200)).convert(mode), "JPEG2000", no_jp2=no_jp2))
    assert jpeg2000.is_by_opencv(job.data) == (mode == "RGB")
    whole = jpeg2000.decode(job)
    if mode == "RGB":
        assert np.array_equal(jpeg2000.whole(job).pixels, whole.pixels)
    else:
        with pytest.raises(Refused):
            jpeg2000.whole(job)
    # More than is held at once: the half of it.
    monkeypatch.setattr(jpeg2000, "_MOST_BYTES", 300 * 200 * 16)
    assert decoders.decode(job._replace(target=290), lenient=False).pixels.shape == (100, 150, 3)
    assert decoders.decode(job, lenient=False).pixels.shape == (200, 300, 3)


def test_a_picture_of_a_few_very_long_rows_is_reduced_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (9, 4000, 3), np.uint8)
    image = Image.fromarray(noise)
    expected = conversion.from_image(image, 400), conversion.from_array(noise, 400)
    monkeypatch.setattr(conversion, "BLOCK", 900)
    largest = max((right - left) * (bottom - top) for left, top, right, bottom in conversion.blocks(4000, 9, 10))
    assert largest <= 900
    assert np.array_equal(conversion.from_image(image, 400), expected[0])
    assert np.array_equal(conversion.from_array(noise, 400), expected[1])
    layout = samples.Layout(4000, 9, 3)
    made = samples.to_pixels(lambda top, bottom: noise[top:bottom], layout, 400)
    assert difference(made, expected[0]) <= 1


def test_a_picture_that_takes_more_than_any_may_is_refused_in_a_sentence(tmp_path: Path) -> None:
    # The header of a JPEG XL of 17,000 x 17,000 pixels; its decoder makes all of them.
    bits = 2 << 1 | 16_999 << 3 | 1 << 21
    path = tmp_path / "a.jxl"
    path.write_bytes(b"\xff\x0a" + bits.to_bytes(8, "little"))
    pytest.importorskip("pillow_jxl")
    with pytest.raises(decode.TooLargeError, match=r"a\.jxl: decoding it takes about 2\.2 GiB of memory, more than"):
        decode.decode(path, target=1280)
    from rollcall.settings import DecodeSettings

    with pytest.raises(decode.PictureError, match="damaged"):
        decode.decode(path, target=1280, limits=DecodeSettings(memory_megabytes=4096))
    assert decode._plan(Job(Format.JXL, path.read_bytes(), 1280)).needed > 2 << 30


def in_bits(values: np.ndarray, bits: int, order: str) -> bytes:
    """Return rows of numbers of some bits one behind the other, each row from a byte on."""
    numbers = (values.reshape(values.shape[0], -1) / 255 * ((1 << bits) - 1)).round().astype(np.uint32)
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    packed = np.packbits((numbers[..., None] >> shifts & 1).astype(np.uint8).reshape(len(numbers), -1), axis=1)
    if bits == 24 and order == "<":
        packed = packed.reshape(len(numbers), -1, 3)[..., ::-1]
    return packed.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "near"), [(2, 45), (4, 10), (6, 4), (10, 2), (12, 2), (14, 2), (24, 2)])
@pytest.mark.parametrize("apart", [False, True])
def test_numbers_of_any_bits_are_read(
    bits: int, near: float, order: str, apart: bool, shown: Callable[..., np.ndarray]
) -> None:
    planes = [WHOLE[..., channel] for channel in range(3)] if apart else [WHOLE]
    data = tiff_of([in_bits(plane, bits, order) for plane in planes], bits, 1, 3, order)
    assert difference(shown(data), WHOLE) <= near


@pytest.mark.parametrize("bits", [6, 10, 12])
def test_grey_of_any_bits_is_read(bits: int, shown: Callable[..., np.ndarray]) -> None:
    data = tiff_of([in_bits(WHOLE[..., 1], bits, ">")], bits, 1, 1, ">")
    assert difference(shown(data), np.repeat(WHOLE[..., 1:2], 3, axis=2)) <= 4
