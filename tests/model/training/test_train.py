"""Training: steps change the network, resuming gives the same, the command reads run configurations."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

from rollcall_model import checkpoint, runtime
from rollcall_model.attributes.model import AttributeModel, load_net
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.readers import FORMATS
from rollcall_model.datasets.samples import Sample
from rollcall_model.training import heads, initial, soft_labels, train
from rollcall_model.training.batches import composite_batches, mixup_batches, prefetch
from rollcall_model.training.composites import draw
from rollcall_model.training.config import (
    ConfigError,
    HeadConfig,
    RunConfig,
    TrainConfig,
    override,
    read_run_config,
)
from rollcall_model.training.trainer import Trainer
from rollcall_model.weights import PATH

#: One stage of one block: compiled in a second.
NETWORK = AttributeConfig(size=16, widths=(8,), depths=(1,), kernels=(3,), features=16, expansion=2)
CONFIG = TrainConfig(steps=4, batch=8, every=4, learning_rate=1e-2, warm_up=0.25)


@pytest.fixture(scope="module", autouse=True)
def cached(compiled: Path) -> None:
    runtime.configure(compiled)


@pytest.fixture(scope="module")
def faces() -> Faces:
    rng = np.random.default_rng(0)
    samples = [
        Sample("a", f"{i}.png", "val" if i % 4 == 3 else "train", (i, i), bool(i % 2))
        if i < 16
        else Sample("b", f"{i}.png", "val" if i % 4 == 3 else "train", identity=f"p{i // 8}")
        for i in range(32)
    ]
    crops = rng.integers(0, 255, (32, stored.STORED, stored.STORED, 3), np.uint8)
    teacher = rng.normal(size=(32, 2, 128)).astype(np.float32)
    teacher /= np.linalg.norm(teacher, axis=-1, keepdims=True)
    return Faces(crops, np.ones(32, bool), samples, teacher)


def leaves(trainer: Trainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trainer.state)]


def test_repeated_steps_on_a_batch_reduce_its_loss(faces: Faces) -> None:
    config = CONFIG._replace(steps=12, learning_rate=3e-3)
    trainer = Trainer(NETWORK, config)
    batch = next(mixup_batches(faces, config, NETWORK.size, 0))
    parts = [{name: float(value) for name, value in trainer.step(batch).items()} for _ in range(12)]
    assert parts[-1]["age"] < parts[0]["age"]
    assert parts[-1]["identity"] < parts[0]["identity"]
    assert int(trainer.state.step) == 12


def test_a_resumed_run_ends_like_an_uninterrupted_one(faces: Faces, tmp_path: Path) -> None:
    run, start = RunConfig(CONFIG, NETWORK), train.Start()
    whole = train.train(faces, tmp_path / "whole", run, start)
    train.train(faces, tmp_path / "parts", run, start, until=2)
    resumed = train.train(faces, tmp_path / "parts", run, start)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(whole), leaves(resumed), strict=True))
    assert checkpoint.digest(tmp_path / "whole" / "best.safetensors") == checkpoint.digest(
        tmp_path / "parts" / "best.safetensors"
    )
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert {"mae", "gender", "child_ap", "pairs_auc"} <= set(log[-1])


def test_a_run_begins_with_earlier_runs_and_learns_from_their_predictions(faces: Faces, tmp_path: Path) -> None:
    run = RunConfig(CONFIG._replace(steps=1), NETWORK)
    train.train(faces, tmp_path / "first", run, train.Start())
    state, weights = (tmp_path / "first" / name for name in ("state.safetensors", "best.safetensors"))
    soft = soft_labels.predict([weights], faces)
    np.testing.assert_allclose(soft.age.sum(1), 1, atol=1e-4)
    trainer = Trainer(NETWORK, run.training)
    params, _ = initial.mean_of_states(trainer, [state, state])
    loaded = train.load_state(state, trainer.state)
    for mean, one in zip(jax.tree.leaves(params), jax.tree.leaves(loaded.ema), strict=True):
        np.testing.assert_allclose(mean, one, rtol=1e-6)
    weight = np.full(12, 1 / 12)
    composites = draw(faces, weight, 0.5, 40, 0)
    composites = composites._replace(teacher=faces.teacher[composites.rows[:, 0], 0])
    start = train.Start(weights=weights, teachers=[weights], composites=composites)
    train.train(faces, tmp_path / "second", run, start)
    assert AttributeModel(tmp_path / "second" / "best.safetensors").version == train.VERSION


def test_batches_depend_on_the_seed_and_the_step_alone(faces: Faces) -> None:
    composites = draw(faces, np.full(12, 1 / 12), 0.5, 40, 0)
    for make in (
        lambda start: mixup_batches(faces, CONFIG, NETWORK.size, start),
        lambda start: composite_batches(faces, CONFIG, NETWORK.size, start, composites),
    ):
        all_steps, later = list(make(0)), list(prefetch(make(2)))
        assert (len(all_steps), len(later)) == (4, 2)
        for a, b in zip(all_steps[2:], later, strict=True):
            assert all(np.array_equal(left, right) for left, right in zip(a, b, strict=True))
        assert not np.array_equal(all_steps[0].crops, all_steps[1].crops)


def test_errors_of_another_thread_are_raised_where_batches_are_used() -> None:
    def broken():
        raise ValueError("no face")
        yield

    with pytest.raises(ValueError, match="no face"):
        list(prefetch(broken()))


def test_heads_learn_from_a_few_faces_and_leave_the_others_alone(faces: Faces) -> None:
    net = AttributeNet(NETWORK, nnx.Rngs(0), fused=True)
    rows = faces.with_age(faces.where(split="train"))
    targets = heads.head_targets(faces.ages[rows].astype(np.int32), faces.female[rows], None, CONFIG)
    data = heads.HeadData(heads.compute_features(net, faces, rows, moved=1), *targets)
    assert data.features.shape == (3, len(rows), NETWORK.features)

    def cross_entropy() -> float:
        logits = data.features[0] @ np.asarray(net.age.kernel[...]) + np.asarray(net.age.bias[...])
        return float(-(data.age * np.asarray(jax.nn.log_softmax(logits))).sum(1).mean())

    before, gender, identity = cross_entropy(), *(np.array(h.kernel[...]) for h in (net.gender, net.identity))
    heads.fit_heads(net, data, CONFIG, steps=60, learning_rate=1e-2, only=["age"])
    assert cross_entropy() < before
    np.testing.assert_array_equal(net.gender.kernel[...], gender)
    np.testing.assert_array_equal(net.identity.kernel[...], identity)


def write_dataset(folder: Path, name: str, count: int) -> None:
    (folder / name).mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = rng.integers(0, 255, (60, 60, 3), np.uint8)
        (folder / name / f"{20 + i}_{i % 2}_{i % 5}_2017.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())


SETTINGS = """
[training]
steps = 2
batch = 4
every = 2

