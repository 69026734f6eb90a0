"""The tree of a query: people, photos and their combinations.

Every term gives the probability, 0..1, that a photo is meant, in two ways that agree: as an SQL expression over the
public views, and for a photo in memory. Terms are taken as independent of each other.
"""

from rollcall.search.terms.base import (
    CandidateSource,
    CandidateSources,
    InGroup,
    ShowsKnown,
    ShowsPerson,
    SimilarTo,
    SqlParameters,
    Term,
    WithFaces,
)
from rollcall.search.terms.boolean import And, Not, Or
from rollcall.search.terms.born import Born
from rollcall.search.terms.names import HasTag, InAlbum, PathLike, Tagged, TextMatch
from rollcall.search.terms.people import DistinctPeople, Only, OnlyAnyOf, People, PeopleCount
from rollcall.search.terms.photo import (
    CertainTerm,
    Everything,
    FaceCount,
    OfType,
    Reviewed,
    Score,
    Similar,
    Taken,
    TakenYearly,
)

__all__ = [
    "And",
    "Born",
    "CandidateSource",
    "CandidateSources",
    "CertainTerm",
    "DistinctPeople",
    "Everything",
    "FaceCount",
    "HasTag",
    "InAlbum",
    "InGroup",
    "Not",
    "OfType",
    "Only",
    "OnlyAnyOf",
    "Or",
    "PathLike",
    "People",
    "PeopleCount",
    "Reviewed",
    "Score",
    "ShowsKnown",
    "ShowsPerson",
    "Similar",
    "SimilarTo",
    "SqlParameters",
    "Tagged",
    "Taken",
    "TakenYearly",
    "Term",
    "TextMatch",
    "WithFaces",
]
