"""What is done with several photos at once: tags as one batch, and a ZIP file of the originals."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from rollcall import corrections
from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidCorrectionError, PictureError
from rollcall.media.reading import MAX_BYTES
from rollcall.sentences import Sentence
from rollcall.web.inputs import TagName, history_of, plugin_of
from rollcall.web.messages import Toast
from rollcall.web.pages.rendering import page
from rollcall.web.pages.undoing import CHANGED
from rollcall.web.translation import ngettext

router = APIRouter()
#: Photos that something is done with at once.
MOST: Final = 5000
_PART: Final = 1 << 20
Photos = Annotated[list[RowId], Form(max_length=MOST)]


@router.post("/selection", response_class=HTMLResponse)
def change(
    request: Request, photos: Photos, what: Annotated[Literal["tag", "no_tag"], Form()], tag: Annotated[TagName, Form()]
) -> Response:
    """Set or reject a tag of several photos, as one batch."""
    if not tag.strip():
        raise InvalidCorrectionError(Sentence("the tag has no name; type one"))
    history_of(request).correct(*(corrections.tag(one, tag, what == "tag") for one in photos))
    answer = page(request, "_toast.html", toast=Toast(_done(what, tag.strip(), len(photos)), "undo"))
    answer.headers.update(CHANGED)
    return answer


def _done(what: str, tag: str, count: int) -> str:
    if what == "tag":
        return ngettext("%(num)s photo tagged “%(tag)s”", "%(num)s photos tagged “%(tag)s”", count, tag=tag)
    return ngettext("“%(tag)s” is no tag of %(num)s photo", "“%(tag)s” is no tag of %(num)s photos", count, tag=tag)


@router.get("/selection/zip", response_class=Response)
def download(
    request: Request, numbers: Annotated[str, Query(pattern=r"^[0-9]+(,[0-9]+)*$", max_length=50_000)]
) -> Response:
    """Return the originals of several photos, by their numbers, as one ZIP file."""
    files = list(_files(request, [int(number) for number in numbers.split(",")][:MOST]))
    headers = {"Content-Disposition": 'attachment; filename="photos.zip"'}
    return StreamingResponse(_zipped(files), media_type="application/zip", headers=headers)


def _files(request: Request, photos: list[int]) -> Iterator[tuple[Path, str]]:
    """Yield the files that can be read, each with a name that no other one has."""
    taken: set[str] = set()
    plugin = plugin_of(request)
    for photo in plugin.photos(photos):
        try:
            file, _ = request.app.state.pictures.file(photo.photo_id)
        except PictureError:
            continue  # its tile says why
        name = _safe(photo.path.name)
        if name in taken:
            name = f"{Path(name).stem}-{photo.photo_id}{Path(name).suffix}"
        taken.add(name)
        yield file, name


def _safe(name: str) -> str:
    # Names of files may be bytes that are no text; in a ZIP they have to be.
    return name.encode("utf-8", "replace").decode()


class _Pipe:
    """A file that is written and never read back: what was written is taken out in between."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.position = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data


def _zipped(files: list[tuple[Path, str]]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for file, name in files:
            try:
                # A time before 1980 has no form in a ZIP.
                info = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
                with (
                    file.open("rb") as source,
                    archive.open(info, "w", force_zip64=info.file_size > MAX_BYTES) as entry,
                ):
                    while part := source.read(_PART):
                        entry.write(part)
                        yield pipe.taken()
            except OSError:
                continue  # it vanished meanwhile
    yield pipe.taken()
