"""One person: by time, from youngest to oldest, best shots, with whom, and everything that can be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall import search
from rollcall.corrections.kind_base import RowId
from rollcall.errors import NotFoundError, RequestError
from rollcall.host import Plugin
from rollcall.people.persons import Person
from rollcall.people.portrait import FaceOrder, PortraitFace
from rollcall.search.grammar.tokens import quoted
from rollcall.web.inputs import history_of, plugin_of, remembered_of
from rollcall.web.messages import Done, Toast
from rollcall.web.pages.library import videos_of
from rollcall.web.pages.people import videos_of_people
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.people_forms import ForgetForm, PersonForm, change_person, somebody_else
from rollcall.web.translation import gettext, ngettext, sentence_of

router = APIRouter()
#: Faces that come with one scroll.
PAGE: Final = 96
#: Nobody was older when a photo was taken: a birth date that says so is a slip, or the photo is one of a photo.
OLDEST: Final = 115
ORDERS: Final[tuple[FaceOrder, ...]] = get_args(FaceOrder)


@router.get("/person/{person_id}", response_class=HTMLResponse)
def show(request: Request, person_id: RowId, order: FaceOrder = "newest") -> Response:
    """Show one person."""
    return _person(request, person_id, order)


def _person(
    request: Request,
    person_id: int,
    order: FaceOrder = "newest",
    message: str = "",
    code: int = 200,
    toast: Toast | None = None,
) -> Response:
    plugin = plugin_of(request)
    portrait = plugin.person_portrait(person_id)
    values: dict[str, Any] = {
        "portrait": portrait,
        "person": portrait.person,
        "query": _query(portrait.person),
        # All that the number beside the name counts, also faces that are less likely theirs.
        "sure": search.MIN_PROBABILITY,
        "videos": videos_of(
            remembered_of(request),
            ("videos", "person", person_id),
            plugin,
            search.MIN_PROBABILITY,
            q=f"person:{person_id}",
        ),
        "videos_beside": videos_of_people(
            plugin, remembered_of(request), [one for one, _ in portrait.companions], person_id
        ),
        "order": order,
        "orders": ORDERS,
        "message": message,
        "toast": toast,
        **_faces(plugin, person_id, order, 0),
    }
    return page(request, "_person.html" if is_part(request) else "person.html", code, **values)


def _query(person: Person) -> str:
    """Return the query of all photos of a person."""
    return f"person:{person.person_id}" if person.name is None else f"person:{quoted(person.name)}"


def _faces(plugin: Plugin, person_id: int, order: FaceOrder, offset: int) -> dict[str, Any]:
    """Return a part of the faces by year, and where the next one begins."""
    found = plugin.person_timeline(person_id, order=order, limit=PAGE + 1, offset=offset)
    return {
        "years": list(_by_year(found[:PAGE])) if order != "likeliest" else [("", found[:PAGE])],
        "next": offset + PAGE if len(found) > PAGE else None,
    }


def _by_year(faces: list[PortraitFace]) -> Iterator[tuple[str, list[PortraitFace]]]:
    for year, found in groupby(faces, key=lambda face: (face.taken_local or "")[:4]):
        yield year or gettext("without a date"), list(found)


@router.get("/person/{person_id}/faces", response_class=HTMLResponse)
def more(
    request: Request, person_id: RowId, offset: Annotated[RowId, Query()], order: FaceOrder = "newest"
) -> Response:
    """Show the next faces of a person."""
    plugin = plugin_of(request)
    values = _faces(plugin, person_id, order, offset)
    return page(request, "_person_faces.html", person=plugin.person(person_id), order=order, **values)


@router.post("/person/{person_id}", response_class=HTMLResponse)
def change(
    request: Request, person_id: RowId, form: Annotated[PersonForm, Form()], order: FaceOrder = "newest"
) -> Response:
    """Record what a form says of a person, and show the person as they are now."""
    plugin = plugin_of(request)
    past, toast = history_of(request), None
    other: Person | None = None
    if form.what in ("undo", "redo"):
        toast = past.step(form.what)
    else:
        try:
            person = plugin.person(person_id)
            other = somebody_else(plugin, form.name, person) if form.what == "merge" else None
            change_person(past, person, form)
        except RequestError as error:
            # Shown above the person, who is whole.
            return _person(request, person_id, order, sentence_of(error), error.status)
    try:
        advice = "" if toast else Done(_advice(plugin, person_id, form))
        if not toast and not advice:
            toast = Toast(_done(form), "undo")
        return _person(request, person_id, order, advice, toast=toast)
    except NotFoundError:
        # They are one with somebody else, or nothing is left of the group.
        return _elsewhere(request, "/people" if other is None else f"/person/{other.person_id}")


@router.get("/person/{person_id}/forget", response_class=HTMLResponse)
def ask(request: Request, person_id: RowId) -> Response:
    """Show what forgetting a person deletes, and ask whether that is meant."""
    if not is_part(request) and remembered_of(request).is_large():
        address = f"/person/{person_id}/forget"
        return page(request, "later.html", title=gettext("Forget …"), part="person", address=address)
    return _question(request, person_id)


def _question(request: Request, person_id: int, message: str = "", code: int = 200) -> Response:
    plugin = plugin_of(request)
    values: dict[str, Any] = {
        "person": plugin.person(person_id),
        "report": plugin.forget(people=[person_id], dry_run=True),
        "message": message,
    }
    return page(request, "_person_forget.html" if is_part(request) else "person_forget.html", code, **values)


@router.post("/person/{person_id}/forget", response_class=HTMLResponse)
def forget(request: Request, person_id: RowId, form: Annotated[ForgetForm, Form()]) -> Response:
    """Delete a person with all their faces for good, and show the people who are left."""
    if form.sure != "yes":
        return _question(request, person_id, gettext("Nothing was deleted: tick that it is meant."))
    try:
        plugin_of(request).forget(people=[person_id])
    except RequestError as error:
        return _question(request, person_id, sentence_of(error), error.status)
    return _elsewhere(request, "/people")


def _advice(plugin: Plugin, person_id: int, form: PersonForm) -> str:
    """Return what to look at again after something was saved; "" for nothing."""
    match form.what:
        case "names":
            name = plugin.person(person_id).name
            if name is not None and any(one.person_id != person_id for one in plugin.people_named(name)):
                return gettext(
                    "Saved. Somebody else is called %(name)s, too: if they are one person, say so under “Same as”.",
                    name=name,
                )
        case "birth":
            age = _age_at_last(plugin.person(person_id))
            if age > OLDEST:
                return gettext(
                    "Saved. On their newest photo they would be %(age)s years old: correct the date if it is a slip.",
                    age=age,
                )
    return ""


def _done(form: PersonForm) -> str:
    count = len(form.faces)
    match form.what:
        case "split":
            return ngettext(
                "%(num)s face of somebody else.",
                "%(num)s faces of somebody else.",
                count,
            )
        case "not_them":
            return ngettext("%(num)s face taken out.", "%(num)s faces taken out.", count)
        case "ignore":
            return ngettext("%(num)s face ignored.", "%(num)s faces ignored.", count)
        case "confirm":
            return ngettext("%(num)s face confirmed.", "%(num)s faces confirmed.", count)
    return gettext("Saved.")


def _age_at_last(person: Person) -> int:
    """Return how many years somebody was born before their newest photo; 0 where that is not known."""
    if not person.birth_date or not person.last_seen or person.birth_date_source != "user":
        return 0
    return int(person.last_seen[:4]) - int(person.birth_date[:4])


def _elsewhere(request: Request, path: str) -> Response:
    """Return an answer that takes the browser to another page."""
    address = f"{request.scope.get('rollcall.base', '')}{path}"
    return Response(status_code=200, headers={"HX-Redirect": address})
