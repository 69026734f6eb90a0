"""Waiting for what a page or its server does a moment later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: So long anything is waited for, in seconds: a machine with much to do takes its time, and nothing waits for all of it
#: but a test that fails.
PATIENCE = 60.0
#: How programs ask a server of this machine.
DIRECT: dict[str, Any] = {"trust_env": False, "timeout": PATIENCE}


def until(done: Callable[[], Any], seconds: float = PATIENCE) -> Any:
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


def followed(page: Any, link: Any) -> None:
    """Click a link and wait for the page that it leads to: until then `ready` is true of the page with the link."""
    with page.expect_navigation():
        link.click()
    ready(page)


def settled(page: Any) -> None:
    """Wait until an answer stands there whole: what it says is seen a moment before the focus goes where it belongs."""
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")


def quiet(page: Any) -> None:
    """Wait until a page has all that it asks for by itself when it is opened: its parts, and pictures that are seen."""
    page.wait_for_function(
        """() => document.readyState === "complete"
            && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")
            && [...document.images].every((one) => one.complete || one.getBoundingClientRect().top > innerHeight)"""
    )


def held_one(page: Any, held: list[Any]) -> Any:
    """Wait for a request that a route of the page holds, and return it: they come while the page is waited for."""
    return until(lambda: page.wait_for_timeout(30) or held).pop()
