"""What pages show of people besides lists: faces by time, company, best shots, proposals that wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall.people import persons, seen
from rollcall.people.persons import Person
from rollcall.people.seen import SHOWN_FACES
from rollcall.search.identifiers import storable
from rollcall.storage.library import chunks

#: Which people a list is of.
Kind = Literal["named", "unnamed", "hidden"]
#: What the faces of a person are sorted by.
FaceOrder = Literal["newest", "oldest", "likeliest"]
_NAMED: Final = "EXISTS (SELECT 1 FROM person_names n WHERE n.person_id = q.id)"
_KINDS: Final[dict[Kind, str]] = {
    "named": f"{_NAMED} AND NOT q.hidden",
    "unnamed": f"NOT {_NAMED} AND NOT q.hidden",
    "hidden": "q.hidden",
}
_ORDERS: Final[dict[FaceOrder, str]] = {
    "newest": "p.taken_local IS NULL, p.taken_local DESC, f.face_id DESC",
    "oldest": "p.taken_local IS NULL, p.taken_local, f.face_id",
    "likeliest": "f.person_probability DESC, f.face_id",
}
#: The faces of a person; the inner query finds them by an index.
_FACES: Final = (
    "FROM v1_faces f JOIN v1_photos p ON p.photo_id = f.photo_id"
    " WHERE f.face_id IN (SELECT w.face_id FROM face_people w WHERE w.person_id = :id)"
)


#: The faces of person q whose capture time is known.
_DATED: Final = (
    "FROM face_people w JOIN faces f ON f.id = w.face_id JOIN photos p ON p.id = f.photo_id"
    " WHERE w.person_id = q.id AND p.taken_local IS NOT NULL"
)


class PortraitFace(NamedTuple):
    """A face of a person as pages show it."""

    face_id: int
    photo_id: int
    taken_local: str | None
    state: str  # confirmed, proposed or automatic
    probability: float
    age: float | None  # years


class FaceIdentity(NamedTuple):
    """Who a face of a photo is."""

    person_id: int
    uid: str
    name: str | None
    state: str  # confirmed, proposed or automatic
    probability: float


def counts(session: Session) -> dict[Kind, int]:
    """Return how many people there are of each kind."""
    return {
        kind: int(session.execute(text(f"SELECT COUNT(*) FROM people q WHERE {condition}")).scalar() or 0)
        for kind, condition in _KINDS.items()
    }


def names(session: Session) -> list[tuple[int, str]]:
    """Return all names with the numbers of their people, in the order of the alphabet."""
    rows = session.execute(text("SELECT person_id, name FROM person_names ORDER BY folded, person_id"))
    return [(row[0], row[1]) for row in rows]


def timeline(
    session: Session,
    person_id: int,
    *,
    order: FaceOrder = "newest",
    state: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[PortraitFace]:
    """Return the faces of a person that are shown, of one `state` or of all."""
    if not storable(person_id):
        return []
    only = "" if state is None else " AND f.person_state = :state"
    rows = session.execute(
        text(
            "SELECT f.face_id, f.photo_id, p.taken_local, f.person_state, f.person_probability, f.age"
            f" {_FACES}{only} ORDER BY {_ORDERS[order]} LIMIT :limit OFFSET :offset"
        ),
        {"id": person_id, "limit": limit, "offset": offset, "state": state},
    )
    return [PortraitFace(*row) for row in rows]


def through_the_years(session: Session, person_id: int, limit: int) -> list[PortraitFace]:
    """Return faces of a person from the youngest to the oldest, spread evenly over the capture times.

    Of each part of the time it is the best face: confirmed if there is one, large, sharp, and surely the person.
    """
    rows = session.execute(
        text(
            "SELECT f.face_id, f.photo_id, p.taken_local, f.person_state, f.person_probability, f.age,"
            f" {_CONFIRMED}, {_QUALITY} {_FACES} AND p.taken_local IS NOT NULL AND f.person_probability >= 0.5"
            " ORDER BY p.taken_local, f.face_id"
        ),
        {"id": person_id},
    ).all()
    size = max(len(rows) / max(limit, 1), 1.0)
    parts = [rows[round(at * size) : round((at + 1) * size)] for at in range(min(limit, len(rows)))]
    return [PortraitFace(*max(part, key=lambda row: row[6:])[:6]) for part in parts if part]


#: Whoever looks at somebody's best faces shall not meet somebody else: guesses come behind what was confirmed.
_CONFIRMED: Final = "CASE WHEN f.person_state = 'confirmed' THEN 1 ELSE 0 END"
#: Large, sharp and surely the person: the area counts up to a tenth of the picture.
_QUALITY: Final = (
    "f.person_probability * f.score * (f.sharpness / (f.sharpness + 100.0))"
    " * CASE WHEN f.width * f.height < 0.1 THEN f.width * f.height ELSE 0.1 END"
)


def best_shots(session: Session, person_id: int, limit: int) -> list[PortraitFace]:
    """Return the best faces of a person: confirmed ones first, large, sharp, and surely the person."""
    rows = session.execute(
        text(
            "SELECT f.face_id, f.photo_id, p.taken_local, f.person_state, f.person_probability, f.age"
            f" {_FACES} AND f.person_probability >= 0.5"
            f" ORDER BY {_CONFIRMED} DESC, {_QUALITY} DESC, f.face_id LIMIT :limit"
        ),
        {"id": person_id, "limit": limit},
    )
    return [PortraitFace(*row) for row in rows]


def companions(session: Session, person_id: int, limit: int) -> list[tuple[Person, int]]:
    """Return the people who are on most photos with somebody, and on how many."""
    rows = session.execute(
        text(
            "SELECT w.person_id, COUNT(DISTINCT f.photo_id) FROM face_people w JOIN faces f ON f.id = w.face_id"
            " JOIN people q ON q.id = w.person_id WHERE w.person_id != :id AND w.probability >= 0.5 AND NOT q.hidden"
            " AND f.photo_id IN (SELECT g.photo_id FROM face_people x JOIN faces g ON g.id = x.face_id"
            " WHERE x.person_id = :id AND x.probability >= 0.5) GROUP BY w.person_id ORDER BY 2 DESC, 1 LIMIT :limit"
        ),
        {"id": person_id, "limit": limit},
    ).all()
    shared = {row[0]: row[1] for row in rows}
    return [(one, shared[one.person_id]) for one in persons.read(session, list(shared))]


def videos(session: Session, person_ids: Sequence[int], beside: int | None = None) -> dict[int, int]:
    """Return on how many videos people are; `beside`: on how many with somebody, as `companions` counts them."""
    sure = "" if beside is None else " AND w.probability >= 0.5"
    with_them = (
        " AND f.photo_id IN (SELECT g.photo_id FROM face_people x JOIN faces g ON g.id = x.face_id"
        " WHERE x.person_id = :beside AND x.probability >= 0.5)"
    )
    statement = text(
        "SELECT w.person_id, COUNT(DISTINCT f.photo_id) FROM face_people w JOIN faces f ON f.id = w.face_id"
        " JOIN photos p ON p.id = f.photo_id WHERE p.duration IS NOT NULL AND w.person_id IN :ids"
        f" AND {SHOWN_FACES}{sure}{'' if beside is None else with_them} GROUP BY w.person_id"
    ).bindparams(bindparam("ids", list(person_ids), expanding=True))
    rows = session.execute(statement, {} if beside is None else {"beside": beside}).all()
    return {int(them): int(count) for them, count in rows}


def identities(session: Session, photo_id: int) -> dict[int, FaceIdentity]:
    """Return who the faces of a photo are, by face; those of nobody are left out."""
    if not storable(photo_id):
        return {}
    rows = session.execute(
        text(
            "SELECT f.face_id, f.person_id, q.uid, f.person, f.person_state, f.person_probability"
            " FROM v1_faces f JOIN people q ON q.id = f.person_id WHERE f.photo_id = :id"
        ),
        {"id": photo_id},
    )
    return {row[0]: FaceIdentity(*row[1:]) for row in rows}


def seen_on_one_day(session: Session) -> list[int]:
    """Return the numbers of the groups without a name whose photos are all of one day, or without a capture time."""
    rows = session.execute(
        text(
            f"SELECT q.id FROM people q WHERE {_KINDS['unnamed']}"
            " AND EXISTS (SELECT 1 FROM face_people w WHERE w.person_id = q.id)"
            # Most groups are of several days, which the first two faces tell.
            f" AND NOT EXISTS (SELECT 1 {_DATED} AND SUBSTR(p.taken_local, 1, 10) <>"
            f" (SELECT SUBSTR(p.taken_local, 1, 10) {_DATED} LIMIT 1)) ORDER BY q.id"
        )
    )
    return [row[0] for row in rows]


def waiting(session: Session) -> list[tuple[int, int]]:
    """Return the people whose proposals wait for an answer, those with the most first, and how many wait."""
    # An index has the faces that wait; hardly any of them is hidden.
    rows = session.execute(
        text(
            "SELECT q.id, (SELECT COUNT(*) FROM face_people w WHERE w.person_id = q.id AND w.state = 'proposed')"
            " FROM people q WHERE NOT q.hidden"
        )
    )
    found = {int(row[0]): int(row[1]) for row in rows}
    for part in chunks(sorted(seen.hidden_faces(session))):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        waiting_faces = "SELECT w.person_id FROM face_people w WHERE w.state = 'proposed' AND w.face_id IN :ids"
        for (person_id,) in session.execute(text(waiting_faces).bindparams(ids)):
            if person_id in found:
                found[person_id] -= 1
    return sorted(((one, count) for one, count in found.items() if count), key=lambda row: (-row[1], row[0]))
