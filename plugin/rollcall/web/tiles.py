"""The tiles of the grid, of which one scroll brings sixty: as a template they take three times as long to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from rollcall.media.paths import readable
from rollcall.web import formats
from rollcall.web.drawings import boxes
from rollcall.web.shown import about, clock, photo_version
from rollcall.web.translation import gettext, ngettext

if TYPE_CHECKING:
    from rollcall.search.details import PhotoDetails

#: The narrowest and the widest tile, as width by height: what is beyond is cut.
_NARROWEST, _WIDEST = 0.6, 2.6
#: Faces that a tile tells of.
_FACES: Final = 4


def tile(
    photo: PhotoDetails, base: str, place: int, parameters: str, chance: float | None = None, *, bare: bool = False
) -> Markup:
    """Return the tile of a photo.

    Parameters
    ----------
    base
        The path of this start, before all addresses.
    place
        Where it stands in the results, from 0 on.
    parameters
        The query of the photo's address.
    chance
        The probability that is shown; None for none.
    bare
        Nothing of faces is shown: for guests.
    """
    number = photo.photo_id
    ratio = min(max((photo.width or 4) / (photo.height or 3), _NARROWEST), _WIDEST)
    shown = "" if chance is None else escape(formats.percent(chance))
    length = "" if photo.duration is None else clock(photo.duration)
    label = [
        readable(photo.path.name),
        gettext("video of %(length)s", length=length) if length else "",
        shown,
        ngettext("%(num)s face", "%(num)s faces", len(photo.faces)),
    ]
    inside: list[str] = [] if bare else [boxes(photo)]
    if length:
        inside.append(f'<span class="duration" aria-hidden="true" data-length="{length}"></span>')
    if shown:
        inside.append(f'<span class="chance" aria-hidden="true">{shown}</span>')
    if photo.faces and not bare:
        inside.append(_captions(photo))
    return Markup(
        f'<li class="tile" id="photo-{number}" data-ratio="{ratio:.4f}" data-id="{number}" data-at="{place}">'
        f'<a href="{base}/photo/{number}{escape(parameters)}"'
        f' aria-label="{escape(", ".join(part for part in label if part))}">'
        f'<img src="{base}/pictures/photo/{number}/thumb.webp{photo_version(photo)}" alt="" loading="lazy"'
        f' decoding="async" width="{round(200 * ratio)}" height="200">{"".join(inside)}</a></li>'
    )


def _captions(photo: PhotoDetails) -> str:
    lines = [about(face) for face in photo.faces[:_FACES]]
    if len(photo.faces) > _FACES:
        lines.append(gettext("and %(count)s more", count=formats.number(len(photo.faces) - _FACES)))
    spans = "".join(f"<span>{escape(one)}</span>" for one in lines)
    return f'<span class="who" aria-hidden="true">{spans}</span>'
