"""Letters as they are compared in names: without case, and composed."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Return a text with its letters folded, so that those that people take for the same are equal.

    The caseless form of the Unicode Standard, section 3.13, in normalization form C: file systems store the same name
    in different forms.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
