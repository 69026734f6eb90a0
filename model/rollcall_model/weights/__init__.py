"""The trained weights of the attribute network, and its model card."""

from pathlib import Path

PATH = Path(__file__).parent / "attributes.safetensors"
