"""What is done with several photos at once: tags as one batch, and a ZIP file of the originals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from rollcall import corrections
from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidCorrectionError, PictureError
from rollcall.media.paths import readable
from rollcall.media.video import is_video
from rollcall.media.zipping import named, zipped
from rollcall.remote.paths import is_remote
from rollcall.search.folding import fold
from rollcall.sentences import Sentence
from rollcall.web.guest_copies import bare_copies, for_guests, is_jpeg
from rollcall.web.history import PERSON
from rollcall.web.inputs import Joined, TagName, history_of, plugin_of, remembered_of, tab_of
from rollcall.web.messages import Toast
from rollcall.web.names import counted
from rollcall.web.pages import in_folder, selected_faces
from rollcall.web.pages.library import has_videos
from rollcall.web.pages.rendering import page
from rollcall.web.pages.undoing import CHANGED
from rollcall.web.people_forms import Name
from rollcall.web.security import guest_of
from rollcall.web.translation import gettext, known, ngettext, translated

router = APIRouter()
#: Photos that something is done with at once.
MOST: Final = 5000
Photos = Annotated[list[RowId], Joined, Form()]


@router.post("/selection", response_class=HTMLResponse)
def change(
    request: Request,
    photos: Photos,
    what: Annotated[Literal["tag", "no_tag", "album", "leave", "ignore", "age_group", "name", "folder"], Form()],
    tag: Annotated[TagName, Form()] = "",
    album: Annotated[str, Form(max_length=200)] = "",
    from_album: Annotated[RowId | None, Form()] = None,
    label: Annotated[str, Form(max_length=100)] = "",
    name: Annotated[Name, Form()] = "",
) -> Response:
    """Set or reject a tag of several photos, answer for their faces, or change an album, as one batch.

    With `folder` nothing changes: the photo, which is one, is shown in its folder.
    """
    if len(photos) > MOST:
        raise InvalidCorrectionError(
            Sentence("more than %(most)s photos are selected; select fewer, or save a search as an album", most=MOST)
        )
    if what == "folder":
        if len(photos) != 1:
            raise InvalidCorrectionError(Sentence("one photo is shown in its folder; select one"))
        return in_folder.shown(request, photos[0])
    if what in ("album", "leave"):
        return _albums(request, photos, album if what == "album" else "", from_album)
    if what in ("ignore", "age_group", "name"):
        return _answered(request, selected_faces.say(history_of(request), photos, what, label, name))
    if not tag.strip():
        raise InvalidCorrectionError(Sentence("the tag has no name; type one"))
    history_of(request).correct(*(corrections.tag(one, tag, what == "tag") for one in photos))
    return _answered(request, _done(request, what, tag.strip(), photos))


def _answered(request: Request, text: str) -> Response:
    """Return the message on what was done, with the way back."""
    answer = page(request, "_toast.html", toast=Toast(text, "undo"))
    answer.headers.update(CHANGED)
    return answer


def _videos(request: Request, photos: list[int]) -> int:
    """Return how many of some photos are videos."""
    plugin = plugin_of(request)
    if not has_videos(plugin, remembered_of(request)):
        return 0
    return sum(one.duration is not None for one in plugin.photos(photos, brief=True))


def _done(request: Request, what: str, tag: str, photos: list[int]) -> str:
    count, videos = len(photos), _videos(request, photos)
    if videos:
        both = counted(count, videos)
        if what == "tag":
            return gettext("Tagged “%(tag)s”: %(what)s", tag=tag, what=both)
        return gettext("Not tagged “%(tag)s” any more: %(what)s", tag=tag, what=both)
    if what == "tag":
        return ngettext("%(num)s photo tagged “%(tag)s”", "%(num)s photos tagged “%(tag)s”", count, tag=tag)
    return ngettext("“%(tag)s” is no tag of %(num)s photo", "“%(tag)s” is no tag of %(num)s photos", count, tag=tag)


def _albums(request: Request, photos: list[int], name: str, from_album: int | None) -> Response:
    """Put photos into the album of a name, which is made if there is none, or without a name take them out of one."""
    plugin, tab = plugin_of(request), tab_of(request)
    count, videos = len(photos), _videos(request, photos)
    both = counted(count, videos)
    if not name.strip():
        if from_album is None:
            raise InvalidCorrectionError(Sentence("the album has no name; type one"))
        album = plugin.add_to_album(from_album, *photos, inside=False, by=PERSON, origin=tab)
        out = ngettext(
            "%(num)s photo taken out of “%(album)s”", "%(num)s photos taken out of “%(album)s”", count, album=album.name
        )
        if videos:
            out = gettext("Taken out of “%(album)s”: %(what)s", album=album.name, what=both)
        toast = Toast(out, "undo")
    else:
        known = [one for one in plugin.albums() if fold(one.name) == fold(name.strip())]
        if known:
            album = plugin.add_to_album(known[0].album_id, *photos, by=PERSON, origin=tab)
        else:
            album = plugin.save_album(name, photos=photos, by=PERSON, origin=tab)
        added = ngettext(
            "%(num)s photo added to “%(album)s”", "%(num)s photos added to “%(album)s”", count, album=album.name
        )
        if videos:
            added = gettext("Added to “%(album)s”: %(what)s", album=album.name, what=both)
        toast = Toast(added, "undo", to=f"/album/{album.album_id}")
    answer = page(request, "_toast.html", toast=toast)
    answer.headers.update(CHANGED)
    return answer


@router.get("/selection/zip", response_class=Response)
def download(
    request: Request, numbers: Annotated[str, Query(pattern=r"^[0-9]+(,[0-9]+)*$", max_length=50_000)]
) -> Response:
    """Return the originals of several photos, by their numbers, as one ZIP file."""
    return zip_of(request, [int(number) for number in numbers.split(",")][:MOST], "photos")


def zip_of(request: Request, photos: list[int], name: str) -> Response:
    """Return the originals of photos as one ZIP file, whose name is made of what a person typed.

    Guests get what they see and play, without what originals tell of places, people and cameras. If some cannot be
    read, a text in it says which, and why.
    """
    guest = guest_of(request.scope)
    missing: list[str] = []
    numbers = {file: number for number, file in _files(request, photos, missing)}
    files = named((number, file) for file, number in numbers.items())
    title, heading = f"{gettext('Not in here')}.txt", gettext("These photos are not in here:")
    content = None
    if guest is not None and not guest.everything:
        files = ((file, name if is_jpeg(file) or is_video(file) else f"{name}.jpg") for file, name in files)
        content = bare_copies(request.app.state.guest_videos, numbers, missing)

    def texts() -> dict[str, str]:
        return {title: "\r\n".join([heading, "", *missing]) + "\r\n"} if missing else {}

    plain = "".join(c if c.isascii() and (c.isalnum() or c in " -_") else "_" for c in name).strip() or "photos"
    exact = quote(f"{name.replace('/', '_')}.zip", safe="")
    headers = {"Content-Disposition": f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{exact}"}
    return StreamingResponse(zipped(list(files), texts, content), media_type="application/zip", headers=headers)


def _files(request: Request, photos: list[int], missing: list[str]) -> Iterator[tuple[int, Path]]:
    """Yield the files that can be read, with the numbers of their photos; say of the others why they cannot."""
    for photo in plugin_of(request).photos(photos):
        if is_remote(photo.path):
            # All of them would have to be fetched before the first byte is sent.
            missing.append(f"{readable(photo.path.name)}: {gettext('it lies on a server, not on this machine')}")
            continue
        try:
            file, _ = request.app.state.pictures.file(photo.photo_id)
        except PictureError as error:
            reason = translated(known(error.reason)) if guest_of(request.scope) is None else for_guests(error)
            missing.append(f"{readable(photo.path.name)}: {reason}")
            continue
        yield photo.photo_id, file
