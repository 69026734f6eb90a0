"""Learning from corrections: fit, judge, keep if it helps, apply to all that is stored; undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rollcall import faces
from rollcall.settings import Settings
from rollcall.store import adaptations
from rollcall.store.database import Database

#: So many faces that nobody spoke of hold the correction back.
SILENT: Final = 600


class HeadReport(NamedTuple):
    """How the correction of one head did on faces that it was not fitted on."""

    faces: int  # that a person spoke of
    loss_before: float  # mean negative log likelihood of what the person said
    loss_after: float
    error_before: float  # years outside of what was said; of the gender the share that is wrong
    error_after: float
    helps: bool


class AdaptReport(NamedTuple):
    """What came of learning from corrections; `id` is None where nothing was kept."""

    id: int | None
    age: HeadReport
    gender: HeadReport

    @property
    def helps(self) -> bool:
        """Whether either head is better for it."""
        return self.age.helps or self.gender.helps


def learn(database: Database, settings: Settings, model_version: str, *, keep: bool = True) -> AdaptReport:
    """Fit a correction of the estimates to what a person said; keep and apply it if faces held out say it helps.

    With `keep` False nothing is written.

    Raises
    ------
    ModelError
        If the networks' package cannot be used.
    """
    with database.read() as session:
        found = list(adaptations.examples(session, model_version, SILENT))
    age, gender, learnt = faces.fit_adaptation(adaptations.as_arrays(found))
    report = AdaptReport(None, HeadReport(**age), HeadReport(**gender))
    if not keep or not report.helps:
        return report
    with database.write() as session:
        number = adaptations.add(session, model_version, learnt, {"age": age, "gender": gender})
    apply(database, settings)
    return report._replace(id=number)


def undo(database: Database, settings: Settings) -> int | None:
    """Take back the newest correction that is in use; return its number, None if there is none."""
    with database.write() as session:
        number = adaptations.undo(session)
    if number is not None:
        apply(database, settings)
    return number


def apply(database: Database, settings: Settings, told: Callable[[int], Any] = lambda faces: None) -> None:
    """Correct all stored estimates as is in use now; `told` hears how many faces were done."""
    after = 0
    while True:
        # In parts, so that an index run beside it does not wait for long.
        with database.write() as session:
            part = adaptations.write_anew(session, settings.tags, after)
        if part is None:
            return
        after, count = part
        told(count)
