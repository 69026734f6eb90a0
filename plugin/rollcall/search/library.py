"""The library as a whole, read from the public views: counts, statistics, neighbours of a photo, suggested tags."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall.ages import OLDEST
from rollcall.records import PhotoState, TagState
from rollcall.search.details import VERSION_LENGTH
from rollcall.search.identifiers import storable
from rollcall.search.planning import SHOWN
from rollcall.storage.library import chunks, path_of_text

#: Width of the age bands, in years, and how many failures the statistics name.
BAND_YEARS: Final = 5
NAMED_FAILURES: Final = 200
#: Photos are shown by year for this many years at most.
_MOST_YEARS: Final = 60


class AgeBand(NamedTuple):
    """The numbers of faces in a band of ages."""

    label: str  # such as "20–24"
    female: int
    male: int


class Year(NamedTuple):
    """The numbers of photos of one year."""

    label: str
    without_people: int
    with_people: int


@dataclass(frozen=True, slots=True)
class LibraryStatistics:
    """Numbers of the whole library."""

    age_bands: list[AgeBand]  # the oldest first
    years: list[Year]
    coverage: dict[str, int]  # how much is analysed, dated, tagged and reviewed
    model_versions: list[tuple[str, int]]  # what made the predictions, and for how many photos
    failures: list[tuple[str, str]]  # path and reason of the first photos that failed
    failed: int


@dataclass(frozen=True, slots=True)
class TagSuggestions:
    """The photos for which a tag is suggested."""

    photos: list[tuple[int, float]]  # number and probability, the lowest first
    count: int  # of all
    applied: int  # photos that have the tag already
    videos: int = 0  # among `count`
    applied_videos: int = 0  # among `applied`


def counts(session: Session) -> tuple[dict[str, int], int]:
    """Return how many photos there are by state, and how many faces."""
    # From the tables: the views look up the folder of each photo, and all estimates of each face.
    states = session.execute(text("SELECT state, COUNT(*) FROM photos GROUP BY state")).all()
    faces = session.execute(text("SELECT COUNT(*) FROM faces WHERE present")).scalar() or 0
    dismissed = session.execute(
        text("SELECT COUNT(*) FROM verdicts v JOIN faces f ON f.id = v.face_id WHERE v.dismissed AND f.present")
    ).scalar()
    return {row[0]: row[1] for row in states}, int(faces) - int(dismissed or 0)


def root_names(session: Session) -> list[str]:
    """Return the folders that photos are in, as the views name them."""
    return [row[0] for row in session.execute(text("SELECT DISTINCT root FROM v1_photos ORDER BY root")).all()]


def statistics(session: Session) -> LibraryStatistics:
    """Return statistics of the library."""
    named, count = failures(session, NAMED_FAILURES)
    return LibraryStatistics(
        _age_bands(session), _years(session), _coverage(session), _model_versions(session), named, count
    )


def _age_bands(session: Session) -> list[AgeBand]:
    # Whole years in SQL, bands in Python.
    whole = "TRUNC(age)" if session.get_bind().dialect.name == "postgresql" else "CAST(age AS INTEGER)"
    rows = session.execute(
        text(
            f"SELECT {whole} AS years,"
            " SUM(CASE WHEN p_female >= 0.5 THEN 1 ELSE 0 END), SUM(CASE WHEN p_female < 0.5 THEN 1 ELSE 0 END)"
            " FROM v1_faces WHERE age IS NOT NULL AND p_female IS NOT NULL GROUP BY 1"
        )
    ).all()
    bands: dict[int, tuple[int, int]] = {}
    for years, female, male in rows:
        # The oldest age has no band of its own: the last band takes it in.
        band = min(int(years), OLDEST - 1) // BAND_YEARS
        before = bands.get(band, (0, 0))
        bands[band] = (before[0] + int(female), before[1] + int(male))
    return [
        AgeBand(f"{band * BAND_YEARS}–{band * BAND_YEARS + BAND_YEARS - 1}", *bands.get(band, (0, 0)))
        for band in range(max(bands, default=-1), -1, -1)
    ]


def _years(session: Session) -> list[Year]:
    rows = session.execute(
        text(
            "SELECT SUBSTR(taken_local, 1, 4), SUM(CASE WHEN faces = 0 THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN faces > 0 THEN 1 ELSE 0 END) FROM v1_photos"
            " WHERE taken_local IS NOT NULL AND state = 'indexed' GROUP BY 1 ORDER BY 1"
        )
    ).all()
    found = {int(row[0]): (int(row[1]), int(row[2])) for row in rows if str(row[0]).isdigit()}
    if not found:
        return []
    # A camera's clock that was never set must not stretch the chart over a century.
    first = max(min(found), max(found) - _MOST_YEARS)
    return [Year(str(year), *found.get(year, (0, 0))) for year in range(first, max(found) + 1)]


def failures(session: Session, limit: int) -> tuple[list[tuple[str, str]], int]:
    """Return path and reason of the first photos that failed, and how many there are."""
    rows = session.execute(
        text("SELECT full_path, error FROM v1_photos WHERE state = :state ORDER BY photo_id LIMIT :most"),
        {"state": PhotoState.FAILED.value, "most": limit},
    ).all()
    count = session.execute(text("SELECT COUNT(*) FROM v1_photos WHERE state = 'failed'")).scalar()
    return [(row[0], row[1] or "") for row in rows], int(count or 0)


def _coverage(session: Session) -> dict[str, int]:
    row = session.execute(
        text(
            "SELECT COUNT(*), SUM(CASE WHEN faces > 0 THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN taken_local IS NOT NULL THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN reviewed THEN 1 ELSE 0 END) FROM v1_photos WHERE state = 'indexed'"
        )
    ).one()
    names = ("indexed", "with people", "with a capture time", "reviewed")
    found = {name: int(value or 0) for name, value in zip(names, row, strict=True)}
    for name, state in (("with a tag", TagState.APPLIED), ("with a suggested tag", TagState.SUGGESTED)):
        statement = text("SELECT COUNT(DISTINCT photo_id) FROM v1_tags WHERE state = :state")
        found[name] = int(session.execute(statement, {"state": state.value}).scalar() or 0)
    return found


def _model_versions(session: Session) -> list[tuple[str, int]]:
    rows = session.execute(
        text("SELECT model_version, COUNT(*) FROM v1_photos WHERE model_version IS NOT NULL GROUP BY 1 ORDER BY 2")
    ).all()
    return [(str(row[0]), int(row[1])) for row in rows]


def neighbours(session: Session, photo_id: int) -> tuple[int | None, int | None]:
    """Return the next newer and the next older photo in the order of capture times; None at an end."""
    if not storable(photo_id):
        return None, None
    row = session.execute(text("SELECT taken_local FROM v1_photos WHERE photo_id = :id"), {"id": photo_id}).first()
    values = {"id": photo_id, "taken": None if row is None else row[0]}
    if values["taken"] is None:
        newer, older = "taken_local IS NULL AND photo_id > :id", "taken_local IS NULL AND photo_id < :id"
    else:
        newer, older = "(taken_local, photo_id) > (:taken, :id)", "(taken_local, photo_id) < (:taken, :id)"
    found = [
        session.execute(
            text(
                f"SELECT p.photo_id FROM v1_photos p WHERE {SHOWN} AND {side}"
                f" ORDER BY p.taken_local {nulls}, p.photo_id {order} LIMIT 1"
            ),
            values,
        ).scalar()
        for side, order, nulls in ((newer, "ASC", "ASC NULLS FIRST"), (older, "DESC", "DESC NULLS LAST"))
    ]
    return found[0], found[1]


def suggestions(session: Session, tag: str, above: float, limit: int) -> TagSuggestions:
    """Return the photos for which a tag is suggested with at least the probability `above`, lowest first."""
    values = {"tag": tag, "above": above, "most": limit}
    suggested = "FROM v1_tags WHERE tag = :tag AND state = 'suggested' AND probability >= :above"
    rows = session.execute(
        text(f"SELECT photo_id, probability {suggested} ORDER BY probability, photo_id LIMIT :most"), values
    ).all()
    count, videos = _counted(session, "t.state = 'suggested' AND t.probability >= :above", values)
    applied, applied_videos = _counted(session, "t.state = 'applied'", values)
    photos = [(int(row[0]), float(row[1])) for row in rows]
    return TagSuggestions(photos, count, applied, videos, applied_videos)


def _counted(session: Session, condition: str, values: Mapping[str, object]) -> tuple[int, int]:
    """Return how many photos have a tag in some state, and how many of them are videos."""
    counted = "SELECT COUNT(*), COUNT(p.duration) FROM v1_tags t JOIN photos p ON p.id = t.photo_id"
    row = session.execute(text(f"{counted} WHERE t.tag = :tag AND {condition}"), values).one()
    return int(row[0]), int(row[1])


class FaceCrop(NamedTuple):
    """Where the picture of a face comes from."""

    photo_id: int
    box: tuple[float, float, float, float]  # left, top, width, height, as fractions of the upright picture
    video_time: float | None = None  # where in a video, in seconds
    version: str = ""  # of the photo's content that the box is of; "" before it was analysed


_CROPS: Final = """SELECT f.face_id, f.photo_id, f.x, f.y, f.width, f.height, f.video_time, p.content_hash
FROM v1_faces f JOIN photos p ON p.id = f.photo_id WHERE f.face_id IN :ids"""


_DISMISSED: Final = """SELECT f.id, f.photo_id, f.x, f.y, f.width, f.height, f.video_time, p.content_hash
FROM faces f JOIN verdicts v ON v.face_id = f.id JOIN photos p ON p.id = f.photo_id
WHERE f.present AND v.dismissed"""


def face_crops(session: Session, face_ids: Collection[int]) -> dict[int, FaceCrop]:
    """Return the photos and boxes of visible faces by their numbers; others are left out."""
    found: dict[int, FaceCrop] = {}
    for part in chunks([face_id for face_id in face_ids if storable(face_id)]):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        found |= _crops(session.execute(text(_CROPS).bindparams(ids)).all())
    return found


def dismissed_of_photo(session: Session, photo_id: int) -> dict[int, FaceCrop]:
    """Return the boxes of the faces of a photo that a person dismissed, by their numbers."""
    if not storable(photo_id):
        return {}
    statement = text(f"{_DISMISSED} AND f.photo_id = :id ORDER BY f.id")
    return _crops(session.execute(statement, {"id": photo_id}).all())


def dismissed_crop(session: Session, face_id: int) -> FaceCrop | None:
    """Return the photo and box of a face that a person dismissed; None if there is no such face."""
    if not storable(face_id):
        return None
    return _crops(session.execute(text(f"{_DISMISSED} AND f.id = :id"), {"id": face_id}).all()).get(face_id)


def _crops(rows: Sequence[Any]) -> dict[int, FaceCrop]:
    return {
        int(face_id): FaceCrop(int(photo_id), (x, y, width, height), at, (content or "")[:VERSION_LENGTH])
        for face_id, photo_id, x, y, width, height, at, content in rows
    }


class PhotoFile(NamedTuple):
    """Where a photo's file is, and which version of it was analysed."""

    path: Path
    root: Path
    version: str  # changes when the file's content does; "" before it was analysed
    poster_time: float | None = None  # where in a video the frame is that stands for it, in seconds
    #: Time in nanoseconds and size in bytes of the file that was analysed; None while another one waits for it.
    stamp: tuple[int, int] | None = None


def photo_file(session: Session, photo_id: int) -> PhotoFile | None:
    """Return where a photo's file is; None if there is no such photo."""
    if not storable(photo_id):
        return None
    row = session.execute(
        text(
            "SELECT v.full_path, v.root, v.content_hash, v.poster_time, p.mtime_ns, p.size, p.state"
            " FROM v1_photos v JOIN photos p ON p.id = v.photo_id WHERE v.photo_id = :id"
        ),
        {"id": photo_id},
    ).first()
    if row is None:
        return None
    version = (row[2] or "")[:VERSION_LENGTH]
    stamp = None if row[6] == "pending" else (row[4], row[5])
    return PhotoFile(path_of_text(row[0]), path_of_text(row[1]), version, row[3], stamp)
