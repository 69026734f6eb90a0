"""Finding the photos and faces again that corrections speak of.

A line of the log holds of which photo and face it was said when they were last seen: the content's hash, the path,
the picture's look, the face's box and embedding. Whatever of these changed, the rest finds them again; what
cannot be found waits, and is never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from rollcall import looks, matching
from rollcall.matching import Known
from rollcall.records import Box
from rollcall.settings import TagSettings
from rollcall.store import results
from rollcall.store.corrections import Done, derive, draw_face, settle
from rollcall.store.results import Saved
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Embedding, FaceRow, Photo

#: In a file that was both renamed and edited, faces this alike at the same place are the same.
ALIKE_ELSEWHERE: Final = 0.9
OVERLAP_ELSEWHERE: Final = 0.7
#: Said of a photo, not of a face, as far as the number of a face shows it.
_OF_FACES: Final = ("age", "gender", "not_a_face", "ignore", "box")


# ---- After a photo was analysed


def follow(session: Session, photo_id: int, saved: Saved) -> Done:
    """Lay over a photo that was just analysed what was said of it, as far as it is found again."""
    done = Done()
    photo = session.get_one(Photo, photo_id)
    if photo.reviewed and _is_another(saved):
        # Another picture lies there now: what was said of the first one waits for it.
        session.execute(update(Line).where(Line.photo_id == photo_id).values(photo_id=None, face_id=None))
        session.expire_all()
        done.photo_ids.add(photo_id)
    elif photo.reviewed:
        _remember(session, photo, saved)
        spoken_of = set(
            session.scalars(select(Line.face_id).where(Line.photo_id == photo_id, Line.face_id.is_not(None)))
        )
        derive(session, [face_id for face_id in spoken_of if face_id is not None], done)
        done.photo_ids.add(photo_id)
    _add(done, attach(session, photo_id))
    return done


def _is_another(saved: Saved) -> bool:
    """Say whether what was stored is not the picture that was there before: neither it nor any face looks alike."""
    apart = looks.difference(saved.look_before, saved.look)
    return apart is not None and apart >= looks.OTHER and saved.faces_before > 0 < saved.faces and not saved.found_again


def _remember(session: Session, photo: Photo, saved: Saved) -> None:
    """Write down in the lines of a photo where it is now, and where those of its faces are that are still there."""
    here = {"content_hash": photo.content_hash, "path": photo.path, "look": photo.look}
    of_photo = update(Line).where(Line.photo_id == photo.id)
    session.execute(of_photo.where(Line.face_id.is_(None), Line.kind.not_in(_OF_FACES)).values(**here))
    rows = session.execute(
        select(FaceRow, Embedding)
        .outerjoin(Embedding, Embedding.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo.id, FaceRow.id.in_(select(Line.face_id).where(Line.photo_id == photo.id)))
    )
    for face, vector in rows:
        of_face = of_photo.where(Line.face_id == face.id)
        if not (face.detected or face.drawn):
            if saved.same_picture:
                # The detector does not see it any more, but what was there is there.
                session.execute(of_face.where(Line.content_hash == saved.hash_before).values(**here))
            continue
        values: dict[str, Any] = dict(here)
        if not face.drawn:
            values["box"] = [face.x, face.y, face.width, face.height]
        if vector is not None and vector.model_version != results.STALE:
            values |= {"embedding": vector.vector, "embedding_version": vector.model_version}
        session.execute(of_face.values(**values))
    session.flush()
    session.expire_all()


def waiting_contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return those of some contents for which lines wait."""
    found = session.scalars(select(Line.content_hash).where(Line.photo_id.is_(None), Line.content_hash.in_(hashes)))
    return {one for one in found if one is not None}


