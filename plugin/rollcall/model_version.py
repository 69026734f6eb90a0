"""The networks and settings that made a result. Only this module parses and formats their text.

The text, as it is stored: ``detector+attributes:digest@options-switched_off``, for example
``single-pass-10+attributes-8:fb2cdf2b94e4@1280/20/0.65/mix1-age``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

from rollcall.settings import SWITCHES, Switch


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The networks and settings that made a result."""

    detector: str
    attributes: str  # the name of the attribute network's weights
    digest: str = ""  # of the weights' bytes, hexadecimal; empty in rows older than the digest
    options: str = ""  # the detector's settings that change its results
    switched_off: tuple[Switch, ...] = ()  # estimates that were not made

    @classmethod
    def parse(cls, text: str | ModelVersion) -> ModelVersion:
        """Return the version of a stored text, the inverse of `str`; a version is returned as it is."""
        if isinstance(text, ModelVersion):
            return text
        switched_off: list[Switch] = []
        for name in reversed(SWITCHES):
            if text.endswith(f"-{name}"):
                text = text.removesuffix(f"-{name}")
                switched_off.insert(0, name)
        networks, _, options = text.partition("@")
        detector, _, attributes = networks.rpartition("+")
        attributes, _, digest = attributes.partition(":")
        return cls(detector, attributes, digest, options, tuple(switched_off))

    def __str__(self) -> str:
        networks = f"{self.detector}+{self.weights}" if self.detector else self.weights
        options = f"@{self.options}" if self.options else ""
        return networks + options + "".join(f"-{name}" for name in SWITCHES if name in self.switched_off)

    @property
    def weights(self) -> str:
        """Name and digest of the attribute network: only embeddings of equal `weights` may be compared."""
        return f"{self.attributes}:{self.digest}" if self.digest else self.attributes

    @property
    def sufficient(self) -> frozenset[str]:
        """The versions, as text, whose results hold everything that this version would give.

        These are the versions with no more estimates switched off: switching an estimate off is no reason to analyse
        a library again, switching it on is.
        """
        return frozenset(
            str(replace(self, switched_off=some))
            for count in range(len(self.switched_off) + 1)
            for some in combinations(self.switched_off, count)
        )


def weights_of(model_version: str | None) -> str:
    """Return `ModelVersion.weights` of a stored version; empty for none."""
    return ModelVersion.parse(model_version).weights if model_version else ""
