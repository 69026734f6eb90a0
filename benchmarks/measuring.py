"""What the benchmarks share: the machine in words, repeated timing, a table, a plot."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Line:
    """One thing that was measured, several times."""

    name: str
    values: tuple[float, ...]
    unit: str
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.values)


def seconds(work: Callable[[], Any], runs: int, warm_up: int = 1) -> tuple[float, ...]:
    """Return how long each of several runs took."""
    for _ in range(warm_up):
        work()
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return tuple(found)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "processor": processor,
        "processors": usable,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load when it began": round(load, 2),
    }


def report(
    title: str, data: str, lines: Sequence[Line], out: Path | None, name: str, where: dict[str, Any], peer: str = ""
) -> None:
    """Print a table, and write it as JSON and PNG into `out`; `peer` names the line that others are compared with."""
    print(f"{title}\n  data: {data}\n  machine: " + ", ".join(f"{key} {value}" for key, value in where.items()))
    base = next((line.median for line in lines if line.name == peer), None)
    width = max(len(line.name) for line in lines)
    print(f"  {'':{width}} {'median':>10} {'min':>10} {'max':>10} {'runs':>5}" + ("  ratio" if base else ""))
    for line in lines:
        ratio = f"  {line.median / base:5.2f}" if base else ""
        print(
            f"  {line.name:{width}} {line.median:10.4g} {min(line.values):10.4g} {max(line.values):10.4g}"
            f" {len(line.values):5}{ratio}  {line.unit}" + (f"  ({line.note})" if line.note else "")
        )
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    whole = {"title": title, "data": data, "where": where, "lines": [asdict(line) for line in lines]}
    (out / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    draw(title, lines, out / f"{name}.png")


def draw(title: str, lines: Sequence[Line], path: Path) -> None:
    """Draw the medians with their spread, a panel for each unit; without matplotlib say so and do nothing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plot: it needs matplotlib (pip install matplotlib)")
        return
    units = list(dict.fromkeys(line.unit for line in lines))
    figure = Figure(figsize=(9, 1.2 + 0.38 * len(lines) + 0.5 * len(units)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    counts = [sum(line.unit == unit for line in lines) for unit in units]
    for axes, unit in zip(
        figure.subplots(len(units), 1, squeeze=False, height_ratios=counts)[:, 0], units, strict=True
    ):
        shown = [line for line in lines if line.unit == unit][::-1]
        reach = [
            [line.median - min(line.values) for line in shown],
            [max(line.values) - line.median for line in shown],
        ]
        axes.barh([line.name for line in shown], [line.median for line in shown], xerr=reach)
        axes.set_xlabel(unit, fontsize=8)
        axes.tick_params(labelsize=8)
    figure.savefig(path, dpi=110)
