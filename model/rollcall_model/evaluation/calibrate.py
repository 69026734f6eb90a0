"""Calibration of trained weights on faces they were not trained on.

`python -m rollcall_model.evaluation.calibrate --data SETS --crops CROPS --weights IN --out OUT` fits a `Calibration`,
the thresholds of tags, and (with --data) the probability of a match, and stores them in the weights' metadata. Four
forms for the ages are compared, and the best by *cross-fitting* is used: each face is scored by a fit on other faces.
`p_child` needs no calibration of its own: it is the mass below 13 of the calibrated ages.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rollcall_model import checkpoint, runtime
from rollcall_model.attributes.calibration import Calibration
from rollcall_model.attributes.model import load_net
from rollcall_model.datasets.faces import Faces, central_crops, load
from rollcall_model.datasets.pairs import PAIRS_SOURCE, pairs_of
from rollcall_model.evaluation.fit import (
    FORMS,
    Examples,
    apply,
    cost,
    cross_fit,
    cross_fitted_scores,
    fit,
    halves,
    scores,
    uncalibrated,
)
from rollcall_model.evaluation.thresholds import Similarity, fit_similarity, match_thresholds, tag_thresholds


def fit_calibration(examples: Examples) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration of the best form, and its metadata: fields, form, and scores before and after."""
    compared = {form: cross_fitted_scores(examples, form) for form in FORMS}
    form = min(compared, key=lambda name: cost(compared[name]))
    calibration = fit(examples, form)
    before = scores(*apply(examples.out, Calibration()), examples.years, examples.female)
    after = scores(*apply(examples.out, calibration), examples.years, examples.female)
    return calibration, {
        **calibration._asdict(),
        "form": form,
        "before": before,
        "cross_fitted": compared[form],
        "fitted": after,
        "tried": {name: {**line, "cost": cost(line)} for name, line in compared.items()},
    }


def store(weights: Path, out: Path, **metadata: Any) -> None:
    """Copy the weights to `out`, which may be the same file, and set entries of their metadata.

    Raises
    ------
    WeightsError
        If the weights are missing or damaged.
    """
    checkpoint.metadata(weights)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.resolve() != weights.resolve():
        shutil.copyfile(weights, out)
    checkpoint.update_metadata(out, **metadata)


def similarity_of_pairs(weights: Path, faces: Faces, size: int, folder: Path | None) -> Similarity | None:
    """Return the fit to the validation people of LFW; None without pairs in the folder of the data sets."""
    rows = faces.where(PAIRS_SOURCE, "val")
    pairs = pairs_of(faces, rows, folder)
    if pairs is None:
        return None
    embedding = np.asarray(uncalibrated(weights, central_crops(faces, rows, size)).embedding)
    midpoint, steepness = fit_similarity(pairs.cosine_similarities(embedding), pairs.same)
    identity = np.unique([faces.samples[row].identity for row in rows], return_inverse=True)[1]
    once = np.triu(np.ones((len(rows), len(rows)), bool), 1)
    cosine, same = (embedding @ embedding.T)[once], (identity[:, None] == identity)[once]
    return Similarity(midpoint, steepness, **match_thresholds(cosine[same], cosine[~same]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrate weights from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rollcall_model.evaluation.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, help="Folder of the sets, for pairs; without it the match is not fitted.")
    parser.add_argument("--crops", type=Path, required=True, help="Folder of the aligned crops that training made.")
    parser.add_argument("--weights", type=Path, required=True, help="The weights to calibrate.")
    parser.add_argument("--out", type=Path, required=True, help="File for the calibrated weights; may be the same.")
    options = parser.parse_args(arguments)
    runtime.configure()
    faces = load(options.crops)
    rows = faces.with_exact_age(faces.where(split="val"))
    if len(rows) < 2:
        parser.error(f"{options.crops}: no validation faces with an age; calibration needs a few hundred")
    size = load_net(options.weights)[0].config.size
    out = uncalibrated(options.weights, central_crops(faces, rows, size))
    examples = Examples(out, faces.ages[rows, 0].astype(np.float64), faces.female[rows].astype(np.int64))
    calibration, metadata = fit_calibration(examples)
    names, counts = np.unique([f"{faces.samples[row].source} val" for row in rows], return_counts=True)
    metadata["faces"] = dict(zip(names.tolist(), counts.tolist(), strict=True))
    age, p_female = cross_fit(examples, metadata["form"], halves(len(rows))[0])
    thresholds = tag_thresholds(age, p_female, examples.years, examples.female)
    stored = {"calibration": metadata, "tag_thresholds": {"faces": len(rows), "thresholds": thresholds}}
    similarity = similarity_of_pairs(options.weights, faces, size, options.data)
    if similarity is not None:
        stored["similarity"] = similarity._asdict()
    store(options.weights, options.out, **stored)
    for name, line in {"before": metadata["before"], **metadata["tried"], "as stored": metadata["fitted"]}.items():
        print(f"{name:32}", "  ".join(f"{key} {value:.4f}" for key, value in line.items()))
    print(f"chosen: {metadata['form']}: {calibration}; {similarity or 'similarity not fitted'}")


if __name__ == "__main__":
    main()
