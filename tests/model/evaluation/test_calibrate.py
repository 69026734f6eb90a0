from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model import attributes, calibrate, checkpoint, measures
from rollcall_model.attributes import Calibration, Outputs


def examples(count: int, sharpness: float, tilt: float = 0.0, seed: int = 0, width: float = 4.0) -> calibrate.Examples:
    """Ages drawn from known distributions; the logits told are `sharpness` times too sure and tilted."""
    rng = np.random.default_rng(seed)
    years = np.arange(attributes.AGES)
    centre = rng.uniform(5, 80, count)
    true_logits = -0.5 * ((years - centre[:, None]) / width) ** 2
    p = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    drawn = (p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    told = (true_logits - tilt * (years - 50) / 50) * sharpness
    logit = rng.normal(0, 2, count)
    female = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    out = Outputs(
        told.astype(np.float32),  # type: ignore[arg-type]
        (logit * sharpness + 0.5).astype(np.float32),  # type: ignore[arg-type]
        np.zeros((count, 128), np.float32),  # type: ignore[arg-type]
    )
    return calibrate.Examples(out, drawn.astype(np.float64), female)


def test_the_temperature_that_spoilt_the_logits_is_found_again() -> None:
    found = calibrate.fit(examples(4000, sharpness=2.0), "one temperature")
    assert found.age_temperature == pytest.approx(2.0, rel=0.12)
    assert found.age_temperature_growth == 0
    assert found.age_tilt == (0.0, 0.0)
    assert found.gender_temperature == pytest.approx(2.0, rel=0.15)
    assert found.gender_shift == pytest.approx(-0.25, abs=0.15)


def test_a_tilt_towards_the_old_is_taken_back() -> None:
    found = calibrate.fit(examples(4000, sharpness=1.0, tilt=4.0, width=10.0), "one temperature, tilted ages")
    spoilt = examples(4000, sharpness=1.0, tilt=4.0, seed=1, width=10.0)
    told = examples(4000, sharpness=1.0, seed=1, width=10.0)
    age, _ = calibrate.apply(spoilt.out, found)
    right, _ = calibrate.apply(told.out, Calibration())
    before, _ = calibrate.apply(spoilt.out, Calibration())
    gap = np.abs(measures.expectation(age) - measures.expectation(right)).mean()
    assert gap < 0.25 * np.abs(measures.expectation(before) - measures.expectation(right)).mean()


def test_the_interval_holds_four_in_five_new_faces_after_calibration() -> None:
    spoilt = examples(4000, sharpness=3.0)
    before, _ = calibrate.apply(spoilt.out, Calibration())
    assert measures.held(before, spoilt.years).mean() < 0.7
    fresh = examples(4000, sharpness=3.0, seed=1)
    after, p_female = calibrate.apply(fresh.out, calibrate.fit(spoilt, "one temperature"))
    assert measures.held(after, fresh.years).mean() == pytest.approx(0.8, abs=0.04)
    assert measures.calibration_error(p_female, fresh.female == 1) < 0.04


def test_cross_fitted_scores_are_not_those_of_the_faces_fitted_on() -> None:
    few = examples(60, sharpness=2.0)
    form = "temperature by age, tilted ages"
    crossed = calibrate.cross_fitted(few, form)
    age, p_female = calibrate.apply(few.out, calibrate.fit(few, form))
    flattering = calibrate.scores(age, p_female, few.years, few.female)
    assert crossed["gender_log_loss"] > flattering["gender_log_loss"]
    assert crossed["age_log_loss"] > flattering["age_log_loss"]


def test_of_the_forms_the_cheapest_is_stored_with_its_scores(tmp_path: Path, small_weights: Path) -> None:
    _, facts = calibrate.calibrate(examples(300, sharpness=2.0, tilt=6.0))
    assert facts["form"] == min(facts["tried"], key=lambda name: facts["tried"][name]["cost"])
    assert facts["cross_fitted"]["age_log_loss"] < facts["before"]["age_log_loss"]
    calibrate.store(small_weights, tmp_path / "out.safetensors", facts)
    model = attributes.AttributeModel(tmp_path / "out.safetensors")
    assert model.facts["calibration"]["form"] == facts["form"]
    assert model.facts["calibration"]["age_temperature"] == facts["age_temperature"]


def test_what_is_fitted_does_not_depend_on_a_calibration_before(
    tmp_path: Path, small_weights: Path, drawn_faces: tuple[Path, Path]
) -> None:
    crops, _ = drawn_faces
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    calibrate.main(["--crops", str(crops), "--weights", str(small_weights), "--out", str(first)])
    calibrate.main(["--crops", str(crops), "--weights", str(first), "--out", str(second)])
    facts = checkpoint.facts(first)["calibration"]
    assert facts == checkpoint.facts(second)["calibration"]
    # The training faces and the one whose age is only known as a range are left out.
    assert facts["faces"] == {"utkface val": 84}


def test_probabilities_used_are_those_that_were_calibrated(small_weights: Path, drawn_faces: tuple[Path, Path]) -> None:
    crops = np.load(drawn_faces[0] / "crops.npy")[:5, 12:92, 12:92]
    used = attributes.AttributeModel(small_weights)(crops)
    calibration = attributes.calibration_of(checkpoint.facts(small_weights))
    age, p_female = calibrate.apply(calibrate.raw(small_weights, crops), calibration)
    np.testing.assert_allclose(used.age, age, atol=1e-5)
    np.testing.assert_allclose(used.p_female, p_female, atol=1e-5)


def test_a_calibration_that_changes_nothing_is_softmax_and_sigmoid() -> None:
    out = examples(4, sharpness=1.0).out
    age, p_female = calibrate.apply(out, Calibration())
    told = np.asarray(out.age, np.float64)
    np.testing.assert_allclose(age, np.exp(told) / np.exp(told).sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(p_female, 1 / (1 + np.exp(-np.asarray(jnp.asarray(out.female)))), atol=1e-6)
