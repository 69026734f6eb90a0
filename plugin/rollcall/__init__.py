"""The people-plugin for photo managers. The public Python API is re-exported here, and nothing else."""

from typing import TYPE_CHECKING, Any

from rollcall import errors, events
from rollcall.errors import RollcallError
from rollcall.records import Box, Face, Picture, RunSummary
from rollcall.settings import Settings

if TYPE_CHECKING:
    from rollcall import corrections
    from rollcall.host import Plugin, Status
    from rollcall.search import Hit

__version__ = "0.1.0"
__all__ = [
    "Box",
    "Face",
    "Hit",
    "Picture",
    "Plugin",
    "RollcallError",
    "RunSummary",
    "Settings",
    "Status",
    "__version__",
    "corrections",
    "errors",
    "events",
]
#: Imported at the first access: `rollcall --help` must not pay for the database and the decoders.
_LAZY = {"Plugin": "rollcall.host", "Status": "rollcall.host", "Hit": "rollcall.search", "corrections": ""}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _LAZY[name]
    return getattr(import_module(module), name) if module else import_module(f"{__name__}.{name}")
