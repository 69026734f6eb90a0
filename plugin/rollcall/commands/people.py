"""`rollcall people`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rollcall.commands.common import Context, common, console, plural
from rollcall.commands.corrections import ORIGIN
from rollcall.corrections.person_kinds import RELATIONS, Relation

if TYPE_CHECKING:
    from rollcall.host import Plugin
    from rollcall.people.persons import Person

_PERSON = "NUMBER|NAME"


@click.group("people")
def people_group() -> None:
    """Who is who: list people, name them, answer proposals, merge and split them.

    People are given by number, or by a name that one person has. All that is said can be undone by `rollcall
    corrections undo`.
    """


@people_group.command("list")
@click.option("--unnamed", is_flag=True, help="Only groups without a name.")
@click.option("--named", is_flag=True, help="Only people with a name.")
@click.option("--hidden", is_flag=True, help="Only hidden people.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a person.")
@common
def list_command(context: Context, unnamed: bool, named: bool, hidden: bool, limit: int, as_json: bool) -> None:
    """List people: those with a name first, then by the number of their faces."""
    wanted = None if unnamed == named else named
    with context.opened(read_only=True) as plugin:
        found = plugin.people(named=wanted, hidden=hidden, limit=limit)
        for person in found:
            _print(person, as_json)
    if not found:
        console.print(_nobody(wanted, hidden))


def _nobody(named: bool | None, hidden: bool) -> str:
    if hidden:
        return "Nobody is hidden."
    if named:
        return "Nobody has a name yet: give one with `rollcall people name`."
    if named is False:
        return "There is no group without a name."
    return "Nobody yet: faces are grouped when photos are indexed."


@people_group.command("show")
@click.argument("person", metavar=_PERSON)
@click.option("--proposed", is_flag=True, help="Only faces that wait for an answer.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many faces at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the person, then one JSON object a face.")
@common
def show_command(context: Context, person: str, proposed: bool, limit: int, as_json: bool) -> None:
    """Show a person and their faces, the confirmed ones first, then the likeliest."""
    with context.opened(read_only=True) as plugin:
        them = _person(plugin, person)
        _print(them, as_json)
        for face in plugin.person_faces(them.person_id, state="proposed" if proposed else None, limit=limit):
            if as_json:
                click.echo(json.dumps(asdict(face)))
            else:
                when = (face.taken_local or "no date")[:10]
                click.echo(f"  face:{face.face_id}  photo:{face.photo_id}  {when}  {face.state} {face.probability:.0%}")


@people_group.command("name")
@click.argument("target", metavar=f"{_PERSON}|face:N")
@click.argument("names", nargs=-1)
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def name_command(context: Context, target: str, names: tuple[str, ...], by: str) -> None:
    """Name a person or a face; the first of several names is shown, and none takes the names away."""
    with context.opened() as plugin:
        face = _face(target)
        if face is None:
            _print(plugin.name_person(_person(plugin, target).person_id, *names, by=by, origin=ORIGIN))
        elif len(names) == 1:
            _print(plugin.name_face(face, names[0], by=by, origin=ORIGIN))
        else:
            raise click.UsageError("give one name for a face")


@people_group.command("confirm")
@click.argument("person", metavar=_PERSON)
@click.argument("faces", nargs=-1, metavar="[face:N]...")
@click.option("--not", "reject", is_flag=True, help="They are not this person, for good.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def confirm_command(context: Context, person: str, faces: tuple[str, ...], reject: bool, by: str) -> None:
    """State that faces are a person; without faces all that are proposed."""
    with context.opened() as plugin:
        them = _person(plugin, person).person_id
        numbers = _faces(faces) if faces else [one.face_id for one in plugin.person_faces(them, state="proposed")]
        say = plugin.reject_faces if reject else plugin.confirm_faces
        if numbers:
            _print(say(them, numbers, by=by, origin=ORIGIN))
        console.print(f"{plural(len(numbers), 'face')} {'rejected' if reject else 'confirmed'}")


@people_group.command("questions")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a question.")
@common
def questions_command(context: Context, limit: int, as_json: bool) -> None:
    """List what to ask about people with names, first what settles the most faces.

    `rollcall people confirm NAME face:N` answers yes, with `--not` no; `merge` joins a group of nobody to a person.
    """
    with context.opened(read_only=True) as plugin:
        found = plugin.people_questions(limit)
        for one in found:
            if as_json:
                click.echo(json.dumps({**asdict(one), "worth": round(one.worth, 3)}))
            else:
                faces = " ".join(f"face:{face}" for face in one.faces)
                name = plugin.person(one.person).name
                also = "".join(
                    f"  or {plugin.person(other.person).name} {other.probability:.0%}" for other in one.candidates
                )
                click.echo(f"{one.kind}  {name}?  {one.probability:.0%}{also}  {faces}")
    if not found:
        console.print("There is nothing to ask: questions are about people with names.")


@people_group.command("merge")
@click.argument("person", metavar=_PERSON)
@click.argument("others", nargs=-1, required=True, metavar=f"{_PERSON}...")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def merge_command(context: Context, person: str, others: tuple[str, ...], by: str) -> None:
    """State that others are the same as a person, who gets their faces and names."""
    with context.opened() as plugin:
        them = [_person(plugin, one).person_id for one in (person, *others)]
        _print(plugin.merge_people(*them, by=by, origin=ORIGIN))


@people_group.command("split")
@click.argument("faces", nargs=-1, required=True, metavar="face:N...")
@click.option("--name", help="Who they are, if known.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def split_command(context: Context, faces: tuple[str, ...], name: str | None, by: str) -> None:
    """State that some faces are somebody else; those like them go along as proposals."""
    with context.opened() as plugin:
        _print(plugin.split_faces(_faces(faces), name, by=by, origin=ORIGIN))


@people_group.command("hide")
@click.argument("people", nargs=-1, metavar=f"[{_PERSON}]...")
@click.option("--seen-once", is_flag=True, help="All groups without a name that are on one photo only.")
@click.option("--show", is_flag=True, help="Show them again.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def hide_command(context: Context, people: tuple[str, ...], seen_once: bool, show: bool, by: str) -> None:
    """Leave people out of lists."""
    with context.opened() as plugin:
        them = [_person(plugin, one).person_id for one in people]
        if seen_once:
            them += [one.person_id for one in plugin.people(named=False, hidden=show) if one.photos <= 1]
        if them:
            plugin.hide_people(*them, hidden=not show, by=by, origin=ORIGIN)
        console.print(f"{len(them)} {'shown' if show else 'hidden'}")


@people_group.command("birth")
@click.argument("person", metavar=_PERSON)
@click.argument("date", metavar="YYYY[-MM[-DD]]|unknown")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def birth_command(context: Context, person: str, date: str, by: str) -> None:
    """State when a person was born: the ages of their faces follow from it and the photos' dates."""
    with context.opened() as plugin:
        them = _person(plugin, person).person_id
        _print(plugin.set_birth_date(them, None if date == "unknown" else date, by=by, origin=ORIGIN))


