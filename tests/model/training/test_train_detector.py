"""Training of the detector: labels, packs, scenes, which place answers for which face, a few steps that learn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

from rollcall_model import checkpoint, runtime
from rollcall_model.detection import refiner, single_pass
from rollcall_model.detection.single_pass import SinglePassConfig
from rollcall_model.nn.state import state_dict
from rollcall_model.training.detector import (
    device_crops,
    face_patches,
    losses,
    pack,
    pictures,
    refine,
    scenes,
    schedule,
)
from rollcall_model.training.detector import fit as fitting
from rollcall_model.training.detector.__main__ import main
from rollcall_model.training.detector.losses import Targets
from rollcall_model.training.detector.pictures import Faces, Source

SMALL = SinglePassConfig(first=8, stem=(8, 16), width=16, depth=1)
FIVE = np.array([[40, 40], [60, 40], [50, 52], [42, 62], [58, 62]], np.float32)


def face_picture(height: int = 120, width: int = 100) -> np.ndarray:
    """Return a BGR picture of a drawn face whose landmarks are `FIVE`."""
    image = np.full((height, width, 3), 90, np.uint8)
    cv2.ellipse(image, (50, 50), (22, 28), 0, 0, 360, (140, 170, 220), -1)
    for x, y in FIVE.astype(int).tolist():
        cv2.circle(image, (x, y), 3, (30, 30, 60), -1)
    return image


def labelled(count: int = 1) -> Faces:
    """Return `count` times the drawn face."""
    box = np.array([[28, 22, 72, 78]], np.float32)
    return Faces(np.repeat(box, count, 0), np.repeat(FIVE[None], count, 0), np.zeros(count, bool))


class Labels:
    """A teacher whose answers are given: boxes, landmarks, scores."""

    def __init__(self, *answers: np.ndarray) -> None:
        self.answers = answers

    def detect(self, *_: object) -> tuple[np.ndarray, ...]:
        return self.answers


@pytest.fixture
def packed(tmp_path: Path) -> pack.Pack:
    """A pack of one drawn face and an empty picture."""
    jpeg = cv2.imencode(".jpg", face_picture())[1].tobytes()
    empty = cv2.imencode(".jpg", np.full((80, 120, 3), 90, np.uint8))[1].tobytes()
    assert pack.write(tmp_path / "pack", [(jpeg, labelled()), (empty, pictures.no_faces())]) == 2
    return pack.read(tmp_path / "pack")


def test_labels_of_the_usual_forms_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), face_picture())
    (tmp_path / "a.xml").write_text(
        "<annotation><object><name>with_mask</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax>"
        "<ymax>40</ymax></bndbox></object></annotation>"
    )
    (voc,) = pictures.read_voc(tmp_path, tmp_path)
    assert voc.complete and voc.faces.boxes.tolist() == [[1, 2, 30, 40]] and np.isnan(voc.faces.landmarks).all()
    points = np.zeros((68, 2), np.float32)
    points[36:42], points[42:48], points[30], points[48], points[54] = FIVE
    lines = "\n".join(f"{x} {y}" for x, y in points)
    (tmp_path / "b.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    (pts,) = pictures.read_points(tmp_path)
    np.testing.assert_allclose(pts.faces.landmarks[0], FIVE - 0.5)
    (tmp_path / "b.txt").write_text("\n".join(f"{x} {y}" for x, y in points[17:66]))
    (text,) = pictures.read_text_points(tmp_path, tmp_path)
    np.testing.assert_allclose(text.faces.landmarks[0], FIVE)
    (tmp_path / "table.csv").write_text("name\nb.jpg," + ",".join(str(v) for v in points.ravel()) + "\nno.jpg,1\n")
    (table,) = pictures.read_table_points(tmp_path, tmp_path / "table.csv")
    np.testing.assert_allclose(table.faces.landmarks[0], FIVE)
    assert [one.path.name for one in pictures.read_unlabelled(tmp_path)] == ["a.jpg", "b.jpg"]


def test_lists_of_five_landmarks_are_read_in_both_forms(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    cv2.imwrite(str(tmp_path / "some" / "a.png"), face_picture())
    listing = tmp_path / "list.txt"
    columns = " ".join(str(value) for value in FIVE.T.ravel())
    pairs = " ".join(str(value) for value in FIVE.ravel())
    listing.write_text(f"some/a.png {columns}\nsome\\a.png 28 72 22 78 {pairs}\nsome/missing.png 1 2\n")
    for one in pictures.read_five_points(tmp_path, listing):
        np.testing.assert_allclose(one.faces.landmarks[0], FIVE)
        low, high = one.faces.boxes[0].reshape(2, 2)
        assert (low < FIVE.min(0)).all() and (high > FIVE.max(0)).all() and one.path.is_file()
    assert len(list(pictures.read_five_points(tmp_path, listing))) == 2
    # With attributes behind the landmarks it would look like the second form.
    listing.write_text(f"some/a.png {columns} 1 1 2 3\n")
    with pytest.raises(ValueError, match=r"list\.txt, line 1: holds no five landmarks"):
        list(pictures.read_five_points(tmp_path, listing))


def test_landmarks_of_another_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.pts").write_text("1 2\n3 4\n")
    with pytest.raises(ValueError, match=r"c\.pts: holds 2 landmarks"):
        pictures.read_pts(tmp_path / "c.pts")


def test_the_teacher_adds_landmarks_and_what_labels_leave_out() -> None:
    true = pictures.unknown_landmarks(np.array([[28, 22, 72, 78]], np.float32))
    boxes = np.array([[27, 23, 73, 77], [0, 0, 10, 10], [80, 80, 95, 95]], np.float32)
    points = np.stack([FIVE, FIVE - 40, FIVE + 30])
    scores = np.array([0.9, 0.9, 0.4], np.float32)
    complete = pack.merge(Source(Path("x"), true, complete=True), boxes, points, scores)
    np.testing.assert_array_equal(complete.landmarks[0], FIVE)
    assert complete.ignored.tolist() == [False, True, True]
    partial = pack.merge(Source(Path("x"), true, complete=False), boxes, points, scores)
    assert partial.ignored.tolist() == [False, False, True]


def test_pictures_of_a_test_set_are_left_out_of_a_pack(tmp_path: Path) -> None:
    from rollcall_model.datasets.exclusion import difference_hash

    cv2.imwrite(str(tmp_path / "a.png"), face_picture())
    source = Source(tmp_path / "a.png", labelled(), complete=True)
    teacher = Labels(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    excluded = np.array([difference_hash(face_picture())], np.uint64)
    assert len(list(pack.prepare([source], teacher, np.zeros(0, np.uint64), 1))) == 1
    assert list(pack.prepare([source], teacher, excluded, 1)) == []


def test_labels_move_with_the_pixels_of_a_scene(packed: pack.Pack) -> None:
    """The dark spots of the drawn face lie at the landmarks, however the scene is turned and mirrored."""
    rng, seen = np.random.default_rng(0), 0
    for _ in range(12):
        matrix = scenes._matrix(packed.picture(0), packed.faces[0], 128, rng, scenes.Turns(quarter=0.5))
        pixels = scenes._warped(packed.picture(0), matrix, 128).astype(int).sum(2)
        boxes, landmarks, ignored = scenes._moved(packed.faces[0], matrix, 128)
        inside = ((landmarks[0] > 2) & (landmarks[0] < 125)).all(1)
        if ignored[0] or np.prod(boxes[0, 2:] - boxes[0, :2]) < 40**2:
            continue
        for x, y in landmarks[0][inside].astype(int):
            assert pixels[y, x] < 280
            seen += 1
    assert seen > 10


def test_mirrored_landmarks_change_sides(packed: pack.Pack) -> None:
    rng = np.random.default_rng(1)
    upright = scenes.Turns(0, 0, 0, 0)
    found = [one for _ in range(8) for one in scenes.draw(packed, 0, 96, 1, rng, upright)]
    assert all(one.landmarks[0, 0, 0] < one.landmarks[0, 1, 0] for one in found)
    assert {one.pixels.shape for one in found} == {(96, 96, 3)}


def test_a_face_is_answered_for_near_its_centre_and_ignored_ones_by_nobody() -> None:
    places = jnp.asarray(single_pass.anchors(64, 64))
    boxes = jnp.asarray([[8, 8, 32, 32], [40, 40, 60, 60], [0, 0, 0, 0]], jnp.float32)
    targets = Targets(boxes, jnp.full((3, 5, 2), jnp.nan), jnp.asarray([False, True, False]))
    outputs = jnp.zeros((len(places), 16)).at[:, 4:6].set(1.0)
    answers, background = losses.assign(outputs, single_pass.decode_boxes(outputs, places), places, targets)
    of_face = np.asarray(answers)
    assert of_face[:, 0].sum() >= 1 and of_face[:, 1:].sum() == 0 and of_face.sum(1).max() <= 1
    chosen = np.asarray(places)[of_face[:, 0] > 0, :2]
    assert (np.abs(chosen - 20) <= 20).all()
    inside = ((np.asarray(places)[:, :2] > 40) & (np.asarray(places)[:, :2] < 60)).all(1)
    assert (np.asarray(background)[inside] == 0).all()
    assert (np.asarray(background)[(~inside) & (of_face.sum(1) == 0)] == 1).all()


def test_losses_are_least_where_the_answer_is_right() -> None:
    box = jnp.asarray([[10.0, 10, 30, 40]])
    assert float(losses.efficient_iou_loss(box, box)[0]) == pytest.approx(0, abs=1e-5)
    assert float(losses.efficient_iou_loss(box + 5, box)[0]) < float(losses.efficient_iou_loss(box + 15, box)[0])
    distances = jnp.asarray([0.0, 0.01, 0.08, 0.3])
    assert np.all(np.diff(losses.wing(distances)) > 0) and float(losses.wing(distances)[0]) == 0


def test_a_run_learns_and_goes_on_where_it_was_cut_off(packed: pack.Pack, tmp_path: Path, compiled: Path) -> None:
    # The second part of the run finds the program of the first in the cache.
    runtime.configure(compiled)
    config = fitting.FitConfig(
        steps=30, batch=4, side=64, scenes_a_picture=2, learning_rate=5e-3, average=0.9, save_every=20
    )
    before: list[float] = []
    after: list[float] = []
    run = tmp_path / "run"

    def cut_off(loss: float) -> None:
        before.append(loss)
        if len(before) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitting.fit(fitting.initial(SMALL, 0, None, None), packed, config, run, cut_off)
    assert np.load(run / "state.npz")["step"] == 20
    fitting.fit(fitting.initial(SMALL, 0, None, None), packed, config, run, after.append)
    assert np.load(run / "state.npz")["step"] == 30 and (len(before), len(after)) == (21, 10)
    assert np.mean(after) < 0.8 * np.mean(before[:5])
    begin = state_dict(fitting.initial(SMALL, 0, None, None))
    fitting.blend(run / "detector.safetensors", begin, 0.0)
    net, _ = single_pass.load(run / "detector.safetensors")
    np.testing.assert_allclose(state_dict(net)["first"], begin["first"])


def test_the_refiner_sees_faces_upright_and_learns_their_landmarks(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.rot90(face_picture()))
    turned = np.stack([FIVE[:, 1], 100 - FIVE[:, 0]], axis=1)
    source = Source(tmp_path / "a.png", labelled()._replace(landmarks=turned[None]), complete=False)
    data = face_patches.patches([source], np.zeros(0, np.uint64))
    # The eyes are level, above the mouth, and dark in the patch.
    eyes, mouth = data.landmarks[0, :2], data.landmarks[0, 3:]
    assert abs(eyes[0, 1] - eyes[1, 1]) < 2 and (mouth[:, 1] > eyes[:, 1] + 10).all() and eyes[0, 0] < eyes[1, 0]
    x, y = eyes[0].astype(int)
    assert data.pixels[0, y, x].astype(int).sum() < 280
    pixels, points = refine.example(
        data.pixels[0], data.landmarks[0], refine.RefinerFitConfig(), 64, np.random.default_rng(0)
    )
    assert pixels.shape == (64, 64, 3) and points[0, 0] < points[1, 0]


def test_landmarks_of_a_set_come_to_mean_what_the_refiner_calls_them() -> None:
    """A set that puts the left eye elsewhere is moved back; a single wrong label stays wrong."""
    # It finds the same landmarks in every black crop.
    network = refiner.Refiner(refiner.RefinerConfig(), nnx.Rngs(0))
    usual = ((refiner.MEAN - 0.5) * 128 * face_patches.ZOOM + 64).astype(np.float32)
    landmarks = np.stack([usual] * 5)
    landmarks[:, 0] += (0, 3)
    landmarks[4, 2] += (6, 0)
    patches = face_patches.Patches(np.zeros((5, 128, 128, 3), np.uint8), landmarks, np.ones(5, np.float32))
    found = refine.predictions(network, patches)
    moved = refine.in_convention(patches, network).landmarks
    np.testing.assert_allclose(moved[:4], found[:4], atol=1e-3)
    np.testing.assert_allclose(moved[4, 2] - moved[0, 2], (6, 0), atol=1e-3)


def small_refiner(folder: Path) -> Path:
    """Write the weights of a small refiner that has learnt nothing."""
    small = refiner.RefinerConfig(widths=(8, 8, 16), depths=(1, 1, 1))
    path = folder / "small.safetensors"
    checkpoint.save(path, state_dict(refiner.Refiner(small, nnx.Rngs(0))), {"config": small._asdict()})
    return path


def test_the_refiner_is_measured_on_faces_that_it_is_not_trained_on(tmp_path: Path) -> None:
    patch = cv2.resize(face_picture(100)[:, :100], (128, 128))
    # A nose that lies far to one side, which a refiner does not expect at first.
    points = FIVE * 1.28 + np.array([[0, 0], [0, 0], [12, 0], [0, 0], [0, 0]], np.float32)
    data = face_patches.Patches(np.stack([patch] * 20), np.stack([points] * 20), np.ones(20, np.float32))
    face_patches.write(tmp_path / "patches", data, quality=95)
    plan = ["--steps", "30", "--batch", "4", "--learning-rate", "5e-3", "--average", "0.8", "--turned", "3"]
    begin = ["--patches", str(tmp_path / "patches"), "--weights", str(small_refiner(tmp_path))]
    run = CliRunner().invoke(
        main, ["fit-refiner", *begin, *plan, "--out", str(tmp_path / "run")], catch_exceptions=False
    )
    assert "18 faces, and 2 to measure on" in run.output
    before, half, after = map(json.loads, (tmp_path / "run" / "refiner-log.jsonl").read_text().splitlines())
    assert (before["step"], half["step"], after["step"]) == (0, 15, 30) and after["error"] < before["error"]
    _, validation = face_patches.held_out(face_patches.read(tmp_path / "patches"))
    assert (
        refine.measured(refiner.load(tmp_path / "run" / "refiner.safetensors"), validation)["error"] == after["error"]
    )


def test_a_refiner_for_smaller_crops_begins_with_the_weights_of_a_larger_one(tmp_path: Path) -> None:
    large = refiner.load(small_refiner(tmp_path))
    # What is the same everywhere in a crop is pooled to the same.
    large.pooling[...] = jnp.full_like(large.pooling[...], 0.25)
    small = refine.resized(large, 32)
    assert small.config == large.config._replace(size=32)
    np.testing.assert_allclose(small.pooling[...].sum((0, 1)), large.pooling[...].sum((0, 1)), rtol=1e-5)
    before, after = state_dict(large), state_dict(small)
    assert all(np.array_equal(before[name], after[name]) for name in before if name != "pooling")
    assert small(np.zeros((2, 32, 32, 3), np.uint8))[0].shape == (2, 5, 2)
    refused = CliRunner().invoke(main, ["fit-refiner", "--size", "50", "--out", str(tmp_path / "run")])
    assert "--size 50: the network reduces crops by 16" in refused.output


def test_patches_travel_as_files(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), face_picture())
    data = face_patches.patches(
        [Source(tmp_path / "a.png", labelled(2), complete=False)], np.zeros(0, np.uint64), weight=3.0
    )
    face_patches.write(tmp_path / "patches", data, quality=95)
    found = face_patches.read(tmp_path / "patches")
    np.testing.assert_array_equal(found.landmarks, data.landmarks)
    assert found.weights.tolist() == [3, 3]
    assert np.abs(found.pixels.astype(int) - data.pixels).mean() < 3


def test_the_landmarks_of_a_crop_move_with_its_pixels_on_the_host_and_on_the_device() -> None:
    """The one light spot of a patch, in its left eye, is where the landmark says, squeezed and mirrored or not."""
    usual = ((refiner.MEAN - 0.5) * 128 * face_patches.ZOOM + 64).astype(np.float32)
    patch = np.zeros((128, 128, 3), np.uint8)
    x, y = np.round(usual[0] - 0.5).astype(int)
    cv2.circle(patch, (int(x), int(y)), 4, (255, 255, 255), -1)
    landmarks = usual + (np.array([x, y]) + 0.5 - usual[0])
    data = face_patches.Patches(patch[None], landmarks[None].astype(np.float32), np.ones(1, np.float32))
    config = refine.RefinerFitConfig(batch=32, squeezed=0.5)
    for source in (refine.batches, device_crops.batches):
        pixels, points = map(np.asarray, next(source(data, config, 64)))
        assert pixels.shape == (32, 64, 64, 3)
        distances, widths = [], np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
        for crop, five in zip(pixels.astype(np.float64).mean(-1), points, strict=True):
            # Mirrored, the left eye is the right one.
            eye = five[0] if five[0, 0] < 0.5 and crop[:, :32].max() >= crop[:, 32:].max() else five[1]
            light = np.where(crop > crop.max() * 0.6, crop, 0)
            centre = (
                np.array([(light.sum(0) * np.arange(64)).sum(), (light.sum(1) * np.arange(64)).sum()]) / light.sum()
            )
            distances.append(np.linalg.norm(eye * 64 - 0.5 - centre))
        # Rectangles of one colour hide some of the spots.
        assert np.median(distances) < 0.7, source
        assert widths.min() < 0.8 * widths.max()


def test_a_run_as_long_as_its_seconds_can_be_repeated_with_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock[0])
    timed, done = schedule.Schedule(0, 1.0, seconds=100.0), 0
    rates = []
    while timed.steps is None or done < timed.steps:
        rates.append(timed.rate(done))
        done += 1
        # Others come and use the device, too.
        clock[0] += 0.01 if clock[0] < 20 else 0.02
        if timed.half_way(done):
            clock[0] += 2
            timed.decide(done, 2.0)
    assert 95 < clock[0] < 98 and max(rates) == 1 and rates[-1] == pytest.approx(0.01, abs=1e-3)
    again = schedule.Schedule(done, 1.0, timed.steady)
    assert [again.rate(step) for step in range(done)] == rates


def test_without_a_steady_part_the_rate_rises_for_a_twentieth_and_falls() -> None:
    usual = schedule.Schedule(400, 2.0)
    rates = [usual.rate(step) for step in range(400)]
    assert rates[0] == 0.1 and rates.index(max(rates)) == 20 and rates[-1] == pytest.approx(0.02, abs=1e-3)
    assert [step for step in range(1, 401) if usual.half_way(step)] == [200]


def test_labelled_faces_are_prepared_and_none_is_an_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), face_picture())
    (tmp_path / "list.txt").write_text("a.png " + " ".join(str(value) for value in FIVE.T.ravel()))
    five = ["--five", str(tmp_path), str(tmp_path / "list.txt"), "--weights", str(small_refiner(tmp_path))]
    out, run = ["--out", str(tmp_path / "patches")], CliRunner()
    made = run.invoke(main, ["prepare-refiner", *five, *out], catch_exceptions=False)
    assert "1 faces" in made.output and len(face_patches.read(tmp_path / "patches").pixels) == 1
    assert "name at least one set" in run.invoke(main, ["fit-refiner", *out]).output
