"""Evaluation of the attribute network on faces it was not trained on.

`python -m rollcall_model.evaluation.evaluate --data SETS --crops CROPS --weights FILE --out FOLDER` prints the report
and writes FOLDER/report.json, FOLDER/report.md and plots.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from rollcall_model import checkpoint, runtime
from rollcall_model.attributes.model import AttributeModel, load_net
from rollcall_model.datasets.faces import TEACHER_EMBEDDINGS, Faces, central_crops, load
from rollcall_model.datasets.pairs import PAIRS_SOURCE, pairs_of
from rollcall_model.evaluation import report, sections
from rollcall_model.nn.state import parameter_count
from rollcall_model.types import EMBEDDING
from rollcall_model.weights import PATH

CHILDREN_NOTE: Final = (
    "No set with identities of children is at hand: LFW and CelebA contain adult celebrities almost only. How "
    "often two photographs of one child are matched is therefore *not measured*; the table shows "
    "only how often two faces of a set without identities are matched."
)
#: The false accept rate whose threshold is applied to children.
_STRANGERS_FAR: Final = "0.001"


def evaluate(
    weights: Path,
    faces: Faces,
    folder: Path | None = None,
    source: str | None = None,
    split: str | None = "val",
) -> dict[str, Any]:
    """Return every score of the weights on the faces of one split, and of one set if `source` names it.

    `folder` is that of the data sets, for LFW's pairs. Sections for which there are no labels are None.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    model = AttributeModel(weights)
    rows = faces.where(source, split)
    aged = faces.with_exact_age(rows)
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
    embedding, years = np.zeros((0, EMBEDDING), np.float32), faces.ages[aged, 0].astype(np.float64)
    if len(aged):
        found = model(central_crops(faces, aged, model.size))
        embedding = found.embedding
        groups = np.array([faces.samples[row].group for row in aged])
        labelled = sections.LabelledPredictions(found.age, found.p_female, years, faces.female[aged], groups)
        result["age"], result["child"] = sections.ages(labelled), sections.child(labelled)
        if (labelled.female >= 0).any():
            result["gender"] = sections.gender(labelled)
    sets = _identity(model, faces, known, folder)
    if sets:
        threshold = next(iter(sets.values()))["all_pairs"]["threshold"][_STRANGERS_FAR]
        result["identity"] = {
            "sets": sets,
            "children": {
                "note": CHILDREN_NOTE,
                "threshold": threshold,
                "strangers": sections.strangers(embedding, years, threshold),
            },
        }
    return result


def _about(weights: Path, model: AttributeModel) -> dict[str, Any]:
    net, metadata = load_net(weights)
    return {
        "file": weights.name,
        "digest": checkpoint.digest(weights),
        "version": model.version,
        "parameters": parameter_count(net),
        "config": metadata["config"],
        "training": metadata.get("training"),
        "calibration": metadata.get("calibration"),
    }


def _identity(model: AttributeModel, faces: Faces, rows: Int[np.ndarray, " n"], folder: Path | None) -> dict[str, Any]:
    """Return, for each set with identities, the scores of the network and of its teacher."""
    sets: dict[str, Any] = {}
    # LFW first: its threshold is the one that the other comparisons use.
    sources = {faces.samples[row].source for row in rows}
    for source in sorted(sources, key=lambda name: (name != PAIRS_SOURCE, name)):
        mine = np.array([row for row in rows if faces.samples[row].source == source], np.int64)
        identity = np.array([faces.samples[row].identity for row in mine])
        if not 1 < len(np.unique(identity)) < len(identity):
            continue  # both pairs of one person and pairs of two are needed
        embeddings = {"network": model(central_crops(faces, mine, model.size)).embedding}
        if np.abs(faces.teacher[mine, 0]).sum(axis=1).min() > 0:
            embeddings["teacher"] = faces.teacher[mine, 0]
        pairs = pairs_of(faces, mine, folder)
        scores: dict[str, Any] = {}
        for name, embedding in embeddings.items():
            of_one = {"all_pairs": sections.all_pairs(embedding, identity)}
            if pairs is not None:
                of_one["protocol"] = sections.protocol(embedding, pairs)
            scores |= of_one if name == "network" else {name: of_one}
        sets[source] = scores
    return sets


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate weights from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rollcall_model.evaluation.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder of the sets: pairs and teacher's embeddings.")
    parser.add_argument("--crops", type=Path, required=True, help="Folder of the aligned crops that training made.")
    parser.add_argument("--weights", type=Path, help="The weights; default: those that are installed.")
    parser.add_argument("--out", type=Path, required=True, help="Folder for report.json, report.md and the plots.")
    parser.add_argument("--set", dest="source", help="Evaluate on this set only (a cross-set check).")
    parser.add_argument("--split", default="val", help="train, val, or all; default: val.")
    options = parser.parse_args(arguments)
    runtime.configure(options.out / "compiled")
    teacher = options.data / TEACHER_EMBEDDINGS
    faces = load(options.crops, teacher if teacher.exists() else None)
    split = None if options.split == "all" else options.split
    result = evaluate(options.weights or PATH, faces, options.data, options.source, split)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(report.write(result, options.out))


if __name__ == "__main__":
    main()
