"""What a search cannot know because its estimates are switched off."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from rollcall import ages, privacy
from rollcall.privacy import Switch
from rollcall.query.terms import Company, Only, People, Similar, Term
from rollcall.settings import AttributeSettings
from rollcall.store import kept


def needs(term: Term) -> set[Switch]:
    """Return the estimates that a query asks for, also where it asks for their absence."""
    found: set[Switch] = set()
    for one in _all(term):
        kinds = one.people if isinstance(one, Company) else [one] if isinstance(one, People | Only) else []
        for who in (kind.who for kind in kinds):
            if (who.low, who.high) != (0, ages.OLDEST):
                found.add("age")
            if who.gender is not None:
                found.add("gender")
        if isinstance(one, Similar):
            found.add("embeddings")
    return found


def notices(session: Session, term: Term, settings: AttributeSettings) -> list[str]:
    """Return a sentence for each estimate that a query needs and that is switched off."""
    missing = [switch for switch in privacy.off(settings) if switch in needs(term)]
    stored = kept.counts(session, missing)
    return [_sentence(switch, switch in stored) for switch in missing]


def _sentence(switch: Switch, stored: bool) -> str:
    word = kept.WORDS[switch]
    if switch == "embeddings":
        known = "only faces of before can be compared" if stored else "no faces can be compared"
    else:
        known = f"only people whose {switch} you gave are found" + (
            ", and those of photos indexed before" if stored else ""
        )
    return (
        f"{word} are not estimated (attributes.{switch} = off), so {known};"
        f" set it to on and run `rollcall index` for the others"
    )


def _all(term: Term) -> Iterator[Term]:
    yield term
    for child in term.children():
        yield from _all(child)
