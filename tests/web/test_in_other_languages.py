"""The page as a German family sees it, in a real browser: no English is left, and everything has its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from rollcall.web.translation import read_catalog
from web.waiting import quiet, until

#: The pages, with what names a photo and a face of the library.
PAGES = (
    *("/", "/?q=kids", "/?q=two+dogs", "/photo/{photo}", "/photo/{photo}?face={face}", "/review", "/tags", "/people"),
    *("/tag?name=People/Children&above=0.3", "/insight", "/indexing", "/review/alike/{face}?group=children"),
    *("/people?hidden=true", "/people/review", "/people/questions", "/person/{person}", "/nothing"),
    *("/albums", "/album/{album}", "/photo/{photo}?album={album}", "/sharing"),
)
#: Small words that are no German ones.
ENGLISH = re.compile(r"\b(the|of|and|with|from|are|is|yet|for|your|photos|faces|people|every|nothing|nobody)\b")
#: Every text that is there for people: shown or read out, but for what is said to be of another language or a file's.
VISIBLE = """() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const skipped = (one) => one.closest("script, style, code, pre, kbd, datalist, .query, [translate=no]") || one.closest("[lang]").lang !== "de";
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!skipped(node.parentElement) && node.data.trim()) found.push(node.data);
    }
    for (const one of document.querySelectorAll("[aria-label], [alt], [title], [placeholder], [hx-confirm], [data-stopped], [data-other]")) {
        if (skipped(one)) continue;
        for (const name of ["aria-label", "alt", "title", "placeholder", "hx-confirm", "data-stopped", "data-other"]) if (one.getAttribute(name)) found.push(one.getAttribute(name));
    }
    return [...found, document.title];
}"""  # noqa: E501


def originals() -> list[re.Pattern[str]]:
    """Return patterns of the English texts that German has other words for."""
    found = []
    for message in read_catalog("de"):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        given = [message.string] if isinstance(message.string, str) else list(message.string)
        for text in ids:
            if len(re.sub(r"%\(\w+\)s|\W", "", text)) > 2 and text not in given:
                parts = re.split(r"%\(\w+\)s", re.sub(r"<[^>]*>", "", text))
                found.append(re.compile(".*".join(map(re.escape, parts))))
    return found


@pytest.fixture(scope="module")
def german(chromium: Any, shared: Any) -> Iterator[Any]:
    """Return a page of a visitor with a German browser."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800}, locale="de-DE")
    page = context.new_page()
    page.goto(f"{shared.url}/?token={shared.token}")
    yield page
    context.close()


def test_no_page_has_english_left_in_german_and_none_is_wider_than_a_phone(german: Any, shared: Any) -> None:
    (face, *_), photo = shared.faces("family.png"), shared.photo("family.png")
    person = shared.plugin.face_identities(photo)[face].person_id if shared.plugin.face_identities(photo) else 1
    album = shared.plugin.save_album("Sommer", "kids", photos=[photo]).album_id
    known = originals()
    for path in PAGES:
        german.goto(shared.url + path.format(photo=photo, face=face, person=person, album=album))
        quiet(german)
        texts = [" ".join(text.split()) for text in german.evaluate(VISIBLE)]
        # Names of files and of tags are as people gave them.
        texts = [re.sub(r"/\S+|\S+\.(png|jpg)|People/\w+|„two dogs“|\bphotos\b", "", text).strip() for text in texts]
        assert [text for text in texts if any(one.fullmatch(text) for one in known)] == [], path
        assert [text for text in texts if ENGLISH.search(text)] == [], path
        german.set_viewport_size({"width": 390, "height": 800})
        assert german.evaluate("document.documentElement.scrollWidth") <= 390, path
        german.set_viewport_size({"width": 1200, "height": 800})


def test_scripts_speak_the_language_of_the_page(german: Any, shared: Any) -> None:
    german.goto(f"{shared.url}/indexing")
    german.locator("#run-start").click()
    german.locator("#run-detail").get_by_text("unverändert").wait_for()
    german.get_by_text("Fertig: 0 neue Fotos, 0 Gesichter").or_(
        german.get_by_text("Alle bekannten Fotos sind durchgesehen.")
    ).first.wait_for()
    assert german.evaluate("[number(12345), percent(0.5)]") == ["12.345", "50\u00a0%"]
    german.goto(f"{shared.url}/tag?name=People/Children&above=0.3")
    german.locator("#above").fill("0.5")
    until(lambda: german.locator("#above-shown").inner_text() == "50\u00a0%")


def test_filters_write_words_of_the_language_and_exclude_each_other(german: Any, shared: Any) -> None:
    german.goto(f"{shared.url}/")
    german.wait_for_load_state("networkidle")
    german.get_by_role("button", name="Kinder", exact=True).click()
    german.wait_for_url("**q=Kinder*")
    german.get_by_role("button", name="niemand").click()
    german.wait_for_url("**keine*")
    german.get_by_role("button", name="zwei Personen").click()
    german.wait_for_url("**faces*")
    assert german.locator("#q").input_value() == "Kinder faces:2"
    assert german.locator("#results [role=alert]").count() == 0


def test_a_language_that_is_chosen_on_the_page_stays_chosen(german: Any, shared: Any) -> None:
    german.goto(f"{shared.url}/tags")
    for code, heading in (("fr", "Mots-clés"), ("es", "Etiquetas"), ("en", "Tags"), ("", "Schlagwörter")):
        german.locator("select.language").select_option(code)
        german.get_by_role("heading", name=heading, exact=True).wait_for()
        german.goto(f"{shared.url}/tags")
        assert german.locator("html").get_attribute("lang") == (code or "de")


def test_that_a_query_is_of_the_pages_language_goes_without_saying(shared: Any) -> None:
    for query, said in (("Kinder", False), ("photos d'enfants", True)):
        text = shared.client.get("/", params={"q": query}, headers={"Accept-Language": "de"}).text
        assert ("gelesen als" in text) == said, query
