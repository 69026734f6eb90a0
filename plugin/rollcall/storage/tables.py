"""The tables. They may change with a migration; hosts read the views of `storage.views`, which may not."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine


class Base(DeclarativeBase):
    """The root of all tables; constraints have names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, TypeEngine[Any] | type[TypeEngine[Any]]]] = {
        # Compared by code points, as in SQLite, whatever language a server sorts in: ranges of paths rely on it.
        str: Text().with_variant(Text(collation="C"), "postgresql"),
        bytes: LargeBinary,
        list[Any]: JSON,
        dict[str, Any]: JSON,
    }


class MetaRow(Base):
    """Metadata of the database itself, such as the fingerprint of its views."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class RootRow(Base):
    """A folder of the library; no root lies inside another."""

    __tablename__ = "roots"
    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    added_at: Mapped[str]  # UTC, ISO 8601


class PhotoRow(Base):
    """One picture file and its state."""

    __tablename__ = "photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    path: Mapped[str]  # relative to the root, '/' between folders
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int | None] = mapped_column(BigInteger)  # see records.FileStat
    content_hash: Mapped[str | None]
    perceptual_hash: Mapped[bytes | None] = mapped_column("look")  # see media/perceptual_hash.py
    width: Mapped[int | None]  # pixels of the upright picture
    height: Mapped[int | None]
    orientation: Mapped[int | None]  # EXIF 1..8, as stored
    taken_local: Mapped[str | None]  # ISO 8601, wall time
    taken_utc: Mapped[str | None]  # ISO 8601, only where the file has an offset
    taken_offset_minutes: Mapped[int | None]
    taken_source: Mapped[str | None]  # see records.CaptureTime
    state: Mapped[str]  # pending, indexed, failed, missing
    error: Mapped[str | None]
    warning: Mapped[str | None]  # what is wrong with a file that is indexed all the same
    failure_key: Mapped[str | None]  # see indexing/failures.py; of a video that was not searched, why
    model_version: Mapped[str | None]
    indexed_at: Mapped[str | None]
    face_count: Mapped[int | None]
    # Projected from the log of corrections: a person corrected one of its faces or tags.
    reviewed: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # see storage/revisions.py
    duration: Mapped[float | None]  # of a video, in seconds; null: a photo
    poster_time: Mapped[float | None]  # of the frame that stands for a video, in seconds
    __table_args__ = (
        UniqueConstraint("root_id", "path"),
        Index(None, "content_hash"),
        Index(None, "state", "id"),
        Index(None, "size"),
        Index(None, "taken_local"),
        Index(None, "face_count"),
        Index(None, "revision"),
        # The number of a deleted photo is never used again: the log of corrections refers to it.
        {"sqlite_autoincrement": True},
    )


class FaceRow(Base):
    """One face: a box and landmarks as fractions of the upright picture, origin top left."""

    __tablename__ = "faces"
    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), index=True)
    x: Mapped[float]
    y: Mapped[float]
    width: Mapped[float]
    height: Mapped[float]
    landmarks: Mapped[list[Any]]  # five [x, y]
    score: Mapped[float]
    sharpness: Mapped[float]
    # The detector found it in the last analysis; if its box was moved by hand, where it was before.
    detected: Mapped[bool]
    # A corrected face that is not found in an edited picture stays, with false here, and is hidden from the views.
    present: Mapped[bool] = mapped_column(default=True)
    # The box was drawn or moved by a person. The detector never changes it.
    drawn: Mapped[bool] = mapped_column(default=False)
    # Another program marked it, where the detector finds nothing; it stays for as long as that program says so.
    given_by_host: Mapped[bool] = mapped_column(default=False)
    video_time: Mapped[float | None]  # of the box in a video, in seconds; null in a photo
    __table_args__ = ({"sqlite_autoincrement": True},)


class PredictionRow(Base):
    """The model's prediction for a face; corrections are never written here."""

    __tablename__ = "predictions"
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True)
    model_version: Mapped[str]
    age_distribution: Mapped[bytes | None]  # 101 little-endian float16
    age: Mapped[float | None]
    age_low: Mapped[float | None]
    age_high: Mapped[float | None]
    p_babies: Mapped[float | None]
    p_toddlers: Mapped[float | None]
    p_children: Mapped[float | None]
    p_teenagers: Mapped[float | None]
    p_adults: Mapped[float | None]
    p_seniors: Mapped[float | None]
    p_female: Mapped[float | None]
    # The estimates were made for another box than the face has now, and have to be made again.
    stale: Mapped[bool] = mapped_column(default=False)
    # The shipped network's predictions, where an adaptation to the person's corrections changed them; else null.
    network_age_distribution: Mapped[bytes | None]
    network_p_female: Mapped[float | None]


