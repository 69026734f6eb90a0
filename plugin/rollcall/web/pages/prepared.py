"""What is made ready after the start, before anybody asks for it: the pages that one begins at, and what they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from rollcall.host import Plugin
from rollcall.web.pages import chips, library, people
from rollcall.web.pages.rendering import templates
from rollcall.web.remembered import Remembered

#: Templates of the page that one begins at, which are compiled before all others.
_FIRST = ("library.html", "base.html", "_results.html", "_grid.html")


def prepared(plugin: Plugin, remembered: Remembered) -> Iterator[Callable[[], object]]:
    """Yield what is to be done, piece by piece."""
    for name in dict.fromkeys((*_FIRST, *templates.env.list_templates())):
        yield partial(templates.env.get_template, name)
    yield plugin.prepare_searches
    for fetch in (library.prefetched, chips.prefetched, people.prefetched):
        yield partial(fetch, plugin, remembered)
