"""Combinations: and, or, not, only, neither, parentheses."""

from __future__ import annotations

from rollcall.search import terms
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.fields import field
from rollcall.search.grammar.joining import all_of, side_by_side, with_implied, with_shared_words
from rollcall.search.grammar.only_rules import only, only_behind
from rollcall.search.grammar.operands import Operand
from rollcall.search.grammar.people_rules import bare_number, begins_people, nobody, people
from rollcall.search.grammar.period_rules import time
from rollcall.search.grammar.photo_rules import kind_of_photo, text_in_names
from rollcall.search.grammar.tokens import Kind, Token
from rollcall.search.terms import Term
from rollcall.sentences import Quoted, Sentence

_AND = ("and", "with", "but", "&", "+", ",")
_OR = ("or", "|", "/")
_NOT = ("not", "no", "without", "except")


def alternatives(cursor: Cursor) -> Operand:
    """Return what is next, up to the end or a closing parenthesis: parts of which one is enough.

    Raises
    ------
    InvalidQueryError
        If something is not understood.
    """
    groups = [_conjunction(cursor)]
    while cursor.accept(*_OR):
        groups.append(_conjunction(cursor))
        if len(groups) == 2:
            groups = _listed(cursor, *groups)
    start, end = groups[0][0].start, groups[-1][-1].end
    if len(groups) == 1:
        return groups[0][0] if len(groups[0]) == 1 else Operand(side_by_side(groups[0]), start, end)
    shared, groups = _shared_times(cursor, groups)
    if all(len(group) == 1 for group in groups):
        _note_count(cursor, groups[0][0], groups[1][0])
        groups = [[operand] for operand in with_shared_words(cursor, [group[0] for group in groups])]
    else:
        _note_precedence(cursor, groups)
    either = terms.Or(_without_repetitions([side_by_side(group) for group in groups]))
    found: Term = either.parts[0] if len(either.parts) == 1 else either
    return Operand(all_of([found, *(operand.term for operand in shared)]), start, end)


def _listed(cursor: Cursor, first: list[Operand], last: list[Operand]) -> list[list[Operand]]:
    """Return each of "babies, toddlers or kids" as an alternative: commas before an "or" mean the same."""
    between = [cursor.query[one.end : other.start].strip() for one, other in zip(first, first[1:], strict=False)]
    if not between or any(text != "," for text in between) or any(one.noun is None for one in [*first, last[0]]):
        return [first, last]
    both = cursor.query[first[0].start : last[0].end]
    other = cursor.replaced(first[0].start, first[-1].end, f"({cursor.query[first[0].start : first[-1].end]})")
    cursor.note(Sentence("read as: any of %(both)s", both=both), other)
    return [*([one] for one in first), last]


def _without_repetitions(parts: list[Term]) -> tuple[Term, ...]:
    """Return alternatives once each: the same one again makes none more probable."""
    return tuple(dict.fromkeys(parts))


def _shared_times(cursor: Cursor, groups: list[list[Operand]]) -> tuple[list[Operand], list[list[Operand]]]:
    """Return the periods and texts that end the last alternative and hold for all, and the alternatives without them.

    "Kids or women in 2019" asks for both of 2019.
    """
    last = groups[-1]
    count = 0
    while count < len(last) - 1 and last[-1 - count].timed:
        count += 1
    if not count or any(operand.timed for group in groups[:-1] for operand in group):
        return [], groups
    shared = last[len(last) - count :]
    kept = cursor.query[last[0].start : last[-1].end]
    cursor.note(
        Sentence(
            "read as: %(part)s holds for all alternatives", part=Quoted(cursor.query[shared[0].start : shared[-1].end])
        ),
        cursor.replaced(last[0].start, last[-1].end, f"({kept})"),
    )
    return shared, [*groups[:-1], last[: len(last) - count]]


def _note_count(cursor: Cursor, first: Operand, second: Operand) -> None:
    """Note that of "two boys or girls" the number holds for the boys alone."""
    if first.noun is None or second.noun is None or second.noun.counted or second.noun.ranges:
        return
    count = first.noun.count
    if count is not None and count.high is None and count.low > 1:
        one, other = (cursor.query[operand.start : operand.end] for operand in (first, second))
        number = one.removesuffix(first.noun.name).strip()
        instead = cursor.replaced(second.start, second.end, f"{number} {other}")
        cursor.note(
            Sentence("read as: (%(one)s) or %(other)s", one=one, other=other), instead if number != one else None
        )


