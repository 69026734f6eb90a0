"""Rules of automatic tags: from the probabilities of a photo's faces to groups and tags. Pure functions.

A photo's probability of a group, for example of children, is the probability that *at least one* of its faces is a
child: one minus the product of the complements, with faces taken as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from rollcall import resources
from rollcall.ages import AGE_GROUPS, GROUP_PHOTO_FACES, any_of, at_least, range_share
from rollcall.errors import InvalidCorrectionError
from rollcall.records import AttributeLabels, TagState
from rollcall.sentences import Quoted, Sentence
from rollcall.settings import TagSettings


class FaceProbabilities(NamedTuple):
    """The effective probabilities of one face; None where an attribute is switched off or unknown."""

    p_babies: float | None
    p_toddlers: float | None
    p_children: float | None
    p_teenagers: float | None
    p_adults: float | None
    p_seniors: float | None
    p_female: float | None


class Tag(NamedTuple):
    """An automatic tag for a photo."""

    name: str
    probability: float
    state: TagState  # applied or suggested


def _both(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def _not(p: float | None) -> float | None:
    return None if p is None else 1.0 - p


def with_labels(face: FaceProbabilities, labels: AttributeLabels) -> FaceProbabilities:
    """Return a face's probabilities with a person's labels, which are certain, in place of the predictions."""
    if labels.age_low is not None and labels.age_high is not None:
        low, high = labels.age_low, labels.age_high
        shares = {f"p_{name}": range_share(low, high, group.low, group.high) for name, group in AGE_GROUPS.items()}
        face = face._replace(**shares)
    if labels.gender_given:
        face = face._replace(p_female={"female": 1.0, "male": 0.0}.get(labels.gender or ""))
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
#: Only a correction gives such a probability; no prediction reaches it.
CERTAIN: Final = 1.0 - 1e-9
#: The probability of two or more faces of one group is stored from this value on, and counts as 0 below it.
NEGLIGIBLE: Final = 0.02


def group_probabilities(faces: Sequence[FaceProbabilities]) -> dict[str, list[float]]:
    """Return, by group, the probabilities that a photo shows at least 1, 2, ... faces of it.

    The first is always given, the others down to `NEGLIGIBLE`. Groups without a known probability are left out.
    """
    result = {}
    for name, of_face in GROUPS.items():
        known = [p for p in map(of_face, faces) if p is not None]
        if known:
            # Of one face, as on most photos, there are no two.
            more = at_least(known)[1:].tolist() if len(known) > 1 else ()
            result[name] = [any_of(known), *(p for p in more if p >= NEGLIGIBLE)]
    return result


class Rules(NamedTuple):
    """Which automatic tags there are, and from which probability each is applied or suggested."""

    names: Mapping[str, str]  # by group
    thresholds: Mapping[str, float | None]  # by group; None: no probability reaches the wanted precision
    suggest_above: float
    group: str  # the tag of photos of many people, or ""


@cache
def tag_rules(settings: TagSettings) -> Rules:
    """Return the rules of the settings, with the thresholds that were measured for the shipped weights.

    For a precision between two measured ones the stricter threshold is used.

    Raises
    ------
    ModelError
        If the weights cannot be read.
    """
    measured = resources.weights_metadata()["tag_thresholds"]["thresholds"]
    names, thresholds = {}, {}
    for group in GROUPS:
        name = getattr(settings, group, "")
        if not name:
            continue
        names[group] = full_name(settings, name)
        strict_enough = [p for p in measured.get(group, {}) if float(p) >= settings.precision - 1e-9]
        thresholds[group] = measured[group][min(strict_enough, key=float)] if strict_enough else None
    return Rules(
        names, thresholds, settings.suggest_above, full_name(settings, settings.group) if settings.group else ""
    )


def full_name(settings: TagSettings, name: str) -> str:
    """Return a tag's name with the folder of the tag tree that automatic tags are put in."""
    return with_slashes(f"{settings.prefix}/{name}" if settings.prefix else name)


def automatic_tags(probabilities: Mapping[str, Sequence[float]], face_count: int, rules: Rules) -> list[Tag]:
    """Return the automatic tags of a photo from its group probabilities: applied or suggested."""
    result = []
    for group, name in rules.names.items():
        probability, threshold = probabilities.get(group, (0.0,))[0], rules.thresholds[group]
        applied = probability >= CERTAIN or (threshold is not None and probability >= threshold)
        if applied or probability >= rules.suggest_above:
            result.append(Tag(name, probability, TagState.APPLIED if applied else TagState.SUGGESTED))
    if rules.group and face_count >= GROUP_PHOTO_FACES:
        result.append(Tag(rules.group, 1.0, TagState.APPLIED))
    return result


def with_slashes(name: str) -> str:
    """Return a tag's name with '/' between its levels: what was stored by earlier versions may have '|' there."""
    return name.replace("|", "/")


def normalized_name(name: str) -> str:
    """Return a tag's name without white space around its levels, and with '/' between them.

    Lightroom and others write '|' between levels.

    Raises
    ------
    InvalidCorrectionError
        If a level is empty, or the name has control characters.
    """
    levels = [level.strip() for level in with_slashes(name).split("/")]
    if not all(levels) or any(ord(character) < 32 for character in name):
        raise InvalidCorrectionError(
            Sentence("%(name)s cannot be a tag; give a name for each level, with '/' between them", name=Quoted(name))
        )
    return "/".join(levels)
