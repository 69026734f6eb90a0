"""Indexing: how far a run is, and the folders of the library."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.media import paths
from rollcall.web.inputs import activity_of, plugin_of
from rollcall.web.pages.rendering import page

router = APIRouter()


@router.get("/indexing", response_class=HTMLResponse)
def indexing(request: Request) -> Response:
    """Show the progress of the run and the folders."""
    plugin = plugin_of(request)
    values: dict[str, Any] = {
        "status": plugin.status(),
        "folders": [paths.to_text(str(folder)) for folder in plugin.folders()],
        "progress": activity_of(request).as_dict(),
    }
    return page(request, "indexing.html", **values)
