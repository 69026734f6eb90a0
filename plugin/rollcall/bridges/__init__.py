"""Bridges to other photo managers: push tags, names and faces to their servers, import names from their exports."""
