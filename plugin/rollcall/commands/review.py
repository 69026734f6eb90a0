"""`rollcall review`."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image

from rollcall import corrections
from rollcall.commands.common import Context, common, console, plural
from rollcall.corrections import review_queue
from rollcall.corrections.kinds import Correction
from rollcall.corrections.review_queue import Question
from rollcall.errors import PictureError
from rollcall.host import Plugin

try:
    from termios import error as _termios_error

    _NO_TERMINAL: tuple[type[Exception], ...] = (OSError, _termios_error)
except ImportError:  # Windows has no such module
    _NO_TERMINAL = (OSError,)

_KEYS = "[y]es  [n]o  [b]aby  [c]hild  [t]eenager  [a]dult  [o]ld  [x] not a face  [s]kip  [u]ndo  [q]uit"
#: Where corrections of this command come from.
ORIGIN = "review"
_ANSWERS = {"b": "baby", "c": "child", "t": "teenager", "a": "adult", "o": "senior"}


@click.command("review")
@click.option("--limit", type=click.IntRange(min=1), help="Ask about at most so many faces.")
@click.option(
    "--crops",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the face of each question to FOLDER/face.png, to be shown in a viewer.",
)
@click.option("--list", "listed", is_flag=True, help="Only print the queue.")
@common
def review_command(context: Context, limit: int | None, crops: Path | None, listed: bool) -> None:
    """Answer questions about the least certain faces, with one key each; every answer can be undone.

    For pictures beside the questions open the page: rollcall serve.
    """
    with context.opened() as plugin:
        if listed:
            for question in plugin.review(limit=limit or 50):
                click.echo(f"{question.gain:.3f} bits  {_about(question)}")
            return
        _ask(plugin, limit, crops)


def _ask(plugin: Plugin, limit: int | None, crops: Path | None) -> None:
    """Ask questions until the queue is empty, `limit` are answered, or the person quits."""
    skipped: set[int] = set()
    answered = 0
    while limit is None or answered < limit:
        queue = plugin.review(limit=1, skip=skipped)
        if not queue:
            break
        question = queue[0]
        if crops is not None:
            _write_crop(question, crops)
        console.print(f"\n{_about(question)}", markup=False)
        console.print(f"Is this one of: {question.group}?  {_KEYS}", markup=False)
        key = _key(question)
        if key == "q":
            break
        if key == "u" and answered:
            plugin.undo(origin=ORIGIN)
            answered -= 1
        elif key == "u":
            console.print("Nothing was answered yet; `rollcall corrections undo` undoes earlier corrections.")
        elif key == "s":
            skipped.add(question.face.face_id)
        else:
            correction = _correction(question, key)
            assert correction is not None
            plugin.correct(correction, origin=ORIGIN)
            answered += 1
    console.print(f"\n{plural(answered, 'face')} reviewed")


def _key(question: Question) -> str:
    """Wait for a key that has a meaning, and return it."""
    while True:
        try:
            key = click.getchar().lower()
        except EOFError:
            return "q"
        except _NO_TERMINAL as error:
            raise click.UsageError(
                "the review is answered with single keys, and there is no terminal to press them on; `rollcall review"
                " --list` prints the questions, and `rollcall serve` shows them with pictures"
            ) from error
        if key in ("q", "\x03", "\x04", ""):
            return "q"
        if key in ("u", "s") or _correction(question, key) is not None:
            return key
        if key == "n":
            console.print(f"Not one of {question.group} leaves two answers: choose one, or [s]kip.", markup=False)
        else:
            console.print(_KEYS, markup=False)


def _correction(question: Question, key: str) -> Correction | None:
    """Return the correction that a key means; None for a key without a meaning."""
    if key == "y":
        return question.yes()
    if key == "n":
        return question.no()
    if key == "x":
        return corrections.not_a_face(question.face.face_id)
    if key in _ANSWERS:
        return corrections.age(question.face.face_id, *review_queue.ANSWERS[_ANSWERS[key]])
    return None


def _about(question: Question) -> str:
    face = question.face
    age = "" if face.age is None else f"age {face.age:.0f}"
    if face.age_interval is not None:
        age += f" ({face.age_interval[0]:.0f} to {face.age_interval[1]:.0f})"
    place = f"face:{face.face_id}, {face.box.x + face.box.width / 2:.0%} from the left"
    path = str(question.photo.path).encode("utf-8", "backslashreplace").decode()
    people = plural(len(question.photo.faces), "face")
    return f"{path}  {place} of {people}, {age}, {question.group} {question.probability:.0%}"


def _write_crop(question: Question, folder: Path) -> None:
    from rollcall.media import annotate
    from rollcall.media.decode import decode

    try:
        picture = decode(question.photo.path, target=1600)
    except PictureError as error:
        console.print(f"{error}", style="yellow", markup=False)
        return
    height, width = picture.pixels.shape[:2]
    box = question.face.box
    margin_x, margin_y = box.width / 2, box.height / 2
    x0, x1 = max(int((box.x - margin_x) * width), 0), int((box.x + box.width + margin_x) * width) + 1
    y0, y1 = max(int((box.y - margin_y) * height), 0), int((box.y + box.height + margin_y) * height) + 1
    annotate.save(Image.fromarray(picture.pixels[y0:y1, x0:x1]), folder / "face.png")
