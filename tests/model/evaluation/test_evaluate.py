from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rollcall import ages
from rollcall_model.ages import BANDS
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets.faces import central_crops, load
from rollcall_model.evaluation import evaluate, metrics, report, sections
from rollcall_model.evaluation.quick import quick_scores


def distributions(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = rng.gamma(0.1, size=(count, 101))
    p[0] = np.eye(101)[0]  # all mass on one year, at either end
    p[1] = np.eye(101)[100]
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def test_intervals_are_those_of_the_plugin() -> None:
    p = distributions(50)
    ours = metrics.intervals(p)
    theirs = np.array([ages.interval(row) for row in p])
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_estimated_ages_and_the_probability_of_a_child_are_those_of_the_plugin() -> None:
    p = distributions(20)
    group = ages.AGE_GROUPS["children"]
    np.testing.assert_allclose(metrics.estimate(p), ages.estimate(p))
    np.testing.assert_allclose(metrics.p_child(p), ages.mass(p, group.low, group.high))


def test_true_probabilities_have_next_to_no_calibration_error_and_overconfident_ones_do() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    truth = rng.random(20_000) < p
    assert metrics.calibration_error(p, truth) < 0.015
    assert metrics.calibration_error(np.where(p > 0.5, 0.99, 0.01), truth) > 0.2


def test_calibration_error_of_a_worked_example() -> None:
    p = np.array([0.1, 0.1, 0.9, 0.9])
    truth = np.array([False, True, True, True])
    # Two bins of two faces: predicted 0.1, true 0.5; predicted 0.9, true 1.
    assert metrics.calibration_error(p, truth) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)


def test_recall_at_a_precision_takes_the_lowest_threshold_that_keeps_it() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    truth = np.array([True, True, False, True, False])
    assert metrics.recall_at_precision(scores, truth, 1.0) == pytest.approx((2 / 3, 0.8))
    assert metrics.recall_at_precision(scores, truth, 0.75) == pytest.approx((1.0, 0.6))
    assert metrics.recall_at_precision(-scores, ~truth & False, 0.5) == (0.0, float("inf"))


def test_faces_with_equal_scores_are_above_a_threshold_together() -> None:
    _, precision, recall = metrics.precision_recall(np.array([0.5, 0.5]), np.array([True, False]))
    assert (precision.tolist(), recall.tolist()) == ([0.5], [1.0])


def test_no_more_impostor_pairs_than_allowed_exceed_the_threshold() -> None:
    impostors = np.random.default_rng(0).normal(size=1000)
    for far, most in ((0.01, 10), (0.001, 1), (0.0001, 0)):
        assert (impostors > metrics.threshold_at_far(impostors, far)).sum() == most


def test_the_threshold_of_a_fold_is_found_on_the_other_folds() -> None:
    same = np.tile([True, False], 20)
    folds = np.repeat([0, 1], 20)
    scores = np.where(same, 1.0, 0.0)
    assert metrics.verification(scores, same, folds) == 1.0
    # Shifted as a whole, the second fold is separable, but not by the first one's threshold.
    shifted = scores + np.where(folds == 1, 5.0, 0.0)
    assert metrics.verification(shifted, same, folds) == 0.5


@pytest.mark.parametrize(
    ("years", "band"), [(0, "0-2"), (2, "0-2"), (3, "3-12"), (12.4, "3-12"), (12.6, "13-19"), (116, "80+")]
)
def test_bands_contain_completed_years_and_the_nearest_year_of_an_estimate(years: float, band: str) -> None:
    assert list(BANDS)[metrics.band_of(np.array([years]))[0]] == band


def test_the_range_of_a_ratio_is_wilsons() -> None:
    line = metrics.ratio_with_range(np.array([True] * 8 + [False] * 2))
    assert (line["low"], line["high"]) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))


def certain(
    years: list[int], p_female: list[float], female: list[int], group: list[str]
) -> sections.LabelledPredictions:
    """Faces whose true age is predicted with certainty."""
    return sections.LabelledPredictions(
        np.eye(101)[years], np.array(p_female), np.array(years, float), np.array(female), np.array(group)
    )


