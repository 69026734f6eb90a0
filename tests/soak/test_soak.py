"""Each soak script, for a short time; ROLLCALL_SOAK_MINUTES gives each of them longer."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from soak import churn, fuzz, mutations, seeds
from soak.common import MINUTES

#: Few at a time where the time is short: each batch has a process of its own.
FILES = fuzz.FILES if MINUTES > 1 else 50
SEED = int(os.environ.get("ROLLCALL_SOAK_SEED", "") or 1)


def test_damaged_files_are_indexed_or_refused_with_a_sentence(tmp_path: Path) -> None:
    found = fuzz.run(MINUTES, SEED, tmp_path, files=FILES)
    assert found["files"] >= FILES
    assert found["faults"] == []
    assert found["states"]["indexed"] > 0 < found["states"]["failed"]


def test_a_watched_folder_that_is_churned_ends_as_a_fresh_index(tmp_path: Path) -> None:
    found = churn.run(MINUTES, SEED, tmp_path, files=60 if MINUTES > 1 else 15)
    assert found["operations"] > 0


def test_a_decoder_that_starts_late_is_no_growth_of_memory_and_a_process_that_grows_is() -> None:
    calm = [churn.Memory(126.0, [])] * 10
    late = [churn.Memory(131.0, [53.0, 53.0])] * 10
    churn.check_memory(calm + late)
    churn.check_memory(late + calm)
    for grown in (churn.Memory(250.0, []), churn.Memory(131.0, [53.0, 180.0]), churn.Memory(131.0, [20.0] * 5)):
        with pytest.raises(AssertionError):
            churn.check_memory(calm + late + [grown] * 20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it kills forks")
def test_killed_commands_lose_nothing(tmp_path: Path) -> None:
    # In a process of its own: this one has threads, which do not survive a fork.
    script = Path(__file__).with_name("kill.py")
    done = subprocess.run(
        [
            *(sys.executable, str(script), "--minutes", str(MINUTES), "--seed", str(SEED), "--keep", str(tmp_path)),
            *(["--photos", "10"] if MINUTES <= 1 else []),
        ],
        capture_output=True,
        text=True,
        timeout=MINUTES * 60 + 300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kills: 0" not in done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its commands run in forks")
def test_no_word_about_people_is_lost_whatever_happens(tmp_path: Path) -> None:
    script = Path(__file__).with_name("people.py")
    short = ["--photos", "3", "--words", "2"] if MINUTES <= 1 else []
    minutes = MINUTES if MINUTES > 1 else 0
    done = subprocess.run(
        [sys.executable, str(script), "--minutes", str(minutes), "--seed", str(SEED), "--keep", str(tmp_path), *short],
        capture_output=True,
        text=True,
        timeout=MINUTES * 60 + 600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event " in done.stdout


def test_the_same_seed_makes_the_same_damage() -> None:
    def damaged() -> list[bytes]:
        chance = random.Random(7)
        return [mutations.mutate(bytes(range(256)) * 8, chance, b"other" * 100) for _ in range(50)]

    assert damaged() == damaged()
    assert len(set(damaged())) > 40


def test_seeds_of_every_format_are_sound(tmp_path: Path) -> None:
    from rollcall.errors import UnsupportedFormatError
    from rollcall.media import decode

    for suffix, some in seeds.make(random.Random(3)).items():
        for number, data in enumerate(some):
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(data)
            try:
                assert decode.decode(path).pixels.ndim == 3, path
            except UnsupportedFormatError:
                assert suffix in (".nef", ".dng")  # the extra for raw files is not installed here
