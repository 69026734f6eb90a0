"""Both sides write in turn: no tag is lost, and none returns that a person removed.

ROLLCALL_XMP_ROUNDS gives it more rounds than the few of an ordinary run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from blobs import BlobAnalyzer
from both_sides import rounds

ROUNDS = int(os.environ.get("ROLLCALL_XMP_ROUNDS", "") or 20)
SEED = int(os.environ.get("ROLLCALL_SOAK_SEED", "") or 1)


def test_the_last_word_counts_on_both_sides_whoever_spoke_it(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for count in rounds(folder, tmp_path / "rollcall.db", BlobAnalyzer(), random.Random(SEED)):
        if count >= ROUNDS:
            break
