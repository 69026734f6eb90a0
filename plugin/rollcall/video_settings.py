"""Settings of videos; `settings.py` puts them beside the others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rollcall.settings_group import SettingsGroup


class VideoSettings(SettingsGroup):
    """How faces are looked for in videos."""

    index: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether videos belong to the library; auto: if the extra `video` is installed. Videos that no "
        "longer belong to it are marked as missing, and what is stored of them stays.",
    )
    longest_minutes: float = Field(
        default=10.0,
        ge=0,
        le=1440,
        description="Longer videos are recorded with their size, length and capture time, and faces are not looked for "
        "in them; a video that was too long is searched when this is raised.",
    )
    every_seconds: float = Field(
        default=1.0,
        ge=0.1,
        le=60,
        description="How far apart the frames are that faces are looked for in where that is needed; where two frames "
        "twice as far apart leave no doubt about who is there, the one between is left out.",
    )
    frames_a_scene: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="How many frames faces are looked for in while the picture stays the same.",
    )
    resolution: int = Field(
        default=640,
        ge=64,
        le=4096,
        description="The longest side, in pixels, that frames are reduced to; the smallest face that is found has "
        "detector.min_face pixels of it.",
    )
    max_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="A search for faces in one video that takes longer than this is ended; what was found until then "
        "is kept.",
    )
