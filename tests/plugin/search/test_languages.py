"""Queries in other languages, as people there type them: each means what the English one beside it means."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from rollcall.search import interpret
from rollcall.search.grammar import LANGUAGES, translation

TODAY = date(2026, 11, 26)
FOLDER = Path(__file__).parent / "languages"
PHRASES = [
    (code, *line.split(" = "))
    for code in LANGUAGES
    for line in (FOLDER / f"{code}.txt").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize(("code", "phrase", "english"), PHRASES)
def test_a_phrase_means_what_the_english_one_means(code: str, phrase: str, english: str) -> None:
    meant = interpret(english, today=TODAY).term
    found = interpret(phrase, today=TODAY)
    assert found.term == meant
    assert interpret(phrase, language=code, today=TODAY).term == meant
    assert interpret(english, language=code, today=TODAY).term == meant


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_has_thirty_phrases_and_says_that_it_was_taken(code: str) -> None:
    phrases = [phrase for language, phrase, _ in PHRASES if language == code]
    assert len(phrases) >= 30
    name = tomllib.loads((Path(translation.__file__).parents[1] / "languages" / f"{code}.toml").read_text("utf-8"))[
        "name"
    ]
    noted = [phrase for phrase in phrases if any(f"read as {name}" in n.text for n in interpret(phrase).notes)]
    # "Familie" is German and Dutch, "adolescentes" Spanish and Portuguese: the first language that has all is named.
    assert len(noted) >= 0.85 * len(phrases)


@pytest.mark.parametrize("query", ["nur Frauen und Kinder", "seulement des femmes et des enfants"])
def test_accents_and_capitals_need_not_be_typed(query: str) -> None:
    assert interpret(query.upper()).term == interpret(query).term
    assert interpret("ninos y ninas").term == interpret("niños y niñas").term


def test_english_is_read_as_english_where_some_of_its_words_are_those_of_another_language() -> None:
    languages = ("German", "French", "Spanish", "Italian", "Dutch", "Portuguese")
    for query in ("women and children", "two men", "kids or teens in 2019", "die hard", "kids with maria"):
        notes = "".join(note.text for note in (*interpret(query).notes, *interpret(query, language="en").notes))
        assert not any(f"read as {language}" in notes for language in languages)


@pytest.mark.parametrize(
    ("typed", "meant", "word"),
    [
        ("Kidner", "kids", "kinder"),
        ("zwei Mädhcen", "two girls", "mädchen"),
        ("femmes et enfnats", "women and kids", "enfants"),
        ("dos mujers", "two women", "mujeres"),
        ("due donen", "two women", "donne"),
        ("twee vruowen", "two women", "vrouwen"),
        ("duas mulhres", "two women", "mulheres"),
        ("Knider am Strand", 'kids "Strand"', "kinder"),
    ],
)
def test_typing_errors_are_corrected_in_every_language_and_said(typed: str, meant: str, word: str) -> None:
    found = interpret(typed)
    assert found.term == interpret(meant).term
    assert any(f"was read as {word!r}" in note.text for note in found.notes)


@pytest.mark.parametrize("place", ["Bergen", "Amsterdam", "Mallorca", "Lyon", "Braga"])
def test_names_of_places_are_no_typing_errors(place: str) -> None:
    assert interpret(place).term == interpret(f'"{place}"').term


def test_an_accent_tells_grandfather_and_grandmother_apart() -> None:
    assert interpret("avô", language="pt").term == interpret("grandfather").term
    assert interpret("avó", language="pt").term == interpret("grandmother").term
