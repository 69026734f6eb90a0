"""The search: a query's text to a tree, the tree to SQL, the rows to photos with their faces."""

from rollcall.search.engine import MIN_PROBABILITY, Explanation, Order, count, explain, search
from rollcall.search.grammar import Interpretation, Note, interpret, parse
from rollcall.search.hits import Hit, HitFace, as_dict, to_json

__all__ = [
    "MIN_PROBABILITY",
    "Explanation",
    "Hit",
    "HitFace",
    "Interpretation",
    "Note",
    "Order",
    "as_dict",
    "count",
    "explain",
    "interpret",
    "parse",
    "search",
    "to_json",
]
