"""Whether a crowd shows a child: probabilities on photographs of crowds, with each face alone and with all together.

Labels are in `crowds.csv`, for training pictures of WIDER FACE that were looked at one by one; pictures in which
children cannot be told from adults are not in it. Those of the part *fit* were used to choose the constants of
`attributes.age_mix`, those of *held* were not. `--children` names a folder of pictures with nothing but children's
faces: some of them are put in for faces of crowds without children, which says what is lost on families.

    python benchmarks/crowds.py FOLDER [--children FOLDER] [--strength 1] [--shares 0.12 0.2 0.15 0.36 0.17]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rollcall.ages import any_of, mass
from rollcall.inference import detectors
from rollcall.media import decode
from rollcall.settings import load
from rollcall_model.attributes import age_mix, align
from rollcall_model.attributes.model import AttributeModel

LABELS = Path(__file__).with_name("crowds.csv")
CHILD = (0, 12)
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


class Crowd(NamedTuple):
    """One photo: what is said of each face alone, and whether a child is there."""

    ages: np.ndarray  # (n, 101)
    child: bool
    part: str


class Reader:
    """Reads the age distributions of a picture's faces, each as if it were alone."""

    def __init__(self) -> None:
        self.settings = load(None, {})
        self.detector = detectors.build(self.settings.detector)
        self.model = AttributeModel(heads=["age"])

    def ages(self, path: Path) -> np.ndarray:
        pixels = decode.decode(path, target=self.settings.detector.resolution).pixels
        (found,) = self.detector.detect([pixels])
        crops = [align.crop(pixels, points, self.model.size) for points in found.landmarks]
        return self.model(np.stack(crops)).age if crops else np.zeros((0, 101), np.float32)


def composites(crowds: list[Crowd], children: np.ndarray, rounds: int = 4) -> list[Crowd]:
    """Return crowds without children, with children put in for faces of 40 % of them: mostly one, some with many."""
    rng = np.random.default_rng(0)
    result = []
    for crowd in [one for one in crowds if not one.child] * rounds:
        ages, count = crowd.ages.copy(), len(crowd.ages)
        child = bool(rng.random() < 0.4)
        if child:
            number = int(np.clip(rng.choice([1, 1, 1, 2, 2, 3, count // 2]), 1, count))
            where = rng.choice(count, number, replace=False)
            ages[where] = children[rng.choice(len(children), number)]
        result.append(Crowd(ages, child, "composites"))
    return result


def report(name: str, crowds: list[Crowd], shares: tuple[float, ...], strength: float) -> None:
    """Print what is said of photos of four faces or more, with each face alone and with all together."""
    child = np.array([one.child for one in crowds])
    print(f"{name}: {len(crowds)} photos of 4 faces or more, {child.sum()} with a child")
    for how in ("alone", "together"):
        each = [one.ages if how == "alone" else age_mix.with_mix_of_photo(one.ages, shares, strength) for one in crowds]
        p = np.array([any_of(mass(ages, *CHILD)) for ages in each])
        likelihood = np.log(np.clip(np.where(child, p, 1 - p), 1e-4, 1))
        without = p[~child]
        print(
            f"  {how:9} log loss {-likelihood.mean():.3f}; without a child: mean {without.mean():.3f}, "
            f"{(without > 0.5).sum()} of {len(without)} over 0.5, {(without > 0.95).sum()} over 0.95; "
            f"with one: {(p[child] > 0.5).sum()} of {child.sum()} over 0.5"
        )
        bins = np.clip(np.digitize(p, BINS) - 1, 0, len(BINS) - 2)
        for row in range(len(BINS) - 1):
            of = bins == row
            if of.any():
                print(
                    f"    {BINS[row]:.2f} to {BINS[row + 1]:.2f}: {of.sum():3} photos, mean {p[of].mean():.2f},"
                    f" {child[of].mean():.2f} with a child"
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--children", type=Path)
    parser.add_argument("--strength", type=float, default=age_mix.STRENGTH)
    parser.add_argument("--shares", type=float, nargs=len(age_mix.SHARES), default=age_mix.SHARES)
    given = parser.parse_args()
    reader, crowds = Reader(), []
    with LABELS.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            ages = reader.ages(given.folder / row["name"])
            if len(ages) > age_mix.ALONE:
                crowds.append(Crowd(ages, row["child"] == "1", row["part"]))
    shares = tuple(given.shares)
    fit = [one for one in crowds if one.part == "fit"]
    report("fit", fit, shares, given.strength)
    report("held", [one for one in crowds if one.part == "held"], shares, given.strength)
    if given.children is not None:
        children = np.concatenate([reader.ages(path) for path in sorted(given.children.iterdir())])
        report("composites", composites(fit, children), shares, given.strength)


if __name__ == "__main__":
    main()
