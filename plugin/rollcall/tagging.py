"""From what is known of a photo's faces to groups of people and tags: pure functions.

A photo's probability of a group, say of children, is the probability that *at least one* of its faces is
a child: one minus the product of the complements, the faces taken as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

from rollcall import resources
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
#: A probability that no estimate reaches: a person has said so.
CERTAIN: Final = 1.0 - 1e-9
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


class Rules(NamedTuple):
    """Which tags there are, and how sure one has to be."""

    names: Mapping[str, str]  # by group
    thresholds: Mapping[str, float | None]  # by group; None: never sure enough
    suggest_above: float
    group: str  # the tag of photos of many people, or ""


@cache
def rules(settings: TagSettings) -> Rules:
    """Return what settings amount to, with the thresholds that were measured with the networks.

    For a precision between two measured ones the stricter is taken.
    """
    measured = resources.weights_metadata()["tag_thresholds"]["thresholds"]
    names, thresholds = {}, {}
    for group in GROUPS:
        name = getattr(settings, group, "")
        if not name:
            continue
        names[group] = _full_name(settings, name)
        strict_enough = [p for p in measured.get(group, {}) if float(p) >= settings.precision - 1e-9]
        thresholds[group] = measured[group][min(strict_enough, key=float)] if strict_enough else None
    return Rules(
        names, thresholds, settings.suggest_above, _full_name(settings, settings.group) if settings.group else ""
    )


def _full_name(settings: TagSettings, name: str) -> str:
    return f"{settings.prefix}/{name}" if settings.prefix else name


def tags(probabilities: Mapping[str, Sequence[float]], face_count: int, rules: Rules) -> list[Tag]:
    """Return the automatic tags of a photo: applied when sure enough, suggested for review when likely enough."""
    result = []
    for group, name in rules.names.items():
        probability, threshold = probabilities.get(group, (0.0,))[0], rules.thresholds[group]
        # What a person said is certain, whatever the networks can be sure of.
        applied = probability >= CERTAIN or (threshold is not None and probability >= threshold)
        if applied or probability >= rules.suggest_above:
            result.append(Tag(name, probability, "applied" if applied else "suggested"))
    if rules.group and face_count >= GROUP_SIZE:
        result.append(Tag(rules.group, 1.0, "applied"))
    return result
