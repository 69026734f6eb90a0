"""The search language: text to a tree, the tree to SQL."""

from rollcall.search.engine import (
    MIN_PROBABILITY,
    Explanation,
    Hit,
    HitFace,
    Order,
    as_dict,
    count,
    explain,
    search,
    to_json,
)
from rollcall.search.grammar import parse

__all__ = [
    "MIN_PROBABILITY",
    "Explanation",
    "Hit",
    "HitFace",
    "Order",
    "as_dict",
    "count",
    "explain",
    "parse",
    "search",
    "to_json",
]
