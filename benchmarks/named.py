"""People for the drawn rows of benchmarks/rows.py: each face is somebody, and some of them have names.

Who a face is has nothing to do with its embedding: searches for names do not look at those. One of the people has the
library, a partner and children whose birth dates are known.

    python benchmarks/named.py FILE [--named 61]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rows import MADE_AT
from sqlalchemy import func, insert, select

from rollcall.search.folding import fold
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonNameRow, PersonRelationRow, PersonRow

#: The first ones who have a name; the others are called by number.
NAMES = (("Anna B", "Anna"), ("Ben",), ("Carla",), ("Lena",), ("Tom",))
#: Faces of one person, on average, and the share of those of named people that somebody confirmed.
FACES_EACH = 200
CONFIRMED = 0.3
PART = 20_000


def add_people(database: Database, named: int = 61, seed: int = 0) -> None:
    """Give each face to somebody, of whom `named` have a name, unless that was done before."""
    with database.read() as session:
        if session.scalar(select(PersonRow.id).limit(1)) is not None:
            return
        faces = np.array(session.scalars(select(FaceRow.id)).all(), np.int64)
    rng = np.random.default_rng(seed)
    count = max(len(faces) // FACES_EACH, named)
    with database.write() as session:
        session.execute(insert(PersonRow.__table__), [_person(number, named) for number in range(1, count + 1)])
        session.execute(
            insert(PersonNameRow.__table__), [row for number in range(1, named + 1) for row in _names(number)]
        )
        # Anna and Ben are the parents of Lena and Tom; Carla's are not known.
        relations = [(4, 1, "child_of"), (4, 2, "child_of"), (5, 1, "child_of"), (1, 2, "partner_of")]
        some = [row for row in relations if max(row[:2]) <= named]
        if some:
            columns = ("person_id", "other_id", "relation")
            session.execute(insert(PersonRelationRow.__table__), [dict(zip(columns, row, strict=True)) for row in some])
    for start in range(0, len(faces), PART):
        _give(database, faces[start : start + PART], rng, count, named)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")


def _person(number: int, named: int) -> dict[str, object]:
    born = {4: "2012-05-03", 5: "2015"}.get(number) if number <= named else None
    return {
        "id": number,
        "uid": f"{number:032x}",
        "hidden": False,
        "is_me": number == 1 <= named,
        "birth_date": born,
        "created_at": MADE_AT,
        "birth_estimate": 1980.0,
        "birth_deviation": 2.0,
        "corrected": number <= named,
        "size": FACES_EACH,
        "unsettled": False,
    }


def _names(number: int) -> list[dict[str, object]]:
    names = NAMES[number - 1] if number <= len(NAMES) else (f"Somebody {number}",)
    return [
        {"person_id": number, "position": position, "name": name, "folded": fold(name)}
        for position, name in enumerate(names)
    ]


def _give(database: Database, faces: np.ndarray, rng: np.random.Generator, count: int, named: int) -> None:
    people = rng.integers(1, count + 1, len(faces))
    confirmed = (people <= named) & (rng.random(len(faces)) < CONFIRMED)
    likely = rng.uniform(0.5, 1.0, len(faces))
    rows = [
        {
            "face_id": face,
            "person_id": person,
            "state": "confirmed" if sure else "proposed" if person <= named else "automatic",
            "probability": 1.0 if sure else probability,
            "source": "user" if sure else "auto",
        }
        for face, person, sure, probability in zip(
            faces.tolist(), people.tolist(), confirmed.tolist(), likely.tolist(), strict=True
        )
    ]
    with database.write() as session:
        session.execute(insert(FacePersonRow.__table__), rows)


def main() -> None:
    """Add people to one database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--named", type=int, default=61)
    given = parser.parse_args()
    database = open_database(str(given.file))
    add_people(database, given.named)
    with database.read() as session:
        print(f"{session.scalar(select(func.count()).select_from(FacePersonRow)):,} faces are somebody")
    database.close()


if __name__ == "__main__":
    main()
