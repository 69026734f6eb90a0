"""The search language: text to a tree, the tree to SQL."""

from rollcall.query.language import parse
from rollcall.query.search import (
    MIN_PROBABILITY,
    Explanation,
    Hit,
    HitFace,
    Order,
    as_dict,
    count,
    explain,
    notices,
    search,
    to_json,
)

__all__ = [
    "MIN_PROBABILITY",
    "Explanation",
    "Hit",
    "HitFace",
    "Order",
    "as_dict",
    "count",
    "explain",
    "notices",
    "parse",
    "search",
    "to_json",
]
