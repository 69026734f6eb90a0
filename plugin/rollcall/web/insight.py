"""What the library holds at a glance: ages, years, coverage, failures, and how far the estimates can be trusted."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import text

from rollcall.host import Plugin
from rollcall.web.api import activity_of, plugin_of
from rollcall.web.pages import page

router = APIRouter()
_BANDS = [(low, low + 4) for low in range(0, 100, 5)]
#: Failures that are named on the page.
_NAMED = 200


class Bar(NamedTuple):
    """One row of the age pyramid, or one year."""

    label: str
    left: int  # female, or photos without people
    right: int  # male, or photos with people


def pyramid(plugin: Plugin) -> list[Bar]:
    """Return the faces by age in bands of five years, the oldest first: women and girls left, men and boys right."""
    with plugin.database.read() as session:
        rows = session.execute(
            text(
                "SELECT CAST(MIN(age, 99.9) / 5 AS INTEGER) AS band, SUM(p_female >= 0.5), SUM(p_female < 0.5)"
                " FROM v1_faces WHERE age IS NOT NULL AND p_female IS NOT NULL GROUP BY 1"
                if plugin.database.has_functions
                else "SELECT CAST(FLOOR(LEAST(age, 99.9) / 5) AS INTEGER) AS band,"
                " SUM(CASE WHEN p_female >= 0.5 THEN 1 ELSE 0 END), SUM(CASE WHEN p_female < 0.5 THEN 1 ELSE 0 END)"
                " FROM v1_faces WHERE age IS NOT NULL AND p_female IS NOT NULL GROUP BY 1"
            )
        ).all()
    found = {int(row[0]): (int(row[1]), int(row[2])) for row in rows}
    if not found:
        return []
    return [
        Bar(f"{low}–{high}", *found.get(number, (0, 0)))
        for number, (low, high) in reversed(list(enumerate(_BANDS)))
        if number <= max(found)
    ]


def years(plugin: Plugin) -> list[Bar]:
    """Return the photos by year: without and with people."""
    with plugin.database.read() as session:
        rows = session.execute(
            text(
                "SELECT SUBSTR(taken_local, 1, 4), SUM(CASE WHEN faces = 0 THEN 1 ELSE 0 END),"
                " SUM(CASE WHEN faces > 0 THEN 1 ELSE 0 END) FROM v1_photos"
                " WHERE taken_local IS NOT NULL AND state = 'indexed' GROUP BY 1 ORDER BY 1"
            )
        ).all()
    found = {int(row[0]): (int(row[1]), int(row[2])) for row in rows if str(row[0]).isdigit()}
    if not found:
        return []
    # A clock that was never set must not stretch the picture over a century.
    first = max(min(found), max(found) - 60)
    return [Bar(str(year), *found.get(year, (0, 0))) for year in range(first, max(found) + 1)]


def failures(plugin: Plugin) -> tuple[list[tuple[str, str]], int]:
    """Return path and reason of photos that failed, the first few, and how many there are."""
    with plugin.database.read() as session:
        rows = session.execute(
            text("SELECT full_path, error FROM v1_photos WHERE state = 'failed' ORDER BY photo_id LIMIT :n"),
            {"n": _NAMED},
        ).all()
        count = session.execute(text("SELECT COUNT(*) FROM v1_photos WHERE state = 'failed'")).scalar()
    return [(row[0], row[1] or "") for row in rows], int(count or 0)


def coverage(plugin: Plugin) -> dict[str, int]:
    """Return how much of the library is analysed, dated, tagged and reviewed."""
    with plugin.database.read() as session:
        row = session.execute(
            text(
                "SELECT COUNT(*), SUM(CASE WHEN faces > 0 THEN 1 ELSE 0 END),"
                " SUM(CASE WHEN taken_local IS NOT NULL THEN 1 ELSE 0 END),"
                " SUM(CASE WHEN reviewed THEN 1 ELSE 0 END) FROM v1_photos WHERE state = 'indexed'"
            )
        ).one()
        tagged = session.execute(text("SELECT COUNT(DISTINCT photo_id) FROM v1_tags WHERE state = 'applied'")).scalar()
        waiting = session.execute(
            text("SELECT COUNT(DISTINCT photo_id) FROM v1_tags WHERE state = 'suggested'")
        ).scalar()
    names = ("indexed", "with people", "with a capture time", "reviewed")
    return {**{name: int(value or 0) for name, value in zip(names, row, strict=True)}} | {
        "with a tag": int(tagged or 0),
        "with a suggested tag": int(waiting or 0),
    }


def models(plugin: Plugin) -> list[tuple[str, int]]:
    """Return what made the estimates, and of how many photos."""
    with plugin.database.read() as session:
        rows = session.execute(
            text("SELECT model_version, COUNT(*) FROM v1_photos WHERE model_version IS NOT NULL GROUP BY 1 ORDER BY 2")
        ).all()
    return [(str(row[0]), int(row[1])) for row in rows]


@router.get("/insight", response_class=HTMLResponse)
def show(request: Request) -> Response:
    """Show all of it."""
    plugin = plugin_of(request)
    named, count = failures(plugin)
    return page(request, "insight.html", **_charts(plugin), failures=named, failed=count)


def _charts(plugin: Plugin) -> dict[str, Any]:
    ages, by_year = pyramid(plugin), years(plugin)
    return {
        "status": plugin.status(),
        "pyramid": ages,
        "most": max((max(bar.left, bar.right) for bar in ages), default=1) or 1,
        "years": by_year,
        "most_year": max((bar.left + bar.right for bar in by_year), default=1) or 1,
        "coverage": coverage(plugin),
        "models": models(plugin),
    }


@router.post("/insight/retry", response_class=HTMLResponse)
def retry(request: Request) -> Response:
    """Try the photos that failed again."""
    plugin = plugin_of(request)
    plugin.retry()
    activity_of(request).start()
    return page(request, "_problem.html", message="They are being tried again; see Indexing.")
