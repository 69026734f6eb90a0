"""What a picture's header says of how it was taken: orientation and capture time."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rollcall.records import CaptureTime

_ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
#: Date, offset and fraction of a second, the most telling first: taken, digitised, changed.
_TIMES: Final = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292), (0x0132, 0x9010, 0x9290))


def read(image: Image.Image) -> tuple[int, CaptureTime | None]:
    """Return the EXIF orientation, 1..8, and the capture time; 1 and None where there is none or it is damaged."""
    try:
        exif = image.getexif()
        fields: dict[int, Any] = {**dict(exif), **exif.get_ifd(_EXIF_IFD)}
    # A damaged header raises almost anything, and says nothing about the pixels.
    except Exception:
        return 1, None
    orientation = fields.get(_ORIENTATION, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    return orientation, _time(fields)


def _time(fields: dict[int, Any]) -> CaptureTime | None:
    for date, offset, fraction in _TIMES:
        match = re.match(r"\s*(\d{4})[:\-/.](\d\d?)[:\-/.](\d\d?)[ T](\d\d?):(\d\d?):(\d\d?)", _text(fields.get(date)))
        if not match:
            continue
        try:
            local = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
        digits = re.match(r"\d{1,6}", _text(fields.get(fraction)).strip())
        if digits:
            local = local.replace(microsecond=int(digits.group().ljust(6, "0")))
        return CaptureTime(local, _offset(_text(fields.get(offset))))
    return None


def _offset(text: str) -> int | None:
    """Return minutes east of Greenwich from "+02:00", or None."""
    match = re.match(r"\s*(?:(Z)|([+-])(\d\d):?(\d\d))", text)
    if not match:
        return None
    if match[1]:
        return 0
    minutes = int(match[3]) * 60 + int(match[4])
    return minutes * (1 if match[2] == "+" else -1) if minutes <= 14 * 60 else None


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return stored pixels (h, w, 3) turned and mirrored as the EXIF orientation says."""
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return pixels
    return np.asarray(turned, np.uint8)
