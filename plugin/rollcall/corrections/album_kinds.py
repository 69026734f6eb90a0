"""The kinds of corrections that speak of albums.

An album is named in the log by a uid, which stays the same in every database. It has a query, photos that a person put
into it by hand, or both:

=============  ==========================================================================
album_name     ``{"album": uid, "name": "Summer"}``: there is such an album, under this name
album_query    ``{"album": uid, "query": "Anna at 5", "language": null, "at_least": 0.5, "names": [[0, 4, [uid]]]}``
album_shared   ``{"album": uid, "shared": true}``: guests of the home network may see it
album_removed  ``{"album": uid, "removed": true}``
album_photo    ``{"album": uid, "inside": true}`` of a photo; false: left out, though the query means it
=============  ==========================================================================

`names` holds where a query names people, from one character to another, and the uids of whom it means: the query is
written anew when one of them is called otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from rollcall.corrections.kind_base import CorrectionBase, RowId, from_value, make
from rollcall.corrections.person_kinds import PersonUid, clean_name
from rollcall.sentences import Sentence

#: Kinds whose lines belong to no photo.
AlbumKind = Literal["album_name", "album_query", "album_shared", "album_removed"]
ALBUM_KINDS: Final[tuple[AlbumKind, ...]] = get_args(AlbumKind)
#: The kind whose lines belong to a photo.
ALBUM_PHOTO: Final = "album_photo"
AlbumUid = PersonUid
_LONGEST_QUERY: Final = 2000


class _OfAlbum(CorrectionBase):
    face_id: None = None
    photo_id: None = None
    album: AlbumUid


class AlbumName(_OfAlbum):
    """There is an album of this name."""

    kind: Literal["album_name"] = "album_name"
    name: Annotated[str, Field(max_length=1000)]

    @model_validator(mode="after")
    def _normalize(self) -> Self:
        object.__setattr__(self, "name", clean_name(self.name))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"album": self.album, "name": self.name}


class AlbumQuery(_OfAlbum):
    """The photos that a query means belong to an album; null: none do but those that were put into it."""

    kind: Literal["album_query"] = "album_query"
    query: Annotated[str, Field(min_length=1, max_length=_LONGEST_QUERY)] | None
    language: Annotated[str, Field(max_length=10)] | None = None
    at_least: Annotated[float, Field(ge=0, le=1)] = 0.5
    names: Annotated[tuple[tuple[int, int, tuple[PersonUid, ...]], ...], Field(max_length=200)] = ()

    @model_validator(mode="after")
    def _inside(self) -> Self:
        length, before = len(self.query or ""), 0
        for start, end, _ in self.names:
            if not before <= start < end <= length:
                raise ValueError(Sentence("the names of an album's query lie outside of it; give them in their order"))
            before = end
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        names = [[start, end, list(uids)] for start, end, uids in self.names]
        return {
            "album": self.album,
            "query": self.query,
            "language": self.language,
            "at_least": self.at_least,
            "names": names,
        }


class AlbumShared(_OfAlbum):
    """Whether guests of the home network may see an album."""

    kind: Literal["album_shared"] = "album_shared"
    shared: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"album": self.album, "shared": self.shared}


class AlbumRemoved(_OfAlbum):
    """Whether an album is removed; its photos stay."""

    kind: Literal["album_removed"] = "album_removed"
    removed: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"album": self.album, "removed": self.removed}


class AlbumPhoto(CorrectionBase):
    """Whether a photo is in an album, whatever its query means."""

    kind: Literal["album_photo"] = "album_photo"
    face_id: None = None
    photo_id: RowId
    album: AlbumUid
    inside: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"album": self.album, "inside": self.inside}


AlbumCorrection = AlbumName | AlbumQuery | AlbumShared | AlbumRemoved | AlbumPhoto
_MODELS: Final[Mapping[str, type[CorrectionBase]]] = {
    "album_name": AlbumName,
    "album_query": AlbumQuery,
    "album_shared": AlbumShared,
    "album_removed": AlbumRemoved,
    "album_photo": AlbumPhoto,
}


def album_from_stored(kind: str, value: Mapping[str, Any], photo_id: int | None) -> Any:
    """Return the correction of a line of the log about an album.

    Raises
    ------
    InvalidCorrectionError
        If the line is not a correction.
    """
    target = {"photo_id": photo_id} if kind == ALBUM_PHOTO else {}
    return from_value(_MODELS, kind, value, **target)


# ---- The functions that make corrections


def album_name(uid: str, name: str) -> AlbumName:
    """Name the album of `uid`, which is made if there is none.

    Raises
    ------
    InvalidCorrectionError
        If the name is empty or too long.
    """
    return make(AlbumName, album=uid, name=name)


def album_query(
    uid: str,
    query: str | None,
    *,
    language: str | None = None,
    at_least: float = 0.5,
    names: Sequence[tuple[int, int, Sequence[str]]] = (),
) -> AlbumQuery:
    """Let the photos that a query means with the probability `at_least` be in the album of `uid`; None: no query.

    `language` is that of the query by preference, `names` where it names people, and their uids.

    Raises
    ------
    InvalidCorrectionError
        If the query is too long, or the names do not lie in it.
    """
    given = tuple((start, end, tuple(uids)) for start, end, uids in names)
    return make(AlbumQuery, album=uid, query=query, language=language, at_least=at_least, names=given)


def album_shared(uid: str, shared: bool = True) -> AlbumShared:
    """Let guests of the home network see the album of `uid`; with `shared` of False no longer.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(AlbumShared, album=uid, shared=shared)


def album_removed(uid: str, removed: bool = True) -> AlbumRemoved:
    """Remove the album of `uid`; with `removed` of False bring it back.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(AlbumRemoved, album=uid, removed=removed)


def album_photo(uid: str, photo_id: int, inside: bool = True) -> AlbumPhoto:
    """Put a photo into the album of `uid`; with `inside` of False leave it out, though the query means it.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(AlbumPhoto, album=uid, photo_id=photo_id, inside=inside)
