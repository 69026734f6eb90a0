"""Who is known by name: names as they are compared, relations, and when people were born."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search.folding import fold
from rollcall.search.identity import Birth, Identity

Relation = Literal["child", "parent", "partner", "sibling", "grandchild", "grandparent"]
#: Letters that have no accent to leave out, and what is typed for them.
_PLAIN_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
#: How the letters with an umlaut are written where there is no key for them.
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})
#: Of more people a name in words lists no more.
_LISTED: Final = 3


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a name as they are compared: without case, accents, hyphens and points."""
    folded = fold(name).translate(_PLAIN_LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))
    return tuple("".join(c if c.isalnum() or c == "'" else " " for c in plain).split())


#: People by words of their names.
_People = Mapping[tuple[str, ...], Set[int]]


@lru_cache(maxsize=10_000)
def _spellings(name: str) -> frozenset[tuple[str, ...]]:
    """Return the words of a name, also with its umlauts written out."""
    return frozenset({name_words(name), name_words(fold(name).translate(_UMLAUTS))}) - {()}


# Each search reads all names anew; of 500 people that took longer than the rest of its reading.
@lru_cache(maxsize=2)
def _by_words(named: tuple[tuple[int, tuple[str, ...]], ...]) -> tuple[_People, _People]:
    """Return the people by whole names, and by parts of longer ones; nobody may change them."""
    whole: dict[tuple[str, ...], set[int]] = defaultdict(set)
    parts: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number, names in named:
        for words in {spelling for name in names for spelling in _spellings(name)}:
            whole[words].add(number)
            # The first names together, and every word alone: "Anna", "Anna Lena" and "Becker" of Anna Lena Becker.
            for part in {words[:end] for end in range(1, len(words))} | {(word,) for word in words[1:]}:
                if len(part) > 1 or len(part[0]) > 1:
                    parts[part].add(number)
    return dict(whole), dict(parts)


def _nothing(_: int) -> None:
    return None


@dataclass(frozen=True)
class Roster:
    """The people with a name, as queries find them. Empty where a library has none.

    Parameters
    ----------
    names
        By the person's number: all names, the one that is shown first.
    me
        Who uses the library.
    parents, partners
        By person.
    birth, gender
        Look up when somebody was born, and "female" or "male" where the faces tell; None where it is unknown.
    """

    names: Mapping[int, Sequence[str]] = field(default_factory=dict)
    me: int | None = None
    parents: Mapping[int, frozenset[int]] = field(default_factory=dict)
    partners: Mapping[int, frozenset[int]] = field(default_factory=dict)
    birth: Callable[[int], Birth | None] = _nothing
    gender: Callable[[int], str | None] = _nothing
    _whole: _People = field(default_factory=dict, init=False)
    _parts: _People = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        whole, parts = _by_words(tuple((number, tuple(names)) for number, names in self.names.items()))
        object.__setattr__(self, "_whole", whole)
        object.__setattr__(self, "_parts", parts)

    @property
    def longest(self) -> int:
        """How many words the longest name has."""
        return max(map(len, self._whole), default=0)

    def named(self, words: tuple[str, ...]) -> tuple[int, ...]:
        """Return the people with a name of exactly these words."""
        return tuple(sorted(self._whole.get(words, ())))

    def partly_named(self, words: tuple[str, ...]) -> tuple[int, ...]:
        """Return the people of whose longer name these words are a part."""
        return tuple(sorted(set(self._parts.get(words, ())) - set(self._whole.get(words, ()))))

    def shown(self, number: int) -> str:
        """Return the name of a person that is shown."""
        return next(iter(self.names.get(number, ())), f"person {number}")

    def identity(self, numbers: Sequence[int]) -> Identity:
        """Return the identity of being one of some people, with when they were born."""
        numbers = tuple(sorted(set(numbers)))
        names = [self.shown(number) for number in numbers]
        repeated = {name for name in names if names.count(name) > 1}
        words = [f"{n} ({number})" if n in repeated else n for number, n in zip(numbers, names, strict=True)]
        more = f" or {len(words) - _LISTED} more" if len(words) > _LISTED else ""
        births = [(number, birth) for number in numbers if (birth := self.birth(number)) is not None]
        return Identity("people", " or ".join(words[:_LISTED]) + more, numbers, tuple(births))

    def related(self, numbers: Iterable[int], relation: Relation, gender: str | None = None) -> tuple[int, ...]:
        """Return who is related to people in a way; of a gender, those whose faces do not tell are among them."""
        people = set(numbers)
        match relation:
            case "child":
                found = self._children(people)
            case "parent":
                found = self._parents(people)
            case "partner":
                found = {one for number in people for one in self.partners.get(number, ())}
            case "sibling":
                found = self._children(self._parents(people)) - people
            case "grandchild":
                found = self._children(self._children(people))
            case "grandparent":
                found = self._parents(self._parents(people))
        return tuple(sorted(one for one in found if gender is None or self.gender(one) in (None, gender)))

    def _parents(self, people: set[int]) -> set[int]:
        return {one for number in people for one in self.parents.get(number, ())}

    def _children(self, people: set[int]) -> set[int]:
        return {child for child, parents in self.parents.items() if parents & people}


#: Nobody is known by name.
NOBODY: Final = Roster()


def roster_of(session: Session) -> Roster:
    """Return who is known by name; births and genders are looked up while the session is open."""
    names: dict[int, list[str]] = defaultdict(list)
    for number, name in session.execute(
        text("SELECT person_id, name FROM person_names ORDER BY person_id, position")
    ).all():
        names[number].append(name)
    me = session.execute(text("SELECT id FROM people WHERE is_me ORDER BY id LIMIT 1")).scalar()
    parents: dict[int, set[int]] = defaultdict(set)
    partners: dict[int, set[int]] = defaultdict(set)
    for one, other, relation in session.execute(
        text("SELECT person_id, other_id, relation FROM person_relations")
    ).all():
        if relation == "child_of":
            parents[one].add(other)
        elif relation == "partner_of":
            partners[one].add(other)
            partners[other].add(one)
    return Roster(
        names,
        me,
        {child: frozenset(found) for child, found in parents.items()},
        {one: frozenset(found) for one, found in partners.items()},
        lambda number: _birth(session, number),
        lambda number: _gender(session, number),
    )


def _birth(session: Session, number: int) -> Birth | None:
    row = session.execute(
        text("SELECT birth_date, birth_estimate, birth_deviation FROM people WHERE id = :id"), {"id": number}
    ).first()
    if row is None:
        return None
    given = None if row[0] is None else Birth.given(row[0])
    if given is not None or row[1] is None:
        return given
    return Birth.estimated(row[1], row[2] or 0.0)


def _gender(session: Session, number: int) -> str | None:
    """Return the gender that most faces of a person are taken for."""
    share = session.execute(
        text(
            "SELECT AVG(p_female) FROM v1_faces WHERE face_id IN"
            " (SELECT face_id FROM face_people WHERE person_id = :id AND probability >= 0.5)"
        ),
        {"id": number},
    ).scalar()
    return None if share is None else "female" if share >= 0.5 else "male"