class EmbeddingRow(Base):
    """The identity embedding of a face."""

    __tablename__ = "embeddings"
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True)
    model_version: Mapped[str]
    dimension: Mapped[int]
    vector: Mapped[bytes]  # little-endian float16, unit length
    stale: Mapped[bool] = mapped_column(default=False)  # as of a prediction


class CorrectionRow(Base):
    """The log of corrections. Rows are added; their kind and value never change, and only an erasure deletes them."""

    __tablename__ = "corrections"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)  # the same in every database that it is imported into
    batch: Mapped[str] = mapped_column(index=True)  # corrections that were made together are undone together
    made_at: Mapped[str]
    made_by: Mapped[str]
    origin: Mapped[str | None]  # the tab, program or process that it came from, so that each undoes its own
    kind: Mapped[str] = mapped_column(index=True)  # see corrections/kinds.py; undo, redo
    # No foreign keys: a correction outlives the rows it was made for. The numbers are its current photo and face, null
    # while it waits to be reattached by the columns below: the photo and face as they were when last seen.
    photo_id: Mapped[int | None] = mapped_column(index=True)
    face_id: Mapped[int | None] = mapped_column(index=True)
    content_hash: Mapped[str | None] = mapped_column(index=True)
    path: Mapped[str | None] = mapped_column(index=True)  # relative to the root
    box: Mapped[list[Any] | None]
    video_time: Mapped[float | None]  # of the box in a video, in seconds
    embedding: Mapped[bytes | None]
    embedding_version: Mapped[str | None]  # the model version that made it
    perceptual_hash: Mapped[bytes | None] = mapped_column("look")
    face_uid: Mapped[str | None]  # the same for all lines of one face: the uid of the first
    value: Mapped[dict[str, Any]]
    value_before: Mapped[dict[str, Any] | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class VerdictRow(Base):
    """The effective corrections of a face, projected from the log so that the views need not read all of it."""

    __tablename__ = "verdicts"
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True)
    age_low: Mapped[int | None]  # completed years, both ends included
    age_high: Mapped[int | None]
    gender: Mapped[str | None]  # female, male, or any label a person chose
    gender_given: Mapped[bool] = mapped_column(default=False)  # with no label: "do not estimate"
    dismissed: Mapped[bool] = mapped_column(default=False)  # not a face, or to be ignored
    # The ages are the photo's date minus the birth date of the person whose face it is: nobody gave them directly.
    age_derived: Mapped[bool] = mapped_column(default=False)


class TagRow(Base):
    """A tag of a photo."""

    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    name: Mapped[str]
    source: Mapped[str]  # auto, user, host
    probability: Mapped[float | None]
    state: Mapped[str]  # applied, suggested, rejected
    created_at: Mapped[str]
    # With the photo in the index a host pages through the photos of a tag without sorting them.
    __table_args__ = (UniqueConstraint("photo_id", "name"), Index(None, "name", "state", "photo_id"))


class PhotoGroupRow(Base):
    """The probability that at least so many faces of a photo are of a group; everyday searches rank by it."""

    __tablename__ = "photo_groups"
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    at_least: Mapped[int] = mapped_column(primary_key=True)
    probability: Mapped[float]


#: An everyday search is one range of this index, in its order.
Index(
    "ix_photo_groups_ranked",
    PhotoGroupRow.name,
    PhotoGroupRow.at_least,
    PhotoGroupRow.probability.desc(),
    PhotoGroupRow.photo_id,
)


