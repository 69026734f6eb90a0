"""What is shown of photos and faces in a few words, and what makes the addresses of their pictures their own."""

from __future__ import annotations

import hashlib

from rollcall.ages import OLDEST
from rollcall.media.paths import readable
from rollcall.records import GIVEN_AGES, Box
from rollcall.search.details import FaceDetails, PhotoDetails
from rollcall.web import formats, names
from rollcall.web.translation import gettext


def about(face: FaceDetails) -> str:
    """Return age and gender of a face in one line."""
    return ", ".join(part for part in (_age(face), _gender(face)) if part) or gettext("nothing is known")


def _age(face: FaceDetails) -> str:
    if face.age is None:
        return ""
    if face.age_interval is None or face.age_interval[0] == face.age_interval[1]:
        return f"{face.age:.0f}"
    low, high = face.age_interval
    if face.age_source in GIVEN_AGES and high >= OLDEST:
        return f"{low:.0f}+"  # nobody said that they may be 130
    interval = f"{low:.0f}–{high:.0f}"
    return interval if face.age_source in GIVEN_AGES else f"{face.age:.0f} ({interval})"


def _gender(face: FaceDetails) -> str:
    if face.gender_source == "user":
        return readable(names.gender(face.gender)) if face.gender else ""
    p = face.p_female
    return "" if p is None else f"{names.gender('female' if p >= 0.5 else 'male')} {formats.percent(max(p, 1 - p))}"


def photo_version(photo: PhotoDetails) -> str:
    """Return what makes the address of a photo's picture its own: a browser may keep what it got from there."""
    version = version_of_photo(photo.version, photo.poster_time)
    return f"?v={version}" if version else ""


def version_of_photo(content: str, poster: float | None) -> str:
    """Return the version of a photo's picture: of its content and, in a video, the time of the frame."""
    return content + ("" if poster is None else f"-{poster:.3f}") if content else ""


def clock(seconds: float | None) -> str:
    """Return a time in a video, such as "0:07" or "1:02:03"; "" for a photo."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def face_version(face: FaceDetails, photo: PhotoDetails) -> str:
    """Return the same for a face, whose picture changes with its photo and its box."""
    version = version_of_face(photo.version, face.box, face.video_time)
    return f"?v={version}" if version else ""


def version_of_face(content: str, box: Box, at: float | None) -> str:
    """Return the version of a face's picture: of its photo's content and its box."""
    return hashlib.blake2b(f"{content}{box}{at or ''}".encode(), digest_size=6).hexdigest() if content else ""
