"""Which networks are installed, without loading them."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from rollcall_model import checkpoint
from rollcall_model.weights import PATH

DETECTOR = "mtcnn-4"


class AttributesVersion(NamedTuple):
    name: str
    digest: str


def attributes() -> AttributesVersion:
    data = PATH.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return AttributesVersion(checkpoint.facts(PATH)["version"], hashlib.blake2b(data[8 + length :]).hexdigest()[:12])
