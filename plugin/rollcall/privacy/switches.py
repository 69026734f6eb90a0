"""Estimates that are switched off: what is still stored of them, and which searches need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.search.terms import Similar, Term
from rollcall.settings import AttributeSettings, Switch
from rollcall.storage.tables import EmbeddingRow, PredictionRow

#: What each switch is about, and the option of `rollcall forget` that removes what is stored of it.
_PLURALS: Final[dict[Switch, str]] = {"age": "ages", "gender": "genders", "embeddings": "embeddings"}


def stored_counts(session: Session, switches: Iterable[Switch]) -> dict[Switch, int]:
    """Return of how many faces an estimate of each kind is stored; kinds without any are left out."""
    statements = {
        "age": select(func.count()).where(PredictionRow.age.is_not(None)),
        "gender": select(func.count()).where(PredictionRow.p_female.is_not(None)),
        "embeddings": select(func.count()).select_from(EmbeddingRow),
    }
    found = {switch: session.scalar(statements[switch]) or 0 for switch in switches}
    return {switch: count for switch, count in found.items() if count}


def retained_notices(session: Session, settings: AttributeSettings) -> list[str]:
    """Return a sentence for each switch that is off while estimates made before are still stored."""
    return [
        f"attributes.{switch} is off, but {count:,} {_PLURALS[switch]} that were estimated before are still stored;"
        f" `rollcall forget --{_PLURALS[switch]}` removes them"
        for switch, count in stored_counts(session, settings.switched_off).items()
    ]


def search_notices(session: Session, term: Term, settings: AttributeSettings) -> list[str]:
    """Return a sentence for each estimate that a search needs and that is switched off."""
    needed = _needs(term)
    missing = [switch for switch in settings.switched_off if switch in needed]
    stored = stored_counts(session, missing)
    return [_sentence(switch, switch in stored) for switch in missing]


def _needs(term: Term) -> set[Switch]:
    """Return the estimates that a search asks for, also where it asks for their absence."""
    found: set[Switch] = set()
    for one in _all(term):
        for person in one.people():
            if (person.low, person.high) != (0, ages.OLDEST):
                found.add("age")
            if person.gender is not None:
                found.add("gender")
        if isinstance(one, Similar):
            found.add("embeddings")
    return found


def _sentence(switch: Switch, stored: bool) -> str:
    if switch == "embeddings":
        known = "only faces of before can be compared" if stored else "no faces can be compared"
    else:
        known = f"only people whose {switch} you gave are found"
        known += ", and those of photos indexed before" if stored else ""
    return (
        f"{_PLURALS[switch]} are not estimated (attributes.{switch} = off), so {known};"
        f" set it to on and run `rollcall index` for the others"
    )


def _all(term: Term) -> Iterator[Term]:
    yield term
    for child in term.children():
        yield from _all(child)
