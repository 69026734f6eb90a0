"""What a model is: two networks, the digest of the weights, the settings that change results."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blobs import BlobAnalyzer, draw
from rollcall import Plugin
from rollcall.corrections.matching import KnownFace, cosine_similarity, match
from rollcall.model_version import ModelVersion, weights_of
from rollcall.records import Box
from rollcall.settings import SWITCHES
from rollcall_model import checkpoint, versions
from rollcall_model.weights import PATH

NAMES = st.text("abcdefgh0123456789-.", min_size=1, max_size=12).filter(
    lambda name: not name.endswith(tuple(f"-{switch}" for switch in SWITCHES))
)


@given(
    st.builds(
        ModelVersion,
        detector=NAMES,
        attributes=NAMES,
        digest=st.just("") | st.text("0123456789abcdef", min_size=12, max_size=12),
        options=st.just("") | st.text("0123456789/.", min_size=1, max_size=20),
        switched_off=st.sets(st.sampled_from(SWITCHES)).map(lambda off: tuple(s for s in SWITCHES if s in off)),
    )
)
def test_a_version_is_the_same_after_it_was_stored(version: ModelVersion) -> None:
    assert ModelVersion.parse(str(version)) == version
    assert str(version) in version.sufficient


def test_weights_of_one_name_and_other_numbers_are_other_weights(tmp_path: Path) -> None:
    other = tmp_path / "attributes.safetensors"
    shutil.copy(PATH, other)
    data = bytearray(other.read_bytes())
    data[-5] ^= 1
    other.write_bytes(bytes(data))
    ours, theirs = versions.attributes(), versions.attributes(other)
    assert ours.name == theirs.name
    assert ours.digest != theirs.digest


def test_new_metadata_are_the_same_weights(tmp_path: Path) -> None:
    other = tmp_path / "attributes.safetensors"
    shutil.copy(PATH, other)
    checkpoint.update_metadata(other, similarity={"midpoint": 0.5, "steepness": 10.0})
    assert versions.attributes(other).digest == versions.attributes().digest


def test_embeddings_of_other_weights_are_never_compared() -> None:
    one = np.ones(4, np.float32) / 2
    box, elsewhere = Box(0, 0, 0.1, 0.1), Box(0.8, 0.8, 0.1, 0.1)
    a = KnownFace(box, one, weights_of("mtcnn-4+attributes-4:aaaaaaaaaaaa@1280"))
    b = KnownFace(elsewhere, one, weights_of("mtcnn-4+attributes-4:bbbbbbbbbbbb@1280"))
    c = KnownFace(elsewhere, one, weights_of("mtcnn-9+attributes-4:aaaaaaaaaaaa@640-age"))
    assert cosine_similarity(a, b) is None
    assert cosine_similarity(a, c) == pytest.approx(1.0), "the detector and its settings do not matter"
    assert match([a], [b], same_picture=False) == {}
    assert match([a], [c], same_picture=False) == {0: 0}


def test_similar_faces_are_those_of_the_same_weights(tmp_path: Path, library: Path) -> None:
    draw(library / "old.png", (5, 255))
    values = {"database.url": f"sqlite:///{tmp_path / 'v.db'}"}
    with Plugin(values, analyzer=BlobAnalyzer("blobs-1:aaaaaaaaaaaa")) as plugin:
        plugin.index(library)
    draw(library / "new.png", (5, 255), seed=1)
    draw(library / "newer.png", (5, 255), seed=2)
    with Plugin(values, analyzer=BlobAnalyzer("blobs-1:bbbbbbbbbbbb")) as plugin:
        plugin.service.indexer.update([library / "new.png", library / "newer.png"])
        by_name = {photo.path.name: photo.faces[0].face_id for photo in plugin.photos([1, 2, 3])}
        similar = dict(plugin.similar(by_name["new.png"]))
        assert by_name["newer.png"] in similar
        assert by_name["old.png"] not in similar
