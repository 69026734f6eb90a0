"""The birth dates that persons stated."""

from __future__ import annotations

from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.people import dates
from rollcall.people.evidence import Births
from rollcall.storage.tables import PersonRow

_WITH_BIRTH: Final = select(PersonRow.id, PersonRow.birth_date).where(PersonRow.birth_date.is_not(None))


def known_births(session: Session) -> dict[int, Births]:
    """Return the birth dates that persons stated, by person."""
    session.flush()
    rows = session.connection().execute(_WITH_BIRTH)
    return {person_id: birth_of(str(text)) for person_id, text in rows}


def birth_of(text: str) -> Births:
    """Return a birth date from its text: a day, a month or a year."""
    first, last = dates.range_of(text)
    return Births(np.array((first + last) / 2), np.array(max((last - first) / 4, 0.1)))
