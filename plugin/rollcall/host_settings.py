"""Settings of what Rollcall exchanges with other programs; `settings.py` puts them beside the others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rollcall.settings_group import SettingsGroup


class RemoteSettings(SettingsGroup):
    """Folders in object storage and on servers, such as s3://bucket/photos; nothing is ever written there."""

    polling_seconds: float = Field(
        default=300.0, ge=1, description="How often a remote folder that is watched is listed."
    )
    temporary_megabytes: int = Field(
        default=2048,
        ge=1,
        description="How much of the cache folder copies of remote photos may take while they are analysed, for each "
        "process; a larger file is fetched while there is no other.",
    )
    cache_megabytes: int = Field(
        default=1024,
        ge=10,
        description="How much of the cache folder remote photos that the page shows may take.",
    )


class XmpSettings(SettingsGroup):
    """What is read from other programs' metadata, and what is written to sidecars; originals are never written."""

    read: bool = Field(
        default=True,
        description="Whether keywords, face regions and names that other programs wrote, in photos and their sidecars, "
        "are read.",
    )
    write_photos: bool = Field(
        default=False,
        description="Whether sidecars are written beside all photos; the photos themselves never are.",
    )
    write_folders: tuple[str, ...] = Field(
        default=(),
        description="Folders whose photos get sidecars: absolute paths, or patterns of paths below a root (* ? [abc]).",
    )
    write_tags: tuple[str, ...] = Field(
        default=(),
        description="Patterns of tags, such as People/*, that are written to sidecars wherever the photo lies.",
    )
    tags: Literal["likely", "confirmed"] = Field(
        default="likely",
        description="Which tags are written: likely, also automatic ones of the precision that tags.precision demands; "
        "confirmed, only those that a person set.",
    )
    names: Literal["confirmed", "likely", "off"] = Field(
        default="confirmed",
        description="Which names of people are written: confirmed by a person, or also those whose probability reaches "
        "tags.precision.",
    )
    regions: Literal["all", "named", "off"] = Field(
        default="all", description="The regions of which faces are written: of all, of those with a name, or of none."
    )
    estimates: bool = Field(
        default=False,
        description="Whether age and gender are written as a note of a face's region; they are estimates.",
    )
    new_name: Literal["auto", "photo.jpg.xmp", "photo.xmp"] = Field(
        default="auto",
        description="The name of a new sidecar; auto: photo.jpg.xmp, and of raw files photo.xmp, as Lightroom has it. "
        "One that is there already is used.",
    )
    keep_times: bool = Field(
        default=False,
        description="Whether a sidecar keeps its time of change when it is written; programs may then not notice it.",
    )

    @property
    def writes(self) -> bool:
        """Whether sidecars are written at all."""
        return self.write_photos or bool(self.write_folders) or bool(self.write_tags)
