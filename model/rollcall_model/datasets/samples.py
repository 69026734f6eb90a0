"""One labelled picture, whatever data set it comes from."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

#: Stands for a missing label in arrays of ages and genders.
UNKNOWN: Final = -1

Split = Literal["train", "val"]


class Sample(NamedTuple):
    """A picture of one face. Missing labels are None or empty, so that sets with different labels can be mixed."""

    source: str  # name of the data set
    file: str  # relative to the data set's folder
    split: Split
    age: tuple[int, int] | None = None  # completed years, from and to; equal when known exactly
    female: bool | None = None
    identity: str = ""
    group: str = ""  # the set's own label of ethnicity, used to measure gaps only

    @property
    def name(self) -> str:
        """Data set and file, unique among all sets."""
        return f"{self.source}/{self.file}"
