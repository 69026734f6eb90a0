"""Learn from corrections: fit an adaptation, evaluate it on held-out faces, store and apply it if it helps; undo."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.inference import adaptation_store, analyzer
from rollcall.settings import Settings
from rollcall.storage.database import Database

#: How many uncorrected faces regularize the fit.
UNCORRECTED: Final = 600


class HeadReport(NamedTuple):
    """The evaluation of one head's adaptation on held-out faces."""

    faces: int  # corrected ones
    loss_before: float  # mean negative log likelihood of the corrections
    loss_after: float
    error_before: float  # age: mean years outside of the corrected range; gender: the share that is wrong
    error_after: float
    helps: bool


class AdaptationReport(NamedTuple):
    """The result of learning from corrections; `id` is None where nothing was stored."""

    id: int | None
    age: HeadReport
    gender: HeadReport

    @property
    def helps(self) -> bool:
        """Whether the adaptation of either head helps."""
        return self.age.helps or self.gender.helps


def learn(database: Database, settings: Settings, model_version: str, *, dry_run: bool = False) -> AdaptationReport:
    """Fit an adaptation to the corrections; store and apply it if it helps on held-out faces.

    With `dry_run` nothing is written.
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


def apply(database: Database, settings: Settings) -> None:
    """Apply the adaptation in use to all stored predictions."""
    after: int | None = 0
    while after is not None:
        # In portions, so that other writers do not wait for long.
        with database.write() as session:
            after = adaptation_store.apply_portion(session, settings.tags, after)
