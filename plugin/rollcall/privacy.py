"""The switches of what is estimated and kept: how they show in a model version, and what one of them means.

A model version ends in what was switched off when it was made: ``detector+attributes@asked-age-embeddings``.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final, Literal, get_args

from rollcall.settings import AttributeSettings

Switch = Literal["age", "gender", "embeddings"]
SWITCHES: Final[tuple[Switch, ...]] = get_args(Switch)


def off(settings: AttributeSettings) -> tuple[Switch, ...]:
    """Return what is switched off."""
    return tuple(name for name in SWITCHES if getattr(settings, name) == "off")


def suffix(switched_off: tuple[Switch, ...]) -> str:
    """Return how a model version ends that was made with some switches off."""
    return "".join(f"-{name}" for name in SWITCHES if name in switched_off)


def split(version: str) -> tuple[str, tuple[Switch, ...]]:
    """Return a model version without what was switched off, and that."""
    found: list[Switch] = []
    for name in reversed(SWITCHES):
        if version.endswith(f"-{name}"):
            version = version.removesuffix(f"-{name}")
            found.insert(0, name)
    return version, tuple(found)


def as_good(version: str) -> frozenset[str]:
    """Return the versions whose results hold all that `version` would give: those with no more switched off.

    Switching something off is then no reason to analyse a library anew; switching it on is.
    """
    bare, switched_off = split(version)
    return frozenset(
        bare + suffix(some) for count in range(len(switched_off) + 1) for some in combinations(switched_off, count)
    )
