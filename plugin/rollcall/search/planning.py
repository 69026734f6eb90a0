"""From the tree of a query to SQL: one statement, or certain conditions and a rest that ranks what meets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rollcall.search.known import NAMED
from rollcall.search.terms import (
    And,
    Everything,
    FaceCount,
    InGroup,
    People,
    ShowsKnown,
    ShowsPerson,
    SqlParameters,
    Taken,
    Term,
)
from rollcall.tags.rules import NEGLIGIBLE

#: Photos that are shown; p is the view v1_photos. Nearly all are, so an index of the state would only mislead the
#: planner: none serves what is wrapped in a function.
SHOWN: Final = "COALESCE(p.state, '') IN ('indexed', 'pending') AND p.faces IS NOT NULL"
#: The rows of `photos` that are not: as ranges, which indices find without a look at those that are.
HIDDEN: Final = (
    "face_count IS NULL OR state < 'indexed' OR (state > 'indexed' AND state < 'pending') OR state > 'pending'"
)
#: The cut on stored probabilities is this much lower than asked for: they were rounded.
_ROUNDING: Final = 0.999


class Statement(NamedTuple):
    """An SQL statement and its parameters."""

    sql: str
    parameters: Mapping[str, object]


class QueryParts(NamedTuple):
    """A query taken apart: a photo has to meet the condition, and the rest gives its probability."""

    condition: str
    indexed_condition: str | None  # the part of the condition that an index serves
    rest: Term
    parameters: SqlParameters


def is_stored_group(term: Term) -> bool:
    """Return whether a query asks for a stored group and nothing else: one index has the answer."""
    return isinstance(term, People) and term.person.group is not None


def has_answer(term: Term, min_probability: float) -> bool:
    """Return whether one index has every photo that is meant."""
    if not isinstance(term, People) or term.person.group is None or min_probability <= 0:
        return False
    return is_complete(InGroup(term.person.group, term.count), min_probability)


def is_complete(source: InGroup, probability: float) -> bool:
    """Return whether a source has every photo that shows the group with at least a probability.

    That of several faces is not stored below `tags.rules.NEGLIGIBLE`.
    """
    return source.at_least == 1 or probability >= NEGLIGIBLE


def statement(term: Term, min_probability: float) -> Statement:
    """Return the statement that gives photo_id, path and probability of all photos that are meant, in no order."""
    parameters = SqlParameters()
    if has_answer(term, min_probability):
        assert isinstance(term, People) and term.person.group is not None
        # The everyday case reads one index, which has no row for what is certainly not there.
        where = f"d.name = {parameters.bind(term.person.group)} AND d.at_least = {parameters.bind(term.count)}"
        return Statement(
            "SELECT d.photo_id AS photo_id, p.full_path AS path, d.probability AS probability\n"
            "FROM photo_groups d JOIN v1_photos p ON p.photo_id = d.photo_id\n"
            f"WHERE {where} AND d.probability >= {parameters.bind(min_probability)} AND {SHOWN}",
            parameters.values,
        )
    expression = term.expression(parameters)
    source, where = "v1_photos p", SHOWN
    people = _bounding_people(term, parameters) if min_probability > 0 else ""
    group = _bounding_group(term, min_probability * _ROUNDING) if min_probability > 0 and not people else None
    if group is not None:
        source = "photo_groups d JOIN v1_photos p ON p.photo_id = d.photo_id"
        where += (
            f" AND d.name = {parameters.bind(group.name)} AND d.at_least = {parameters.bind(group.at_least)}"
            f" AND d.probability >= {parameters.bind(min_probability * _ROUNDING)}"
        )
    if people:
        where += (
            " AND p.photo_id IN (SELECT f.photo_id FROM face_people w JOIN faces f ON f.id = w.face_id"
            f" WHERE w.person_id IN ({people}))"
        )
    return Statement(
        "SELECT photo_id, path, probability FROM (\n"
        f"  SELECT p.photo_id AS photo_id, p.full_path AS path, {expression} AS probability\n"
        f"  FROM {source}\n  WHERE {where}\n) AS found\nWHERE probability >= {parameters.bind(min_probability)}",
        parameters.values,
    )


def count_statement(term: Term, min_probability: float) -> Statement:
    """Return the statement of the number of photos that are meant by a query that has its answer in one index."""
    assert isinstance(term, People) and term.person.group is not None
    parameters = SqlParameters()
    return Statement(
        f"SELECT COUNT(*) FROM photo_groups d WHERE d.name = {parameters.bind(term.person.group)}"
        f" AND d.at_least = {parameters.bind(term.count)} AND d.probability >= {parameters.bind(min_probability)}"
        f" AND d.photo_id NOT IN (SELECT id FROM photos WHERE {HIDDEN})",
        parameters.values,
    )


def _bounding_group(term: Term, probability: float) -> InGroup | None:
    """Return a stored group whose probability is nowhere lower than the query's; None if there is none."""
    for sources in term.candidate_sources():
        only = sources[0]
        if len(sources) == 1 and isinstance(only, InGroup) and is_complete(only, probability):
            return only
    return None


def _bounding_people(term: Term, parameters: SqlParameters) -> str:
    """Return the numbers of people, in SQL, of whom every photo that is meant shows one; empty if none are known."""
    for sources in term.candidate_sources():
        if sources and all(isinstance(source, ShowsPerson | ShowsKnown) for source in sources):
            if any(isinstance(source, ShowsKnown) for source in sources):
                return NAMED
            people = [number for source in sources if isinstance(source, ShowsPerson) for number in source.people]
            if people:
                return ", ".join(map(parameters.bind, dict.fromkeys(people)))
    return ""


def take_apart(term: Term, parameters: SqlParameters | None = None) -> QueryParts:
    """Return a query as an SQL condition and the rest; the values go to `parameters`, which knows the dialect."""
    parameters = SqlParameters() if parameters is None else parameters
    conditions, indexed = [SHOWN], []
    rest: list[Term] = []
    for part in conjuncts(term):
        # Compiled for a trial first: what is not a condition must leave no parameters behind.
        condition = part.condition(parameters) if part.condition(SqlParameters()) is not None else None
        if condition is None:
            rest.append(part)
            continue
        conditions.append(f"COALESCE({condition}, false)")
        if isinstance(part, Taken | FaceCount):
            indexed.append(condition)
    remaining = Everything() if not rest else rest[0] if len(rest) == 1 else And(tuple(rest))
    return QueryParts(" AND ".join(conditions), " AND ".join(indexed) or None, remaining, parameters)


def conjuncts(term: Term) -> Iterator[Term]:
    """Yield the parts of a query all of which a photo has to meet."""
    if isinstance(term, And):
        for part in term.parts:
            yield from conjuncts(part)
    else:
        yield term
