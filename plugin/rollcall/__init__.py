"""The people-plugin for photo managers. The public Python API is re-exported here, and nothing else."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollcall import corrections, errors, events
    from rollcall.errors import RollcallError
    from rollcall.host import Plugin, Status
    from rollcall.records import Box, Face, Picture, RunSummary
    from rollcall.search import Hit
    from rollcall.settings import Settings

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
#: The module of each name. All are loaded when they are asked for: `rollcall --help` must not pay for the database and
#: the decoders, and Ctrl-C is handled before anything heavy is imported.
_LAZY = {
    "Box": "rollcall.records",
    "Face": "rollcall.records",
    "Hit": "rollcall.search",
    "Picture": "rollcall.records",
    "Plugin": "rollcall.host",
    "RollcallError": "rollcall.errors",
    "RunSummary": "rollcall.records",
    "Settings": "rollcall.settings",
    "Status": "rollcall.host",
    "corrections": "",
    "errors": "",
    "events": "",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _LAZY[name]
    return getattr(import_module(module), name) if module else import_module(f"{__name__}.{name}")