def _note_precedence(cursor: Cursor, groups: list[list[Operand]]) -> None:
    """Note how "a man with a woman or a girl" is read, where people stand on both sides of an "or"."""
    for before, after in zip(groups, groups[1:], strict=False):
        joined, alone = (before, after) if len(before) > 1 else (after, before)
        if len(joined) < 2 or len(alone) != 1 or alone[0].noun is None or joined[0].noun is None:
            continue
        first, last = (before[-1], after[0])
        inner = cursor.query[first.start : last.end]
        both = cursor.query[joined[0].start : joined[-1].end]
        other = cursor.query[alone[0].start : alone[0].end]
        cursor.note(
            Sentence("read as: (%(both)s) or %(other)s", both=both, other=other),
            cursor.replaced(first.start, last.end, f"({inner})"),
        )
        return


def _conjunction(cursor: Cursor) -> list[Operand]:
    """Return the parts that all have to hold."""
    found = [_one(cursor)]
    while True:
        if cursor.peek().kind is Kind.END or cursor.next_is(")", "nor", "neither", *_OR):
            _note_other_times(cursor, found)
            return with_shared_groups(cursor, found)
        if cursor.next_is("only", "alone"):
            postfixed = only_behind(cursor, found)
            if postfixed is not None:
                found = postfixed
                continue
        # "At" before people is one of another language's words for "with".
        separator = cursor.accept(*_AND, *(("at",) if begins_people(cursor, 1) else ()))
        if separator is not None and separator.text in ("and", ",", "but"):
            cursor.accept("with", "and")
        if separator is not None and separator.text == "but" and _is_anyone(found[-1]) and begins_people(cursor):
            found.append(_negated(cursor, _one(cursor)))
        elif separator is None or not _is_trailing(cursor, separator.text):
            found.append(_one(cursor))
            found = with_implied(cursor, found, "" if separator is None else separator.text)


def _note_other_times(cursor: Cursor, found: list[Operand]) -> None:
    """Note that "women in 2019 and men in 2020" finds nothing."""
    times = [operand for operand in found if isinstance(operand.term, terms.Taken)]
    for first, second in zip(times, times[1:], strict=False):
        one, other = first.term, second.term
        assert isinstance(one, terms.Taken) and isinstance(other, terms.Taken)
        if one.end <= other.start or other.end <= one.start:
            behind = cursor.query[first.end :].lstrip(" ,").removeprefix("and ")
            either = " ".join(f"{cursor.query[: first.end]} or {behind}".split())
            cursor.note(Sentence("read as one photo of both times, and there is none"), either)


def with_shared_groups(cursor: Cursor, found: list[Operand]) -> list[Operand]:
    """Return the parts with words that describe several nouns at each of them."""
    people_first = [operand for operand in found if operand.noun is not None]
    if len(people_first) < 2 or found[: len(people_first)] != people_first:
        return found
    between = cursor.query[found[0].end : found[len(people_first) - 1].start].lower()
    if "with" in between.split():
        return found
    return [*with_shared_words(cursor, people_first), *found[len(people_first) :]]


def _is_trailing(cursor: Cursor, separator: str) -> bool:
    return separator == "," and cursor.peek().kind is Kind.END


def _is_anyone(operand: Operand) -> bool:
    return operand.noun is not None and operand.noun.own.anyone


def _negated(cursor: Cursor, operand: Operand) -> Operand:
    return Operand(terms.Not(operand.term), operand.start, cursor.last_end)


def _one(cursor: Cursor) -> Operand:
    start = cursor.peek()
    if cursor.accept("("):
        cursor.enter()
        inner = alternatives(cursor)
        cursor.leave()
        if not cursor.accept(")"):
            raise cursor.error(
                cursor.peek(), Sentence("a parenthesis is not closed"), [")"], [f"{cursor.query.rstrip()})"]
            )
        return Operand(inner.term, start.start, cursor.last_end)
    if cursor.accept("-"):
        cursor.enter()
        negated = _one(cursor)
        cursor.leave()
        return Operand(terms.Not(negated.term), start.start, negated.end)
    return _negation(cursor) or _neither(cursor) or only(cursor) or _atom(cursor)


