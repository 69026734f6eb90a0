"""Corrections of faces and photos by a person, and the log that stores them.

The functions that make corrections are re-exported here: ``rollcall.corrections.age(face_id, 5, 9)``.
"""

from rollcall.corrections.kinds import (
    KINDS,
    Correction,
    Kind,
    age,
    age_group,
    draw,
    gender,
    ignore,
    move,
    not_a_face,
    tag,
    take_back,
)

__all__ = [
    "KINDS",
    "Correction",
    "Kind",
    "age",
    "age_group",
    "draw",
    "gender",
    "ignore",
    "move",
    "not_a_face",
    "tag",
    "take_back",
]
