"""How good the attribute network is, on faces it was not trained on.

`python -m rollcall_model.evaluate --data SETS --crops CROPS --weights FILE --out FOLDER` prints the
scores and writes FOLDER/report.json, FOLDER/report.md and plots. `quick` is what training looks at.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from rollcall_model import assess, attributes, data, measures, report, runtime
from rollcall_model.attributes import AttributeModel
from rollcall_model.measures import CHILD_BELOW, average_precision, verification
from rollcall_model.weights import PATH

PAIRS: Final = "lfw-dev-pairs.csv"
TEACHER: Final = "teacher-dlib.npz"
CHILDREN_NOTE: Final = (
    "No set with identities of children is at hand: LFW and CelebA show adult celebrities almost only. How "
    "often one child's photographs are found to be one child's is therefore *not measured*; what follows is "
    "only how often two faces of a set without identities are taken for one person."
)


def central(faces: data.Faces, rows: np.ndarray, size: int) -> UInt8[np.ndarray, "n s s 3"]:
    """Return the network's crops of the stored ones, unchanged."""
    low = (data.STORED - data.CROP) // 2
    part = np.asarray(faces.crops[rows, low : low + data.CROP, low : low + data.CROP])
    if size == data.CROP:
        return part
    import cv2

    return np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in part])


def attribute_scores(age: np.ndarray, p_female: np.ndarray, years: np.ndarray, female: np.ndarray) -> dict[str, float]:
    """Return the scores of age distributions (n, 101) and probabilities against true years and genders."""
    error = np.abs(measures.estimate(age) - years)
    child = years < CHILD_BELOW
    right = (p_female > 0.5) == (female == 1)
    return {
        "mae": float(error.mean()),
        "mae_child": float(error[child].mean()) if child.any() else float("nan"),
        "cs5": float((error <= 5).mean()),
        "gender": float(right.mean()),
        "gender_13": float(right[~child].mean()) if (~child).any() else float("nan"),
        "child_ap": average_precision(measures.p_child(age), child),
    }


def read_pairs(folder: Path, names: dict[str, int]) -> assess.Pairs:
    """Return the pairs of `folder`/lfw-dev-pairs.csv both of whose files are in `names` (file to row)."""
    with (folder / PAIRS).open(newline="", encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["a"] in names and r["b"] in names]
    return assess.Pairs(
        np.array([names[r["a"]] for r in rows], np.int64),
        np.array([names[r["b"]] for r in rows], np.int64),
        np.array([r["same"] == "1" for r in rows], bool),
        np.array([int(r["fold"]) for r in rows], np.int64),
    )


def pair_scores(folder: Path, names: dict[str, int], embedding: np.ndarray) -> float:
    """Return the verification accuracy over the pairs of `folder`/lfw-dev-pairs.csv."""
    pairs = read_pairs(folder, names)
    return verification((embedding[pairs.a] * embedding[pairs.b]).sum(1), pairs.same, pairs.fold)


def quick(weights: Path, faces: data.Faces, folder: Path | None = None) -> dict[str, Any]:
    """Return the main scores of exported weights on the validation rows."""
    model = AttributeModel(weights)
    rows = faces.where(split="val")
    labelled = rows[faces.ages[rows, 0] != data.UNKNOWN]
    found = model(central(faces, labelled, model.size))
    scores = attribute_scores(found.age, found.p_female, faces.ages[labelled].mean(axis=1), faces.female[labelled])
    others = np.setdiff1d(rows, labelled)
    if len(others):
        embedding = model(central(faces, others, model.size)).embedding
        teacher = faces.teacher[others, 0]
        scores["teacher_cosine"] = float((embedding * teacher).sum(1).mean())
        identities = np.array([faces.samples[row].identity for row in others])
        scores["pairs_auc"] = _pairs_auc(embedding, identities)
        if folder is not None and (folder / PAIRS).exists():
            names = {faces.samples[row].file: i for i, row in enumerate(others) if faces.samples[row].source == "lfw"}
            scores["lfw"] = pair_scores(folder, names, embedding)
    return {name: round(value, 4) for name, value in scores.items()}


def _pairs_auc(embedding: np.ndarray, identities: np.ndarray) -> float:
    """Return how often a pair of one person is more alike than a pair of two, over random pairs."""
    rng = np.random.default_rng(0)
    order = np.argsort(identities, kind="stable")
    same = np.flatnonzero(identities[order][1:] == identities[order][:-1])
    a, b = order[same], order[same + 1]
    x, y = rng.integers(0, len(identities), (2, 20_000))
    different = identities[x] != identities[y]
    positive = (embedding[a] * embedding[b]).sum(1)
    negative = np.sort((embedding[x[different]] * embedding[y[different]]).sum(1))
    return float(np.searchsorted(negative, positive).mean() / len(negative))


