"""What requests bring, with the limits that everything behind the application relies on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rollcall.ages import AGE_GROUPS
from rollcall.corrections.kinds import Correction
from rollcall.host import Plugin
from rollcall.web.activity import Activity
from rollcall.web.history import History


def _known_group(name: str) -> str:
    if name not in AGE_GROUPS:
        raise ValueError(f"there is no age group {name!r}; choose one of {', '.join(AGE_GROUPS)}")
    return name


# A text with a limit is checked to be Unicode: pydantic refuses surrogates, which no database and no answer can hold.
Probability = Annotated[float, Field(ge=0, le=1)]
QueryText = Annotated[str, Query(max_length=2000)]
TagName = Annotated[str, Field(max_length=500)]
GroupName = Annotated[str, Field(max_length=50), AfterValidator(_known_group)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CorrectionsIn(_Input):
    """Corrections that are effective, and are undone, together."""

    # The list is called `said` in every client there is; only in here do corrections have their own name.
    corrections: Annotated[list[Correction], Field(alias="said", min_length=1, max_length=5000)]
    by: Annotated[str, Field(max_length=100)] = "user"


class FolderIn(_Input):
    """A folder of photos, an absolute path on this machine."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


def plugin_of(request: Request) -> Plugin:
    """Return the plugin that the application serves."""
    plugin: Plugin = request.app.state.plugin
    return plugin


def history_of(request: Request) -> History:
    """Return what was done on the page."""
    history: History = request.app.state.history
    return history


def activity_of(request: Request) -> Activity:
    """Return the runs in the background."""
    activity: Activity = request.app.state.activity
    return activity
