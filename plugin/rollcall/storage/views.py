"""The views that hosts read: names and columns of contract version 1, which may grow but never change.

Corrections replace predictions in them. The views hold no data and are created again whenever their text
changed; the documentation and `plugin.toml` are checked against this module.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from rollcall.ages import AGE_GROUPS, OLDEST
from rollcall.storage import postgresql

VERSION: Final = 1


class Column(NamedTuple):
    """One column of a view."""

    name: str
    type: str
    help: str


class View(NamedTuple):
    """One view."""

    name: str
    help: str
    columns: tuple[Column, ...]
    sql: str  # a SELECT that gives the columns in this order


def _group(name: str) -> str:
    return (
        f"(SELECT g.probability FROM photo_groups g WHERE g.photo_id = p.id AND g.name = '{name}' AND g.at_least = 1)"
    )


_PHOTO_GROUPS: Final = (*AGE_GROUPS, "women", "men", "girls", "boys")
#: Where a person gave the age, a group is certain if it holds the whole range, and impossible if it holds none.
#: A group without an upper end holds every age that a person can give.
_AGE_GROUPS: Final = tuple(
    (group.name, group.low, group.high if group.high < OLDEST else 1000) for group in AGE_GROUPS.values()
)


def _p_group(name: str, low: int, high: int) -> str:
    shared = (
        f"(CASE WHEN v.age_high < {high} THEN v.age_high ELSE {high} END"
        f" - CASE WHEN v.age_low > {low} THEN v.age_low ELSE {low} END + 1)"
    )
    return (
        f"CASE WHEN v.age_low IS NULL THEN m.p_{name} WHEN {shared} <= 0 THEN 0.0"
        f" ELSE 1.0 * {shared} / (v.age_high - v.age_low + 1) END"
    )


V1_PHOTOS: Final = View(
    "v1_photos",
    "One row for each picture file that Rollcall knows of.",
    (
        Column("photo_id", "integer", "The photo's number; it stays the same when the file is moved or renamed."),
        Column("root", "text", "The library folder, an absolute path."),
        Column("path", "text", "The file's path below the root, with '/' between folders."),
        Column("full_path", "text", "Root and path together."),
        Column("width", "integer", "Width of the upright picture in pixels."),
        Column("height", "integer", "Height of the upright picture in pixels."),
        Column("orientation", "integer", "EXIF orientation as stored in the file, 1 to 8."),
        Column("taken_local", "text", "Capture time on the clock where it was taken, ISO 8601; null if unknown."),
        Column("taken_utc", "text", "Capture time in UTC, ISO 8601; null where the file has no offset."),
        Column("taken_offset_minutes", "integer", "Minutes east of Greenwich; null where the file has no offset."),
        Column("state", "text", "pending, indexed, failed or missing."),
        Column("error", "text", "Why the photo failed, in one sentence; null otherwise."),
        Column(
            "faces",
            "integer",
            "How many faces the photo shows, dismissed ones not counted; null until indexed.",
        ),
        Column("reviewed", "boolean", "Whether a person has corrected its faces or tags."),
        Column("indexed_at", "text", "When the photo was last analysed, UTC, ISO 8601."),
        Column("model_version", "text", "What analysed it."),
        Column("content_hash", "text", "BLAKE2b-128 of the file, hexadecimal."),
        *(
            Column(
                f"p_{name}",
                "real",
                f"Probability that at least one face is one of: {name}; null if nothing is known.",
            )
            for name in _PHOTO_GROUPS
        ),
        Column("warning", "text", "What is wrong with the file although it is shown, such as truncated; else null."),
        Column(
            "taken_source",
            "text",
            "Where the capture time comes from: exif, xmp, iptc, text, takeout, video (its container), or file name or"
            " file time, which are guesses.",
        ),
        Column("duration", "real", "Length of a video in seconds; null for a photo."),
        Column(
            "poster_time", "real", "Where in a video the frame is that stands for it, in seconds; null for a photo."
        ),
    ),
    f"""SELECT p.id, r.path, p.path,
        CASE WHEN r.path LIKE '%/' THEN r.path || p.path ELSE r.path || '/' || p.path END,
        p.width, p.height, p.orientation, p.taken_local, p.taken_utc, p.taken_offset_minutes, p.state, p.error,
        p.face_count, p.reviewed, p.indexed_at, p.model_version, p.content_hash,
        {", ".join(_group(name) for name in _PHOTO_GROUPS)},
        p.warning, p.taken_source, p.duration, p.poster_time
    FROM photos p JOIN roots r ON r.id = p.root_id""",
)

V1_FACES: Final = View(
    "v1_faces",
    "One row for each face that is shown; faces that a person dismissed are left out.",
    (
        Column("face_id", "integer", "The face's number; it stays the same when the photo is analysed again."),
        Column("photo_id", "integer", "The photo it is in."),
        Column("x", "real", "Left edge of the box, as a fraction of the upright picture's width."),
        Column("y", "real", "Top edge, as a fraction of the height."),
        Column("width", "real", "Width of the box, as a fraction of the width."),
        Column("height", "real", "Height of the box, as a fraction of the height."),
        Column(
            "landmarks",
            "text",
            "JSON: five [x, y] fractions: eyes, nose, corners of the mouth, left to right.",
        ),
        Column("score", "real", "How sure the detector is that this is a face, 0 to 1."),
        Column("sharpness", "real", "Variance of the Laplacian of the face's crop; more is sharper."),
        Column(
            "age",
            "real",
            "Age in years: a person's correction (the middle of a range), else the model's estimate (the median).",
        ),
        Column("age_low", "real", "Lower end: of a person's correction, else of the model's 80 % interval."),
        Column("age_high", "real", "Upper end of the same."),
        Column(
            "age_source",
            "text",
            "user, birth_date (the capture date less that of the person's birth), birth_estimate (the same with the"
            " date of birth that all faces of somebody with a name tell), model, or null.",
        ),
        Column("gender", "text", "female, male, or the label a person chose; null where nothing is known."),
        Column(
            "p_female",
            "real",
            "Probability of female, 0 to 1; certain where a person gave the gender; null if unknown.",
        ),
        Column("gender_source", "text", "user, model, or null where nothing is known."),
        *(
            Column(f"p_{name}", "real", f"Probability that the age is from {low} to {min(high, OLDEST)}.")
            for name, low, high in _AGE_GROUPS
        ),
        Column(
            "age_distribution",
            "blob",
            "The model's 101 probabilities of ages 0 to 100, little-endian float16; null where a person gave it.",
        ),
        Column(
            "embedding",
            "blob",
            "Identity embedding: little-endian float16 of unit length; null if switched off.",
        ),
        Column("embedding_dimension", "integer", "How many numbers it has."),
        Column("model_version", "text", "What made the estimates."),
        Column("person_id", "integer", "Who it is, a row of v1_people; null where nobody is known."),
        Column("person", "text", "The first name of that person; null while they have none."),
        Column(
            "person_state",
            "text",
            "confirmed (a person said so), proposed (of somebody with a name) or automatic (of a group without one).",
        ),
        Column("person_probability", "real", "How likely it is that person; 1 where it is confirmed."),
        Column("person_source", "text", "user, host or auto: who said so."),
        Column("source", "text", "auto (detected), user (drawn or moved) or host (only another program marked it)."),
        Column("video_time", "real", "Where in a video the box is, in seconds; null in a photo."),
    ),
    f"""SELECT f.id, f.photo_id, f.x, f.y, f.width, f.height, f.landmarks, f.score, f.sharpness,
        CASE WHEN v.age_low IS NULL THEN m.age ELSE (v.age_low + v.age_high) / 2.0 END,
        CASE WHEN v.age_low IS NULL THEN m.age_low ELSE v.age_low END,
        CASE WHEN v.age_low IS NULL THEN m.age_high ELSE v.age_high END,
        CASE WHEN v.age_low IS NOT NULL AND v.age_derived THEN
                  (CASE WHEN (SELECT q.birth_date FROM people q WHERE q.id = w.person_id) IS NULL THEN 'birth_estimate'
                        ELSE 'birth_date' END)
             WHEN v.age_low IS NOT NULL THEN 'user' WHEN m.age IS NOT NULL THEN 'model' END,
        CASE WHEN v.gender_given THEN v.gender WHEN m.p_female IS NULL THEN NULL
             WHEN m.p_female >= 0.5 THEN 'female' ELSE 'male' END,
        CASE WHEN v.gender_given THEN (CASE v.gender WHEN 'female' THEN 1.0 WHEN 'male' THEN 0.0 END)
             ELSE m.p_female END,
        CASE WHEN v.gender_given THEN 'user' WHEN m.p_female IS NOT NULL THEN 'model' END,
        {", ".join(_p_group(*group) for group in _AGE_GROUPS)},
        CASE WHEN v.age_low IS NULL THEN m.age_distribution END,
        e.vector, e.dimension, m.model_version,
        w.person_id, (SELECT n.name FROM person_names n WHERE n.person_id = w.person_id AND n.position = 0),
        w.state, w.probability, w.source,
        CASE WHEN f.drawn THEN 'user' WHEN f.given_by_host AND NOT f.detected THEN 'host' ELSE 'auto' END,
        f.video_time
    FROM faces f
    LEFT JOIN predictions m ON m.face_id = f.id
    LEFT JOIN verdicts v ON v.face_id = f.id
    LEFT JOIN embeddings e ON e.face_id = f.id
    LEFT JOIN face_people w ON w.face_id = f.id AND w.person_id IS NOT NULL
    WHERE f.present AND NOT COALESCE(v.dismissed, false)""",
)

V1_TAGS: Final = View(
    "v1_tags",
    "One row for each tag of a photo, rejected ones included.",
    (
        Column("photo_id", "integer", "The photo."),
        Column("tag", "text", "The tag, with '/' between levels, such as People/Children."),
        Column("source", "text", "auto, user or host: who set it."),
        Column("probability", "real", "How likely it is right, for automatic tags; null otherwise."),
        Column("state", "text", "applied, suggested (waits for review) or rejected (by a person)."),
    ),
    "SELECT t.photo_id, t.name, t.source, t.probability, t.state FROM tags t",
)

V1_GROUPS: Final = View(
    "v1_groups",
    "How likely a photo shows people of a group. For `at_least` of 1 no row means: certainly not, or nothing is known;"
    " for 2 and more no row means: less likely than 0.02, or nothing is known. For lists of the likeliest photos, which"
    " the columns of v1_photos are too slow for.",
    (
        Column("name", "text", f"The group: {', '.join(_PHOTO_GROUPS)}, female, male."),
        Column("at_least", "integer", "How many different faces of the group are meant, from 1."),
        Column("probability", "real", "How likely at least so many are of the group."),
        Column("photo_id", "integer", "The photo."),
    ),
    "SELECT g.name, g.at_least, g.probability, g.photo_id FROM photo_groups g",
)

V1_EVENTS: Final = View(
    "v1_events",
    "What happened, in its order: a host remembers the last event_id it dealt with and asks for those behind it.",
    (
        Column("event_id", "integer", "Grows by at least one with each event; numbers are never used again."),
        Column("happened_at", "text", "When, UTC, ISO 8601."),
        Column(
            "kind",
            "text",
            "photo_indexed, photo_failed, photo_moved, photo_missing, photo_forgotten, face_forgotten,"
            " embeddings_forgotten, tags_changed, review_needed, corrected, people_changed (read v1_people again)"
            " or albums_changed (read v1_albums again); others may come.",
        ),
        Column("photo_id", "integer", "The photo it is about; null where it is about all of them."),
        Column("face_id", "integer", "The face it is about; null where it is about the whole photo."),
    ),
    "SELECT e.id, e.happened_at, e.kind, e.photo_id, e.face_id FROM events e",
)

_SEEN: Final = (
    "FROM face_people w JOIN faces f ON f.id = w.face_id LEFT JOIN verdicts v ON v.face_id = f.id"
    " WHERE w.person_id = q.id AND f.present AND NOT COALESCE(v.dismissed, false)"
)
_SEEN_WHEN: Final = _SEEN.replace(" WHERE", " JOIN photos p ON p.id = f.photo_id WHERE")

V1_PEOPLE: Final = View(
    "v1_people",
    "One row for each person with a name, and for each group of at least two faces that may be one person.",
    (
        Column("person_id", "integer", "The person's number in this database; a group that is taken apart loses it."),
        Column("uid", "text", "Names the person in the log of corrections, the same wherever that is imported."),
        Column("name", "text", "The name that is shown; null while there is none."),
        Column("names", "text", "JSON: all names, the one that is shown first."),
        Column("state", "text", "named or unnamed."),
        Column("hidden", "boolean", "Whether a person left them out of lists."),
        Column("is_me", "boolean", "Whether this is who uses the library."),
        Column("birth_date", "text", "YYYY, YYYY-MM or YYYY-MM-DD; a year where it is estimated; null if unknown."),
        Column("birth_date_source", "text", "user, estimate (from ages and capture dates), or null."),
        Column("faces", "integer", "How many faces that are shown are of them, proposals included."),
        Column("photos", "integer", "How many photos show them, proposals included."),
        Column("proposed", "integer", "How many of the faces wait for an answer."),
        Column("first_seen", "text", "Capture time of their first photo, ISO 8601; null if unknown."),
        Column("last_seen", "text", "Capture time of their last photo."),
        Column("cover_face_id", "integer", "A good face of them, for lists."),
        Column("birth_estimate", "real", "The estimated birth date as a year, such as 2015.5; null if unknown."),
        Column("birth_deviation", "real", "The standard deviation of that estimate, in years."),
    ),
    f"""SELECT q.id, q.uid,
        (SELECT n.name FROM person_names n WHERE n.person_id = q.id AND n.position = 0),
        (SELECT json_group_array(o.name) FROM
            (SELECT n.name FROM person_names n WHERE n.person_id = q.id ORDER BY n.position) o),
        CASE WHEN EXISTS (SELECT 1 FROM person_names n WHERE n.person_id = q.id) THEN 'named' ELSE 'unnamed' END,
        q.hidden, q.is_me,
        COALESCE(q.birth_date, CAST(CAST(q.birth_estimate AS INTEGER) AS TEXT)),
        CASE WHEN q.birth_date IS NOT NULL THEN 'user' WHEN q.birth_estimate IS NOT NULL THEN 'estimate' END,
        (SELECT COUNT(*) {_SEEN}),
        (SELECT COUNT(DISTINCT f.photo_id) {_SEEN}),
        (SELECT COUNT(*) {_SEEN} AND w.state = 'proposed'),
        (SELECT MIN(p.taken_local) {_SEEN_WHEN}),
        (SELECT MAX(p.taken_local) {_SEEN_WHEN}),
        COALESCE(q.cover_face_id, (SELECT MIN(f.id) {_SEEN})),
        q.birth_estimate, q.birth_deviation
    FROM people q""",
)

V1_ALBUMS: Final = View(
    "v1_albums",
    "One row for each album: a saved search, photos chosen by hand, or both. Its photos are those that its query means"
    " and those added in v1_album_photos, without those left out there; `Plugin.search(album=...)` returns them.",
    (
        Column("album_id", "integer", "The album's number in this database."),
        Column("uid", "text", "Names the album in the log of corrections, the same wherever that is imported."),
        Column("name", "text", "Its name; several albums may have the same."),
        Column("query", "text", "The search that it is, with people's present names; null: chosen photos alone."),
        Column("language", "text", "The language of the query by preference; null: found out."),
        Column("min_probability", "real", "Photos that the query means with a lower probability are not in it."),
        Column("shared", "boolean", "Whether guests of the home network may see it."),
        Column("added", "integer", "How many photos were put into it by hand."),
        Column("left_out", "integer", "How many were taken out of it by hand."),
        Column("created_at", "text", "When this database first had it, UTC, ISO 8601."),
    ),
    """SELECT a.id, a.uid, a.name, a.query, a.language, a.min_probability, a.shared,
        (SELECT COUNT(*) FROM album_photos c WHERE c.album_uid = a.uid AND c.inside),
        (SELECT COUNT(*) FROM album_photos c WHERE c.album_uid = a.uid AND NOT c.inside),
        a.created_at
    FROM albums a WHERE NOT a.removed""",
)

V1_ALBUM_PHOTOS: Final = View(
    "v1_album_photos",
    "One row for each photo that a person put into an album or took out of it; those of its query are not here.",
    (
        Column("album_id", "integer", "The album."),
        Column("photo_id", "integer", "The photo."),
        Column("state", "text", "added or left_out."),
    ),
    """SELECT a.id, c.photo_id, CASE WHEN c.inside THEN 'added' ELSE 'left_out' END
    FROM album_photos c JOIN albums a ON a.uid = c.album_uid WHERE NOT a.removed""",
)

VIEWS: Final = (V1_PHOTOS, V1_FACES, V1_TAGS, V1_GROUPS, V1_EVENTS, V1_PEOPLE, V1_ALBUMS, V1_ALBUM_PHOTOS)


def statements(dialect: str = "sqlite") -> list[str]:
    """Return the SQL statements that replace all views, in SQLite's dialect or PostgreSQL's."""
    result = []
    for view in VIEWS:
        columns = ", ".join(column.name for column in view.columns)
        sql = postgresql.in_views(view.sql) if dialect == "postgresql" else view.sql
        result += [f"DROP VIEW IF EXISTS {view.name}", f"CREATE VIEW {view.name} ({columns}) AS {sql}"]
    return result


def fingerprint(dialect: str = "sqlite") -> str:
    """Return a digest of the views' SQL; a database whose stored digest differs gets the views again."""
    return hashlib.sha256("\n".join(statements(dialect)).encode()).hexdigest()