def exactly_aged(faces: data.Faces, rows: np.ndarray) -> np.ndarray:
    """Return those rows whose age is known to the year: a range can be neither missed by years nor held."""
    ages = faces.ages[rows]
    return np.asarray(rows[(ages[:, 0] != data.UNKNOWN) & (ages[:, 0] == ages[:, 1])])


def evaluate(
    weights: Path,
    faces: data.Faces,
    folder: Path | None = None,
    source: str | None = None,
    split: str | None = "val",
) -> dict[str, Any]:
    """Return every score of the weights on the faces of one split, and of one set if `source` names it.

    `folder` holds the pairs of LFW's protocol. Sections for which there are no labels are None.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """
    model = AttributeModel(weights)
    rows = faces.where(source, split)
    aged = exactly_aged(faces, rows)
    known = np.array([row for row in rows if faces.samples[row].identity], np.int64)
    result: dict[str, Any] = {
        "weights": _about(weights, model),
        "faces": {
            "set": source or "all",
            "split": split or "all",
            "n": len(rows),
            "with_age": len(aged),
            "with_identity": len(known),
            "not_detected": int((~faces.detected[rows]).sum()),
        },
        "age": None,
        "gender": None,
        "child": None,
        "identity": None,
    }
    embedding = np.zeros((0, attributes.EMBEDDING), np.float32)
    if len(aged):
        found = model(central(faces, aged, model.size))
        embedding = found.embedding
        said = assess.Said(
            found.age,
            found.p_female,
            faces.ages[aged, 0].astype(np.float64),
            faces.female[aged],
            np.array([faces.samples[row].group for row in aged]),
        )
        result["age"], result["child"] = assess.ages(said), assess.child(said)
        if (said.female >= 0).any():
            result["gender"] = assess.gender(said)
    sets = _identity(model, faces, known, folder)
    if sets:
        threshold = next(iter(sets.values()))["all_pairs"]["threshold"]["0.001"]
        years = faces.ages[aged, 0].astype(np.float64)
        result["identity"] = {
            "sets": sets,
            "children": {
                "note": CHILDREN_NOTE,
                "threshold": threshold,
                "strangers": assess.strangers(embedding, years, threshold),
            },
        }
    return result


def _about(weights: Path, model: AttributeModel) -> dict[str, Any]:
    net, facts = attributes.load_net(weights)
    return {
        "file": weights.name,
        "blake2b": hashlib.blake2b(weights.read_bytes(), digest_size=16).hexdigest(),
        "version": model.version,
        "parameters": attributes.parameter_count(net),
        "config": facts["config"],
        "training": facts.get("training"),
        "calibration": facts.get("calibration"),
    }


def _identity(model: AttributeModel, faces: data.Faces, rows: np.ndarray, folder: Path | None) -> dict[str, Any]:
    """Return, for each set with identities, the scores of the network and of the teacher it learnt from."""
    sets: dict[str, Any] = {}
    # LFW first: its threshold is the one that the other comparisons use.
    for source in sorted({faces.samples[row].source for row in rows}, key=lambda name: (name != "lfw", name)):
        mine = np.array([row for row in rows if faces.samples[row].source == source], np.int64)
        identity = np.array([faces.samples[row].identity for row in mine])
        if not 1 < len(np.unique(identity)) < len(identity):
            continue  # neither pairs of one person nor pairs of two can be missing
        embeddings = {"network": model(central(faces, mine, model.size)).embedding}
        if np.abs(faces.teacher[mine, 0]).sum(axis=1).min() > 0:
            embeddings["teacher"] = faces.teacher[mine, 0]
        pairs = None
        if source == "lfw" and folder is not None and (folder / PAIRS).exists():
            pairs = read_pairs(folder, {faces.samples[row].file: i for i, row in enumerate(mine)})
        scores: dict[str, Any] = {}
        for name, embedding in embeddings.items():
            of_one = {"all_pairs": assess.all_pairs(embedding, identity)}
            if pairs is not None and len(pairs.a):
                of_one["protocol"] = assess.protocol(embedding, pairs)
            scores |= of_one if name == "network" else {name: of_one}
        sets[source] = scores
    return sets


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate weights from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rollcall_model.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder of the sets: pairs and teacher's embeddings.")
    parser.add_argument("--crops", type=Path, required=True, help="Folder of the aligned crops that training made.")
    parser.add_argument("--weights", type=Path, help="The weights; default: those that are installed.")
    parser.add_argument("--out", type=Path, required=True, help="Folder for report.json, report.md and the plots.")
    parser.add_argument("--set", dest="source", help="Evaluate on this set only (a cross-set check).")
    parser.add_argument("--split", default="val", help="train, val, or all; default: val.")
    given = parser.parse_args(arguments)
    runtime.configure(given.out / "compiled")
    teacher = given.data / TEACHER
    faces = data.load(given.crops, teacher if teacher.exists() else None)
    split = None if given.split == "all" else given.split
    result = evaluate(given.weights or PATH, faces, given.data, given.source, split)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "report.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = report.write(result, given.out)
    print(text)


if __name__ == "__main__":
    main()
