"""The numbers of photos and faces."""

from __future__ import annotations

from typing import Final

#: The largest number that a column of integers holds: 64 bits with a sign.
LARGEST: Final = 2**63 - 1


def storable(number: int) -> bool:
    """Return whether a number can be one of a row's; a driver raises OverflowError for any other."""
    return 0 <= number <= LARGEST
