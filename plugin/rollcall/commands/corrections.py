"""`rollcall correct` and `rollcall corrections`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from rollcall import corrections
from rollcall.ages import AGE_GROUPS
from rollcall.commands.common import Context, common, console, plural
from rollcall.corrections.album_kinds import ALBUM_KINDS
from rollcall.corrections.kinds import Correction
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.log_lines import UNDO_KINDS
from rollcall.corrections.person_kinds import PERSON_KINDS
from rollcall.corrections.transfer import read_file, write_file
from rollcall.records import Box

#: Where corrections of this command come from.
ORIGIN = "command line"


@click.command("correct")
@click.argument("target", metavar="face:N|photo:N")
@click.option("--age", metavar="YEARS|FROM-TO|GROUP", help=f"8, 5-9, or one of: {', '.join(AGE_GROUPS)}.")
@click.option("--gender", metavar="LABEL", help="female, male, or any label.")
@click.option("--no-gender", is_flag=True, help="Do not estimate the gender.")
@click.option("--not-a-face", is_flag=True, help="There is no face there.")
@click.option("--ignore", is_flag=True, help="A face, but one to be left out of everything.")
@click.option("--box", metavar="X,Y,W,H", help="Where the face is, in fractions; of a photo: a face that was missed.")
@click.option("--tag", "accepted", multiple=True, metavar="NAME", help="The photo has this tag.")
@click.option("--no-tag", "rejected", multiple=True, metavar="NAME", help="The photo does not have this tag, for good.")
@click.option(
    "--take-back",
    type=click.Choice([kind for kind in corrections.KINDS if kind != "tag"]),
    multiple=True,
    help="Withdraw corrections of this kind: the estimate is shown again.",
)
@click.option(
    "--take-back-tag", "taken_back", multiple=True, metavar="NAME", help="Withdraw what was said of this tag."
)
@click.option("--by", default="user", show_default=True, help="Who makes the correction.")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as one JSON object.")
@common
def correct_command(
    context: Context,
    target: str,
    age: str | None,
    gender: str | None,
    no_gender: bool,
    not_a_face: bool,
    ignore: bool,
    box: str | None,
    accepted: tuple[str, ...],
    rejected: tuple[str, ...],
    take_back: tuple[corrections.Kind, ...],
    taken_back: tuple[str, ...],
    by: str,
    as_json: bool,
) -> None:
    """Correct a face or a photo; corrections win over every estimate, now and after every model to come.

    The numbers of faces and photos are shown by `rollcall search --json` and `rollcall review`. The number of a face
    that was drawn is printed on standard output.
    """
    kind, _, number = target.partition(":")
    if kind not in ("face", "photo") or not number.isdigit():
        raise click.UsageError(f"{target!r} is neither face:N nor photo:N")
    with context.opened() as plugin:
        face_id = int(number) if kind == "face" else None
        photo_id = int(number) if kind == "photo" else None
        if (accepted or rejected or taken_back) and photo_id is None and face_id is not None:
            photo_id = plugin.face(face_id).photo_id
        given: list[Correction] = []
        if face_id is not None:
            if age is not None:
                given.append(_age(face_id, age))
            if gender is not None or no_gender:
                given.append(corrections.gender(face_id, None if no_gender else gender))
            given += [corrections.not_a_face(face_id)] if not_a_face else []
            given += [corrections.ignore(face_id)] if ignore else []
            given += [corrections.move(face_id, _box(box))] if box is not None else []
            given += [corrections.take_back(one, face_id=face_id) for one in take_back]
        elif age is not None or gender is not None or no_gender or not_a_face or ignore or take_back:
            raise click.UsageError("this is a correction of a face, not of a photo; give face:N")
        elif box is not None and photo_id is not None:
            given.append(corrections.draw(photo_id, _box(box)))
        if photo_id is not None:
            given += [corrections.tag(photo_id, name, True) for name in accepted]
            given += [corrections.tag(photo_id, name, False) for name in rejected]
            given += [corrections.take_back("tag", photo_id=photo_id, name=name) for name in taken_back]
        if not given:
            raise click.UsageError("no correction is given; see `rollcall correct --help`")
        done = plugin.correct(*given, by=by, origin=ORIGIN)
    new = [number for number in done.face_ids if number is not None and number != face_id]
    if as_json:
        values = {"batch": done.batch, "count": done.count, "photo_ids": sorted(done.photo_ids), "new_faces": new}
        click.echo(json.dumps(values))
        return
    for face in new:
        click.echo(f"face:{face}")
    console.print(f"{plural(done.count, 'correction')} recorded" + ("; the new face is above" if new else ""))


def _age(face_id: int, text: str) -> Correction:
    """Return the correction of the option --age."""
    if text in AGE_GROUPS:
        return corrections.age_group(face_id, text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text.strip())
    if match is None:
        raise click.UsageError(f"--age {text}: give years (8), a range (5-9) or one of {', '.join(AGE_GROUPS)}")
    low, high = match.groups()
    return corrections.age(face_id, float(low), None if high is None else float(high))


def _box(text: str) -> Box:
    """Return the box of the option --box, in fractions of the upright picture."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError as error:
        raise click.UsageError(
            f"--box {text}: give left,top,width,height as fractions, such as 0.2,0.1,0.3,0.4"
        ) from error
    return Box(x, y, width, height)


