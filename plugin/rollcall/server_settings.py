"""Settings of servers: those of other programs, and the login of our own; `settings.py` puts them beside the others."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from rollcall.settings_group import SettingsGroup

#: The languages that the page has, each but English with a catalog in `web/locales`; or whichever the browser asks for.
PageLanguage = Literal["browser", "en", "de", "fr", "es"]


#: Labels of letters, digits, hyphens and underscores, with dots between them.
_HOST: Final = re.compile(r"(?=.{1,253}$)(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*", re.ASCII)


def _origin(text: str) -> str:
    """Return an origin as browsers compare it: it goes into a header, where it would open the page to nobody."""
    wanted = "an origin as browsers show it: scheme, host and port, such as http://127.0.0.1:9000"
    found = re.fullmatch(r"(https?)://([^/:@?#\[\]]+|\[[^\]]*\])(?::(\d{1,5}))?", text.lower())
    if found is None:
        raise ValueError(f"{wanted}, not {text!r}")
    scheme, host, port = found.groups()
    if host.startswith("["):
        raise ValueError(f"{wanted}, not {text!r}: browsers take no IPv6 address there; give the machine's name")
    if not _HOST.fullmatch(host) or (re.fullmatch(r"[\d.]+", host) and not _is_ipv4(host)):
        hint = "; write its ASCII form (xn--...)" if not host.isascii() else ""
        raise ValueError(f"{wanted}, not {text!r}: {host!r} is no host{hint}")
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{wanted}, not {text!r}: ports are 1 to 65535")
    return f"{scheme}://{host}" + ("" if port is None else f":{int(port)}")


def _is_ipv4(text: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


class ServeSettings(SettingsGroup):
    """The review page and the HTTP API."""

    port: int = Field(default=8724, ge=0, le=65535, description="Port of `rollcall serve`; 0 takes any that is free.")
    language: PageLanguage = Field(
        default="browser", description="Language of the page for whoever chooses none there; browser: what it asks for."
    )
    thumbnails_megabytes: int = Field(
        default=500, ge=10, description="How much the page's small pictures may take in the cache folder."
    )
    videos_megabytes: int = Field(
        default=2000,
        ge=10,
        description="How much copies of videos that guests of the home network play may take in the cache folder; they "
        "are not shown one that takes more.",
    )
    embed_from: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(), description="Origins, such as http://127.0.0.1:9000, of hosts that may show /embed in a frame."
    )
    listen: str = Field(
        default="127.0.0.1", description="Address that `rollcall serve` listens on; 0.0.0.0, all, needs serve.login."
    )
    login: Literal["start", "token", "proxy"] = Field(
        default="start",
        description="Who is answered: start, this machine with the token of each start; token, also whoever has the "
        "token in serve.token_file; proxy, also whom the reverse proxy names in serve.user_header.",
    )
    public_url: str = Field(
        default="", description="With a login: the address that browsers open, such as https://photos.example.org."
    )
    token_file: str = Field(default="", description="File with the token of serve.login=token.")
    user_header: str = Field(default="Remote-User", description="The header in which the reverse proxy names the user.")
    proxies: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"), description="Addresses or networks of reverse proxies whose header is believed."
    )
    users: tuple[str, ...] = Field(
        default=(), description="The users that may come, by the names that the proxy gives them; empty: all."
    )


class BridgeSettings(SettingsGroup):
    """Servers of other photo managers, and the folders they see."""

    immich_url: str = Field(default="", description="Address of the Immich server, such as http://immich:2283.")
    immich_key: str = Field(default="", description="API key of the Immich user.")
    photoprism_url: str = Field(default="", description="Address of the PhotoPrism server.")
    photoprism_key: str = Field(default="", description="Access token or app password of the PhotoPrism user.")
    nextcloud_url: str = Field(default="", description="Address of the Nextcloud server.")
    nextcloud_user: str = Field(default="", description="Name of the Nextcloud user.")
    nextcloud_key: str = Field(default="", description="App password of the Nextcloud user.")
    lychee_url: str = Field(default="", description="Address of the Lychee server that results are sent to.")
    lychee_key: str = Field(default="", description="The key that Lychee and its face service share.")
    lychee_photos: str = Field(default="", description="The folder of Lychee's uploads, as this machine sees it.")
    lychee_port: int = Field(default=8000, ge=0, le=65535, description="Port of the face service for Lychee.")
    lychee_listen: str = Field(
        default="127.0.0.1", description="Address that the face service for Lychee listens on; 0.0.0.0: all."
    )
    lychee_similarity: float = Field(
        default=0.4, gt=0, lt=1, description="The cosine similarity from which two faces are one person to Lychee."
    )
    paths: tuple[str, ...] = Field(
        default=(),
        description="How servers call folders of this machine: FOLDER HERE=FOLDER THERE, separated by commas; a folder "
        "several times, if several servers call it differently.",
    )
    requests_per_second: float = Field(
        default=20.0, ge=0, description="How many requests a server gets in a second at most; 0: no limit."
    )


#: Settings that are never printed.
SECRETS: Final = frozenset(
    {"bridges.immich_key", "bridges.photoprism_key", "bridges.nextcloud_key", "bridges.lychee_key"}
)


def shown(name: str, value: Any) -> Any:
    """Return a setting's value as it may be printed."""
    return "(set)" if name in SECRETS and value else value
