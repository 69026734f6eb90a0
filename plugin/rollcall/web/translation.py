"""The language of the page: which one a request gets, and its texts.

A catalog is a `.po` file in `locales/`, as gettext has them. It is read when its language is first asked for, so that
nothing is compiled beforehand, and a change shows at the next start. English is what stands in the code.
"""

from __future__ import annotations

import gettext as standard
import io
import re
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from rollcall.sentences import Quoted, Sentence, joined
from rollcall.server_settings import PageLanguage
from rollcall.settings import describe

#: The languages of the page, each by its own name.
LANGUAGES: Final[dict[str, str]] = {
    code: str(Locale.parse(code).get_display_name(code)).capitalize() for code in get_args(PageLanguage)[1:]
}
#: Holds the language that was chosen on the page. It is no secret, so it may go to every port of this machine.
COOKIE: Final = "rollcall-language"
_CATALOGS: Final = Path(__file__).parent / "locales"
_API: Final = re.compile(r"^(/[0-9a-f]{18})?(/embed)?/api/")
_current: ContextVar[str] = ContextVar("language", default="en")
_chosen: ContextVar[str] = ContextVar("chosen", default="")


class Texts(NamedTuple):
    """The texts of a language."""

    of_page: standard.NullTranslations
    #: What the scripts of the page show: English texts and what takes their place.
    messages: dict[str, str]
    #: The same for texts with a number: the form of each of the language's plural categories.
    plurals: dict[str, dict[str, str]]
    #: Patterns of the sentences on pictures, which the database holds in English, and their templates.
    stored: list[tuple[re.Pattern[str], str]]


