"""Paths of the committed weights; the model card lies beside them."""

from pathlib import Path
from typing import Final

#: The attribute network.
PATH: Final = Path(__file__).parent / "attributes.safetensors"
#: The detector's prefilter. MTCNN's own weights come with the distribution `mtcnn`.
PREFILTER: Final = Path(__file__).parent / "prefilter.safetensors"
#: The single-pass detector.
SINGLE_PASS: Final = Path(__file__).parent / "detector.safetensors"
#: The refiner of its landmarks, and the same network for smaller crops, which looks first.
REFINER: Final = Path(__file__).parent / "refiner.safetensors"
FIRST_REFINER: Final = Path(__file__).parent / "refiner-first.safetensors"
