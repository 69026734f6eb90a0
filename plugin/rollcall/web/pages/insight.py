"""Statistics of the library: ages, years, coverage, failures, and what made the predictions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.web.inputs import activity_of, plugin_of
from rollcall.web.pages.rendering import page
from rollcall.web.translation import gettext

router = APIRouter()


@router.get("/insight", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show the statistics."""
    plugin = plugin_of(request)
    found = plugin.statistics()
    return page(
        request,
        "insight.html",
        status=plugin.status(),
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
