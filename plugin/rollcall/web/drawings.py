"""The boxes of faces as tiles draw them: numbers alone, of which a template takes longer to write as many."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from rollcall.search.details import FaceDetails, PhotoDetails

#: Faces of a video are on one frame if their times differ by less, in seconds.
_ONE_FRAME: Final = 0.02


def faces_at(photo: PhotoDetails, seconds: float | None) -> list[FaceDetails]:
    """Return the faces that a frame of a video shows, or all of a photo."""
    if photo.duration is None or seconds is None:
        return list(photo.faces)
    return [face for face in photo.faces if face.video_time is None or abs(face.video_time - seconds) < _ONE_FRAME]


def boxes(photo: PhotoDetails) -> Markup:
    """Return the drawing of a photo's faces, 1000 units high."""
    across = 1000 * (photo.width or 4) / (photo.height or 3)
    drawn = "".join(
        f'<rect x="{round(x * across)}" y="{round(1000 * y)}"'
        f' width="{round(width * across)}" height="{round(1000 * height)}"/>'
        for x, y, width, height in (face.box for face in faces_at(photo, photo.poster_time))
    )
    return Markup(
        f'<svg class="boxes" viewBox="0 0 {round(across)} 1000" preserveAspectRatio="xMidYMid slice"'
        f' aria-hidden="true">{drawn}</svg>'
    )
