"""What requests bring, with the limits that everything behind the application relies on."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rollcall.ages import AGE_GROUPS
from rollcall.corrections.kind_base import RowId
from rollcall.corrections.kinds import Correction
from rollcall.host import Plugin
from rollcall.search.grammar import LANGUAGES
from rollcall.web.activity import Activity
from rollcall.web.history import History
from rollcall.web.remembered import Remembered
from rollcall.web.translation import accepted, chosen_language


def _known_group(name: str) -> str:
    if name not in AGE_GROUPS:
        raise ValueError(f"there is no age group {name!r}; choose one of {', '.join(AGE_GROUPS)}")
    return name


def _each(values: Any) -> Any:
    if not isinstance(values, list):
        return values
    return [number for value in values for number in (value.split(",") if isinstance(value, str) else [value])]


#: Before a list of numbers in a form: those of very many come as one field, with commas, as forms of more than a
#: thousand fields are refused.
Joined: Final = BeforeValidator(_each)
# A text with a limit is checked to be Unicode: pydantic refuses surrogates, which no database and no answer can hold.
Probability = Annotated[float, Field(ge=0, le=1)]
QueryText = Annotated[str, Query(max_length=2000)]
TagName = Annotated[str, Field(max_length=500)]
GroupName = Annotated[str, Field(max_length=50), AfterValidator(_known_group)]


#: A path of a file or folder: no file system has a zero character in a name.
FilePath = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
#: Where corrections come from, as a tab of the page or a program names itself.
Origin = Annotated[str, Field(min_length=1, max_length=100)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CorrectionsIn(_Input):
    """Corrections that are effective, and are undone, together."""

    # The list is called `said` in every client there is; only in here do corrections have their own name.
    corrections: Annotated[list[Correction], Field(alias="said", min_length=1, max_length=5000)]
    by: Annotated[str, Field(max_length=100)] = "user"
    origin: Origin | None = None


class FolderIn(_Input):
    """A folder of photos, an absolute path on this machine."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


class RestoreIn(_Input):
    """A line of the log: those corrections become effective that were when it was the newest; 0: none."""

    to: RowId


class ImportIn(_Input):
    """An exported log: lines as `GET /api/corrections/export` gives them."""

    lines: Annotated[list[dict[str, Any]], Field(max_length=1_000_000)]


class ForgetIn(_Input):
    """What is to be erased for good; `dry_run` only reports it, and has to be switched off."""

    erase_faces: Annotated[list[RowId], Field(max_length=100_000)] = []
    erase_photos: Annotated[list[RowId], Field(max_length=100_000)] = []
    paths: Annotated[list[FilePath], Field(max_length=1000)] = []
    embeddings: bool = False
    ages: bool = False
    genders: bool = False
    everything: bool = False
    dry_run: bool = True


def plugin_of(request: Request) -> Plugin:
    """Return the plugin that the application serves."""
    plugin: Plugin = request.app.state.plugin
    return plugin


def remembered_of(request: Request) -> Remembered:
    """Return the answers that are kept of the plugin."""
    remembered: Remembered = request.app.state.remembered
    return remembered


def tab_of(request: Request) -> str:
    """Return the tab of the page that a request comes from, so that each undoes its own corrections."""
    return f"page {request.headers.get('x-tab', '')[:60]}".strip()


def language_of(request: Request) -> str | None:
    """Return the language that queries are in by preference: the page's, if it was chosen, or what the browser says.

    None finds it out from the query.

    English needs no preference: whoever types German into an English browser means German.
    """
    known = [chosen_language() or name for name in accepted(request.headers) or [""]]
    known = [name for name in known if name in ("en", *LANGUAGES)]
    return known[0] if known and known[0] != "en" else None


def history_of(request: Request) -> History:
    """Return what was done in the tab of the page that a request comes from."""
    return History(plugin_of(request), tab_of(request), request.app.state.earlier)


def activity_of(request: Request) -> Activity:
    """Return the runs in the background."""
    activity: Activity = request.app.state.activity
    return activity
