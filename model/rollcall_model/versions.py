"""The versions of the installed networks, without loading them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from rollcall_model import checkpoint
from rollcall_model.weights import PATH

#: Changes with every change of the detector's results.
DETECTOR: Final = "single-pass-10"
#: The same of the published cascade.
CASCADE: Final = "mtcnn-4"
#: The same of what the faces of a photo tell of each other's ages (`attributes.age_mix`).
AGE_MIX: Final = "mix1"


class AttributesVersion(NamedTuple):
    """Identifies trained weights: the name is for people, the digest for comparisons."""

    name: str  # as in the weights' metadata, such as "attributes-8"
    digest: str  # `checkpoint.digest`: 12 hex digits that depend on the arrays alone


def attributes(path: Path = PATH) -> AttributesVersion:
    """Return the version of the attribute network's weights (default: the installed ones). JAX is not imported.

    Raises
    ------
    WeightsError
        If the weights are missing or damaged.
    """
    return AttributesVersion(str(checkpoint.metadata(path).get("version", "")), checkpoint.digest(path))
