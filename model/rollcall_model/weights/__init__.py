"""The trained weights of the attribute network and of the prefilter, and the model card."""

from pathlib import Path

PATH = Path(__file__).parent / "attributes.safetensors"
PREFILTER = Path(__file__).parent / "prefilter.safetensors"
