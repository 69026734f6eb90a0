"""Waiting for what a page or its server does a moment later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(done: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < end
        time.sleep(0.03)
    return result


def ready(page: Any) -> None:
    """Wait until the scripts of a page were run: what is clicked before that is not what they make of it."""
    # A page without scripts, as one that holds the page in a frame, has nothing to wait for.
    scripts = "window.rollcallProgress || !document.querySelector('script[src]')"
    page.wait_for_function(f"() => document.readyState === 'complete' && ({scripts})")


def settled(page: Any) -> None:
    """Wait until an answer stands there whole: what it says is seen a moment before the focus goes where it belongs."""
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")


def held_one(page: Any, held: list[Any]) -> Any:
    """Wait for a request that a route of the page holds, and return it: they come while the page is waited for."""
    return until(lambda: page.wait_for_timeout(30) or held).pop()
