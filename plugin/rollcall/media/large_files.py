"""Files too large to be held twice: the process that decodes one reads it itself, and looks at its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rollcall.errors import PictureError
from rollcall.media import reading
from rollcall.media.formats import Format
from rollcall.media.job import Changed, Job


def digest(data: bytes) -> str:
    """Return the hexadecimal BLAKE2b-128 of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def loaded(job: Job) -> Job:
    """Return a job with the bytes of its file, which are those that were hashed.

    Raises
    ------
    Changed
        If it has others now, or cannot be read any more.
    """
    if job.data or not job.path or job.kind is Format.VIDEO:
        return job
    try:
        # Who asked ends this process when it takes too long.
        data = reading.read(Path(job.path), float("inf"))
    except PictureError as error:
        raise Changed from error
    if digest(data) != job.digest:
        raise Changed
    return job._replace(data=data)
