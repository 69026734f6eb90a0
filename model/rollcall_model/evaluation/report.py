"""The evaluation as a Markdown page with plots.

The plots need matplotlib, which is an extra: without it the page is written all the same, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from rollcall_model.evaluation.plots import draw

NO_PLOTS: Final = "The plots were left out: they need matplotlib (`pip install matplotlib`)."


def write(result: dict[str, Any], folder: Path) -> str:
    """Write `folder`/report.md and its plots from the result of `evaluate`; return the page's text."""
    plots = draw(result, folder)
    text = markdown(result, plots)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return text


def markdown(result: dict[str, Any], plots: Sequence[str] | None) -> str:
    """Return the page; `plots` are names of files beside it, None without matplotlib."""
    parts = [_head(result)]
    for section, text_of in (("age", _age), ("child", _child), ("gender", _gender), ("identity", _identity)):
        if result[section] is not None:
            parts.append(text_of(result[section]))
    if plots is None:
        parts.append(NO_PLOTS)
    else:
        parts.append("\n\n".join(f"![{name.removesuffix('.png')}]({name})" for name in plots))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is aligned to the left and the others to the right."""
    lines = [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join(["---"] + ["---:"] * (len(heads) - 1)) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _ranged(line: dict[str, Any]) -> str:
    if line["ratio"] is None:
        return "-"
    return f"{_percent(line['ratio'])} ({100 * line['low']:.1f} to {100 * line['high']:.1f})"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _head(result: dict[str, Any]) -> str:
    about, faces = result["weights"], result["faces"]
    text = (
        "# Evaluation of the attribute network\n\n"
        f"Weights `{about['file']}` (version `{about['version']}`, digest `{about['digest']}`), "
        f"{about['parameters']:,} parameters. Faces: {faces['n']:,} of the split *{faces['split']}* "
        f"(set: {faces['set']}), {faces['with_age']:,} with an age, {faces['with_identity']:,} with an identity; "
        f"in {faces['not_detected']:,} of them the detector found no face, and the centre of the picture was used. "
        "Ranges in brackets, and numbers after ± in years, are 95 % confidence intervals."
    )
    calibration = about["calibration"]
    if not calibration:
        return text + "\n\nThese weights are **not calibrated**."
    if "cross_fitted" not in calibration:
        return text
    before, crossed, applied = (calibration[name] for name in ("before", "cross_fitted", "fitted"))
    keys = list(crossed)
    return (
        text
        + f"\n\nThe probabilities are calibrated (form: {calibration['form']}), fitted on "
        + ", ".join(f"{count:,} faces of {name}" for name, count in calibration["faces"].items())
        + ". The sections below measure the calibration on the same faces, which is optimistic; the scores of "
        "the second column are not: each face was scored by a fit on *other* faces "
        "(two halves, crosswise, mean of several divisions).\n\n"
        + table(
            ("metric", "uncalibrated", "cross-fitted", "as stored, on the faces it was fitted on"),
            [
                (
                    name.replace("_", " "),
                    _number(before[name], 4),
                    _number(crossed[name], 4),
                    _number(applied[name], 4),
                )
                for name in keys
            ],
        )
    )


def _age(section: dict[str, Any]) -> str:
    lines = {"all": section["all"], "children below 13": section["child"], **section["bands"]}
    lines |= {f"labelled {name}": line for name, line in section["groups"].items()}
    interval = section["interval"]
    bands = [*dict.fromkeys([*interval["by_true_age"], *interval["by_estimated_age"]])]
    return (
        "## Age\n\n"
        + table(
            ("faces", "n", "mean absolute error, years", "mean error", "within 5 years (CS@5)"),
            [
                (
                    name,
                    f"{line['n']:,}",
                    f"{line['mae']:.2f} ± {line['mae_half_width']:.2f}",
                    f"{line['bias']:+.2f}",
                    _percent(line["cs5"]),
                )
                for name, line in lines.items()
                if line
            ],
        )
        + f"\n\nThe interval with a nominal coverage of {_percent(interval['nominal'], 0)} covers the true age of "
        f"**{_ranged(interval['all'])}** of the faces; its mean width is {interval['all']['width']:.1f} years. "
        "No estimate can cover all bands of the *true* age equally (a fifteen-year-old who looks thirty is missed); "
        "bands of the *estimated* age are what a user sees.\n\n"
        + table(
            ("band", "by true age", "by estimated age", "mean width, years"),
            [
                (
                    name,
                    _ranged(interval["by_true_age"].get(name, {"ratio": None})),
                    _ranged(interval["by_estimated_age"].get(name, {"ratio": None})),
                    _number(interval["by_estimated_age"].get(name, {"width": None})["width"], 1),
                )
                for name in bands
            ],
        )
    )


def _child(section: dict[str, Any]) -> str:
    half = section["at_one_half"]
    return f"## Child (below 13) or not\n\n{section['children']:,} children among {section['n']:,} faces.\n\n" + table(
        ("metric", "value"),
        [
            ("average precision", _number(section["average_precision"], 4)),
            ("recall at 95 % precision", _percent(section["recall_at_95_precision"])),
            ("its threshold of `p_child`", _number(section["threshold_at_95_precision"])),
            ("precision where `p_child` > 0.5", _percent(half["precision"])),
            ("recall where `p_child` > 0.5", _percent(half["recall"])),
            ("calibration error (ECE, 15 bins)", _number(section["ece"], 4)),
        ],
    )


def _gender(section: dict[str, Any]) -> str:
    lines = {
        "all": section["all"],
        "from 13": section["from_13"],
        "below 13": section["below_13"],
        "women from 13": section["women_from_13"],
        "men from 13": section["men_from_13"],
        **section["bands"],
        **{f"labelled {name}, from 13": line for name, line in section["groups_from_13"].items()},
    }
    gap = section["gap"]
    return (
        "## Gender\n\n"
        + table(("faces", "n", "accuracy"), [(name, f"{line['n']:,}", _ranged(line)) for name, line in lines.items()])
        + (
            f"\n\n**The gap:** from 13, the accuracy for faces labelled {gap['worst']} is {gap['points']:.1f} "
            f"percentage points below that for faces labelled {gap['best']}."
            if gap
            else ""
        )
        + f"\n\nCalibration error of `p_female` (ECE, 15 bins): {_number(section['ece'], 4)}; "
        f"from 13 {_number(section['ece_from_13'], 4)}, below 13 {_number(section['ece_below_13'], 4)}."
    )


def _identity(section: dict[str, Any]) -> str:
    rows = []
    for source, scores in section["sets"].items():
        for network, of in (("network", scores), ("its teacher", scores.get("teacher"))):
            if of is None:
                continue
            pairs, every = of.get("protocol"), of["all_pairs"]
            if pairs:
                rows.append(
                    (
                        f"{source}, protocol, {network}",
                        f"{pairs['pairs']:,} pairs",
                        f"{_percent(pairs['accuracy'], 2)} ± {100 * pairs['deviation']:.2f} (folds)",
                        _percent(pairs["tar"]["0.01"]),
                        _percent(pairs["tar"]["0.001"]),
                    )
                )
            rows.append(
                (
                    f"{source}, all pairs, {network}",
                    f"{every['faces']:,} faces, {every['people']:,} people",
                    "-",
                    _percent(every["tar"]["0.01"]),
                    _percent(every["tar"]["0.001"]),
                )
            )
    children = section["children"]
    text = (
        "## Identity\n\n"
        "Protocol: the threshold for each fold is found on the others (±: the folds' standard deviation). TAR at FAR: "
        "the true accept rate at a threshold that accepts one in 100, or in 1,000, pairs of two people; over all pairs "
        "it is the mean over people. With few thousand pairs the protocol's value at 1e-3 rests on one or two pairs.\n\n"
        + table(("faces", "of", "accuracy", "TAR at FAR 1e-2", "TAR at FAR 1e-3"), rows)
        + "\n\n### Children against children\n\n"
        + children["note"]
    )
    if not children["strangers"]:
        return text
    return (
        text
        + "\n\n"
        + table(
            ("age", "faces", "pairs of two faces", "false accept rate"),
            [
                (name, f"{line['faces']:,}", f"{line['pairs']:,}", _percent(line["false_accept_rate"], 2))
                for name, line in children["strangers"].items()
            ],
        )
        + f"\n\nThe threshold, a cosine similarity of {children['threshold']:.3f}, accepts 0.1 % of the pairs of two "
        "people of the first set above. The set may contain a person twice, so these are upper bounds."
    )
