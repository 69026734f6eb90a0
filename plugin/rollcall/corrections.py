"""What a person can say of a face or a photo, as plain values; what was said last always wins.

A correction has a kind and a value; an empty value takes back what was said of that kind:

=============  ==========================================================================
age            ``{"low": 5, "high": 9}``, completed years, both ends included
gender         ``{"label": "female"}``, any label; ``{"label": None}``: not to be estimated
not_a_face     ``{"said": True}``
ignore         ``{"said": True}``: a face, but one to be left out (a stranger, a poster)
box            ``{"box": [x, y, width, height]}``, moved; with ``"drawn": True`` a new face
tag            ``{"tag": "People/Children", "state": "applied" or "rejected"}``
=============  ==========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

from rollcall.ages import AGE_GROUPS
from rollcall.errors import CorrectionError
from rollcall.records import Box
from rollcall.tagging import Said

Kind = Literal["age", "gender", "not_a_face", "ignore", "box", "tag"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: Kinds that are said of a photo; the others are said of a face.
OF_PHOTOS: Final = ("tag",)
#: No one is older.
OLDEST: Final = 130


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing that a person says; made by the functions below, which check it."""

    kind: Kind
    value: Mapping[str, Any] = field(default_factory=dict)
    face_id: int | None = None
    photo_id: int | None = None  # of a tag, or of a face that is drawn


def age(face_id: int, low: float, high: float | None = None) -> Correction:
    """Say how old someone is in the picture: exactly, or from `low` to `high` years.

    Raises
    ------
    CorrectionError
        If no one can be so old.
    """
    high = low if high is None else high
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= OLDEST):
        raise CorrectionError(f"an age from {low:g} to {high:g} cannot be; give years from 0 to {OLDEST}")
    return Correction("age", {"low": math.floor(low), "high": math.floor(high)}, face_id)


def age_group(face_id: int, name: str) -> Correction:
    """Say which group of ages someone belongs to, such as children.

    Raises
    ------
    CorrectionError
        If there is no such group.
    """
    group = AGE_GROUPS.get(name)
    if group is None:
        raise CorrectionError(f"there is no age group {name!r}; choose one of {', '.join(AGE_GROUPS)}")
    # "Seniors" has no upper end: the range says so with an age that no one has passed.
    return age(face_id, group.low, group.high if group.high < 100 else OLDEST)


def gender(face_id: int, label: str | None) -> Correction:
    """Say someone's gender: female, male, or any label; None: it is not to be estimated.

    Raises
    ------
    CorrectionError
        If the label is empty.
    """
    if label is not None and not label.strip():
        raise CorrectionError("a gender needs a label; to keep it from being estimated say so instead")
    return Correction("gender", {"label": None if label is None else label.strip()}, face_id)


def not_a_face(face_id: int) -> Correction:
    """Say that there is no face there."""
    return Correction("not_a_face", {"said": True}, face_id)


def ignore(face_id: int) -> Correction:
    """Say that a face is to be left out of everything."""
    return Correction("ignore", {"said": True}, face_id)


def move(face_id: int, box: Box) -> Correction:
    """Say where a face really is.

    Raises
    ------
    CorrectionError
        If the box does not lie in the picture.
    """
    return Correction("box", {"box": list(_inside(box))}, face_id)


def draw(photo_id: int, box: Box) -> Correction:
    """Say that there is a face where none was found.

    Raises
    ------
    CorrectionError
        If the box does not lie in the picture.
    """
    return Correction("box", {"box": list(_inside(box)), "drawn": True}, None, photo_id)


def tag(photo_id: int, name: str, accepted: bool) -> Correction:
    """Say that a tag is right for a photo, or wrong.

    Raises
    ------
    CorrectionError
        If the name is empty.
    """
    return Correction("tag", {"tag": tag_name(name), "state": "applied" if accepted else "rejected"}, None, photo_id)


def take_back(kind: Kind, *, face_id: int | None = None, photo_id: int | None = None, name: str = "") -> Correction:
    """Say nothing more of this kind, so that the estimate is shown again; of a tag, `name` says which."""
    if (photo_id if kind in OF_PHOTOS else face_id) is None:
        raise CorrectionError(f"say of which {'photo' if kind in OF_PHOTOS else 'face'} the {kind} is taken back")
    return Correction(kind, {"tag": tag_name(name)} if kind == "tag" else {}, face_id, photo_id)


def tag_name(name: str) -> str:
    """Return a tag's name without blanks around its levels.

    Raises
    ------
    CorrectionError
        If nothing is left of it.
    """
    levels = [level.strip() for level in name.split("/")]
    if not all(levels) or any(ord(character) < 32 for character in name):
        raise CorrectionError(f"{name!r} cannot be a tag; give words, with '/' between levels")
    return "/".join(levels)


