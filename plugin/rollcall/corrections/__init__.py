"""Corrections of faces and photos by a person, and the log that stores them.

The functions that make corrections are re-exported here: ``rollcall.corrections.age(face_id, 5, 9)``.
"""

from rollcall.corrections.album_kinds import (
    album_name,
    album_photo,
    album_query,
    album_removed,
    album_shared,
)
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
from rollcall.corrections.person_kinds import (
    member,
    new_uid,
    not_person,
    person,
    person_birth,
    person_hidden,
    person_me,
    person_merge,
    person_name,
    person_relation,
)

__all__ = [
    "KINDS",
    "Correction",
    "Kind",
    "age",
    "age_group",
    "album_name",
    "album_photo",
    "album_query",
    "album_removed",
    "album_shared",
    "draw",
    "gender",
    "ignore",
    "member",
    "move",
    "new_uid",
    "not_a_face",
    "not_person",
    "person",
    "person_birth",
    "person_hidden",
    "person_me",
    "person_merge",
    "person_name",
    "person_relation",
    "tag",
    "take_back",
]