@people_group.command("me")
@click.argument("person", metavar=_PERSON)
@click.option("--not", "nobody", is_flag=True, help="This is not me.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def me_command(context: Context, person: str, nobody: bool, by: str) -> None:
    """State who uses the library, for searches such as "my daughter"."""
    with context.opened() as plugin:
        _print(plugin.set_me(_person(plugin, person).person_id, not nobody, by=by, origin=ORIGIN))


@people_group.command("relate")
@click.argument("person", metavar=_PERSON)
@click.argument("relation", type=click.Choice(RELATIONS))
@click.argument("other", metavar=_PERSON)
@click.option("--not", "withdraw", is_flag=True, help="They are not.")
@click.option("--by", default="user", show_default=True, help="Who says so.")
@common
def relate_command(context: Context, person: str, relation: Relation, other: str, withdraw: bool, by: str) -> None:
    """State that a person is the child, or the partner, of another."""
    with context.opened() as plugin:
        them, theirs = _person(plugin, person).person_id, _person(plugin, other).person_id
        _print(plugin.relate(them, relation, theirs, holds=not withdraw, by=by, origin=ORIGIN))


@people_group.command("group")
@common
def group_command(context: Context) -> None:
    """Group all faces of the library anew; what was said of people stays as it is."""
    with context.opened() as plugin:
        report = plugin.group_people()
    console.print(f"{plural(report.faces, 'face')} in {report.people:,} people and groups; {report.changed:,} changed")


def _person(plugin: Plugin, text: str) -> Person:
    """Return the person of a number or a name."""
    if text.isascii() and text.isdigit():
        return plugin.person(int(text))
    found = plugin.people_named(text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError(f"nobody is called {text!r}; `rollcall people list` shows everybody")
    numbers = ", ".join(str(one.person_id) for one in found)
    raise click.UsageError(f"{len(found)} people are called {text!r}; give one of the numbers {numbers}")


def _face(text: str) -> int | None:
    kind, _, number = text.partition(":")
    return int(number) if kind == "face" and number.isascii() and number.isdigit() else None


def _faces(texts: tuple[str, ...]) -> list[int]:
    numbers = [_face(text) for text in texts]
    wrong = [text for text, number in zip(texts, numbers, strict=True) if number is None]
    if wrong:
        raise click.UsageError(f"{wrong[0]!r} is not face:N; `rollcall people show` lists the faces")
    return [number for number in numbers if number is not None]


def _print(person: Person, as_json: bool = False) -> None:
    if as_json:
        click.echo(json.dumps(asdict(person), ensure_ascii=False))
        return
    name = " / ".join(person.names) or "no name"
    born = "" if person.birth_date is None else f", born {person.birth_date}"
    born += " (estimated)" if person.birth_date_source == "estimate" else ""
    years = "" if person.first_seen is None else f", {person.first_seen[:4]} to {(person.last_seen or '')[:4]}"
    marks = "".join((", me" if person.is_me else "", ", hidden" if person.hidden else ""))
    waiting = f", {person.proposed} proposed" if person.proposed else ""
    click.echo(f"{person.person_id}  {name}: {plural(person.photos, 'photo')}{waiting}{years}{born}{marks}")