def _neither(cursor: Cursor) -> Operand | None:
    start = cursor.accept("neither")
    if start is None:
        return None
    parts = [_one(cursor)]
    while cursor.accept("nor", "or", "neither"):
        parts.append(_one(cursor))
    if len(parts) == 1:
        raise cursor.error(cursor.peek(), Sentence("'neither' needs 'nor'"), ["nor"])
    return Operand(terms.And(tuple(terms.Not(part.term) for part in parts)), start.start, cursor.last_end)


def _negation(cursor: Cursor) -> Operand | None:
    """Read: no kids, without children or babies, not (kids and men)."""
    start = cursor.accept(*_NOT) or _zero(cursor)
    if start is None:
        return None
    cursor.enter()
    cursor.accept("any", "some")
    first = _one(cursor)
    cursor.leave()
    others = _also_negated(cursor) if first.noun is not None else []
    if not others:
        joined = cursor.next_is("with")
        if first.noun is not None and (begins_people(cursor) or (joined and begins_people(cursor, 1))):
            whole, rest = cursor.query[start.start : first.end], cursor.query[first.start :]
            other = cursor.replaced(start, len(cursor.query), f"not ({rest.strip()})") if joined else None
            cursor.note(Sentence("read as: (%(whole)s), and what follows is asked for", whole=whole), other)
        return Operand(terms.Not(first.term), start.start, first.end)
    parts = with_shared_words(cursor, [first, *others])
    whole = cursor.query[start.start : first.end]
    names = " nor ".join(cursor.query[part.start : part.end] for part in parts)
    cursor.note(Sentence("read as: neither %(names)s", names=names), cursor.replaced(start, first.end, f"({whole})"))
    return Operand(terms.And(tuple(terms.Not(part.term) for part in parts)), start.start, parts[-1].end)


def _zero(cursor: Cursor) -> Token | None:
    """Take the number of "0 kids"."""
    token = cursor.peek()
    none = token.kind is Kind.NUMBER and not token.text.strip("0")
    return cursor.take() if none and begins_people(cursor, 1) else None


def _also_negated(cursor: Cursor) -> list[Operand]:
    """Return the people behind "no boys", joined by "or", "and" or commas, that people do not want to see either."""
    found: list[Operand] = []
    mark = cursor.mark()
    while True:
        separator = cursor.accept("or", "nor", "neither", "and", ",", "&", "|", "/")
        if separator is not None and separator.text == ",":
            separator = cursor.accept("or", "nor", "neither", "and") or separator
        following = people(cursor) if separator is not None and begins_people(cursor) else None
        counted = following is not None and following.noun is not None and following.noun.counted
        if separator is None or following is None or (counted and separator.text not in ("or", "nor", "neither")):
            cursor.go_back(mark)
            return found
        found.append(following)
        if separator.text != ",":
            mark = cursor.mark()
        elif not cursor.next_is("or", "nor", "and", ",", "&"):
            cursor.go_back(mark)
            return [one for one in found if one.end <= cursor.last_end]


def _atom(cursor: Cursor) -> Operand:
    start = cursor.peek()
    if cursor.next_is("in", "with", "at", "on") and cursor.peek(1).kind is Kind.FIELD:
        cursor.take()
    found = field(cursor)
    if found is not None:
        return Operand(found, start.start, cursor.last_end)
    operand = kind_of_photo(cursor) or nobody(cursor)
    if operand is not None:
        return operand
    period = time(cursor)
    if period is not None:
        return Operand(period, start.start, cursor.last_end, timed=True)
    operand = people(cursor) or text_in_names(cursor)
    if operand is not None:
        return operand
    bare_number(cursor)
    token = cursor.peek()
    if cursor.next_is("me", "us", "myself"):
        message = Sentence(
            "nobody is known to be %(word)s: name a person under People and say that this is you",
            word=Quoted(token.raw),
        )
        raise cursor.error(token, message, [Sentence("a name")])
    if token.kind is Kind.END:
        raise cursor.error(token, Sentence("the query ends too early"), [Sentence("more words")])
    raise cursor.error(token, Sentence("%(word)s was not expected", word=Quoted(token.raw)))
