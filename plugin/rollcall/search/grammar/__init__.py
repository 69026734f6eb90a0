"""From the text of a query to its tree.

A query becomes tokens (`tokens`), these are rewritten in the words of the grammar (`rewriting`), and the rules read
them from a `Cursor`: combinations, people with their numbers and ages, periods, fields, kinds of photos.
"""

from rollcall.search.grammar.fields import FIELDS
from rollcall.search.grammar.notes import Interpretation, Note
from rollcall.search.grammar.parser import interpret, parse
from rollcall.search.grammar.translation import LANGUAGES

__all__ = ["FIELDS", "LANGUAGES", "Interpretation", "Note", "interpret", "parse"]
