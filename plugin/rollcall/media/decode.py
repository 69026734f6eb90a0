"""Files to upright pixels: every format and every bad file ends here.

JPEG goes through OpenCV, which can decode it at a half, a quarter or an eighth of its size for as much
less work; everything else goes through Pillow, which is as quick there and says what is wrong with a
damaged file. A file is read once: hash, header and pixels come from the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from rollcall.errors import NotAPictureError, TooLargeError, UnreadableError, UnsupportedFormatError
from rollcall.media import exif, jxl
from rollcall.records import Picture

_JPEG: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
_PLAIN: Final = frozenset({".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"})
_HEIC: Final = frozenset({".heic", ".heif", ".hif"})
_JXL: Final = frozenset({".jxl"})
_RAW: Final = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".rw2", ".orf", ".raf", ".pef", ".srw", ".x3f"}
)
#: Lower-case suffixes of the files that are taken for pictures.
SUFFIXES: Final = _JPEG | _PLAIN | _HEIC | _JXL | _RAW
#: What these suffixes may hold, by Pillow's names and whatever the suffix. Pillow knows more, and some of that is no
#: thing to open unasked: EPS is a program, which Pillow hands to Ghostscript to run.
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF", "JXL")
#: A file of more bytes than this is no photograph, and reading it whole would fill the memory.
MAX_BYTES: Final = 2 << 30

# Our own limit comes first and has a sentence of its own.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file is told by an error or told to nobody. Once and for all, because `catch_warnings` is not
# safe on threads: two at once can silence every warning of the host for good.
warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif|pillow_jxl")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def content_hash(path: Path) -> str:
    """Return the hexadecimal BLAKE2b-128 of the file's bytes.

    Raises
    ------
    UnreadableError, TooLargeError
        If the file cannot be read, or has more than `MAX_BYTES`.
    """
    return _hash(_read(path))


def decode(path: Path, *, target: int | None = None, max_megapixels: float = 300.0) -> Picture:
    """Return the picture of a file, upright.

    With `target` the pixels may be reduced, as long as their longest side keeps at least `target`
    pixels; the picture's `width` and `height` are those of the file all the same.

    Raises
    ------
    UnreadableError, NotAPictureError, TooLargeError, UnsupportedFormatError
        And nothing else, whatever the bytes.
    """
    data = _read(path)
    digest = _hash(data)
    if not data:
        raise NotAPictureError(path, "the file is empty")
    suffix = path.suffix.lower()
    try:
        if suffix in _RAW:
            data = _raw_preview(path, data)
        return _decode(path, data, digest, target, max_megapixels)
    except (NotAPictureError, TooLargeError, UnsupportedFormatError):
        raise
    except MemoryError as error:
        raise TooLargeError(
            path, "there is not enough memory to decode it", "close other programs and retry"
        ) from error
    # Decoders raise almost anything on damaged files (struct.error, IndexError, SyntaxError, ...), and
    # one damaged file must never stop a run.
    except Exception as error:
        raise NotAPictureError(path, f"the file is damaged ({_short(error)})") from error


def _read(path: Path) -> bytes:
    try:
        info = path.stat()
        if info.st_size > MAX_BYTES:
            raise TooLargeError(path, f"the file has {info.st_size / 2**30:.1f} GiB", "no picture above 2 GiB is read")
        # Reading a pipe would wait until someone writes to it.
        if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
            raise UnreadableError(path, "it is no ordinary file", "copy the picture into one")
        return path.read_bytes()
    # A name that no file can have (with a zero byte, say) is a ValueError.
    except (OSError, ValueError) as error:
        raise UnreadableError(
            path,
            f"the file cannot be read ({getattr(error, 'strerror', None) or error})",
            "check that it exists and may be read",
        ) from error


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _decode(path: Path, data: bytes, digest: str, target: int | None, max_megapixels: float) -> Picture:
    # The one decoder that makes all pixels when a file is opened, so its header is read before.
    _limit(path, jxl.size(data), max_megapixels)
    image = _opened(path, data)
    _limit(path, image.size, max_megapixels)
    orientation, taken = exif.read(image)
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        # The decoder turns the picture by the codestream's orientation; the copy in EXIF has no say. Only what was
        # a JPEG comes back as that JPEG: not turned.
        orientation = 1
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        pixels = _jpeg(path, data, max(image.size), target)
        width, height = image.size
    else:
        pixels = _rgb(image)
        height, width = pixels.shape[:2]
        pixels = _reduced(pixels, target)
    # Pillow has turned a TIFF already when its pixels are there.
    turn = 1 if image.format == "TIFF" else orientation
    pixels = exif.upright(pixels, turn)
    if turn >= 5:
        width, height = height, width
    return Picture(path, np.ascontiguousarray(pixels), width, height, orientation, digest, taken)


def _limit(path: Path, size: tuple[int, int], max_megapixels: float) -> None:
    megapixels = size[0] * size[1] / 1e6
    if megapixels > max_megapixels:
        raise TooLargeError(
            path,
            f"the picture has {megapixels:.0f} megapixels, more than the limit of {max_megapixels:g}",
            "raise the setting decode.max_megapixels if it is wanted",
        )


def _opened(path: Path, data: bytes) -> Image.Image:
    """Return Pillow's view of the header."""
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        suffix = path.suffix.lower()
        for suffixes, magic, extra, module in (
            (_HEIC, b"ftyp", "heic", "pillow_heif"),
            (_JXL, b"JXL ", "jxl", "pillow_jxl"),
        ):
            looks = suffix in suffixes or (magic == b"JXL " and data[4:8] == magic)
            if looks and not _installed(module):
                raise UnsupportedFormatError(
                    path,
                    f"{suffix[1:].upper()} files need an extra",
                    f"install it with `pip install 'rollcall[{extra}]'`",
                ) from error
        raise NotAPictureError(path, "the file is not a picture, or is damaged beyond recognition") from error


