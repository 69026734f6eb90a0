"""What fields complete: the people, tags and albums that there are."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.web.inputs import plugin_of, remembered_of
from rollcall.web.pages.people import completions
from rollcall.web.pages.rendering import page

router = APIRouter()
#: Tags and albums that a field offers at most.
_MOST: Final = 400


@router.get("/completions", response_class=HTMLResponse)
def known(request: Request) -> Response:
    """Show the names of people, tags and albums, for fields to complete; asked for when such a field is gone to."""
    plugin = plugin_of(request)
    # What was set most often is most likely what is set next.
    tags = sorted(remembered_of(request).get("tags", plugin.tags), key=lambda tag: (-tag.applied, tag.name))
    albums = list(dict.fromkeys(album.name for album in plugin.albums()))
    lists = {
        "people": completions(plugin),
        "tags": [tag.name for tag in tags[:_MOST]],
        "albums": albums[:_MOST],
    }
    return page(request, "_completions.html", lists=lists)
