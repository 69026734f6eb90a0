"""The people-plugin for photo managers. The public Python API is re-exported here, and nothing else."""

from rollcall.errors import RollcallError
from rollcall.records import Box, Face, Picture, RunSummary
from rollcall.settings import Settings

__version__ = "0.1.0"
__all__ = ["Box", "Face", "Picture", "RollcallError", "RunSummary", "Settings", "__version__"]
