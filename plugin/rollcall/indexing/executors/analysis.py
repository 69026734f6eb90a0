"""The analysis of one photo as a function: a file in, what is known of its picture and faces out, no database.

Tasks and outcomes are numbers, paths and small arrays, so that they travel to other processes and machines and back.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

import cv2
import numpy as np

from rollcall.errors import PictureError, RemoteError, RollcallError
from rollcall.indexing.failures import analysis_key, failure_key
from rollcall.inference import videos
from rollcall.media import decode, perceptual_hash, takeout, video
from rollcall.media.worker import Interrupted
from rollcall.model_version import ModelVersion
from rollcall.records import Face, FileStat, Picture
from rollcall.remote.copies import SHARED
from rollcall.remote.files import RemoteStat, can_be_listed
from rollcall.remote.paths import is_remote
from rollcall.remote.trouble import ChangedError
from rollcall.settings import DecodeSettings, Settings

#: Longest side, in pixels, of the pictures that come back from other processes for those that show them.
PREVIEW: Final = 1280
_NO_PIXELS: Final = np.zeros((0, 0, 3), np.uint8)


class FaceFinder(Protocol):
    """The part of an analyzer that finds and describes faces."""

    @property
    def model_version(self) -> ModelVersion | str:
        """What makes the results."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, the highest-scoring first."""


class Task(NamedTuple):
    """A photo to be analysed."""

    number: int  # of the task in its run
    path: Path
    size: int  # bytes, as the last scan saw the file
    verified_hash: str | None = None  # with this content hash nothing has to be analysed
    listed: FileStat | None = None  # of a remote file, as its server listed it: whoever analyses it fetches it


#: Why a remote file was not fetched: it is gone, or it is another one than was listed.
RemoteTrouble = Literal["", "gone", "changed"]
_CHANGED: Final = "the file changed since it was listed"


class Outcome(NamedTuple):
    """What came of a task: a picture with its faces, or why there is none."""

    number: int  # of the task
    stat: FileStat  # as the file was before it was read
    picture: Picture | None = None  # from other processes without pixels, or with few (`PREVIEW`)
    faces: tuple[Face, ...] = ()
    perceptual_hash: bytes | None = None
    reason: str = ""  # why there is no picture
    failure_key: str | None = None  # see indexing/failures.py
    unchanged: bool = False  # only the file's times changed
    decoding: float = 0.0  # seconds
    analysing: float = 0.0  # seconds; its share of what the photos that went through the networks together took
    remote: RemoteTrouble = ""


class Options(NamedTuple):
    """How photos are analysed."""

    settings: Settings
    limits: DecodeSettings  # of the decoders: where several processes share the memory, less than in the settings
    previews: bool = False  # whether pictures keep as many pixels as `PREVIEW` says
    strip: bool = False  # whether pictures lose their pixels otherwise
    stop: threading.Event | None = None  # set where the run is stopped; of other processes, which are ended, none


def options_here(settings: Settings, stop: threading.Event | None = None) -> Options:
    """Return the options of an analysis in this process, whose pictures keep their pixels."""
    return Options(settings, settings.decode, stop=stop)


def analyse(tasks: Sequence[Task], analyzer: FaceFinder, options: Options) -> list[Outcome]:
    """Return one outcome for each task, in their order; the pictures go through the networks together.

    Raises
    ------
    RollcallError, MemoryError
        If it is the installation or the machine that fails. What fails because of a photo is its outcome.
    """
    return estimated([decoded(task, options) for task in tasks], analyzer, options)


def decoded(task: Task, options: Options) -> Outcome:
    """Return the picture of a task, without faces, or why there is none.

    Raises
    ------
    RemoteError
        If it is a remote file, and it is the server, the network or the disk here that does not serve.
    """
    if task.listed is not None:
        return _fetched(task, task.listed, options)
    began = time.perf_counter()
    stat = FileStat("", task.size, 0)
    try:
        # Taken before the file is read: what is written to it later shows in the next scan.
        stat = FileStat.of("", task.path.stat())
        if task.verified_hash is not None and decode.content_hash(task.path) == task.verified_hash:
            return Outcome(task.number, stat, unchanged=True)
        picture = decode.decode(task.path, target=options.settings.detector.resolution, limits=options.limits)
        # Videos begin alike, in black: none is found again by its first picture.
        hashed = None if picture.video is not None else perceptual_hash.compute(picture.pixels)
    except OSError as error:
        return Outcome(task.number, stat, reason=f"the file cannot be read ({error.strerror or error})")
    except PictureError as error:
        return _failed(Outcome(task.number, stat), error, options)
    return Outcome(task.number, stat, picture, perceptual_hash=hashed, decoding=time.perf_counter() - began)


