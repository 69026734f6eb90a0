"""Learn from corrections: fit an adaptation, judge it on held-out faces, keep it if it helps, apply it; undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rollcall.inference import adaptation_store, analyzer
from rollcall.settings import Settings
from rollcall.storage.database import Database

#: How many uncorrected faces regularize the fit.
UNCORRECTED: Final = 600


class HeadReport(NamedTuple):
    """How the adaptation of one head did on faces that it was not fitted on."""

    faces: int  # corrected ones
    loss_before: float  # mean negative log likelihood of the corrections
    loss_after: float
    error_before: float  # years outside of the corrected range; of the gender the share that is wrong
    error_after: float
    helps: bool


class AdaptationReport(NamedTuple):
    """The result of learning from corrections; `id` is None where nothing was kept."""

    id: int | None
    age: HeadReport
    gender: HeadReport

    @property
    def helps(self) -> bool:
        """Whether either head is better for it."""
        return self.age.helps or self.gender.helps


def learn(database: Database, settings: Settings, model_version: str, *, dry_run: bool = False) -> AdaptationReport:
    """Fit an adaptation to the corrections; keep and apply it if it helps on held-out faces.

    With `dry_run` nothing is written.

    Raises
    ------
    ModelError
        If the networks' package cannot be used.
    """
    with database.read() as session:
        found = list(adaptation_store.examples(session, model_version, UNCORRECTED))
    age, gender, learnt = analyzer.fit_adaptation(adaptation_store.as_arrays(found))
    report = AdaptationReport(None, HeadReport(**age), HeadReport(**gender))
    if dry_run or not report.helps:
        return report
    with database.write() as session:
        number = adaptation_store.add(session, model_version, learnt, {"age": age, "gender": gender})
    apply(database, settings)
    return report._replace(id=number)


def undo(database: Database, settings: Settings) -> int | None:
    """Withdraw the newest adaptation in use; return its number, None if there is none."""
    with database.write() as session:
        number = adaptation_store.undo(session)
    if number is not None:
        apply(database, settings)
    return number


def apply(database: Database, settings: Settings, progress: Callable[[int], Any] = lambda faces: None) -> None:
    """Apply the adaptation in use to all stored predictions; `progress` gets how many faces were done."""
    after = 0
    while True:
        # In parts, so that an index run beside it does not wait for long.
        with database.write() as session:
            part = adaptation_store.apply_portion(session, settings.tags, after)
        if part is None:
            return
        after, count = part
        progress(count)
