"""The object that a photo manager creates from plugin.toml."""

from rollcall.host.base import Status
from rollcall.host.plugin import Plugin

__all__ = ["Plugin", "Status"]
