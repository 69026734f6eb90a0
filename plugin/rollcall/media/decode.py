"""Files to upright pixels: every format and every bad file ends here.

Hash, header and pixels come from the same bytes. A large file is read again by the process that decodes it, so that its
bytes are not held twice, and from the beginning if they are others by then. The plain formats are decoded in this
process; rare ones, damaged files and pictures that take much memory in another one, which can be ended. How much memory
decoding takes is estimated from the header and reserved first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from rollcall.errors import (
    NotAPictureError,
    NotEnoughMemoryError,
    PictureError,
    TooLargeError,
    UnreadableError,
    UnsupportedFormatError,
)
from rollcall.media import (
    allocator,
    decoders,
    estimates,
    facts,
    formats,
    large_files,
    memory_budget,
    metadata,
    reading,
    video,
    worker,
)
from rollcall.media.formats import SUFFIXES, Format
from rollcall.media.job import Changed, Decoded, Job, Refused, TooManyPixels
from rollcall.media.orientation import swaps_sides, upright
from rollcall.media.reading import MAX_BYTES
from rollcall.records import Picture
from rollcall.sentences import Sentence
from rollcall.settings import DecodeSettings

__all__ = ["MAX_BYTES", "SUFFIXES", "content_hash", "decode", "interrupt"]

_LOG: Final = logging.getLogger(__name__)
#: A picture that takes more memory than this is decoded where that memory is given back, and where it can be ended.
_IN_PROCESS: Final = 384 << 20
#: Before a picture that takes more than this is decoded elsewhere, what is free here is given back.
_HEAVY: Final = 512 << 20
#: Files of so many bytes are not sent to the process that decodes them.
_LARGE_FILE: Final = 64 << 20
#: So often a file is read that changes meanwhile.
_TRIES: Final = 3
#: A picture may take so much whatever the setting: what is no larger is decoded alone.
_MOST_MEGABYTES: Final = 2048
#: More megapixels than this are no picture's, but damage of the header.
_ABSURD: Final = 100_000
_RARE: Final = frozenset({Format.AVIF, Format.HEIF, Format.JXL, Format.JPEG2000, Format.RAW})
_DEFAULTS: Final = DecodeSettings()
#: Seconds that hashing a file may take: whoever asks for it alone has a large video, or a slow share.
_LONGEST_HASH: Final = 3600.0


def content_hash(path: Path) -> str:
    """Return the hexadecimal BLAKE2b-128 of the file's bytes.

    Raises
    ------
    UnreadableError, TooLargeError
        If the file cannot be read, or has more than `MAX_BYTES` and is no video.
    """
    if video.is_video(path):
        return reading.digest(path, _LONGEST_HASH, reading.MOST_OF_A_VIDEO)
    return reading.digest(path, _LONGEST_HASH)


def decode(
    path: Path,
    *,
    target: int | None = None,
    most: int | None = None,
    max_megapixels: float | None = None,
    limits: DecodeSettings = _DEFAULTS,
    before: Callable[[int], None] | None = None,
    abandoned: threading.Event | None = None,
    at: float | None = None,
) -> Picture:
    """Return the picture of a file, upright; of a video one frame, with `at` the one at a time in seconds.

    With `target` the pixels may be reduced, as long as their longest side keeps at least `target`
    pixels; the picture's `width` and `height` are those of the file all the same. With `most` it has no more: a large
    picture is made smaller where it is decoded, so that it is not held here in full. `max_megapixels` goes before that
    of `limits`. `before` is called with the bytes of memory that decoding is estimated to take, just before it begins,
    so that a caller can record which file a process died of. Nothing more is done once `abandoned` is set; a caller
    that sets it calls `interrupt` with it to end what is under way.

    Raises
    ------
    UnreadableError, NotAPictureError, TooLargeError, UnsupportedFormatError
        And nothing else, whatever the bytes; except `worker.Interrupted` after `interrupt` and of abandoned work.
    """
    _check(abandoned)
    if video.is_video(path):
        return _of_video(path, target, max_megapixels, limits, abandoned, at)
    request = _Request(path, target, most, max_megapixels or limits.max_megapixels, limits, before, abandoned)
    for _ in range(_TRIES):
        with suppress(Changed):
            return _of_file(request)
    raise UnreadableError(path, Sentence("the file changes while it is read"), Sentence("try again once it is written"))


class _Request(NamedTuple):
    """What `decode` was asked for."""

    path: Path
    target: int | None
    most: int | None
    max_megapixels: float
    limits: DecodeSettings
    before: Callable[[int], None] | None
    abandoned: threading.Event | None


class _Opened(NamedTuple):
    """A file that was read and is not decoded yet."""

    job: Job
    plan: _Plan
    facts: facts.Facts
    seconds: float  # what reading took


def _of_file(request: _Request) -> Picture:
    """Return the picture of a file.

    Raises
    ------
    Changed
        If it was a large file, and changed between the reading and the decoding.
    """
    path, megabytes = request.path, request.limits.memory_megabytes
    size = reading.check(path).st_size
    # A file of more bytes is refused before it is read.
    held = size if size <= MAX_BYTES else 0
    if held < _LARGE_FILE:
        with memory_budget.reserve_file(held, path, megabytes):
            opened = _opened(request)
            with memory_budget.SHARED.reserve(opened.plan.needed, path, megabytes):
                return _picture(request, opened)
    with memory_budget.SHARED.reserve(held, path, megabytes) as grow:
        opened = _opened(request)
        if opened.plan.in_process and grow(opened.plan.needed):
            return _picture(request, opened)
        # Whoever decodes reads it again: while it waits, and beside the decoder, its bytes would be held for nothing.
        opened = opened._replace(job=opened.job._replace(data=b""), plan=opened.plan._replace(in_process=False))
    with memory_budget.SHARED.reserve(opened.plan.needed, path, megabytes):
        return _picture(request, opened)


def _opened(request: _Request) -> _Opened:
    _check(request.abandoned)  # it may have waited
    path, limits = request.path, request.limits
    began = time.monotonic()
    data = reading.read(path, limits.max_seconds)
    seconds = time.monotonic() - began
    digest = large_files.digest(data)
    if not data:
        raise NotAPictureError(path, Sentence("the file is empty"))
    kind = formats.sniff(data, path.suffix.lower())
    if kind is None:
        raise NotAPictureError(path, Sentence("the file is not a picture, or is damaged beyond recognition"))
    extra = formats.missing_extra(kind)
    if extra:
        raise UnsupportedFormatError(
            path,
            Sentence("%(kind)s files need an extra", kind=_name(path, kind)),
            Sentence("install it with `pip install 'rollcall[%(extra)s]'`", extra=extra),
        )
    job = Job(kind, data, request.target, request.max_megapixels, request.most, digest=digest)
    if len(data) >= _LARGE_FILE:
        # What its bytes say is wanted again when they are no longer held.
        job = job._replace(path=str(path.absolute()), lacks_scan=_lacks_scan(data))
    with _as_picture_errors(path, job):
        plan = _plan(job)
        _check_memory(path, plan, limits)
        return _Opened(job._replace(needed=plan.needed), plan, facts.of(path, metadata.find(kind, data)), seconds)


def _picture(request: _Request, opened: _Opened) -> Picture:
    _check(request.abandoned)
    if request.before is not None:
        request.before(opened.plan.needed)
    with _as_picture_errors(request.path, opened.job):
        return _put_together(request.path, opened, _decoded(request, opened))


@contextmanager
def _as_picture_errors(path: Path, job: Job) -> Iterator[None]:
    """Make whatever a file causes an error of that file."""
    try:
        yield
    except (PictureError, worker.Interrupted, Changed):
        raise
    except TooManyPixels as error:
        if error.megapixels > _ABSURD:
            raise _damaged(path, job) from error
        raise TooLargeError(
            path,
            Sentence(
                "the picture has %(megapixels)s megapixels, more than the limit of %(limit)s",
                megapixels=f"{error.megapixels:.0f}",
                limit=f"{job.max_megapixels:g}",
            ),
            Sentence("raise the setting decode.max_megapixels if it is wanted"),
        ) from error
    except MemoryError as error:
        raise NotEnoughMemoryError(
            path, Sentence("there is not enough memory to decode it"), Sentence("close other programs and retry")
        ) from error
    # One file must never stop a run, whatever our own code did not think of.
    except Exception as error:
        _LOG.debug("%s", path, exc_info=True)
        raise _damaged(path, job) from error


def _of_video(
    path: Path,
    target: int | None,
    max_megapixels: float | None,
    limits: DecodeSettings,
    abandoned: threading.Event | None,
    at: float | None,
) -> Picture:
    if max_megapixels:
        limits = limits.model_copy(update={"max_megapixels": max_megapixels})
    try:
        return video.decode(path, target, limits, abandoned, at=at)
    except (PictureError, worker.Interrupted):
        raise
    except Exception as error:  # as above
        _LOG.debug("%s", path, exc_info=True)
        raise NotAPictureError(
            path, Sentence("the video is damaged and cannot be shown"), Sentence("copy it again")
        ) from error


def interrupt(abandoned: threading.Event | None = None) -> None:
    """End what is being decoded in other processes now; its callers get `worker.Interrupted`.

    With the event that a caller gave to `decode`, only that caller's work is ended.
    """
    worker.SHARED.interrupt(abandoned)


def _check(abandoned: threading.Event | None) -> None:
    if abandoned is not None and abandoned.is_set():
        raise worker.Interrupted


# ---- Where it is decoded


class _Plan(NamedTuple):
    needed: int  # bytes of memory
    in_process: bool


def _plan(job: Job) -> _Plan:
    """Return what decoding will take, and where it is done, from the header alone."""
    size = estimates.size(job.kind, job.data)
    if size.megapixels > job.max_megapixels:
        raise TooManyPixels(size.megapixels)
    if job.kind in _RARE:
        return _Plan(estimates.of_library(job.kind, size, job.data, job.target, job.most), False)
    needed, plain = estimates.of_plain(job.kind, size, job.data, job.target, job.max_megapixels, job.most)
    return _Plan(needed, plain and needed <= _IN_PROCESS)


def _check_memory(path: Path, plan: _Plan, limits: DecodeSettings) -> None:
    """Raise TooLargeError for a picture that takes more memory than any may, whatever the machine has."""
    most = max(limits.memory_megabytes, _MOST_MEGABYTES)
    if plan.needed > most << 20:
        raise TooLargeError(
            path,
            f"decoding it takes about {plan.needed / 2**30:.1f} GiB of memory, more than {most / 1024:.1f} GiB",
            "raise the setting decode.memory_megabytes if it is wanted, or save a smaller copy",
        )


def _decoded(request: _Request, opened: _Opened) -> Decoded:
    """Decode in this process or in another, as a sound file first and as a damaged one then."""
    path, job = request.path, opened.job
    try:
        if opened.plan.in_process:
            return decoders.decode(job, lenient=False)
        return _elsewhere(request, opened, False)
    except Refused as error:
        _LOG.debug("%s: %s", path, error)
    try:
        return _elsewhere(request, opened, True)
    except Refused as error:
        _LOG.debug("%s: %s", path, error)
        raise _damaged(path, job) from error


def _elsewhere(request: _Request, opened: _Opened, lenient: bool) -> Decoded:
    path, job = request.path, opened.job
    # A large file is read once more.
    max_seconds = request.limits.max_seconds + (opened.seconds if job.path else 0)
    if opened.plan.needed > _HEAVY:
        # Where networks are compiled or run, a hundred megabytes may be free between blocks that are in use.
        allocator.trim()
    try:
        return worker.SHARED.decode(job, lenient=lenient, max_seconds=max_seconds, abandoned=request.abandoned)
    except worker.Unavailable:
        # Without processes damaged files are refused: what shows them changes globals of the decoders.
        if lenient:
            raise Refused("no process to decode damaged files in") from None
        return decoders.decode(large_files.loaded(job), lenient=False)
    except worker.TimedOut as error:
        raise reading.too_slow(path, "decoding", request.limits.max_seconds) from error
    except worker.Died as error:
        raise NotAPictureError(
            path,
            Sentence("opening this file failed"),
            Sentence("the file is probably damaged; copy it again"),
        ) from error


# ---- What is known of it


def _put_together(path: Path, opened: _Opened, decoded: Decoded) -> Picture:
    kind, known = opened.job.kind, opened.facts.with_exif(decoded.exif)
    turn = known.turn(kind, decoded.turned)
    pixels = np.ascontiguousarray(upright(decoded.pixels, turn))
    width, height = decoded.width, decoded.height
    if swaps_sides(turn):
        width, height = height, width
    orientation = known.orientation(kind, decoded.turned)
    digest, warnings = opened.job.digest, decoded.warnings
    return Picture(path, pixels, width, height, orientation, digest, known.taken, warnings, known.xmp, known.keywords)


def _name(path: Path, kind: Format) -> str:
    suffix = path.suffix.lower()
    return suffix[1:].upper() if suffix in SUFFIXES and kind is not Format.RAW else str(kind)


def _damaged(path: Path, job: Job) -> NotAPictureError:
    damage = (
        Sentence("the file is truncated before the picture begins")
        if job.lacks_scan or _lacks_scan(job.data)
        else Sentence("the file is damaged and cannot be shown")
    )
    return NotAPictureError(path, damage, Sentence("copy it again from where it came from"))


def _lacks_scan(data: bytes) -> bool:
    """Return whether a file is a JPEG that ends before its picture begins."""
    return data.startswith(b"\xff\xd8\xff") and b"\xff\xda" not in data
