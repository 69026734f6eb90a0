"""`rollcall` with an analyzer that finds drawn squares: a child process that starts fast and loads no networks.

As a program it is the command line; `forked` runs a command in a fork of a process that has imported everything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

TESTS = Path(__file__).resolve().parent.parent
if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))

from blobs import BlobAnalyzer  # noqa: E402  found by the line above
from rollcall.host import Plugin, base  # noqa: E402
from rollcall.records import Face, Picture  # noqa: E402


class SoakAnalyzer(BlobAnalyzer):
    """Finds no faces in noise, of which damaged pictures have a lot."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the squares of each picture, none where there are more than 20."""
        calm = [picture for picture in pictures if int((picture.pixels[..., 0] == 255).sum()) < 20_000]
        found = dict(zip(map(id, calm), super().analyze(calm), strict=True))
        return [faces if len(faces := found.get(id(picture), ())) <= 20 else () for picture in pictures]


#: Before a batch and the options of a database: undo that one alone, which no command does.
UNDO: Final = "undo-batch"


def run(words: Sequence[str], analyzer: Callable[[], BlobAnalyzer] = SoakAnalyzer) -> int:
    """Run the command line with some words; return its exit code."""
    from rollcall.cli import main

    base.Analyzer = lambda settings: analyzer()  # type: ignore[assignment, misc, return-value]
    if words[0] == UNDO:
        _, batch, _, database = words
        with Plugin({"database.url": database}, analyzer=analyzer()) as plugin:
            plugin.undo(batches=[batch])
        return 0
    sys.argv = ["rollcall", *words]
    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    return 0


def preload() -> None:
    """Import what commands import, so that forks need not."""
    import rollcall.cli
    import rollcall.commands.adapt
    import rollcall.commands.albums
    import rollcall.commands.backup
    import rollcall.commands.bridge
    import rollcall.commands.check
    import rollcall.commands.corrections
    import rollcall.commands.forget
    import rollcall.commands.index
    import rollcall.commands.people
    import rollcall.commands.restore
    import rollcall.commands.tag
    import rollcall.commands.xmp  # noqa: F401


def forked(words: Sequence[str], output: Path) -> int:
    """Run a command in a fork, its output in a file; return the number of the process."""
    return forked_all([words], output)


def forked_all(
    commands: Sequence[Sequence[str]], output: Path, analyzer: Callable[[], BlobAnalyzer] = SoakAnalyzer
) -> int:
    """Run commands in one fork, until one fails; return the number of the process."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with output.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = next((found for words in commands if (found := run(words, analyzer))), 0)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


if __name__ == "__main__":
    from rollcall.commands.interrupts import interrupts

    interrupts.install()
    sys.exit(run(sys.argv[1:]))
