"""Kill every command that writes, at random moments; nothing that was acknowledged may be lost.

Run with: python tests/soak/kill.py --minutes 30 --seed 1
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from soak import child
from soak.common import Clock, environment, parser, report
from soak.kill_more import Everything
from soak.killer import PHOTOS


def run(minutes: float, seed: int, work: Path, *, photos: int = PHOTOS) -> dict[str, Any]:
    """Kill commands for some minutes, at least one, in a library of some photos; return a report.

    Raises
    ------
    AssertionError
        If a database was damaged, an acknowledged correction lost, or a command failed after a kill.
    """
    child.preload()
    for name in [name for name in os.environ if name.startswith("ROLLCALL_")]:
        del os.environ[name]
    os.environ.update(environment(work))
    with Everything(work, random.Random(seed), photos) as killer:
        clock = Clock(minutes)
        while not clock.over or not killer.kills:
            killer.step()
            if sum(killer.kills.values()) % 25 == 24:
                killer.examine_effect()
        _examine_the_end(killer)
    return {
        "minutes": minutes,
        "kills": sum(killer.kills.values()),
        "of which": dict(killer.kills),
        "commands that ended by themselves": dict(killer.completed),
        "corrections that were acknowledged": len(killer.acknowledged),
    }


def _examine_the_end(killer: Everything) -> None:
    code, text, _ = killer.command("index", str(killer.folder), killed=False)
    assert code == 0 and re.search(r"photos? indexed", text), text
    killer.examine()
    killer.examine_effect()
    code, text, _ = killer.command("check", "--all", killed=False)
    assert code == 0 and "All is well" in text, text
    killer.examine_servers()


def main() -> None:
    """Run it as a program."""
    arguments = parser(__doc__)
    arguments.add_argument("--photos", type=int, default=PHOTOS, help=f"how many photos (default {PHOTOS})")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as temporary:
        report(run(options.minutes, options.seed, options.keep or Path(temporary), photos=options.photos))


if __name__ == "__main__":
    main()
