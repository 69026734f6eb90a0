"""Decode what Pillow knows."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from PIL import Image, ImageFile

from rollcall.media.conversion import factor_for, from_image
from rollcall.media.formats import installed
from rollcall.media.job import Decoded, Job, Refused, TooManyPixels, check_size

DAMAGED: Final = "the file is damaged; parts of the picture may be missing"

# Our own limit comes first and has a sentence of its own.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file becomes an error or a warning of the picture. Once and for all, because `catch_warnings` is
# not safe on threads: two at once can silence every warning of the host for good.
warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif|pillow_jxl")
# What Pillow logs of a damaged file does not name it, and an exception says the same.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class Reduced(NamedTuple):
    """A JPEG 2000 that is halved while it is decoded."""

    halvings: int
    width: int  # afterwards, in pixels
    height: int


def opened(data: bytes, formats: Sequence[str]) -> Image.Image:
    """Return Pillow's view of a file's header.

    Raises
    ------
    Refused
        If it is none of these formats.
    """
    if "JXL" in formats and installed("pillow_jxl"):
        import pillow_jxl  # noqa: F401 (registers itself)
    Image.init()
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in formats if name in Image.OPEN])
    # Damaged headers raise almost anything (struct.error, IndexError, SyntaxError, ...).
    except Exception as error:
        raise Refused(f"Pillow: {error}") from error


def unpacked(data: bytes, format_: str) -> Image.Image:
    """Return a picture of a format of Pillow's with its pixels.

    Raises
    ------
    Refused
        If it is none, or is damaged.
    """
    image = opened(data, (format_,))
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as for headers
        raise Refused(f"Pillow: {error}") from error
    return image


def is_known(job: Job) -> bool:
    """Return whether Pillow understands the header of a file."""
    try:
        opened(job.data, (job.kind.name,))
    except Refused:
        return False
    return True


def decode(job: Job, formats: Sequence[str], *, turned: bool = False, reduced: Reduced | None = None) -> Decoded:
    """Decode a file as the first of its pictures, reduced while decoding where the format can.

    `turned`: Pillow turns pictures of this format upright by itself. `reduced`: how a JPEG 2000 is halved.

    Raises
    ------
    Refused
        If Pillow cannot decode all of it.
    """
    image = opened(job.data, formats)
    width, height = image.size
    check_size(job, width, height)
    try:
        _reduce_while_decoding(image, job.target, reduced)
        image.load()
        if turned:
            width, height = image.size
        return Decoded(from_image(image, job.target), width, height, turned, bytes(image.info.get("exif") or b""))
    except (MemoryError, TooManyPixels):
        raise
    except Exception as error:
        raise Refused(f"Pillow: {error}") from error
    finally:
        # Some of Pillow's pictures refer to themselves: file and pixels would be held until garbage is collected.
        image.close()


def decode_damaged(
    job: Job, formats: Sequence[str], *, turned: bool = False, reduced: Reduced | None = None
) -> Decoded:
    """Decode as much of a damaged file as Pillow can, for a process of its own: it changes a global of Pillow's.

    Raises
    ------
    Refused
        If there is nothing to show.
    """
    with truncated_allowed():
        return unless_blank(decode(job, formats, turned=turned, reduced=reduced)._replace(warnings=(DAMAGED,)))


@contextmanager
def truncated_allowed() -> Iterator[None]:
    """Have Pillow show what is there of files that end early or are damaged, in this block and on all threads."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def unless_blank(found: Decoded) -> Decoded:
    """Return what was decoded of a damaged file.

    Raises
    ------
    Refused
        If all of it has one colour: nothing was decoded but the size.
    """
    pixels = found.pixels
    if pixels.size == 0 or (pixels == pixels[:1, :1]).all():
        raise Refused("nothing but one colour")
    return found


def _reduce_while_decoding(image: Image.Image, target: int | None, reduced: Reduced | None) -> None:
    """Ask the decoders of JPEG and JPEG 2000 for a smaller picture."""
    width, height = image.size
    factor = factor_for(width, height, target)
    if image.format in ("JPEG", "MPO") and factor > 1:
        image.draft(image.mode, (max(width // factor, 1), max(height // factor, 1)))
    elif image.format == "JPEG2000" and reduced is not None:
        image.reduce = reduced.halvings  # type: ignore[method-assign,assignment]
        # Pillow divides by rounding where OpenJPEG rounds up, and takes another size for damage (Pillow 13).
        image._size = (reduced.width << reduced.halvings, reduced.height << reduced.halvings)
