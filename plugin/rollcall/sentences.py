"""Sentences that keep what they were made of, so that the page can show them in the reader's language.

A room that raises an error or notes something writes an English sentence, and knows nothing of languages. What it
writes is a `str` like any other for programs, for the log and for the command line; the page takes its template, looks
that up in a catalog and puts the same values in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self


class Sentence(str):
    """An English sentence, with its template and values.

    Parameters
    ----------
    template
        The sentence with places such as %(name)s for the values; a percent sign that is meant is written twice. It is
        found by `scripts/translations.py` where it is written out in the call.
    values
        What is put there; a sentence among them keeps its own template.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        """Return the sentence."""
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Return what a copy is made of, also in another process."""
        return (self.template,), self.values


class Quoted(str):
    """A text in quotes, as a sentence repeats what somebody typed; the page writes the quotes of its language.

    Parameters
    ----------
    text
        The text without them.
    """

    text: str

    def __new__(cls, text: str) -> Self:
        """Return the text in straight quotes."""
        made = super().__new__(cls, repr(text))
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[str]:
        """Return what a copy is made of, also in another process."""
        return (self.text,)


def joined(sentences: Iterable[str], between: str = " ") -> Sentence:
    """Return several sentences as one, in which each keeps its template."""
    values = {f"part{place}": one for place, one in enumerate(sentences)}
    return Sentence(between.join(f"%({name})s" for name in values), **values)
