"""What the database holds of things that are switched off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall.privacy import Switch
from rollcall.store.tables import Embedding, Prediction

#: What each switch is about, for people, and the option of `rollcall forget` that removes what is stored of it.
WORDS: Final[dict[Switch, str]] = {"age": "ages", "gender": "genders", "embeddings": "embeddings"}


def counts(session: Session, switches: Iterable[Switch]) -> dict[Switch, int]:
    """Return of how many faces an estimate of each kind is stored; kinds of which there is none are left out."""
    statements = {
        "age": select(func.count()).where(Prediction.age.is_not(None)),
        "gender": select(func.count()).where(Prediction.p_female.is_not(None)),
        "embeddings": select(func.count()).select_from(Embedding),
    }
    found = {switch: session.scalar(statements[switch]) or 0 for switch in switches}
    return {switch: count for switch, count in found.items() if count}


def notices(session: Session, switches: Iterable[Switch]) -> list[str]:
    """Return a sentence for each switch that is off while estimates made before are still stored."""
    return [
        f"attributes.{switch} is off, but {count:,} {WORDS[switch]} that were estimated before are still stored;"
        f" `rollcall forget --{WORDS[switch]}` removes them"
        for switch, count in counts(session, switches).items()
    ]
