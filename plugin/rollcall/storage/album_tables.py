"""Tables of albums, and of the devices in the home network that may look at them."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.storage.tables import Base


class AlbumRow(Base):
    """An album, projected from the log."""

    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)  # names it in the log, and in every database it is imported into
    name: Mapped[str]
    query: Mapped[str | None]  # with the present names of people
    language: Mapped[str | None]
    min_probability: Mapped[float]
    shared: Mapped[bool] = mapped_column(default=False)
    removed: Mapped[bool] = mapped_column(default=False)  # it keeps its number for when it comes back
    created_at: Mapped[str]
    __table_args__ = ({"sqlite_autoincrement": True},)


class AlbumPhotoRow(Base):
    """A photo that a person put into an album, or took out of it; the album may be removed, and come back."""

    __tablename__ = "album_photos"
    album_uid: Mapped[str] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, index=True)
    inside: Mapped[bool]


class GuestRow(Base):
    """A device of the home network that was paired; one that was ended has no row."""

    __tablename__ = "guests"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)  # the token itself is in the device's cookie alone
    path: Mapped[str] = mapped_column(unique=True)  # what its pages lie below
    name: Mapped[str]  # as whoever paired it called the device
    everything: Mapped[bool]  # it sees all photos, not those of shared albums alone
    made_at: Mapped[str]  # UTC, ISO 8601
    seen_at: Mapped[str]
    __table_args__ = ({"sqlite_autoincrement": True},)
