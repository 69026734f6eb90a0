"""What axe-core complains about on a page, in light and in dark colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

AXE = Path(__file__).with_name("axe.min.js")


def complaints_of_axe(page: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each violation with the scheme of colours it was found in; the page's own policy has to be bypassed.

    The page is not loaded anew for the other scheme: its style sheet alone asks which it is, and sets colours by it.
    """
    page.add_script_tag(path=AXE)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        yield from ((scheme, one) for one in told["violations"])
