"""Small pictures for the page: thumbnails, faces and screen-sized photos, as WebP, upright, made once.

They lie in the cache folder, which erasure empties, and are made from files below the library's folders alone: a link
that leads out of them is not followed. What an index run has decoded becomes a thumbnail at once.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from rollcall.errors import PictureError, RemoteError, UnreadableError
from rollcall.host import Plugin
from rollcall.media import decode, jpeg, video
from rollcall.media.conversion import Pixels, at_most
from rollcall.records import Box, Picture
from rollcall.remote.copies import SHARED
from rollcall.remote.files import RemoteStat
from rollcall.remote.originals import Originals, delete_oldest
from rollcall.remote.paths import is_remote
from rollcall.remote.trouble import ChangedError
from rollcall.search.details import VERSION_LENGTH, FaceDetails
from rollcall.sentences import Sentence
from rollcall.storage import parts
from rollcall.storage.private import private_folder
from rollcall.web.picture_jobs import Make, PictureJobs
from rollcall.web.shown import version_of_face, version_of_photo

log = logging.getLogger(__name__)
Kind = Literal["thumb", "screen", "large"]
#: Height of a thumbnail and longest side of a picture on the screen, in pixels.
THUMB: Final = 320
SCREEN: Final = 2048
#: The longest side of a photo that is enlarged on the screen, and what it has at least where the photo has as much.
LARGE: Final = 6000
_LARGE_LEAST: Final = LARGE * 8 // 9
FACE: Final = 224
#: How well one is packed: as JPEG, for which nothing but the file is held. WebP held three times the pixels.
_QUALITY: Final = 88
#: What all decoders together may hold when the page's begin, in megabytes: it must not take what the indexer leaves.
_MEMORY_MEGABYTES: Final = 512
#: What versions of remote files begin with that are not analysed yet.
_NEW: Final = "new-"
_GONE: Final = Sentence("the file was deleted or moved since it was found")
_REPLACED: Final = Sentence("the file was replaced since it was found; look for new photos again")
#: After so many pictures that are written, the size of the folder is checked.
_SWEEP: Final = 500


class Wanted(NamedTuple):
    """A picture that was asked for."""

    key: Hashable  # the same for requests that one decoding serves
    etag: str
    file: Path  # where it lies once it is made
    make: Make
    version: str = ""  # what addresses name it by; "" where it is of a file that was changed since it was analysed

    def stored(self) -> bytes | None:
        """Return the picture if it was made before."""
        return _stored(self.file)


class _Found(NamedTuple):
    path: Path
    version: str  # of the file as it is now
    poster: float | None
    analysed: str  # the version that faces are known of; "" for none


class Pictures:
    """Makes and caches the pictures of one library. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        settings = plugin.settings
        given = settings.decode.memory_megabytes
        memory = min(given, _MEMORY_MEGABYTES) if given else _MEMORY_MEGABYTES
        self.limits = settings.decode.model_copy(update={"memory_megabytes": memory})
        self.jobs = PictureJobs()
        self._enlarging = threading.Lock()
        self.originals = Originals(settings)
        # Several databases may share a cache folder, and number their photos in the same way.
        self.folder = (
            settings.thumbnail_folder / hashlib.blake2b(plugin.database.url.encode(), digest_size=8).hexdigest()
        )
        self.limit = settings.serve.thumbnails_megabytes * 1_000_000
        self._written = 0
        self._lock = threading.Lock()

    def photo(self, photo_id: int, kind: Kind, at: float | None = None) -> Wanted:
        """Return a photo as WebP, to be made; of a video the frame at a time in seconds, or the one that stands for it.

        Raises
        ------
        PictureError
            If it is not known, does not lie in its library's folder, or its file is gone; making it, if it cannot be
            decoded.
        """
        path, version, poster, analysed = self._found(photo_id)
        at = None if not video.is_video(path) else poster if at is None else at
        name = _photo_name(version, kind, at)
        cached = self._place(name, ".jpg" if kind == "large" else ".webp")

        def make(abandoned: threading.Event) -> bytes:
            # Another request may have had it made since this one looked.
            if (stored := _stored(cached)) is not None:
                return stored
            side = {"thumb": THUMB * 2, "screen": SCREEN, "large": _LARGE_LEAST}[kind]
            file = self._at_hand(path, version)
            # One that is enlarged takes several hundred megabytes until it is written.
            with self._enlarging if kind == "large" else nullcontext():
                picture = decode.decode(file, target=side, most=LARGE, limits=self.limits, abandoned=abandoned, at=at)
                if kind == "large":
                    return self._kept(cached, _jpeg(picture))
                image = _reduced(picture, kind)
                del picture  # else its pixels are held while the copy is written
                return self._store(cached, image)

        lasting = version_of_photo(analysed, poster) if version == analysed else ""
        return Wanted((photo_id, name), f'"{name}"', cached, make, lasting)

    def keep(self, picture: Picture) -> None:
        """Make the thumbnail of a picture that an index run has decoded."""
        at = None if picture.video is None else picture.video.at
        cached = self._place(_photo_name(picture.content_hash[:VERSION_LENGTH], "thumb", at))
        if not cached.exists():
            self._store(cached, _reduced(picture, "thumb"))

    def face(self, face_id: int) -> Wanted:
        """Return a face with some of what is around it as a square WebP, to be made with all faces of its photo.

        Raises
        ------
        PictureError
            As for a photo; also if the face is not known.
        """
        crop = self.plugin.face_crop(face_id)
        if crop is None:
            raise UnreadableError(Path(f"face {face_id}"), Sentence("there is no such face"))
        path, now, _, analysed = self._found(crop.photo_id)
        version, at = analysed or now, crop.video_time
        mine = self._place(_face_name(version, Box(*crop.box), at))

        def make(abandoned: threading.Event) -> bytes:
            if (stored := _stored(mine)) is not None:
                return stored
            if now != version:
                # On another content the box would show somebody else, also on the photos that this one is a copy of.
                raise UnreadableError(path, _REPLACED)
            # In a video, those of the same frame.
            together = (face for face in self._faces(crop.photo_id) if face.video_time == at)
            faces = {self._place(_face_name(version, face.box, at)): face.box for face in together}
            faces[mine] = Box(*crop.box)
            missing = {place: box for place, box in faces.items() if place == mine or not place.exists()}
            # A face that is a small part of the photo needs more of its pixels.
            smallest = min(min(box.width, box.height) for box in missing.values())
            target = int(min(FACE / max(smallest, 0.02), LARGE))
            file = self._at_hand(path, version)
            with self._enlarging if target > SCREEN else nullcontext():
                pixels = decode.decode(
                    file, target=target, most=LARGE, limits=self.limits, abandoned=abandoned, at=at
                ).pixels
                made = {place: self._store(place, cut_out(pixels, box)) for place, box in missing.items()}
            return made[mine]

        lasting = version_of_face(analysed, Box(*crop.box), at)
        return Wanted((crop.photo_id, version, "face", mine), f'"{mine.stem}"', mine, make, lasting)

    def _faces(self, photo_id: int) -> list[FaceDetails]:
        return [face for photo in self.plugin.photos([photo_id]) for face in photo.faces]

    def file(self, photo_id: int) -> tuple[Path, str]:
        """Return the file of a photo, of a remote one a copy, and a version that changes with its content.

        Raises
        ------
        UnreadableError
            If there is no such photo, its file is gone, or it does not lie in its library's folder; the reason is for
            people.
        """
        found = self._found(photo_id)
        return self._at_hand(found.path, found.version), found.version

    def check(self, photo_id: int) -> None:
        """Raise `UnreadableError` as `file` does, but fetch nothing."""
        self._found(photo_id)

    def _at_hand(self, path: Path, version: str) -> Path:
        """Return a file that can be read here: itself, or a copy of a remote one."""
        if not is_remote(path):
            return path
        with _as_unreadable(path):
            if version.startswith(_NEW):
                return self.originals.file(path, version, self._listed(path))
            # Faces are known of this content alone: on another one they would be somebody else's.
            return self.originals.file(
                path, version, is_right=lambda copy: decode.content_hash(copy).startswith(version)
            )

    @staticmethod
    def _listed(path: Path) -> RemoteStat:
        found = SHARED.listed(path.parent).get(path.name)
        if found is None:
            raise FileNotFoundError(path.name)
        return found

    def _found(self, photo_id: int) -> _Found:
        found = self.plugin.photo_file(photo_id)
        if found is None:
            raise UnreadableError(Path(f"photo {photo_id}"), Sentence("there is no such photo"))
        path, root = found.path, found.root
        if is_remote(path):
            if found.version:
                return _Found(path, found.version, found.poster_time, found.version)
            with _as_unreadable(path):
                listed = self._listed(path)
            version = f"{_NEW}{photo_id}-{listed.mtime_ns:x}-{listed.size:x}-{listed.version or 0:x}"
            return _Found(path, version, found.poster_time, "")
        try:
            inside = Path(os.path.realpath(root, strict=True))
            real = Path(os.path.realpath(path, strict=True))
        except OSError as error:
            raise UnreadableError(path, why_not(path, root, error)) from error
        if not real.is_relative_to(inside):
            raise UnreadableError(
                path, Sentence("the file is a link that leads out of the library, so it is not shown")
            )
        stamp = _stamp(real)
        if found.version and (stamp == found.stamp or _content(real, *stamp).startswith(found.version)):
            return _Found(real, found.version, found.poster_time, found.version)
        # Not analysed yet: the file's own state tells one content from another.
        return _Found(real, f"{photo_id}-{stamp[0]:x}-{stamp[1]:x}", None, found.version)

    def _place(self, name: str, suffix: str = ".webp") -> Path:
        return self.folder / name[:2] / f"{name}{suffix}"

    def _store(self, path: Path, image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=82, method=2)
        return self._kept(path, buffer.getvalue())

    def _kept(self, path: Path, data: bytes) -> bytes:
        # A full disk must not keep the picture from being shown.
        with suppress(OSError):
            private_folder(path.parent, below=self.plugin.settings.thumbnail_folder)
            with parts.completed(path, name=str(threading.get_ident())) as part:
                part.touch(mode=0o600)
                part.write_bytes(data)
        with self._lock:
            self._written += 1
            if self._written % _SWEEP == 1:
                delete_oldest(self.folder.glob("*/*"), self.limit, self.limit * 0.9)
        return data


