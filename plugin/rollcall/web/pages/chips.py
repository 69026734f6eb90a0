"""The filters beside the search box that depend on the library: years, folders and tags."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.host import Plugin
from rollcall.search.browsing import Month
from rollcall.search.grammar.tokens import quoted
from rollcall.tags.store import TagCount
from rollcall.web.inputs import plugin_of, remembered_of
from rollcall.web.names import tags_with_levels
from rollcall.web.pages.rendering import page
from rollcall.web.remembered import Remembered
from rollcall.web.translation import gettext

router = APIRouter()
#: How many of each kind are offered.
MOST = 200


@router.get("/chips", response_class=HTMLResponse)
def chips(request: Request) -> Response:
    """Show lists of years, folders and tags, each with the words that it adds to a query."""
    months, all_tags, subfolders = prefetched(plugin_of(request), remembered_of(request))
    years = sorted({month.name[:4] for month in months if month.name}, reverse=True)
    tags = tags_with_levels(tag.name for tag in all_tags if tag.applied + tag.suggested)[:MOST]
    lists = (
        (gettext("Year"), [(year, f"taken:{year}") for year in years[:MOST]]),
        (gettext("Folder"), [(name, f"path:{quoted(name + '/*')}") for name in subfolders]),
        (gettext("Tag"), [(name, f"tag:{quoted(name)}") for name in tags]),
    )
    return page(request, "_more_chips.html", lists=lists)


def prefetched(plugin: Plugin, remembered: Remembered) -> tuple[list[Month], list[TagCount], list[str]]:
    """Return months, tags and folders of the library."""
    return (
        remembered.get("months", plugin.months),
        remembered.get("tags", plugin.tags),
        remembered.get("subfolders", lambda: plugin.subfolders(limit=MOST)),
    )
