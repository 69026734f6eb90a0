"""Learn from corrections: fit an adaptation, evaluate it on held-out faces, store and apply it if it helps; undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import func, select

from rollcall.inference import adaptation_store, analyzer
from rollcall.inference.adaptation import Adaptation
from rollcall.inference.adaptation_store import Example
from rollcall.records import Face
from rollcall.settings import Settings
from rollcall.storage.database import Database
from rollcall.storage.tables import PredictionRow

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
    changed: int = 0  # about how many faces would be shown with another age or gender

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
        faces = session.scalar(select(func.count()).select_from(PredictionRow)) or 0
    age, gender, learnt = analyzer.fit_adaptation(adaptation_store.as_arrays(found), settings)
    report = AdaptationReport(None, HeadReport(**age), HeadReport(**gender), _changed(found, learnt, faces))
    if dry_run or not report.helps:
        return report
    with database.write() as session:
        number = adaptation_store.add(session, model_version, learnt, {"age": age, "gender": gender})
    apply(database, settings)
    return report._replace(id=number)


def _changed(found: Sequence[Example], learnt: Adaptation, faces: int) -> int:
    """Return about how many of all faces would be shown with another age or gender, from those that were read."""
    uncorrected = [one.face for one in found if one.age is None and one.gender is None]
    differ = sum(_shown(face) != _shown(learnt.applied(face)) for face in uncorrected)
    return round(differ / len(uncorrected) * faces) if uncorrected else 0


def _shown(face: Face) -> tuple[float | None, bool | None]:
    return face.age, None if face.p_female is None else face.p_female >= 0.5


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
