"""Folders of photos that are not on a disk: object storage and servers that fsspec reads. Nothing is written there."""
