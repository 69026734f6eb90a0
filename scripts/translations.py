"""Bring the page's catalogs in line with the code: add what is new, and take out what is gone.

Run with: uv run python scripts/translations.py, and fill in what it lists; with `--check` nothing is written, and the
exit code is 1 unless every catalog is complete. With a language, such as `it`, its catalog is begun.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_javascript
from babel.messages.pofile import escape, read_po

from rollcall.web.pages.rendering import templates

PACKAGE = Path(__file__).resolve().parent.parent / "plugin" / "rollcall"
LOCALES = PACKAGE / "web" / "locales"
#: The functions that take a text of the page, and how many texts each of them takes.
FUNCTIONS = {"gettext": 1, "_": 1, "Sentence": 1, "ngettext": 2, "pgettext": 2}
_JAVASCRIPT = {"encoding": "utf-8", "parse_template_string": True}
PLACE = re.compile(r"%\((\w+)\)s")


class Text(NamedTuple):
    """A text of the page, as it stands in the code."""

    file: str
    id: tuple[str, ...]  # one, or two with a plural
    context: str | None = None


def texts() -> Iterator[Text]:
    """Yield every text that is marked for translation, in the order of files and lines."""
    for path in sorted((PACKAGE / "web" / "templates").glob("*.html")):
        for _, function, message in templates.env.extract_translations(path.read_text(encoding="utf-8")):
            yield _text(_name(path), function, [message] if isinstance(message, str) else list(message))
    for path in sorted((PACKAGE / "web" / "static").glob("*.js")):
        if path.name.endswith(".min.js"):
            continue
        with path.open("rb") as file:
            for _, function, message, _ in extract_javascript(file, list(FUNCTIONS), (), _JAVASCRIPT):
                yield _text(_name(path), function, [message] if isinstance(message, str) else list(message))
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _of_module(path)


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _of_module(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in FUNCTIONS and isinstance(node.func, ast.Name):
            given = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            # A text that is put together has no entry of its own.
            if len(given) >= FUNCTIONS[function]:
                yield _text(_name(path), function, given)


def _text(file: str, function: str, given: list[str | None]) -> Text:
    strings = [one for one in given if isinstance(one, str)]
    if function == "pgettext":
        return Text(file, (strings[1],), strings[0])
    return Text(file, tuple(strings[: FUNCTIONS[function]]))


@cache
def template() -> Catalog:
    """Return all texts as a catalog without translations."""
    result = Catalog(domain="page")
    for text in texts():
        result.add(text.id if len(text.id) > 1 else text.id[0], locations=[(text.file, 0)], context=text.context)
    return result


def languages() -> list[str]:
    """Return the languages that have a catalog."""
    return sorted(path.parent.parent.name for path in LOCALES.glob("*/LC_MESSAGES/page.po"))


def file_of(language: str) -> Path:
    """Return the catalog's file of a language."""
    return LOCALES / language / "LC_MESSAGES" / "page.po"


def updated(language: str) -> Catalog:
    """Return the catalog of a language with the texts of the code, of which new ones are empty."""
    known = Catalog(locale=language)
    if file_of(language).exists():
        with file_of(language).open("rb") as file:
            known = read_po(file, locale=language)
    result = Catalog(locale=language, domain="page")
    for message in template():
        if message.id:
            before = known.get(message.id, message.context)
            result.add(message.id, before.string if before else None, message.locations, context=message.context)
    return result


def problems(catalog: Catalog) -> Iterator[str]:
    """Yield what is wrong with a catalog, a line each."""
    for message in catalog:
        if not message.id:
            continue
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        given = [message.string] if isinstance(message.string, str) else list(message.string or ())
        wanted = 1 if isinstance(message.id, str) else catalog.num_plurals
        if len(given) != wanted or not all(given):
            yield f"not translated: {originals[0]!r}"
        elif "fuzzy" in message.flags:
            yield f"to be looked at: {originals[0]!r}"
        else:
            yield from _misfits(originals, given)


def _misfits(originals: list[str], given: list[str]) -> Iterator[str]:
    """Yield what a translation has too much or lacks: places for values, and marks of HTML."""
    # A form for one thing alone may do without its number.
    places = [set(PLACE.findall(one)) for one in originals]
    tags = sorted(re.findall(r"<[^>]*>", originals[0]))
    for text in given:
        if set(PLACE.findall(text)) not in (*places, places[-1] | {"num"}):
            yield f"other places for values than the original: {text!r}"
        if sorted(re.findall(r"<[^>]*>", text)) != tags or re.search(r"[\"&]", text):
            yield f"other HTML than the original: {text!r}"
        if re.search(r"%(?!%|\(\w+\)s)", text.replace("%%", "")):
            yield f"a percent sign that stands for nothing: {text!r}"
        if text[:1].isspace() != originals[0][:1].isspace() or text[-1:].isspace() != originals[0][-1:].isspace():
            yield f"other spaces at its ends than the original: {text!r}"


def written(catalog: Catalog) -> str:
    """Return a catalog as the text of its file: without dates and numbers of lines, which change by themselves."""
    lines = [
        'msgid ""',
        'msgstr ""',
        f'"Language: {catalog.locale_identifier}\\n"',
        '"MIME-Version: 1.0\\n"',
        '"Content-Type: text/plain; charset=utf-8\\n"',
        '"Content-Transfer-Encoding: 8bit\\n"',
        f'"Plural-Forms: {catalog.plural_forms}\\n"',
    ]
    for message in catalog:
        if message.id:
            lines += ["", *_entry(message, catalog.num_plurals)]
    return "\n".join(lines) + "\n"


def _entry(message: Message, forms: int) -> Iterator[str]:
    yield f"#: {' '.join(sorted({file for file, _ in message.locations}))}"
    if message.context:
        yield f"msgctxt {escape(message.context)}"
    if isinstance(message.id, str):
        yield f"msgid {escape(message.id)}"
        yield f"msgstr {escape(str(message.string or ''))}"
        return
    yield f"msgid {escape(message.id[0])}"
    yield f"msgid_plural {escape(message.id[1])}"
    given = list(message.string or ())
    for form in range(forms):
        yield f"msgstr[{form}] {escape(given[form] if form < len(given) else '')}"


def main(arguments: list[str]) -> int:
    """Write the catalogs, or check them; return the exit code."""
    check, wanted = "--check" in arguments, [one for one in arguments if not one.startswith("-")]
    found = 0
    for language in wanted or languages():
        catalog, file = updated(language), file_of(language)
        text = written(catalog)
        if check and text != file.read_text(encoding="utf-8"):
            print(f"{language}: not in line with the code; run scripts/translations.py")
            found += 1
        elif not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for problem in problems(catalog):
            print(f"{language}: {problem}")
            found += 1
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
