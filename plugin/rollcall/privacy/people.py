"""Delete people wholly: their faces, names, and every line of the log that speaks of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rollcall.corrections.albums import project_albums
from rollcall.corrections.people import project_people
from rollcall.corrections.people_log import forget_stated, stated_people
from rollcall.corrections.person_kinds import FACE_PERSON_KINDS, PERSON_KINDS
from rollcall.errors import NotFoundError
from rollcall.privacy import deletion
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks
from rollcall.storage.tables import CorrectionRow, FacePersonRow, PersonRow, VerdictRow


def delete_people(session: Session, person_ids: Sequence[int], settings: TagSettings) -> None:
    """Delete people with all faces that are theirs, confirmed or not; tombstones keep these faces from coming back.

    Raises
    ------
    NotFoundError
        If one of them is not there.
    """
    uids: set[str] = set()
    for person_id in person_ids:
        row = session.get(PersonRow, person_id)
        if row is None:
            raise NotFoundError("person", person_id)
        uids.add(row.uid)
    if not uids:
        return
    stated = stated_people(session)
    uids |= {uid for uid in stated.merged if stated.uid(uid) in uids}
    for part in chunks(list(person_ids)):
        faces = session.scalars(select(FacePersonRow.face_id).where(FacePersonRow.person_id.in_(part))).all()
        deletion.delete_faces(session, faces, settings)
    lines = session.execute(
        select(CorrectionRow.id, CorrectionRow.value).where(CorrectionRow.kind.in_((*PERSON_KINDS, *FACE_PERSON_KINDS)))
    )
    gone = [number for number, value in lines if {value.get("person"), value.get("other")} & uids]
    for numbers in chunks(gone):
        session.execute(delete(CorrectionRow).where(CorrectionRow.id.in_(numbers)))
    for line in session.scalars(select(CorrectionRow).where(CorrectionRow.kind == "album_query")):
        if any(set(named) & uids for _, _, named in line.value.get("names") or ()):
            session.delete(line)  # the album stays, with the photos that were put into it
    # What the views showed before a correction names people, too.
    for line in session.scalars(select(CorrectionRow).where(CorrectionRow.kind.in_(FACE_PERSON_KINDS))):
        if (line.value_before or {}).get("person") in uids:
            line.value_before = None
    session.flush()
    deletion.delete_orphans(session)
    for part in chunks(list(person_ids)):
        session.execute(delete(PersonRow).where(PersonRow.id.in_(part)))
    session.expire_all()
    forget_stated(session)
    project_people(session)
    project_albums(session)
    change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def delete_groups(session: Session) -> None:
    """Delete what grouping found: without embeddings nothing tells whose a face is, unless a person said so."""
    session.execute(delete(FacePersonRow).where(FacePersonRow.source == "auto"))
    used = select(FacePersonRow.face_id).where(FacePersonRow.person_id == PersonRow.id)
    session.execute(delete(PersonRow).where(~PersonRow.corrected, ~used.exists()))
    revisions.set_grouped(session, None)
    session.expire_all()
    change_feed.record(session, ChangeKind.PEOPLE_CHANGED, None)


def delete_birth_estimates(session: Session) -> None:
    """Delete the birth dates that were estimated from ages; those that a person gave stay."""
    session.execute(update(PersonRow).values(birth_estimate=None, birth_deviation=None))
    dated = (
        select(FacePersonRow.face_id)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .where(PersonRow.birth_date.is_not(None))
    )
    session.execute(
        update(VerdictRow)
        .where(VerdictRow.age_derived, VerdictRow.face_id.not_in(dated))
        .values(age_low=None, age_high=None, age_derived=False)
    )
    session.expire_all()
