"""What all groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """Settings below one name, such as `detector`: no others are taken, and none changes once it is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)
