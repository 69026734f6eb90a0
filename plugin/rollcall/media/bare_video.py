"""Videos without what their files tell beside picture and sound: where, when and with which camera they were taken.

Packets are copied as they are into a container of our own, so nothing is decoded. Only the first stream of pictures and
that of sound go into it: cameras write places into others. What H.264, H.265 and AV1 carry between the pictures goes,
too, since some camcorders put time and place there (SEI messages of ITU-T H.264 and H.265, annex D).
"""

from __future__ import annotations

import errno
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollcall.errors import NotAPictureError, UnsupportedFormatError
from rollcall.media import worker
from rollcall.media.job import NoVideo
from rollcall.media.video import refuse_without_extra
from rollcall.media.video_file import BUFFER, DEMUXERS, video_stream
from rollcall.sentences import Sentence


class _Kind(NamedTuple):
    form: str  # of the copy
    tag: str = ""  # of the stream in there; "" where there are none
    others: str = ""  # the units that are no picture, as FFmpeg's filter_units has them


#: Streams of pictures that are copied.
_PICTURES: Final = {
    "h264": _Kind("mp4", "avc1", "6"),
    "hevc": _Kind("mp4", "hvc1", "39|40"),
    "av1": _Kind("mp4", "av01", "5"),
    "vp8": _Kind("webm"),
    "vp9": _Kind("webm"),
}
#: Sound that browsers play, whose packets hold nothing else; Vorbis has comments in its header.
_SOUND: Final = {"mp4": frozenset({"aac", "mp3", "opus"}), "webm": frozenset({"opus"})}
_OPTIONS: Final = {"mp4": {"movflags": "+faststart"}, "webm": {}}
SUFFIXES: Final = {"mp4": ".mp4", "webm": ".webm"}
_START: Final = re.compile(rb"\x00\x00\x00?\x01")
_HEVC_SEI: Final = (39, 40)


def form_of(path: Path) -> str:
    """Return the format that a copy of a video has, a key of `SUFFIXES`.

    Raises
    ------
    UnsupportedFormatError
        If no copy can be made of it without what it tells.
    NotAPictureError
        If it cannot be read.
    """
    with ExitStack() as opened:
        return _form(path, _opened(path, opened))


def copy(path: Path, to: Path, abandoned: threading.Event) -> None:
    """Write a copy of a video that holds its picture, and its sound where browsers play it, and tells nothing else.

    Raises
    ------
    UnsupportedFormatError, NotAPictureError
        As `form_of` does.
    worker.Interrupted
        Once `abandoned` is set.
    OSError
        If the copy cannot be written.
    """
    import av

    with ExitStack() as opened:
        source = _opened(path, opened)
        form = _form(path, source)
        try:
            target = opened.enter_context(av.open(str(to), "w", format=form, options=dict(_OPTIONS[form])))
            _copied(source, target, _picture(path, source), form, abandoned)
        except (av.error.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
            raise _refusal(path) from error


def _copied(source: Any, target: Any, picture: Any, form: str, abandoned: threading.Event) -> None:
    from av.bitstream import BitStreamFilterContext

    made = {picture.index: target.add_stream_from_template(picture, opaque=True)}
    kind, through = _PICTURES[_codec(picture)], None
    if kind.others:
        through = BitStreamFilterContext(f"filter_units=remove_types={kind.others}", picture, made[picture.index])
        context = made[picture.index].codec_context
        context.codec_tag = kind.tag  # Safari plays no H.265 by another name
        if kind.tag == "hvc1":
            context.extradata = _header(context.extradata or b"")
    sound = next((one for one in source.streams.audio if _codec(one) in _SOUND[form]), None)
    if sound is not None:
        made[sound.index] = target.add_stream_from_template(sound, opaque=True)
    chosen = [picture] if sound is None else [picture, sound]
    for packet in _timed(source.demux(chosen)):
        if abandoned.is_set():
            raise worker.Interrupted
        stream = packet.stream
        for one in through.filter(packet) if through is not None and stream is picture else [packet]:
            one.stream = made[stream.index]
            target.mux(one)


def _timed(packets: Iterable[Any]) -> Iterator[Any]:
    """Yield packets that all have a time of decoding; Matroska does not give that of the first ones."""
    early: dict[int, list[Any]] = {}
    for packet in packets:
        waiting = early.setdefault(packet.stream.index, [])
        if not packet.size:
            continue  # the end of a stream
        if packet.dts is None:
            waiting.append(packet)
            continue
        for number, one in enumerate(waiting):
            one.dts = packet.dts - (len(waiting) - number) * max(packet.duration or 0, 1)
            yield one
        waiting.clear()
        yield packet


def _header(data: bytes) -> bytes:
    """Return the header of an H.265 stream as the filter gives it, without the SEI messages that it leaves in there.

    Raises
    ------
    ValueError
        If it is none (ITU-T H.265, annex B).
    """
    before, *units = _START.split(data)
    if before or not units:
        raise ValueError("no header of H.265")
    return b"".join(b"\0\0\0\1" + one for one in units if one[:1] and one[0] >> 1 & 63 not in _HEVC_SEI)


def _codec(stream: Any) -> str:
    return str(stream.codec_context.codec.canonical_name)


def _opened(path: Path, opened: ExitStack) -> Any:
    refuse_without_extra(path)
    import av

    # A file object has no address that other addresses could be relative to.
    file = opened.enter_context(path.open("rb", buffering=0))
    options = {"format_whitelist": DEMUXERS, "enable_drefs": "0"}
    try:
        return opened.enter_context(av.open(file, options=options, buffer_size=BUFFER, metadata_errors="replace"))
    except (av.error.FFmpegError, ValueError) as error:
        raise _damaged(path) from error


def _picture(path: Path, source: Any) -> Any:
    try:
        return video_stream(source)
    except NoVideo as error:
        raise _damaged(path) from error


def _form(path: Path, source: Any) -> str:
    kind = _PICTURES.get(_codec(_picture(path, source)))
    if kind is None:
        raise _refusal(path)
    return kind.form


def _refusal(path: Path) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        path, Sentence("what it tells of places and people cannot be taken out of this form of video")
    )


def _damaged(path: Path) -> NotAPictureError:
    return NotAPictureError(path, Sentence("the video is damaged and cannot be shown"))
