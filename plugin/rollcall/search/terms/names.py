"""Terms about the names of a photo: its path, its tags, and texts that are looked for in both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.search.candidates import CandidatePhoto
from rollcall.search.columns import Columns
from rollcall.search.folding import fold
from rollcall.search.terms.base import SqlParameters
from rollcall.search.terms.photo import CertainTerm

_ANY: Final = re.DOTALL
#: Divides levels in tags of earlier versions, and stands for a slash within a level.
_SLASHES: Final = str.maketrans("|\N{DIVISION SLASH}", "//")
_TAG: Final = "REPLACE(REPLACE(t.tag, '|', '/'), '\N{DIVISION SLASH}', '/')"


def with_slashes(name: str) -> str:
    """Return the name of a tag, or a text in it, folded and with '/' between its levels."""
    return fold(name.translate(_SLASHES))


def levels(name: str) -> str:
    """Return the levels of a tag, folded, with a '/' before and behind each; "//" if there are none."""
    return f"/{'/'.join(filter(None, map(str.strip, with_slashes(name).split('/'))))}/"


def is_within(tag: str, wanted: str) -> bool:
    """Return whether a tag has some levels, as `levels` returns them, one after another."""
    return wanted in f"/{with_slashes(tag)}/"


@dataclass(frozen=True)
class PathLike(CertainTerm):
    """The path below the root matches a pattern with * and ?; without either, it contains the text.

    Upper and lower case are the same, in every script, and so are the composed and decomposed forms of a letter.
    """

    pattern: str

    def condition(self, parameters: SqlParameters) -> str:
        like = _escaped(fold(self._whole())).replace("*", "%").replace("?", "_")
        return _like("p.path", parameters, parameters.bind(like), like.isascii())

    def holds(self, photo: CandidatePhoto) -> bool:
        whole = fold(self._whole())
        regular = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in whole)
        return bool(re.fullmatch(regular, fold(photo.path), _ANY))

    def _whole(self) -> str:
        return self.pattern if any(c in self.pattern for c in "*?") else f"*{self.pattern}*"

    def __str__(self) -> str:
        return f"path like {self.pattern!r}"


@dataclass(frozen=True)
class Tagged(CertainTerm):
    """Has a tag with these levels one after another: "Places" means Places/Italy, too, and "Italy" as well.

    Letters are compared as those of paths. Levels may be divided by '|', as in Lightroom.
    """

    name: str

    def condition(self, parameters: SqlParameters) -> str:
        like = f"%{_escaped(levels(self.name))}%"
        return _has_tag(_like(f"('/' || {_TAG} || '/')", parameters, parameters.bind(like), like.isascii()))

    def holds(self, photo: CandidatePhoto) -> bool:
        return any(is_within(tag, levels(self.name)) for tag in photo.tags)

    def __str__(self) -> str:
        return f"tagged {self.name!r}"


@dataclass(frozen=True)
class HasTag(CertainTerm):
    """Has any tag."""

    def condition(self, parameters: SqlParameters) -> str:
        return _has_tag("1 = 1")

    def holds(self, photo: CandidatePhoto) -> bool:
        return bool(photo.tags)

    def __str__(self) -> str:
        return "tagged"


@dataclass(frozen=True)
class TextMatch(CertainTerm):
    """The path below the root, or a tag, contains a text; letters are compared as those of paths."""

    text: str

    def condition(self, parameters: SqlParameters) -> str:
        in_path, in_tag = (f"%{_escaped(text)}%" for text in (fold(self.text), with_slashes(self.text)))
        tagged = _has_tag(_like(_TAG, parameters, parameters.bind(in_tag), in_tag.isascii()))
        return f"({_like('p.path', parameters, parameters.bind(in_path), in_path.isascii())} OR {tagged})"

    def holds(self, photo: CandidatePhoto) -> bool:
        in_tag = with_slashes(self.text)
        return fold(self.text) in fold(photo.path) or any(in_tag in with_slashes(tag) for tag in photo.tags)

    def __str__(self) -> str:
        return f"{self.text!r} in its folder, file or tag"


@dataclass(frozen=True)
class InAlbum(CertainTerm):
    """A person put the photo into an album (state "added"), or took it out of it ("left_out")."""

    album_id: int
    state: str
    name: str
    photos: frozenset[int] = field(repr=False)

    def condition(self, parameters: SqlParameters) -> str:
        album, state = parameters.bind(self.album_id), parameters.bind(self.state)
        chosen = f"SELECT a.photo_id FROM v1_album_photos a WHERE a.album_id = {album} AND a.state = {state}"
        return f"p.photo_id IN ({chosen})"

    def holds(self, photo: CandidatePhoto) -> bool:
        return photo.photo_id in self.photos

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        known = np.fromiter(self.photos, np.int64, len(self.photos))
        return np.isin(columns.photo_ids, known).astype(np.float64)

    def __str__(self) -> str:
        return f"{'in' if self.state == 'added' else 'left out of'} the album {self.name!r} by hand"


def _has_tag(condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM v1_tags t WHERE t.photo_id = p.photo_id AND t.state = 'applied' AND {condition})"


def _like(column: str, parameters: SqlParameters, pattern: str, ascii_only: bool) -> str:
    """Return the condition that a column matches a folded pattern.

    SQLite's LIKE folds the case of ASCII letters itself; a function is called only for names with other characters, and
    only these can match a pattern with any.
    """
    if parameters.postgresql:
        return f"rollcall_fold({column}) LIKE {pattern} ESCAPE '\\'"
    folded = f"({column} GLOB '*[^ -~]*' AND fold({column}) LIKE {pattern} ESCAPE '\\')"
    return f"({column} LIKE {pattern} ESCAPE '\\' OR {folded})" if ascii_only else folded


def _escaped(text: str) -> str:
    """Return a text with the characters that LIKE treats as special escaped by a backslash."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
