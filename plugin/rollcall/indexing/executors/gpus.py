"""How many processes may share the GPUs of this machine, each with its own networks in their memory."""

from __future__ import annotations

import os
import subprocess
from typing import Final

#: What a process takes of a GPU's memory, in MiB, with its context.
_PROCESS: Final = 1500
#: The share of the free memory that the processes may take.
_SHARE: Final = 0.75
_PATIENCE: Final = 10.0


def places() -> list[str]:
    """Return the GPU of each process that there may be, around all GPUs; empty where their memory is not known.

    NVIDIA's alone are known. `CUDA_VISIBLE_DEVICES` counts.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    wanted = [] if visible is None else ["-i", visible]
    try:
        done = subprocess.run(
            ["nvidia-smi", *wanted, "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
        rows = [line.split(",") for line in done.stdout.splitlines() if line.strip()]
        free = {name.strip(): int(int(megabytes) * _SHARE) // _PROCESS for name, megabytes in rows}
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    turns = range(max(free.values(), default=0))
    return [name for turn in turns for name, count in free.items() if turn < count]
