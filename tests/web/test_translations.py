"""Every text of the page is marked, every catalog is complete, and what is shown is in the language asked for."""

from __future__ import annotations

import copy
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rollcall import search
from rollcall.ages import AGE_GROUPS
from rollcall.errors import LibraryError, NotFoundError, UnreadableError
from rollcall.sentences import Quoted, Sentence, joined
from rollcall.web import formats, names, translation
from rollcall.web.pages.rendering import templates
from web import marked, marked_scripts

ROOT = Path(__file__).resolve().parent.parent.parent
WEB = ROOT / "plugin" / "rollcall" / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = [path for path in sorted((WEB / "static").glob("*.js")) if not path.name.endswith(".min.js")]
#: Modules whose texts people see; others answer programs and administrators.
SEEN = ("activity", "failures", "forms", "history", "lan", "people_forms", "pictures", "results")
MODULES = [*sorted((WEB / "pages").glob("*.py")), *(WEB / f"{name}.py" for name in SEEN)]
FOREIGN = [code for code in translation.LANGUAGES if code != "en"]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def translations() -> ModuleType:
    """Return the script that keeps the catalogs."""
    return script("translations")


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a language that of the answer."""
    return lambda code: (
        monkeypatch.setattr(translation, "language", lambda: code)
        or monkeypatch.setattr(formats, "language", lambda: code)
    )


# ---- Marked and complete


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_that_is_not_marked(path: Path) -> None:
    assert marked.in_template(templates.env, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_no_text_that_is_not_marked(path: Path) -> None:
    assert marked_scripts.in_script(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_of_the_page_has_no_text_that_is_not_marked(path: Path) -> None:
    assert list(marked.in_module(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Text</p>",
        "<p>{% if a %}{{ _('one') }}{% else %}two{% endif %}</p>",
        "<p>{{ 'photo' if n == 1 else _('photos') }}</p>",
        "<p>{{ a or 'nobody' }}</p>",
        "<p>{{ {'a': 'A text'}[kind] }}</p>",
        "<p>{{ (name or 'Who?') | plain }}</p>",
        "<p>{{ '%d faces' % n }}</p>",
        "<p>{{ '{:,} faces'.format(n) }}</p>",
        "<img alt='A face'>",
        "<p data-stopped='It has stopped.'></p>",
        "{% for key, name in (('a', 'Adult'), ('b', 'Baby')) %}<b>{{ name }}</b>{% endfor %}",
        "{% set called = name or 'somebody' %}<p>{{ called }}</p>",
        "{% with text = 'Hello' %}<p>{{ text }}</p>{% endwith %}",
        "<p>{{ _('%(name)s left', name=name or 'somebody') }}</p>",
        "{% block title %}Photos{% endblock %}",
    ],
)
def test_a_text_in_a_template_is_found_wherever_it_hides(source: str) -> None:
    assert marked.in_template(templates.env, source)


@pytest.mark.parametrize(
    "source",
    [
        "<p class=\"{{ 'open' if a else 'closed' }}\">{{ _('Text') }} 1</p>",
        "<a href=\"/?{{ {'q': q} | urlencode }}\">{% trans %}Press <kbd>n</kbd>{% endtrans %}</a>",
        "{% for key, name in (('a', _('Adult')),) %}<b data-key='{{ key }}'>{{ name }}</b>{% endfor %}",
    ],
)
def test_marked_texts_and_words_of_html_are_left_alone(source: str) -> None:
    assert marked.in_template(templates.env, source) == []


@pytest.mark.parametrize(
    "source",
    [
        'note.textContent = "Stopped";',
        "note.textContent = `${count} photos`;",
        'note.textContent = `${count} ${count === 1 ? "photo" : "photos"}`;',
        'note.textContent = count === 1 ? gettext("One") : "many";',
        'close.setAttribute("aria-label", "Close");',
        'throw new Error("Failed");',
        'const labels = { idle: "Nothing to do" };',
        'note.textContent = gettext("%(a)s", { a: count === 1 ? "photo" : "photos" });',
    ],
)
def test_a_text_in_a_script_is_found_wherever_it_hides(source: str) -> None:
    assert marked_scripts.in_script(source)


def test_a_text_in_a_module_is_found() -> None:
    module = 'def f():\n    """Do it now."""\n    return gettext("Some text"), f"{n} new photos"'
    assert list(marked.in_module(module)) == [" new photos"]


def test_every_catalog_has_the_texts_of_the_code_and_is_complete(
    translations: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translations.main(["--check"]) == 0, capsys.readouterr().out
    assert sorted(FOREIGN) == translations.languages()


@pytest.mark.parametrize(
    ("original", "given"),
    [
        ("%(count)s photos", "Fotos"),
        ("%(count)s photos", "%(number)s Fotos"),
        ("100 photos", "100 % Fotos"),
        ("press <kbd>n</kbd>", "n drücken"),
        ("a face", 'ein "Gesicht"'),
        ("a face", ""),
        ((" %(num)s face", "%(num)s faces"), ("%(num)s Gesicht",)),
    ],
)
def test_a_translation_that_does_not_fit_is_found(translations: ModuleType, original: Any, given: Any) -> None:
    catalog = translations.Catalog(locale="de")
    catalog.add(original, given)
    assert list(translations.problems(catalog))


# ---- Numbers, dates, plural forms


def test_numbers_and_dates_are_written_as_each_language_does(speak: Any) -> None:
    shown = {}
    for code in translation.LANGUAGES:
        speak(code)
        shown[code] = [
            re.sub("[\u00a0\u202f]", " ", text)
            for text in (
                formats.number(12345), formats.percent(0.874), formats.percent(0.012), formats.month_name("2019-06"),
                formats.day("2019-06-12"), formats.day("2019"),
            )
        ]  # fmt: skip
    assert shown == {
        "en": ["12,345", "87%", "1.2%", "June 2019", "Jun 12, 2019", "2019"],
        "de": ["12.345", "87 %", "1,2 %", "Juni 2019", "12.06.2019", "2019"],
        "fr": ["12 345", "87 %", "1,2 %", "juin 2019", "12 juin 2019", "2019"],
        "es": ["12.345", "87 %", "1,2 %", "junio de 2019", "12 jun 2019", "2019"],
    }


def test_each_language_has_its_own_plural_forms_on_the_page_and_in_scripts(speak: Any) -> None:
    speak("fr")
    forms = [translation.ngettext("%(num)s photo", "%(num)s photos", count) for count in (0, 1, 2, 1_000_000)]
    assert [re.sub("\\s", " ", form) for form in forms] == ["0 photo", "1 photo", "2 photos", "1 000 000 de photos"]
    assert translation.texts("fr").plurals["%(num)s new photo"] == {
        "one": "%(num)s nouvelle photo", "other": "%(num)s nouvelles photos", "many": "%(num)s de nouvelles photos",
    }  # fmt: skip
    assert translation.texts("de").messages["Go on"] == "Weitermachen"


# ---- Sentences of other rooms


def test_an_error_of_any_room_is_shown_in_the_readers_language(speak: Any) -> None:
    lost = LibraryError("/photos", Sentence("the folder is not there; check the path"))
    assert str(lost) == "/photos: the folder is not there; check the path"
    speak("de")
    assert translation.sentence_of(lost) == "/photos: der Ordner ist nicht da; prüfe den Pfad"
    assert translation.sentence_of(NotFoundError("photo", 7)).startswith("es gibt kein Foto 7; ")
    assert translation.sentence_of(ValueError("anything")) == "anything"
    assert not translation.is_translated("anything")


def test_nothing_to_say_is_nothing_in_every_language(speak: Any) -> None:
    for language in translation.LANGUAGES:
        speak(language)
        assert translation.translated(joined([])) == translation.gettext("") == ""


def test_what_somebody_typed_is_quoted_as_the_language_does(speak: Any) -> None:
    said = Sentence("%(word)s is no field", word=Quoted("foo"))
    assert said == translation.translated(said) == copy.deepcopy(said) == "'foo' is no field"
    for code, wanted in (("de", "„foo“ ist kein Feld"), ("es", "«foo» no es un campo")):
        speak(code)
        assert translation.translated(copy.deepcopy(said)) == wanted


def test_a_reason_that_the_database_holds_in_english_is_known_again(speak: Any) -> None:
    error = UnreadableError(
        "/p/a.jpg",
        Sentence("the file cannot be read (%(reason)s)", reason="no permission"),
        Sentence("check that it exists and may be read"),
    )
    stored = f"{error.reason}; {error.hint}"
    speak("es")
    assert translation.translated(translation.known(stored)) == (
        "el archivo no se puede leer (no permission); comprueba que existe y que se puede leer"
    )
    assert translation.known("what nobody knows; at all") == "what nobody knows; at all"


def test_the_languages_of_searches_have_names_in_every_language() -> None:
    files = (WEB.parent / "search" / "languages").glob("*.toml")
    assert sorted(names.SEARCH_LANGUAGES) == sorted(tomllib.loads(file.read_text("utf-8"))["name"] for file in files)


@pytest.mark.parametrize("code", FOREIGN)
def test_a_query_that_the_page_offers_means_the_same_in_every_language(
    translations: ModuleType, speak: Any, code: str
) -> None:
    speak(code)
    offered = [text.id for text in translations.template() if text.context == "query"]
    assert len(offered) > 10
    for query in offered:
        shown = translation.pgettext("query", query)
        for rest in ("", " faces:1", " taken:2019"):
            assert search.parse(shown + rest, code) == search.parse(query + rest), shown


# ---- Which language


def page_of(served: Any, path: str = "/tags", **headers: str) -> str:
    answer = served.client.get(path, headers=headers)
    (code,) = re.findall('<html lang="(..)"', answer.text)
    assert answer.headers["content-language"] == code
    return str(code)


def test_the_browser_chooses_unless_a_person_did(shared: Any) -> None:
    assert page_of(shared) == "en"
    assert page_of(shared, **{"Accept-Language": "nl, fr-CA;q=0.8, de;q=0.9"}) == "de"
    assert page_of(shared, **{"Accept-Language": "ja"}) == "en"
    answer = shared.client.post("/language", data={"language": "fr"}, headers={"Accept-Language": "de"})
    assert answer.headers["hx-refresh"] == "true"
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert {"path=/", "samesite=strict"} <= set(answer.headers["set-cookie"].lower().split("; "))
    assert page_of(shared, **{"Accept-Language": "de", "Cookie": cookie}) == "fr"
    assert page_of(shared, **{"Accept-Language": "de", "Cookie": "rollcall-language=<script>"}) == "de"
    shared.client.cookies.clear()
    gone = shared.client.post("/language", data={"language": ""}, headers={"Cookie": cookie})
    assert "max-age=0" in gone.headers["set-cookie"].lower()


def test_a_setting_chooses_for_all_but_programs(serve: Any) -> None:
    served = serve(**{"serve.language": "es"})
    assert page_of(served, **{"Accept-Language": "de"}) == "es"
    wrong = {"path": "relative"}
    assert "give the whole path" in served.client.post("/api/folders", json=wrong).json()["detail"]
    by_page = served.client.post("/api/folders", json=wrong, headers={"Accept-Language": "de"})
    assert by_page.json()["detail"] == "relative: da la ruta completa de la carpeta, desde la raíz"


def test_what_cannot_be_served_is_said_in_the_readers_language(shared: Any) -> None:
    german = {"Accept-Language": "de"}
    assert "es gibt kein Foto 99999" in shared.client.get("/photo/99999", headers=german).text
    assert "ist kein Wort für Personen" in shared.client.get("/?q=two+dogs", headers=german).text
    failures = shared.client.get("/insight", headers=german).text
    assert "die Datei ist" in failures and "the file" not in failures
    refused = shared.client.get(f"{shared.origin}/", headers={**german, "Authorization": ""})
    assert refused.status_code == 403 and "nicht vollständig" in refused.text


def test_a_constant_of_a_template_is_translated_for_each_reader(speak: Any) -> None:
    template = templates.env.from_string("{{ 'female' | gender }}")
    found = []
    for code in ("en", "de", "fr"):
        speak(code)
        found.append(template.render())
    assert len(set(found)) == 3


def test_every_age_group_has_a_question_of_its_own() -> None:
    questions = {names.is_one(group) for group in AGE_GROUPS}
    assert len(questions) == len(AGE_GROUPS) and not any("one of" in one for one in questions)
