"""Paths as people type and paste them: in quotes, as the address of a file manager, as a terminal writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from rollcall.errors import LibraryError
from rollcall.media import paths
from rollcall.remote.paths import is_remote, named
from rollcall.sentences import Sentence

_QUOTES: Final = ('""', "''", "``", "“”", "„“", "‘’", "«»")
_NOT_THERE: Final = Sentence("the folder is not there; check the path")


def folder_of(text: str) -> Path:
    """Return the folder that a text means, of this machine or a remote one.

    Raises
    ------
    LibraryError
        If it is not absolute, or is not a folder that can be seen.
    AddressError
        If it is an address that holds a password or names no remote folder.
    """
    forms = _forms(_without_quotes(text))
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", forms[0]):
        raise LibraryError(forms[0], Sentence("this is a path of Windows, and Rollcall runs on another system"))
    reason = _NOT_THERE
    for form in forms:
        try:
            path = named(paths.from_text(os.path.expanduser(form)))  # noqa: PTH111 (a text, not yet a path)
            if is_remote(path):
                return path  # whoever adds it lists it
            if not path.is_absolute():
                raise LibraryError(form, Sentence("give the whole path of the folder, from the root on"))
            if path.is_dir():
                return path
            if path.exists():
                reason = Sentence("this is a file; give the folder that it is in")
        except (OSError, ValueError):  # too long, not permitted, or with characters that no file system has
            continue
    raise LibraryError(forms[0], reason)


def _without_quotes(text: str) -> str:
    text = text.strip()
    for first, last in _QUOTES:
        if len(text) > 2 and text.startswith(first) and text.endswith(last):
            return text[1:-1].strip()
    return text


def _forms(text: str) -> list[str]:
    """Return what a text may mean, the likeliest first: a folder may be named as it stands, whatever is in it."""
    if text.lower().startswith("file:"):
        address = urlsplit(text, allow_fragments=False)
        server = "" if address.netloc.lower() in ("", "localhost") else f"//{address.netloc}"
        text = server + url2pathname(address.path + ("?" + address.query if address.query else ""))
    # As terminals write them, with a backslash before a space; as browsers do.
    return list(dict.fromkeys((text, re.sub(r"\\(.)", r"\1", text), unquote(text))))
