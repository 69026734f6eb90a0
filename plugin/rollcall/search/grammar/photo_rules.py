"""Photos of a kind (portraits, families), tagged and reviewed ones, and texts that are looked for in their names."""

from __future__ import annotations

from typing import Final

from rollcall.ages import GROUP_PHOTO_FACES
from rollcall.search import terms
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.narrowing import with_adjective
from rollcall.search.grammar.numbers import number
from rollcall.search.grammar.operands import Operand
from rollcall.search.grammar.spelling import known_words
from rollcall.search.grammar.tokens import Kind
from rollcall.search.person_filter import PersonFilter
from rollcall.search.phrases import PREPOSITIONS
from rollcall.search.requirements import MOST_FACES
from rollcall.search.terms import Term
from rollcall.search.vocabulary import INSTEAD, NOUNS, YOUNG_CHILDREN
from rollcall.sentences import Quoted, Sentence

#: A big family has so many faces or more, as a crowd has.
BIG_FAMILY_FACES: Final = 5
CROWD_FACES: Final = 10
#: The parents of a young family.
_YOUNG_PARENTS: Final = (20, 39)
_KINDS: Final[dict[str, Term]] = {
    "portraits": terms.FaceCount(1, 1),
    "group": terms.FaceCount(GROUP_PHOTO_FACES, MOST_FACES),
    "crowd": terms.FaceCount(CROWD_FACES, MOST_FACES),
    "two children": terms.People(NOUNS["children"], 2),
    "three children": terms.People(NOUNS["children"], 3),
    "videos": terms.OfType(True),
    "nobody": terms.Not(terms.People(PersonFilter())),
}
_OF_COUPLES: Final = ("young", "old", "elderly", "senior", "middle-aged", "adult")
#: Words behind "tagged" that are no name of a tag.
_NO_NAMES: Final = ("and", "or", "with", "but", "no", "not", "without", "in", "from", "since", "before", "after")
_OF_FAMILIES: Final = ("big", "large", "huge", "young", "small", "little")


def kind_of_photo(cursor: Cursor) -> Operand | None:
    """Return the term of a kind of photos, tags or reviews that is next; None if there is none."""
    mark = cursor.mark()
    start = cursor.peek()
    term = _kind(cursor) or _family(cursor) or _tagged(cursor) or _reviewed(cursor)
    if term is not None:
        return Operand(term, start.start, cursor.last_end)
    cursor.go_back(mark)
    couple = _couple(cursor)
    if couple is None:
        cursor.go_back(mark)
        return None
    return Operand(couple, start.start, cursor.last_end, couple=True)


def text_in_names(cursor: Cursor) -> Operand | None:
    """Return the term of an unknown word or a quoted text that is next; None if there is none."""
    mark = cursor.mark()
    while cursor.next_is(*PREPOSITIONS) and _is_text(cursor, 1):
        cursor.take()
    token = cursor.peek()
    if token.kind is Kind.QUOTED and token.text.strip():
        cursor.take()
        return Operand(terms.TextMatch(token.text), token.start, token.end, timed=True)
    if not _is_text(cursor, 0):
        cursor.go_back(mark)
        return None
    cursor.take()
    cursor.note(
        Sentence("%(word)s is no word of this search: photos whose folder, file or tag has it", word=Quoted(token.raw))
    )
    return Operand(terms.TextMatch(token.raw), token.start, token.end, timed=True)


def _is_text(cursor: Cursor, ahead: int) -> bool:
    token = cursor.peek(ahead)
    if token.kind is Kind.QUOTED:
        return True
    if token.kind is Kind.WORD and token.text in PREPOSITIONS:
        return _is_text(cursor, ahead + 1)
    return token.kind is Kind.WORD and token.text not in known_words()


def _kind(cursor: Cursor) -> Term | None:
    token = cursor.peek()
    article = cursor.next_is("a", "an") and cursor.peek(1).kind is Kind.WORD and cursor.peek(1).text in INSTEAD
    if article:
        cursor.take()
        token = cursor.peek()
    if token.kind is not Kind.WORD or token.text not in INSTEAD:
        return None
    cursor.take()
    cursor.accept("of")
    kind, note = INSTEAD[token.text]
    if note:
        cursor.note(note, cursor.replaced(token, token, f'"{token.raw}"'))
    return _KINDS[kind]


def _family(cursor: Cursor) -> Term | None:
    cursor.accept("a", "an")
    adjective = cursor.accept(*_OF_FAMILIES) if cursor.next_is("family", ahead=1) else None
    if not cursor.accept("family"):
        return None
    word = "" if adjective is None else adjective.text
    adults, children = NOUNS["adults"], NOUNS["children"]
    if word == "young":
        adults = adults._replace(low=_YOUNG_PARENTS[0], high=_YOUNG_PARENTS[1])
        children = children._replace(low=YOUNG_CHILDREN[0], high=YOUNG_CHILDREN[1])
        cursor.note(Sentence("a young family is read as an adult from 20 to 39 and a child up to 5"))
    family = terms.DistinctPeople((terms.People(adults), terms.People(children)))
    mark = cursor.mark()
    size = number(cursor) if cursor.accept("of") else None
    if size is not None:
        return terms.And((terms.FaceCount(size.value, size.value), family))
    cursor.go_back(mark)
    if cursor.accept("of"):
        return family
    if word in ("big", "large", "huge"):
        cursor.note(
            Sentence(
                "a big family is read as a family of %(big_family_faces)s faces or more",
                big_family_faces=BIG_FAMILY_FACES,
            )
        )
        return terms.And((terms.FaceCount(BIG_FAMILY_FACES, MOST_FACES), family))
    if word in ("small", "little"):
        cursor.note(
            Sentence(
                "a small family is read as a family of up to %(big_family_faces)s faces",
                big_family_faces=BIG_FAMILY_FACES - 1,
            )
        )
        return terms.And((terms.FaceCount(2, BIG_FAMILY_FACES - 1), family))
    return family


def _couple(cursor: Cursor) -> Term | None:
    cursor.accept("a", "an")
    adjective = cursor.accept(*_OF_COUPLES) if cursor.next_is("couple", ahead=1) else None
    if not cursor.accept("couple"):
        return None
    person = NOUNS["adults"] if adjective is None else with_adjective(NOUNS["adults"], adjective.text)
    assert person is not None
    return terms.And((terms.FaceCount(2, 2), terms.Only(person)))


def _tagged(cursor: Cursor) -> Term | None:
    word = cursor.accept("tagged", "untagged")
    if word is None:
        return None
    tagged = _with_tag(cursor, named=word.text == "untagged")
    return tagged if word.text == "tagged" else terms.Not(tagged)


def _with_tag(cursor: Cursor, *, named: bool) -> Term:
    """Return the term of the tag whose name is next, or of any tag.

    `named`: only an unknown word or a quoted text is a name: "untagged kids" has none.
    """
    token = cursor.peek()
    known = token.kind is Kind.WORD and token.text in (known_words() if named else _NO_NAMES)
    if known or token.kind not in (Kind.WORD, Kind.QUOTED, Kind.NUMBER):
        return terms.HasTag()
    cursor.take()
    name = token.text if token.kind is Kind.QUOTED else token.raw
    if not name.strip():
        raise cursor.error(token, Sentence("a tag has a name"), [Sentence("a tag")])
    return terms.Tagged(name)


def _reviewed(cursor: Cursor) -> Term | None:
    token = cursor.accept("reviewed", "unreviewed")
    return None if token is None else terms.Reviewed(token.text == "reviewed")