def read_catalog(language: str) -> Catalog:
    """Return the catalog of a language, as it lies in `locales/`."""
    with (_CATALOGS / language / "LC_MESSAGES" / "page.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def texts(language: str) -> Texts:
    """Return the texts of a language; those of English are in the code, and nothing is read."""
    if language == "en":
        return Texts(standard.NullTranslations(), {}, {}, [])
    catalog, compiled = read_catalog(language), io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    of_page = standard.GNUTranslations(compiled)
    result, samples = Texts(of_page, {}, {}, []), _samples(language)
    for message in catalog:
        files = [file for file, _ in message.locations]
        if isinstance(message.id, str) and any(file.startswith(("media/", "inference/")) for file in files):
            result.stored.append((_pattern(message.id), message.id))
        if not any(file.endswith(".js") for file in files):
            continue
        if isinstance(message.id, str):
            result.messages[message.id] = of_page.gettext(message.id)
        else:
            one, many = message.id[0], message.id[1]
            result.plurals[one] = {name: of_page.ngettext(one, many, n) for name, n in samples.items()}
    return result


def _pattern(template: str) -> re.Pattern[str]:
    """Return what a sentence of a template matches, its values as groups."""
    parts = re.split(r"%\((\w+)\)s", template)
    return re.compile(
        "".join(
            f"(?P<{part}>.*?)" if place % 2 else re.escape(part.replace("%%", "%")) for place, part in enumerate(parts)
        ),
        re.DOTALL,
    )


def _samples(language: str) -> dict[str, int]:
    """Return for each plural category of a language a number that is of it: browsers and gettext tell them apart."""
    rule = Locale.parse(language).plural_form
    found: dict[str, int] = {}
    for number in (*range(200), 1_000_000):
        found.setdefault(rule(number), number)
    return found


# ---- Texts


def language() -> str:
    """Return the language of the answer that is being made."""
    return _current.get()


def chosen_language() -> str:
    """Return the language that was chosen on the page or by the setting; "" where the browser's counts."""
    return _chosen.get()


def gettext(text: str, /, **values: Any) -> str:
    """Return a text in the language of the answer."""
    # What catalogs have for the empty text is their own header.
    return texts(language()).of_page.gettext(text) % values if text else ""


def pgettext(context: str, text: str, /, **values: Any) -> str:
    """Return a text whose meaning depends on where it stands."""
    return texts(language()).of_page.pgettext(context, text) % values


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """Return a text with a number, which it has as %(num)s."""
    from rollcall.web.formats import number

    return texts(language()).of_page.ngettext(one, many, count) % {"num": number(count), **values}


def translated(text: str) -> str:
    """Return a sentence in the language of the answer; what is no `Sentence` stays as it is."""
    if isinstance(text, Quoted) and language() != "en":
        return gettext("“%(text)s”", text=text.text)
    if not isinstance(text, Sentence):
        return text
    values = {name: translated(value) if isinstance(value, str) else value for name, value in text.values.items()}
    return gettext(text.template, **values)


def known(text: str) -> str:
    """Return a text of the database as the sentence that it was; one that is not known any more as it is."""
    if isinstance(text, Sentence) or language() == "en":
        return text
    # What is wrong, and what to do about it.
    parts = [_known(clause) for clause in text.split("; ")]
    if not all(isinstance(part, Sentence) for part in parts):
        return text
    return joined(parts, "; ")


def _known(clause: str) -> str:
    for pattern, template in texts(language()).stored:
        match = pattern.fullmatch(clause)
        if match is not None:
            # A reason within brackets may be a sentence, too.
            return Sentence(template, **{name: _known(value) for name, value in match.groupdict().items()})
    return clause


@cache
def _technical() -> re.Pattern[str]:
    """Return what only administrators know: a command in backticks, an option, the name of a setting."""
    settings = "|".join(re.escape(one.name) for one in describe())
    return re.compile(rf"`|(?<![\w-])--[a-z]|(?<![\w.])(?:{settings})(?!\w)")


def for_people(message: str) -> str:
    """Return a sentence, translated, without what is for administrators: commands, and names of settings."""
    clauses = [
        re.sub(r"\s*\([^()]*\)", lambda found: "" if _technical().search(found[0]) else found[0], clause).strip()
        for clause in translated(known(message)).split("; ")
    ]
    return "; ".join(clause for clause in clauses if not _technical().search(clause)) or clauses[0]


def is_translated(text: str) -> bool:
    """Return whether a text is in the language of the answer, so far as it is known: else it is English."""
    return language() == "en" or isinstance(text, Sentence)


def sentence_of(error: BaseException) -> str:
    """Return what an error says, in the language of the answer if it is a `Sentence`."""
    first = error.args[0] if error.args else ""
    return translated(first) if isinstance(first, Sentence) else str(error)


# ---- Which language


def accepted(headers: Mapping[str, str]) -> list[str]:
    """Return the languages that a browser asks for, the best first, as two letters."""
    wanted: list[tuple[float, str]] = []
    for part in headers.get("accept-language", "")[:1000].split(","):
        name, _, quality = part.partition(";q=")
        try:
            wanted.append((float(quality or 1), name.strip()[:2].lower()))
        except ValueError:
            continue
    return [name for quality, name in sorted(wanted, key=lambda one: -one[0]) if quality > 0]


def _choice(headers: Mapping[str, str], setting: str) -> str:
    cookies = cookie_parser(headers.get("cookie", ""))
    found = cookies.get(COOKIE, "") or setting
    return found if found in LANGUAGES else ""


class RequestLanguage:
    """Middleware, the outermost: what is answered is in the language of whoever asks.

    Programs get English: requests of the API that name no language in Accept-Language, which all browsers do.

    Parameters
    ----------
    app
        The application.
    setting
        `serve.language`.
    """

    def __init__(self, app: ASGIApp, setting: str) -> None:
        self.app, self.setting = app, setting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        by_program = "accept-language" not in headers and _API.match(scope["path"])
        choice = "" if by_program else _choice(headers, self.setting)
        best = choice or next((one for one in accepted(headers) if one in LANGUAGES), "en")
        tokens = _current.set(best), _chosen.set(choice)
        try:
            await self.app(scope, receive, send)
        finally:
            _current.reset(tokens[0])
            _chosen.reset(tokens[1])
