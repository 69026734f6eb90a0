"""The filters beside the search box that depend on the library: years, folders and tags."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.host import Plugin
from rollcall.search.browsing import Month
from rollcall.tags.store import TagCount
from rollcall.web.inputs import plugin_of, remembered_of
from rollcall.web.names import tags_with_levels
from rollcall.web.pages.rendering import page
from rollcall.web.remembered import Remembered

router = APIRouter()
#: How many of each kind are offered.
MOST = 200


@router.get("/chips", response_class=HTMLResponse)
def chips(request: Request) -> Response:
    """Show lists of years, folders and tags, each with the words that it adds to a query."""
    months, all_tags, subfolders = prefetched(plugin_of(request), remembered_of(request))
    years = sorted({month.name[:4] for month in months if month.name}, reverse=True)
    # A quote would end the text; what has one can still be searched by other words.
    tags = tags_with_levels(tag.name for tag in all_tags if '"' not in tag.name and tag.applied + tag.suggested)[:MOST]
    folders = [name for name in subfolders if '"' not in name]
    return page(request, "_more_chips.html", years=years[:MOST], tags=tags, folders=folders)


def prefetched(plugin: Plugin, remembered: Remembered) -> tuple[list[Month], list[TagCount], list[str]]:
    """Return months, tags and folders of the library."""
    return (
        remembered.get("months", plugin.months),
        remembered.get("tags", plugin.tags),
        remembered.get("subfolders", lambda: plugin.subfolders(limit=MOST)),
    )
