"""Pictures of every format for the fuzzer, with metadata of every kind, made by the libraries that read them."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, features

from drawn import exif_bytes

XMP: Final = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    ' exif:DateTimeOriginal="{date}" tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
)
#: What cameras, scanners and broken programs write as times.
DATES: Final = (
    *("2019:06:12 10:15:00", "0001:01:01 00:00:00", "9999:99:99 99:99:99", "2019-06-12T10:15:00+14:00", "    :  :", ""),
    *(
        "2019:06:12",
        "0000:00:00 00:00:00",
        "\x00" * 20,
        "2300:01:01 00:00:00",
        "x" * 300,
        "10/06/2019",
        "１９９９:01:01 00:00:00",
    ),
)
_TAGS: Final = (0x0132, 0x0112, 0x010F, 0x011A, 0x8825, 0x0100, 0x0101, 0x9003, 0x9004, 0x9010, 0x9011, 0x9290, 0xA002)

Pixels = NDArray[np.uint8]


def picture(chance: random.Random) -> Pixels:
    """Return a picture (height, width, 3) with a square or two."""
    height, width = chance.randrange(16, 200), chance.randrange(16, 260)
    pixels = np.full((height, width, 3), chance.randrange(200), np.uint8)
    pixels[: height // 3] = np.random.default_rng(chance.randrange(2**32)).integers(0, 200, (height // 3, width, 3))
    pixels[height // 2 : height // 2 + 8, 4:12] = (255, chance.randrange(1, 90), 255)
    return pixels


def exif(chance: random.Random) -> bytes:
    """Return EXIF with some tags, of which some have no business there."""
    main: dict[int, Any] = {0x0112: chance.choice((1, 3, 6, 8, 0, 9, 65535)), 0x0132: chance.choice(DATES)}
    detail: dict[int, Any] = {0x9003: chance.choice(DATES), 0x9011: chance.choice(("+02:00", "+99:99", "Z", "", "x"))}
    for _ in range(chance.randrange(4)):
        tag = chance.choice(_TAGS[:7])
        main[tag] = chance.choice((0, 1, 2**16 - 1, 2**32 - 1, "x" * chance.randrange(200), chance.choice(DATES)))
    detail[0x9290] = chance.choice(("12", "999999999999", "", "-1"))
    try:
        return exif_bytes(main, detail)
    except (struct.error, OverflowError, ValueError, TypeError, AttributeError):
        return exif_bytes({0x0112: 6})


def xmp(chance: random.Random) -> bytes:
    """Return XMP with a time and an orientation."""
    return XMP.format(date=chance.choice(DATES), orientation=chance.choice(("1", "6", "-1", "x", "9" * 50))).encode()


def iptc(chance: random.Random) -> bytes:
    """Return an APP13 segment with the date of IPTC."""
    date = chance.choice((b"20190612", b"00000000", b"99999999", b"2019", b"\xff" * 8))
    records = b"\x1c\x02\x37" + struct.pack(">H", len(date)) + date + b"\x1c\x02\x3c\x00\x0b101500+0200"
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(records)) + records
    body = b"Photoshop 3.0\x00" + resource
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _jpeg(image: Image.Image, chance: random.Random) -> bytes:
    mode = chance.choice(("RGB", "RGB", "L", "CMYK"))
    data = _saved(
        image.convert(mode), "JPEG", exif=exif(chance), progressive=chance.random() < 0.3, xmp=xmp(chance), quality=80
    )
    return data[:2] + iptc(chance) + data[2:]


def _png(image: Image.Image, chance: random.Random) -> bytes:
    mode = chance.choice(("RGB", "RGBA", "L", "P", "I;16", "1", "LA"))
    converted = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp(chance).decode())
    texts.add_text("Creation Time", chance.choice(DATES).replace("\x00", ""), zip=chance.random() < 0.5)
    return _saved(converted, "PNG", pnginfo=texts, exif=exif(chance))


def _tiff(image: Image.Image, chance: random.Random) -> bytes:
    compression = chance.choice(("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"))
    mode = "RGB" if compression == "jpeg" else chance.choice(("RGB", "RGBA", "L", "F", "1", "CMYK"))
    return _saved(image.convert(mode), "TIFF", compression=compression, big_tiff=chance.random() < 0.3)


def _opencv(suffix: str) -> Callable[[Image.Image, random.Random], bytes]:
    def make(image: Image.Image, chance: random.Random) -> bytes:
        pixels = np.asarray(image)[..., ::-1]
        if suffix in (".png", ".tiff") and chance.random() < 0.5:
            pixels = pixels.astype(np.uint16) * 257
        options: list[int] = []
        if suffix == ".tiff" and chance.random() < 0.5:
            deep = (pixels.astype(np.float32) / 255, pixels.astype(np.float64), pixels.astype(np.uint32) << 24)
            pixels = chance.choice(deep)  # type: ignore[assignment]
            predictor = chance.choice((1, 2, 3) if pixels.dtype.kind == "f" else (1, 2))
            options = [cv2.IMWRITE_TIFF_COMPRESSION, chance.choice((1, 5, 8)), cv2.IMWRITE_TIFF_PREDICTOR, predictor]
        return bytes(cv2.imencode(suffix, pixels, options)[1])

    return make


def _pam(image: Image.Image, chance: random.Random) -> bytes:
    channels, name = chance.choice(((1, "GRAYSCALE"), (2, "GRAYSCALE_ALPHA"), (3, "RGB"), (4, "RGB_ALPHA")))
    highest = chance.choice((1, 100, 255, 1023, 65535))
    pixels = np.asarray(image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
    stored = (pixels / 255 * highest).astype(np.uint8 if highest < 256 else ">u2")
    size = f"WIDTH {image.width}\nHEIGHT {image.height}\nDEPTH {channels}\nMAXVAL {highest}"
    return f"P7\n{size}\nTUPLTYPE {name}\nENDHDR\n".encode() + stored.tobytes()


def _pfm(image: Image.Image, chance: random.Random) -> bytes:
    order, scale = chance.choice((("<", "-1.0"), (">", "1.0")))
    pixels = np.asarray(image if chance.random() < 0.5 else image.convert("L"))[::-1] / 255
    kind = "PF" if pixels.ndim == 3 else "Pf"
    return f"{kind}\n{image.width} {image.height}\n{scale}\n".encode() + pixels.astype(f"{order}f4").tobytes()


def _webp(image: Image.Image, chance: random.Random) -> bytes:
    options: dict[str, Any] = {"lossless": chance.random() < 0.5, "exif": exif(chance), "xmp": xmp(chance)}
    if chance.random() < 0.3:
        options |= {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    return _saved(image.convert(chance.choice(("RGB", "RGBA"))), "WEBP", **options)


def _gif(image: Image.Image, chance: random.Random) -> bytes:
    return _saved(image, "GIF", save_all=True, append_images=[image.rotate(45)] * chance.randrange(3))


def _plain(kind: str, *modes: str, **options: Any) -> Callable[[Image.Image, random.Random], bytes]:
    def make(image: Image.Image, chance: random.Random) -> bytes:
        given = {name: value(chance) if callable(value) else value for name, value in options.items()}
        return _saved(image.convert(chance.choice(modes)), kind, **given)

    return make


def _mpo(image: Image.Image, chance: random.Random) -> bytes:
    return _saved(image, "MPO", save_all=True, append_images=[image.rotate(180)], exif=exif(chance))


def makers() -> dict[str, Callable[[Image.Image, random.Random], bytes]]:
    """Return by suffix what makes a file of each format that can be written here."""
    result: dict[str, Callable[[Image.Image, random.Random], bytes]] = {
        ".jpg": _jpeg,
        ".mpo": _mpo,
        ".png": _png,
        ".tif": _tiff,
        ".tiff": _opencv(".tiff"),
        ".webp": _webp,
        ".gif": _gif,
        ".bmp": _plain("BMP", "RGB", "L", "P", "1", "RGBA"),
        ".jpeg": _opencv(".jpg"),
        ".ppm": _plain("PPM", "RGB", "L", "1"),
        ".pam": _pam,
        ".pfm": _pfm,
        # A raw file to all that look at its name.
        ".nef": _jpeg,
        ".dng": _tiff,
    }
    if features.check("jpg_2000"):
        result[".jp2"] = _plain("JPEG2000", "RGB", "L", "RGBA")
    if features.check("avif"):
        result[".avif"] = _plain("AVIF", "RGB", "RGBA", exif=exif)
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
        result[".heic"] = _plain("HEIF", "RGB", "RGBA", "L", exif=exif)
    try:
        import pillow_jxl  # noqa: F401  registers itself
    except ImportError:
        pass
    else:
        result[".jxl"] = _plain("JXL", "RGB", "RGBA", "L", exif=exif)
    return result


def make(chance: random.Random) -> dict[str, list[bytes]]:
    """Return some sound files of each format, by suffix."""
    result: dict[str, list[bytes]] = {}
    for suffix, maker in makers().items():
        for _ in range(6):
            image = Image.fromarray(picture(chance))
            result.setdefault(suffix, []).append(maker(image, chance))
    return result
