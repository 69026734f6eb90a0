"""Typing errors: the known word that a word was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from rollcall.search.phrases import FRAMES, PHOTOS, PHRASES, PREPOSITIONS, SHOWING, words
from rollcall.search.vocabulary import ADJECTIVES, COUNTS, DECADES, INSTEAD, MONTHS, NOUNS, NUMBERS

#: Words of the grammar itself.
KEYWORDS: Final = words(
    "and or nor not no neither either both without except only just but alone over under from between since "
    "before after until to exactly up-to at-least more-than fewer-than aged years year months month yrs yr "
    "days day weeks week old ago older younger more fewer less above below recent next last this yesterday "
    "today tomorrow early mid late born reviewed unreviewed tagged untagged nobody everyone couple family "
    "group large-group group-photo portraits christmas halloween new-year year-old year-olds month-old month- "
    "olds this-weekend last-weekend me us myself"
)
#: A word with fewer letters is never a typing error of another, except by letters that changed places.
_SHORTEST: Final = 5
#: From so many letters on, two may be wrong.
_LONG: Final = 9


@cache
def known_words() -> frozenset[str]:
    """Return every word that has a meaning in a query, alone or within a phrase."""
    phrases = [*PHRASES, *PHRASES.values(), *FRAMES]
    return frozenset().union(
        KEYWORDS,
        NOUNS,
        ADJECTIVES,
        COUNTS,
        DECADES,
        INSTEAD,
        MONTHS,
        NUMBERS,
        PHOTOS,
        SHOWING,
        PREPOSITIONS,
        *(phrase.split() for phrase in phrases),
    )


@cache
def _correct_words() -> tuple[str, ...]:
    """Return the words that typing errors are corrected to, the most usual first."""
    usual = ("people", "children", "kids", "women", "without", "between", "pictures", "photos", "under", "tagged")
    months = [month for month in MONTHS if len(month) >= _SHORTEST]
    numbers = [number for number in NUMBERS if len(number) >= _SHORTEST]
    return tuple(dict.fromkeys([*usual, *NOUNS, *ADJECTIVES, *months, *numbers, *DECADES, "nobody", "everyone"]))


def corrected(word: str, among: Iterable[str] | None = None) -> str | None:
    """Return the known word that an unknown one was meant to be; None if none is close enough.

    `among` are the words that are known, the most usual first; None are those of English.

    Close is one letter too many, missing, wrong or in the place of its neighbour, two of these in long words, or the
    same letters in another order. The first letter is always taken to be right.
    """
    best: tuple[int, str] | None = None
    for other in _correct_words() if among is None else among:
        if other[0] != word[0] or abs(len(other) - len(word)) > 2:
            continue
        errors = _errors(word, other)
        if errors is not None and (best is None or errors < best[0]):
            best = (errors, other)
    return None if best is None else best[1]


def _errors(word: str, other: str) -> int | None:
    """Return how many typing errors lead from a known word to another; None if that is not likely."""
    if len(word) == len(other) >= 4 and sorted(word) == sorted(other) and word[-1] == other[-1]:
        return 1
    if len(other) < _SHORTEST or len(word) < _SHORTEST - 1:
        return 1 if len(other) == 4 and sorted(word) == sorted(other) else None
    distance = edit_distance(word, other)
    return distance if distance <= (2 if len(other) >= _LONG else 1) else None


def edit_distance(one: str, other: str) -> int:
    """Return the optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]
