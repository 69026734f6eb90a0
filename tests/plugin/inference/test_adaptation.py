"""Adaptations: learnt from corrections, stored beside the networks' predictions, undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.host import Plugin
from rollcall.inference import adaptation
from rollcall.inference.adaptation import Adaptation, Head
from rollcall.records import Box, Face


class WideBlobs(BlobAnalyzer):
    """Predicts wide distributions of ages, as networks do."""

    def analyze(self, pictures: Any) -> Any:
        return [tuple(map(self._widened, faces)) for faces in super().analyze(pictures)]

    @staticmethod
    def _widened(face: Face) -> Face:
        assert face.age is not None
        wide = np.exp(-0.5 * ((np.arange(101) - face.age) / 8) ** 2)
        return replace(face, age_distribution=(wide / wide.sum()).astype(np.float32))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plugin, Path, list[Any]]]:
    """A library with one person who is estimated fifteen years too young, and the estimates before the corrections."""
    folder = tmp_path_factory.mktemp("adapt")
    for number in range(60):
        person = (30, 0) if number % 2 else (60, 255)
        draw(folder / "photos" / f"{number:02}.png", person, seed=number)
    plugin = Plugin({"database.url": f"sqlite:///{folder / 'adapt.db'}"}, analyzer=WideBlobs())
    plugin.start()
    plugin.index([folder / "photos"])
    before = estimates(plugin)
    for face_id, path, _ in before:
        if int(path[:2]) < 48:
            plugin.correct(corrections.age(face_id, 45 if int(path[:2]) % 2 else 60))
    yield plugin, folder / "photos", before
    plugin.stop()


def estimates(plugin: Plugin) -> list[Any]:
    with plugin.database.read() as session:
        return [
            tuple(row)
            for row in session.execute(
                text(
                    "SELECT f.id, p.path, m.age FROM faces f JOIN photos p ON p.id = f.photo_id"
                    " JOIN predictions m ON m.face_id = f.id ORDER BY p.path"
                )
            )
        ]


def test_an_adaptation_changes_similar_faces_and_can_be_undone(learnt: tuple[Plugin, Path, list[Any]]) -> None:
    plugin, photos, before = learnt
    tried = plugin.adapt(dry_run=True)
    assert tried.id is None and tried.age.helps
    assert estimates(plugin) == before
    report = plugin.adapt()
    assert report.id is not None and report.age.helps
    assert report.age.error_after < report.age.error_before
    after = estimates(plugin)
    for (_, path, old), (_, _, new) in zip(before, after, strict=True):
        # Uncorrected faces, too.
        if int(path[:2]) % 2:
            assert new > old + 3
        else:
            assert abs(new - old) < 3
    draw(photos / "61.png", (30, 0), seed=99)
    plugin.index([photos])
    assert estimates(plugin)[-1][2] == pytest.approx(after[-1][2], abs=1)
    (stored,) = plugin.adaptations()
    assert (stored.id, stored.in_use, stored.network) == (report.id, True, "blobs-1")
    assert plugin.undo_adaptation() == report.id
    assert estimates(plugin)[:-1] == before
    assert estimates(plugin)[-1][2] == pytest.approx(before[-1][2], abs=0.5)
    assert plugin.undo_adaptation() is None


def test_too_few_corrections_change_nothing(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", (30, 0))
    plugin = Plugin({"database.url": f"sqlite:///{tmp_path / 'a.db'}"}, analyzer=WideBlobs())
    plugin.start()
    plugin.index([tmp_path / "photos"])
    plugin.correct(corrections.age(1, 50))
    report = plugin.adapt()
    assert (report.id, report.helps, report.age.faces) == (None, False, 1)
    assert plugin.adaptations() == []
    plugin.stop()


FACE = Face(Box(0, 0, 1, 1), (), 1.0, 1.0, np.full(101, 1 / 101, np.float32), 0.5, np.eye(128, dtype=np.float32)[0])


@given(st.floats(0.5, 2), st.floats(-9, 9), st.floats(-9, 9))
def test_an_adapted_distribution_sums_to_one(temperature: float, tilt: float, bend: float) -> None:
    head = Head(temperature, (tilt, bend), np.zeros(adaptation.FEATURES))
    face = Adaptation(head, head).applied(FACE)
    assert face.age_distribution is not None and face.p_female is not None
    assert face.age_distribution.sum() == pytest.approx(1, abs=1e-4)
    assert 0 <= face.p_female <= 1
    assert face.network_age_distribution is FACE.age_distribution and face.network_p_female == 0.5
    assert adaptation.from_dict(Adaptation(head).as_dict()).applied(FACE).p_female == 0.5


def test_products_of_features_approximate_the_kernel() -> None:
    rng = np.random.default_rng(0)
    one, two = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 128)))
    near = one + 0.3 * two
    near /= np.linalg.norm(near)
    for other in (one, near, two):
        expected = np.exp(-(adaptation.SHARPNESS**2) * ((one - other) ** 2).sum() / 2)
        assert adaptation.features(one) @ adaptation.features(other) == pytest.approx(expected, abs=0.12)


def test_the_networks_package_defines_the_same_adaptation() -> None:
    import jax.numpy as jnp

    from rollcall_model.attributes import adapt

    weights = np.random.default_rng(2).normal(size=adaptation.FEATURES)
    theta = {"temperature": jnp.float32(0.4), "tilt": jnp.array([0.3, -0.2]), "features": jnp.asarray(weights / 5)}
    features = adaptation.features(np.asarray(FACE.embedding))[None].astype(np.float32)
    expected = np.exp(np.asarray(adapt.adapted_age(theta, FACE.age_distribution[None], features, jnp.float32(5))))[0]  # type: ignore
    head = Head(float(np.exp(0.4 * adapt.TEMPERATURE_STD)), (0.3 * adapt.TILT_STD, -0.2 * adapt.TILT_STD), weights)
    applied = Adaptation(head).applied(FACE).age_distribution
    assert applied == pytest.approx(expected, abs=1e-4)
