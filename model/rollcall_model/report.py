"""The evaluation as a Markdown page with plots.

The plots need matplotlib, which is an extra: without it the page is written all the same, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

NO_PLOTS: Final = "The plots were left out: they need matplotlib (`pip install matplotlib`)."


def write(result: dict[str, Any], folder: Path) -> str:
    """Write `folder`/report.md and its plots, from what `evaluate` returned; return the page's text."""
    plots = draw(result, folder)
    text = markdown(result, plots)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return text


def markdown(result: dict[str, Any], plots: Sequence[str] | None) -> str:
    """Return the page; `plots` are names of files beside it, None if they could not be drawn."""
    parts = [_head(result)]
    for section, of in (("age", _age), ("child", _child), ("gender", _gender), ("identity", _identity)):
        if result[section] is not None:
            parts.append(of(result[section]))
    if plots is None:
        parts.append(NO_PLOTS)
    else:
        parts.append("\n\n".join(f"![{name.removesuffix('.png')}]({name})" for name in plots))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    lines = [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join(["---"] + ["---:"] * (len(heads) - 1)) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _ranged(line: dict[str, Any]) -> str:
    if line["share"] is None:
        return "-"
    return f"{_percent(line['share'])} ({100 * line['low']:.1f} to {100 * line['high']:.1f})"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _head(result: dict[str, Any]) -> str:
    about, faces = result["weights"], result["faces"]
    text = (
        "# Evaluation of the attribute network\n\n"
        f"Weights `{about['file']}` (version `{about['version']}`, BLAKE2b-128 `{about['blake2b']}`), "
        f"{about['parameters']:,} parameters. Faces: {faces['n']:,} of the split *{faces['split']}* "
        f"(set: {faces['set']}), {faces['with_age']:,} with an age, {faces['with_identity']:,} with an identity; "
        f"in {faces['not_detected']:,} of them the detector saw no face, and the middle of the picture was taken. "
        "Ranges in brackets, and numbers after ± in years, hold with 95 % confidence."
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
        + ". Where the sections below measure the calibration on the same faces, they flatter it; the figures of "
        "the second column do not: each face was scored with what was fitted on *other* faces "
        "(two halves, crosswise, mean of several divisions).\n\n"
        + table(
            ("measure", "without", "cross-fitted", "as stored, on the faces it was fitted on"),
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
                    f"{line['mae']:.2f} ± {line['mae_reach']:.2f}",
                    f"{line['bias']:+.2f}",
                    _percent(line["cs5"]),
                )
                for name, line in lines.items()
                if line
            ],
        )
        + f"\n\nThe interval that is meant to hold the true age for {_percent(interval['wanted'], 0)} of the faces "
        f"holds it for **{_ranged(interval['all'])}**, and is {interval['all']['width']:.1f} years wide at the mean. "
        "Bands of the *true* age cannot all be held equally often by any estimate (who looks thirty at "
        "fifteen is missed); bands of the *estimated* age are what a user sees.\n\n"
        + table(
            ("band", "by true age", "by estimated age", "mean width, years"),
            [
                (
                    name,
                    _ranged(interval["by_true_age"].get(name, {"share": None})),
                    _ranged(interval["by_estimated_age"].get(name, {"share": None})),
                    _number(interval["by_estimated_age"].get(name, {"width": None})["width"], 1),
                )
                for name in bands
            ],
        )
    )


def _child(section: dict[str, Any]) -> str:
    half = section["at_one_half"]
    return f"## Child (below 13) or not\n\n{section['children']:,} children among {section['n']:,} faces.\n\n" + table(
        ("measure", "figure"),
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
        + table(("faces", "n", "right"), [(name, f"{line['n']:,}", _ranged(line)) for name, line in lines.items()])
        + (
            f"\n\n**The gap:** from 13, faces labelled {gap['worst']} are {gap['points']:.1f} percentage points "
            f"less often right than those labelled {gap['best']}."
            if gap
            else ""
        )
        + f"\n\nCalibration error of `p_female` (ECE, 15 bins): {_number(section['ece'], 4)}; "
        f"from 13 {_number(section['ece_from_13'], 4)}, below 13 {_number(section['ece_below_13'], 4)}."
    )


def _identity(section: dict[str, Any]) -> str:
    rows = []
    for source, scores in section["sets"].items():
        for who, of in (("network", scores), ("its teacher", scores.get("teacher"))):
            if of is None:
                continue
            pairs, every = of.get("protocol"), of["all_pairs"]
            if pairs:
                rows.append(
                    (
                        f"{source}, protocol, {who}",
                        f"{pairs['pairs']:,} pairs",
                        f"{_percent(pairs['accuracy'], 2)} ± {100 * pairs['deviation']:.2f} (folds)",
                        _percent(pairs["tar"]["0.01"]),
                        _percent(pairs["tar"]["0.001"]),
                    )
                )
            rows.append(
                (
                    f"{source}, every pair, {who}",
                    f"{every['faces']:,} faces, {every['people']:,} people",
                    "-",
                    _percent(every["tar"]["0.01"]),
                    _percent(every["tar"]["0.001"]),
                )
            )
    children = section["children"]
    text = (
        "## Identity\n\n"
        "Protocol: the threshold for each fold is found on the others (±: the folds' standard deviation). TAR at FAR: how many pairs of one person "
        "are accepted where one in 100, or in 1,000, pairs of two people is; over every pair, each person counts "
        "the same. With few thousand pairs the protocol's figure at 1e-3 rests on one or two pairs.\n\n"
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
            ("age", "faces", "pairs of two faces", "taken for one person"),
            [
                (name, f"{line['faces']:,}", f"{line['pairs']:,}", _percent(line["taken_for_one"], 2))
                for name, line in children["strangers"].items()
            ],
        )
        + f"\n\nThe threshold, a likeness of {children['threshold']:.3f}, takes 0.1 % of the pairs of two people of "
        "the first set above for one. The set may hold the same person twice, so these are upper bounds."
    )


