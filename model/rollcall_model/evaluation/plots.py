"""The plots of the evaluation; they need matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rollcall_model.ages import INTERVAL_COVERAGE

PANEL_SIZE: Final = (5.2, 3.8)
_DPI: Final = 110


def draw(result: Mapping[str, Any], folder: Path) -> list[str] | None:
    """Draw the plots of `evaluate`'s result into `folder`; return their names, or None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    names = []
    sections: tuple[tuple[str, int, Callable[..., None]], ...] = (
        ("age", 2, _age),
        ("child", 2, _child),
        ("gender", 2, _gender),
        ("identity", 1, _identity),
    )
    for section, panels, fill in sections:
        if not result[section]:
            continue
        figure = Figure(figsize=(PANEL_SIZE[0] * panels, PANEL_SIZE[1]), layout="constrained")
        fill(result[section], *(figure.add_subplot(1, panels, i + 1) for i in range(panels)))
        figure.savefig(folder / f"{section}.png", dpi=_DPI)
        names.append(f"{section}.png")
    return names


def _error_bars(lines: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Return the distances from each ratio to the ends of its range, for matplotlib."""
    return [[line["ratio"] - line["low"] for line in lines], [line["high"] - line["ratio"] for line in lines]]


def _age(section: dict[str, Any], left: Any, right: Any) -> None:
    bands = section["bands"]
    left.bar(
        list(bands),
        [line["mae"] for line in bands.values()],
        yerr=[line["mae_half_width"] for line in bands.values()],
    )
    left.set(title="Error of the age", xlabel="true age", ylabel="mean absolute error, years")
    for label, name, shift in (
        ("by true age", "by_true_age", -0.1),
        ("by estimated age", "by_estimated_age", 0.1),
    ):
        shown = {band: line for band, line in section["interval"][name].items() if band in bands}
        positions = [list(bands).index(band) + shift for band in shown]
        lines = list(shown.values())
        right.errorbar(positions, [line["ratio"] for line in lines], yerr=_error_bars(lines), fmt="o", label=label)
    right.axhline(section["interval"]["nominal"], color="grey", linestyle="--")
    right.set_xticks(range(len(bands)), list(bands))
    right.set(title=f"Coverage of the {INTERVAL_COVERAGE:.0%} interval", xlabel="age", ylim=(0, 1.02))
    right.legend()


def _reliability(lines: list[dict[str, float]], ece: float, name: str, axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    total = sum(line["n"] for line in lines)
    axes.scatter(
        [line["predicted"] for line in lines],
        [line["true"] for line in lines],
        s=[20 + 400 * line["n"] / total for line in lines],
    )
    axes.set(title=f"Reliability of {name} (ECE {ece:.3f})", xlabel=f"predicted {name}", ylabel="true ratio")


def _child(section: dict[str, Any], left: Any, right: Any) -> None:
    left.plot([point[0] for point in section["curve"]], [point[1] for point in section["curve"]])
    left.axhline(0.95, color="grey", linestyle="--")
    left.set(
        title=f"Child or not (average precision {section['average_precision']:.3f})",
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    _reliability(section["reliability"], section["ece"], "p_child", right)


def _gender(section: dict[str, Any], left: Any, right: Any) -> None:
    groups = {**section["bands"], **section["groups_from_13"]}
    groups = {name: line for name, line in groups.items() if line["ratio"] is not None}
    lines = list(groups.values())
    left.errorbar([line["ratio"] for line in lines], range(len(lines)), xerr=_error_bars(lines), fmt="o")
    left.set_yticks(range(len(groups)), list(groups))
    left.invert_yaxis()
    left.set(title="Accuracy of gender, by age and (from 13) by label", xlabel="accuracy")
    _reliability(section["reliability"], section["ece"], "p_female", right)


def _identity(section: dict[str, Any], axes: Any) -> None:
    names, rates = [], []
    for source, scores in section["sets"].items():
        for network, of in (("network", scores), ("teacher", scores.get("teacher"))):
            if of:
                names.append(f"{source}\n{network}")
                rates.append(of["all_pairs"]["tar"])
    for shift, far in ((-0.2, "0.01"), (0.2, "0.001")):
        axes.bar([i + shift for i in range(len(rates))], [rate[far] for rate in rates], 0.4, label=f"FAR {far}")
    axes.set_xticks(range(len(names)), names)
    axes.set(title="All pairs: true accept rate, mean over people", ylim=(0, 1))
    axes.legend()
