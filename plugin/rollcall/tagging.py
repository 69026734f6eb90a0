"""From what is known of a photo's faces to groups of people and tags: pure functions.

A photo's probability of a group, say of children, is the probability that *at least one* of its faces is
a child: one minus the product of the complements, the faces taken as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from rollcall.ages import AGE_GROUPS, OLDEST, AgeGroup, any_of, at_least
from rollcall.settings import TagSettings


class FaceProbabilities(NamedTuple):
    """What is known of one face; None where an attribute is switched off or unknown."""

    p_babies: float | None
    p_toddlers: float | None
    p_children: float | None
    p_teenagers: float | None
    p_adults: float | None
    p_seniors: float | None
    p_female: float | None


class Said(NamedTuple):
    """What a person said of one face."""

    age_low: int | None = None  # completed years, both ends included; None: nothing was said
    age_high: int | None = None
    gender_given: bool = False
    gender: str | None = None  # any label; None with `gender_given`: not to be estimated


class Tag(NamedTuple):
    """An automatic tag for a photo."""

    name: str
    probability: float
    state: Literal["applied", "suggested"]


def _both(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def _not(p: float | None) -> float | None:
    return None if p is None else 1.0 - p


def share(low: int, high: int, group: AgeGroup) -> float:
    """Return the probability of a group where all that is known is a range of ages, both ends included."""
    top = group.high if group.high < OLDEST else max(high, group.high)
    return max(min(high, top) - max(low, group.low) + 1, 0) / (high - low + 1)


def overlaid(face: FaceProbabilities, said: Said) -> FaceProbabilities:
    """Return what is known of a face when a person's word is laid over the estimates: it is certain."""
    if said.age_low is not None and said.age_high is not None:
        low, high = said.age_low, said.age_high
        face = face._replace(**{f"p_{name}": share(low, high, group) for name, group in AGE_GROUPS.items()})
    if said.gender_given:
        face = face._replace(p_female={"female": 1.0, "male": 0.0}.get(said.gender or ""))
    return face


#: Every group by name: the probability that one face belongs to it. Age and gender are taken as independent.
GROUPS: Final[dict[str, Callable[[FaceProbabilities], float | None]]] = {
    "babies": lambda face: face.p_babies,
    "toddlers": lambda face: face.p_toddlers,
    "children": lambda face: face.p_children,
    "teenagers": lambda face: face.p_teenagers,
    "adults": lambda face: face.p_adults,
    "seniors": lambda face: face.p_seniors,
    "female": lambda face: face.p_female,
    "male": lambda face: _not(face.p_female),
    "women": lambda face: _both(face.p_adults, face.p_female),
    "men": lambda face: _both(face.p_adults, _not(face.p_female)),
    "girls": lambda face: _both(face.p_children, face.p_female),
    "boys": lambda face: _both(face.p_children, _not(face.p_female)),
}
#: The groups that become tags, and how a photo manager would call them.
TAG_NAMES: Final = {
    "babies": "Babies",
    "children": "Children",
    "teenagers": "Teenagers",
    "adults": "Adults",
    "seniors": "Seniors",
}
#: From so many faces on a photo is tagged as one of a group.
GROUP_SIZE: Final = 5


#: Of several faces in one group only what is likelier than this is kept.
NEGLIGIBLE: Final = 0.02


def groups(faces: Sequence[FaceProbabilities]) -> dict[str, list[float]]:
    """Return, for every group that something is known of, the probabilities that a photo shows 1, 2, ... of it.

    The first is always given, the others as long as they are not negligible.
    """
    result = {}
    for name, of_face in GROUPS.items():
        known = [p for p in map(of_face, faces) if p is not None]
        if known:
            counts = at_least(known).tolist()
            result[name] = [any_of(known), *(p for p in counts[1:] if p >= NEGLIGIBLE)]
    return result


def tags(probabilities: Mapping[str, Sequence[float]], face_count: int, settings: TagSettings) -> list[Tag]:
    """Return the automatic tags of a photo: applied when sure enough, suggested for review when likely enough."""
    result = []
    for group, name in TAG_NAMES.items():
        probability = probabilities.get(group, (0.0,))[0]
        applied = probability >= settings.apply_above
        if applied or probability >= settings.suggest_above:
            state: Literal["applied", "suggested"] = "applied" if applied else "suggested"
            result.append(Tag(f"{settings.prefix}/{name}", probability, state))
    if face_count >= GROUP_SIZE:
        result.append(Tag(f"{settings.prefix}/Group", 1.0, "applied"))
    return result
