"""Batches made on the device: the teacher's operators, JPEG's quantisation, resuming, and a run that learns."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.ages import AGES
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.attributes.network import AttributeConfig
from rollcall_model.checkpoint import WeightsError
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import Faces
from rollcall_model.datasets.samples import Sample
from rollcall_model.training import device_pictures, train
from rollcall_model.training.config import RunConfig, TrainConfig
from rollcall_model.training.device_batches import DeviceBatches, blend_with_labels
from rollcall_model.training.onnx_teacher import SIDE, OnnxTeacher
from rollcall_model.training.soft_labels import SoftLabels
from rollcall_model.training.trainer import Trainer

onnx = pytest.importorskip("onnx")

NETWORK = AttributeConfig(size=16, widths=(8,), depths=(1,), kernels=(3,), features=16, expansion=2)
CONFIG = TrainConfig(steps=4, batch=8, every=4, learning_rate=1e-2, warm_up=0.25)
#: Enough for the losses to fall; with the learning rate of a run the same program as in `test_train`.
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def cached(compiled: Path) -> None:
    runtime.configure(compiled)


def write_network(path: Path, kind: str = "Relu") -> Path:
    """Write a recogniser of a depthwise and a strided convolution, an activation and a matrix."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {
        "d": np.abs(rng.normal(size=(3, 1, 3, 3))).astype(np.float32) / 6,
        "k": rng.normal(size=(2, 3, 14, 14)).astype(np.float32) / 14,
        "b": np.array([4.0, 5.0], np.float32),
        "shape": np.array([1, 32], np.int64),
        "m": rng.normal(size=(128, 32)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["e"], strides=[2, 2], pads=[1, 1, 1, 1], group=3),
        helper.make_node("Conv", ["e", "k", "b"], ["c"], strides=[14, 14], pads=[0, 0, 0, 0]),
        helper.make_node(kind, ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 128])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), str(path))
    return path


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> OnnxTeacher:
    return OnnxTeacher(write_network(tmp_path_factory.mktemp("teacher") / "teacher.onnx"))


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Faces whose brightness grows with their age."""
    rng = np.random.default_rng(0)
    samples = [
        Sample("a", f"{i}.png", "val" if i % 4 == 3 else "train", (3 * i, 3 * i), bool(i % 2)) for i in range(24)
    ]
    shade = 10 * np.arange(24)[:, None, None, None]
    noise = rng.integers(0, 20, (24, stored.STORED, stored.STORED, 3))
    return Faces((shade + noise).astype(np.uint8), np.ones(24, bool), samples, np.zeros((24, 2, 128), np.float32))


def test_the_teacher_gives_what_the_files_own_runtime_gives(tmp_path: Path, teacher: OnnxTeacher) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = write_network(tmp_path / "teacher.onnx")
    x = np.random.default_rng(1).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    normal = (x / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for row, expected in zip(np.asarray(teacher(jnp.asarray(x))), normal.astype(np.float32), strict=True):
        found = session.run(None, {"x": expected[None].transpose(0, 3, 1, 2)})[0][0]
        assert np.allclose(row, found / np.linalg.norm(found), atol=1e-4)


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"strange\.onnx: the operator Sigmoid is not known"):
        OnnxTeacher(write_network(tmp_path / "strange.onnx", "Sigmoid"))


def test_compression_loses_more_at_a_lower_quality() -> None:
    x = jnp.asarray(np.random.default_rng(0).uniform(60, 200, (20, 20, 3)), jnp.float32)
    error = [float(jnp.abs(device_pictures.compress(x, jnp.float32(q)) - x).mean()) for q in (100, 60, 15)]
    assert error[0] < 1.5 < error[1] < error[2]


def test_a_crop_that_is_not_moved_is_the_central_one(faces: Faces) -> None:
    @jax.jit
    def central(crop: jax.Array) -> jax.Array:
        matrix = device_pictures.move_matrix(jnp.ones(4), stored.STORED, stored.CROP, 0.0)
        return device_pictures.sample(crop, matrix, stored.CROP)

    found = central(jnp.asarray(faces.crops[5], jnp.float32))
    assert np.allclose(found, stored.central_crops(faces, np.array([5]), stored.CROP)[0], atol=1e-2)


@pytest.fixture(scope="module")
def source(faces: Faces, teacher: OnnxTeacher) -> DeviceBatches:
    return DeviceBatches(faces, CONFIG, NETWORK.size, teacher)


def test_a_single_face_has_its_own_label_and_is_seen_by_the_teacher(faces: Faces, source: DeviceBatches) -> None:
    batch = next(source.batches(CONFIG._replace(single_face_ratio=1.0), 0))
    assert np.asarray(batch.ratio).tolist() == [1.0] * 8
    assert np.allclose(np.linalg.norm(batch.teacher, axis=1), 1, atol=1e-4)
    trained = {
        age for age, sample in zip(faces.ages[:, 0].tolist(), faces.samples, strict=True) if sample.split == "train"
    }
    assert set(batch.ages[:, 0, 0].tolist()) <= trained
    shade = np.asarray(batch.crops, np.float32).mean((1, 2, 3))
    assert np.corrcoef(shade, batch.ages[:, 0, 0])[0, 1] > 0.7


def test_the_teacher_may_see_the_mirror_image_too(faces: Faces, teacher: OnnxTeacher) -> None:
    config = CONFIG._replace(single_face_ratio=1.0, mirrored_teacher=True)
    shade = np.linspace(0.2, 1, stored.STORED)[:, None]
    faces = faces._replace(crops=(faces.crops * shade).astype(np.uint8))
    both = next(DeviceBatches(faces, config, NETWORK.size, teacher).batches(config, 0))
    mirrored = faces._replace(crops=np.ascontiguousarray(faces.crops[:, :, ::-1]))
    # The draws are the same, so each picture is the mirror image of the other's.
    again = next(DeviceBatches(mirrored, config, NETWORK.size, teacher).batches(config, 0))
    one = next(DeviceBatches(faces, CONFIG, NETWORK.size, teacher).batches(config, 0))
    assert np.allclose(both.teacher, again.teacher, atol=0.02)
    assert not np.allclose(one.teacher, both.teacher, atol=0.02)


def test_soft_labels_stand_for_ages_blended_with_the_labels() -> None:
    years = np.arange(AGES)
    guess = np.where((years >= 20) & (years < 40), 0.05, 0).astype(np.float32)
    soft = SoftLabels(np.stack([guess] * 3), np.full(3, 0.5, np.float32))
    ages = np.array([[30, 30], [30, 39], [-1, -1]], np.int32)
    exact, within, unknown = np.asarray(blend_with_labels(soft, ages, CONFIG).age)
    assert np.allclose([exact.sum(), within.sum(), unknown.sum()], 1, atol=1e-5)
    assert exact.argmax() == 30 and 0.4 < exact[28:33].sum() < 0.7  # half of it is the label's
    assert np.isclose(within[30:40].sum(), 1) and within[20:30].sum() == 0
    assert np.array_equal(unknown, guess)
    impossible = soft._replace(age=np.eye(AGES, dtype=np.float32)[[5, 5, 5]])
    assert np.allclose(blend_with_labels(impossible, ages, CONFIG).age[1, 30:40], 0.1)


def test_steps_of_half_precision_learn_what_others_do(faces: Faces, teacher: OnnxTeacher) -> None:
    losses = {}
    for half in (False, True):
        config = CONFIG._replace(half_precision=half, steps=STEPS)
        trainer = Trainer(NETWORK, config)
        source = DeviceBatches(faces, config, NETWORK.size, teacher)
        parts = [trainer.step(batch) for batch in source.batches(config, 0)]
        losses[half] = [float(part["age"]) for part in parts]
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(trainer.state.params))
    # The longer they go on, the more they differ.
    assert np.allclose(losses[False][:4], losses[True][:4], rtol=0.01) and losses[True] != losses[False]


def test_a_batch_depends_on_its_step_alone(source: DeviceBatches) -> None:
    batches = source.batches(CONFIG, 0)
    first, second, resumed = next(batches), next(batches), next(source.batches(CONFIG, 1))
    assert all(np.array_equal(a, b) for a, b in zip(second, resumed, strict=True))
    assert not np.array_equal(first.crops, second.crops)


def test_the_last_steps_and_the_statistics_are_of_single_faces(source: DeviceBatches) -> None:
    config = CONFIG._replace(steps=4, late_start=0.5, single_face_ratio=0.0, late_single_face_ratio=1.0)
    single = [float((np.asarray(batch.ratio) == 1).mean()) for batch in source.batches(config, 0)]
    assert single == [0, 0, 1, 1]
    early = list(source.statistics(config, 0, 2))
    assert [float((np.asarray(batch.ratio) == 1).mean()) for batch in early] == [1, 1]


def test_a_run_learns_and_is_resumed_and_begins_with_weights(
    faces: Faces, teacher: OnnxTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "STATISTICS_BATCHES", 4)
    monkeypatch.setattr(train, "_LOSS_STEPS", 1)
    config = CONFIG._replace(steps=STEPS, learning_rate=3e-3, every=STEPS // 2)
    run, start = RunConfig(config, NETWORK), train.Start(on_device=True, identity=teacher)
    whole = train.train(faces, tmp_path / "whole", run, start)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [STEPS // 2, STEPS]
    assert log[1]["age"] < log[0]["age"] and log[1]["identity"] < log[0]["identity"]

    train.train(faces, tmp_path / "parts", run, start, until=STEPS // 2)
    resumed = train.train(faces, tmp_path / "parts", run, start)
    pairs = zip(jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)

    timed = train.train(faces, tmp_path / "timed", run, start, export=False, minutes=1e-4)
    assert 1 <= int(timed.state.step) == timed.config.steps < STEPS
    assert not (tmp_path / "timed" / "best.safetensors").exists()
    average = tmp_path / "whole" / "average.safetensors"
    train.train(faces, tmp_path / "exported", run, start._replace(states=[average]), until=0)
    exported = AttributeModel(tmp_path / "exported" / "best.safetensors")
    assert exported(stored.central_crops(faces, np.arange(4), NETWORK.size)).embedding.shape == (4, 128)

    weights = tmp_path / "whole" / "best.safetensors"
    train.train(faces, tmp_path / "warm", run, start._replace(weights=weights), until=1)
    crops = stored.central_crops(faces, faces.where(split="val"), NETWORK.size)
    before, after = (AttributeModel(path)(crops) for path in (weights, tmp_path / "warm" / "best.safetensors"))
    assert np.abs(before.age - after.age).sum(1).max() < 0.5
