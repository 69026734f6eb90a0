"""Drawn files that decoders disagree about: damaged, cut off, or of an unusual kind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, PngImagePlugin

from drawn import Pixels, encoded, exif_bytes


def picture(width: int = 160, height: int = 96) -> Pixels:
    """Return a picture (height, width, 3) of which every row differs from the next."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    pixels[: height // 2, : width // 2] = (250, 20, 20)
    return pixels


WHOLE: Final = picture()


def png_chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_of(stream: list[bytes], before: bytes = b"", end: bytes | None = None) -> bytes:
    """Return a PNG of `WHOLE` with its stream in these parts."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WHOLE.shape[1], WHOLE.shape[0], 8, 2, 0, 0, 0))
    parts = b"".join(png_chunk(b"IDAT", part) for part in stream)
    return b"\x89PNG\r\n\x1a\n" + header + before + parts + (png_chunk(b"IEND", b"") if end is None else end)


def png_rows() -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in WHOLE)


def bmp_fields(bits: int, masks: tuple[int, int, int], header: int = 40, top_down: bool = False) -> bytes:
    """Return a BMP of `WHOLE` whose colours lie in bit fields."""
    values = np.zeros(WHOLE.shape[:2], np.uint64)
    for channel, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        field = np.rint(WHOLE[..., channel].astype(float) * (mask >> shift) / 255).astype(np.uint64)
        values |= field << np.uint64(shift)
    rows = values.astype("<u2" if bits == 16 else "<u4")
    stride = (WHOLE.shape[1] * bits + 31) // 32 * 4
    data = b"".join(row.tobytes().ljust(stride, b"\0") for row in (rows if top_down else rows[::-1]))
    height = -WHOLE.shape[0] if top_down else WHOLE.shape[0]
    info = struct.pack("<IiiHHIIiiII", header, WHOLE.shape[1], height, 1, bits, 3, len(data), 2835, 2835, 0, 0)
    fields = struct.pack("<III", *masks)
    info += fields if header == 40 else (fields + bytes(4)).ljust(header - 40, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(data), 0, 0, 14 + len(info)) + info + data


def _jpegs() -> dict[str, bytes]:
    plain, progressive = encoded(WHOLE, "JPEG"), encoded(WHOLE, "JPEG", progressive=True)
    jfif = 4 + int.from_bytes(plain[4:6], "big")
    return {
        "without its end": plain[:-2],
        "with half of its end": plain[:-1],
        "with something behind it": plain + bytes(500) + b"tail",
        "without its end and with something behind it": plain[:-2] + b"\0\0\x01\x0aPanorama" + b"SEFT",
        "progressive without its end": progressive[:-2],
        "with a profile that is none": plain[:2] + b"\xff\xe2\x00\x08ICC_P\0" + plain[2:],
        "with fill bytes": plain[:2] + b"\xff\xff\xff" + plain[2:],
        "with bytes between segments": plain[:jfif] + b"\0\0\0junk" + plain[jfif:],
        "without its first segment": plain[:2] + plain[jfif:],
        "with damaged EXIF": encoded(WHOLE, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "with EXIF of no length": plain[:2] + b"\xff\xe1\x00\x02" + plain[2:],
    }


def _pngs() -> dict[str, bytes]:
    stream = zlib.compress(png_rows())
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "<x>" + "0123456789abcdef" * 90_000 + "</x>", zip=True)
    wrong = bytearray(png_of([stream]))
    wrong[-14] ^= 255  # of the checksum of IDAT
    return {
        "with a megabyte of XMP": encoded(WHOLE, "PNG", pnginfo=texts),
        "with a wrong checksum of its pixels": bytes(wrong),
        "with a wrong checksum of a text": png_of([stream], png_chunk(b"tEXt", b"Comment\0hello", 1)),
        "with a text that cannot be unpacked": png_of([stream], png_chunk(b"zTXt", b"Comment\0\0garbage")),
        "with a profile that cannot be unpacked": png_of([stream], png_chunk(b"iCCP", b"icc\0\0garbage")),
        "with a time that is none": png_of([stream], png_chunk(b"tIME", b"x")),
        "with a gamma of zero": png_of([stream], png_chunk(b"gAMA", bytes(4))),
        "without its end": png_of([stream], end=b""),
        "with half of its end": png_of([stream])[:-5],
        "with something behind it": png_of([stream]) + b"junk" * 100,
        "with a wrong checksum of its stream": png_of([stream[:-4] + bytes(4)]),
        "without the checksum of its stream": png_of([stream[:-4]]),
        "in many parts": png_of([stream[start : start + 7] for start in range(0, len(stream), 7)]),
        "with an empty part": png_of([b"", stream]),
        "with more than its pixels": png_of([zlib.compress(png_rows() + bytes(5000))]),
    }


def _others() -> dict[str, bytes]:
    lossless = encoded(WHOLE, "WEBP", lossless=True, exif=exif_bytes({0x112: 1}))
    gif = encoded(Image.fromarray(WHOLE).quantize(64), "GIF")
    no_screen = gif[:6] + bytes(4) + gif[10:]
    bmp = encoded(WHOLE, "BMP")
    return {
        "WebP with something behind it": lossless + b"junk" * 10,
        "GIF without its end": gif[:-1],
        "GIF with something behind it": gif + b"junk" * 9,
        "GIF without a screen": no_screen,
        "BMP that says it has no bytes": bmp[:2] + bytes(4) + bmp[6:],
        "BMP without planes": bmp[:26] + bytes(2) + bmp[28:],
        "BMP 565": bmp_fields(16, (0xF800, 0x7E0, 0x1F)),
        "BMP 565 top down": bmp_fields(16, (0xF800, 0x7E0, 0x1F), top_down=True),
        "BMP 555": bmp_fields(16, (0x7C00, 0x3E0, 0x1F)),
        "BMP 444": bmp_fields(16, (0xF00, 0xF0, 0xF)),
        "BMP of 30 bits": bmp_fields(32, (0x3FF00000, 0xFFC00, 0x3FF)),
        "BMP RGBX": bmp_fields(32, (0xFF, 0xFF00, 0xFF0000)),
        "BMP version 3": bmp_fields(32, (0xFF0000, 0xFF00, 0xFF), 56),
        "BMP version 4": bmp_fields(32, (0xFF0000, 0xFF00, 0xFF), 108),
        "BMP version 5": bmp_fields(32, (0xFF000000, 0xFF0000, 0xFF00), 124),
        "AVIF with something behind it": encoded(WHOLE, "AVIF", quality=95, subsampling="4:4:4") + b"junk" * 9,
    }


def shown_whole() -> dict[str, bytes]:
    """Return files of `WHOLE` with damage or oddities that hide nothing of the picture."""
    jpegs = {f"JPEG {name}": data for name, data in _jpegs().items()}
    return jpegs | {f"PNG {name}": data for name, data in _pngs().items()} | _others()


#: Files of `WHOLE` of which two thirds are there.
CUT: Final[dict[str, Callable[[], bytes]]] = {
    name: lambda make=make: make()[: len(make()) * 2 // 3]
    for name, make in {
        "JPEG": lambda: encoded(WHOLE, "JPEG"),
        "progressive JPEG": lambda: encoded(WHOLE, "JPEG", progressive=True),
        "PNG": lambda: encoded(WHOLE, "PNG"),
        "lossy WebP": lambda: encoded(WHOLE, "WEBP", lossless=False, quality=90),
        "GIF": lambda: encoded(Image.fromarray(WHOLE).quantize(64), "GIF", interlace=0),
        "BMP": lambda: encoded(WHOLE, "BMP"),
        "TIFF": lambda: encoded(WHOLE, "TIFF"),
        "PPM": lambda: encoded(WHOLE, "PPM"),
        "JPEG 2000": lambda: encoded(WHOLE, "JPEG2000"),
    }.items()
}
