"""Files that travel with the program: in an installed package inside it, in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (
    _PACKAGE,
    _PACKAGE.parent.parent,
    # What was measured with the networks' weights lies beside them.
    _PACKAGE.parent / "rollcall_model" / "weights",
    _PACKAGE.parent.parent / "model" / "rollcall_model" / "weights",
)


def find(name: str) -> Path:
    """Return the path of `migrations`, `plugin.toml` or a file beside the weights: the installed package comes first.

    Raises
    ------
    FileNotFoundError
        If the installation is broken.
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise FileNotFoundError(f"{_PACKAGE / name}: missing from the installation; reinstall Rollcall")
