"""Automatic tags: rules from probabilities to tags, and the tags and group probabilities that are stored."""
