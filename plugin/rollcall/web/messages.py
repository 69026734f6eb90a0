"""Short messages that appear over the page and go by themselves."""

from __future__ import annotations

from typing import NamedTuple


class Done(str):
    """A sentence above what is shown on what was done; the page offers to take it back beside the sentence."""

    offer = "undo"


class Toast(NamedTuple):
    """A message, with what can be done about it."""

    text: str
    offer: str = ""  # "undo" or "redo"
    photo_id: int | None = None  # a photo to go to
    to: str = ""  # an address of the page to go to
    copy: str = ""  # a path to copy
