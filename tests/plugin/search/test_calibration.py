"""The calibration of similarities travels with the weights, also that of the weights before them."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall import resources
from rollcall.corrections.matching import KnownFace, match
from rollcall.records import Box
from rollcall.search.calibration import Calibration, calibration


def test_it_is_that_of_the_shipped_weights() -> None:
    stored = resources.weights_metadata()
    shipped = Calibration(**stored["similarity"])
    assert calibration() == calibration(f"{stored['version']}:0123456789ab") == calibration("blobs-1") == shipped
    assert shipped.cosine(0.5) == pytest.approx(shipped.midpoint)
    assert shipped.probability(np.array([shipped.midpoint, 1.0]))[1] > 0.99
    assert shipped.other_person < shipped.same_person < shipped.renamed


def test_embeddings_of_earlier_weights_have_their_own() -> None:
    earlier = calibration("attributes-4:6fc9e939191d")
    assert earlier == calibration("attributes-4") != calibration()
    assert (earlier.midpoint, earlier.same_person) == (0.755, 0.795)


def faces(cosine: float, weights: str) -> tuple[KnownFace, KnownFace]:
    """Return faces of some cosine similarity, at different places."""
    a, b = np.zeros(128, np.float32), np.zeros(128, np.float32)
    a[0], b[:2] = 1, (cosine, np.sqrt(1 - cosine**2))
    return KnownFace(Box(0, 0, 0.2, 0.2), a, weights), KnownFace(Box(0.6, 0.6, 0.2, 0.2), b, weights)


@pytest.mark.parametrize("weights", ["", "attributes-4:6fc9e939191d"])
def test_faces_of_an_edited_picture_match_from_the_threshold_of_their_weights_on(weights: str) -> None:
    threshold = calibration(weights).same_person
    for cosine, matched in ((threshold + 0.01, {0: 0}), (threshold - 0.01, {})):
        old, new = faces(cosine, weights)
        assert match([old], [new], same_picture=False) == matched