def _stored(file: Path) -> bytes | None:
    with suppress(OSError):
        return file.read_bytes()
    return None


def _stamp(file: Path) -> tuple[int, int]:
    info = file.stat()
    return info.st_mtime_ns, info.st_size


@lru_cache(maxsize=4096)
def _content(file: Path, mtime_ns: int, size: int) -> str:
    """Return the hash of a file as it is at a time; "" if it cannot be read, which decoding it will say."""
    try:
        return decode.content_hash(file)
    except (PictureError, OSError):
        return ""


def why_not(path: Path, root: Path, error: OSError) -> str:
    """Return why a file of the library is not there, for people."""
    if isinstance(error, PermissionError):
        return Sentence("the file may not be read: its permissions forbid it")
    # The disk may be that of the root, or of a folder in it.
    for folder in (root, *reversed([one for one in path.parents if root in one.parents])):
        try:
            away = not folder.is_dir() or not any(folder.iterdir())
        except OSError:
            away = True
        if away:
            return Sentence(
                "the folder %(name)s is not there at present: plug in its disk, or connect its share", name=folder.name
            )
    if path.is_symlink():
        return Sentence("the file is a link, and what it leads to is gone")
    return _GONE


@contextmanager
def _as_unreadable(path: Path) -> Iterator[None]:
    """Say for people why a remote file is not at hand."""
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableError(path, _GONE) from error
    except ChangedError as error:
        raise UnreadableError(path, _REPLACED) from error
    except RemoteError as error:
        log.warning("%s", error)
        reason = Sentence(
            "the remote folder %(name)s cannot be read at present; check the network and try again",
            name=path.parent.name,
        )
        raise UnreadableError(path, reason) from error


