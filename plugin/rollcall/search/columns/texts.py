"""Paths as one text of bytes, in which a word is found as quickly as memory is read."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rollcall.search.columns.segment import TEXT_END, Segment
from rollcall.search.folding import fold

#: A word that is on more photos than this is no help: most photos that come first have it.
_MOST: Final = 250_000


def path_text(path: str) -> bytes:
    """Return the bytes of a path in which it is looked for: its letters folded, and as they are but for A to Z."""
    folded = fold(path)
    plain = re.sub("[A-Z]+", lambda found: found[0].lower(), path)
    both = folded if folded == plain else f"{folded}\0{plain}"
    return both.encode("utf-8", "surrogatepass") + TEXT_END


def photos_with(segment: Segment, piece: str) -> NDArray[np.int64] | None:
    """Return which photos of a segment have a folded text in their path, as rows, ascending; None: very many."""
    wanted = piece.encode("utf-8", "surrogatepass")
    blob = segment.text.data
    found = []
    for match in re.finditer(re.escape(wanted), blob):
        found.append(match.start())
        if len(found) > _MOST:
            return None
    return np.unique(np.searchsorted(segment.text_ends, np.array(found, np.int64), side="right"))
