"""Operands side by side: which mean the same face, which a face each, and which ages hold for several nouns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rollcall.search import terms
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.operands import Noun, Operand, narrowed
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import Term
from rollcall.search.vocabulary import NOUNS
from rollcall.sentences import Sentence


def all_of(parts: Sequence[Term]) -> Term:
    """Return the term of all parts."""
    return parts[0] if len(parts) == 1 else terms.And(tuple(parts))


def side_by_side(operands: Sequence[Operand]) -> Term:
    """Return the term of all operands: phrases ask for a face each, fields may describe one."""
    found = [operand.term for operand in _with_couples_as_adults(operands)]
    return all_of(_with_distinct_people(_with_one_person(found)))


def _with_couples_as_adults(operands: Sequence[Operand]) -> list[Operand]:
    """Return operands with a couple beside other people as two adults: there are more faces than two."""
    others = any(operand.noun is not None for operand in operands)
    adults = terms.People(NOUNS["adults"], 2)
    return [
        Operand(adults, operand.start, operand.end) if operand.couple and others else operand for operand in operands
    ]


def _with_one_person(parts: Sequence[Term]) -> list[Term]:
    """Return the parts with `age:` and `gender:` that stand side by side as one: they mean the same face."""
    result: list[Term] = []
    for part in parts:
        last = result[-1] if result else None
        if (
            isinstance(part, terms.People)
            and isinstance(last, terms.People)
            and not part.phrase
            and not last.phrase
            and (both := _of_both(last.person, part.person)) is not None
        ):
            result[-1] = terms.People(both, phrase=False)
        else:
            result.append(part)
    return result


def _of_both(one: PersonFilter, other: PersonFilter) -> PersonFilter | None:
    """Return the people of two filters; None if there are none, or if one of them is anyone."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    genders = {one.gender, other.gender} - {None}
    if low > high or len(genders) > 1:
        return None
    return PersonFilter(low, high, next(iter(genders), None))


def _with_distinct_people(parts: Sequence[Term]) -> list[Term]:
    """Return the parts with the people of all phrases as one term: each is a face of its own."""
    people = [part for part in parts if isinstance(part, terms.People) and part.phrase]
    if len(people) < 2:
        return list(parts)
    others = [part for part in parts if part not in people]
    # Somebody who is named twice, as Anna and as Mum, is one face all the same.
    distinct = [one for at, one in enumerate(people) if one.person.identity is None or one not in people[:at]]
    return [distinct[0] if len(distinct) == 1 else terms.DistinctPeople(tuple(distinct)), *others]


def with_implied(cursor: Cursor, operands: list[Operand], separator: str) -> list[Operand]:
    """Return operands where ages without a noun are the ages of one: "mid forties women", "kids in 2019 under 5".

    Behind "and" they may be somebody else's, which is noted.
    """
    last, before = operands[-1], operands[-2]
    if not separator and before.noun is not None and before.noun.implied and last.noun is not None:
        merged = _narrowed(last, before.noun)
        return operands if merged is None else [*operands[:-2], replace(merged, start=before.start)]
    if last.noun is None or not last.noun.implied or separator not in ("", "and", ","):
        return operands
    at = next((at for at in range(len(operands) - 2, -1, -1) if not operands[at].timed), -1)
    whom = operands[at] if at >= 0 else None
    if whom is None or whom.noun is None or whom.noun.implied:
        return operands
    merged = _narrowed(whom, last.noun)
    if merged is None:
        return operands
    if at == len(operands) - 2 and separator:
        ages = cursor.query[last.start : last.end]
        cursor.note(
            Sentence("read as: %(ages)s is somebody else", ages=ages), cursor.replaced(whom.end, last.end, ages)
        )
        return operands
    return [*operands[:at], merged, *operands[at + 1 : -1]]


def _narrowed(operand: Operand, ages: Noun) -> Operand | None:
    """Return an operand whose people have these ages too; None if nobody has, or they are given already."""
    noun = operand.noun
    if noun is None or noun.somebody:
        return None
    ranges = (*noun.ranges, *ages.ranges)
    person = narrowed(noun.own, noun.adjectives, ranges)
    if person is None:
        return None
    return operand.with_noun(replace(noun, person=person, ranges=ranges, implied=False))


def with_shared_words(cursor: Cursor, operands: Sequence[Operand]) -> list[Operand]:
    """Return operands where "men and women over 60" and "old men and women" describe all nouns.

    Only nouns of the same ages share them, and only if nothing else describes them: "a woman and a child under 5" says
    nothing of the woman's age.
    """
    nouns = [operand.noun for operand in operands]
    first, last = nouns[0], nouns[-1]
    if len(operands) < 2 or first is None or last is None or any(noun is None or noun.counted for noun in nouns):
        return list(operands)
    same = {(noun.own.low, noun.own.high) for noun in nouns if noun is not None}
    if len(same) > 1 or first.own.anyone:
        return list(operands)
    texts = [cursor.query[operand.start : operand.end] for operand in operands]
    if last.ranges and not last.adjectives and all(noun.bare for noun in nouns[:-1] if noun is not None):
        alternative = " and ".join([texts[-1], *texts[:-1]])
        return _shared(cursor, operands, last, alternative, Sentence("the ages hold for all of them"))
    if first.adjectives and not first.ranges and all(noun.bare for noun in nouns[1:] if noun is not None):
        alternative = " and ".join([*texts[1:], texts[0]])
        return _shared(
            cursor, operands, first, alternative, Sentence("the words before the first hold for all of them")
        )
    return list(operands)


def _shared(cursor: Cursor, operands: Sequence[Operand], pattern: Noun, alternative: str, note: str) -> list[Operand]:
    result = []
    for operand in operands:
        noun = operand.noun
        assert noun is not None
        person = narrowed(noun.own, pattern.adjectives, pattern.ranges)
        if person is None:
            return list(operands)
        result.append(operand.with_noun(Noun(noun.name, noun.own, person, pattern.adjectives, pattern.ranges)))
    if "or" not in cursor.query[operands[0].end : operands[-1].start].lower().split():
        instead = cursor.replaced(operands[0].start, operands[-1].end, alternative)
    else:
        instead = cursor.replaced(operands[0].start, operands[-1].end, alternative.replace(" and ", " or "))
    cursor.note(Sentence("read as: %(note)s", note=note), instead)
    return result
