"""Directions that poor faces have in common are found among those in which all faces differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from rollcall.people.evidence import WEAK_SCORE, WEAK_SHARPNESS, WEAK_SIDE
from rollcall_model.evaluation.nuisance import Poor, directions, main


def test_what_poor_faces_have_in_common_is_found_and_what_all_faces_differ_in_is_left() -> None:
    random = np.random.default_rng(0)
    everybody, blurred, turned = np.linalg.qr(random.normal(size=(32, 3)))[0].T
    usual = random.normal(size=(4000, 32)) * 0.1 + random.normal(size=(4000, 1)) * everybody
    poor = random.normal(size=(4000, 32)) * 0.1 + random.normal(size=(4000, 1)) * everybody
    # Blurred ones have a mean in common, turned ones look to either side.
    poor += blurred + 0.5 * random.choice([-1, 1], size=(4000, 1)) * turned
    found = directions(poor, usual, 2)
    assert np.abs(found @ found.T - np.eye(2)).max() < 1e-9
    assert abs(found[0] @ blurred) > 0.99
    assert abs(found[1] @ turned) > 0.99
    assert np.abs(found @ everybody).max() < 0.1


def test_a_folder_without_poor_faces_is_named(tmp_path: Path) -> None:
    out = tmp_path / "nuisance.json"
    options = {"--photos": tmp_path, "--crops": tmp_path, "--out": out}
    result = CliRunner().invoke(main, [str(one) for pair in options.items() for one in pair])
    assert result.exit_code == 1
    assert f"{tmp_path}: no JPEG photograph in this folder shows a poor face" in result.output
    assert not out.exists()


def test_faces_are_poor_as_they_are_in_the_application() -> None:
    assert Poor() == (WEAK_SCORE, WEAK_SHARPNESS, WEAK_SIDE)
