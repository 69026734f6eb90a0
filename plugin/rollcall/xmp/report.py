"""What reading and writing of sidecars did, and what is known of them; for people and hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rollcall.xmp.writer import Result


@dataclass
class SidecarReport:
    """What a run of reading or writing sidecars did."""

    read: int = 0  # photos and sidecars that said something new
    corrections: int = 0  # recorded because of what a person did in another program
    written: int = 0  # sidecars made or changed; in a dry run those that would be
    deleted: int = 0  # sidecars that Rollcall had made and that have nothing left
    unchanged: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)  # (path, reason)
    files: list[str] = field(default_factory=list)  # paths of those written and deleted

    def add(self, result: Result) -> None:
        """Count what became of one sidecar."""
        if result.state == "written":
            self.written += 1
        elif result.state == "deleted":
            self.deleted += 1
        elif result.state == "unchanged":
            self.unchanged += 1
        elif result.state == "problem":
            self.problems.append((str(result.path), result.reason))
        if result.state in ("written", "deleted"):
            self.files.append(str(result.path))


class SidecarStatus(NamedTuple):
    """What is known of sidecars and embedded metadata."""

    writing: bool  # whether any setting turns writing on
    embedded: int  # photos that hold keywords or regions themselves
    sidecars: int  # photos with a sidecar
    written: int  # sidecars with entries of Rollcall
    host_faces: int  # faces that only another program gave
    problems: Mapping[str, str]  # path to reason
