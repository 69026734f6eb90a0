"""Servers that have the photos of `tests/plugin/bridges/conftest.py`, and names for faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fake_immich import FakeImmich
from fake_nextcloud import FakeNextcloud
from fake_photoprism import FakePhotoPrism
from rollcall import Plugin
from rollcall.storage.tables import FacePersonRow, PersonNameRow, PersonRow
from strict_server import StrictServer

PHOTOS: Final = ("a.png", "trip/b.png", "trip/c.png")


def immich(without: str = "") -> FakeImmich:
    """Return a server whose external library is what is /library there."""
    server = FakeImmich()
    for name in PHOTOS:
        if name != without:
            server.add_asset(f"/library/{name}")
    return server


def photoprism(without: str = "") -> FakePhotoPrism:
    """Return a server whose originals are the library's folder."""
    server = FakePhotoPrism()
    for name in PHOTOS:
        if name != without:
            server.add_photo(name)
    return server


def nextcloud(without: str = "") -> FakeNextcloud:
    """Return a server on which a user has the photos in a folder."""
    server = FakeNextcloud()
    for name in (*PHOTOS, "other.png"):
        if name != without:
            server.add_file(f"/library/{name}")
    return server


SERVERS: Final[dict[str, Callable[..., StrictServer]]] = {
    "immich": immich,
    "photoprism": photoprism,
    "nextcloud": nextcloud,
}


def name_face(plugin: Plugin, face_id: int, name: str, *, birth_date: str | None = None, uid: str = "") -> None:
    """Store that a person confirmed a face's name, as the projection of corrections would."""
    with plugin.database.write() as session:
        uid = uid or f"uid-{name}"
        person = session.query(PersonRow).filter_by(uid=uid).one_or_none()
        if person is None:
            person = PersonRow(
                uid=uid, hidden=False, is_me=False, birth_date=birth_date, created_at="2026-01-01T00:00:00.000Z"
            )
            session.add(person)
            session.flush()
            session.add(PersonNameRow(person_id=person.id, position=0, name=name, folded=name.casefold()))
        row = session.get(FacePersonRow, face_id)
        if row is None:
            row = FacePersonRow(face_id=face_id)
            session.add(row)
        row.person_id, row.state, row.probability, row.source = person.id, "confirmed", 1.0, "user"