def _jpeg(path: Path, data: bytes, longest: int, target: int | None) -> NDArray[np.uint8]:
    """Decode a JPEG at the least size that keeps `target`; refuse one that was cut off."""
    start_of_scan = data.find(b"\xff\xda")
    # The decoder fills what is missing with grey and says nothing. Behind the start of the scan only the end of
    # the image looks like this, whatever a phone appends after it; before it thumbnails have their own.
    if start_of_scan < 0 or data.rfind(b"\xff\xd9") < _main_scan(data):
        raise NotAPictureError(path, "the JPEG is truncated", "copy it again from where it came from")
    flag = cv2.IMREAD_COLOR
    if target:
        for factor, reduced in (
            (8, cv2.IMREAD_REDUCED_COLOR_8),
            (4, cv2.IMREAD_REDUCED_COLOR_4),
            (2, cv2.IMREAD_REDUCED_COLOR_2),
        ):
            if longest // factor >= target:
                flag = reduced
                break
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise NotAPictureError(path, "the JPEG is damaged and cannot be decoded")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _main_scan(data: bytes) -> int:
    """Return where the scan of the main image begins, behind all headers (and the thumbnails in them)."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return position
        marker = data[position + 1]
        if marker == 0xDA:
            return position
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:
            position += 1 if marker == 0xFF else 2
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return len(data)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Return 8-bit RGB of any mode of Pillow's: 16-bit scaled down, transparency laid on white."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image.load()
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _grey_to_rgb(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _grey_to_rgb(values: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
    highest = values.max(initial=0.0)
    if highest > 255:
        values = values / (257.0 if highest <= 65535 else highest / 255.0)
    elif 0 < highest <= 1:
        values = values * 255.0
    grey = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _reduced(pixels: NDArray[np.uint8], target: int | None) -> NDArray[np.uint8]:
    """Average down by a whole factor, so that a large picture does not lie about whole in the queues."""
    factor = max(pixels.shape[:2]) // target if target else 1
    if factor < 2 or min(pixels.shape[:2]) < factor:
        return pixels
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _raw_preview(path: Path, data: bytes) -> bytes:
    """Return the JPEG that the camera put into its raw file, or one made from the raw data."""
    if not _installed("rawpy"):
        raise UnsupportedFormatError(path, "raw files need an extra", "install it with `pip install 'rollcall[raw]'`")
    import rawpy

    with rawpy.imread(io.BytesIO(data)) as raw:
        try:
            preview = raw.extract_thumb()
            if preview.format == rawpy.ThumbFormat.JPEG:
                with Image.open(io.BytesIO(preview.data)) as image:
                    if max(image.size) >= 1000:
                        return bytes(preview.data)
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            pass
        pixels = raw.postprocess(half_size=True, use_camera_wb=True)
    buffer = io.BytesIO()
    # Lossless, and the raw converter has turned it upright already.
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


@cache
def _installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


@cache
def _formats() -> tuple[str, ...]:
    """Return which of `_FORMATS` can be opened here, the extras registered."""
    if _installed("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    if _installed("pillow_jxl"):
        import pillow_jxl  # noqa: F401 (registers itself)
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