def attach(session: Session, photo_id: int, everything: bool = False) -> Done:
    """Give a photo the lines that wait for its content.

    Of copies each gets what was said of it, by its path; what is left goes to one that nothing was said of, and
    with `everything` to any.
    """
    photo = session.get_one(Photo, photo_id)
    waiting = session.scalars(
        select(Line)
        .where(Line.photo_id.is_(None), Line.content_hash == photo.content_hash)
        .order_by(Line.made_at, Line.id)
    )
    by_path: dict[str | None, list[Line]] = {}
    for line in waiting:
        by_path.setdefault(line.path, []).append(line)
    done = Done()
    if not by_path:
        return done
    chosen: list[str | None] = [photo.path] if photo.path in by_path else []
    if not chosen and not photo.reviewed:
        others = select(Photo.path).where(
            Photo.id != photo_id,
            Photo.path.in_([path for path in by_path if path is not None]),
            or_(Photo.content_hash == photo.content_hash, Photo.state == "pending"),
        )
        spoken_for = set(session.scalars(others))
        chosen = [path for path in by_path if path not in spoken_for][:1]
    for path in list(by_path) if everything else chosen:
        _add(done, _attach(session, by_path[path], photo, same_picture=True))
    return done


def _attach(session: Session, lines: Sequence[Line], photo: Photo, same_picture: bool) -> Done:
    """Give lines to a photo, and to those of its faces that they speak of; what fits no face waits on."""
    done = Done()
    of_photo = [line for line in lines if line.face_uid is None and line.kind not in _OF_FACES]
    groups = _grouped(lines)
    found = _faces(session, photo, groups, same_picture)
    for line in of_photo:
        line.photo_id = photo.id
        line.content_hash, line.path, line.look = photo.content_hash, photo.path, photo.look
        done.count += 1
    for uid, group in groups.items():
        face = found.get(uid) or _made(session, photo, group, same_picture)
        if face is None:
            continue
        for line in group:
            line.photo_id, line.face_id = photo.id, face.id
            line.content_hash, line.path, line.look = photo.content_hash, photo.path, photo.look
            if not same_picture and not face.drawn:
                line.box = [face.x, face.y, face.width, face.height]
            done.count += 1
        session.flush()
        derive(session, [face.id], done)
    session.flush()
    if done.count:
        done.photo_ids.add(photo.id)
        photo.reviewed = True
        session.flush()
    return done


