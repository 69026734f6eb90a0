"""Estimates that are switched off: how many are still stored, and which searches need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.search.terms import Similar, Term
from rollcall.sentences import Sentence
from rollcall.settings import AttributeSettings, Switch
from rollcall.storage.tables import EmbeddingRow, PredictionRow

#: The estimates of each switch, and the option of `rollcall forget` that removes them.
_PLURALS: Final[dict[Switch, str]] = {"age": "ages", "gender": "genders", "embeddings": "embeddings"}


def stored_counts(session: Session, switches: Iterable[Switch]) -> dict[Switch, int]:
    """Return, by switch, how many faces have a stored estimate; switches without any are left out."""
    statements = {
        "age": select(func.count()).where(PredictionRow.age.is_not(None)),
        "gender": select(func.count()).where(PredictionRow.p_female.is_not(None)),
        "embeddings": select(func.count()).select_from(EmbeddingRow),
    }
    found = {switch: session.scalar(statements[switch]) or 0 for switch in switches}
    return {switch: count for switch, count in found.items() if count}


def retained_notices(session: Session, settings: AttributeSettings) -> list[str]:
    """Return a sentence for each switch that is off while estimates of it are still stored."""
    return [
        f"attributes.{switch} is off, but {count:,} {_PLURALS[switch]} that were estimated before are still stored;"
        f" `rollcall forget --{_PLURALS[switch]}` removes them"
        for switch, count in stored_counts(session, settings.switched_off).items()
    ]


def search_notices(session: Session, term: Term, settings: AttributeSettings) -> list[str]:
    """Return a sentence for each switch that is off and whose estimates a search needs."""
    needed = needed_switches(term)
    missing = [switch for switch in settings.switched_off if switch in needed]
    stored = stored_counts(session, missing)
    return [_sentence(switch, switch in stored) for switch in missing]


def needed_switches(term: Term) -> set[Switch]:
    """Return the switches of the estimates that a search needs, also where it negates them."""
    found: set[Switch] = set()
    for one in _subterms(term):
        for person in one.people():
            if (person.low, person.high) != (0, ages.OLDEST):
                found.add("age")
            if person.gender is not None:
                found.add("gender")
        if isinstance(one, Similar):
            found.add("embeddings")
    return found


def _sentence(switch: Switch, stored: bool) -> str:
    return Sentence(
        "%(estimates)s (attributes.%(switch)s = off), so %(known)s;"
        " set it to on and run `rollcall index` for the others",
        estimates={
            "age": Sentence("ages are not estimated"),
            "gender": Sentence("genders are not estimated"),
            "embeddings": Sentence("faces are not compared"),
        }[switch],
        switch=switch,
        known=_known(switch, stored),
    )


def _known(switch: Switch, stored: bool) -> Sentence:
    match switch, stored:
        case "age", False:
            return Sentence("only people whose age you gave are found")
        case "age", True:
            return Sentence("only people whose age you gave are found, and those of photos looked at before")
        case "gender", False:
            return Sentence("only people whose gender you gave are found")
        case "gender", True:
            return Sentence("only people whose gender you gave are found, and those of photos looked at before")
        case _, True:
            return Sentence("only faces of photos looked at before can be compared")
    return Sentence("no faces can be compared")


def _subterms(term: Term) -> Iterator[Term]:
    """Yield a term and all terms below it."""
    yield term
    for child in term.children():
        yield from _subterms(child)
