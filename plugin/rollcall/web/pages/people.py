"""People: those with names, groups without, and the proposals that wait, answered in whole rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import InvalidCorrectionError, NotFoundError, RequestError
from rollcall.host import Plugin
from rollcall.people.persons import Person
from rollcall.people.portrait import Kind
from rollcall.people.questions import LIKELY
from rollcall.sentences import Sentence
from rollcall.web.history import History
from rollcall.web.inputs import history_of, plugin_of, remembered_of
from rollcall.web.messages import Done, Toast
from rollcall.web.pages import library, photo
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.people_forms import FaceForm, PeopleForm, ProposalForm, answer_face, merge, name_group, named
from rollcall.web.remembered import Remembered
from rollcall.web.translation import gettext, ngettext, sentence_of

router = APIRouter()
#: People that a list begins with, and that come with one scroll: all faces of each who was not shown yet are counted.
PAGE: Final = 24
MORE: Final = 12
#: Faces of a row of proposals.
ROW: Final = 12
#: Names that the fields complete.
COMPLETIONS: Final = 1000
#: People that are hidden with one press.
MOST_HIDDEN: Final = 5000


@router.get("/people", response_class=HTMLResponse)
def show(request: Request, hidden: bool = False) -> Response:
    """Show the people with names, and the largest groups without; with `hidden` those that are left out of lists."""
    return _people(request, hidden=hidden)


def _people(
    request: Request, *, hidden: bool = False, message: str = "", code: int = 200, toast: Toast | None = None
) -> Response:
    plugin, remembered = plugin_of(request), remembered_of(request)
    lists, waiting = prefetched(plugin, remembered, ("hidden",) if hidden else ("named", "unnamed"))
    values: dict[str, Any] = {
        "counts": plugin.people_counts(),
        "lists": lists,
        "waiting": waiting,
        "videos": videos_of_people(plugin, remembered, [one for _, people, _ in lists for one in people]),
        "hidden": hidden,
        "message": message,
        "toast": toast,
    }
    return page(request, "_people.html" if is_part(request) else "people.html", code, **values)


def prefetched(
    plugin: Plugin, remembered: Remembered, kinds: Sequence[Kind] = ("named", "unnamed")
) -> tuple[list[tuple[Kind, list[Person], int | None]], int]:
    """Return the first people of some kinds, with where the next ones begin, and how many proposals wait."""
    lists = [(kind, *remembered.get(("people", kind), partial(_list, plugin, kind, 0))) for kind in kinds]
    return lists, sum(count for _, count in remembered.get("proposals", plugin.proposals))


def videos_of_people(
    plugin: Plugin, remembered: Remembered, people: Iterable[Person], beside: int | None = None
) -> dict[int, int]:
    """Return how many videos are among the photos of people, by number; nothing is counted without videos."""
    numbers = [one.person_id for one in people]
    if not numbers or not library.has_videos(plugin, remembered):
        return {}
    key = ("videos", "people", beside, *numbers)
    return remembered.get(key, partial(plugin.videos_of_people, numbers, beside=beside))


def completions(plugin: Plugin) -> list[str]:
    """Return the names that fields complete, each once."""
    return list(dict.fromkeys(name for _, name in plugin.person_names()))[:COMPLETIONS]


def _list(plugin: Plugin, kind: Kind, offset: int) -> tuple[list[Person], int | None]:
    """Return a part of the people of a kind, and where the next one begins; None where there is none."""
    length = MORE if offset else PAGE
    shown: dict[Kind, bool | None] = {"named": True, "unnamed": False, "hidden": None}
    found = plugin.people(named=shown[kind], hidden=kind == "hidden", limit=length + 1, offset=offset)
    return found[:length], offset + length if len(found) > length else None


@router.get("/people/more", response_class=HTMLResponse)
def more(request: Request, kind: Kind, offset: Annotated[RowId, Query()]) -> Response:
    """Show the next people of a list."""
    plugin = plugin_of(request)
    people, following = _list(plugin, kind, offset)
    videos = videos_of_people(plugin, remembered_of(request), people)
    return page(request, "_person_cards.html", people=people, next=following, kind=kind, videos=videos)


@router.get("/people/once", response_class=HTMLResponse)
def once(request: Request) -> Response:
    """Show the button that hides everyone who was seen on one day only; it takes a moment to count them."""
    return page(
        request,
        "_people_once.html",
        count=len(remembered_of(request).get("once", plugin_of(request).people_seen_on_one_day)),
    )


@router.post("/people", response_class=HTMLResponse)
def change(request: Request, form: Annotated[PeopleForm, Form()], hidden: bool = False) -> Response:
    """Name, merge, hide or show people, and show the lists as they are now."""
    if form.what in ("undo", "redo"):
        return _people(request, hidden=hidden, toast=history_of(request).step(form.what))
    try:
        # A message that lies over the page: names are typed far down, where nothing shall move.
        return _people(request, hidden=hidden, toast=Toast(_change(history_of(request), form), "undo"))
    except RequestError as error:
        # Shown above the lists, which are whole.
        return _people(request, hidden=hidden, message=sentence_of(error), code=error.status)


def _change(past: History, form: PeopleForm) -> str:
    """Record what a form says; return a sentence for the person."""
    plugin = past.plugin
    if form.what == "hide_once":
        numbers = plugin.people_seen_on_one_day()[:MOST_HIDDEN]
        plugin.hide_people(*numbers, origin=past.tab)
        return ngettext("%(num)s person hidden.", "%(num)s people hidden.", len(numbers))
    people = [plugin.person(number) for number in form.people]
    if not people:
        raise InvalidCorrectionError(Sentence("nobody is ticked; tick who is meant"))
    if form.what == "name":
        other = named(plugin, form.name)
        person = name_group(past, people[0], form.name)
        if other is not None and other.person_id != people[0].person_id:
            return gettext("%(name)s is one person with this group now.", name=person.name)
        return gettext("%(name)s has a name now.", name=person.name)
    if form.what == "merge":
        name = merge(past, people).name
        return gettext("%(name)s is one person now.", name=name) if name else gettext("The groups are one person now.")
    plugin.hide_people(*form.people, hidden=form.what == "hide", origin=past.tab)
    if form.what == "hide":
        return ngettext("%(num)s person hidden.", "%(num)s people hidden.", len(people))
    return ngettext("%(num)s person shown again.", "%(num)s people shown again.", len(people))


# ---- Proposals


@router.get("/people/review", response_class=HTMLResponse)
def review(request: Request, person: Annotated[RowId | None, Query()] = None) -> Response:
    """Show a row of faces that may be somebody, the likeliest first."""
    return _row(request, person)


def _row(
    request: Request,
    person_id: int | None,
    message: str = "",
    code: int = 200,
    after: int = 0,
    toast: Toast | None = None,
) -> Response:
    plugin = plugin_of(request)
    waiting = remembered_of(request).get("proposals", plugin.proposals)
    left = dict(waiting)
    chosen = person_id if person_id in left else next(iter(left), None)
    faces = [] if chosen is None else plugin.person_timeline(
        chosen, order="likeliest", state="proposed", limit=ROW, offset=after
    )  # fmt: skip
    if chosen is not None and not faces and after:
        # All of them were skipped: the next person's.
        numbers = list(left)
        chosen = numbers[(numbers.index(chosen) + 1) % len(numbers)]
        faces, after = plugin.person_timeline(chosen, order="likeliest", state="proposed", limit=ROW), 0
    # One answer is given for all of a row: so all of it are likely the person, or none.
    likely = bool(faces) and faces[0].probability >= LIKELY
    faces = [face for face in faces if (face.probability >= LIKELY) == likely]
    values: dict[str, Any] = {
        "person": None if chosen is None else plugin.person(chosen),
        "faces": faces,
        "likely": likely,
        "left": sum(left.values()),
        "next": after + len(faces),
        "message": message,
        "toast": toast,
    }
    return page(request, "_proposals.html" if is_part(request) else "people_review.html", code, **values)


@router.post("/people/review", response_class=HTMLResponse)
def answer(request: Request, form: Annotated[ProposalForm, Form()], after: Annotated[RowId, Query()] = 0) -> Response:
    """Record one answer for the faces that are ticked, and show the next row: where skipped, that from `after` on."""
    if form.what == "undo":
        return _row(request, form.person, toast=history_of(request).step("undo"))
    try:
        message = _answer(history_of(request), form)
    except RequestError as error:
        return _row(request, form.person, sentence_of(error), error.status)
    return _row(request, form.person, message, after=after if form.what == "skip" else 0)


def _answer(past: History, form: ProposalForm) -> str:
    plugin = past.plugin
    if form.what == "skip" or form.person is None or not form.faces:
        return "" if form.what == "skip" else gettext("No face was ticked.")
    person = plugin.person(form.person)
    if form.what == "yes":
        plugin.confirm_faces(form.person, form.faces, origin=past.tab)
        return Done(
            ngettext("%(num)s face is %(name)s.", "%(num)s faces are %(name)s.", len(form.faces), name=person.name)
        )
    plugin.reject_faces(form.person, form.faces, origin=past.tab)
    return Done(
        ngettext("%(num)s face is not %(name)s.", "%(num)s faces are not %(name)s.", len(form.faces), name=person.name)
    )


# ---- On a photo


@router.post("/photo/{photo_id}/who", response_class=HTMLResponse)
def name_face(request: Request, photo_id: RowId, form: Annotated[FaceForm, Form()]) -> Response:
    """Record who a face is, from the page of its photo, and show the photo as it is now."""
    plugin = plugin_of(request)
    if plugin.face(form.face).photo_id != photo_id:
        raise NotFoundError("face", form.face)
    answer_face(history_of(request), form, plugin.face_identities(photo_id).get(form.face))
    return photo.shown(request, photo_id, form.face)