def draw(result: dict[str, Any], folder: Path) -> list[str] | None:
    """Draw the plots into `folder`; return their names, or None where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    names = []

    def plot(name: str, panels: int, fill: Callable[..., None]) -> None:
        figure = Figure(figsize=(5.2 * panels, 3.8), layout="constrained")
        fill(*[figure.add_subplot(1, panels, i + 1) for i in range(panels)])
        figure.savefig(folder / name, dpi=110)
        names.append(name)

    if result["age"]:
        plot("age.png", 2, lambda left, right: _draw_age(result["age"], left, right))
    if result["child"]:
        plot("child.png", 2, lambda left, right: _draw_child(result["child"], left, right))
    if result["gender"]:
        plot("gender.png", 2, lambda left, right: _draw_gender(result["gender"], left, right))
    if result["identity"]:
        plot("identity.png", 1, lambda only: _draw_identity(result["identity"], only))
    return names


def _draw_age(section: dict[str, Any], left: Any, right: Any) -> None:
    bands = section["bands"]
    left.bar(list(bands), [line["mae"] for line in bands.values()], yerr=[x["mae_reach"] for x in bands.values()])
    left.set(title="Error of the age", xlabel="true age", ylabel="mean absolute error, years")
    for label, name, shift in (
        ("by true age", "by_true_age", -0.1),
        ("by estimated age", "by_estimated_age", 0.1),
    ):
        lines = section["interval"][name]
        at = [list(bands).index(band) + shift for band in lines if band in bands]
        shares = [line for band, line in lines.items() if band in bands]
        reach = [
            [x["share"] - x["low"] for x in shares],
            [x["high"] - x["share"] for x in shares],
        ]
        right.errorbar(at, [x["share"] for x in shares], yerr=reach, fmt="o", label=label)
    right.axhline(section["interval"]["wanted"], color="grey", linestyle="--")
    right.set_xticks(range(len(bands)), list(bands))
    right.set(title="Faces whose 80 % interval holds the true age", xlabel="age", ylim=(0, 1.02))
    right.legend()


def _draw_reliability(lines: list[dict[str, float]], ece: float, name: str, axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    total = sum(line["n"] for line in lines)
    axes.scatter([x["said"] for x in lines], [x["true"] for x in lines], s=[20 + 400 * x["n"] / total for x in lines])
    axes.set(title=f"{name}: said and true (ECE {ece:.3f})", xlabel=f"said {name}", ylabel="true share")


def _draw_child(section: dict[str, Any], left: Any, right: Any) -> None:
    left.plot([x[0] for x in section["curve"]], [x[1] for x in section["curve"]])
    left.axhline(0.95, color="grey", linestyle="--")
    left.set(
        title=f"Child or not (average precision {section['average_precision']:.3f})",
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    _draw_reliability(section["reliability"], section["ece"], "p_child", right)


def _draw_gender(section: dict[str, Any], left: Any, right: Any) -> None:
    lines = {**section["bands"], **section["groups_from_13"]}
    lines = {name: line for name, line in lines.items() if line["share"] is not None}
    reach = [
        [x["share"] - x["low"] for x in lines.values()],
        [x["high"] - x["share"] for x in lines.values()],
    ]
    left.errorbar([x["share"] for x in lines.values()], range(len(lines)), xerr=reach, fmt="o")
    left.set_yticks(range(len(lines)), list(lines))
    left.invert_yaxis()
    left.set(title="Gender right, by age and (from 13) by label", xlabel="share")
    _draw_reliability(section["reliability"], section["ece"], "p_female", right)


def _draw_identity(section: dict[str, Any], axes: Any) -> None:
    names, bars = [], []
    for source, scores in section["sets"].items():
        for who, of in (("network", scores), ("teacher", scores.get("teacher"))):
            if of:
                names.append(f"{source}\n{who}")
                bars.append(of["all_pairs"]["tar"])
    for shift, far in ((-0.2, "0.01"), (0.2, "0.001")):
        axes.bar([i + shift for i in range(len(bars))], [x[far] for x in bars], 0.4, label=f"FAR {far}")
    axes.set_xticks(range(len(names)), names)
    axes.set(title="Every pair: true accepts, each person counting the same", ylim=(0, 1))
    axes.legend()
