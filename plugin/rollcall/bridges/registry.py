"""The bridges to servers by name, made from the settings."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Final

from rollcall.bridges.base import Bridge
from rollcall.bridges.connection import Connection, Transport
from rollcall.bridges.immich import Immich
from rollcall.bridges.nextcloud import Nextcloud
from rollcall.bridges.photoprism import PhotoPrism
from rollcall.bridges.places import PathMap
from rollcall.errors import SettingsError
from rollcall.server_settings import BridgeSettings
from rollcall.settings import Settings

Connect = Callable[[str, dict[str, str]], Connection]


def _immich(settings: Settings, connect: Connect) -> Bridge:
    one = settings.bridges
    return Immich(connect(one.immich_url, {"x-api-key": one.immich_key.strip()}), PathMap(one.paths))


def _photoprism(settings: Settings, connect: Connect) -> Bridge:
    one = settings.bridges
    return PhotoPrism(
        connect(one.photoprism_url, {"Authorization": f"Bearer {one.photoprism_key.strip()}"}), PathMap(one.paths)
    )


def _nextcloud(settings: Settings, connect: Connect) -> Bridge:
    one = settings.bridges
    # A password may begin or end with a space, but not with the end of a file's line.
    password = one.nextcloud_key.strip("\r\n")
    login = base64.b64encode(f"{one.nextcloud_user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "OCS-APIRequest": "true"}
    prefix = settings.tags.prefix
    return Nextcloud(connect(one.nextcloud_url, headers), PathMap(one.paths), one.nextcloud_user, prefix)


#: A new bridge is added here, with settings `NAME_url` and `NAME_key`.
BRIDGES: Final[dict[str, Callable[[Settings, Connect], Bridge]]] = {
    "immich": _immich,
    "photoprism": _photoprism,
    "nextcloud": _nextcloud,
}


def open_bridge(
    name: str, settings: Settings, stop: threading.Event | None = None, transport: Transport | None = None
) -> Bridge:
    """Return the bridge of a name.

    Raises
    ------
    SettingsError
        If its address or key is not set.
    """
    _check(name, settings.bridges)

    def connect(url: str, headers: dict[str, str]) -> Connection:
        return Connection(url, headers, transport=transport, per_second=settings.bridges.requests_per_second, stop=stop)

    return BRIDGES[name](settings, connect)


def _check(name: str, settings: BridgeSettings) -> None:
    wanted = [f"{name}_url", f"{name}_key", *(["nextcloud_user"] if name == "nextcloud" else [])]
    for one in wanted:
        if not getattr(settings, one):
            raise SettingsError(
                f"setting 'bridges.{one}': the bridge to {name} needs it; set it in the settings file, or as"
                f" ROLLCALL_BRIDGES__{one.upper()} in the environment"
            )