def test_gaps_between_labels_are_named_and_children_are_left_out_of_them() -> None:
    found = sections.gender(certain([30, 30, 40, 40, 5], [0.9, 0.2, 0.9, 0.9, 0.9], [1, 0, 1, 0, 0], [*"aabbb"]))
    assert found["gap"] == {"best": "a", "worst": "b", "points": 50.0}
    assert (found["from_13"]["ratio"], found["all"]["ratio"]) == (0.75, 0.6)


def test_faces_without_a_gender_do_not_count_for_it() -> None:
    found = sections.gender(certain([30, 30], [0.9, 0.9], [1, -1], ["", ""]))
    assert (found["all"]["n"], found["all"]["ratio"], found["gap"]) == (1, 1.0, None)


def test_an_age_above_a_hundred_is_covered_by_an_interval_that_ends_there() -> None:
    assert metrics.covered(np.eye(101)[[100]], np.array([116.0])).all()


def test_the_command_writes_the_scores_the_page_and_the_plots(
    tmp_path: Path,
    small_weights: Path,
    synthetic_faces: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib", reason="plots are an extra")
    crops, sets = synthetic_faces
    evaluate.main(
        [f"--{name}={value}" for name, value in
         {"data": sets, "crops": crops, "weights": small_weights, "out": tmp_path / "out"}.items()]
    )  # fmt: skip
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    faces = load(crops)
    rows = faces.with_exact_age(faces.where(split="val"))
    model = AttributeModel(small_weights)
    age = model(central_crops(faces, rows, model.size)).age
    error = np.abs(metrics.estimate(age) - faces.ages[rows, 0])
    assert found["faces"]["with_age"] == 84
    assert found["age"]["all"]["mae"] == pytest.approx(error.mean(), rel=1e-4)
    assert found["age"]["bands"]["80+"]["n"] == 14
    # One person's pictures are nearly identical, so that even this network separates the people.
    assert found["identity"]["sets"]["lfw"]["protocol"]["pairs"] == 16
    assert found["identity"]["sets"]["lfw"]["all_pairs"]["tar"]["0.01"] == 1.0
    page = (tmp_path / "out" / "report.md").read_text()
    assert "**The gap:**" in page
    assert "No set with identities of children is at hand" in page
    assert page in capsys.readouterr().out
    for name in ("age", "child", "gender", "identity"):
        assert f"![{name}]({name}.png)" in page
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_set_can_be_evaluated_alone_and_missing_labels_leave_sections_out(
    small_weights: Path, synthetic_faces: tuple[Path, Path]
) -> None:
    faces = load(synthetic_faces[0])
    only_people = evaluate.evaluate(small_weights, faces, source="lfw")
    assert (only_people["age"], only_people["gender"], only_people["child"]) == (None, None, None)
    assert "protocol" not in only_people["identity"]["sets"]["lfw"]
    only_ages = evaluate.evaluate(small_weights, faces, source="utkface", split="train")
    assert only_ages["identity"] is None
    assert only_ages["age"]["all"]["n"] == 12
    assert "## Identity" not in report.markdown(only_ages, [])


def test_without_matplotlib_the_page_is_written_and_says_so(
    tmp_path: Path,
    small_weights: Path,
    synthetic_faces: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = evaluate.evaluate(small_weights, load(synthetic_faces[0]))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert report.NO_PLOTS in report.write(found, tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_the_quick_scores_are_those_of_the_whole_evaluation(
    small_weights: Path, synthetic_faces: tuple[Path, Path]
) -> None:
    crops, sets = synthetic_faces
    faces = load(crops)
    # The quick scores include ages known as a range, by their middle.
    whole = evaluate.evaluate(small_weights, faces, sets)
    quick = quick_scores(small_weights, faces, sets)
    protocol = whole["identity"]["sets"]["lfw"]["protocol"]
    assert quick["lfw"] == pytest.approx(protocol["accuracy"], abs=1e-4)
    assert quick["mae"] == pytest.approx(whole["age"]["all"]["mae"], abs=0.5)
