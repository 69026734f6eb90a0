"""Corrections: what a person states about a face or a photo, and the log that keeps it.

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
