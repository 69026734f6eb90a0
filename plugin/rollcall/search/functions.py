"""SQL functions of probabilities that searches register on an SQLite connection."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.records import DERIVED_AGES, GIVEN_AGES
from rollcall.search.folding import fold
from rollcall.search.joint import FaceProbabilities, joint_of_text, unpacked


def supported(session: Session) -> bool:
    """Return whether the database can call these functions; elsewhere searches run in memory."""
    return session.get_bind().dialect.name == "sqlite"


def register(session: Session, similar: Mapping[int, Mapping[int, float]] | None = None) -> None:
    """Register all functions on the connection of a session.

    Parameters
    ----------
    similar
        For each face that the query compares with, the photos that show someone similar and the probability of the
        same person; SQL reads it by ``similar_to(face_id, photo_id)``.
    """
    connection: Any = session.connection().connection.dbapi_connection
    assert isinstance(connection, sqlite3.Connection)
    connection.create_function("age_mass", 3, age_mass, deterministic=True)
    connection.create_function("age_share", 4, ages.range_share, deterministic=True)
    connection.create_function("least_of", -1, least_of, deterministic=True)
    connection.create_aggregate("at_least", 2, AtLeast)  # type: ignore[arg-type]
    connection.create_function("fold", 1, folded, deterministic=True)
    connection.create_aggregate("joint", 6, Joint)  # type: ignore[arg-type]
    connection.create_aggregate("joint_named", 10, JointNamed)  # type: ignore[arg-type]
    connection.create_aggregate("all_of", 1, AllOf)  # type: ignore[arg-type]
    found = {} if similar is None else similar

    def similar_to(face_id: int, photo_id: int) -> float:
        return found.get(face_id, {}).get(photo_id, 0.0)

    connection.create_function("similar_to", 2, similar_to)


def age_mass(distribution: bytes | None, low: int, high: int) -> float | None:
    """Return the probability of an age from `low` to `high`, both included, of a stored distribution (SQL function).

    `distribution` holds 101 little-endian numbers of 16 bits.
    """
    if distribution is None:
        return None
    low, high = min(max(int(low), 0), ages.AGES), min(int(high), ages.OLDEST)
    # For a few numbers NumPy takes ten times as long, and this is called for every face.
    return float(min(sum(struct.unpack_from(f"<{max(high - low + 1, 0)}e", distribution, 2 * low)), 1.0))


def folded(text: str | None) -> str | None:
    """Return a text with its letters folded (SQL function); see `rollcall.search.folding`."""
    return None if text is None else fold(text)


def least_of(*values: float) -> float:
    """Return the smallest of some values (SQL function; MIN with one argument is another thing)."""
    return min(values)


class AtLeast:
    """SQL aggregate: the probability that at least `count` of the rows' independent events happen."""

    def __init__(self) -> None:
        self.count = 1
        self.probabilities: list[float] = []

    def step(self, count: int, probability: float | None) -> None:
        """Take one row's probability."""
        self.count = count
        self.probabilities.append(probability or 0.0)

    def finalize(self) -> float:
        """Return the probability."""
        if self.count > len(self.probabilities):
            return 0.0
        if self.count == 1:
            return ages.any_of(self.probabilities)
        return float(ages.at_least(self.probabilities)[self.count - 1])


class AllOf:
    """SQL aggregate: the probability that the events of all rows happen; null for no rows."""

    def __init__(self) -> None:
        self.result: float | None = None

    def step(self, probability: float | None) -> None:
        """Take one row's probability."""
        self.result = (1.0 if self.result is None else self.result) * (probability or 0.0)

    def finalize(self) -> float | None:
        """Return the product."""
        return self.result


class Joint:
    """SQL aggregate: the probability that the faces of all rows meet a requirement together; null for no rows."""

    def __init__(self) -> None:
        self.requirement = ""
        self.faces: list[FaceProbabilities] = []

    def step(
        self,
        requirement: str,
        distribution: bytes | None,
        source: str | None,
        low: float | None,
        high: float | None,
        p_female: float | None,
    ) -> None:
        """Take one face: the columns of `v1_faces`."""
        self.requirement = requirement
        self.faces.append(_face(distribution, source, low, high, p_female))

    def finalize(self) -> float | None:
        """Return the probability."""
        return joint_of_text(self.requirement).of(self.faces) if self.faces else None


class JointNamed(Joint):
    """SQL aggregate: as `Joint`, of requirements that ask for certain people."""

    def step(  # type: ignore[override]  # SQL calls it with the columns below
        self,
        requirement: str,
        distribution: bytes | None,
        source: str | None,
        low: float | None,
        high: float | None,
        p_female: float | None,
        person: int | None,
        p_person: float | None,
        named: int,
        taken: str | None,
    ) -> None:
        """Take one face: the columns of `v1_faces`, whether the person has a name, and the photo's capture time."""
        self.requirement = requirement
        face = _face(distribution, source, low, high, p_female)
        self.faces.append(face._replace(person=person, p_person=p_person or 0.0, named=bool(named), taken=taken))


def _face(
    distribution: bytes | None, source: str | None, low: float | None, high: float | None, p_female: float | None
) -> FaceProbabilities:
    given = (int(low), int(high)) if source in GIVEN_AGES and low is not None and high is not None else None
    ages_of_face = None if distribution is None or given is not None else unpacked(distribution)
    return FaceProbabilities(ages_of_face, given, p_female, derived=source in DERIVED_AGES)
