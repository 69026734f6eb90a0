"""What a file says of its picture, put so that the file's bytes need not be held while it is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rollcall.media import capture_time, iptc, metadata, xmp
from rollcall.media.formats import Format
from rollcall.media.metadata import Metadata
from rollcall.records import CaptureTime


class Facts(NamedTuple):
    """Capture time, orientations and words of a picture."""

    path: Path
    taken: CaptureTime | None
    written: int  # orientation, as EXIF or XMP say, 1..8
    by_container: int | None  # orientation that the container demands, 1..8
    xmp: tuple[bytes, ...]  # packets
    keywords: tuple[str, ...]  # of IPTC
    without_exif: Metadata | None  # all blocks of a file that has no EXIF

    def with_exif(self, block: bytes) -> Facts:
        """Return what is known with a block of EXIF that only the decoder could unpack, if the file has no other."""
        if not block or self.without_exif is None:
            return self
        return of(self.path, self.without_exif._replace(exif=block))

    def turn(self, kind: Format, turned: bool) -> int:
        """Return the orientation that has still to be applied; `turned`: the decoder has turned the pixels."""
        if turned:
            return 1
        if self.by_container is None:
            return self.written
        # libheif applies the transforms of the container, the decoder of AVIF does not; both override EXIF.
        return self.by_container if kind is Format.AVIF else 1

    def orientation(self, kind: Format, turned: bool) -> int:
        """Return the orientation of the stored pixels, 1..8."""
        # The decoder has turned a JPEG XL by its codestream, which overrides the copy in EXIF.
        return 1 if kind is Format.JXL and turned else self.by_container or self.written


def of(path: Path, found: Metadata) -> Facts:
    """Return what the blocks of a file, its name and the files beside it say."""
    directories = metadata.directories(found)
    return Facts(
        path,
        capture_time.find(path, found, directories),
        (directories.orientation() if directories else None) or xmp.orientation(found.xmp) or 1,
        found.turned_by_container,
        tuple(block for block in (found.xmp, found.xmp_extended) if block),
        tuple(iptc.keywords(found.iptc)) if found.iptc else (),
        None if found.exif else found,
    )
