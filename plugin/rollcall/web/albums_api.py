"""The HTTP API of albums."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from rollcall.corrections.kind_base import RowId
from rollcall.host import Plugin
from rollcall.search.albums import Album
from rollcall.web.inputs import Probability, plugin_of
from rollcall.web.models import HitModel
from rollcall.web.pages.selection import zip_of
from rollcall.web.problems import CONFLICT, INVALID_QUERY, NOT_FOUND, UNREADABLE_BODY, Responses

router = APIRouter(prefix="/api/albums")
_ZIP: Responses = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}

Name = Annotated[str, Field(max_length=200)]
PhotoIds = Annotated[list[RowId], Field(max_length=5000)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(max_length=100)] = "user"


class AlbumIn(_Input):
    """An album of a search, of photos by number, or of both."""

    name: Name
    query: Annotated[str, Field(max_length=2000)] | None = None
    photo_ids: PhotoIds = []
    min_probability: Probability = 0.5
    language: Annotated[str, Field(max_length=10)] | None = None


class AlbumChangeIn(_Input):
    """What is to be different of an album; null: as it is."""

    name: Name | None = None
    query: Annotated[str, Field(max_length=2000)] | None = None
    language: Annotated[str, Field(max_length=10)] | None = None
    shared: bool | None = None


class AlbumPhotosIn(_Input):
    """Photos to put into an album; with `inside` of false to take out of it."""

    photo_ids: PhotoIds
    inside: bool = True


class AlbumModel(BaseModel):
    """An album, as `v1_albums` shows it, and how many photos it has."""

    album_id: int
    uid: str
    name: str
    query: str | None
    language: str | None
    min_probability: float
    shared: bool
    added: int
    left_out: int
    created_at: str
    photos: int

    @classmethod
    def of(cls, plugin: Plugin, album: Album) -> AlbumModel:
        """Return the model of an album."""
        values = {name: getattr(album, name) for name in cls.model_fields if name != "photos"}
        return cls(**values, photos=plugin.album_count(album.album_id))


@router.get("", responses={**INVALID_QUERY, **NOT_FOUND})
def albums(request: Request) -> list[AlbumModel]:
    """Return all albums, by name."""
    plugin = plugin_of(request)
    return [AlbumModel.of(plugin, one) for one in plugin.albums()]


@router.post("", responses={**INVALID_QUERY, **NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def save(request: Request, given: AlbumIn) -> AlbumModel:
    """Make an album."""
    plugin = plugin_of(request)
    album = plugin.save_album(
        given.name,
        given.query,
        photos=given.photo_ids,
        min_probability=given.min_probability,
        language=given.language,
        by=given.by,
    )
    return AlbumModel.of(plugin, album)


@router.get("/{album_id}", responses={**INVALID_QUERY, **NOT_FOUND})
def album(request: Request, album_id: RowId) -> AlbumModel:
    """Return one album."""
    plugin = plugin_of(request)
    return AlbumModel.of(plugin, plugin.album(album_id))


@router.put("/{album_id}", responses={**INVALID_QUERY, **NOT_FOUND, **UNREADABLE_BODY})
def change(request: Request, album_id: RowId, given: AlbumChangeIn) -> AlbumModel:
    """Rename an album, give it another search, or share it with guests of the home network."""
    plugin = plugin_of(request)
    if given.query is not None:
        plugin.search_album(album_id, given.query, language=given.language, by=given.by)
    if given.name is not None:
        plugin.rename_album(album_id, given.name, by=given.by)
    if given.shared is not None:
        plugin.share_album(album_id, given.shared, by=given.by)
    return AlbumModel.of(plugin, plugin.album(album_id))


@router.delete("/{album_id}", responses=NOT_FOUND)
def remove(request: Request, album_id: RowId) -> None:
    """Remove an album; its photos stay."""
    plugin_of(request).remove_album(album_id)


@router.get("/{album_id}/photos", responses={**INVALID_QUERY, **NOT_FOUND})
def photos(
    request: Request,
    album_id: RowId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[RowId, Query()] = 0,
) -> list[HitModel]:
    """Return the photos of an album, the newest first."""
    return [
        HitModel.of(hit) for hit in plugin_of(request).album_photos(album_id, limit=limit, offset=offset, faces=True)
    ]


@router.post("/{album_id}/photos", responses={**INVALID_QUERY, **NOT_FOUND, **UNREADABLE_BODY})
def add(request: Request, album_id: RowId, given: AlbumPhotosIn) -> AlbumModel:
    """Put photos into an album, or take them out of it, as one batch."""
    plugin = plugin_of(request)
    return AlbumModel.of(plugin, plugin.add_to_album(album_id, *given.photo_ids, inside=given.inside, by=given.by))


@router.get("/{album_id}/zip", responses={**INVALID_QUERY, **NOT_FOUND, **_ZIP}, response_class=Response)
def download(request: Request, album_id: RowId) -> Response:
    """Return the originals of an album as one ZIP file."""
    plugin = plugin_of(request)
    return zip_of(request, [hit.photo_id for hit in plugin.album_photos(album_id)], plugin.album(album_id).name)