[network]
size = 16
widths = [8]
depths = [1]
kernels = [3]
features = 16
expansion = 2
"""


def test_the_command_trains_on_the_data_sets_of_a_run_configuration(tmp_path: Path) -> None:
    write_dataset(tmp_path, "utk", 12)
    dataset = '[[datasets]]\nname = "utk"\nformat = "utkface"\nlabels = "utk"\nimages = "utk"\n'
    (tmp_path / "run.toml").write_text(SETTINGS + dataset)
    out = tmp_path / "out"
    arguments = [f"--data={tmp_path}", f"--out={out}", f"--config={tmp_path / 'run.toml'}", "--set", "seed=3"]
    result = CliRunner().invoke(train.main, arguments)
    assert result.exit_code == 0, result.output
    net, metadata = load_net(out / "best.safetensors")
    assert (net.config.size, metadata["training"]["steps"], metadata["training"]["seed"]) == (16, 2, 3)
    again = CliRunner().invoke(train.main, arguments)
    assert "resumed at step 2" in again.output


def test_the_command_takes_data_sets_on_the_command_line_and_names_bad_ones(tmp_path: Path) -> None:
    arguments = [f"--data={tmp_path}", f"--out={tmp_path / 'out'}", "--dataset", "mine", "fairface", "none.csv", "."]
    result = CliRunner().invoke(train.main, arguments)
    assert result.exit_code == 1
    assert "mine: its labels" in result.output


RUNS = Path(train.__file__).parent / "runs"


@pytest.mark.parametrize("file", sorted(RUNS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_committed_run_configurations_are_valid(file: Path) -> None:
    run = read_run_config(file)
    assert run.training.steps > 0
    assert all(source.format in FORMATS for source in run.datasets)


def test_the_committed_weights_have_the_settings_of_their_run_configuration() -> None:
    run, metadata = read_run_config(RUNS / "mixture.toml"), checkpoint.metadata(PATH)
    assert checkpoint.configured(AttributeConfig, metadata["config"]) == run.network
    assert checkpoint.configured(HeadConfig, metadata["training"]["heads"]) == run.heads
    assert {source.name for source in run.datasets} >= dict(run.heads.shares).keys()


@pytest.mark.parametrize("text", ["[training]\nstep = 3", "[trainings]", "[[datasets]]\nname = 3\nkind = 4", "no toml"])
def test_a_run_configuration_with_an_unknown_field_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        read_run_config(file)


@pytest.mark.parametrize("assignment", ["step=3", "steps=three", "steps"])
def test_an_assignment_that_means_nothing_is_refused(assignment: str) -> None:
    with pytest.raises(ConfigError, match="step"):
        override(RunConfig(), [assignment])
    assert override(RunConfig(), ["steps=3", "depths=[1,2,3]"]).network.depths == (1, 2, 3)
