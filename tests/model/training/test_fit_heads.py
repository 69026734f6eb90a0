"""Fitting heads to a mixture of data sets: years and ranges are learnt, nuisance is removed from the embedding."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

from rollcall_model import checkpoint
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeConfig, AttributeNet, unit_length
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.samples import UNKNOWN, Sample
from rollcall_model.training import fit_heads, head_features, nuisance, prepare
from rollcall_model.training.config import HeadConfig
from rollcall_model.training.head_features import MixtureFeatures
from rollcall_model.training.train import VERSION

NETWORK = AttributeConfig(size=16, widths=(8,), depths=(1,), kernels=(3,), features=24, expansion=2)
CONFIG = HeadConfig(steps=300, batch=64, learning_rate=2e-2, dropout=0.0, penalty=0.0)


def mixture(count: int = 240) -> MixtureFeatures:
    """Faces of two sets whose features hold their age, their gender, and the set that they are of."""
    rng = np.random.default_rng(0)
    views = rng.normal(0, 1, (3, count, NETWORK.features)).astype(np.float32)
    views[1:] = views[0] + 0.1 * rng.normal(0, 1, views[1:].shape).astype(np.float32)
    source = np.where(np.arange(count) % 2, "utkface", "fairface")
    years = np.clip(30 + 15 * views[0, :, 0], 0, 100).astype(int)
    views[:, :, 2] += 3 * (source == "utkface")
    ranged = source == "fairface"
    low = np.where(ranged, years // 10 * 10, years)
    high = np.where(ranged, np.minimum(years // 10 * 10 + 9, 100), years)
    return MixtureFeatures(source, low, high, (views[0, :, 1] > 0).astype(int), views, ~ranged)


def test_the_heads_learn_from_years_and_from_ranges() -> None:
    net, data = AttributeNet(NETWORK, nnx.Rngs(0), fused=True), mixture()
    fit_heads.fit_attribute_heads(net, data, CONFIG)
    age = np.asarray(net.age(jnp.asarray(data.views[0]))).argmax(1)
    outside = np.maximum(np.maximum(data.low - age, age - data.high), 0)
    assert outside.mean() < 5
    logit = np.asarray(net.gender(jnp.asarray(data.views[0])))[:, 0]
    assert ((logit > 0) == (data.female == 1)).mean() > 0.9


def test_a_range_is_learnt_by_its_whole_probability_and_a_year_by_its_target() -> None:
    logits = jnp.zeros((3, 101)).at[:, 33].set(20.0)
    low, high = jnp.array([30, 33, 60]), jnp.array([39, 33, 69])
    inside, year, outside = np.asarray(fit_heads.range_loss(jax.nn.log_softmax(logits), low, high, CONFIG)).tolist()
    assert inside == pytest.approx(0, abs=1e-4)
    assert 0 < year < outside


def test_the_share_of_a_set_and_the_frequency_of_an_age_decide_how_often_a_face_is_drawn() -> None:
    data = mixture()
    weight = fit_heads.mixture_weights(data, CONFIG)
    assert weight.sum() == pytest.approx(1)
    assert weight[data.source == "utkface"].sum() == pytest.approx(0.45 / 0.65)
    mine = np.flatnonzero(data.source == "utkface")
    common = mine[np.argmin(np.abs(data.low[mine] - 30))]
    assert weight[mine[np.argmax(data.low[mine])]] > weight[common]
    unlabelled = data._replace(low=np.where(data.source == "utkface", UNKNOWN, data.low))
    assert fit_heads.mixture_weights(unlabelled, CONFIG)[mine].sum() == 0


def embeddings(net: AttributeNet, data: MixtureFeatures) -> np.ndarray:
    return np.asarray(unit_length(net.identity(jnp.asarray(data.views[0]))))


def test_the_set_of_a_face_no_longer_makes_embeddings_similar() -> None:
    net, data = AttributeNet(NETWORK, nnx.Rngs(0), fused=True), mixture()

    def distance_of_means() -> float:
        found = embeddings(net, data)
        means = [found[data.source == name].mean(0) for name in ("utkface", "fairface")]
        return float(np.linalg.norm(means[0] - means[1]))

    before = distance_of_means()
    nuisance.remove_nuisance(net, data, CONFIG)
    assert distance_of_means() < 0.3 * before
    assert embeddings(net, data).shape == (240, 128)


def test_the_projection_removes_as_many_directions_as_are_configured() -> None:
    net, data = AttributeNet(NETWORK, nnx.Rngs(0), fused=True), mixture()
    raw = data.views @ np.asarray(net.identity.kernel[...], np.float64)
    for config, removed in (
        (CONFIG, 1 + 2 + 1),  # two sets differ in one direction
        (CONFIG._replace(set_directions=0, age_directions=0), 1),
        (CONFIG._replace(set_directions=0, age_directions=0, augmentation_directions=0), 0),
    ):
        _, projection = nuisance.nuisance_projection(raw, data, config)
        assert np.trace(projection) == pytest.approx(128 - removed)
        np.testing.assert_allclose(projection @ projection, projection, atol=1e-9)


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    samples = [Sample("utkface", f"{i}.png", "train" if i % 4 else "val", (i, i), bool(i % 2)) for i in range(12)]
    samples += [Sample("fairface", f"{i}.png", "train", (20, 29), None) for i in range(4)]
    samples += [Sample("lfw", "a.png", "train", identity="a")]
    folder = tmp_path / "crops"
    folder.mkdir()
    np.save(folder / "crops.npy", rng.integers(0, 255, (len(samples), stored.STORED, stored.STORED, 3), np.uint8))
    (folder / "samples.jsonl").write_text("".join(json.dumps([*s, True]) + "\n" for s in samples))
    return folder


def test_features_have_augmented_views_of_faces_whose_age_is_known_to_the_year(crops: Path, tmp_path: Path) -> None:
    faces = stored.load(crops)
    net = AttributeNet(NETWORK, nnx.Rngs(0), fused=True)
    data = head_features.mixture_features(net, faces, faces.where(split="train"), HeadConfig())
    assert data.source.tolist() == ["utkface"] * 9 + ["fairface"] * 4 + ["lfw"]
    assert data.augmented.tolist() == [True] * 9 + [False] * 5
    assert data.labelled.tolist() == [True] * 13 + [False]
    assert data.female.tolist()[9:] == [UNKNOWN] * 5
    assert (np.abs(data.views[2, :9] - data.views[0, :9]).max(1) > 0).all() and not data.views[2, 9:].any()
    head_features.save(tmp_path / "features.npz", data)
    for a, b in zip(data, head_features.load(tmp_path / "features.npz"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_command_writes_weights_with_the_trunk_as_it_was(crops: Path, tmp_path: Path) -> None:
    before, after, config = (tmp_path / name for name in ("before.safetensors", "after.safetensors", "run.toml"))
    save_net(before, AttributeNet(NETWORK, nnx.Rngs(0), fused=True), {"version": "before", "training": {"steps": 9}})
    config.write_text('[heads]\nsteps = 3\nbatch = 4\nshares = [["utkface", 0.8], ["fairface", 0.2]]\n')
    cache = tmp_path / "features.npz"
    arguments = [
        f"--crops={crops}",
        f"--weights={before}",
        f"--config={config}",
        f"--features={cache}",
        f"--out={after}",
    ]
    for _ in range(2):  # the second time with the features of the first
        result = CliRunner().invoke(fit_heads.main, arguments)
        assert result.exit_code == 0, result.output
        assert "heads fitted to 14 faces" in result.output
        arrays, metadata = checkpoint.load(after)
        assert metadata["version"] == VERSION
        assert metadata["training"]["steps"] == 9 and metadata["training"]["heads"]["steps"] == 3
        assert metadata["training"]["heads"]["shares"] == [["utkface", 0.8], ["fairface", 0.2]]
        changed = {
            name.split(".")[0] for name, array in checkpoint.load(before)[0].items() if (array != arrays[name]).any()
        }
        assert changed == {"age", "gender", "identity"}
    assert load_net(after)[0].config == NETWORK


def test_prepare_excludes_pictures_and_names_bad_configurations(tmp_path: Path) -> None:
    (tmp_path / "utk").mkdir()
    rng = np.random.default_rng(0)
    for age in (20, 30):
        cv2.imwrite(str(tmp_path / "utk" / f"{age}_1_0_2017.png"), rng.integers(0, 255, (60, 60, 3), np.uint8))
    excluded = cv2.imread(str(tmp_path / "utk" / "20_1_0_2017.png"))
    assert excluded is not None
    from rollcall_model.datasets.exclusion import difference_hash

    (tmp_path / "hashes.txt").write_text(f"{difference_hash(np.asarray(excluded, np.uint8)):x}")
    arguments = [f"--data={tmp_path}", f"--out={tmp_path / 'crops'}", "--dataset", "mine", "utkface", "utk", "utk"]
    result = CliRunner().invoke(prepare.main, [*arguments, f"--exclude={tmp_path / 'hashes.txt'}"])
    assert result.exit_code == 0, result.output
    assert "1 of 2 pictures are excluded" in result.output
    assert [sample.file for sample in stored.load(tmp_path / "crops").samples] == ["30_1_0_2017.png"]
    (tmp_path / "bad.toml").write_text("[head]")
    again = CliRunner().invoke(prepare.main, [*arguments, f"--config={tmp_path / 'bad.toml'}"])
    assert again.exit_code == 1 and "there is no table 'head'" in again.output
