"""Small pictures for the page: thumbnails, faces and screen-sized photos, as WebP, upright, made once.

They lie in the cache folder, which erasure empties, and are made from files below the library's folders alone: a link
that leads out of them is not followed.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from rollcall.errors import UnreadableError
from rollcall.host import Plugin
from rollcall.media import decode
from rollcall.records import Box

Kind = Literal["thumb", "screen"]
#: Height of a thumbnail and longest side of a picture on the screen, in pixels.
THUMB: Final = 320
SCREEN: Final = 2048
FACE: Final = 224
#: After so many pictures that are written, the size of the folder is checked.
_SWEEP: Final = 500


class Pictures:
    """Makes and caches the pictures of one library. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        settings = plugin.settings
        self.max_megapixels = settings.decode.max_megapixels
        # Several databases may share a cache folder, and number their photos in the same way.
        self.folder = (
            settings.thumbnail_folder / hashlib.blake2b(plugin.database.url.encode(), digest_size=8).hexdigest()
        )
        self.limit = settings.serve.thumbnails_megabytes * 1_000_000
        self._written = 0
        self._lock = threading.Lock()

    def photo(self, photo_id: int, kind: Kind) -> bytes:
        """Return a photo as WebP.

        Raises
        ------
        PictureError
            If it is not known, does not lie in its library's folder, or cannot be read.
        """
        path, version = self._file(photo_id)
        cached = self.folder / str(photo_id % 256) / f"{photo_id}-{version}-{kind}.webp"
        with suppress(OSError):
            return cached.read_bytes()
        side = THUMB * 2 if kind == "thumb" else SCREEN
        picture = decode.decode(path, target=side, max_megapixels=self.max_megapixels)
        image = Image.fromarray(picture.pixels)
        if kind == "thumb":
            image.thumbnail((THUMB * 4, THUMB), Image.Resampling.LANCZOS)
        else:
            image.thumbnail((SCREEN, SCREEN), Image.Resampling.LANCZOS)
        return self._store(cached, image)

    def face(self, face_id: int) -> bytes:
        """Return a face with some of what is around it, as a square WebP.

        Raises
        ------
        PictureError
            As for a photo; also if the face is not known.
        """
        crop = self.plugin.face_crop(face_id)
        if crop is None:
            raise UnreadableError(Path(f"face {face_id}"), "there is no such face, or it was dismissed")
        photo_id, box = crop.photo_id, Box(*crop.box)
        path, version = self._file(photo_id)
        place = "-".join(f"{value:.4f}" for value in box)
        cached = self.folder / str(photo_id % 256) / f"{photo_id}-{version}-face{face_id}-{place}.webp"
        with suppress(OSError):
            return cached.read_bytes()
        # A face that is a small part of the photo needs more of its pixels.
        target = int(min(FACE / max(min(box.width, box.height), 0.02), 6000))
        picture = decode.decode(path, target=target, max_megapixels=self.max_megapixels)
        image = Image.fromarray(picture.pixels)
        side = max(box.width * image.width, box.height * image.height) * 1.5
        side = max(min(side, image.width, image.height), 1.0)
        # Near the edge the square is shifted inwards, so that it holds nothing but picture.
        left = min(max((box.x + box.width / 2) * image.width - side / 2, 0), image.width - side)
        top = min(max((box.y + box.height / 2) * image.height - side / 2, 0), image.height - side)
        face = image.crop((round(left), round(top), round(left + side), round(top + side)))
        return self._store(cached, face.resize((FACE, FACE), Image.Resampling.LANCZOS))

    def _file(self, photo_id: int) -> tuple[Path, str]:
        """Return the file of a photo, and a version that changes with its content."""
        found = self.plugin.photo_file(photo_id)
        if found is None:
            raise UnreadableError(Path(f"photo {photo_id}"), "there is no such photo")
        path, root = found.path, found.root
        try:
            real, inside = Path(os.path.realpath(path, strict=True)), Path(os.path.realpath(root, strict=True))
        except OSError as error:
            raise UnreadableError(path, f"the file cannot be read ({error.strerror or error})") from error
        if not real.is_relative_to(inside):
            raise UnreadableError(path, "the file is a link that leads out of the library")
        return real, found.version

    def _store(self, path: Path, image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=82, method=2)
        data = buffer.getvalue()
        # A full disk must not keep the picture from being shown.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{threading.get_ident()}.part")
            part.write_bytes(data)
            part.replace(path)
        with self._lock:
            self._written += 1
            if self._written % _SWEEP == 1:
                self._sweep()
        return data

    def _sweep(self) -> None:
        """Remove the oldest pictures, down to nine tenths of the limit, when there are too many."""
        files = []
        for file in self.folder.glob("*/*"):
            with suppress(OSError):
                info = file.stat()
                files.append((info.st_mtime, info.st_size, file))
        total = sum(size for _, size, _ in files)
        if total <= self.limit:
            return
        for _, size, file in sorted(files):
            with suppress(OSError):
                file.unlink()
            total -= size
            if total <= self.limit * 0.9:
                return