def _inside(box: Box) -> Box:
    """Return the part of a box that lies in the picture."""
    if not all(map(math.isfinite, box)):
        raise CorrectionError("a box needs four numbers: left, top, width, height, as fractions of the picture")
    x0, y0 = max(box.x, 0.0), max(box.y, 0.0)
    x1, y1 = min(box.x + box.width, 1.0), min(box.y + box.height, 1.0)
    if x1 - x0 < 1e-4 or y1 - y0 < 1e-4:
        raise CorrectionError("the box does not lie in the picture, or is empty; give fractions of the upright picture")
    return Box(x0, y0, x1 - x0, y1 - y0)


def checked(correction: Correction) -> Correction:
    """Return a correction from elsewhere, a file or a host, put together anew by the functions above.

    Raises
    ------
    CorrectionError
        If it says nothing that can be said.
    """
    kind, value, face_id, photo_id = correction.kind, correction.value, correction.face_id, correction.photo_id
    if kind not in KINDS:
        raise CorrectionError(f"there is no correction of kind {kind!r}; choose one of {', '.join(KINDS)}")
    try:
        if not value or (kind == "tag" and "state" not in value):
            return take_back(kind, face_id=face_id, photo_id=photo_id, name=str(value.get("tag", "")))
        if kind == "tag" and photo_id is not None:
            return tag(photo_id, str(value["tag"]), {"applied": True, "rejected": False}[value["state"]])
        if kind == "box" and photo_id is not None and value.get("drawn"):
            return draw(photo_id, Box(*(float(part) for part in value["box"])))
        if face_id is None:
            raise CorrectionError(f"say of which {'photo' if kind == 'tag' else 'face'} the {kind} is corrected")
        if kind == "box":
            return move(face_id, Box(*(float(part) for part in value["box"])))
        if kind == "age":
            return age(face_id, float(value["low"]), float(value["high"]))
        if kind == "gender":
            label = value["label"]
            return gender(face_id, None if label is None else str(label))
        return Correction(kind, {"said": True}, face_id)
    except (KeyError, TypeError, ValueError) as error:
        raise CorrectionError(f"a correction of the {kind} cannot say {dict(value)!r} ({error})") from error


class Logged(NamedTuple):
    """One line of the log, as far as it matters for what stands."""

    uid: str
    kind: str
    value: Mapping[str, Any]


def standing(log: Iterable[Logged]) -> list[Logged]:
    """Return what of a log (oldest first) is not undone, in its order."""
    lines = list(log)
    undone = undone_by(lines)
    return [line for line in lines if line.kind not in ("undo", "redo") and line.uid not in undone]


def undone_by(log: Iterable[Logged]) -> set[str]:
    """Return which lines a log (oldest first) has undone in the end."""
    undone: set[str] = set()
    for line in log:
        if line.kind == "undo":
            undone.add(line.value["of"])
        elif line.kind == "redo":
            undone.discard(line.value["of"])
    return undone


class FaceVerdict(NamedTuple):
    """What all that was said of a face amounts to."""

    said: Said
    dismissed: bool
    box: Box | None  # as a person drew or moved it
    drawn_away: bool  # it was drawn by hand, and that was undone


def verdict(log: Sequence[Logged]) -> FaceVerdict:
    """Return what the log of one face (oldest first) amounts to."""
    newest = {line.kind: line.value for line in standing(log)}
    years, label, box = newest.get("age") or {}, newest.get("gender") or {}, newest.get("box") or {}
    dismissed = any(newest.get(kind) for kind in ("not_a_face", "ignore"))
    drawn = any(line.kind == "box" and line.value.get("drawn") for line in log)
    return FaceVerdict(
        Said(years.get("low"), years.get("high"), "label" in label, label.get("label")),
        dismissed,
        Box(*box["box"]) if box else None,
        drawn and not box,
    )


def tag_states(log: Sequence[Logged], names: Mapping[str, str]) -> dict[str, str | None]:
    """Return for every tag that the log of a photo speaks of its state: applied, rejected, or None: nothing said.

    `names` are the present names of the automatic tags by group: what was said of one before it was renamed
    holds for it under its new name too.
    """

    def name(line: Logged) -> str:
        return str(names.get(line.value.get("group", ""), line.value["tag"]))

    result: dict[str, str | None] = {name(line): None for line in log if line.kind == "tag"}
    for line in standing(log):
        if line.kind == "tag":
            result[name(line)] = line.value.get("state")
    return result