@click.group("corrections")
def corrections_group() -> None:
    """Corrections by people: list and undo them, export and import them."""


def _rounded(value: Any) -> Any:
    """Return plain values with their fractions rounded for people."""
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _about_no_photo(kind: str) -> str:
    """Return what a line without a photo is about: only those of photos wait for theirs."""
    if kind in PERSON_KINDS:
        return "people"
    if kind in ALBUM_KINDS:
        return "albums"
    return "-" if kind in UNDO_KINDS else "waiting"


def _line(entry: LogEntry) -> str:
    about = f"face:{entry.face_id}" if entry.face_id is not None else f"photo:{entry.photo_id}"
    if entry.photo_id is None:
        about = _about_no_photo(entry.kind)
    state = " (undone)" if entry.undone else ""
    value = f"of line {entry.of_line}"
    if entry.of_line is None:
        value = json.dumps(_rounded(entry.value), ensure_ascii=False)
    path = (entry.path or "").encode("utf-8", "backslashreplace").decode()
    return f"{entry.id:>6}  {entry.made_at}  {entry.made_by}  {about}  {entry.kind} {value}{state}  {path}"


@corrections_group.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("--waiting", is_flag=True, help="Only those whose photo or face cannot be found at present.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@common
def list_command(context: Context, limit: int, waiting: bool, as_json: bool) -> None:
    """Show the log, the newest line first."""
    with context.opened(read_only=True) as plugin:
        entries = plugin.waiting_corrections()[:limit] if waiting else plugin.corrections(limit=limit)
    for _, lines in groupby(entries, key=lambda entry: entry.batch if entry.of_line is not None else entry.uid):
        some = list(lines)
        if as_json:
            for entry in some:
                click.echo(json.dumps(_rounded(entry._asdict()), ensure_ascii=False))
        else:
            # A restore undoes and redoes any number of lines: it is shown as one.
            click.echo(_line(some[0]) if len(some) == 1 else _lines_of_one_batch(some))
    console.print(plural(len(entries), "line"))


def _lines_of_one_batch(lines: Sequence[LogEntry]) -> str:
    """Return a line for all that one undo, redo or restore did."""
    parts = []
    for kind in ("undo", "redo"):
        numbers = sorted(entry.of_line for entry in lines if entry.kind == kind and entry.of_line is not None)
        if numbers:
            listed = ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5:,} more" if len(numbers) > 5 else "")
            parts.append(f"{kind} of lines {listed}")
    first = lines[0]
    return f"{first.id:>6}  {first.made_at}  {first.made_by}  {'; '.join(parts)}"


def _report(done: CorrectionResult, what: str) -> None:
    console.print(f"{plural(done.count, 'correction')} {what}, in {plural(len(done.photo_ids), 'photo')}")


@corrections_group.command("undo")
@click.option("--to", type=click.IntRange(min=0), metavar="LINE", help="Go back to the state after this line; 0: none.")
@click.option("--by", default="user", show_default=True, help="Whose corrections to undo.")
@click.option("--any", "anyones", is_flag=True, help="Undo the last corrections whoever made them, and wherever.")
@common
def undo_command(context: Context, to: int | None, by: str, anyones: bool) -> None:
    """Undo your own last corrections of the command line, or go back to any point of the log."""
    with context.opened() as plugin:
        own = None if anyones else ORIGIN
        done = plugin.undo(by=None if anyones else by, origin=own) if to is None else plugin.restore(to)
    _report(done, "undone" if to is None else "undone or redone")


@corrections_group.command("redo")
@common
def redo_command(context: Context) -> None:
    """Redo the corrections that were undone last."""
    with context.opened() as plugin:
        _report(plugin.redo(), "redone")


@corrections_group.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--no-embeddings", is_flag=True, help="Leave out the embeddings, by which faces are found in edited pictures."
)
@common
def export_command(context: Context, file: Path, no_embeddings: bool) -> None:
    """Write the log to FILE, one JSON object a line, as a backup or to be imported elsewhere."""
    with context.opened(read_only=True) as plugin:
        lines = plugin.export_corrections()
    write_file(({**line, "embedding": None} for line in lines) if no_embeddings else lines, file)
    console.print(f"{plural(len(lines), 'line')} written to {file}", markup=False)


@corrections_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE")
@common
def import_command(context: Context, file: Path) -> None:
    """Add the log in FILE to the database; lines that it has already are left as they are.

    Lines whose photo is not indexed yet wait for it.
    """
    lines = read_file(file)
    with context.opened() as plugin, Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Importing", total=len(lines))
        imported = plugin.import_corrections(lines, progress=lambda done, _total: bar.update(task, completed=done))
    console.print(
        f"{plural(imported.added, 'line')} added, {imported.known:,} known before"
        + (f", {imported.waiting:,} wait for their photo or face" if imported.waiting else "")
    )
