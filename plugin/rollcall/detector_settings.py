"""Settings of the detector; `settings.py` puts them beside the others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rollcall.settings_group import SettingsGroup


class DetectorSettings(SettingsGroup):
    """How faces are detected."""

    resolution: int = Field(
        default=1280,
        ge=64,
        le=4096,
        description="The longest side, in pixels, a picture is reduced to for detection.",
    )
    min_face: int = Field(
        default=20,
        ge=12,
        le=2000,
        description="The smallest face that is detected, in pixels of the reduced picture.",
    )
    network: Literal["single-pass", "mtcnn-2016"] = Field(
        default="single-pass",
        description="What finds the faces: single-pass, the network trained for Rollcall; mtcnn-2016, the published "
        "cascade that earlier versions used, which misses more.",
    )
    threshold: float = Field(
        default=0.65,
        gt=0,
        lt=1,
        description="The probability that a face needs; a lower one finds more faces and more that are none. Of "
        "single-pass only.",
    )
    pyramid_factor: float = Field(
        default=0.709,
        gt=0.3,
        lt=0.95,
        description="The step between the scales of the image pyramid. Of mtcnn-2016 only, like the next three.",
    )
    threshold_pnet: float = Field(
        default=0.6, gt=0, lt=1, description="The score a candidate needs in the first stage."
    )
    threshold_rnet: float = Field(
        default=0.7, gt=0, lt=1, description="The score a candidate needs in the second stage."
    )
    threshold_onet: float = Field(default=0.7, gt=0, lt=1, description="The score a face needs in the last stage.")
    search: Literal["quick", "thorough"] = Field(
        default="quick",
        description="Where small faces are searched for: quick, where a look at half the resolution (of mtcnn-2016: a "
        "small network) finds them likely; thorough, everywhere, so that a run takes about twice as long.",
    )
    batch: int = Field(default=8, ge=1, le=256, description="How many pictures go through the detector together.")
