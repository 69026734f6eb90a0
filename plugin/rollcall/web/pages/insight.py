"""Statistics of the library: ages, years, coverage, failures, and what made the predictions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.web.inputs import activity_of, plugin_of, remembered_of
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.translation import gettext

router = APIRouter()


@router.get("/insight", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show the statistics."""
    plugin, remembered = plugin_of(request), remembered_of(request)
    if not is_part(request) and remembered.known("statistics") is None and remembered.is_large():
        return page(request, "later.html", title=gettext("Statistics"), part="statistics", address="/insight")
    found = remembered.get("statistics", plugin.statistics)
    return page(
        request,
        "_insight.html" if is_part(request) else "insight.html",
        status=remembered.get("status", plugin.status),
        statistics=found,
        most=max((max(band.female, band.male) for band in found.age_bands), default=1) or 1,
        most_year=max((year.without_people + year.with_people for year in found.years), default=1) or 1,
    )


@router.post("/insight/retry", response_class=HTMLResponse)
def retry(request: Request) -> Response:
    """Analyse the photos that failed again."""
    plugin_of(request).retry()
    activity_of(request).start()
    return page(request, "_problem.html", message=gettext("They are being tried again; see Folders."))