def _reduced(picture: Picture, kind: Kind) -> Image.Image:
    pixels = picture.pixels
    size = (THUMB * 4, THUMB) if kind == "thumb" else (SCREEN, SCREEN)
    # Pillow holds four bytes of each pixel: of one of 81 megapixels a second copy larger than the first.
    image = Image.fromarray(at_most(pixels, LARGE))
    image.thumbnail(size, Image.Resampling.LANCZOS)
    return image


def _jpeg(picture: Picture) -> bytes:
    """Return a picture as JPEG; its pixels are used up."""
    # OpenCV takes blue, green, red.
    pixels = jpeg.to_rgb(np.require(at_most(picture.pixels, LARGE), np.uint8, ["C", "W"]))
    made, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert made  # up to 65,535 pixels a side it is
    return data.tobytes()


def _photo_name(version: str, kind: Kind, at: float | None) -> str:
    return f"{version}-{kind}" + ("" if at is None else f"-{at:.3f}")


def _face_name(version: str, box: Box, at: float | None) -> str:
    return f"{version}-face-" + "-".join(f"{value:.4f}" for value in box) + ("" if at is None else f"-{at:.3f}")


def cut_out(pixels: Pixels, box: Box) -> Image.Image:
    """Return a face with some of what is around it as a square of `FACE` pixels.

    Parameters
    ----------
    pixels
        The picture as uint8 RGB (h, w, 3).
    box
        In fractions of the picture.
    """
    height, width = pixels.shape[:2]
    side = max(box.width * width, box.height * height) * 1.5
    side = max(min(side, width, height), 1.0)
    # Near the edge the square is shifted inwards, so that it holds nothing but picture.
    left = min(max((box.x + box.width / 2) * width - side / 2, 0), width - side)
    top = min(max((box.y + box.height / 2) * height - side / 2, 0), height - side)
    # Pillow would hold the whole picture a second time, in four bytes a pixel.
    rows, columns = (slice(round(first), max(round(first + side), round(first) + 1)) for first in (top, left))
    face = Image.fromarray(pixels[rows, columns])
    return face.resize((FACE, FACE), Image.Resampling.LANCZOS)
