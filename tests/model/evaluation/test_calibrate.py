from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model import ages, checkpoint
from rollcall_model.attributes.calibration import Calibration, read_calibration
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.attributes.network import AttributeConfig, Outputs
from rollcall_model.evaluation import calibrate, fit, metrics, thresholds


def examples(count: int, sharpness: float, tilt: float = 0.0, seed: int = 0, width: float = 4.0) -> fit.Examples:
    """Ages sampled from known distributions; the logits are multiplied by `sharpness` and tilted."""
    rng = np.random.default_rng(seed)
    years = np.arange(ages.AGES)
    centre = rng.uniform(5, 80, count)
    true_logits = -0.5 * ((years - centre[:, None]) / width) ** 2
    p = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    sampled = (p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    logits = (true_logits - tilt * (years - 50) / 50) * sharpness
    logit = rng.normal(0, 2, count)
    female = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    out = Outputs(
        logits.astype(np.float32),  # type: ignore[arg-type]
        (logit * sharpness + 0.5).astype(np.float32),  # type: ignore[arg-type]
        np.zeros((count, 128), np.float32),  # type: ignore[arg-type]
    )
    return fit.Examples(out, sampled.astype(np.float64), female)


def test_the_temperature_that_was_applied_to_the_logits_is_recovered() -> None:
    found = fit.fit(examples(4000, sharpness=2.0), "one temperature")
    assert found.age_temperature == pytest.approx(2.0, rel=0.12)
    assert found.age_temperature_growth == 0
    assert found.age_tilt == (0.0, 0.0)
    assert found.gender_temperature == pytest.approx(2.0, rel=0.15)
    assert found.gender_shift == pytest.approx(-0.25, abs=0.15)


def test_a_shift_of_the_gender_that_the_labels_do_not_show_is_left_out() -> None:
    few = examples(300, sharpness=1.0, seed=2)
    centred = few._replace(out=few.out._replace(female=few.out.female - 0.5))
    found = fit.fit(centred, "one temperature")
    assert found.gender_shift == 0
    assert found.gender_temperature == pytest.approx(1.0, rel=0.3)


def test_a_tilt_towards_the_old_is_undone() -> None:
    found = fit.fit(examples(4000, sharpness=1.0, tilt=4.0, width=10.0), "one temperature, tilted ages")
    spoilt = examples(4000, sharpness=1.0, tilt=4.0, seed=1, width=10.0)
    unspoilt = examples(4000, sharpness=1.0, seed=1, width=10.0)
    age, _ = fit.apply(spoilt.out, found)
    right, _ = fit.apply(unspoilt.out, Calibration())
    before, _ = fit.apply(spoilt.out, Calibration())
    gap = np.abs(metrics.expectation(age) - metrics.expectation(right)).mean()
    assert gap < 0.25 * np.abs(metrics.expectation(before) - metrics.expectation(right)).mean()


def test_the_interval_covers_four_in_five_new_faces_after_calibration() -> None:
    spoilt = examples(4000, sharpness=3.0)
    before, _ = fit.apply(spoilt.out, Calibration())
    assert metrics.covered(before, spoilt.years).mean() < 0.7
    fresh = examples(4000, sharpness=3.0, seed=1)
    after, p_female = fit.apply(fresh.out, fit.fit(spoilt, "one temperature"))
    assert metrics.covered(after, fresh.years).mean() == pytest.approx(0.8, abs=0.04)
    assert metrics.calibration_error(p_female, fresh.female == 1) < 0.04


def test_cross_fitted_scores_are_not_those_of_the_faces_fitted_on() -> None:
    few = examples(60, sharpness=2.0)
    form = "temperature by age, tilted ages"
    crossed = fit.cross_fitted_scores(few, form)
    age, p_female = fit.apply(few.out, fit.fit(few, form))
    optimistic = fit.scores(age, p_female, few.years, few.female)
    assert crossed["gender_log_loss"] > optimistic["gender_log_loss"]
    assert crossed["age_log_loss"] > optimistic["age_log_loss"]


def test_the_form_of_the_lowest_cost_is_stored_with_its_scores(tmp_path: Path, small_weights: Path) -> None:
    _, metadata = calibrate.fit_calibration(examples(300, sharpness=2.0, tilt=6.0))
    assert metadata["form"] == min(metadata["tried"], key=lambda name: metadata["tried"][name]["cost"])
    assert metadata["cross_fitted"]["age_log_loss"] < metadata["before"]["age_log_loss"]
    calibrate.store(small_weights, tmp_path / "out.safetensors", calibration=metadata)
    model = AttributeModel(tmp_path / "out.safetensors")
    assert model.metadata["calibration"]["form"] == metadata["form"]
    assert model.metadata["calibration"]["age_temperature"] == metadata["age_temperature"]


def test_the_fit_does_not_depend_on_an_earlier_calibration(
    tmp_path: Path, small_weights: Path, synthetic_faces: tuple[Path, Path]
) -> None:
    crops, _ = synthetic_faces
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    calibrate.main(["--crops", str(crops), "--weights", str(small_weights), "--out", str(first)])
    calibrate.main(["--crops", str(crops), "--weights", str(first), "--out", str(second)])
    metadata = checkpoint.metadata(first)["calibration"]
    assert metadata == checkpoint.metadata(second)["calibration"]
    # The training faces and the one whose age is only known as a range are left out.
    assert metadata["faces"] == {"utkface val": 84}


def test_the_model_applies_the_stored_calibration(small_weights: Path, synthetic_faces: tuple[Path, Path]) -> None:
    size = AttributeConfig().size
    crops = np.load(synthetic_faces[0] / "crops.npy")[:5, :size, :size]
    used = AttributeModel(small_weights)(crops)
    calibration = read_calibration(checkpoint.metadata(small_weights))
    age, p_female = fit.apply(fit.uncalibrated(small_weights, crops), calibration)
    np.testing.assert_allclose(used.age, age, atol=1e-5)
    np.testing.assert_allclose(used.p_female, p_female, atol=1e-5)


def test_the_identity_calibration_is_softmax_and_sigmoid() -> None:
    out = examples(4, sharpness=1.0).out
    age, p_female = fit.apply(out, Calibration())
    logits = np.asarray(out.age, np.float64)
    np.testing.assert_allclose(age, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(p_female, 1 / (1 + np.exp(-np.asarray(jnp.asarray(out.female)))), atol=1e-6)


def test_the_command_stores_thresholds_and_similarity_in_the_metadata(
    tmp_path: Path, small_weights: Path, synthetic_faces: tuple[Path, Path]
) -> None:
    crops, sets = synthetic_faces
    out, before = tmp_path / "out.safetensors", checkpoint.digest(small_weights)
    calibrate.main([f"--data={sets}", f"--crops={crops}", f"--weights={small_weights}", f"--out={out}"])
    metadata = checkpoint.metadata(out)
    assert set(metadata["tag_thresholds"]["thresholds"]) == set(ages.TAG_GROUPS)
    assert metadata["tag_thresholds"]["faces"] == 84
    similarity = metadata["similarity"]
    assert 0 < similarity["midpoint"] < 1
    # Two pictures of one synthetic person are nearly identical, so all of their pairs are more similar than others.
    assert similarity["same_person"] <= similarity["other_person"] <= similarity["renamed"] <= 1
    assert checkpoint.digest(out) == before


def test_the_similarity_that_generated_the_pairs_is_recovered() -> None:
    rng = np.random.default_rng(0)
    cosine = rng.uniform(0.5, 1.0, 20_000)
    same = rng.random(20_000) < 1 / (1 + np.exp(-30 * (cosine - 0.75)))
    midpoint, steepness = thresholds.fit_similarity(cosine, same)
    assert midpoint == pytest.approx(0.75, abs=0.01)
    assert steepness == pytest.approx(30, rel=0.1)


def test_match_thresholds_are_quantiles_of_genuine_and_impostor_pairs() -> None:
    found = thresholds.match_thresholds(np.linspace(0.2, 1, 10_001), np.linspace(-0.5, 0.5, 10_001))
    assert found == {"same_person": 0.49, "other_person": 0.201, "renamed": 0.8}


def test_a_threshold_reaches_its_precision_with_a_margin_or_is_none() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    truth = rng.random(20_000) < p
    threshold = thresholds.threshold_at_precision(p, truth, 0.9)
    assert threshold is not None
    assert truth[p >= threshold].mean() > 0.9
    assert thresholds.threshold_at_precision(p, ~truth, 0.9) is None
    assert thresholds.threshold_at_precision(p[:10], truth[:10], 0.5) is None
