"""Only, just and alone: everyone on the photo is one of such people."""

from __future__ import annotations

from collections.abc import Sequence

from rollcall.search import terms
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.joining import all_of, side_by_side, with_shared_words
from rollcall.search.grammar.operands import Noun, Operand
from rollcall.search.grammar.people_rules import begins_people, people
from rollcall.search.requirements import MOST_FACES
from rollcall.search.terms import Term
from rollcall.sentences import Sentence


def only(cursor: Cursor) -> Operand | None:
    """Return the term of "only women and children" if it is next.

    Raises
    ------
    InvalidQueryError
        If people without "and" between follow: it is not clear who else may be there.
    """
    start = cursor.peek()
    mark = cursor.mark()
    if not cursor.accept("only", "just"):
        return None
    if not begins_people(cursor):
        first = people(cursor)
        if first is None:
            # "Only in 2019" asks for no more than "in 2019".
            cursor.go_back(mark)
            cursor.take()
            return None
    else:
        first = people(cursor)
    assert first is not None
    found = [first, *_others(cursor)]
    cursor.accept("alone")  # says the same again: only a woman alone
    if begins_people(cursor):
        texts = [cursor.query[operand.start : operand.end] for operand in found]
        rest = cursor.query[cursor.last_end :].strip()
        instead = cursor.replaced(start, len(cursor.query), f"only {' and '.join([*texts, rest])}")
        raise cursor.error(
            start, Sentence("only one kind of people can be asked for alone"), ["only children"], [instead]
        )
    if len(found) == 1:
        return _only_one(cursor, start.start, first)
    if all(operand.noun is not None and operand.noun.somebody for operand in found):
        # Only Anna and Ben: these two, and nobody else.
        return Operand(everyone_of(found), start.start, cursor.last_end)
    names = " or ".join(cursor.query[operand.start : operand.end] for operand in found)
    both = " and ".join(cursor.query[operand.start : operand.end] for operand in found)
    cursor.note(
        Sentence("read as: everyone is one of %(names)s", names=names), cursor.replaced(start, cursor.last_end, both)
    )
    return Operand(everyone_of(with_shared_words(cursor, found)), start.start, cursor.last_end)


def _others(cursor: Cursor) -> list[Operand]:
    found: list[Operand] = []
    while True:
        mark = cursor.mark()
        if not cursor.accept("and", "or", "&", ",", "with") or not begins_people(cursor):
            cursor.go_back(mark)
            return found
        cursor.accept("only", "just")
        following = people(cursor)
        if following is None:
            cursor.go_back(mark)
            return found
        found.append(following)


def _only_one(cursor: Cursor, start: int, operand: Operand) -> Operand:
    """Return the term of "only adults", and of "only two kids": exactly two, whoever else is there."""
    noun = operand.noun
    if noun is None:
        return operand
    text = cursor.query[operand.start : operand.end]
    if noun.count is None and not noun.somebody:
        return Operand(terms.Only(noun.person), start, operand.end)
    if noun.count is None or noun.count.article:
        if noun.count is not None:
            words = text.split(maxsplit=1)[-1]
            cursor.note(
                Sentence("read as: %(word)s alone", word=text),
                cursor.replaced(start, operand.end, f"exactly one {words}"),
            )
        return Operand(terms.And((terms.FaceCount(1, 1), operand.term)), start, operand.end)
    if noun.count.high is not None:
        return Operand(everyone_of([operand]), start, operand.end)
    count = noun.count.low
    if noun.person.anyone:
        return Operand(terms.FaceCount(count, count), start, operand.end)
    cursor.note(
        Sentence("read as: exactly %(word)s, and others may be there too", word=text),
        cursor.replaced(start, operand.end, f"faces:{count} {text}"),
    )
    return Operand(terms.PeopleCount(noun.person, count, count), start, operand.end)


def everyone_of(operands: Sequence[Operand]) -> Term:
    """Return the term of photos where everyone is one of some people, and each number of them is right."""
    nouns = [operand.noun for operand in operands if operand.noun is not None]
    kinds = tuple(dict.fromkeys(noun.person for noun in nouns))
    only_these: Term = terms.Only(kinds[0]) if len(kinds) == 1 else terms.OnlyAnyOf(kinds)
    named = all(noun.somebody for noun in nouns)
    if named or (len(nouns) > 1 and all(noun.somebody or _is_number(noun) for noun in nouns)):
        # "Only a man and two girls" are three faces, and Anna is one.
        total = sum(1 if noun.count is None else noun.count.low for noun in nouns)
        return terms.And((terms.FaceCount(total, total), side_by_side(operands)))
    counted = [operand.term for operand in operands if operand.noun is not None and operand.noun.counted]
    return all_of([only_these, *counted])


def _is_number(noun: Noun) -> bool:
    """Return whether a noun stands with a number that has no upper end, as in "two girls"."""
    return noun.count is not None and noun.count.high is None


def only_behind(cursor: Cursor, found: Sequence[Operand]) -> list[Operand] | None:
    """Return the parts before "only" or "alone" with it applied to the people that end them; None without any."""
    first = len(found)
    while first > 0 and found[first - 1].noun is not None:
        first -= 1
    people_last = list(found[first:])
    if not people_last:
        return None
    start, end = people_last[0].start, cursor.peek().end
    alone = cursor.take().text == "alone"
    nouns = [operand.noun for operand in people_last if operand.noun is not None]
    one = nouns[0].count if len(nouns) == 1 else None
    if alone and all(noun.several for noun in nouns):
        # "Kids by themselves" may be two, and "a woman by herself" is one.
        term: Term = everyone_of(people_last)
    elif alone or (one is not None and one.high is None and (one.low == 1 or nouns[0].person.anyone)):
        total = sum(1 if noun.count is None else noun.count.low for noun in nouns)
        counted = side_by_side(people_last)
        faces = terms.FaceCount(total, total)
        term = faces if all(noun.person.anyone for noun in nouns) else terms.And((faces, counted))
    elif len(nouns) == 1 and nouns[0].count is not None and nouns[0].count.low > 1:
        term = terms.And((terms.Only(nouns[0].person), terms.FaceCount(nouns[0].count.low, MOST_FACES)))
    else:
        term = everyone_of(people_last)
    return [*found[:first], Operand(term, start, end)]
