"""From the text of a query to its tree: the grammar is in grammar.lark, the words in `rollcall.search.vocabulary`."""

from rollcall.search.grammar.fields import FIELDS
from rollcall.search.grammar.parser import parse

__all__ = ["FIELDS", "parse"]