def _fetched(task: Task, listed: FileStat, options: Options) -> Outcome:
    """Return the picture of a remote file, which is fetched once; the copy of a video stays until it is searched."""
    try:
        with SHARED.at_hand(
            task.path,
            options.settings,
            listed=_remote_stat(task.path, listed),
            beside=takeout.names(task.path.name),
            keep=video.is_video(task.path),
        ) as file:
            outcome = decoded(task._replace(path=file, listed=None), options)
    except FileNotFoundError:
        return Outcome(task.number, listed, reason="the file is gone", remote="gone")
    except ChangedError:
        return Outcome(task.number, listed, reason=_CHANGED, remote="changed")
    except RemoteError as error:
        # One file that is refused is its own trouble, as long as its folder can be listed.
        if not can_be_listed(task.path.parent):
            raise
        return Outcome(task.number, listed, reason=error.reason)
    if outcome.picture is None:
        SHARED.drop(task.path)
        return outcome._replace(stat=listed)
    return outcome._replace(stat=listed, picture=dataclasses.replace(outcome.picture, path=task.path))


def _remote_stat(path: Path, listed: FileStat) -> RemoteStat:
    return RemoteStat(path.name, listed.size, listed.mtime_ns, listed.ctime_ns)


def _failed(outcome: Outcome, error: PictureError, options: Options) -> Outcome:
    reason = error.reason + (f"; {error.hint}" if error.hint else "")
    return outcome._replace(picture=None, reason=reason, failure_key=failure_key(error, options.settings.decode))


def estimated(outcomes: Sequence[Outcome], analyzer: FaceFinder, options: Options) -> list[Outcome]:
    """Return outcomes with the faces of their pictures; if the analysis fails, find the photo that makes it fail.

    Raises
    ------
    RollcallError, MemoryError
        If it is the installation or the machine that fails.
    Interrupted
        If `options.stop` was set while a video was searched.
    """
    found = iter(_estimated_photos([one for one in outcomes if not _is_video(one)], analyzer, options))
    return [_estimated_video(one, analyzer, options) if _is_video(one) else next(found) for one in outcomes]


def _is_video(outcome: Outcome) -> bool:
    return outcome.picture is not None and outcome.picture.video is not None


def _estimated_video(outcome: Outcome, analyzer: FaceFinder, options: Options) -> Outcome:
    """Return the outcome of a video with the faces of its frames, which are decoded as they are needed."""
    began = time.perf_counter()
    assert outcome.picture is not None
    settings, path = options.settings.model_copy(update={"decode": options.limits}), outcome.picture.path
    listed = _remote_stat(path, outcome.stat)
    try:
        with SHARED.at_hand(path, settings, listed=listed) if is_remote(path) else nullcontext(path) as file:
            picture = dataclasses.replace(outcome.picture, path=file)
            found = videos.analyze(analyzer, picture, settings, str(analyzer.model_version), options.stop)
    except PictureError as error:
        return _failed(outcome, error, options)
    except FileNotFoundError:
        return outcome._replace(picture=None, reason="the file is gone", remote="gone")
    except ChangedError:
        return outcome._replace(picture=None, reason=_CHANGED, remote="changed")
    except (RollcallError, MemoryError, Interrupted):
        raise
    except Exception as error:  # one bad video never stops a run
        reason = f"the analysis failed ({type(error).__name__}: {error}); please report this video"
        return outcome._replace(picture=None, reason=reason, failure_key=analysis_key())
    picture = _light(dataclasses.replace(found.picture, path=path), options)
    return outcome._replace(picture=picture, faces=found.faces, analysing=time.perf_counter() - began)


def _estimated_photos(outcomes: Sequence[Outcome], analyzer: FaceFinder, options: Options) -> list[Outcome]:
    pictures = [one.picture for one in outcomes if one.picture is not None]
    if not pictures:
        return list(outcomes)
    began = time.perf_counter()
    try:
        found = iter(analyzer.analyze(pictures))
    except (RollcallError, MemoryError):
        # Trouble of the machine or the installation is not the photo's.
        raise
    except Exception as error:  # one bad photo never stops a run
        if len(pictures) > 1:
            return [result for one in outcomes for result in _estimated_photos([one], analyzer, options)]
        reason = f"the analysis failed ({type(error).__name__}: {error}); please report this photo"
        return [
            one if one.picture is None else one._replace(picture=None, reason=reason, failure_key=analysis_key())
            for one in outcomes
        ]
    share = (time.perf_counter() - began) / len(pictures)
    return [
        one
        if one.picture is None
        else one._replace(picture=_light(one.picture, options), faces=next(found), analysing=share)
        for one in outcomes
    ]


def _light(picture: Picture, options: Options) -> Picture:
    """Return a picture with no more pixels than whoever gets it needs."""
    if not options.strip:
        return picture
    if not options.previews:
        return dataclasses.replace(picture, pixels=_NO_PIXELS)
    height, width = picture.pixels.shape[:2]
    ratio = PREVIEW / max(height, width)
    if ratio >= 1:
        return picture
    size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    small = cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA)
    return dataclasses.replace(picture, pixels=np.asarray(small, np.uint8))
