"""The people-plugin for photo managers. The public Python API is re-exported here, and nothing else."""

__version__ = "0.1.0"