def _grouped(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the lines that speak of faces, by face."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        if line.face_uid is not None or line.kind in _OF_FACES:
            groups.setdefault(line.face_uid or line.uid, []).append(line)
    return groups


def _faces(session: Session, photo: Photo, groups: Mapping[str, Sequence[Line]], same: bool) -> dict[str, FaceRow]:
    """Return which face of a photo each group of lines speaks of, as far as one is found; each face once."""
    rows = results.known_faces(session, photo.id)
    by_id = {face.id: face for face, _ in rows}
    places = {face.id: [known.box] for face, known in rows}
    result: dict[str, FaceRow] = {}
    for face_id, uid, box in session.execute(
        select(Line.face_id, Line.face_uid, Line.box).where(Line.face_id.in_(list(by_id)))
    ):
        # What was said before a face was moved by hand speaks of its first place.
        if box is not None:
            places[face_id].append(Box(*box))
        if uid in groups:
            result[uid] = by_id[face_id]
    scored = []
    for uid, lines in groups.items():
        if uid in result:
            continue
        for face, known in rows:
            score = _score(lines, known, places[face.id], same)
            if score is not None:
                scored.append((score, -face.id, uid))
    for _, number, uid in sorted(scored, reverse=True):
        if uid not in result and by_id[-number] not in result.values():
            result[uid] = by_id[-number]
    return result


def _score(lines: Sequence[Line], known: Known, places: Sequence[Box], same_picture: bool) -> float | None:
    """Return how well lines fit a face: by its place, in an edited picture by its looks first; None if they do not."""
    boxes = [Box(*line.box) for line in lines if line.box is not None]
    boxes += [Box(*line.value["box"]) for line in lines if line.kind == "box" and line.value.get("box")]
    overlap = max((matching.overlap(box, place) for box in boxes for place in places), default=0.0)
    if same_picture:
        return overlap if overlap >= matching.SAME_PLACE else None
    alike = [
        matching.likeness(
            Known(known.box, results.unpack(line.embedding), matching.network(line.embedding_version)), known
        )
        for line in lines
        if line.embedding is not None
    ]
    likeness = max((one for one in alike if one is not None), default=None)
    if likeness is not None and likeness >= matching.SAME_PERSON:
        return likeness + 1
    if overlap >= matching.SAME_PLACE and (likeness is None or likeness >= matching.OTHER_PERSON):
        return overlap
    return None


def _made(session: Session, photo: Photo, lines: Sequence[Line], same_picture: bool) -> FaceRow | None:
    """Return a face that the detector did not find: one that was drawn, or in the same picture any."""
    drawn = next((line for line in lines if line.kind == "box" and line.value.get("drawn")), None)
    if drawn is not None:
        return draw_face(session, photo.id, Box(*drawn.value["box"]))
    box = next((line.box for line in lines if line.box is not None), None)
    if box is None or not same_picture:
        return None
    face = draw_face(session, photo.id, Box(*box))
    face.drawn = False
    return face


# ---- After a scan


def find_lost(session: Session, settings: TagSettings, since: str = "") -> Done:
    """Look for the photos of lines that wait, and of photos that are gone.

    First by content, then by what the picture looks like, then by path, last by the faces. To be called when a scan
    is over, so that a file that was only renamed is not mistaken for another. Photos that are gone are looked for
    among those that were indexed at `since` or later.
    """
    done = Done()
    if session.scalar(select(Line.id).where(_wanted()).limit(1)) is None:
        return done
    waits = select(Line.content_hash).where(Line.photo_id.is_(None), Line.content_hash.is_not(None))
    known = session.scalars(
        select(Photo.id)
        .where(Photo.content_hash.in_(waits))
        .order_by(Photo.state != "indexed", Photo.reviewed, Photo.id)
    ).all()
    for everything in (False, True):
        for photo_id in known:
            _add(done, attach(session, photo_id, everything))
    _add(done, _by_look(session, since))
    _add(done, _by_path(session))
    _add(done, _by_faces(session, since))
    for photo_id in done.photo_ids:
        settle(session, photo_id, settings)
    return done


def _wanted() -> ColumnElement[bool]:
    """Return the condition of lines that wait, and of those of photos whose file is gone."""
    gone = select(Photo.id).where(Photo.state == "missing", Photo.reviewed)
    return or_(Line.photo_id.is_(None), Line.photo_id.in_(gone))


def _sources(session: Session) -> dict[str, list[Line]]:
    """Return the lines that want a photo, by the picture that they were said of."""
    result: dict[str, list[Line]] = {}
    for line in session.scalars(select(Line).where(_wanted()).order_by(Line.made_at, Line.id)):
        name = f"photo {line.photo_id}" if line.photo_id is not None else f"file {line.content_hash} {line.path}"
        result.setdefault(name, []).append(line)
    return result


def _free(since: str) -> ColumnElement[bool]:
    """Return the condition of photos that nothing was said of yet, and that were indexed lately."""
    return and_(Photo.state == "indexed", ~Photo.reviewed, Photo.indexed_at >= since)


def _move(session: Session, lines: Sequence[Line], photo_id: int, same_picture: bool, done: Done) -> None:
    """Give another photo the lines of one that is gone, or of none."""
    left = {line.face_id for line in lines if line.face_id is not None}
    done.photo_ids |= {line.photo_id for line in lines if line.photo_id is not None}
    for line in lines:
        line.photo_id, line.face_id = None, None
    session.flush()
    _add(done, _attach(session, lines, session.get_one(Photo, photo_id), same_picture))
    derive(session, left, done)


def _by_look(session: Session, since: str) -> Done:
    """Look for pictures that were saved anew under another name: the likest pair first."""
    done = Done()
    sources = _sources(session)
    wanted = {name: next((line.look for line in lines if line.look), None) for name, lines in sources.items()}
    if not any(wanted.values()):
        return done
    size = looks.BITS // 8
    rows = session.execute(select(Photo.id, Photo.look).where(_free(since), Photo.look.is_not(None))).all()
    free = [(photo_id, look) for photo_id, look in rows if look is not None and len(look) == size]
    if not free:
        return done
    table = np.frombuffer(b"".join(look for _, look in free), np.uint8).reshape(len(free), size)
    pairs = []
    for name, look in wanted.items():
        if look and len(look) == size:
            found = looks.differences(look, table)
            pairs += [(float(found[index]), name, free[index][0]) for index in np.flatnonzero(found <= looks.SAME)]
    taken: set[int] = set()
    for _, name, photo_id in sorted(pairs):
        if name in sources and photo_id not in taken:
            taken.add(photo_id)
            _move(session, sources.pop(name), photo_id, True, done)
    return done


def _by_path(session: Session) -> Done:
    """Look for files that were edited where they are, while this database did not know of them."""
    done = Done()
    rows = session.execute(
        select(Line, Photo.id)
        .join(Photo, Photo.path == Line.path)
        .where(Line.photo_id.is_(None), Photo.state == "indexed")
        .order_by(Line.made_at, Line.id)
    ).all()
    by_photo: dict[int, list[Line]] = {}
    for line, photo_id in rows:
        by_photo.setdefault(photo_id, []).append(line)
    for photo_id, lines in by_photo.items():
        photo = session.get_one(Photo, photo_id)
        left = [line for line in lines if line.photo_id is None]
        apart = [looks.difference(line.look, photo.look) or 0.0 for line in left]
        groups = _grouped(left)
        another = bool(groups) and bool(photo.face_count) and min(apart, default=0.0) >= looks.OTHER
        if another and not _faces(session, photo, groups, same=False):
            continue
        same = any(looks.same(line.look, photo.look) for line in left)
        _add(done, _attach(session, left, photo, same_picture=same))
    return done


def _by_faces(session: Session, since: str) -> Done:
    """Look for the faces of pictures that were edited and renamed."""
    done = Done()
    sources = _sources(session)
    wanted = [
        (name, line)
        for name, lines in sources.items()
        for line in lines
        if line.embedding is not None and line.box is not None
    ]
    if not wanted:
        return done
    found = session.execute(
        select(FaceRow, Embedding, Photo.look)
        .join(Embedding, Embedding.face_id == FaceRow.id)
        .join(Photo, Photo.id == FaceRow.photo_id)
        .where(_free(since))
    ).all()
    votes: dict[str, list[int]] = {}
    by_network: dict[tuple[str, int], list[int]] = {}
    for index, (_, vector, _) in enumerate(found):
        by_network.setdefault((matching.network(vector.model_version), vector.dimension), []).append(index)
    vectors = {
        key: np.stack([results.unpack(found[index][1].vector) for index in indices])
        for key, indices in by_network.items()
    }
    for name, line in wanted:
        mine = results.unpack(line.embedding or b"")
        key = (matching.network(line.embedding_version), len(mine))
        if key not in vectors:
            continue
        alike = vectors[key] @ mine
        for index in np.flatnonzero(alike >= ALIKE_ELSEWHERE)[np.argsort(-alike[alike >= ALIKE_ELSEWHERE])].tolist():
            face, _, look = found[by_network[key][index]]
            place = Box(face.x, face.y, face.width, face.height)
            apart = looks.difference(line.look, look)
            if matching.overlap(Box(*(line.box or [])), place) < OVERLAP_ELSEWHERE:
                continue
            if apart is None or apart < looks.OTHER:
                votes.setdefault(name, []).append(face.photo_id)
                break
    taken: set[int] = set()
    for name, photo_ids in votes.items():
        photo_id = max(set(photo_ids), key=photo_ids.count)
        if photo_id not in taken:
            taken.add(photo_id)
            _move(session, sources[name], photo_id, False, done)
    return done


def _add(done: Done, more: Done) -> None:
    done.count += more.count
    done.photo_ids |= more.photo_ids
    done.undescribed |= more.undescribed
