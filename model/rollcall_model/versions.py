"""Which networks are installed, without loading them."""

from __future__ import annotations

from rollcall_model import checkpoint
from rollcall_model.weights import PATH

#: Changes with everything that changes what the detector finds.
DETECTOR = "mtcnn-4"


def networks() -> str:
    """Return the versions of the detector and of the attribute network.

    Raises
    ------
    WeightsError
        If the attribute network's weights are missing.
    """
    facts = checkpoint.facts(PATH)
    return f"{DETECTOR}+{facts['version']}"