class EventRow(Base):
    """The change feed, for hosts that poll; the oldest rows are pruned."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    happened_at: Mapped[str]
    kind: Mapped[str]  # see storage.change_feed.ChangeKind
    photo_id: Mapped[int | None]
    face_id: Mapped[int | None]
    __table_args__ = ({"sqlite_autoincrement": True},)


class TombstoneRow(Base):
    """An erased photo, folder or face that must not be stored again, by file and box; without any biometric data."""

    __tablename__ = "forgotten"
    id: Mapped[int] = mapped_column(primary_key=True)
    made_at: Mapped[str]
    kind: Mapped[str]  # face, photo, folder
    path: Mapped[str | None]  # absolute, of a photo or folder
    size: Mapped[int | None] = mapped_column(BigInteger)  # of a photo: such a file at this path is not read again
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    content_hash: Mapped[str | None] = mapped_column(index=True)  # of a photo, or of the one that a face was in
    photo_id: Mapped[int | None] = mapped_column(index=True)  # that a face was in, even if its file changes
    box: Mapped[list[Any] | None]  # where a face was
    video_time: Mapped[float | None]  # and when, in a video, in seconds


class AdaptationRow(Base):
    """An adaptation of the predictions, learnt from corrections; the newest one in use for a network is applied."""

    __tablename__ = "adaptations"
    id: Mapped[int] = mapped_column(primary_key=True)
    made_at: Mapped[str]
    in_use: Mapped[bool] = mapped_column("standing")  # false after it was undone
    model_version: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]
    __table_args__ = ({"sqlite_autoincrement": True},)


class PersonRow(Base):
    """Somebody: one whom a person named or spoke of, or an automatic group of at least two faces."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)  # names them in the log, and in every database it is imported into
    hidden: Mapped[bool] = mapped_column(default=False)
    is_me: Mapped[bool] = mapped_column(default=False)
    birth_date: Mapped[str | None]  # as a person gave it: YYYY, YYYY-MM or YYYY-MM-DD
    created_at: Mapped[str]
    # The posterior of the birth date from the faces' ages and capture dates: mean and standard deviation, in years of
    # the calendar (2015.5 is the middle of 2015); null where no face has both.
    birth_estimate: Mapped[float | None]
    birth_deviation: Mapped[float | None]
    # The log has lines about them: grouping neither deletes nor merges them.
    corrected: Mapped[bool] = mapped_column(default=False)
    # Their faces when grouping last wrote them: the order of lists, while `v1_people` counts.
    size: Mapped[int] = mapped_column(default=0, index=True)
    cover_face_id: Mapped[int | None] = mapped_column(ForeignKey("faces.id", ondelete="SET NULL"))
    # Their faces changed, and grouping has still to look at them.
    unsettled: Mapped[bool] = mapped_column(default=False, index=True)
    __table_args__ = ({"sqlite_autoincrement": True},)


class PersonNameRow(Base):
    """A name of a person; the one at position 0 is shown. Without any row the person is an unnamed group."""

    __tablename__ = "person_names"
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    folded: Mapped[str] = mapped_column(index=True)  # see search/folding.py


class FacePersonRow(Base):
    """Who a face is; without a row nobody has looked yet, and without a person it belongs to no group."""

    __tablename__ = "face_people"
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    state: Mapped[str]  # confirmed; proposed, of a named person; automatic, of an unnamed group
    probability: Mapped[float]  # that it is this person
    source: Mapped[str]  # user, host, auto
    __table_args__ = (Index(None, "person_id", "state", "face_id"),)


class PersonRejectionRow(Base):
    """A face that a person said is not somebody: never proposed again."""

    __tablename__ = "person_rejections"
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    face_id: Mapped[int] = mapped_column(ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True, index=True)


class PeopleChangeRow(Base):
    """That a row of one of the two tables above was written; see `people_changes.py`."""

    __tablename__ = "people_changes"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    face_id: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class PersonRelationRow(Base):
    """That a person is the child or the partner of another; a partnership has one row, and holds both ways."""

    __tablename__ = "person_relations"
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    relation: Mapped[str] = mapped_column(primary_key=True)  # child_of, partner_of


class HostMetadataRow(Base):
    """What other programs say of a photo: in the file itself, or in the sidecar beside it."""

    __tablename__ = "host_metadata"
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)  # embedded, sidecar
    file: Mapped[str]  # the sidecar's name, in the photo's folder; "" for the photo itself
    size: Mapped[int | None] = mapped_column(BigInteger)  # of the sidecar when it was read or written last, in bytes
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    ctime_ns: Mapped[int | None] = mapped_column(BigInteger)
    content: Mapped[dict[str, Any]]  # as read last, see xmp/content.py
    # What tags, faces and names were last brought in line with; null before the first time.
    applied: Mapped[dict[str, Any] | None]
    due: Mapped[bool] = mapped_column(default=True, index=True)  # tags, faces and names have to be brought in line
    problem: Mapped[str | None]  # why the file could not be read


class SidecarRow(Base):
    """What Rollcall wrote last to the sidecar of a photo, so that it is told apart from what others wrote."""

    __tablename__ = "sidecars"
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    written: Mapped[dict[str, Any]]  # see xmp/memory.py
    written_at: Mapped[str | None]  # UTC, ISO 8601
    problem: Mapped[str | None]  # why the last attempt failed
    retry_at: Mapped[str | None]  # UTC, ISO 8601


class BridgeItemRow(Base):
    """What was sent to another program's server, so that it is sent once and can be taken back; see `bridges.base`."""

    __tablename__ = "bridge_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    bridge: Mapped[str]
    server: Mapped[str]
    kind: Mapped[str]
    key: Mapped[str]
    state: Mapped[str]  # sending, done, theirs, withdrawn
    value: Mapped[dict[str, Any]]
    remote: Mapped[dict[str, Any]]  # the server's identifiers
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # what stood there
    sent_at: Mapped[str]
    __table_args__ = (UniqueConstraint("bridge", "server", "kind", "key"),)
