"""Add single faces to the people of a library, and take out those that a person's answer speaks against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from rollcall.people import assign, reading, writing
from rollcall.people.clusters import NEIGHBOURS, Faces, attach_penalty
from rollcall.people.evidence import Births, earliest_photo, evidence
from rollcall.people.linkage import UNKNOWN
from rollcall.people.reading import LibraryFaces
from rollcall.people.surroundings import CANDIDATES, Surroundings
from rollcall.search.vectors import vectors_of
from rollcall.storage.database import Database
from rollcall.storage.tables import FacePersonRow

#: Neighbours that are looked up: more than are used, as some are of the same photo or do not count.
_WANTED: Final = 48
#: Of somebody's faces that are no less similar than this to a new one, if there are enough, it is compared with these.
_SIMILAR: Final = 0.2
_ENOUGH: Final = 3
#: The least similarity to a rejected face that speaks against a proposal.
_LIKE_REJECTED: Final = 0.45


class Attached(NamedTuple):
    """What became of some new faces."""

    people: set[int]  # whose faces changed
    faces: set[int]  # that are somebody else now


def attach(session: Session, database: Database, face_ids: Sequence[int]) -> Attached:
    """Find out who some new faces are."""
    changed = Attached(set(), set())
    if not face_ids:
        return changed
    new = Surroundings.of(session, face_ids)
    people = writing.count_people(session)
    missing = sorted(set(face_ids).difference(new.vectors))
    for row in missing:
        # Its embedding is of another network: it waits for its photo to be analysed again.
        session.add(FacePersonRow(face_id=row, person_id=None, state="automatic", probability=0.0, source="auto"))
    session.flush()
    for face_id, vector in new.vectors.items():
        near = _nearest(session, database, face_id, vector)
        one = _attach_one(new, face_id, near, people)
        changed.people.update(one.people)
        changed.faces.update(one.faces)
    return changed


def _attach_one(new: Surroundings, face_id: int, near: Sequence[int], people: int) -> Attached:
    session, around = new.session, new.faces([face_id, *near])
    me = int(np.flatnonzero(around.face_ids == face_id)[0])
    person, probability = _decide(new, around, me, people)
    wanted, chance = around.person.copy(), around.probability.copy()
    for face in person:
        wanted[face], chance[face] = person[face], probability
    changed = writing.write_people(session, around, wanted, chance)
    for them in sorted(changed):
        if not writing.add_face(session, them):
            writing.summarize(session, reading.faces_of(session, [them]), [them])
    return Attached(changed, {int(around.face_ids[face]) for face, them in person.items() if them != UNKNOWN})


def _nearest(session: Session, database: Database, own: int, vector: NDArray[np.float16]) -> list[int]:
    """Return the faces of the library that are most similar to a new one."""
    return [face for _, face in vectors_of(database).nearest(session, vector, _WANTED + 1) if face != own][:_WANTED]


def _decide(new: Surroundings, around: LibraryFaces, me: int, people: int) -> tuple[dict[int, int], float]:
    """Return the faces whose person is decided now, with their person, and the probability."""
    constants = evidence()
    faces = around.faces
    vectors = np.asarray(faces.vectors, np.float32)
    cosines = vectors @ vectors[me]
    likely = constants.adult_equivalent(cosines, faces.ages, np.full(len(cosines), faces.ages[me]))
    likely[me] = -1.0
    order = np.argsort(-likely, kind="stable")[:NEIGHBOURS]
    weights = constants.probability(likely[order])
    mine = vectors[me] + weights @ vectors[order]
    mine /= np.linalg.norm(mine)
    threshold = constants.threshold(people)
    best: tuple[float, int] | None = None
    seen = around.person[order]
    candidates = list(dict.fromkeys(seen[seen != UNKNOWN].tolist()))[:CANDIDATES]
    for members in _members(new, around, candidates):
        them = int(members.person[0])
        near = np.asarray(members.faces.vectors, np.float32)
        similar = near @ mine >= _SIMILAR
        # The mean of a child and an adult is like neither.
        centre = (near[similar] if similar.sum() >= _ENOUGH else near).mean(axis=0)
        centre /= max(float(np.linalg.norm(centre)), 1e-9)
        value = float(mine @ centre) - constants.small / np.sqrt(len(members)) - _against(around, me, members)
        if value >= max(threshold, constants.attach if faces.weak[me] else 0.0) and (best is None or value > best[0]):
            best = value, them
    if best is not None:
        return {me: best[1]}, float(constants.member_probability(np.array(best[0])))
    return _pair(around, me, likely, threshold)


def _pair(around: LibraryFaces, me: int, likely: NDArray[np.float64], threshold: float) -> tuple[dict[int, int], float]:
    """Return a new group of a face and its nearest one that is in none, if they are similar enough."""
    constants, faces = evidence(), around.faces
    alone = np.flatnonzero((around.person == UNKNOWN) & (faces.photos != faces.photos[me]) & ~faces.weak)
    alone = alone[alone != me]
    if not len(alone) or faces.weak[me]:
        return {me: UNKNOWN}, 0.0
    other = int(alone[np.argmax(likely[alone])])
    weight, cosine = float(constants.probability(likely[[other]])[0]), float(likely[other])
    smoothed = (cosine * (1 + weight**2) + 2 * weight) / (1 + weight**2 + 2 * weight * cosine)
    value = smoothed - constants.small - attach_penalty(faces, me, [other], constants)
    if value < threshold:
        return {me: UNKNOWN}, 0.0
    return {me: -3, other: -3}, float(constants.member_probability(np.array(value)))


def _members(new: Surroundings, around: LibraryFaces, person_ids: Sequence[int]) -> Iterator[LibraryFaces]:
    """Yield for each of a few people their faces that stand around a new one, and some others of theirs."""
    if not person_ids:
        return
    some = new.members(person_ids)
    others = np.flatnonzero(~np.isin(some.face_ids, around.face_ids))
    found = around.joined(some.take(others)) if len(others) else around
    for person_id in person_ids:
        theirs = np.flatnonzero(found.person == person_id)
        if len(theirs):
            yield found.take(theirs)


def _against(around: LibraryFaces, me: int, members: LibraryFaces) -> float:
    """Return what photos, ages, dates and persons say against a face among the members of a group."""
    them = int(members.person[0])
    faces = around.faces
    same_photo = (around.faces.photos == faces.photos[me]) & (around.person == them)
    same_photo[me] = False
    if same_photo.any() or (members.faces.photos == faces.photos[me]).any():
        return float("inf")
    if around.taken[me] < _earliest(members):
        return float("inf")
    if them in faces.rejected[me]:
        return float("inf")
    return attach_penalty(_with(members, around, me), len(members), range(len(members)), evidence())


def _earliest(members: LibraryFaces) -> float:
    """Return when photos of the one person of some faces can begin, in years."""
    birth, theirs = members.faces.known_births.get(int(members.person[0])), members.faces.births
    assert theirs is not None
    if birth is None:
        return earliest_photo(theirs.mean, theirs.deviation)
    return float(birth.mean - 2 * birth.deviation - assign.BEFORE_BIRTH)


def _with(members: LibraryFaces, around: LibraryFaces, me: int) -> Faces:
    """Return the columns of members and one more face."""
    ours, theirs = members.faces, around.faces
    assert ours.births is not None and theirs.births is not None
    return Faces(
        np.concatenate([ours.vectors, theirs.vectors[[me]]]),
        np.concatenate([ours.photos, theirs.photos[[me]]]),
        np.concatenate([ours.ages, theirs.ages[[me]]]),
        Births(
            np.concatenate([ours.births.mean, theirs.births.mean[[me]]]),
            np.concatenate([ours.births.deviation, theirs.births.deviation[[me]]]),
        ),
        np.concatenate([ours.weak, theirs.weak[[me]]]),
        np.concatenate([ours.labels, theirs.labels[[me]]]),
        [*ours.rejected, theirs.rejected[me]],
        ours.known_births,
    )


def nearer_to_rejected(library: LibraryFaces, person: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which faces are more like a face that somebody is not than like one that they are, (n,)."""
    out = np.zeros(len(library), np.bool_)
    faces = library.faces
    for them in {one for some in faces.rejected for one in some}:
        no = [i for i, some in enumerate(faces.rejected) if them in some]
        yes = np.flatnonzero((faces.labels == them) & library.stated)
        asked = np.flatnonzero((person == them) & ~library.stated)
        if not no or not len(yes) or not len(asked):
            continue
        mine = np.asarray(faces.vectors[asked], np.float32)
        against = (mine @ np.asarray(faces.vectors[no], np.float32).T).max(axis=1)
        out[asked] = (against >= _LIKE_REJECTED) & (
            against > (mine @ np.asarray(faces.vectors[yes], np.float32).T).max(axis=1)
        )
    return out


def out_of_place(library: LibraryFaces, person: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which faces cannot be whom they are taken for: a second one of a photo, or from before the birth, (n,)."""
    out = ~library.certain & (assign.too_early(library, person) | assign.is_rejected(library, person))
    return out | assign.second_of_photo(library, person, library.probability)
