"""Who may look at photos from the home network: codes to pair devices, and the devices that are paired."""

from __future__ import annotations

import io
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from rollcall.corrections.kind_base import RowId
from rollcall.errors import ConflictError
from rollcall.sentences import Sentence
from rollcall.web.home_network import HomeNetwork
from rollcall.web.inputs import plugin_of
from rollcall.web.pages.rendering import is_part, page
from rollcall.web.pairing import LIFETIME, Code

router = APIRouter()
_MINUTES: Final = LIFETIME // 60


@router.get("/sharing", response_class=HTMLResponse)
def sharing(request: Request) -> Response:
    """Show how devices are paired, and which are."""
    return _shown(request)


@router.get("/sharing/devices", response_class=HTMLResponse)
def devices(
    request: Request, known: Annotated[str, Query(pattern=r"^(\d{1,18}(-\d{1,18})*)?$", max_length=20_000)] = ""
) -> Response:
    """Show which devices are paired, and whose code was used meanwhile; nothing if they are those of `known`."""
    found = plugin_of(request).guests()
    before = {int(one) for one in known.split("-") if one}
    if {one.guest_id for one in found} == before:
        return Response(status_code=204)
    arrived = [one for one in found if one.guest_id not in before]
    return page(request, "_devices.html", devices=found, arrived=arrived, address=_network(request).origin)


@router.post("/sharing", response_class=HTMLResponse)
def change(
    request: Request,
    what: Annotated[Literal["open", "close", "code", "code_everything", "end", "end_all"], Form()],
    device: Annotated[RowId | None, Form()] = None,
) -> Response:
    """Let the home network in or no longer, make a code, or end the session of one device or of all."""
    plugin, network = plugin_of(request), _network(request)
    if what in ("code", "code_everything"):
        if not network.address:
            raise ConflictError(Sentence("the home network is not let in; press “Let the home network in” first"))
        return _shown(request, request.app.state.pairing.make(what == "code_everything"))
    if what == "open":
        network.open()
    elif what == "close":
        network.close()
    elif what == "end_all":
        plugin.end_guest()
    elif device is not None:
        plugin.end_guest(device)
    return _shown(request)


def _network(request: Request) -> HomeNetwork:
    network: HomeNetwork = request.app.state.network
    return network


def _shown(request: Request, code: Code | None = None) -> Response:
    plugin, network = plugin_of(request), _network(request)
    address = network.origin
    values: dict[str, Any] = {
        "address": address,
        "allowed": network.allowed,
        "invitation": code,
        "minutes": _MINUTES,
        "picture": picture(f"{address}/?code={code.digits}") if code is not None else "",
        "devices": plugin.guests(),
        "shared": [one for one in plugin.albums() if one.shared],
    }
    return page(request, "_sharing.html" if is_part(request) else "sharing.html", **values)


def picture(text: str) -> str:
    """Return a QR code as SVG without styles; "" where the package for it is not installed."""
    try:
        import segno
    except ImportError:
        return ""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, svgclass="qr", lineclass=None, border=2
    )
    return out.getvalue().decode()
